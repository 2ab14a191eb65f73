"""The methods beside `auto` and what people say: muted samples are judged and teach nothing, a level is let in."""

import numpy as np
import pytest
from tests.detect.test_more import A_DAY, LIMITS, STEP, rows, times

from tocsin.detect import Learnt, Scores, follow, joined, told_at
from tocsin.detect.base import MORE
from tocsin.detect.more import BY_NAME, Columns

COLUMNS = 5 * A_DAY
SPAN = slice(3 * A_DAY + 20, 3 * A_DAY + 100)
LATER = slice(SPAN.stop + 30, COLUMNS)
"""By then nothing looks back on the muted samples themselves."""


def calm(count=6):
    rng = np.random.default_rng(31)
    daily = np.sin(np.arange(COLUMNS) / A_DAY * 2 * np.pi)
    return 50.0 + 10.0 * daily + rng.standard_normal((count, COLUMNS))


def wild(values):
    """The first series goes mad within the span: it swings, and twice it sends nothing."""
    result = values.copy()
    result[0, SPAN] += 60.0 * np.sign(np.sin(np.arange(SPAN.stop - SPAN.start) / 5.0))
    result[0, SPAN.start + 5 : SPAN.start + 20] = np.nan
    result[0, SPAN.start + 30 : SPAN.start + 45] = np.nan
    return result


def sigma(name, values, mute):
    method = BY_NAME[name]
    state, hold, parts = method.fresh(len(values), STEP), np.zeros(len(values), bool), []
    for start in range(0, COLUMNS, 97):
        here = slice(start, start + 97)
        part = Columns(times(COLUMNS)[here], values[:, here], hold, LIMITS, None if mute is None else mute[:, here])
        state, said = method.advance(state, part)
        parts.append(said.sigma)
    return state, np.concatenate(parts, axis=1)


def muted(values):
    mute = np.zeros(values.shape, bool)
    mute[0, SPAN] = True
    return mute


def states_equal(left, right):
    return all(
        states_equal(getattr(left, name), array)
        if hasattr(array, "select")
        else np.array_equal(getattr(left, name), array, equal_nan=array.dtype.kind == "f")
        for name, array in right._arrays()
    )


@pytest.mark.parametrize("name", MORE)
def test_muted_samples_are_judged_and_teach_nothing(name):
    quiet = calm(6 if name == "outlier" else 2)
    mad = wild(quiet)
    mute = muted(quiet)
    one, told = sigma(name, mad, mute)
    two, other = sigma(name, quiet, mute)
    assert np.array_equal(told[:, LATER], other[:, LATER], equal_nan=True)
    assert states_equal(one, two)
    heard, _ = sigma(name, mad, None)
    assert not states_equal(heard, two), "without the mark it does teach"
    # The trend of what may not teach is unknown: drift and capacity say nothing once their newest cells are empty.
    spoken = slice(5) if name in ("drift", "capacity") else slice(-5, None)
    assert not np.isnan(told[0, SPAN][spoken]).any(), "it is judged as ever"
    if name in ("seasonal", "forecast", "prophet", "outlier", "absence"):
        assert (np.abs(told[0, SPAN]) >= 3.0).any()


def test_a_level_that_is_let_in_begins_them_anew_and_forgets_nobody():
    values = rows(7 * A_DAY, 3)
    names = ("seasonal", "outlier", "absence")
    rules = {"window": A_DAY, "relearn": 6, "step_s": STEP, "methods": names}
    learnt = follow(times(7 * A_DAY), values, new=7 * A_DAY, **rules).learnt
    after = learnt.let_in(np.array([1]), np.array([50]))
    assert learnt.ready.all()
    assert after.ready.tolist() == [True, False, True, True, True, True]
    assert np.array_equal(after.unseen, learnt.unseen)
    assert Learnt.nothing(2, ("mad",)).let_in(np.array([0]), np.array([1])).more is None


def test_words_and_gaps_survive_joining_and_cutting():
    values = calm()
    values[2, -30:] = np.nan
    values[1] += np.arange(COLUMNS) / A_DAY * 8.0
    rules = {"window": A_DAY, "relearn": 6, "step_s": STEP, "methods": ("drift", "absence"), "context": LIMITS}
    whole = follow(times(COLUMNS), values, new=COLUMNS, **rules).scores
    learnt, parts = None, []
    for stop in range(90, COLUMNS + 1, 90):
        result = follow(times(COLUMNS)[:stop], values[:, :stop], new=90, learnt=learnt, **rules)
        learnt = result.learnt
        parts.append(result.scores)
    again = joined(parts)

    def said(scores, shift=0):
        return {
            (row, column + shift): told_at(scores, row, column)
            for row, column in zip(*np.nonzero(scores.agreeing), strict=True)
        }

    assert np.array_equal(again.missing, whole.missing)
    assert again.missing[2, -1]
    assert any("rising" in words for told in said(whole).values() for words in told)
    assert any("no sample for" in words for told in said(whole).values() for words in told)
    assert said(again) == said(whole)
    first = COLUMNS - 40
    part = whole.cut(np.array([2, 1]), slice(first, COLUMNS - 3))
    expected = {
        ({2: 0, 1: 1}[row], column): told
        for (row, column), told in said(whole).items()
        if row in (1, 2) and first <= column < COLUMNS - 3
    }
    assert said(part, first) == expected
    assert joined([Scores.nothing(1, 2, ("mad",)), Scores.nothing(1, 3, ("mad",))]).sigma.shape == (1, 5)
