"""Questions about a target that change nothing."""

from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, Scene, noise, target


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
