"""The dial in monitoring: fewer alerts of a noisy series, said on the target; a cap over all of them."""

from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import START, Scene, noise, target
from tocsin.detect import DIAL_LEVELS, METHODS, REASONS, Dial, Severity
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


def test_what_is_over_and_cannot_be_kept_to_is_said():
    watch = _watch("bursting", np.full((1, len(DIAL_LEVELS)), 1.0))
    fleet = Fleet(tolerated=1000.0)
    fleet.settle([watch])
    seen = fleet.dial_of(watch)
    assert seen.over
    assert seen.expected_per_week == pytest.approx(len(DIAL_LEVELS))


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
