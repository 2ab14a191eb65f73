"""Samples that are judged and teach nothing, and levels that a person lets in."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.detect import AutoState, follow
from tocsin.detect.auto import advance, settled
from tocsin.detect.auto.state import LEFT

DAY = 1440
START = 1_700_006_400.0  # a midnight, UTC


def times(columns):
    return START + np.arange(columns) * 60.0


def noise(rows, columns, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, columns))


def marked(columns, first, last, rows=1):
    mute = np.zeros((rows, columns), bool)
    mute[:, first:last] = True
    return mute


def same(left, right, *but):
    names = [field.name for field in fields(AutoState) if field.name not in ("grid", *but)]
    return [name for name in names if not np.array_equal(getattr(left, name), getattr(right, name), equal_nan=True)]


def test_what_is_muted_is_judged_and_teaches_nothing():
    values = noise(1, 4 * DAY)
    loud = values.copy()
    loud[:, DAY : DAY + 600] *= 30.0
    mute = marked(4 * DAY, DAY, DAY + 600)
    quiet, heard, muted = (
        advance(AutoState.empty(1, 60.0), times(4 * DAY), part, mute=given)
        for part, given in ((values, mute), (loud, None), (loud, mute))
    )
    assert (np.abs(muted.opinions.sigma[0, DAY : DAY + 600]) >= 3).any(), "it is judged as ever"
    # For an hour or two the voices still look back on it; what was learnt is nearly that of the quiet series.
    after = slice(2 * DAY, None)
    far, near = (np.abs(one.opinions.sigma - quiet.opinions.sigma)[:, after].mean() for one in (heard, muted))
    assert near < 0.5 * far
    assert muted.state.mass == quiet.state.mass < heard.state.mass


def test_before_anything_is_learnt_a_muted_sample_is_a_gap():
    values = noise(1, 2 * DAY)
    wild = values.copy()
    wild[:, :100] = 1e9
    muted = advance(AutoState.empty(1, 60.0), times(2 * DAY), wild, mute=marked(2 * DAY, 0, 100))
    wild[:, :100] = np.nan
    gap = advance(AutoState.empty(1, 60.0), times(2 * DAY), wild)
    assert same(muted.state, gap.state) == []


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 400), min_size=1, max_size=6), st.data())
@pytest.mark.parametrize("methods", ["auto", ("zscore", "mad")])
def test_in_whatever_parts_muted_samples_come_the_result_is_the_same(methods, seed, sizes, data):
    columns, window = sum(sizes), 60
    rng = np.random.default_rng(seed)
    values = noise(2, columns, seed) + 20.0 * (rng.random((2, columns)) < 0.02)
    first = data.draw(st.integers(0, columns))
    mute = marked(columns, first, data.draw(st.integers(first, columns)), rows=2)
    options = {"window": window, "relearn": 5, "methods": methods, "step_s": 60.0}
    whole = follow(times(columns), values, new=columns, mute=mute, **options)
    done, learn, learnt = 0, np.zeros((2, 0), bool), None
    for size in sizes:
        start, stop = max(0, done - window), done + size
        part = follow(
            times(columns)[start:stop], values[:, start:stop], new=size, mute=mute[:, start:stop],
            learn=learn[:, start - done + learn.shape[1] :] if done else learn, learnt=learnt, **options,
        )  # fmt: skip
        expected = whole.scores.sigma[:, done:stop]
        assert np.array_equal(part.scores.sigma, expected, equal_nan=True)
        learn, learnt, done = part.learn, part.learnt, stop
    assert not (whole.learn & mute).any()


def test_a_whole_lookback_that_is_muted_never_becomes_the_new_normal():
    values = noise(1, 400) + 50.0 * (np.arange(400) >= 100)
    options = {"new": 400, "window": 60, "relearn": 1, "methods": ("zscore",), "step_s": 60.0}
    free = follow(times(400), values, **options)
    kept = follow(times(400), values, mute=marked(400, 100, 400), **options)
    assert abs(free.scores.sigma[0, -1]) < 4, "else it would"
    assert (kept.scores.sigma[0, 100:] > 5).all()


def test_a_settled_series_is_away_from_nothing_and_looks_back_on_where_it_is():
    values = noise(2, 3 * DAY) * np.array([[1.0], [5.0]])
    values[:, -20:] += 40.0
    state = advance(AutoState.empty(2, 60.0), times(3 * DAY), values).state
    assert not np.isnan(state.anchor[:, LEFT]).any()
    after = settled(state, np.array([0]), np.array([20]))
    assert np.isnan(after.anchor[0, LEFT])
    assert same(after.select([1]), state.select([1])) == [], "the other row stays"
    unit, offset = after.unit[0], after.offset[0]
    back = after.recent[0] * unit + offset
    assert np.abs(np.median(back[:-20]) - 40.0) < 0.5
    assert np.array_equal(after.counts, state.counts)
    later = START + (3 * DAY + np.arange(60)) * 60.0
    stays = noise(2, 60, 7) * np.array([[1.0], [5.0]]) + 40.0
    assert (np.abs(advance(after, later, stays).opinions.sigma[0]) >= 3).sum() <= 1
    assert not advance(after, later, stays).opinions.course[0].any()
    assert advance(state, later, stays).opinions.course[0].any()


def test_a_level_of_days_that_taught_nothing_is_the_middle_once_it_is_settled():
    values = noise(1, 6 * DAY)
    values[:, 3 * DAY + 100 :] += 40.0
    first = advance(AutoState.empty(1, 60.0), times(6 * DAY)[: 3 * DAY + 101], values[:, : 3 * DAY + 101])
    rest = slice(3 * DAY + 101, None)
    state = advance(first.state, times(6 * DAY)[rest], values[:, rest], hold=np.array([True])).state
    assert abs(state.center[0] - first.state.center[0]) * state.unit[0] < 1.0, "an alert of it was active"
    after = settled(state, np.array([0]), np.array([3 * DAY - 100]))
    assert (after.center[0] - state.center[0]) * state.unit[0] == pytest.approx(40.0, abs=1.0)
    later = START + (6 * DAY + np.arange(DAY)) * 60.0
    said = advance(after, later, noise(1, DAY, 7) + 40.0).opinions
    assert (np.abs(said.sigma) >= 3.5).sum() <= 2
    assert not said.course.any()


def test_too_few_samples_of_a_level_move_nothing():
    values = noise(1, 2 * DAY)
    state = advance(AutoState.empty(1, 60.0), times(2 * DAY), values).state
    for age in (0, 2, 10**6):
        assert np.array_equal(settled(state, np.array([0]), np.array([age])).recent, state.recent)
