"""The dial in monitoring: fewer alerts of a noisy series, said on the target; a cap over all of them."""

from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import START, Scene, noise, target
from tocsin.detect import AUTO_CEILING, DIAL_LEVELS, METHODS, REASONS, Dial, Severity
from tocsin.domain.frame import Frame
from tocsin.domain.labels import Labels
from tocsin.monitor.fleet import Fleet
from tocsin.monitor.memory import Memory, absorb
from tocsin.monitor.watch import Watch, not_evaluated

STEP = timedelta(minutes=10)


def noisy(grid):
    """Every four hours a burst that lasts one sample: what named methods cry about for ever."""
    return noise(grid, seed=7) + 9.0 * (np.round(grid / STEP.total_seconds()) % 24 == 5)


def watched(**more):
    given = {"check_interval": STEP, "step": STEP, "lookback": timedelta(hours=24), "detection_methods": METHODS}
    return target(**{**given, "severity_threshold": Severity.LOW, **more})


async def test_a_noisy_series_is_told_of_less_once_it_is_known_and_the_back_test_says_the_same():
    dialled, fixed = watched(), watched(name="fixed", sigma_threshold=3.0)
    scene = Scene(dialled, fixed)
    scene.source.play("q", noisy)
    monitor = await scene.open()
    await scene.run_for(timedelta(days=4))
    alerts = await scene.alerts()
    of = {name: [a for a in alerts if a.target_name == name] for name in ("errors", "fixed")}
    assert len(of["fixed"]) > 12
    assert len(of["errors"]) < len(of["fixed"]) / 2
    first_night = START.replace(hour=0) + timedelta(days=1)
    assert any(a.active_at < first_night for a in of["errors"]), "before a day is over nothing is known"

    seen = monitor.view("errors").status.dial
    assert seen is not None
    assert seen.raised == 1
    assert seen.sigma_most > 4.0
    assert seen.weeks == pytest.approx(4 / 7, rel=0.3)
    assert monitor.view("fixed").status.dial is None

    requests = [one.window for one in scene.source.requests]
    result = await monitor.backtest(dialled, requests[0].end, requests[-1].end)
    again = {(a.active_at, a.sigma) for a in result.alerts}
    assert again == {(a.active_at, a.sigma) for a in of["errors"]}
    await monitor.close()


def _watch(name, false, **more):
    one = target(name, severity_threshold=Severity.LOW, **more)
    watch = Watch(one, not_evaluated(one, START))
    dial = Dial.fresh(len(false), 60.0)
    dial.false[:] = false
    dial.weeks[:] = 1.0
    dial.entry[:] = 3.0
    if one.detection_methods == ("auto",):
        dial.since[:] = 0
    object.__setattr__(watch.memory, "dial", dial)
    return watch


def test_the_fleet_keeps_to_its_cap_by_a_floor_under_all_thresholds():
    rates = np.zeros((10, len(DIAL_LEVELS)))
    rates[:, 0], rates[:, 2] = 0.3, 0.05
    watches = [_watch(f"t{n}", rates) for n in range(3)]
    generous = Fleet(tolerated=100.0)
    generous.settle(watches)
    assert generous.floor == 0.0
    assert generous.view().expected_per_week == pytest.approx(30 * 0.35)

    strict = Fleet(tolerated=2.0)
    strict.settle(watches)
    assert strict.floor == DIAL_LEVELS[1]
    assert strict.view().expected_per_week == pytest.approx(30 * 0.05)
    assert all(watch.floor == strict.floor for watch in watches)
    assert strict.dial_of(watches[0]).sigma_least == DIAL_LEVELS[1]


def test_targets_that_are_off_or_fixed_take_no_part():
    rates = np.full((5, len(DIAL_LEVELS)), 1.0)
    fixed, off = _watch("fixed", rates, sigma_threshold=4.0), _watch("off", rates, enabled=False)
    fleet = Fleet(tolerated=0.1)
    fleet.settle([fixed, off])
    assert (fleet.floor, fixed.floor, off.floor) == (0.0, 0.0, 0.0)
    assert fleet.dial_of(fixed) is None


@pytest.mark.parametrize(("weeks", "level", "over"), [(1.0, 38.0, True), (0.9, 38.0, False), (4.0, 5.5, False)])
def test_over_is_said_after_a_week_and_where_no_threshold_is_enough(weeks, level, over):
    rates = np.zeros((1, len(DIAL_LEVELS)))
    rates[:, : int(np.searchsorted(DIAL_LEVELS, level)) + 1] = 1.0
    watch = _watch("bursting", rates, detection_methods=("zscore",))
    watch.memory.dial.weeks[:] = weeks
    fleet = Fleet(tolerated=1000.0)
    fleet.settle([watch])
    seen = fleet.dial_of(watch)
    assert seen.over is over, "one that a higher threshold keeps away is kept away tomorrow"
    assert seen.expected_per_week == pytest.approx(rates.sum() / max(1.0, weeks))


def test_auto_is_never_asked_for_more_than_it_can_say_and_that_is_said():
    rates = np.zeros((2, len(DIAL_LEVELS)))
    rates[:, int(np.searchsorted(DIAL_LEVELS, AUTO_CEILING))] = 1.0
    auto, named = (_watch(name, rates, detection_methods=(name,)) for name in ("auto", "zscore"))
    for watch in (auto, named):
        watch.memory.dial.entry[:] = (38.0, 3.0)
    fleet = Fleet(tolerated=0.1)
    fleet.settle([auto])
    assert fleet.floor <= AUTO_CEILING, "what keeps nothing away is not asked for"
    fleet.settle([named])
    assert fleet.floor == DIAL_LEVELS[int(np.searchsorted(DIAL_LEVELS, AUTO_CEILING)) + 1]
    fleet = Fleet(tolerated=1000.0)
    fleet.settle([auto, named])
    seen, other = fleet.dial_of(auto), fleet.dial_of(named)
    assert (seen.sigma_most, seen.capped, seen.over) == (AUTO_CEILING, 1, True)
    assert (other.sigma_most, other.capped, other.over) == (38.0, 0, False)


