"""Questions about a target that change nothing."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, Scene, noise, target
from tocsin.domain.target import TargetState


@pytest.mark.parametrize(
    ("step", "asked"), [(MINUTE, 60.0), (timedelta(seconds=1), 10.0), (timedelta(seconds=7), 14.0)]
)
async def test_slow_shapes_are_looked_for_at_a_step_that_a_day_has_room_for(step, asked):
    scene = Scene(target(step=step))
    scene.source.play("q", lambda grid: noise(grid) + 30.0 * np.sin(grid / 7200 * 2 * np.pi))
    monitor = await scene.open()
    window, ((_, found),) = await monitor.patterns("errors")
    assert window.step_s == asked
    assert [round(one.period_s / 3600, 1) for one in found if one.kind == "seasonality"] == [2.0]
    await monitor.close()


async def test_a_check_counts_no_samples_of_the_lookback_where_more_is_known_or_read_first():
    scene = Scene(target(history=timedelta(days=2)), target("never", query="nothing", history=timedelta(days=2)))
    scene.source.play("q", noise)
    monitor = await scene.open()
    assert (await monitor.check("never")).state is TargetState.NO_DATA, "of nothing there is no history to read"
    await scene.run_for(2 * MINUTE)
    await scene.read()
    due = monitor.view("errors").status.next_evaluation_at
    await scene.run_for(due - scene.clock.now())
    status = monitor.view("errors").status
    assert "named methods" not in status.reason, "auto judges it"
    check = await monitor.check("errors")
    assert "nothing is new" in check.warnings[0]
    assert (check.state, check.reason) == (TargetState.READY, status.reason)
    await monitor.stop()
    await monitor.update_target(replace(monitor.view("errors").target, lookback=timedelta(hours=2)), None)
    check = await monitor.check("errors")
    assert "reads back first" in check.warnings[0]
    assert (check.state, check.reason) == (TargetState.WARMING_UP, "an evaluation reads 2 days of history first")
    await monitor.close()
