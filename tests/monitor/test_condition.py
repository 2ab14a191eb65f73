"""How a target is doing, in states that tell apart: no data, stale, warming up, ready; and what it waits for."""

from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, START, Scene, noise, target
from tocsin.detect import METHODS
from tocsin.domain.evaluation import instant
from tocsin.domain.frame import Frame
from tocsin.domain.labels import Labels
from tocsin.domain.target import TargetState
from tocsin.monitor.condition import condition_of, stale_after
from tocsin.monitor.memory import Memory, absorb

DAY = timedelta(days=1)


def until(end, curve=noise):
    return lambda grid: np.where(grid < end.timestamp(), curve(grid), np.nan)


async def test_a_target_whose_series_all_stop_is_stale_and_then_without_data():
    scene = Scene(target(detection_methods=METHODS), target("never", query="nothing"))
    scene.source.play("q", until(START + 10 * MINUTE), {"pod": "a"})
    scene.source.play("q", until(START + 8 * MINUTE), {"pod": "b"})
    monitor = await scene.open()
    await scene.run_for(13 * MINUTE)
    status = monitor.view("errors").status
    assert status.state is TargetState.READY
    assert "the newest sample is" in status.reason, "some minutes are no verdict yet"
    await scene.run_for(5 * MINUTE)
    status = monitor.view("errors").status
    assert status.state is TargetState.STALE
    assert status.reason == "2 series are known and none has a sample since 2026-03-02 12:09:00 UTC"
    assert monitor.view("never").status.state is TargetState.NO_DATA
    await scene.run_for(60 * MINUTE)
    assert monitor.view("errors").status.state is TargetState.NO_DATA, "nothing within the lookback"
    await monitor.close()


async def test_the_one_series_that_is_known_is_not_told_as_many():
    scene = Scene(target(detection_methods=METHODS))
    scene.source.play("q", until(START + 10 * MINUTE))
    monitor = await scene.open()
    await scene.run_for(18 * MINUTE)
    status = monitor.view("errors").status
    assert status.state is TargetState.STALE
    assert status.reason == "the one series that is known has no sample since 2026-03-02 12:09:00 UTC"
    await monitor.close()


async def test_one_living_series_keeps_a_target_from_being_stale_and_its_return_ends_it():
    scene = Scene(target(detection_methods=METHODS))
    scene.source.play("q", until(START + 5 * MINUTE), {"pod": "a"})
    scene.source.play("q", noise, {"pod": "b"})
    monitor = await scene.open()
    await scene.run_for(8 * MINUTE)
    assert "no sample" not in monitor.view("errors").status.reason, "some minutes are no verdict yet"
    await scene.run_for(12 * MINUTE)
    status = monitor.view("errors").status
    assert status.state is TargetState.READY
    assert "2 series judged; 1 of them has had no sample for 5 min or longer" in status.reason
    scene.source.drop("q", {"pod": "b"})
    await scene.run_for(10 * MINUTE)
    assert monitor.view("errors").status.state is TargetState.STALE
    scene.source.undrop("q")
    await scene.run_for(2 * MINUTE)
    assert monitor.view("errors").status.state is TargetState.READY
    await monitor.close()


def test_how_old_is_old_grows_with_step_and_interval():
    assert stale_after(target()) == 5 * MINUTE
    assert stale_after(target(check_interval=10 * MINUTE)) == 20 * MINUTE
    assert stale_after(target(step=timedelta(seconds=10))) == 2 * MINUTE


@pytest.mark.parametrize("beyond", [9e307, -9e307, 1.7e308])
async def test_samples_too_large_to_be_judged_are_warned_about_and_waited_for_by_nobody(beyond):
    scene = Scene(target())
    scene.source.play("q", lambda grid: np.full(len(grid), beyond), {"n": "huge"})
    monitor = await scene.open()
    await scene.run_for(3 * MINUTE)
    seen = monitor.view("errors").status
    assert (seen.state, seen.eta) == (TargetState.NO_DATA, None)
    assert seen.warnings == ("samples that cannot be judged were read as gaps: 1 beyond 8e+307",)
    scene.source.play("q", lambda grid: np.full(len(grid), 8e307), {"n": "huge"})
    await scene.run_for(12 * MINUTE)
    seen = monitor.view("errors").status
    assert (seen.state, seen.warnings) == (TargetState.READY, ())
    await monitor.close()


def after(columns, *, step_s=60.0, seasonal=0.0, start=START, burst=0):
    """The condition after so many columns of history."""
    watched = target(step=timedelta(seconds=step_s), check_interval=timedelta(seconds=step_s))
    grid = start.timestamp() + step_s * np.arange(columns)
    values = 10 + np.random.default_rng(1).standard_normal((1, columns)) + seasonal * np.sin(grid / 86400 * 2 * np.pi)
    values[:, :burst] += 200.0
    judged, memory = absorb(watched, Memory.empty(watched), Frame(grid, values, (Labels(),)), {})
    at = instant(grid[-1])
    return condition_of(watched, memory, judged, at), memory, at


def test_warming_up_says_how_many_samples_are_missing_and_when_they_are_there():
    condition, _, at = after(3)
    assert condition.state is TargetState.WARMING_UP
    assert condition.reason.startswith("3 of the 8 samples that a first opinion needs; ready in about 5 min")
    assert condition.eta == at + 5 * MINUTE


