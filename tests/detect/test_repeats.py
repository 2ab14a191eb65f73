"""What comes again and again in the first hours of a series is told twice, not each time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.detect import ANOMALOUS, METHODS, backtest
from tocsin.detect.calibrate import sigma_of_tail
from tocsin.detect.repeats import AS_FAR, CALM, LONGER, TWICE, Past, tempered
from tocsin.detect.replay import replay

STEP = 300.0


def naive(said, values, usable, window, row, column):
    """The twin: back from the sample, excursion by excursion."""
    at = values.shape[1] - said.sigma.shape[1] + column
    sigma, expected = said.sigma[row, column], said.expected[row, column]
    moves = said.strongest[row, column] == METHODS.index("rate_change")
    size, known, now = values[row, at] - expected, 0, []
    excursions = [now]
    for back in range(1, min(window, at) + 1):
        here = at - back
        if not usable[row, here]:
            continue
        from_ = expected
        if moves:
            if here == 0 or not usable[row, here - 1]:
                continue
            from_ = values[row, here - 1]
        known += 1
        share = (values[row, here] - from_) / size
        if share < CALM:
            excursions.append([])
        else:
            excursions[-1].append(share)
    came = sum(max(one, default=0.0) >= AS_FAR and LONGER * len(one) >= len(now) + 1 for one in excursions[1:])
    if came < TWICE:
        return sigma
    return np.copysign(min(abs(sigma), sigma_of_tail(came / (known + 1.0))), sigma)


def scored(values, new, window):
    replayed = replay(np.arange(values.shape[1]) * STEP, values, new=new, window=window, relearn=3, step_s=STEP)
    return replayed.scores


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(8, 70))
def test_it_is_what_one_finds_going_back_from_each_sample(seed, new, window):
    rng = np.random.default_rng(seed)
    values = rng.choice(
        [0.0, 1.0, 1.0, 1.02, 9.0, 11.0, -8.0, np.nan], (3, 120), p=[0.1, 0.2, 0.2, 0.3, 0.05, 0.05, 0.05, 0.05]
    )
    usable = ~np.isnan(values) & (rng.random(values.shape) > 0.05)
    said = scored(values, new, window)
    result = tempered(said, Past(values, usable, window))
    for row, column in np.argwhere(np.abs(said.sigma) >= ANOMALOUS):
        assert result[row, column] == pytest.approx(naive(said, values, usable, window, row, column), rel=1e-6)
    rest = ~(np.abs(said.sigma) >= ANOMALOUS)
    np.testing.assert_array_equal(result[rest], said.sigma[rest])


def spiky(every, height=0.134, low=0.066, columns=120):
    """A host that does nothing, and each few minutes a little."""
    rng = np.random.default_rng(2)
    values = low + 0.002 * (rng.random(columns) < 0.2)
    values[every - 1 :: every] = height
    return values


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_comes_each_half_hour_is_told_twice(sign):
    values = sign * spiky(every=9)
    flagged = np.flatnonzero(backtest(np.arange(len(values)) * STEP, values, step_s=STEP, window=60).flags)
    assert flagged.tolist() == [8, 17]


def test_what_goes_farther_than_all_before_is_told_all_the_same():
    values = spiky(every=9)
    values[100] = 1.4
    assert backtest(np.arange(len(values)) * STEP, values, step_s=STEP, window=60).flags[100]


def test_as_far_as_two_before_and_longer_is_told_when_it_has_lasted_longer():
    values = spiky(every=500, columns=160)
    values[[20, 40]] = 0.134
    values[60:] = 0.134
    flags = backtest(np.arange(len(values)) * STEP, values, step_s=STEP, window=60).flags
    assert not flags[60:62].any()
    assert flags[62:75].all()


def test_what_lasts_is_told_as_long_as_before():
    values = spiky(every=500)
    values[60:75] = 0.134
    assert backtest(np.arange(len(values)) * STEP, values, step_s=STEP, window=60).flags[60:75].all()


def test_beyond_the_window_nothing_is_remembered_and_the_other_side_says_nothing():
    values = spiky(every=500)
    values[[20, 30, 40, 50]] = 0.0
    values[[60, 110]] = 0.134
    flags = backtest(np.arange(len(values)) * STEP, values, step_s=STEP, window=60).flags
    assert flags[[20, 30, 60, 110]].all()
    assert not flags[[40, 50]].any()


def test_named_alone_they_are_as_the_books_have_them():
    values = spiky(every=9)
    flags = backtest(np.arange(len(values)) * STEP, values, METHODS, step_s=STEP, window=60).flags
    assert flags[8::9].all()
