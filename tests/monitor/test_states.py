"""What `drift`, `absence` and `capacity` say is about states: no floor, no dial that was made for samples."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import START, target
from tocsin.detect import METHODS, REASONS, STATES, Dial, Direction, Policy, Scores, anomalies, judge
from tocsin.domain.feedback import MarkedWindow, Verdict, Verdicted, WindowKind
from tocsin.domain.frame import Frame
from tocsin.domain.labels import Labels
from tocsin.monitor.judging import Held, by_dial, reviews_of
from tocsin.monitor.memory import Memory, absorb
from tocsin.monitor.relearn import learnt_since

NAMES = (*METHODS, *STATES)


def scores(method, columns=40, sigma=4.0):
    """One row that one method puts at so many sigma."""
    result = Scores.nothing(1, columns, NAMES)
    for name, value in (("sigma", sigma), ("expected", 10.0), ("lower", 9.0), ("upper", 11.0)):
        getattr(result, name)[:] = value
    result.strongest[:] = NAMES.index(method)
    result.agreeing[:] = 1 << NAMES.index(method)
    return result


@pytest.mark.parametrize("method", NAMES)
def test_the_dial_neither_counts_nor_raises_what_is_reviews_of_a_state(method):
    watched, columns = target(), 40
    said = scores(method, columns)
    values = np.full((1, columns), 20.0)
    policy = watched.policy
    held = Held(judge(said, values, policy), anomalies(said, values, policy), policy, (False, False))
    assert held.judgement.flags.all()
    local = START.timestamp() + 60.0 * np.arange(columns)
    strict = replace(Dial.fresh(1, 60.0), entry=np.full(1, 9.0), weeks=np.ones(1))
    dial, judgement, entry = by_dial(watched, said, held, strict, local, floor=8.0)
    of_state = method in STATES
    assert judgement.flags.all() == of_state
    assert (REASONS[judgement.reasons[0, 0]] == "below_dial") is not of_state
    assert (entry == (0.0 if of_state else 9.0)).all()
    assert (dial.false.sum() == 0) == of_state
    assert dial.today.tolist() == [columns], "it was watched all the same"


def test_a_verdict_on_what_was_reviews_of_a_state_moves_no_threshold():
    one = Labels({"i": "0"})
    marks = [Verdicted(one, START, 5.0, (name, "iqr"), Verdict.FALSE) for name in ("mad", *STATES)]
    said = reviews_of(marks, (one,), "UTC")
    assert said is not None
    assert said.sigma.tolist() == [5.0]
    assert said.auto.tolist() == [False]


@pytest.mark.parametrize(("labels", "begin", "counts"), [({}, 0, False), ({"i": "1"}, 0, True), ({}, 1, True)])
def test_a_verdict_on_an_alert_of_a_marked_window_moves_no_threshold(labels, begin, counts):
    one, minute = Labels({"i": "0"}), timedelta(minutes=1)
    start = START + begin * minute
    window = MarkedWindow("", WindowKind.INCIDENT, "errors", Labels(labels), start, start + minute, "ann", "", START)
    marks = [Verdicted(one, START, 5.0, ("level",), Verdict.REAL)]
    assert reviews_of(marks, (one,), "UTC", (window,)).row.tolist() == [0] * counts


def test_what_is_missing_is_no_watched_sample_of_the_dial():
    watched = target()
    said = replace(scores("absence", 6, -4.0), missing=np.array([[False, False, True, True, True, True]]))
    said.sigma[0, :2] = 0.0
    values = np.array([[5.0, 5.0, np.nan, np.nan, np.nan, np.nan]])
    held = Held(
        judge(said, values, watched.policy), anomalies(said, values, watched.policy), watched.policy, (False, False)
    )
    local = START.timestamp() + 60.0 * np.arange(6)
    dial, judgement, _ = by_dial(watched, said, held, Dial.fresh(1, 60.0), local, floor=8.0)
    assert dial.today.tolist() == [2]
    assert judgement.flags.tolist() == [[False, False, True, True, True, True]]


def test_a_sample_that_is_missing_has_no_size_no_side_and_no_range():
    policy = Policy(direction=Direction.ABOVE, alert_above=1e9, min_effect=1e9)
    said = scores("absence", 2, -4.0)
    said.expected[:] = np.nan
    gone = replace(said, missing=np.array([[True, False]]))
    values = np.full((1, 2), np.nan)
    assert judge(gone, values, policy).flags.tolist() == [[True, False]]
    assert anomalies(gone, values, policy).tolist() == [[True, False]]
    assert not anomalies(said, values, policy).any()


@pytest.mark.parametrize(("method", "counts"), [("capacity", True), ("drift", False), ("mad", False)])
def test_what_is_reviews_of_the_time_ahead_is_held_to_no_floor(method, counts):
    said = scores(method, 1)
    policy = Policy(min_effect=100.0)
    values = np.full((1, 1), 11.0)
    assert judge(said, values, policy).flags.all() == counts
    assert anomalies(said, values, policy).all() == counts


def test_a_window_that_was_marked_is_learnt_anew_as_far_back_as_these_methods_remember():
    watched = target(detection_methods=("seasonal",))
    times = START.timestamp() + 60.0 * np.arange(10)
    frame = Frame(times, np.full((1, 10), 5.0), (Labels({"i": "0"}),))
    _, memory = absorb(watched, Memory.empty(watched), frame, {})
    assert learnt_since(watched, memory) == times[-1] - timedelta(days=14).total_seconds()
    plain = target(detection_methods=("mad",))
    _, memory = absorb(plain, Memory.empty(plain), frame, {})
    assert learnt_since(plain, memory) == times[0]


def test_a_series_that_is_missed_is_remembered_for_a_day_beyond_the_lookback():
    watched = target(detection_methods=("absence",), lookback=timedelta(minutes=20))
    times = START.timestamp() + 60.0 * np.arange(10)
    _, memory = absorb(watched, Memory.empty(watched), Frame(times, np.full((1, 10), 5.0), (Labels(),)), {})
    for minutes, known in ((1430, 1), (20, 0)):
        first = float(memory.timestamps[-1]) + 60.0
        silent = first + 60.0 * np.arange(minutes)
        _, memory = absorb(watched, memory, Frame(silent, np.empty((0, minutes)), ()), {})
        assert len(memory.labels) == known