def test_first_samples_that_do_not_agree_are_said_to_do_so():
    condition, _, at = after(10, burst=5)
    assert condition.state is TargetState.WARMING_UP
    assert condition.reason == "the first 10 samples do not agree with each other; ready in 20 min at most"
    assert condition.eta == at + 20 * MINUTE
    assert after(20, burst=5)[0].state is TargetState.READY


def test_until_auto_speaks_it_says_which_samples_are_missing_and_when():
    for columns in (100, 300, 600):
        condition, memory, at = after(columns)
        assert condition.state is TargetState.READY
        # The first 32 give the unit, and teach nothing else.
        assert f"auto has {columns - 32} of the 720 samples that it needs" in condition.reason
        assert not memory.learnt.auto.ready.any()
        # It is held against what happens: auto speaks at that time, and not a sample before.
        wait = round((condition.eta - at) / MINUTE)
        assert not after(columns + wait - 1)[1].learnt.auto.ready.any()
        assert after(columns + wait)[1].learnt.auto.ready.all()


def test_seasons_are_named_when_they_are_known_and_announced_before():
    condition, _, _ = after(2 * 1440)
    assert "a season of the day can be known after" in condition.reason
    condition, _, _ = after(5 * 1440, seasonal=20.0)
    assert "1 with the season of the day" in condition.reason
    assert condition.eta is None
    condition, _, _ = after(5 * 1440)
    assert "1 without a season" in condition.reason


def test_methods_that_need_days_say_how_many_and_when_they_are_over():
    one = target(detection_methods=("seasonal", "drift"), step=5 * MINUTE, check_interval=5 * MINUTE)
    times = START.timestamp() + np.arange(288) * 300.0
    frame = Frame(times, noise(times)[None] + 50.0, (Labels({}),))
    judged, memory = absorb(one, Memory.empty(one), frame, {})
    seen = condition_of(one, memory, judged, instant(times[-1]))
    assert seen.state is TargetState.WARMING_UP
    said = (
        "there is not yet as much history as seasonal and drift need, 2 days for a first opinion; ready in about 24 h"
    )
    assert seen.reason == said
    assert seen.eta == instant(times[0] + 2 * 86400.0)


def test_days_of_which_most_is_missing_are_no_history():
    one = target(detection_methods=("seasonal",), step=5 * MINUTE, check_interval=5 * MINUTE)
    times = START.timestamp() + np.arange(600) * 300.0
    values = np.where((np.arange(600) < 12) | (np.arange(600) > 588), noise(times), np.nan)
    judged, memory = absorb(one, Memory.empty(one), Frame(times, values[None], (Labels({}),)), {})
    seen = condition_of(one, memory, judged, instant(times[-1]))
    assert seen.eta is None
    assert seen.reason.endswith("2 days for a first opinion: too few of its samples are there, or the day is not over")


def test_a_method_of_hours_is_not_waited_for_because_of_one_of_days():
    seen, first = peers(("outlier", "seasonal"), 5, columns=12)
    assert seen.eta == instant(first + 3 * 3600.0)
    assert "as outlier and seasonal need, 3 h for a first opinion; ready in about" in seen.reason


def peers(methods, count, columns):
    """The condition after so many columns of so many series, and the time of the first."""
    one = target(detection_methods=methods, step=5 * MINUTE, check_interval=5 * MINUTE)
    times = START.timestamp() + np.arange(columns) * 300.0
    series = tuple(Labels({"n": str(n)}) for n in range(count))
    frame = Frame(times, np.stack([noise(times, seed=n) for n in range(count)]), series)
    judged, memory = absorb(one, Memory.empty(one), frame, {})
    return condition_of(one, memory, judged, instant(times[-1])), times[0]


@pytest.mark.parametrize(("count", "have"), [(1, "is 1"), (4, "are 4")])
def test_with_too_few_series_for_outlier_nothing_is_waited_for(count, have):
    seen, _ = peers(("outlier",), count, columns=60)
    assert (seen.state, seen.eta) == (TargetState.WARMING_UP, None)
    assert seen.reason == f"outlier needs 5 series at the same time, and there {have}"


def test_beside_another_method_the_missing_peers_are_told_and_the_other_is_waited_for():
    seen, first = peers(("outlier", "seasonal"), 4, columns=60)
    assert seen.reason.startswith("there is not yet as much history as seasonal needs, 2 days for a first opinion")
    assert seen.reason.endswith("; outlier needs 5 series at the same time, and there are 4")
    assert seen.eta == instant(first + 2 * 86400.0)
    ready, _ = peers(("mad", "outlier"), 4, columns=60)
    assert ready.state is TargetState.READY
    assert ready.reason == "4 series judged; outlier needs 5 series at the same time, and there are 4"


def test_with_five_series_outlier_speaks_when_it_was_said_to():
    # The sample that begins the fourth hour is held against the three that are over.
    assert peers(("outlier",), 5, columns=36)[0].state is TargetState.WARMING_UP
    assert peers(("outlier",), 5, columns=37)[0].state is TargetState.READY
