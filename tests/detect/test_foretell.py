"""`forecast` and `prophet` after gaps and incidents: what was not as usual is no part of what is expected."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.detect.test_more_cases import times

from tocsin.detect import Policy, backtest
from tocsin.detect.more import BY_NAME, Columns, Context
from tocsin.detect.more.foretell import _filled, _worth_it

DAY_S = 86400.0
TOLD = 3.5


def rhythm(days, step, *, weekend=1.0, seed=0):
    """A swing each day, smaller by ``weekend`` on the third and fourth day of each week, and noise."""
    day = np.arange(round(days * DAY_S / step)) * step / DAY_S
    size = np.where(np.isin(day.astype(int) % 7, (2, 3)), weekend, 1.0)
    return day, 60.0 + 60.0 * size * np.sin(day * np.pi) ** 2 + 2.0 * np.random.default_rng(seed).standard_normal(
        len(day)
    )


def told(values, step, method="forecast"):
    """(T,) whether each sample was told: two weeks are history, of which nothing is, then an hour comes at a time, with
    an alert from one in which something is told to one in which nothing is.
    """
    one, hour, history = BY_NAME[method], round(3600.0 / step), round(14 * DAY_S / step)
    quiet, active, local = np.zeros(1, bool), np.ones(1, bool), times(len(values), step)
    flags = np.zeros(len(values), bool)

    def goes_on(state, part, hold):
        return one.advance(state, Columns(local[part], values[None, part], hold, Context()))

    state, _ = goes_on(one.fresh(1, step), slice(history), quiet)
    for start, stop in pairwise(range(history, len(values) + 1, hour)):
        part = slice(start, stop)
        after, said = goes_on(state, part, quiet)
        flags[part] = np.abs(said.sigma[0]) >= TOLD
        state = goes_on(state, part, active).state if flags[max(0, start - hour) : stop].any() else after
    return flags


@pytest.mark.parametrize("gap", [3 / 24, 3.0])
@pytest.mark.parametrize(
    ("method", "step", "weekend"),
    [("forecast", 60.0, 1.0), ("forecast", 300.0, 1.0), ("forecast", 300.0, 0.3), ("prophet", 300.0, 1.0)],
)
def test_a_series_that_goes_on_after_a_gap_as_before_is_as_expected(method, step, weekend, gap):
    day, values = rhythm(19, step, weekend=weekend)
    values[(day >= 15.4) & (day < 15.4 + gap)] = np.nan
    result = backtest(times(len(day), step), values, (method,), step_s=step, policy=Policy(sigma=TOLD))
    assert np.isfinite(result.sigma[day >= 15.4 + gap]).all()
    assert result.flags[day >= 14.0].sum() < 5


@pytest.mark.parametrize(("begin", "factor"), [(14, 1.5), (14, 0.5), (16, 1.4), (16, 1.36)])
def test_an_incident_is_told_and_the_same_hours_a_week_later_are_not(begin, factor):
    day, values = rhythm(24, 300.0, weekend=0.3)
    inside = (day >= begin + 9 / 24) & (day < begin + 14 / 24)
    values[inside] *= factor
    flags = told(values, 300.0)
    assert flags[inside].any()
    assert flags[day >= begin + 14 / 24].sum() < 5


def test_a_level_that_stays_for_half_of_what_is_known_is_how_the_series_goes():
    day, values = rhythm(25, 600.0)
    values[day >= 14.4] += 40.0
    flags = told(values, 600.0)
    assert flags[(day >= 14.5) & (day < 20.0)].mean() > 0.8
    assert flags[day >= 23.0].mean() < 0.05


def test_what_stands_out_a_week_later_too_is_how_the_series_goes():
    day, values = rhythm(31, 600.0)
    odd = np.isin(day, day[(day % 7 >= 1.375) & (day % 7 < 1.585) & (day >= 14.0)])
    values[odd] += 40.0
    flags = told(values, 600.0)
    assert flags[odd & (day < 17.0)].mean() > 0.8
    assert flags[odd & (day > 28.0)].mean() < 0.2


@given(st.integers(0, 10**6), st.floats(0.0, 0.8))
def test_a_week_that_is_known_fills_the_other_one(seed, share):
    rng = np.random.default_rng(seed)
    hours = np.tile(10.0 * rng.standard_normal(168), 2)
    gone, first = rng.random(168) < share, rng.random(168) < 0.5
    holes = np.concatenate([gone & first, gone & ~first])
    given_hours = np.where(holes, np.nan, hours)
    filled = _filled(given_hours)
    assert np.array_equal(filled[~holes], given_hours[~holes])
    assert np.allclose(filled, hours)


@given(st.integers(0, 10**6), st.integers(2, 13), st.integers(1, 72))
def test_days_that_are_known_fill_a_gap(seed, days, gap):
    rng = np.random.default_rng(seed)
    hours = np.tile(10.0 * rng.standard_normal(24), days + gap // 24 + 1)
    first = int(rng.integers(24, len(hours) - gap + 1))
    given_hours = hours.copy()
    given_hours[first : first + gap] = np.nan
    assert np.allclose(_filled(given_hours), hours)


@pytest.mark.parametrize(
    ("known", "age", "most"),
    [
        pytest.param(range(336), 336, 336, id="all"),
        pytest.param(range(96, 336), 1000, 336, id="a gap at first"),
        pytest.param(range(96, 336), 240, 240, id="young"),
        pytest.param([*range(48), *range(280, 336)], 1000, 112, id="a long gap"),
        pytest.param(range(300, 336), 36, None, id="too young"),
        pytest.param(range(300), 1000, 336, id="gone since"),
        pytest.param(range(150), 1000, None, id="gone for long"),
    ],
)
def test_hours_of_which_enough_are_known(known, age, most):
    hours = np.full(336, np.nan)
    hours[list(known)] = 1.0
    found = _worth_it(hours, float(age))
    assert (None if found is None else len(found)) == most
    assert _worth_it(hours, np.nan) is None
