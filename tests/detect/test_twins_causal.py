"""The named methods going through time, and the forests and forecasts, against plain twins."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.detect import naive, naive_causal, naive_more
from tests.detect.test_more import A_DAY, rows, times, walk

from tocsin.detect import METHODS, replay
from tocsin.detect.more import BY_NAME
from tocsin.detect.more.common import Columns, Context
from tocsin.detect.more.foretell import AHEAD, Foretold, method_of
from tocsin.detect.more.isolation_forest import LAG, LEAD, SCORES, _sigma
from tocsin.detect.more.trees import TREES, grown, scored

STEP = 60.0


def awkward(seed, columns):
    rng = np.random.default_rng(seed)
    kind = int(rng.integers(0, 6))
    values = np.round(rng.standard_normal(columns) * 5 + 100, 2)
    if kind == 1:
        values = np.round(values / 5) * 5
    elif kind == 2:
        values = rng.poisson(0.3, columns).astype(float)
    elif kind == 3:
        values = np.full(columns, 7.0) + (rng.random(columns) < 0.2) * 3.0
    elif kind == 4:
        values[columns // 2 :] += 60.0
    values = values * float(rng.choice([1.0, 1e-12, 1e12]))
    values[rng.random(columns) < 0.03] *= 3.0
    values[rng.random(columns) < 0.1] = np.nan
    return values


@settings(max_examples=30)
@given(
    st.integers(0, 10**6),
    st.integers(9, 70),
    st.integers(1, 9),
    st.sampled_from([METHODS, ("mad",), ("zscore", "rate_change"), ("iqr",)]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 12),
)
def test_going_through_time_is_its_plain_twin(seed, window, relearn, methods, hold, young, burst):
    values = awkward(seed, 80)
    values[:burst] += 8.0 * np.nanstd(values)
    born = int(np.argmin(np.isnan(values))) if young else None
    at = 1_700_000_000.0 + np.arange(80) * STEP
    mute = np.random.default_rng(seed).random((1, 80)) < 0.05
    want, teaches = naive_causal.walked(
        at.tolist(),
        values.tolist(),
        methods,
        window=window,
        relearn=relearn,
        step=STEP,
        hold=hold,
        mute=set(np.flatnonzero(mute[0]).tolist()),
        born=born,
    )
    assume(all(not 2.99 < abs(one[0]) < 3.01 for one in want))
    rules = {"new": 80, "window": window, "relearn": relearn, "methods": methods, "step_s": STEP}
    rules["born"] = None if born is None else np.array([born])
    got = replay(at, values[None], hold=[hold], mute=mute, **rules)
    for column, (sigma, strongest, center, agreeing) in enumerate(want):
        said = got.scores.sigma[0, column]
        if abs(sigma) > 25:
            assert abs(said) > 20
            continue
        assert said == pytest.approx(sigma, abs=3e-3, nan_ok=True), column
        if strongest is None:
            assert got.scores.strongest[0, column] == -1
        elif abs(sigma) >= 3.05:
            assert set(got.scores.methods_at(0, column)) == set(agreeing)
            if len(agreeing) == 1:
                assert methods[got.scores.strongest[0, column]] == strongest
                assert got.scores.expected[0, column] == pytest.approx(center, rel=1e-9)
    assert got.learn[0].tolist() == teaches


@settings(max_examples=5)
@given(st.integers(0, 10**6))
def test_paths_through_trees_are_those_of_a_walk(seed):
    rng = np.random.default_rng(seed)
    trees = grown(rng.standard_normal((100, LAG)))
    windows = (2.0 * rng.standard_normal((1, 7, LAG))).astype(np.float32)
    got = scored(type(trees)(*(part[None] for part in trees)), windows)
    for column in range(7):
        lengths = []
        for tree in range(TREES):
            node = 0
            while trees.feature[tree, node] >= 0:
                left = windows[0, column, trees.feature[tree, node]] <= trees.threshold[tree, node]
                node = (trees.left if left else trees.right)[tree, node]
            lengths.append(float(trees.length[tree, node]))
        assert got[0, column] == pytest.approx(naive.mean(lengths), rel=1e-6)


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_how_improbable_a_path_is_is_counted(seed):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(3, SCORES) * (np.arange(SCORES) > rng.integers(0, SCORES - 2))
    counts[-1] += 1
    path = rng.uniform(0, 8, 20)
    place = np.clip(np.floor(path * 6), 0, SCORES - 1).astype(np.intp)
    got = _sigma(counts[None].astype(np.int64), place[None], path[None])[0]
    past = [bin_ for bin_, count in enumerate(counts) for _ in range(count)]
    for one, bin_, sigma in zip(path.tolist(), place.tolist(), got.tolist(), strict=True):
        shorter = sum(other <= bin_ for other in past)
        tail = (shorter + 1) / (len(past) + 1) * math.exp(-max(min(past) - one * 6, 0))
        assert math.erfc(sigma / math.sqrt(2)) == pytest.approx(tail, rel=1e-5)


def test_a_forest_looks_at_six_samples_less_the_median_of_the_two_dozen_before():
    days = 5
    values = rows(days * A_DAY, 31)[:2]
    state, _ = walk("isolation_forest", values, [], 600.0)
    assert state.ready.all()
    new = rows(days * A_DAY, 32)[:2, :60]
    local = times((days + 1) * A_DAY)[days * A_DAY :][:60]
    after, said = BY_NAME["isolation_forest"].advance(state, Columns(local, new, np.zeros(2, bool), Context()))
    forests = after.trees
    heard = 0
    for row in range(2):
        series = [*values[row].tolist(), *new[row].tolist()]
        for column in range(60):
            window = series[days * A_DAY + column + 1 - LAG - LEAD : days * A_DAY + column + 1]
            before, last = naive.known(window[:LEAD]), window[LEAD:]
            if not before or len(naive.known(last)) < LAG:
                assert math.isnan(said.sigma[row, column])
                continue
            rest = [(x - naive.median(before)) / after.scale[row] for x in last]
            one = scored(type(forests)(*(part[row : row + 1] for part in forests)), np.array([[rest]]))
            place = np.clip(np.floor(one * 6), 0, SCORES - 1).astype(np.intp)
            want = float(_sigma(after.counts[row : row + 1], place, one)[0, 0])
            assert said.sigma[row, column] == pytest.approx(math.copysign(want, rest[-1]))
            assert said.expected[row, column] == naive.median(before)
            heard += 1
    assert heard > 80


def test_what_was_foretold_is_joined_by_straight_lines_and_held_against_past_errors():
    """A model that foretells the last day again, of samples each five minutes, so that an hour has a width."""
    days, a_day = 6, 288
    at = 1_700_006_400.0 + np.arange(days * a_day) * 300.0
    rng = np.random.default_rng(7)
    values = 50.0 + 10.0 * np.sin(np.arange(days * a_day) / a_day * 2 * np.pi) + rng.standard_normal(days * a_day)
    values[rng.random(days * a_day) < 0.05] = np.nan

    def again(hours):
        return Foretold(np.resize(hours[-24:], AHEAD), np.full(AHEAD, 0.01))

    method = method_of(again)
    _, said = method.advance(method.fresh(1, 300.0), Columns(at, values[None], np.zeros(1, bool), Context()))
    hours = [naive.known(values[i : i + 12].tolist()) for i in range(0, days * a_day, 12)]
    hourly = [naive.median(hour) for hour in hours]
    for column in range(4 * a_day, days * a_day, 37):
        if math.isnan(values[column]):
            assert math.isnan(said.sigma[0, column])
            continue
        day, hour = column // a_day * 24, column // 12
        first = max(column / 12 - 0.5 - day, 0.0)
        foretold = 2 * hourly[day - 24 : day]
        one, other = foretold[math.floor(first)], foretold[math.floor(first) + 1]
        expected = one + (first - math.floor(first)) * (other - one)
        errors = [hourly[i] - hourly[i - 24] for i in range(48, hour)]
        within = naive.median([naive.quantile(one, 0.9) - naive.quantile(one, 0.1) for one in hours[:day]]) / 2.563
        usual = naive.median(hourly[:day])
        least = max(1e-4 * usual, 0.04 * naive_more.spread(hourly[:day], usual))
        scale = math.hypot(naive_more.spread(errors, 0.0), within, least)
        want = naive_more.sigma_of((values[column] - expected) / scale, min(len(errors) / 4, 30.0))
        assert said.expected[0, column] == pytest.approx(expected, rel=1e-9)
        assert said.sigma[0, column] == pytest.approx(want, rel=1e-6)
