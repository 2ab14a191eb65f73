"""What must hold of every method in time: of `auto`, of the four named ones, and of those beside `auto`."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tocsin.detect import METHODS, Context, backtest
from tocsin.detect.base import MORE
from tocsin.detect.more import BY_NAME

STEP = 600.0
A_DAY = 144
ROWS = 6
START = 1_700_006_400.0
NAMES = ("auto", *METHODS, METHODS, *(name for name in MORE if not BY_NAME[name].slow))
SLOW = tuple(name for name in MORE if BY_NAME[name].slow)
LIMIT = 100.0
FEW = settings(max_examples=5, phases=(Phase.explicit, Phase.reuse, Phase.generate))
"""Nothing is made smaller: a seed has no small form, and days of samples take long to try."""

PARTS = ("sigma", "expected", "lower", "upper", "flags", "strongest", "agreeing")
seeds = st.integers(0, 2**32 - 1)
every_method = pytest.mark.parametrize("method", NAMES, ids=str)
every_method_of_one_series = pytest.mark.parametrize("method", [name for name in NAMES if name != "outlier"], ids=str)


def days_of(method):
    return 4 if method in ("auto", *METHODS, METHODS) else 6


def times(columns):
    return START + np.arange(columns) * STEP


MOVING = ("plain", "shift", "leak", "spikes")
KINDS = (*MOVING, "ties", "zeros", "constant", "two values")


def block(seed, days, kinds=KINDS):
    """Series with a rhythm, and in each something of what chance picks, with gaps; on a grid of parts of 1,024."""
    rng = np.random.default_rng(seed)
    columns = days * A_DAY
    at = np.arange(columns)
    values = 40.0 + 8.0 * np.sin(at / A_DAY * 2 * np.pi) + rng.standard_normal((ROWS, columns))
    for row, kind in enumerate(rng.choice(kinds, ROWS)):
        if kind == "ties":
            values[row] = np.round(values[row])
        elif kind == "zeros":
            values[row] = rng.poisson(0.1, columns)
        elif kind == "shift":
            values[row, int(rng.integers(0, columns)) :] += 20.0
        elif kind == "leak":
            values[row] += at / A_DAY * 5.0
        elif kind == "spikes":
            values[row, rng.integers(0, columns, 5)] += 40.0
        elif kind == "constant":
            values[row] = 8.0
        elif kind == "two values":
            values[row] = 8.0 + 8.0 * (rng.random(columns) < 0.3)
        values[row, rng.random(columns) < rng.choice([0.0, 0.02, 0.3])] = np.nan
    first = int(rng.integers(0, columns))
    values[int(rng.integers(0, ROWS)), first : first + int(rng.integers(1, A_DAY))] = np.nan
    return np.round(values * 1024.0) / 1024.0


def said(method, values, limit=LIMIT):
    return backtest(
        times(values.shape[1]), values, method, step_s=STEP, context=Context(limit=limit, horizon_s=864000.0)
    )


def same(one, other, names=PARTS):
    for name in names:
        left, right = getattr(one, name), getattr(other, name)
        assert np.array_equal(left, right, equal_nan=left.dtype.kind == "f"), name


def part_of(result, rows, columns):
    """The result of some rows and columns alone."""
    return type("Part", (), {name: getattr(result, name)[rows][:, columns] for name in PARTS})


@every_method
@FEW
@given(seed=seeds)
def test_series_in_any_order_are_judged_the_same(method, seed):
    values = block(seed, days_of(method))
    order = np.random.default_rng(seed).permutation(ROWS)
    same(said(method, values[order]), part_of(said(method, values), order, slice(None)))


@every_method_of_one_series
@FEW
@given(seed=seeds)
def test_a_series_is_judged_as_if_it_were_alone(method, seed):
    values = block(seed, days_of(method))
    row = seed % ROWS
    same(said(method, values[row : row + 1]), part_of(said(method, values), [row], slice(None)))


@every_method
@FEW
@given(seed=seeds)
def test_the_length_is_kept_and_nothing_in_is_nothing_out(method, seed):
    values = block(seed, days_of(method))
    result = said(method, values)
    gaps = np.isnan(values)
    for name in PARTS:
        assert getattr(result, name).shape == values.shape
    for name in ("expected", "lower", "upper"):
        assert np.isnan(getattr(result, name)[gaps]).all(), name
    if method != "absence":
        assert np.isnan(result.sigma[gaps]).all()
        assert not result.flags[gaps].any()
        assert (result.strongest[gaps] == -1).all()
        assert (result.agreeing[gaps] == 0).all()
    heard = ~np.isnan(result.sigma)
    assert (np.abs(result.sigma[heard]) <= 38.0).all()
    known = ~np.isnan(result.lower)
    assert (result.lower <= result.upper)[known].all()


@every_method
@FEW
@given(seed=seeds)
def test_what_comes_later_changes_nothing(method, seed):
    days = days_of(method)
    values = block(seed, days)
    end = 1 + seed % (days * A_DAY - 1)
    other = values.copy()
    other[:, end:] = block(seed + 1, days)[:, end:] * 3.0 - 7.0
    here = part_of(said(method, values), slice(None), slice(0, end))
    same(said(method, values[:, :end]), here)
    same(part_of(said(method, other), slice(None), slice(0, end)), here)


def near(one, other, tolerance):
    """Whether two verdicts differ by no more than rounding does; at a threshold that may be a flag more or less."""
    known = ~np.isnan(one.sigma)
    assert (known == ~np.isnan(other.sigma)).all()
    left, right = one.sigma[known], other.sigma[known]
    assert np.allclose(left, right, rtol=tolerance, atol=tolerance)
    sure = np.abs(np.abs(left) - 3.0) > 2 * tolerance * np.maximum(np.abs(left), 1.0)
    assert np.array_equal(one.flags[known][sure], other.flags[known][sure])


@every_method
@FEW
@given(seed=seeds)
def test_the_unit_does_not_matter(method, seed):
    """A power of two rounds nothing: the verdict is the same to the last bit but for logarithms and slopes."""
    # Of nothing but zeros `auto` learns no unit.
    values = block(seed, days_of(method), [kind for kind in KINDS if (method, kind) != ("auto", "zeros")])
    unit = 2.0 ** (seed % 81 - 40)
    one, other = said(method, values), said(method, values * unit, LIMIT * unit)
    if method in ("drift", "outlier", "capacity"):
        near(one, other, 1e-6)
        return
    same(one, other, ("sigma", "flags", "strongest", "agreeing"))
    for name in ("expected", "lower", "upper"):
        assert np.allclose(getattr(one, name) * unit, getattr(other, name), rtol=1e-9, atol=1e-9 * unit, equal_nan=True)


@every_method_of_one_series
@FEW
@given(seed=seeds)
def test_the_zero_does_not_matter(method, seed):
    """Of series that move by more than a thousandth of their level, from their first samples on: below that nothing is
    news.
    """
    values = block(seed, days_of(method), MOVING)
    shift = float(seed % 61 + 4)
    one, other = said(method, values), said(method, values + shift, LIMIT + shift)
    slopes = method in ("drift", "capacity")
    near(one, other, 2e-2 if slopes else 1e-3)
    # Of two windows that say about the same, which one is shown may change with the last digit.
    for name in () if slopes else ("expected", "lower", "upper"):
        assert np.allclose(getattr(one, name) + shift, getattr(other, name), atol=1e-2, equal_nan=True), name


@pytest.mark.parametrize("method", SLOW)
def test_models_that_are_slow_to_fit_know_no_order_and_say_nothing_of_gaps(method):
    columns = 4 * A_DAY
    noise = np.random.default_rng(3).standard_normal((2, columns))
    values = 40.0 + 8.0 * np.sin(np.arange(columns) / A_DAY * 2 * np.pi) + noise
    values[0, 1::A_DAY] = np.nan
    whole, order = said(method, values), [1, 0]
    assert (~np.isnan(whole.sigma)).any(axis=1).all()
    assert np.isnan(whole.sigma[np.isnan(values)]).all()
    assert whole.sigma.shape == values.shape
    same(said(method, values[order]), part_of(whole, order, slice(None)))
