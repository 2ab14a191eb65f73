"""What is read back is learnt as if it had been watched: what would have been told teaches no more than it did live."""

from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, START, Scene, target
from tocsin.domain.alert import AlertState
from tocsin.domain.feedback import MarkedWindow, WindowKind
from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels
from tocsin.monitor.backfill import Backlog

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def jitter(grid, seed=0.0):
    """Gaussian noise that depends on the instant alone, and is cheap."""
    one, two = (np.modf(np.abs(np.sin(grid / 60.0 * k + seed)) * 43758.5453)[0] for k in (12.9898, 78.233))
    return np.sqrt(-2.0 * np.log(one + 1e-9)) * np.cos(2.0 * np.pi * two)


def rhythm(grid):
    return 100.0 * (1.0 + 0.03 * jitter(grid)) * (1.0 + 0.2 * np.sin(grid / 86400.0 * 2.0 * np.pi))


def incidents(days, number):
    """When incidents begin, unix seconds: at whole minutes within so many days before the start."""
    at = START.timestamp() - np.random.default_rng(5).uniform(0.2, days, number) * 86400.0
    return np.sort(at - at % 60.0)


@pytest.mark.parametrize("days", [3, 12])
async def test_a_fault_that_comes_again_is_found_however_little_of_it_was_watched(days):
    begun = incidents(days=22, number=43)

    def curve(grid):
        inside = [(grid >= at) & (grid < at + 600.0) for at in begun]
        return rhythm(grid) * (1.0 + 0.6 * np.any(inside, axis=0))

    one = target(history=14 * DAY)
    scene = Scene(one)
    scene.source.play("q", curve)
    monitor = await scene.open()
    start = START - days * DAY
    result = await monitor.backtest(one, start, START)
    fired = np.array([alert.starts_at.timestamp() for alert in result.fired])
    asked = begun[begun >= start.timestamp()]
    found = [((fired >= at) & (fired < at + 900.0)).any() for at in asked]
    assert len(asked) >= 4
    assert sum(found) >= 0.8 * len(asked)
    assert len(fired) <= len(asked)
    await monitor.close()


@pytest.mark.parametrize("stuck", [False, True])
async def test_a_restart_knows_what_the_process_before_it_knew(stuck):
    """Also where the first window reaches back for days, to where the alert of another series began."""

    def curve(grid):
        away = (grid >= (START + 20 * HOUR).timestamp()) & (grid < (START + 22 * HOUR).timestamp())
        return rhythm(grid) + 200.0 * away

    one = target(step=10 * MINUTE, check_interval=10 * MINUTE, lookback=10 * HOUR, history=14 * DAY)
    scene = Scene(one)
    scene.source.play("q", curve, {"instance": "a"})
    if stuck:
        begun = (START + 10 * HOUR).timestamp()
        scene.source.play("q", lambda grid: rhythm(grid) + 300.0 * (grid >= begun), {"instance": "b"})
    await scene.open()
    await scene.run_for(timedelta(0))
    await scene.read()
    await scene.run_for(3 * DAY)
    wanted = [AlertState.RESOLVED, AlertState.FIRING] if stuck else [AlertState.RESOLVED]
    assert sorted(alert.state for alert in await scene.alerts()) == sorted(wanted)
    live = await bands(scene, one)
    await scene.restart()
    await scene.run_for(timedelta(0))
    await scene.read()
    again = await bands(scene, one)
    np.testing.assert_allclose(again, live, rtol=0.02)
    assert sorted(alert.state for alert in await scene.alerts()) == sorted(wanted)
    await scene.monitor.close()


async def bands(scene, one):
    """Where the band of the next day's samples lies, by what is known now."""
    watch = scene.monitor._watches[one.name]
    times = scene.clock.now().timestamp() + np.arange(144) * 600.0
    rows = len(watch.memory.labels)
    said = watch.memory.learnt.score(times, np.tile(rhythm(times), (rows, 1)))
    row = [labels.get("instance") for labels in watch.memory.labels].index("a")
    return np.stack([said.lower[row], said.upper[row]])


@pytest.mark.parametrize("ago", [5 * DAY, 3 * HOUR, 70 * MINUTE])
@pytest.mark.parametrize("marked", [False, True])
async def test_what_was_so_when_watching_began_is_not_told_and_its_end_not_for_long(ago, marked):
    """Nobody was told of it, and whoever begins to watch knows it."""
    ends = START + 6 * HOUR

    def curve(grid):
        return rhythm(grid) + 200.0 * ((grid >= (START - ago).timestamp()) & (grid < ends.timestamp()))

    one = target(history=14 * DAY)
    scene = Scene(one)
    scene.source.play("q", curve)
    monitor = await scene.open()
    if marked:
        window = MarkedWindow(
            "", WindowKind.INCIDENT, "errors", Labels(), START - ago, START - MINUTE, "ann", "", START
        )
        await monitor.feedback.mark_window(window)
    await scene.run_for(timedelta(0))
    await scene.read()
    await scene.run_for(6 * HOUR - MINUTE)
    before = await scene.alerts()
    assert marked or not before
    await scene.run_for(HOUR)
    assert {alert.state for alert in await scene.alerts()} <= {AlertState.RESOLVED}
    await monitor.close()


def test_a_part_that_nobody_waits_for_any_more_leaves_the_backlog_as_it_was():
    one = target(history=DAY)
    log = Backlog.beginning(one, Window(START - HOUR, START, MINUTE), 1)
    run = log.run.copy()
    run.active["some"] = object()
    run.memory = None
    assert not log.run.active
    assert log.memory is not None
