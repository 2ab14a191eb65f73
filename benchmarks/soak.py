"""Tocsin under load for minutes: its resident memory after the third one must stay as it is.

    python -m benchmarks.soak [--minutes 10] [--faults]

A server of its own process, 50 targets of four series evaluated every second, five event streams opened and closed,
two askers. Prints a curve and exits with 1 when memory grew by more than 2 MB after minute 3, or when sockets and
descriptors did not come back.

With --faults a proxy between the server and its datasource breaks a fifth of all answers at random, and each minute the
datasource is gone for a few seconds. The third and the last minute, whose memory is compared, are left in peace: what
is answered whole takes more than what breaks off. Then an alert that the rhythm of the series
does not explain, or two of one series at one time, or a target that is not well at the end is a failure too.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from tests.acceptance.exporter import ScriptedPrometheus, http_server
from tests.acceptance.load import DATASOURCE, RHYTHM, Load, misjudged, told_twice, unwell
from tests.acceptance.process import Tocsin, until
from tests.faults import FaultProxy, at_random, faulty

SETTLED_AFTER = 3
GROWTH_MB = 2.0
SAMPLES_A_MINUTE = 12
MINUTE_S = 60.0
BAR = 50
BROKEN_SHARE = 0.2
GONE_S = 5.0
QUESTION_S = "2s"
"""The time-out of the datasource under faults: what hangs must not fill the whole soak."""

ANSWER_BYTES = 2_000_000
"""The largest answer under faults: what a gigabyte takes in memory before it is stopped is not what is measured."""

TOLERATED = frozenset({422, 502, 504})
"""What questions that reach a broken datasource are answered with."""


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=10, help="how long; at least 4 (default: 10)")
    parser.add_argument("--faults", action="store_true", help="break a fifth of what the datasource answers")
    arguments = parser.parse_args()
    if arguments.minutes <= SETTLED_AFTER:
        parser.error(f"--minutes must be more than {SETTLED_AFTER}")
    with tempfile.TemporaryDirectory(prefix="tocsin-soak-") as folder, http_server(ScriptedPrometheus(RHYTHM)) as fake:
        return asyncio.run(over(Path(folder), fake, arguments.minutes, faults=arguments.faults))


async def over(folder: Path, upstream: str, minutes: int, *, faults: bool) -> int:
    """Soak a server whose datasource is `upstream`, host:port, behind a proxy, which breaks answers with `faults`."""
    async with faulty(upstream) as proxy:
        settings = folder / "tocsin.yaml"
        source: dict[str, str | int] = {"uid": DATASOURCE, "type": "prometheus", "url": proxy.url}
        if faults:
            source |= {"timeout": QUESTION_S, "max_bytes": ANSWER_BYTES}
        settings.write_text(json.dumps({"datasources": [source]}))
        async with served(folder / "state", "--no-host", "--config", str(settings)) as server:
            return await soak(server, minutes, proxy if faults else None)


@asynccontextmanager
async def served(state: Path, *arguments: str) -> AsyncIterator[Tocsin]:
    """A server in a process of its own, started and ended beside the event loop, which the proxy needs."""
    server = Tocsin(state, *arguments)
    await asyncio.to_thread(server.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


async def soak(server: Tocsin, minutes: int, proxy: FaultProxy | None) -> int:
    """Load the server, watch it, and judge."""
    process = psutil.Process(server.process.pid)
    held = descriptors(process)
    print(f"at start {megabytes(process):.1f} MB, {held} descriptors", flush=True)
    load = Load(server.url, tolerated=TOLERATED if proxy else frozenset())
    wrong: list[str] = []
    try:
        await load.begin()
        curve = []
        for minute in range(1, minutes + 1):
            breaking = proxy is not None and minute not in (SETTLED_AFTER, minutes)
            trouble = asyncio.create_task(break_for_a_minute(proxy, minute)) if proxy and breaking else None
            curve.append(await one_minute(process, load, minute))
            if trouble is not None:
                await trouble
        if proxy is not None:
            wrong = await judge(server, proxy)
        evaluations = (await asyncio.to_thread(server.get, "/monitoring/status"))["evaluations"]
        await load.end()
    finally:
        await load.drop()
    print(f"{evaluations} evaluations, {sum(load.answers.values())} answers")
    print(f"{load.events} events in {load.opened} streams")
    for each in wrong:
        print(each)
    growth = curve[-1] - curve[SETTLED_AFTER - 1]
    good = growth <= GROWTH_MB
    verdict = "ok" if good else "TOO MUCH"
    print(f"minute {SETTLED_AFTER} to {minutes}: {growth:+.2f} MB, at most {GROWTH_MB:g}: {verdict}")
    good = good and not wrong
    # SQLite's pool fills under load, and stays.
    allowed = held + pool_descriptors()
    try:
        await asyncio.to_thread(
            until, f"descriptors are back at {allowed}", lambda: descriptors(process) <= allowed, within_s=MINUTE_S
        )
    except AssertionError as error:
        print(error)
        good = False
    print(f"{descriptors(process)} descriptors at the end")
    return 0 if good else 1


async def break_for_a_minute(proxy: FaultProxy, minute: int) -> None:
    """Break answers at random, and be gone for a while in the middle; whole again at the end."""
    proxy.choose = at_random(minute, BROKEN_SHARE)
    await asyncio.sleep(MINUTE_S / 2)
    await proxy.down()
    await asyncio.sleep(GONE_S)
    await proxy.up()
    await asyncio.sleep(MINUTE_S / 2 - GONE_S - 1.0)
    proxy.choose = lambda _path: None


async def judge(server: Tocsin, proxy: FaultProxy) -> list[str]:
    """What is wrong with what was told under faults, in words."""
    path = "/monitoring/alerts?state=pending,firing,resolved,expired&limit=1000"
    # By id: what begins meanwhile moves the rest, so that a part may repeat what the one before it ended with.
    found = {}
    while path:
        part = await asyncio.to_thread(server.get, path)
        found |= {one["id"]: one for one in part["items"]}
        path = part["next"]
    told = list(found.values())
    targets = (await asyncio.to_thread(server.get, "/monitoring/targets?limit=1000"))["items"]
    broken = sum(count for fault, count in proxy.counts.items() if fault != "none")
    print(f"{broken} of {proxy.counts.total()} answers broken in {len(proxy.counts) - 1} ways; {len(told)} alerts")
    wrong = [f"misjudged: {each}" for each in misjudged(told, RHYTHM)]
    wrong += [f"told twice: {each}" for each in told_twice(told)]
    return wrong + [f"not well: {each}" for each in unwell(targets)]


async def one_minute(process: psutil.Process, load: Load, number: int) -> float:
    """The median of the resident memory over a minute of load, MB."""
    samples = []
    began = time.monotonic()
    for n in range(1, SAMPLES_A_MINUTE + 1):
        await asyncio.sleep(max(0.0, began + n * MINUTE_S / SAMPLES_A_MINUTE - time.monotonic()))
        load.check()
        samples.append(megabytes(process))
    middle = statistics.median(samples)
    bar = "#" * round(middle / 200 * BAR)
    print(f"minute {number:3}  {middle:7.2f} MB  {min(samples):7.2f} to {max(samples):7.2f}  {bar}", flush=True)
    return middle


def megabytes(process: psutil.Process) -> float:
    """Resident memory."""
    return float(process.memory_info().rss) / 1e6


def descriptors(process: psutil.Process) -> int:
    """Open files and sockets."""
    return int(process.num_fds())


def pool_descriptors() -> int:
    """How many descriptors the connections to the database may come to: file, log and shared memory each."""
    from tocsin.store.engine import CONNECTIONS

    return 3 * CONNECTIONS


if __name__ == "__main__":
    sys.exit(main())
