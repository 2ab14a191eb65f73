"""An alert about a shift lasts as long as the shift, though what is expected has followed it long before."""

from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, START, noise, target
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.target import Target
from tocsin.monitor.backtest import rehearse

DAYS = 4


def _fired(one: Target, height: float, lasts: int):
    size = DAYS * 1440 + lasts + 240
    times = START.timestamp() + 60.0 * np.arange(size)
    values = noise(times)
    begin = DAYS * 1440
    values[begin : begin + lasts] += height
    window = Window(START + timedelta(days=DAYS) - 10 * MINUTE, START + (size - 1) * MINUTE, MINUTE)
    return rehearse(one, Frame(times, values[None], (Labels({}),)), window).fired


@pytest.mark.parametrize("height", [20.0, -20.0, -8.0])
@pytest.mark.parametrize("lasts", [120, 600])
def test_it_lasts_as_long_as_the_shift(height, lasts):
    one = target(lookback=timedelta(hours=1), keep_firing_for=timedelta(minutes=5))
    (alert,) = _fired(one, height, lasts)
    begun = START + timedelta(days=DAYS)
    assert abs(alert.starts_at - begun) <= 2 * MINUTE
    assert begun + lasts * MINUTE <= alert.ends_at <= begun + lasts * MINUTE + 45 * MINUTE, (
        "the way back is a shift too"
    )
