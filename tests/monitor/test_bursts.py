"""Bursts that are usual: who comes back from one has left nothing."""

from datetime import timedelta
from zlib import crc32

import numpy as np

from tests.monitor.scene import START, Scene, noise, target

DAY = timedelta(days=1)


def bursts(grid):
    """Ten minutes of 40 to 80 more about once a day, until a week ago."""
    drawn = np.array([crc32(f"burst 2 {int(at // 600)}".encode()) % 400 for at in grid])
    going = (drawn < 3) & (grid < (START - 7 * DAY).timestamp())
    return noise(grid, 200.0, 10.0, 2) + np.where(going, 40 + 20 * drawn, 0)


async def test_the_way_back_from_a_burst_that_nobody_was_told_of_does_not_last():
    scene = Scene(target())
    scene.source.play("q", bursts)
    monitor = await scene.open()
    result = await monitor.backtest(target(), START - 14 * DAY, START - 6 * DAY)
    await monitor.close()
    back = [one for one in result.alerts if one.value < one.expected_value]
    assert back, "the way back stood out"
    assert all(one.ends_at - one.starts_at < timedelta(hours=1) for one in result.fired)
