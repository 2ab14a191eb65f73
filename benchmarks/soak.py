"""Tocsin under load for minutes: its resident memory after the third one must stay as it is.

    python -m benchmarks.soak [--minutes 10]

A server of its own process, 50 targets of four series evaluated every second, five event streams opened and closed,
two askers. Prints a curve and exits with 1 when memory grew by more than 2 MB after minute 3, or when sockets and
descriptors did not come back.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil
from tests.acceptance.exporter import ScriptedPrometheus, http_server
from tests.acceptance.load import RHYTHM, Load
from tests.acceptance.process import Tocsin, until

SETTLED_AFTER = 3
GROWTH_MB = 2.0
SAMPLES_A_MINUTE = 12
MINUTE_S = 60.0
BAR = 50


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=10, help="how long; at least 4 (default: 10)")
    minutes = parser.parse_args().minutes
    if minutes <= SETTLED_AFTER:
        parser.error(f"--minutes must be more than {SETTLED_AFTER}")
    with tempfile.TemporaryDirectory(prefix="tocsin-soak-") as folder, http_server(ScriptedPrometheus(RHYTHM)) as fake:
        arguments = ("--no-host", "--prometheus", f"http://{fake}")
        with Tocsin(Path(folder) / "state", *arguments) as server:
            return asyncio.run(soak(server, minutes))


async def soak(server: Tocsin, minutes: int) -> int:
    """Load the server, watch it, and judge."""
    process = psutil.Process(server.process.pid)
    held = descriptors(process)
    print(f"at start {megabytes(process):.1f} MB, {held} descriptors", flush=True)
    load = Load(server.url)
    try:
        await load.begin()
        curve = [await one_minute(process, load, minute) for minute in range(1, minutes + 1)]
        evaluations = (await asyncio.to_thread(server.get, "/monitoring/status"))["evaluations"]
        await load.end()
    finally:
        await load.drop()
    print(f"{evaluations} evaluations, {sum(load.answers.values())} answers")
    print(f"{load.events} events in {load.opened} streams")
    growth = curve[-1] - curve[SETTLED_AFTER - 1]
    good = growth <= GROWTH_MB
    print(
        f"minute {SETTLED_AFTER} to {minutes}: {growth:+.2f} MB, at most {GROWTH_MB:g}: {'ok' if good else 'TOO MUCH'}"
    )
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
