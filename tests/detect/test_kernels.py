"""Every fast kernel against its plain twin."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.detect import naive

from tocsin.detect import METHODS, sigma_of_tail, sigmas, tail_of
from tocsin.detect.esd import critical_values
from tocsin.detect.network import BLOCK, FEW_BLOCKS, sort_in_blocks, sort_rows
from tocsin.detect.rolling import (
    _mad_by_bisection,
    mad_of,
    median_of,
    previous_of,
    quantile_of,
    resolution_of,
    steps_over,
    valid_counts,
)
from tocsin.detect.student import sigma_of_t, t_of_sigma

numbers = st.one_of(st.integers(-9, 9).map(float), st.floats(-1e6, 1e6).map(lambda x: round(x, 3)))
samples = st.lists(numbers, min_size=1, max_size=40)


@pytest.mark.parametrize("degrees", [1.5, 2, 2.25, 3, 4, 5.5, 8, 15, 60, 200, 1000])
def test_student_deviations_match_scipy(degrees):
    sigma = np.array([0.01, 0.3, 1, 2, 2.9, 3.5, 4, 5.5, 8, 15])
    log_tail = stats.norm.logsf(sigma)
    t = np.array([stats.t.isf(math.exp(tail), degrees) for tail in log_tail])
    ok = np.isfinite(t) & (t < 1e90)
    assert np.abs(sigma_of_t(t, np.full_like(t, degrees)) - sigma)[ok].max() < 2e-3
    assert np.abs(sigma_of_t(-t, np.full_like(t, degrees)) + sigma)[ok].max() < 2e-3
    assert t_of_sigma(3.0, np.array([degrees]))[0] == pytest.approx(stats.t.isf(stats.norm.sf(3.0), degrees), rel=1e-3)


def test_tails_and_sigmas_are_inverse():
    for tail in (1.0, 0.5, 0.0027, 1e-9, 1e-200):
        assert tail_of(sigma_of_tail(tail)) == pytest.approx(tail, rel=1e-5)
    assert sigma_of_tail(0.0) == 38.0
    with pytest.raises(ValueError, match="between 0 and 1"):
        sigma_of_tail(1.5)


def test_critical_values_are_rosners():
    table = critical_values(100)
    for left in (3, 4, 6, 10, 25, 54, 99):
        assert table[left] == pytest.approx(naive.critical(left), rel=1e-4)
    assert table[54] == pytest.approx(3.159, abs=2e-3)  # Rosner 1983, table of n = 54: lambda_1 = 3.159


@given(st.integers(BLOCK + 1, FEW_BLOCKS * BLOCK), st.integers(1, 4), st.integers(0, 2**32), st.sampled_from([0, 1, 9]))
def test_rows_sorted_in_blocks_are_sorted(width, rows, seed, odd):
    chance = np.random.default_rng(seed)
    given_rows = (chance.standard_normal((rows, width)) * 10.0 ** chance.integers(-30, 30, (rows, 1))).astype(
        np.float32
    )
    for special in (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45):
        given_rows[chance.random(given_rows.shape) * 20 < odd * chance.random()] = special
    spare = np.empty(2 * given_rows.size + 8 * rows, np.int32)
    for way in (sort_in_blocks, sort_rows):
        ordered = given_rows.copy()
        way(ordered, spare)
        assert np.array_equal(ordered, np.sort(given_rows, axis=1), equal_nan=True)


@given(samples, st.data())
def test_order_statistics(values, data):
    ordered = np.sort(np.array([values, values[::-1]]), axis=1)
    low = data.draw(st.integers(0, len(values) - 1))
    high = data.draw(st.integers(low + 1, len(values)))
    lows, highs = np.array([low, low]), np.array([high, high])
    part = sorted(values)[low:high]
    middle = median_of(ordered, lows, highs)
    assert middle[0] == naive.median(part)
    assert quantile_of(ordered, lows, highs, 0.25)[1] == pytest.approx(naive.quantile(part, 0.25), rel=1e-12, abs=1e-12)
    for kernel in (mad_of, _mad_by_bisection):
        assert kernel(ordered, lows, highs, middle)[1] == pytest.approx(naive.mad(part), rel=1e-12, abs=1e-12)
    assert resolution_of(ordered)[0] == naive.resolution(values)


@given(st.lists(st.one_of(numbers, st.just(math.nan)), min_size=1, max_size=30))
def test_gaps_are_stepped_over(values):
    block = np.array([values])
    assert valid_counts(np.sort(block, axis=1))[0] == len(naive.known(values))
    before = previous_of(block, ~np.isnan(block))[0]
    for index in range(len(values)):
        seen = naive.known(values[:index])
        assert (before[index] == seen[-1]) if seen else math.isnan(before[index])


@given(st.lists(st.one_of(numbers, st.integers(-2, 2).map(float), st.just(math.nan)), min_size=1, max_size=40))
def test_what_a_series_steps_over(values):
    block = np.array([values, values[::-1]])
    ordered = np.sort(block, axis=1)
    across = steps_over(block)
    for j, one in enumerate(naive.known(ordered[0])[:-1]):
        if one < ordered[0, j + 1]:
            assert across[0, j] == across[1, j] == naive.crossings(values, lambda x, one=one: x > one)
    for least in range(4):
        got = resolution_of(ordered, across, np.full(2, float(least)))
        assert got[0] == naive.resolution(naive.known(values), least)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(0, 6), st.integers(1, 30))
def test_series_of_few_values_match_their_plain_form(seed, visits, lasts):
    rng = np.random.default_rng(seed)
    values = 5.0 + (rng.random(400) < rng.choice([0.0, 0.3])) * 0.25
    for start in rng.integers(0, 390, visits):
        values[start : start + lasts] = 8.0
    got = sigmas(values, "zscore")[0, 0]
    for index in {0, int(values.argmax()), 399}:
        want = naive.sigma(values.tolist(), index, "zscore")
        assert abs(got[index]) > 25 if abs(want) > 30 else got[index] == pytest.approx(want, abs=2e-3)


def outlying(seed, size):
    rng = np.random.default_rng(seed)
    values = np.round(rng.standard_normal(size) * 10 + 50, 2)
    values[rng.random(size) < 0.08] += rng.choice([-400.0, 90.0, 3000.0])
    values[rng.random(size) < 0.1] = np.nan
    return values


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(3, 45))
def test_four_methods_match_their_plain_form(seed, size):
    values = outlying(seed, size)
    got = sigmas(values)
    for m, name in enumerate(METHODS):
        for index in range(size):
            want = naive.sigma(values.tolist(), index, name) if len(naive.known(values)) else math.nan
            if math.isinf(want) or abs(want) > 30:
                assert abs(got[m, 0, index]) > 25
            else:
                assert got[m, 0, index] == pytest.approx(want, abs=2e-3, nan_ok=True), (name, index)


@pytest.mark.parametrize("seed", range(3))
def test_the_fast_curve_is_the_exact_formula(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((40, 700))
    values[3, 5] = 40
    values[4, 100:110] -= 9
    values[5, ::7] = np.nan
    values[6] = np.round(values[6])
    fast = sigmas(values)
    monkeypatch.setattr("tocsin.detect.curve.CURVED_FROM", 10**9)
    assert np.allclose(fast, sigmas(values), atol=2e-4, equal_nan=True)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.floats(-50, 50), st.sampled_from([0.25, 3.0, 1e-6, 1e7]))
def test_scale_and_order_of_series_do_not_matter(seed, shift, scale):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((3, 30))
    values[1, 7] = 50
    plain = sigmas(values)
    # The two middle samples are equally far from the median: which is away from it is decided by rounding.
    clear = np.abs(plain) != 0
    for other, tolerance in ((sigmas(values * scale), 1e-5), (sigmas(values + shift), 2e-2)):
        assert np.allclose(other[:3], plain[:3], atol=tolerance, equal_nan=True)
        both = clear[3] & (other[3] != 0)
        assert (~both).sum() < 60
        assert np.allclose(other[3][both], plain[3][both], atol=tolerance, equal_nan=True)
    assert np.array_equal(sigmas(values[::-1])[:, ::-1], plain, equal_nan=True)
