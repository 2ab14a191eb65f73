"""What people are told about a datasource: its clock, its cost, whether it answers."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.monitor.scene import MINUTE, Scene, noise, target
from tocsin.domain.datasource import Skew
from tocsin.domain.errors import LimitExceeded, NotFound, SourceError, SourceFailure
from tocsin.monitor.breaker import Circuit
from tocsin.monitor.status import Health


@given(st.floats(-1e6, 1e6), st.floats(0, 30), st.floats(0, 30), st.sampled_from([0.0, 1.0]))
def test_a_clock_is_known_within_what_is_said_of_it(true_s, there_s, back_s, resolution_s):
    asked = 1.7e9
    read = asked + there_s + true_s
    told = read // 1.0 if resolution_s else read
    skew = Skew.between(asked, told, asked + there_s + back_s, resolution_s=resolution_s)
    assert abs(skew.ahead_s - true_s) <= skew.within_s + 1e-6


def test_a_slow_answer_is_no_skew():
    assert not Skew.between(100.0, 125.0, 130.0).beyond(15.0), "it may have been read at any time of those 30 s"
    assert Skew(-61.0, 0.5).beyond(60.0)
    assert not Skew(60.4, 0.5).beyond(60.0)
    assert Skew(-42.0, 0.5).words == "42.0 s behind ours (± 0.5 s)"


async def test_a_clock_that_is_off_by_more_than_a_step_is_a_warning_on_datasource_and_target():
    scene = Scene(target("coarse", query="a", step=5 * MINUTE, check_interval=5 * MINUTE), target("fine", query="b"))
    for query in ("a", "b"):
        scene.source.play(query, noise)
    monitor = await scene.open()
    scene.source.skew = Skew(59.0, 0.5)
    await scene.run_for(10 * MINUTE)
    (status,) = monitor.datasources()
    assert (status.health, status.warnings) == (Health.OK, ())
    scene.source.skew = Skew(95.0, 0.5)
    await scene.run_for(10 * MINUTE)
    (status,) = monitor.datasources()
    assert status.health is Health.WARNING
    assert status.skew == Skew(95.0, 0.5)
    (warning,) = status.warnings
    assert "prom is 95.0 s ahead of ours (± 0.5 s), more than a step of 60 s" in warning
    assert monitor.view("fine").status.warnings == (warning,)
    assert monitor.view("coarse").status.warnings == ()
    scene.source.fail(SourceError("refused", failure=SourceFailure.UNREACHABLE, transient=True))
    await scene.run_for(10 * MINUTE)
    assert monitor.datasources()[0].health is Health.FAILING, "the worse one is shown"
    await monitor.close()


async def test_a_test_tells_what_each_target_costs():
    scene = Scene(
        target("cheap", query="a", check_interval=5 * MINUTE),
        target("off", query="a", enabled=False),
        target("same", query="a", check_interval=5 * MINUTE),
        target("fine", query="b", step=MINUTE / 4),
    )
    scene.source.play("a", noise, {"pod": "x"})
    for pod in "xyz":
        scene.source.play("b", noise, {"pod": pod})
    monitor = await scene.open()
    test = await monitor.sources.test("prom")
    assert {cost.samples for cost in test.costs} == {None}, "nothing was evaluated yet but what is not regular"
    await scene.run_for(20 * MINUTE)
    test = await monitor.sources.test("prom")
    assert (test.error, test.description.version, test.description.abilities) == (
        None,
        "scripted",
        ("scripted queries",),
    )
    costs = {cost.target_name: cost for cost in test.costs}
    assert list(costs) == ["cheap", "fine", "off", "same"]
    assert (costs["fine"].evaluations, costs["fine"].queries, costs["fine"].samples) == (60.0, 60.0, 720.0)
    for name in ("cheap", "same"):
        assert (costs[name].queries, costs[name].samples) == (6.0, 30.0), "one asks, and both bear the half of it"
    assert (costs["off"].enabled, costs["off"].evaluations, costs["off"].queries) == (False, 0.0, None)
    assert monitor.datasources()[0].version == "scripted"
    with pytest.raises(NotFound):
        await monitor.sources.test("nowhere")
    await monitor.close()


async def test_a_test_asks_also_a_datasource_that_is_left_alone():
    scene = Scene(target())
    scene.source.play("q", noise)
    monitor = await scene.open()
    scene.source.fail(SourceError("refused", failure=SourceFailure.UNREACHABLE, transient=True))
    await scene.run_for(5 * MINUTE)
    assert monitor.datasources()[0].circuit is not Circuit.CLOSED
    test = await monitor.sources.test("prom")
    assert (test.description, test.error) == (None, "refused")
    scene.source.recover()
    test = await monitor.sources.test("prom")
    assert test.error is None
    await scene.run_for(timedelta(seconds=40))
    assert monitor.datasources()[0].circuit is Circuit.CLOSED
    await monitor.close()


async def test_one_whose_every_answer_is_over_a_limit_is_known_to_answer():
    scene = Scene(target("wide", query="wide"), target("off", query="a", enabled=False))
    scene.source.play("a", noise)
    scene.source.fail(LimitExceeded("12,000 series, more than 10,000; raise max_series"), query="wide")
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    (status,) = monitor.datasources()
    assert (status.health, status.circuit) == (Health.WARNING, Circuit.CLOSED)
    assert status.last_error == "12,000 series, more than 10,000; raise max_series"
    assert scene.clock.now() - status.last_error_at <= MINUTE
    (warning,) = status.warnings
    why = "12,000 series, more than 10,000; raise max_series"
    assert warning == f"the datasource prom answers, but with more than a limit allows: {why}"
    assert await scene.alerts() == []
    # Beside one that is answered it is a matter of its target.
    off = monitor.view("off").target
    await monitor.update_target(replace(off, enabled=True), off.version)
    await scene.run_for(10 * MINUTE)
    (status,) = monitor.datasources()
    assert (status.health, status.last_error, status.warnings) == (Health.OK, None, ())
    # When that one is over it as well, nobody waits for minutes to be told.
    scene.source.fail(LimitExceeded("too many bytes; raise max_bytes"))
    await scene.run_for(4 * MINUTE)
    (status,) = monitor.datasources()
    assert (status.health, status.last_error) == (Health.WARNING, "too many bytes; raise max_bytes")
    await monitor.close()


async def test_one_that_was_not_even_asked_is_not_known():
    scene = Scene(target("long"))
    scene.source.fail(LimitExceeded("a window of 500 days, more than 400", asked=False))
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    (status,) = monitor.datasources()
    assert (status.health, status.last_error) == (Health.UNKNOWN, "a window of 500 days, more than 400")
    assert status.warnings == ()
    await monitor.close()
