"""Single events of series that rest at zero: against a plain twin, and in cases from practice."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.detect import backtest
from tocsin.detect.auto import LEAD, AutoState, advance
from tocsin.detect.auto.sparse import MORE, SINGLE_S, Singles, hold_back, single_events

DAY = 1440
START = 1_700_006_400.0
MERGE = 10


def times(count, step=60):
    return START + np.arange(count) * step


def alerts(values, step=60):
    """Where alerts begin."""
    flags = np.flatnonzero(backtest(times(len(values), step), values).flags)
    return flags[np.diff(flags, prepend=-(10**9)) > MERGE]


def now_and_then(a_day, days, seed, step=60):
    columns = days * 86400 // step
    return (np.random.default_rng(seed).random(columns) < a_day * step / 86400).astype(float)


def after(starts, days, step=60):
    return starts[starts >= days * 86400 // step]


def plain(values, event, longest, mute):
    """Sample by sample: whether there is a single event, whether one has just ended, and the smallest so far."""
    out = []
    for column in range(LEAD, len(values)):
        size = abs(values[column])
        event = min(event, np.float32(size)) if size and not mute[column - LEAD] else event
        near = [abs(value) for value in values[column - longest : column + 1]]
        single = min(near) == 0 and 0 < max(near) <= MORE * event
        out.append((bool(single and size), bool(single and not size)))
    return out, event


@settings(max_examples=80)
@given(st.integers(0, 10**6), st.sampled_from([15, 60, 300]), st.sampled_from([0.02, 0.3, 0.7]), st.booleans())
def test_it_is_its_plain_twin(seed, step, often, at_zero):
    rng = np.random.default_rng(seed)
    values = rng.choice([1.0, 1.0, 1.4, 2.0, 0.5], LEAD + 200) * (rng.random(LEAD + 200) < often)
    values = np.repeat(values, rng.integers(1, 4, len(values)))[: len(values)]
    offset = np.zeros(1) if at_zero else np.ones(1)
    state = replace(AutoState.empty(1, step), event=np.array([1.0], np.float32), offset=offset)
    longest = int(SINGLE_S // step) if at_zero else 1
    mute = rng.random(200) < 0.2
    got = single_events(state, values[None], mute[None])
    want, event = plain(values.tolist(), np.float32(1.0), longest, mute)
    if got.rows.size:
        assert list(zip(got.now[0].tolist(), got.over[0].tolist(), strict=True)) == want
    else:
        assert not values[LEAD - longest :].any()
    assert got.event[0] == event


def test_what_does_not_rest_at_zero_has_no_events():
    state = replace(AutoState.empty(2, 60.0), event=np.ones(2, np.float32), center=np.array([0.4, 0.6]))
    values = np.tile(np.arange(LEAD + 9) % 2.0, (2, 1))
    assert single_events(state, values, np.zeros((2, 9), bool)).rows.tolist() == [0]


def test_at_a_step_of_more_than_five_minutes_nothing_is_a_single_event():
    state = AutoState.empty(1, 600.0)
    assert not single_events(state, np.arange(LEAD + 9)[None] % 2.0, np.zeros((1, 9), bool)).rows.size


def test_what_lasts_is_told_with_what_was_held_back():
    now = np.array([[0, 1, 1, 0, 0, 1, 0]], bool)
    there = np.array([[0, 1, 1, 1, 1, 1, 0]], bool)
    ordinary = np.array([[0.0, 4.0, 3.0, 2.0, 2.0, 5.0, 1.0]])
    held, least = hold_back(np.zeros(1, np.float32), ordinary, Singles(np.arange(1), now, now, there, np.ones(1)))
    assert least[0].tolist() == [0, 0, 0, 4.0, 0, 0, 0], "the second one ends, and was single"
    assert held[0] == 0.0


@pytest.mark.parametrize("a_day", [1, 3, 10])
@pytest.mark.parametrize("seed", [0, 1])
def test_an_error_now_and_then_is_not_told_for_ever(a_day, seed):
    starts = alerts(now_and_then(a_day, 35, seed))
    assert len(after(starts, 14)) <= 2, "each of them was, one to three a day"


@pytest.mark.parametrize("step", [15, 60])
def test_nor_where_a_rate_over_five_minutes_shows_it_for_as_long(step):
    events = now_and_then(3, 35, 3, step)
    window = int(300 // step)
    rate = np.convolve(events, np.ones(window))[: len(events)] / 300
    assert len(after(alerts(rate, step), 14, step)) <= 3


@pytest.mark.parametrize(("size", "lasts"), [(4, 1), (2, 1), (1, 20), (3, 5)])
@pytest.mark.parametrize("seed", [0, 1])
def test_more_than_one_is_told(size, lasts, seed):
    values = now_and_then(1, 36, seed)
    begin = 35 * DAY + 100
    values[begin - 60 : begin] = 0.0
    values[begin : begin + lasts] = size
    starts = alerts(values)
    assert ((starts >= begin) & (starts < begin + 10)).any()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_scrape_that_is_missed_now_and_then_is_told_the_first_times_and_two_in_a_row_each_time(seed):
    up = 1.0 - now_and_then(1.5, 35, seed)
    twice = 30 * DAY + 50
    up[twice - 60 : twice + 60] = 1.0
    up[twice : twice + 2] = 0.0
    starts = alerts(up)
    assert after(starts, 14)[:1].tolist() in ([twice], [twice + 1])
    assert len(after(starts, 14)) <= 2
    assert len(starts) > 2


def test_the_first_of_all_is_told():
    values = np.zeros(20 * DAY)
    values[15 * DAY] = 1.0
    assert alerts(values).tolist() == [15 * DAY]


def test_incidents_that_show_no_more_than_one_are_told_each_time():
    values, rng = np.zeros(35 * DAY), np.random.default_rng(5)
    begins = (np.arange(43) + 0.8 * rng.random(43)) * 35 * DAY / 43
    for begin in begins.astype(int):
        values[begin : begin + 20] = 1.0
    starts = alerts(values)
    late = begins[begins > 14 * DAY]
    told = [((starts >= begin - 1) & (starts < begin + 20)).any() for begin in late]
    assert np.mean(told) >= 0.95


@pytest.mark.parametrize("cut", [1, 7, 333, 20_000])
def test_it_is_the_same_in_whatever_parts_the_samples_come(cut):
    values = now_and_then(20, 16, 4)
    values[15 * DAY + 30 : 15 * DAY + 60] = 1.0
    at = times(len(values))
    begin = 15 * DAY if cut < 300 else 0
    state = advance(AutoState.empty(1, 60.0), at[:begin], values[None, :begin]).state
    whole = advance(state, at[begin:], values[None, begin:])
    parts = []
    for first in range(begin, begin + 1440 if cut < 300 else len(values), cut):
        state, said = advance(state, at[first : first + cut], values[None, first : first + cut])
        parts.append(said.sigma)
    got = np.concatenate(parts, axis=1)
    assert np.array_equal(whole.opinions.sigma[:, : got.shape[1]], got, equal_nan=True)
