"""Bands that a mark changes: by the mark, not by what the datasource has forgotten since."""

from datetime import timedelta

import numpy as np

from tests.monitor.scene import MINUTE, START, Scene, noise, spike, target
from tests.monitor.test_feedback import window
from tocsin.domain.alert import AlertState

DAY = timedelta(days=1)


async def test_a_quiet_minute_changes_no_band_though_half_of_the_history_is_gone_meanwhile():
    scene = Scene(target(history=3 * DAY))
    scene.source.play("q", lambda grid: noise(grid, size=np.where(grid[0] < (START - DAY).timestamp(), 4.0, 1.0)))
    monitor = await scene.open()
    await scene.run_for(timedelta(0))
    await scene.read()
    await scene.run_for(2 * MINUTE)

    def shorter(grid):
        return np.where(grid < (START - DAY).timestamp(), np.nan, noise(grid))

    scene.source.play("q", shorter)
    quiet = START - timedelta(hours=2)
    marking = await monitor.feedback.mark_window(window(quiet, quiet + MINUTE))
    assert (marking.bands.compared, marking.bands.changed) == (1, 0)
    await monitor.close()


async def test_a_window_that_is_marked_meanwhile_ends_no_alert_of_the_named_methods():
    scene = Scene(target(detection_methods=("zscore", "mad")))
    begins = START + 30 * MINUTE
    scene.source.play("q", spike(begins, begins + timedelta(hours=6)))
    monitor = await scene.open()
    await scene.run_for(timedelta(hours=3))
    lately = scene.clock.now() - timedelta(minutes=20)
    await monitor.feedback.mark_window(window(lately, lately + 10 * MINUTE))
    await scene.run_for(timedelta(hours=1))
    assert [alert.state for alert in await scene.alerts()] == [AlertState.FIRING]
    await monitor.close()
