"""A gap is neither an end nor a beginning, and a time in which nobody could look says nothing about a series."""

from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, START, Scene, noise, spike, target
from tocsin.domain.alert import AlertState, Reason
from tocsin.domain.errors import SourceError, SourceFailure

UNREACHABLE = SourceError("connection refused", failure=SourceFailure.UNREACHABLE, transient=True)


def with_gap(curve, begin, end):
    """The curve without samples in [begin, end), minutes after the start."""

    def gapped(grid):
        out = curve(grid)
        minutes = (grid - START.timestamp()) / 60
        out[(minutes >= begin) & (minutes < end)] = np.nan
        return out

    return gapped


async def test_one_missing_sample_long_after_the_anomaly_is_no_vanished_series():
    scene = Scene(target(keep_firing_for=20 * MINUTE))
    scene.source.play("q", with_gap(spike(START + 10 * MINUTE, START + 12 * MINUTE), 20, 21), {"pod": "x"})
    scene.source.play("q", noise, {"pod": "y"})
    monitor = await scene.open()
    await scene.run_for(25 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.FIRING, "the series was seen a minute before its gap"
    await scene.run_for(10 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.RESOLVED
    assert scene.store.saves <= 4, "when a series was last seen is not written"
    await monitor.close()


async def test_an_outage_of_the_datasource_that_left_a_gap_is_no_vanished_series():
    scene = Scene(target())
    scene.source.play("q", with_gap(spike(START + 10 * MINUTE, START + 200 * MINUTE), 16, 40))
    monitor = await scene.open()
    await scene.run_for(15 * MINUTE)
    scene.source.fail(UNREACHABLE)
    await scene.run_for(25 * MINUTE)
    scene.source.recover()
    await scene.run_for(10 * MINUTE)
    (alert,) = await scene.alerts(target_name="errors")
    assert alert.state is AlertState.FIRING, "it goes on as the same alert"
    await monitor.close()


async def test_a_good_sample_after_a_gap_is_no_recovery_yet():
    scene = Scene(target())
    scene.source.play("q", with_gap(spike(START + 10 * MINUTE, START + 16 * MINUTE), 16, 20))
    monitor = await scene.open()
    await scene.run_for(22 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.FIRING, "two samples were well, keep_firing_for is three minutes"
    monitor = await scene.restart()
    await scene.run_for(2 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.RESOLVED, "what was seen before the restart is seen again"
    assert alert.ends_at == START + 22 * MINUTE
    await monitor.close()


async def test_a_restart_after_a_gap_goes_on_with_the_same_alert():
    scene = Scene(target())
    scene.source.play("q", with_gap(spike(START + 10 * MINUTE, START + 200 * MINUTE), 16, 40))
    await scene.open()
    await scene.run_for(15 * MINUTE)
    await scene.monitor.close()
    scene.clock.jump_to(START + 45 * MINUTE)
    monitor = scene.monitor = scene.build()
    await monitor.open()
    await scene.run_for(10 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.FIRING
    await monitor.close()


async def test_a_series_that_stays_away_after_the_outage_has_vanished():
    scene = Scene(target())
    scene.source.play("q", spike(START + 10 * MINUTE, START + 200 * MINUTE), {"pod": "x"})
    scene.source.play("q", noise, {"pod": "y"})
    monitor = await scene.open()
    await scene.run_for(15 * MINUTE)
    scene.source.fail(UNREACHABLE)
    await scene.run_for(25 * MINUTE)
    scene.source.drop("q", {"pod": "x"})
    scene.source.recover()
    await scene.run_for(3 * MINUTE)
    (alert,) = await scene.alerts(target_name="errors")
    assert alert.state is AlertState.FIRING
    await scene.run_for(5 * MINUTE)
    (alert,) = await scene.alerts(target_name="errors")
    assert alert.state is AlertState.EXPIRED
    assert (await scene.transitions())[-1].reason is Reason.VANISHED
    await monitor.close()


def other_after_two_days(grid):
    """Noise, then two days without samples, and a new level since yesterday."""
    return with_gap(lambda at: noise(at) + 30.0 * (at >= START.timestamp() - 86400), -3 * 1440, -1440)(grid)


@pytest.mark.parametrize(("methods", "known"), [(("auto",), True), (("auto", "absence"), False)])
async def test_what_all_series_were_before_two_days_without_any_is_remembered(methods, known):
    scene = Scene()
    for name in ("a", "b"):
        scene.source.play("q", other_after_two_days, {"i": name})
    monitor = await scene.open()
    result = await monitor.backtest(target(detection_methods=methods), START - timedelta(days=6), START)
    told = sorted(str(one.labels) for one in result.alerts if one.active_at == START - timedelta(days=1))
    assert told == (['{i="a"}', '{i="b"}'] if known else []), "where it is absence that is asked for, a day is a day"
    await monitor.close()


async def test_a_series_that_is_silent_alone_is_forgotten_after_a_day():
    scene = Scene()
    scene.source.play("q", other_after_two_days, {"i": "a"})
    scene.source.play("q", noise, {"i": "b"})
    monitor = await scene.open()
    result = await monitor.backtest(target(), START - timedelta(days=6), START)
    assert not [one for one in result.alerts if one.active_at == START - timedelta(days=1)]
    await monitor.close()
