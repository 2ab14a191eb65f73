"""Three sigma promises about the same at every step: what is clear is told, and noise is not."""

import numpy as np
import pytest

from tocsin.detect import backtest

START = 1_700_006_400.0
WEEKS = {60.0: 3, 300.0: 5, 900.0: 6, 3600.0: 8}
ROWS = 20


def swings(step_s):
    """Series that swing by ten over the day, with noise of one; and their times."""
    times = START + np.arange(int(WEEKS[step_s] * 7 * 86400 / step_s)) * step_s
    rng = np.random.default_rng(0)
    day = 10.0 * np.sin(times / 86400 * 2 * np.pi + rng.uniform(0, 6, (ROWS, 1)))
    return times, 100.0 + day + rng.standard_normal((ROWS, len(times)))


@pytest.mark.parametrize("step_s", WEEKS)
@pytest.mark.parametrize(("samples", "least"), [(1, 13), (3, 17)])
def test_what_is_six_times_the_noise_is_told_at_every_step(step_s, samples, least):
    times, values = swings(step_s)
    values[:, -20 : -20 + samples] += 6.0
    flags = backtest(times, values).flags[:, -20 : -20 + samples + 1]
    assert flags.any(axis=1).sum() >= least, "of twenty series"


@pytest.mark.parametrize("step_s", WEEKS)
def test_noise_tells_about_as_little_as_is_tolerated_at_every_step(step_s):
    times, values = swings(step_s)
    half = len(times) // 2
    told = sum(
        1 + int((np.diff(found) > 10).sum())
        for row in backtest(times, values).flags[:, half:]
        if (found := np.flatnonzero(row)).size
    )
    assert told / (ROWS * WEEKS[step_s] / 2) < 0.5, "false alerts a series-week"
