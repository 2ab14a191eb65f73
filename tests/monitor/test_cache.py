"""Who asks the same at the same time is answered by one question; what is kept is bounded in time and bytes."""

import asyncio
from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, START, Scene, noise, spike, target
from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.domain.frame import Window
from tocsin.monitor.cache import Cache
from tocsin.monitor.caches import MAX_FRAMES_BYTES, TTL, Caches
from tocsin.monitor.clock import ManualClock
from tocsin.monitor.gate import Gate
from tocsin.sources.fake import ScriptedSource

SECOND = timedelta(seconds=1)
HOUR = Window(START, START + 60 * MINUTE, MINUTE)
REFUSED = SourceError("refused", failure=SourceFailure.UNREACHABLE, transient=True)


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
def cache(clock):
    return Cache("words", clock.now, len, timedelta(seconds=10), 1000)


class Asked:
    """Counts what it is asked; answers when it is let."""

    def __init__(self, *, at_once=True):
        self.times = 0
        self.go_on = asyncio.Event()
        self.left = 0
        if at_once:
            self.go_on.set()

    async def __call__(self):
        self.times += 1
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.left += 1
            raise
        return "x" * 100


async def test_ten_at_once_are_one_question(cache):
    ask = Asked(at_once=False)
    waiting = [asyncio.create_task(cache.get("key", ask)) for _ in range(10)]
    await asyncio.sleep(0)
    ask.go_on.set()
    answers = await asyncio.gather(*waiting)
    assert ask.times == 1
    assert len({id(answer) for answer, _ in answers}) == 1
    assert [asked for _, asked in answers] == [True, *[False] * 9]
    stats = cache.stats()
    assert (stats.missed, stats.joined, stats.hits, stats.saved) == (1, 9, 0, 0.9)


async def test_an_answer_is_kept_for_its_time_and_no_longer(cache, clock):
    ask = Asked()
    for seconds, times in ((0, 1), (9, 1), (10, 2), (25, 3)):
        clock.jump_to(START + seconds * SECOND)
        await cache.get("key", ask)
        assert ask.times == times
    assert cache.stats().hits == 1
    clock.jump_to(START + timedelta(days=1))
    assert (cache.stats().entries, cache.stats().size_bytes) == (0, 0), "nothing old takes room"


async def test_bytes_are_bounded_and_the_oldest_goes(cache):
    for n in range(50):
        await cache.get(n, Asked())
        assert cache.stats().size_bytes <= 1000
    stats = cache.stats()
    assert (stats.entries, stats.size_bytes, stats.evicted) == (10, 1000, 40)
    newest, oldest = Asked(), Asked()
    await cache.get(49, newest)
    await cache.get(39, oldest)
    assert (newest.times, oldest.times) == (0, 1)


async def test_what_is_too_large_is_answered_and_not_kept(clock):
    cache = Cache("words", clock.now, len, timedelta(seconds=10), 399)
    answer, asked = await cache.get("key", Asked())
    assert (len(answer), asked) == (100, True)
    assert (cache.stats().entries, cache.stats().too_large) == (0, 1)


async def test_a_failure_is_told_to_all_who_wait_and_never_kept(cache):
    times = 0

    async def refuse():
        nonlocal times
        times += 1
        await asyncio.sleep(0)
        raise REFUSED

    over = await asyncio.gather(*(cache.get("key", refuse) for _ in range(5)), return_exceptions=True)
    assert over == [REFUSED] * 5
    assert times == 1
    answer, _ = await cache.get("key", Asked())
    assert answer
    assert cache.stats().entries == 1


async def test_who_gives_up_takes_the_answer_from_nobody_and_the_last_one_ends_it(cache):
    ask = Asked(at_once=False)
    first, second = (asyncio.create_task(cache.get("key", ask)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert ask.left == 0
    ask.go_on.set()
    assert len((await second)[0]) == 100

    ask = Asked(at_once=False)
    alone = asyncio.create_task(cache.get("other", ask))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    alone.cancel()
    await asyncio.gather(alone, return_exceptions=True)
    assert (ask.times, ask.left) == (1, 1), "nobody wants it any more"
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "question"]


async def test_clearing_also_forgets_what_is_on_its_way(cache):
    ask = Asked(at_once=False)
    waiting = asyncio.create_task(cache.get("key", ask))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert cache.clear() == (0, 0)
    ask.go_on.set()
    assert len((await waiting)[0]) == 100, "who waited gets it"
    assert cache.stats().entries == 0, "and nobody else"
    await cache.get("key", ask)
    assert (ask.times, cache.clear()) == (2, (1, 100))


async def test_another_window_is_another_question_and_another_datasource_too(clock):
    caches = Caches.empty(clock.now)
    one, two = ScriptedSource("one"), ScriptedSource("two")
    for source in (one, two):
        source.play("q", noise)
    gates = [Gate(source, clock, caches=caches) for source in (one, two)]
    await gates[0].query("q", HOUR)
    await gates[0].query("q", HOUR)
    await gates[0].query("q", Window(HOUR.start, HOUR.end + MINUTE, MINUTE))
    await gates[0].query("q", Window(HOUR.start, HOUR.end, 2 * MINUTE))
    await gates[0].query("r", HOUR)
    await gates[1].query("q", HOUR)
    assert (len(one.requests), len(two.requests)) == (4, 1)
    assert caches.clear("two")[0] == 1
    assert caches.clear() == (4, pytest.approx(4 * 2000, abs=6000))


async def test_what_is_shared_has_cost_once_and_nobody_can_change_it(clock):
    caches = Caches.empty(clock.now)
    source = ScriptedSource("prom")
    source.play("q", noise)
    gate = Gate(source, clock, caches=caches)
    paid, shared = await gate.query("q", HOUR), await gate.query("q", HOUR)
    assert (paid.queries, shared.queries) == (1, 0)
    assert gate.queries == 1
    assert np.array_equal(paid.values, shared.values)
    with pytest.raises(ValueError, match="read-only"):
        shared.values[0, 0] = 1.0


async def test_ten_targets_with_one_query_cost_one_request_and_judge_alike():
    scene = Scene(*(target(f"t{n}", step=MINUTE / 4, check_interval=MINUTE) for n in range(10)))
    scene.source.play("q", spike(START + 10 * MINUTE, START + 20 * MINUTE))
    monitor = await scene.open()
    await scene.run_for(3 * MINUTE)
    asked = len(scene.source.requests)
    await scene.run_for(30 * MINUTE)
    assert len(scene.source.requests) - asked == 30, "one a minute, of the 300"
    alerts = await scene.alerts()
    assert len(alerts) == 10
    assert len({(one.active_at, one.ends_at, one.anomaly_count) for one in alerts}) == 1
    (series, *_) = monitor.sources.cache_stats()
    assert series.saved > 0.85
    costs = [view.status.cost.queries for view in monitor.views()]
    assert sum(costs) == len(scene.source.requests), "each request is paid by one"
    await monitor.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "question"]


async def test_a_datasource_that_is_replaced_answers_for_itself():
    scene = Scene(target())
    scene.source.play("q", noise)
    monitor = await scene.open()
    await monitor.check("errors")
    assert monitor.sources.cache_stats()[0].entries > 0
    other = ScriptedSource("prom")
    monitor.replace_source(other, 4)
    assert monitor.sources.cache_stats()[0].entries == 0
    await monitor.close()


def test_nothing_is_kept_for_longer_than_a_moment():
    assert timedelta(seconds=15) >= TTL
    assert MAX_FRAMES_BYTES <= 64 * 1024 * 1024
