"""What is told of a sample: its neighbours and what came before, against a plain twin and in cases from practice."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.detect.auto import advance
from tocsin.detect.auto.precedent import (
    AFTER,
    EXPECTED,
    FADING,
    FALL,
    HEARD,
    LASTING,
    LEVEL,
    LONGEST_HOURS,
    LOWEST,
    MEMORY,
    MOST,
    PRIOR,
    WARY,
    Samples,
    tell,
)
from tocsin.detect.auto.settle import settled
from tocsin.detect.auto.sparse import Singles
from tocsin.detect.auto.state import PEAKS, AutoState
from tocsin.detect.calibrate import NEARLY
from tocsin.detect.judge import Policy

A_DAY = 288
STEP = 300.0


def known(rows=1, days=10.0):
    """Series of five-minute samples, of which so many days are known and in which nothing stood out."""
    return replace(AutoState.empty(rows, STEP), mass=np.full(rows, days * A_DAY), age=np.full(rows, int(days * A_DAY)))


def no_events(state, columns):
    none = np.zeros((0, columns), bool)
    return Singles(np.zeros(0, np.intp), none, none, none, state.event)


def told(state, sigma, mute=None):
    """The told sigma of one row, and the state after it."""
    said = np.asarray(sigma, dtype=float)[None]
    none = np.zeros(said.shape, bool)
    marks = none if mute is None else np.asarray(mute)[None]
    result = tell(state, said, Samples(~np.isnan(said), marks, none, no_events(state, said.shape[1])))
    return result.sigma[0], replace(state, age=state.age + said.shape[1], **result.changes)


def bursts(*ages, height=4.0, columns=10 * A_DAY):
    values = np.full(columns, 0.5)
    values[list(ages)] = height
    return values


def taken_off(counts, days, level):
    """At one level, without a limit: no more than a level above the one below it."""
    came = sum(counts[max(level - 1, 0) :])
    expected = days * EXPECTED * math.exp(-FALL * (LOWEST + LEVEL * (level + 0.5) - 3.0))
    less = max(math.log((came + PRIOR) / (expected + PRIOR)), 0.0)
    return less if level == 0 else min(less, taken_off(counts, days, level - 1) + LEVEL)


def naive(sigma, days, age):
    """Sample by sample."""
    counts, mean, peak, begun, last, near, out = [0] * PEAKS, 0.0, 0.0, -(10**9), -(10**9), -(10**9), []
    for column, value in enumerate(sigma):
        said = 0.0 if math.isnan(value) else abs(value)
        mean += MEMORY * (min(said, HEARD) - mean)
        total = said + LASTING * mean
        now = age + column
        if total >= LOWEST and not math.isnan(value):
            if now - last > max(A_DAY // 24, 10) or now - begun >= LONGEST_HOURS * A_DAY // 24:
                if peak > 0:
                    counts[min(int((peak - LOWEST) / LEVEL), PEAKS - 1)] += 1
                begun, peak = now, 0.0
            last, peak = now, max(peak, total)
        place = min(max((total - LOWEST) / LEVEL - 0.5, 0.0), PEAKS - 1.0)
        level = min(int(place), PEAKS - 2)
        low, high = taken_off(counts, days, level), taken_off(counts, days, level + 1)
        less = low + (high - low) * (place - level)
        least = AFTER * (1.0 - FADING * (now - near)) if now - near <= WARY else 0.0
        weighed = total - min(less, MOST) * min(total / LOWEST, 1.0)
        if weighed >= NEARLY and not math.isnan(value):
            near = now
        out.append(math.copysign(min(max(weighed, least), 38.0), value))
    return out


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.floats(0.0, 60.0))
def test_it_is_its_plain_twin(seed, days):
    rng = np.random.default_rng(seed)
    sigma = rng.standard_t(3, 600)
    sigma[rng.random(600) < 0.05] = np.nan
    state = known(days=days)
    assert np.allclose(told(state, sigma)[0], naive(sigma, days, int(state.age[0])), rtol=0, atol=1e-9, equal_nan=True)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 299))
def test_it_is_the_same_in_parts_and_beside_others(seed, cut):
    rng = np.random.default_rng(seed)
    sigma = rng.standard_t(3, (3, 300))
    seen, mute = rng.random(sigma.shape) < 0.95, rng.random(sigma.shape) < 0.1
    state = known(3)
    back = rng.random(sigma.shape) < 0.1
    now, over = rng.random((2, *sigma.shape)) < 0.3
    there = now | (rng.random(sigma.shape) < 0.5)

    def said(state, rows, columns):
        events = (mark[rows, columns] for mark in (now, over & ~there, there))
        single = Singles(np.arange(state.rows), *events, event=state.event)
        marks = (mark[rows, columns] for mark in (seen, mute, back))
        return tell(state, sigma[rows, columns], Samples(*marks, single))

    every = slice(None)
    whole = said(state, every, every)
    first = said(state, every, slice(cut))
    later = replace(state, age=state.age + cut, **first.changes)
    rest = said(later, every, slice(cut, None))
    assert np.array_equal(whole.sigma, np.concatenate([first.sigma, rest.sigma], axis=1))
    assert all(np.array_equal(whole.changes[name], rest.changes[name]) for name in whole.changes)
    alone = said(state.select([1]), slice(1, 2), every)
    assert np.array_equal(whole.sigma[1:2], alone.sigma)


def test_a_deviation_that_lasts_says_more_than_one_that_does_not():
    once, lasting = bursts(100, height=2.5), bursts(*range(100, 120), height=2.5)
    assert told(known(), once)[0][100] < 3.0
    assert told(known(), lasting)[0][100] < 3.0, "of its first sample nobody knows"
    assert told(known(), lasting)[0][119] > 3.0


def test_a_spike_does_not_make_what_follows_an_anomaly():
    assert (told(known(), bursts(100, height=30.0))[0][101:] < NEARLY).all()


def test_right_after_something_stood_out_nothing_is_calm_and_nothing_is_held():
    said = told(known(), bursts(100, height=30.0))[0]
    assert said[101] == pytest.approx(AFTER, rel=FADING)
    assert (np.diff(said[101 : 101 + WARY]) < 0).all()
    assert said[100 + WARY] > 1.9
    assert (said[101 + WARY :] < 1.0).all()
    assert Policy().holds_from > AFTER


def test_what_is_accepted_makes_nobody_wary():
    after = told(known(), bursts(2500)[:2501])[1]
    assert told(after, np.full(5, 0.5))[0].min() > 2.0
    calm = settled(after, np.array([0]), np.array([1]))
    assert told(calm, np.full(5, 0.5))[0].max() < 1.0


def test_what_came_before_says_less_and_what_never_came_says_what_it_says():
    often = told(known(), bursts(*range(50, 2000, 100), 2500))[0]
    first = told(known(), bursts(2500))[0]
    assert first[2500] == pytest.approx(4.0 + LASTING * 0.5, abs=0.4)
    assert first[2500] - often[2500] == pytest.approx(MOST)
    higher = bursts(*range(50, 2000, 100))
    higher[2500] = 6.0
    assert told(known(), higher)[0][2500] == told(known(), bursts(2500, height=6.0))[0][2500], "none came as high"


@given(
    st.lists(st.floats(0.0, 40.0), min_size=2, max_size=20),
    st.lists(st.integers(0, 60), min_size=PEAKS, max_size=PEAKS),
)
def test_a_larger_deviation_is_never_told_less(heights, counts):
    state = replace(known(), peaks=np.array([counts], np.float32))
    heights = sorted(heights)
    said = [told(state, [height])[0][0] for height in heights]
    assert all(one <= next_one + 1e-9 for one, next_one in pairwise(said))


def test_a_few_in_a_long_time_take_nothing_off():
    few = bursts(50, 2500, height=2.6)
    alone = told(known(days=60.0), bursts(2500, height=2.6))[0][2500]
    assert told(known(days=60.0), few)[0][2500] == pytest.approx(alone, abs=1e-12)


def test_a_series_that_is_never_calm_has_many():
    restless = np.full(10 * A_DAY, 2.4)
    said, after = told(known(), restless)
    assert said[3] > said[-1]
    assert after.peaks.sum() == 10 * 24 / LONGEST_HOURS - 1, "the last one is not over"


def test_what_teaches_nothing_is_no_precedent():
    sigma = bursts(*range(50, 2000, 100), 2500)
    mute = np.arange(len(sigma)) < 2000
    assert told(known(), sigma, mute)[0][2500] == told(known(), bursts(2500))[0][2500]


def test_what_is_muted_adds_nothing_to_what_follows():
    sigma = bursts(*range(50, 60), height=6.0)
    sigma[60] = 2.5
    mute = np.arange(len(sigma)) < 60
    assert (
        told(known(), sigma)[0][60] > told(known(), sigma, mute)[0][60] == pytest.approx(2.5 + LASTING * 0.5, abs=0.3)
    )


def test_a_gap_says_nothing():
    sigma = bursts(100)
    sigma[90:110] = np.nan
    said, after = told(known(), sigma)
    assert (said[90:110] < LASTING).all()
    assert after.peak[0] == 0.0


def test_precedents_fade():
    values = np.random.default_rng(1).standard_normal(40 * A_DAY)
    values[3 * A_DAY : 8 * A_DAY : 100] += 12.0
    at = 1_700_006_400.0 + np.arange(len(values)) * STEP
    soon = advance(AutoState.empty(1, STEP), at[: 9 * A_DAY], values[None, : 9 * A_DAY]).state
    later = advance(AutoState.empty(1, STEP), at, values[None]).state
    assert soon.peaks[0, 8:].sum() > 1
    assert later.peaks[0, 8:].sum() < 0.25 * soon.peaks[0, 8:].sum()
