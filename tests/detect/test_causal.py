"""Baselines, replay and back-test: each sample from its past alone, in any parts, in any order of series."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.detect import METHODS, MIN_LEARN, Baseline, Direction, Policy, backtest, fit, replay

STEP = 60.0


def noise(seed, rows, columns, *, gaps=0.05, odd=0.02):
    rng = np.random.default_rng(seed)
    values = np.round(rng.standard_normal((rows, columns)) * 5 + 100, 2)
    values[rng.random(values.shape) < odd] += 80
    values[rng.random(values.shape) < gaps] = np.nan
    return values


def times(columns, start=1_700_000_000.0):
    return start + np.arange(columns) * STEP


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name not in ("strongest", "agreeing"))
        for name in ("expected", "lower", "upper", "sigma", "strongest", "agreeing")
    )


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 4), st.lists(st.integers(1, 25), min_size=1, max_size=8), st.data())
def test_feeding_in_parts_is_feeding_at_once(seed, rows, parts, data):
    columns, window = sum(parts), data.draw(st.integers(8, 20))
    relearn = data.draw(st.integers(1, 9))
    values, at = noise(seed, rows, columns, gaps=0.2), times(columns)
    if data.draw(st.booleans()):
        values[:, columns // 2 :] += 60
    rules = {"window": window, "relearn": relearn, "step_s": STEP}
    whole = replay(at, values, new=columns, **rules)
    mask, baseline, end = np.zeros((rows, 0), bool), None, 0
    for size in parts:
        start = max(0, end - window)
        part = slice(start, end + size)
        got = replay(at[part], values[:, part], new=size, learn=mask[:, start:], baseline=baseline, **rules)
        for name in ("expected", "lower", "upper", "sigma", "strongest", "agreeing"):
            want = getattr(whole.scores, name)[:, end : end + size]
            assert np.array_equal(getattr(got.scores, name), want, equal_nan=want.dtype.kind == "f"), name
        mask = np.concatenate([mask[:, :start], got.learn], axis=1)
        baseline, end = got.baseline, end + size
    assert np.array_equal(mask[:, -window:], whole.learn[:, -window:])


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 89))
def test_the_future_changes_nothing(seed, cut):
    values, at = noise(seed, 2, 90), times(90)
    whole = backtest(at, values, window=30, relearn=4)
    short = backtest(at[:cut], values[:, :cut], window=30, relearn=4)
    for name in ("sigma", "expected", "lower", "upper"):
        assert np.array_equal(getattr(whole, name)[:, :cut], getattr(short, name), equal_nan=True)
    assert np.array_equal(whole.flags[:, :cut], short.flags)


def test_series_do_not_know_each_other():
    values, at = noise(5, 6, 120), times(120)
    whole = backtest(at, values, window=40)
    order = [3, 0, 5, 1, 4, 2]
    assert np.allclose(backtest(at, values[order], window=40).sigma, whole.sigma[order], atol=1e-9, equal_nan=True)
    assert np.allclose(backtest(at, values[2], window=40).sigma, whole.sigma[2], atol=1e-9, equal_nan=True)


def test_shape_gaps_late_and_duplicate_rows():
    at = [0, 60, 120, 60, 120, 180, *range(240, 3000, 60)]
    values = [float(i % 5) for i in range(len(at))]
    values[30] = math.nan
    values[35] = math.inf
    result = backtest(at, values, window=20, relearn=1)
    assert result.sigma.shape == result.flags.shape == (len(at),)
    assert np.isnan(result.sigma[[3, 4, 30, 35]]).all()
    assert not result.flags[[3, 4, 30, 35]].any()
    clean = [i for i in range(len(at)) if i not in (3, 4)]
    again = backtest(np.array(at)[clean], np.array(values)[clean], window=20, relearn=1)
    assert np.array_equal(again.sigma, result.sigma[clean], equal_nan=True)
    assert backtest([], []).sigma.shape == (0,)
    assert backtest([1.0], [[1.0], [2.0]]).sigma.shape == (2, 1)


def test_warm_up_ends_with_the_eighth_sample():
    values = noise(2, 1, 30, gaps=0, odd=0)[0]
    result = backtest(times(30), values, window=1440)
    assert np.isnan(result.sigma[:MIN_LEARN]).all()
    assert not np.isnan(result.sigma[MIN_LEARN:]).any()


@pytest.mark.parametrize(("window", "most"), [(60, 5.0), (1440, 4.2)])
def test_three_sigma_on_noise_is_three_sigma(window, most):
    values = np.random.default_rng(9).standard_normal((40, 2000))
    for methods in (METHODS, *((name,) for name in METHODS)):
        result = backtest(times(2000), values, methods, window=window)
        judged = ~np.isnan(result.sigma)
        assert 1.0 < result.flags[judged].mean() * 1440 < most * (1.3 if len(methods) == 1 else 1), methods


def test_the_band_is_where_three_sigma_begins():
    base = fit(times(200), noise(4, 3, 200))
    sweep = np.tile(np.linspace(60, 140, 801), (3, 1))
    scores = base.score(times(801), sweep, previous=np.full(3, np.nan))
    judged = ~np.isnan(scores.sigma)
    clear = np.minimum(np.abs(sweep - scores.lower), np.abs(sweep - scores.upper)) > 0.05
    outside = (sweep < scores.lower) | (sweep > scores.upper)
    assert ((np.abs(scores.sigma) >= 3) == outside)[judged & clear].all()
    assert scores.methods_at(0, 800)[0] == METHODS[scores.strongest[0, 800]]
    assert scores.methods_at(0, 400) == ()


def test_an_outage_never_teaches_while_it_is_held():
    values = noise(6, 2, 400, gaps=0, odd=0)
    values[:, 200:] += 300
    kept = replay(times(400), values, new=400, window=50, relearn=5, hold=[True, False])
    assert (np.abs(kept.scores.sigma[0, 200:]) >= 3).all()
    assert not kept.learn[0, 200:].any()
    # Not held: once the new level fills a whole window it is the new normal.
    assert (np.abs(kept.scores.sigma[1, 200:249]) >= 3).all()
    assert (np.abs(kept.scores.sigma[1, 270:]) < 3).mean() > 0.97


def test_the_recovery_after_a_spike_is_no_change_away():
    values = noise(7, 1, 300, gaps=0, odd=0)[0]
    values[250] = 200
    result = backtest(times(300), values, ("rate_change",), window=100)
    assert result.flags[250]
    assert not result.flags[251]
    ramp = backtest(times(300), np.arange(300.0), ("rate_change",), window=100)
    assert np.nanmax(np.abs(ramp.sigma)) < 2


def test_select_reorders_and_adds_rows():
    base = fit(times(50), noise(8, 3, 50))
    other = base.select([2, -1, 0])
    assert other.ready.tolist() == [True, False, True]
    block = noise(9, 3, 4, gaps=0)
    want, got = base.score(times(4), block), other.score(times(4), block[[2, 1, 0]])
    assert np.array_equal(got.sigma[[2, 0]], want.sigma[[0, 2]], equal_nan=True)
    assert np.isnan(got.sigma[1]).all()
    assert np.isnan(Baseline.unlearnt(2).select([0, -1]).score([1.0], [[1.0], [2.0]]).sigma).all()
    assert len(Baseline.unlearnt(0).select([-1, -1]).samples) == 2


def test_fit_keeps_the_previous_row_where_too_little_is_new():
    values = noise(1, 2, 40, gaps=0)
    first = fit(times(40), values)
    mask = np.ones((2, 40), bool)
    mask[1, 5:] = False
    second = fit(times(40), values + 50, learn=mask, previous=first)
    assert second.level[1] == first.level[1]
    assert second.level[0] == pytest.approx(first.level[0] + 50)
    assert fit(times(40), values, learn=mask).ready.tolist() == [True, False]


@pytest.mark.parametrize(
    "values",
    [
        np.full(60, 5.0),
        np.zeros(60),
        np.arange(60) % 2,
        np.r_[np.zeros(50), np.ones(10)],
        1e15 + np.arange(60) % 3,
        1e300 * np.where(np.arange(60) % 2, 1, -1),
        1e-300 * np.arange(60),
        np.r_[np.zeros(59), 1e308],
    ],
)
def test_awkward_series_have_finite_sigmas(values):
    result = backtest(times(60), values, window=30, relearn=3)
    judged = result.sigma[MIN_LEARN:]
    assert np.isfinite(judged[np.abs(values[MIN_LEARN:]) < 1e308]).all()
    assert np.abs(judged[np.isfinite(judged)]).max() <= 38


def test_policy_direction_and_bounds():
    values = noise(3, 1, 200, gaps=0, odd=0)[0]
    values[150], values[170] = 160, 40
    both = backtest(times(200), values, window=60)
    assert both.flags[[150, 170]].all()
    above = backtest(times(200), values, window=60, direction=Direction.ABOVE)
    assert above.flags[[150, 170]].tolist() == [True, False]
    bounded = backtest(times(200), values, window=60, policy=Policy(lower_bound=95, upper_bound=100))
    assert np.nanmin(bounded.lower) >= 95
    assert np.nanmax(bounded.upper) <= 100
    assert 95 <= np.nanmin(bounded.expected) <= np.nanmax(bounded.expected) <= 100


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="window"):
        replay(times(5), np.zeros((1, 5)), new=5, window=0, relearn=1)
    with pytest.raises(ValueError, match="new 9"):
        replay(times(5), np.zeros((1, 5)), new=9, window=5, relearn=1)
    with pytest.raises(ValueError, match="rows"):
        fit(times(9), np.zeros((2, 9))).score([1.0], [[1.0]])
    with pytest.raises(ValueError, match="learn"):
        fit(times(9), np.zeros((2, 9)), learn=np.ones((1, 9)))
    with pytest.raises(ValueError, match="previous"):
        fit(times(9), np.zeros((2, 9)), previous=Baseline.unlearnt(3))
