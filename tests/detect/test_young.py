"""A series that is new: what it begins with may be the exception, and is not its normal for long."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.detect import ANOMALOUS, backtest, follow

STEP = 60.0
WINDOW = 60
RELEARN = 3
START = 1_700_006_400.0


def times(columns, first=0):
    return START + (first + np.arange(columns)) * STEP


def begins_with(burst, columns, *, seed=0, rows=2, height=100.0):
    values = 20.0 + np.random.default_rng(seed).standard_normal((rows, columns))
    values[:, :burst] += height
    return values


def live(values, sizes, *, hold=False):
    """The sigma of each sample, in parts of these sizes, as monitoring goes on; `hold`: an alert is always active."""
    mask, learnt, parts, end = np.zeros((len(values), 0), bool), None, [], 0
    for size in sizes:
        first = max(0, end - WINDOW)
        part = slice(first, end + size)
        got = follow(
            times(part.stop - first, first),
            values[:, part],
            new=size,
            window=WINDOW,
            relearn=RELEARN,
            learn=mask[:, first - (end - mask.shape[1]) :],
            learnt=learnt,
            step_s=STEP,
            hold=np.full(len(values), hold),
        )
        mask, learnt, end = got.learn[:, -WINDOW:], got.learnt, end + size
        parts.append(got.scores.sigma)
    return np.concatenate(parts, axis=1)


def odd(sigma):
    return np.abs(sigma) >= ANOMALOUS


def test_what_the_named_methods_say_of_a_young_series_counts_three_quarters():
    values = begins_with(0, WINDOW)
    learnt = follow(times(WINDOW), values, new=WINDOW, window=WINDOW, relearn=RELEARN, step_s=STEP).learnt
    said, alone = learnt.score(times(WINDOW), values), learnt.baseline.score(times(WINDOW), values)
    assert not learnt.auto.ready.any()
    assert np.allclose(said.sigma, 0.75 * alone.sigma, rtol=1e-12)
    assert np.allclose(said.upper - said.expected, (alone.upper - alone.expected) / 0.75)
    assert np.allclose(said.lower - said.expected, (alone.lower - alone.expected) / 0.75)


@pytest.mark.parametrize("hold", [False, True])
@pytest.mark.parametrize("burst", [8, 20, 45])
def test_what_it_began_with_is_normal_for_as_long_again_at_most(burst, hold):
    values = begins_with(burst, 240)
    stands_out = odd(live(values, [1] * 240, hold=hold))
    assert stands_out[:, burst:].any(), "the change itself is news"
    assert stands_out[:, 2 * burst + 3 * RELEARN :].mean() < 0.03


@pytest.mark.parametrize("burst", [1, 3, 5])
def test_it_has_no_opinion_while_what_it_has_seen_does_not_agree(burst):
    stands_out = odd(live(begins_with(burst, 60), [1] * 60))
    assert stands_out.mean() < 0.03


def test_a_series_with_two_levels_has_an_opinion_in_the_end():
    values = begins_with(0, 60)
    values[:, ::3] += 100.0
    sigma = live(values, [1] * 60)
    assert (~np.isnan(sigma[:, 33:])).all()


def test_what_it_was_for_a_whole_window_it_is_held_against_for_as_long_as_an_alert_is_active():
    values = begins_with(WINDOW + 5, 600)
    assert odd(live(values, [1] * 600, hold=True))[:, WINDOW + 5 :].all()
    let_go = odd(live(values, [1] * 600))
    assert let_go[:, WINDOW + 5 : 2 * WINDOW].all()
    assert let_go[:, 3 * WINDOW :].mean() < 0.03


def test_a_back_test_of_days_says_no_more_of_the_first_one():
    values = begins_with(6, 3 * 1440)
    stands_out = odd(backtest(times(3 * 1440), values, "auto", step_s=STEP).sigma)
    assert stands_out[:, :60].sum() < 60
    assert stands_out[:, 60:].mean() < 0.002


def test_an_incident_shorter_than_its_past_stands_out_to_its_end():
    values = begins_with(0, 200)
    values[:, 50:90] += 30.0
    assert odd(live(values, [1] * 200, hold=True))[:, 50:90].all()


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(0, 30), st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_in_parts_it_is_the_same_as_at_once(seed, burst, sizes):
    values = begins_with(burst, sum(sizes), seed=seed)
    values[np.random.default_rng(seed).random(values.shape) < 0.1] = np.nan
    values[1, : burst // 2] = np.nan
    whole = live(values, [sum(sizes)])
    assert np.array_equal(live(values, sizes), whole, equal_nan=True)
    assert np.array_equal(live(values, [1] * sum(sizes)), whole, equal_nan=True)


def test_where_auto_takes_over_in_the_middle_of_a_part_it_is_the_same():
    columns = 1400
    values = begins_with(0, columns)
    values[np.random.default_rng(5).random(values.shape) < 0.05] += 20.0
    pieces = [240, 250, 182, 364, 364]
    assert np.array_equal(live(values, pieces), live(values, [columns]), equal_nan=True)