def test_what_auto_says_of_the_largest_deviation_is_told_whatever_the_dial_asks_for():
    one = target(history=timedelta(days=8), lookback=timedelta(hours=1))
    times = START.timestamp() + np.arange(8 * 1440) * 60.0
    values = noise(times)
    values[-1] += 1e5
    frame = Frame(times, values[None], (Labels({}),))
    asked, memory = absorb(one, Memory.empty(one), frame, {}, floor=38.0)
    assert memory.learnt.auto.ready.all()
    assert asked.judgement.flags[0, -1]
    assert asked.entry[0, -1] == AUTO_CEILING
    assert abs(asked.scores.sigma[0, -1]) < 7.5, "more it never says"


def test_young_series_of_auto_may_be_asked_for_more_and_are_counted_by_it():
    rates = np.zeros((40, len(DIAL_LEVELS)))
    rates[:, int(np.searchsorted(DIAL_LEVELS, 10.0))] = 1.0
    pods = _watch("pods", rates)
    pods.memory.dial.since[:] = Dial.fresh(1, 60.0).since
    pods.memory.dial.entry[:] = 13.0
    fleet = Fleet(tolerated=35.0)
    fleet.settle([pods])
    assert fleet.floor == 0.0, "40 a week are told at 5 sigma, none at the 13 in force"
    seen = fleet.dial_of(pods)
    assert (seen.sigma_most, seen.capped, seen.over, seen.expected_per_week) == (13.0, 0, False, 0.0)
    pods.memory.dial.entry[:] = 3.5
    fleet.settle([pods])
    assert fleet.floor == DIAL_LEVELS[int(np.searchsorted(DIAL_LEVELS, 10.0)) + 1], "within the same day"


def test_one_that_no_threshold_calms_does_not_silence_the_others():
    loud, calm = np.zeros((100, len(DIAL_LEVELS))), np.zeros((60, len(DIAL_LEVELS)))
    loud[:, int(np.searchsorted(DIAL_LEVELS, 6.0))] = 0.36
    calm[:, 2], calm[:, -1] = 0.9, 0.0001
    watches = [_watch("loud", loud), _watch("calm", calm, detection_methods=("zscore",))]
    fleet = Fleet(tolerated=35.0)
    fleet.settle(watches)
    assert fleet.floor == DIAL_LEVELS[3], "what keeps the calm ones to the cap, and no more"
    fleet.settle(watches[:1])
    assert fleet.floor == 0.0


def test_where_auto_agrees_with_a_louder_method_no_more_is_asked_than_of_auto():
    one = target(history=timedelta(days=8), lookback=timedelta(hours=1), detection_methods=("auto", "seasonal"))
    times = START.timestamp() + np.arange(8 * 1440) * 60.0
    values = noise(times) + 10.0 * np.sin(times / 86400.0 * 2.0 * np.pi)
    values[-1] += 1e5
    asked, _ = absorb(one, Memory.empty(one), Frame(times, values[None], (Labels({}),)), {}, floor=38.0)
    assert asked.scores.methods[asked.scores.strongest[0, -1]] == "seasonal"
    assert asked.entry[0, -1] == AUTO_CEILING
    assert asked.judgement.flags[0, -1]


async def test_a_threshold_of_a_person_that_silences_auto_is_said():
    silent, named = target(sigma_threshold=8.0), target("named", sigma_threshold=8.0, detection_methods=("zscore",))
    scene = Scene(silent, named)
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(timedelta(minutes=2))
    (warning,) = monitor.view("errors").status.warnings
    assert warning.startswith("sigma_threshold is 8, and auto says at most about 7 sigma")
    assert monitor.view("named").status.warnings == ()
    await monitor.close()


async def test_a_back_test_says_that_a_floor_of_all_targets_is_no_part_of_it():
    scene = Scene(watched(), watched(name="fixed", sigma_threshold=3.0))
    scene.source.play("q", noisy)
    monitor = await scene.open()
    await scene.run_for(timedelta(hours=2))
    past = (START - timedelta(hours=6), START)
    assert (await monitor.backtest(watched(), *past)).warnings == ()
    monitor._fleet.floor = 4.5
    (warning,) = (await monitor.backtest(watched(), *past)).warnings
    assert warning.startswith(
        "monitoring begins nothing but drift, absence and capacity below 4.5 sigma now, to keep all targets to 35 "
    )
    assert (await monitor.backtest(watched(severity_threshold=Severity.CRITICAL), *past)).warnings == ()
    assert (await monitor.backtest(watched(sigma_threshold=3.0), *past)).warnings == ()
    await monitor.close()


def test_what_the_fleet_asks_for_holds_whatever_the_target_asks_for():
    one = watched(lookback=timedelta(hours=10))
    times = START.timestamp() + np.arange(60) * STEP.total_seconds()
    values = noise(times)
    values[-1] += 30.0
    frame = Frame(times, values[None], (Labels({}),))
    freely, _ = absorb(one, Memory.empty(one), frame, {})
    asked, _ = absorb(one, Memory.empty(one), frame, {}, floor=38.0)
    assert freely.judgement.flags[0, -1]
    assert not asked.judgement.flags.any()
    assert REASONS[asked.judgement.reasons[0, -1]] == "below_dial"
    assert asked.anomalous[0, -1], "what is not told is recorded all the same"
