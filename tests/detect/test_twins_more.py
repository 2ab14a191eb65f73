"""The methods beside `auto` against plain twins that reckon each column anew from all samples before it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.detect import naive, naive_more
from tests.detect.test_more import A_DAY, LIMITS, rows, times, walk

from tocsin.detect.more.absence import SIZES
from tocsin.detect.more.common import quantile_of, sigma_for
from tocsin.detect.more.drift import _is_leak

seeds = st.integers(0, 10**6)
DAYS = 17


def shapes(seed, days=DAYS):
    """`rows`, weekends, ties, a constant, a sawtooth that resets, leaks, wandering."""
    at = np.arange(days * A_DAY)
    rng = np.random.default_rng(seed)
    some = rows(len(at), seed)
    some[5] -= 25.0 * (at // A_DAY % 7 >= 5)
    more = np.stack(
        [
            np.round(some[0]),
            np.full(len(at), 7.0),
            50.0 + at % 400 / 20.0 + 0.1 * rng.standard_normal(len(at)),
            40.0 + at / A_DAY * 3.0 + 0.3 * rng.standard_normal(len(at)),
            99.0 - np.minimum(at / A_DAY * 5.0, 60.0) + 0.05 * rng.standard_normal(len(at)),
            60.0 + np.cumsum(0.2 * rng.standard_normal(len(at))),
            60.0 + np.cumsum(0.2 * rng.standard_normal(len(at))) + at / A_DAY,
        ]
    )
    return np.concatenate([some, more])


def samples_of(values, row, end):
    return list(zip(times(end).tolist(), values[row, :end].tolist(), strict=True))


@pytest.mark.parametrize("unit", [1.0, 1e-200, 1e200])
@pytest.mark.parametrize("seed", range(2))
def test_drift_is_its_plain_twin(seed, unit):
    values = shapes(seed) * unit
    _, (sigma, expected, *_) = walk("drift", values, [])
    odd = 0
    for row in range(len(values)):
        for column in range(2 * A_DAY + 30, DAYS * A_DAY, 3 * A_DAY + 7 if unit == 1.0 else 7 * A_DAY):
            if np.isnan(values[row, column]):
                assert np.isnan(sigma[row, column])
                continue
            want = naive_more.drift(samples_of(values, row, column), times(column + 1)[-1])
            if want is None:
                assert np.isnan(sigma[row, column])
                continue
            assert sigma[row, column] == pytest.approx(want[0], rel=1e-4, abs=1e-3), (row, column)
            if abs(want[0]) >= 3:
                odd += 1
                assert expected[row, column] == pytest.approx(want[1], rel=1e-9)
    assert odd >= 3


@settings(max_examples=300)
@given(seeds, st.sampled_from([18, 24, 36, 54, 84]), st.floats(0.0, 0.4), st.booleans())
def test_what_only_looks_like_a_leak_is_told_apart_as_the_plain_twin_does(seed, n, slope, resets):
    rng = np.random.default_rng(seed)
    edge = 50.0 + np.cumsum(rng.choice([0.05, 0.3]) * rng.standard_normal(180))
    edge[-n:] += slope * np.arange(n)
    if resets:
        every = int(rng.integers(4, 40))
        edge += np.arange(180) % every * 0.3
    edge[rng.random(180) < 0.1] = np.nan
    line, scale = edge[-n:], float(rng.uniform(0.01, 0.3))
    rise = max(slope, 0.02) * n
    want = naive_more.leaks(line.tolist(), edge.tolist(), rise, scale)
    assert _is_leak(line, edge, rise, scale) == want


@pytest.mark.parametrize("seed", range(2))
def test_capacity_is_its_plain_twin(seed):
    values = shapes(seed)
    _, (sigma, *_) = walk("capacity", values, [])
    odd = 0
    for row in range(len(values)):
        for column in range(A_DAY // 2, DAYS * A_DAY, 4 * A_DAY + 17):
            if np.isnan(values[row, column]):
                assert np.isnan(sigma[row, column])
                continue
            now = times(column + 1)[-1]
            want = naive_more.capacity(samples_of(values, row, column), now, LIMITS.limit, LIMITS.horizon_s)
            if want is None:
                assert np.isnan(sigma[row, column])
            else:
                assert sigma[row, column] == pytest.approx(want[0], rel=1e-4, abs=1e-3), (row, column)
                odd += abs(want[0]) >= 3
    assert odd >= 3


@pytest.mark.parametrize("step", [600.0, 60.0])
def test_seasonal_is_its_plain_twin(step):
    days, a_day = 16, int(86400 / step)
    values = shapes(3, days)
    if step < 600:
        values = np.repeat(values, 10, axis=1) + np.random.default_rng(1).standard_normal((len(values), days * a_day))
    _, (sigma, expected, *_) = walk("seasonal", values, [], step)
    at = times(days * a_day, step)
    rng = np.random.default_rng(5)
    for row in range(len(values)):
        for column in rng.integers(a_day, days * a_day, 12 if step == 600 else 3).tolist():
            if np.isnan(values[row, column]):
                assert np.isnan(sigma[row, column])
                continue
            samples = list(zip(at[:column].tolist(), values[row, :column].tolist(), strict=True))
            want = naive_more.seasonal(samples, at[column], values[row, column])
            if want is None:
                assert np.isnan(sigma[row, column])
                continue
            assert expected[row, column] == pytest.approx(want[1], rel=1e-6)
            assert sigma[row, column] == pytest.approx(want[0], rel=2e-3, abs=2e-3), (row, column)
    assert naive_more.weekly([values[5, day * a_day : (day + 1) * a_day : 10].tolist() for day in range(2, 16)])


@pytest.mark.parametrize("seed", range(3))
def test_outlier_is_its_plain_twin(seed):
    rng = np.random.default_rng(seed)
    columns = 4 * A_DAY
    swing = 1.0 + 0.3 * np.sin(np.arange(columns) / A_DAY * 2 * np.pi)
    values = np.array([10.0, 12.0, 15.0, 20.0, 40.0, 80.0, 11.0])[:, None] * swing
    values = values * (1.0 + 0.02 * rng.standard_normal(values.shape))
    values[1, 200:] *= 1.5
    values[3, 300:] = values[3, 300]
    values[4, ::7] *= -1.0
    values[:, 400:420] *= 2.0
    values[rng.random(values.shape) < 0.05] = np.nan
    _, (sigma, *_) = walk("outlier", values, [])
    at, odd = times(columns).tolist(), 0
    by_column = values.T.tolist()
    for row in range(len(values)):
        for column in [5, 17, *rng.integers(18, columns, 14).tolist()]:
            want = naive_more.outlier(at[: column + 1], by_column[: column + 1], row)
            if want is None:
                assert np.isnan(sigma[row, column])
            else:
                assert sigma[row, column] == pytest.approx(want, rel=1e-6, abs=1e-6), (row, column)
                odd += abs(want) >= 3
    assert odd


def absent(values, local):
    """`absence` of one series, column by column."""
    sizes = SIZES.tolist()
    samples, gap, gaps, day, said = 0, -1, [0] * len(sizes), None, []
    for at, value in zip(local, values, strict=True):
        today = math.floor(at / 86400)
        for _ in range(today - day if day is not None else 0):
            samples, gaps = samples - samples // 14, [count - count // 14 for count in gaps]
        day = today
        if not math.isnan(value):
            if gap > 0:
                gaps[max(n for n, size in enumerate(sizes) if size <= gap)] += 1
            samples, gap = samples + 1, 0
            said.append(0.0)
            continue
        gap = gap + 1 if gap >= 0 else gap
        distances = [1] * max(samples - sum(gaps), 0)
        for size, count in zip(sizes, gaps, strict=True):
            distances += [size + 1] * count
        usually = sorted(distances)[(len(distances) - 1) // 2] if distances else 1
        twice = [n for n in range(len(sizes)) if sum(gaps[n:]) >= 2]
        longest = ([*sizes, 2 * sizes[-1]][twice[-1] + 1] - 1) if twice else 0
        if samples < 8 or gap < 3 * usually or gap <= longest:
            said.append(math.nan)
            continue
        longer = sum(count for size, count in zip(sizes, gaps, strict=True) if size > gap)
        log_tail = math.log((longer + 1) / (samples + 1)) - max(gap - longest - 1, 0) / (longest + 1)
        said.append(-min(float(stats.norm.isf(0.5 * math.exp(log_tail))), 38.0) if log_tail > -700 else -38.0)
    return said


@settings(max_examples=15)
@given(seeds, st.sampled_from([0.0, 0.1, 0.5, 0.9]))
def test_absence_is_its_plain_twin(seed, share):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((1, 400)) < share, np.nan, 1.0)
    for first in rng.integers(0, 400, int(rng.integers(0, 5))):
        values[0, first : first + int(rng.integers(1, 150))] = np.nan
    _, (sigma, *_) = walk("absence", values, [])
    want = np.array(absent(values[0].tolist(), times(400).tolist()))
    short = ~(want < -37)
    assert np.allclose(sigma[0][short], want[short], rtol=1e-4, atol=1e-6, equal_nan=True)
    assert (sigma[0][~short] < -30).all()


@pytest.mark.parametrize("degrees", [1, 2, 3, 5, 8, 20, 63, 64, 900])
def test_the_table_of_student_deviations_is_within_a_hundredth_of_scipy(degrees):
    t = np.geomspace(1.0, 1e3, 60)
    log_tail = stats.t.logsf(t, min(degrees, 64))
    sure = log_tail > -690
    want = stats.norm.isf(np.exp(log_tail[sure]))
    got = sigma_for(np.concatenate([t[sure], -t[sure]]), np.array(float(degrees)))
    assert np.allclose(got[: len(want)], np.minimum(want, 38.0), rtol=1e-2)
    assert np.array_equal(got[len(want) :], -got[: len(want)])


@settings(max_examples=60)
@given(st.lists(st.floats(-1e300, 1e300), max_size=30), st.integers(0, 5), st.floats(0, 1))
def test_quantiles_of_what_is_there(values, gaps, share):
    got = quantile_of(np.sort(np.array([*values, *[math.nan] * (gaps + (not values))])), share)
    if values:
        assert got == pytest.approx(naive.quantile(values, share), rel=1e-9, abs=1e-9 * max(map(abs, values)))
    else:
        assert math.isnan(got)
