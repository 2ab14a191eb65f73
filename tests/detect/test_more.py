"""The methods beside `auto`: what holds of each of them, whatever the samples are."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.detect import Context, Learnt, backtest, follow, resolve_methods
from tocsin.detect.base import MORE, choose
from tocsin.detect.more import BY_NAME, Columns

DAY = 1440
START = 1_700_006_400.0  # a midnight, UTC
STEP = 600.0
"""Ten minutes, so that weeks are quick to go through."""

A_DAY = 144
QUICK = tuple(name for name in MORE if not BY_NAME[name].slow)
"""Those that fit no model of minutes: for these chance picks the series."""
LIMITS = Context(limit=100.0, horizon_s=10 * 86400.0)


def times(columns, step=STEP):
    return START + np.arange(columns) * step


def rows(columns, seed, count=6):
    """Series with a daily swing, a few gaps, a shift, a leak and single spikes."""
    rng = np.random.default_rng(seed)
    at = np.arange(columns)
    values = 50.0 + 10.0 * np.sin(at / A_DAY * 2 * np.pi) + rng.standard_normal((count, columns))
    values[0] += 15.0 * (at > columns * 0.6)
    values[1] += at / A_DAY * 4.0
    values[2, rng.integers(0, columns, 4)] += 30.0
    values[3, columns // 2 : columns // 2 + int(rng.integers(1, 40))] = np.nan
    values[4, -int(rng.integers(1, 60)) :] = np.nan
    values[rng.random(values.shape) < 0.01] = np.nan
    return values


def walk(name, values, parts, step=STEP, context=LIMITS):
    """One method over the columns of (S, T), in parts that end at the given columns."""
    method = BY_NAME[name]
    state = method.fresh(len(values), step)
    local = times(values.shape[1], step)
    hold = np.zeros(len(values), bool)
    said = []
    bounds = [0, *sorted(set(parts)), values.shape[1]]
    for start, stop in pairwise(bounds):
        if stop > start:
            state, one = method.advance(state, Columns(local[start:stop], values[:, start:stop], hold, context))
            said.append(one)
    return state, [np.concatenate([getattr(one, part) for one in said], axis=1) for part in one._fields[:4]]


def same(left, right):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("name", QUICK)
@settings(max_examples=6)
@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(1, 9 * A_DAY - 1), max_size=12))
def test_parts_do_not_matter(name, seed, cuts):
    values = rows(9 * A_DAY, seed)
    assert same(walk(name, values, [])[1], walk(name, values, cuts)[1])


@pytest.mark.parametrize("name", ["forecast", "prophet", "isolation_forest"])
def test_of_a_model_neither_parts_nor_future_matter(name):
    values = rows(5 * A_DAY, 19)[[0, 3]]
    whole = walk(name, values, [])[1]
    assert np.isfinite(whole[0]).any()
    assert same(whole, walk(name, values, [1, 100, 2 * A_DAY, 4 * A_DAY + 7])[1])
    assert same([part[:, : 4 * A_DAY + 50] for part in whole], walk(name, values[:, : 4 * A_DAY + 50], [])[1])


@pytest.mark.parametrize("name", QUICK)
def test_one_column_at_a_time_is_the_same(name):
    values = rows(5 * A_DAY, 3)
    assert same(walk(name, values, [])[1], walk(name, values, range(5 * A_DAY))[1])


@pytest.mark.parametrize("name", QUICK)
@settings(max_examples=4)
@given(seed=st.integers(0, 10_000), end=st.integers(1, 9 * A_DAY - 1))
def test_the_future_does_not_matter(name, seed, end):
    values = rows(9 * A_DAY, seed)
    whole, short = walk(name, values, [])[1], walk(name, values[:, :end], [])[1]
    assert same([part[:, :end] for part in whole], short)


@pytest.mark.parametrize("name", QUICK)
@settings(max_examples=4)
@given(seed=st.integers(0, 10_000), order=st.permutations(range(6)))
def test_the_order_of_series_does_not_matter(name, seed, order):
    values = rows(7 * A_DAY, seed)
    plain, turned = walk(name, values, [])[1], walk(name, values[list(order)], [])[1]
    assert same([part[list(order)] for part in plain], turned)


@pytest.mark.parametrize("name", QUICK)
def test_series_come_and_go(name):
    values = rows(7 * A_DAY, 5)
    method = BY_NAME[name]
    state, _ = walk(name, values, [])
    moved = state.select([3, -1, 0])
    assert moved.ready.tolist() == [state.ready[3], False, state.ready[0]]
    assert moved.select([0, 2]).ready.tolist() == [state.ready[3], state.ready[0]]
    empty = method.fresh(0, STEP)
    assert len(empty.select([-1, -1]).ready) == 2
    local = times(8 * A_DAY)[7 * A_DAY :]
    hold = np.zeros(6, bool)
    new = rows(8 * A_DAY, 5)[:, 7 * A_DAY :]
    _, all_six = method.advance(state, Columns(local, new, hold, LIMITS))
    if name != "outlier":
        _, three = method.advance(state.select([0, 1, 2]), Columns(local, new[:3], hold[:3], LIMITS))
        assert np.array_equal(all_six.sigma[:3], three.sigma, equal_nan=True)


@pytest.mark.parametrize("name", QUICK)
def test_a_gap_gets_no_opinion(name):
    values = rows(6 * A_DAY, 7)
    _, (sigma, *band) = walk(name, values, [])
    gaps = np.isnan(values)
    if name == "absence":
        assert (sigma[gaps & ~np.isnan(sigma)] < 0).all()
    else:
        assert np.isnan(sigma[gaps]).all()
    assert all(np.isnan(part[gaps]).all() for part in band)


@pytest.mark.parametrize("name", QUICK)
def test_its_state_does_not_grow(name):
    week, month = walk(name, rows(7 * A_DAY, 9), [])[0], walk(name, rows(21 * A_DAY, 9), [])[0]
    assert month.size_bytes == week.size_bytes
    assert month.size_bytes / 6 <= 12_500


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("unit", [1e-300, 1e-9, 1e9, 1e300])
def test_huge_and_tiny_numbers(name, unit):
    values = unit * rows(6 * A_DAY, 11)
    _, (sigma, *_) = walk(name, values, [])
    assert not np.isinf(sigma).any()
    assert (np.abs(sigma[~np.isnan(sigma)]) <= 38.0).all()


@pytest.mark.parametrize("name", [*QUICK, "isolation_forest"])
@pytest.mark.parametrize("power", [-960, -40, 40, 960])
def test_the_unit_does_not_matter(name, power):
    values, unit = rows(5 * A_DAY, 29), 2.0**power
    context = Context(limit=100.0 * unit, horizon_s=10 * 86400.0)
    plain, other = walk(name, values, [])[1], walk(name, values * unit, [], context=context)[1]
    assert np.isfinite(plain[0]).any()
    assert np.allclose(other[0], plain[0], rtol=1e-6, atol=1e-9, equal_nan=True)
    assert all(np.allclose(b / unit, a, rtol=1e-6, equal_nan=True) for a, b in zip(plain[1:], other[1:], strict=True))


@pytest.mark.parametrize("name", [one for one in QUICK if one not in ("absence", "outlier")])
def test_a_constant_is_never_odd(name):
    _, (sigma, *_) = walk(name, np.full((1, 10 * A_DAY), 5.0), [])
    assert not (np.abs(sigma) >= 3.0).any()


@pytest.mark.parametrize("name", QUICK)
def test_alone_it_is_the_only_voice_and_beside_auto_the_strongest_counts(name):
    values = rows(6 * A_DAY, 13)
    alone = backtest(times(6 * A_DAY), values, (name,), step_s=STEP, context=LIMITS)
    assert alone.methods == (name,)
    auto = backtest(times(6 * A_DAY), values, step_s=STEP)
    both = backtest(times(6 * A_DAY), values, ("auto", name), step_s=STEP, context=LIMITS)
    assert both.methods == (*auto.methods, name)
    strongest = np.fmax(np.abs(alone.sigma), np.abs(auto.sigma))
    assert np.array_equal(np.abs(both.sigma), strongest, equal_nan=True)
    bit = len(auto.methods)
    agrees = (np.abs(alone.sigma) >= 3) & ((alone.sigma > 0) == (both.sigma > 0))
    assert np.array_equal((both.agreeing >> bit & 1).astype(bool), agrees)


@pytest.mark.parametrize("names", [("zscore", *QUICK), QUICK])
def test_following_in_parts_is_one_call(names):
    values = rows(6 * A_DAY, 17)
    at = times(6 * A_DAY)
    rules = {"window": A_DAY, "relearn": 6, "step_s": STEP, "methods": names, "context": LIMITS}
    whole = follow(at, values, new=6 * A_DAY, **rules).scores
    learnt, mask, sigma, told = Learnt.nothing(6, names, STEP), np.empty((6, 0), bool), [], 0
    for end in range(37, 6 * A_DAY + 37, 37):
        stop, first = min(end, 6 * A_DAY), end - 37
        start = max(0, first - A_DAY)
        result = follow(
            at[start:stop], values[:, start:stop], new=stop - first, learn=mask[:, start:first], learnt=learnt, **rules
        )
        mask = np.concatenate([mask, result.learn[:, first - start :]], axis=1)
        learnt = result.learnt
        sigma.append(result.scores.sigma)
        told += len(result.scores.told)
    assert np.array_equal(np.concatenate(sigma, axis=1), whole.sigma, equal_nan=True)
    assert told


def test_before_the_first_series_there_is_nothing_to_say():
    at = times(9 * A_DAY)
    rules = {"window": A_DAY, "relearn": 6, "step_s": STEP, "methods": QUICK, "context": LIMITS}
    empty = follow(at, np.empty((0, 9 * A_DAY)), new=9 * A_DAY, **rules)
    assert empty.scores.sigma.shape == (0, 9 * A_DAY)
    later = follow(
        at + 9 * A_DAY * STEP, rows(9 * A_DAY, 23), new=9 * A_DAY, learnt=empty.learnt.select([-1] * 6), **rules
    )
    alone = follow(at + 9 * A_DAY * STEP, rows(9 * A_DAY, 23), new=9 * A_DAY, **rules)
    assert np.array_equal(later.scores.sigma, alone.scores.sigma, equal_nan=True)


def test_names_that_are_wrong_are_refused():
    with pytest.raises(ValueError, match="unknown detection method 'oracle'"):
        choose(("drift", "oracle"))
    with pytest.raises(ValueError, match="no detection method given"):
        choose(())
    with pytest.raises(ValueError, match="drift goes through time"):
        resolve_methods(("zscore", "drift"))


def test_every_name_has_its_method():
    assert tuple(sorted(BY_NAME)) == tuple(sorted(MORE))


@pytest.mark.parametrize("name", ["seasonal", "drift", "outlier", "capacity", "isolation_forest"])
def test_the_first_opinion_comes_when_it_is_said_to(name):
    state, hours, step = BY_NAME[name].fresh(5, 300.0), 0, 300.0
    rng = np.random.default_rng(1)
    while not state.ready.any():
        local = 20000.0 * 86400.0 + hours * 3600.0 + np.arange(12) * step
        values = 50.0 + 0.02 * hours + rng.standard_normal((5, 12))
        new = Columns(local, values, np.zeros(5, bool), Context(limit=100.0))
        state, hours = BY_NAME[name].advance(state, new).state, hours + 1
    assert BY_NAME[name].first_s / 3600.0 == pytest.approx(hours, abs=4)
