"""Random faults between Tocsin and its datasource: what is told in the end is what is told without them.

Hours pass in scenario time over real sockets, the clock is the test's; the minute afterwards is a real one.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from tests.acceptance.exporter import Rhythm, ScriptedPrometheus, http_server
from tests.acceptance.load import RHYTHM, Held, Load, comes_back, misjudged, told_twice, unwell
from tests.acceptance.test_minute import fill_the_pool, tocsin_within
from tests.faults import ALTERING, HARMLESS, Fault, FaultProxy, at_random, faulty
from tocsin.domain.alert import AlertKind
from tocsin.domain.ports import AlertFilter, Page
from tocsin.domain.target import Target, TargetState
from tocsin.monitor.clock import ManualClock
from tocsin.monitor.commit import Committer
from tocsin.monitor.evaluate import Evaluator
from tocsin.monitor.gate import Gate
from tocsin.monitor.metrics import Metrics
from tocsin.monitor.pace import next_due
from tocsin.monitor.watch import Watch, not_evaluated
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.prometheus import PrometheusSource
from tocsin.store.engine import CONNECTIONS
from tocsin.store.memory import MemoryStore

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOURS = 4
SLOW_RHYTHM = Rhythm(series=3, period=5400, bad=600)
QUICK = frozenset(Fault) - ALTERING - {Fault.SLOW_BODY, Fault.SLOW_HEADERS, Fault.GIGABYTE}
LASTS_S = 60.0
COMES_BACK_WITHIN_S = 60.0
FILES_OF_A_CONNECTION = 3
EVERYTHING = "/monitoring/alerts?state=pending,firing,resolved,expired&limit=1000"
SLOW = frozenset({Fault.SLOW_BODY, Fault.SLOW_HEADERS, Fault.GIGABYTE})


def watched(name: str) -> Target:
    return Target(
        name,
        name,
        "prom",
        check_interval=MINUTE,
        step=MINUTE,
        lookback=timedelta(hours=2),
        keep_firing_for=3 * MINUTE,
        min_effect=100.0,
        history=timedelta(0),
    )


@dataclass
class Told:
    """What came of it: alerts by id, how often each changed, the states seen, failures."""

    alerts: dict[str, tuple[object, ...]]
    changes: Counter[tuple[str, str]]
    datasource_alerts: int
    failures: int
    ready: int


async def hours_of(proxy: FaultProxy, clock: ManualClock, timeout_s: float) -> Told:
    """Hours of four targets, each minute; after a failure the next try is a minute later."""
    store, metrics = MemoryStore(), Metrics()
    settings = HttpSettings(proxy.url, timeout_s=timeout_s, max_response_bytes=200_000, retries=0)
    source = PrometheusSource("prom", settings)
    gate, evaluator = Gate(source, clock), Evaluator(clock, Committer(store, lambda: None), metrics)
    watches = [Watch(one, not_evaluated(one, START)) for one in (watched(f"t{n}") for n in range(4))]
    for minute in range(HOURS * 60):
        dues = sorted((next_due(watch.target, START + minute * MINUTE), n) for n, watch in enumerate(watches))
        for due, n in dues:
            clock.jump_to(due)
            await evaluator.evaluate(watches[n], gate, due)
    await source.close()
    found = [record.alert for record in (await store.alerts(AlertFilter(), Page(limit=10_000))).items]
    mine = [one for one in found if one.kind is not AlertKind.DATASOURCE]
    ids = {one.id for one in mine}
    log = [one.transition for one in await store.transitions_after(0, 100_000)]
    return Told(
        alerts={
            one.id: (one.state, one.active_at, one.starts_at, one.ends_at, one.severity, one.anomaly_count)
            for one in mine
        },
        changes=Counter((one.alert_id, one.reason.value) for one in log if one.alert_id in ids),
        datasource_alerts=len(found) - len(mine),
        failures=sum(watch.status.failures for watch in watches),
        ready=sum(watch.status.state is TargetState.READY for watch in watches),
    )


def spells(seed: int, clock: ManualClock):
    """Now and then a whole spell in which everything fails, and single faults beside."""
    chance = random.Random(seed)
    bad = [(START + n * 45 * MINUTE, chance.randrange(2, 20)) for n in range(1, HOURS * 60 // 45)]
    alone = at_random(seed, 0.08, QUICK)
    together = at_random(seed + 1, 1.0, QUICK - HARMLESS)
    slow = at_random(seed + 2, 0.02, SLOW)

    def choose(path: str) -> Fault | None:
        if clock.now() < START + 5 * MINUTE or clock.now() > START + timedelta(hours=HOURS) - 10 * MINUTE:
            return None
        if any(begin <= clock.now() < begin + minutes * MINUTE for begin, minutes in bad):
            return together(path)
        return slow(path) or alone(path)

    return choose


async def test_what_is_told_after_hours_of_faults_is_what_is_told_without_them():
    clock = ManualClock(START)
    with http_server(ScriptedPrometheus(SLOW_RHYTHM, now=lambda: clock.now().timestamp())) as upstream:
        async with faulty(upstream) as proxy:
            clean = await hours_of(proxy, clock, timeout_s=30.0)
            proxy.choose = spells(11, clock)
            under = await hours_of(proxy, clock, timeout_s=0.25)
    assert len(clean.alerts) >= 20, "the rhythm must give something to tell"
    assert under.failures > 100
    assert len(proxy.counts) > len(QUICK), f"every quick fault and some slow ones came: {proxy.counts}"
    assert under.alerts == clean.alerts, "no series is misjudged, none is missed, none is told twice"
    assert under.changes == clean.changes
    assert max(under.changes.values()) == 1, "nothing is told twice"
    spells_had = HOURS * 60 // 45 - 1
    assert 1 <= under.datasource_alerts <= 2 * spells_had, "one for each spell, not one for each target or query"
    assert under.ready == 4
    assert clean.datasource_alerts == 0
    assert clean.failures == 0


async def become_well(session: aiohttp.ClientSession) -> list[str]:
    """Those that are not well in the end, and why."""
    deadline = asyncio.get_running_loop().time() + COMES_BACK_WITHIN_S
    while True:
        async with session.get("/monitoring/targets?limit=1000") as answer:
            still = unwell((await answer.json())["items"])
        if not still or asyncio.get_running_loop().time() > deadline:
            return still
        await asyncio.sleep(1.0)


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("cpu")
async def test_a_minute_under_random_faults_leaves_nothing_behind_and_nothing_wrong(tmp_path):
    with http_server(ScriptedPrometheus(RHYTHM)) as upstream:
        at_first = Held.now()
        async with (
            faulty(upstream) as proxy,
            tocsin_within(tmp_path / "state", proxy.url, timeout_s=1.0) as (application, url),
        ):
            await fill_the_pool(url)
            before = Held.now()
            load = Load(url, targets=30, streams=2, askers=1, tolerated=frozenset({422, 502, 504}))
            try:
                await load.begin()
                for second in range(int(LASTS_S)):
                    await asyncio.sleep(1.0)
                    load.check()
                    proxy.choose = at_random(second, 0.2) if 15 <= second < 45 else lambda _path: None
                    if second in (20, 35):
                        await proxy.down()
                    elif second in (24, 42):
                        await proxy.up()
                async with aiohttp.ClientSession(url) as session:
                    still = await become_well(session)
                    async with session.get(EVERYTHING) as answer:
                        told = (await answer.json())["items"]
                status = await application.monitor.status()
                await load.end()
            finally:
                await load.drop()
            after = await comes_back(before, COMES_BACK_WITHIN_S, database=CONNECTIONS * FILES_OF_A_CONNECTION)
        print(
            f"{status.evaluations} evaluations, {status.failures} failed, {len(told)} alerts; {after.sockets} sockets"
        )
        print(dict(proxy.counts))
        assert status.failures > 50
        assert still == [], "all of them are back"
        assert len(proxy.counts) > 10
        assert len([one for one in told if one["kind"] != "datasource"]) > 30, "the rhythm gave something to tell"
        assert misjudged(told, RHYTHM) == []
        assert told_twice(told) == []
        await comes_back(at_first, COMES_BACK_WITHIN_S, database=0)
