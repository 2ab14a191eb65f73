"""A datasource that fails is left alone for a while, and one question finds out whether it answers again."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.monitor.scene import MINUTE, START, Scene, noise, target
from tocsin.domain.errors import NotAsked, SourceError, SourceFailure
from tocsin.domain.frame import Window
from tocsin.domain.target import TargetState
from tocsin.monitor.breaker import FAILURES_BEFORE_OPEN, MAX_OPEN_FOR, MAX_RETRY_AFTER, OPEN_FOR, Breaker, Circuit
from tocsin.monitor.clock import ManualClock
from tocsin.monitor.gate import Gate
from tocsin.sources.fake import ScriptedSource

SECOND = timedelta(seconds=1)
HOUR = Window(START, START + 60 * MINUTE, MINUTE)


def error(failure=SourceFailure.UNREACHABLE, retry_after_s=None):
    return SourceError("connection refused", failure=failure, transient=True, retry_after_s=retry_after_s)


def opened(rounds=1):
    """Opened so many times in a row, the last time at an instant; that and the breaker."""
    breaker, now = Breaker(), START
    for _ in range(FAILURES_BEFORE_OPEN):
        breaker = breaker.failed(now)
    for _ in range(rounds - 1):
        now = breaker.retry_at
        breaker = breaker.asked(now).failed(now)
    return breaker, now


def test_it_opens_after_failures_in_a_row_and_not_before():
    breaker = Breaker()
    for _ in range(FAILURES_BEFORE_OPEN - 1):
        breaker = breaker.failed(START)
    assert breaker.admits(START)
    assert breaker.succeeded(START).failed(START).state is Circuit.CLOSED, "a success in between begins anew"
    breaker = breaker.failed(START)
    assert (breaker.state, breaker.since, breaker.retry_at) == (Circuit.OPEN, START, START + OPEN_FOR)
    assert not breaker.admits(START + OPEN_FOR - SECOND)
    assert breaker.admits(START + OPEN_FOR)


def test_one_question_decides():
    breaker, _ = opened()
    half = breaker.asked(breaker.retry_at)
    assert half.state is Circuit.HALF_OPEN
    assert not half.admits(breaker.retry_at + timedelta(days=1)), "the others wait for what comes of it"
    closed = half.succeeded(breaker.retry_at)
    assert (closed.state, closed.failures, closed.rounds) == (Circuit.CLOSED, 0, 0)
    again = half.failed(breaker.retry_at)
    assert again.retry_at - breaker.retry_at == 2 * OPEN_FOR
    left = half.given_up(breaker.retry_at)
    assert left.state is Circuit.OPEN
    assert left.admits(breaker.retry_at)


def test_it_stays_open_longer_each_time_up_to_a_bound():
    rests = [(breaker.retry_at - now) for breaker, now in map(opened, (1, 2, 3, 4, 50))]
    assert rests == [OPEN_FOR, 2 * OPEN_FOR, 4 * OPEN_FOR, MAX_OPEN_FOR, MAX_OPEN_FOR]


@pytest.mark.parametrize(
    ("asked_s", "rest"), [(60.0, MINUTE), (1.0, OPEN_FOR), (86_400.0, MAX_RETRY_AFTER), (1e300, MAX_RETRY_AFTER)]
)
def test_a_server_that_asks_for_rest_has_it_at_once_up_to_a_bound(asked_s, rest):
    breaker = Breaker().failed(START, asked_s)
    assert (breaker.state, breaker.retry_at) == (Circuit.OPEN, START + rest)


@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "good", "bad", "left"]), st.floats(0, 100), st.floats(0, 1000)), max_size=60
    )
)
def test_whatever_happens_it_is_asked_again_within_a_bound(moves):
    breaker, now, on_their_way = Breaker(), START, 0
    for move, seconds, retry_after_s in moves:
        now += timedelta(seconds=seconds)
        if move == "ask" and breaker.admits(now):
            breaker, on_their_way = breaker.asked(now), on_their_way + 1
        elif move != "ask" and on_their_way:
            on_their_way -= 1
            if move == "good":
                breaker = breaker.succeeded(now)
            elif move == "bad":
                breaker = breaker.failed(now, retry_after_s)
            else:
                breaker = breaker.given_up(now)
        if breaker.state is Circuit.HALF_OPEN:
            assert on_their_way, "somebody is on the way who decides"
        if breaker.state is Circuit.OPEN:
            assert breaker.admits(now + MAX_RETRY_AFTER)
        if breaker.state is Circuit.CLOSED:
            assert breaker.admits(now)


@pytest.fixture
def scripted():
    clock = ManualClock(START)
    source = ScriptedSource("prom")
    source.play("q", noise)
    return clock, source, Gate(source, clock)


async def fail(gate, times=FAILURES_BEFORE_OPEN):
    for _ in range(times):
        with pytest.raises(SourceError) as caught:
            await gate.query("q", HOUR)
        assert caught.value.datasource == "prom"


async def test_an_open_gate_does_not_ask_and_says_why(scripted):
    clock, source, gate = scripted
    source.fail(error())
    await fail(gate)
    asked = len(source.requests)
    with pytest.raises(NotAsked, match=r"^connection refused; not asked again before 12:00:05 UTC$") as caught:
        await gate.query("q", HOUR)
    assert (caught.value.failure, caught.value.datasource) == (SourceFailure.UNREACHABLE, "prom")
    assert len(source.requests) == asked
    assert (gate.breaker.state, gate.retry_at) == (Circuit.OPEN, START + OPEN_FOR)
    source.recover()
    clock.jump_to(START + OPEN_FOR)
    await gate.query("q", HOUR)
    assert gate.breaker.state is Circuit.CLOSED
    assert gate.retry_at is None


async def test_one_question_at_a_time_finds_out_and_its_end_decides_for_all(scripted):
    clock, source, gate = scripted
    source.fail(error())
    await fail(gate)
    source.recover()
    source.hang()
    clock.jump_to(START + OPEN_FOR)
    trying = asyncio.create_task(gate.query("q", HOUR))
    await asyncio.sleep(0)
    with pytest.raises(NotAsked, match="the one question that is on its way"):
        await gate.query("q", HOUR)
    trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    source.recover()
    await gate.query("q", HOUR)
    assert gate.breaker.state is Circuit.CLOSED


async def test_those_who_wait_for_a_place_are_told_when_it_opens(scripted):
    _clock, source, gate = scripted
    source.hang()
    source.fail(error())
    waiting = [asyncio.create_task(gate.query("q", HOUR)) for _ in range(20)]
    await asyncio.sleep(0)
    source._open.set()
    over = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(one, NotAsked) for one in over) >= 10
    assert len(source.requests) < 10


@pytest.mark.parametrize("failure", [SourceFailure.BAD_QUERY, SourceFailure.LIMIT, SourceFailure.BAD_ANSWER])
async def test_an_answer_that_is_wrong_leaves_the_datasource_open_to_others(scripted, failure):
    _, source, gate = scripted
    source.fail(error(failure))
    await fail(gate, 20)
    assert gate.breaker.state is Circuit.CLOSED


async def test_a_server_that_asks_for_a_rest_has_it(scripted):
    clock, source, gate = scripted
    source.fail(error(SourceFailure.RATE_LIMITED, 40.0))
    await fail(gate, 1)
    source.recover()
    clock.jump_to(START + 39 * SECOND)
    with pytest.raises(NotAsked, match="12:00:40"):
        await gate.query("q", HOUR)
    clock.jump_to(START + 40 * SECOND)
    await gate.query("q", HOUR)


async def test_a_hundred_targets_leave_a_datasource_alone_and_come_back_one_by_one():
    scene = Scene(*(target(f"t{n}") for n in range(100)))
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(3 * MINUTE)
    scene.source.fail(error())
    asked = len(scene.source.requests)
    await scene.run_for(10 * MINUTE)
    tries = len(scene.source.requests) - asked
    assert tries < 60, "of the 6,000 of a hundred targets every ten seconds"
    assert {view.status.state for view in monitor.views()} == {TargetState.ERROR}
    assert 'tocsin_datasource_circuit{datasource="prom",state="open"} 1.0' in monitor.exposition().decode()
    scene.source.recover()
    came: dict[float, int] = {}
    for _ in range(60):
        before = len(scene.source.requests)
        await scene.run_for(SECOND)
        came[len(came)] = len(scene.source.requests) - before
    assert {view.status.state for view in monitor.views()} == {TargetState.READY}
    assert max(came.values()) <= 25, f"no more at once than a quarter: {came}"
    assert len([one for one in await scene.alerts() if one.target_name == "datasource:prom"]) == 1
    await monitor.close()
    assert 'tocsin_datasource_circuit{datasource="prom",state="closed"} 1.0' in monitor.exposition().decode()


async def test_a_query_that_cannot_work_is_asked_ever_less_often_until_it_is_the_interval_again():
    hour = timedelta(hours=1)
    scene = Scene(target(check_interval=hour))
    monitor = await scene.open()
    scene.source.fail(error(SourceFailure.BAD_QUERY))
    asked = len(scene.source.requests)
    await scene.run_for(3 * hour)
    first = len(scene.source.requests) - asked
    assert 8 <= first <= 13, "seconds apart at first, twice as far each time"
    await scene.run_for(10 * hour)
    assert len(scene.source.requests) - asked - first == 10
    scene.source.recover()
    await scene.run_for(hour)
    scene.source.fail(error())
    asked = len(scene.source.requests)
    await scene.run_for(hour + 2 * MINUTE)
    assert len(scene.source.requests) - asked > 3, "what passes is tried again soon"
    await monitor.close()
