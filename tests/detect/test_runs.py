"""What stands still that usually moves: against a plain twin, and in cases from practice."""

import math
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.detect import AutoState, Direction, Policy, Scores, backtest, explain, judge
from tocsin.detect.auto import SPEAKERS, advance
from tocsin.detect.auto.runs import stand_still
from tocsin.detect.auto.settle import settled

STEP = 300.0
A_DAY = 288
MINUTES = 1440


def known(rows=1, days=10.0):
    return replace(AutoState.empty(rows, STEP), mass=np.full(rows, days * A_DAY), offset=np.full(rows, 2.0))


def still(state, values, seen, size, level, hold=True):
    """What runs say where the middle of the series is 2, and as much is expected."""
    sizes = np.where(np.arange(9)[:, None, None] == SPEAKERS.index("level"), size, 0.0)
    verdict = SimpleNamespace(size=sizes, level=level, expected=2.0 + level)
    return stand_still(state, values, seen, verdict, np.full(state.rows, hold))


def plain(row, values, seen, size, level, hold):
    """Sample by sample: the sigma of each, and what was expected when its run began."""
    result = []
    for value, counts, far, expected in zip(values, seen, size, level, strict=True):
        if counts and value != row.value:
            row.value, row.length, row.told, row.left = value, 0, [0.0, 0.0], expected
        row.length += bool(counts)
        now = []
        for kind, least in enumerate((3, 10)):
            beyond = row.length - least
            if counts and (value == 0) == (kind == 0) and beyond >= 0 and beyond % A_DAY == 0:
                sigma = 3 + math.log(0.3 * row.days / (row.counts[kind] + row.new[kind] + 0.5)) / 1.5
                if beyond == 0 and sigma >= 3 and (kind or (far > 2 and 2 + expected > 0)):
                    row.told[kind] = sigma
                row.new[kind] += 1
            if beyond >= 7 * A_DAY:
                row.told[kind] = 0.0
            now.append(row.told[kind] if hold or beyond < 24 else 0.0)
        result.append((max(now), row.left) if value == row.value and max(now) else (0.0, math.nan))
    return result


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 399), st.booleans(), st.booleans())
def test_runs_are_their_plain_twin_in_whatever_parts(seed, cut, hold, moves):
    rng = np.random.default_rng(seed)
    rows, columns = 4, 400
    values = (
        np.repeat(rng.integers(0, 3, (rows, columns)), rng.choice([1, 2, 3, 5, 12, 40], columns), axis=1)[:, :columns]
        * 1.0
    )
    values[rng.random(values.shape) < 0.02] = np.nan
    seen = ~np.isnan(values) & (rng.random(values.shape) < 0.98)
    if moves:
        values[:, cut:], seen[:, cut:] = rng.random((rows, columns - cut)), True
    size, level = rng.uniform(0, 4, values.shape), rng.uniform(-3, 3, values.shape)
    state = known(rows, float(rng.choice([2.0, 10.0, 14.0])))
    state = replace(state, run_counts=rng.choice([0.0, 0.4, 3.0, 200.0], (rows, 2)).astype(np.float32))
    found, parts = state, []
    for here in (slice(0, cut), slice(cut, None)):
        runs = still(found, *(part[:, here] for part in (values, seen, size, level)), hold)
        found = replace(found, **runs.changes)
        parts.append(runs)
    sigma, left = (np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("sigma", "left"))
    for row in range(rows):
        days, counts = state.mass[row] / A_DAY, state.run_counts[row].tolist()
        blank = SimpleNamespace(
            value=math.nan, length=0, told=[0.0, 0.0], left=math.nan, counts=counts, new=[0, 0], days=days
        )
        want = plain(blank, *(part[row].tolist() for part in (values, seen, size, level)), hold)
        assert sigma[row] == pytest.approx([each[0] for each in want])
        assert left[row] == pytest.approx([each[1] for each in want], nan_ok=True)
        assert found.new_runs[row].tolist() == blank.new
        assert found.run_length[row] == blank.length


def test_the_whole_detector_says_the_same_in_whatever_parts():
    values = bursty(2)[:12_000]
    values[9_000:9_040] = 0.0
    values[11_000:11_030] = values[10_999]
    at = 1_700_006_400.0 + 60.0 * np.arange(len(values))
    whole = advance(AutoState.empty(1, 60.0), at, values[None])
    state, parts = AutoState.empty(1, 60.0), []
    cuts = [0, 9_001, 9_002, 9_003, 9_030, 11_009, 11_010, 11_500, len(values)]
    for begin, end in pairwise(cuts):
        step = advance(state, at[begin:end], values[None, begin:end])
        state = step.state
        parts.append(step.opinions)
    assert np.array_equal(whole.opinions.sigma, np.concatenate([part.sigma for part in parts], axis=1), equal_nan=True)
    assert state.to_bytes() == whole.state.to_bytes()


def bursty(seed, days=15):
    """Bytes per second of a link: a day, noise of 15 %, and bursts of up to ten minutes some times a day."""
    rng = np.random.default_rng(seed)
    minutes = np.arange(days * MINUTES)
    noise = np.convolve(rng.standard_normal(len(minutes) + 9), np.ones(10) / math.sqrt(10), "valid")
    values = 2e7 * (1 + 0.6 * np.sin(2 * np.pi * (minutes / MINUTES - 0.3))) * np.exp(0.15 * noise)
    for begin in np.flatnonzero(rng.random(len(minutes)) < 0.004):
        values[begin : begin + int(rng.integers(1, 10))] += rng.pareto(1.5) * 3e7 + 2e7
    return values


def during_an_alert(values, begin):
    """What is said from a column on, at which an alert is active."""
    at = 1_700_006_400.0 + 60.0 * np.arange(len(values))
    state = advance(AutoState.empty(1, 60.0), at[:begin], values[None, :begin]).state
    return advance(state, at[begin:], values[None, begin:], hold=np.ones(1, bool)).opinions


def told(values, step=60.0):
    found = backtest(1_700_006_400.0 + step * np.arange(len(values)), values)
    says = np.array([found.methods[one] if one >= 0 else "" for one in found.strongest])
    return found, says


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("hour", [3, 12, 20])
def test_traffic_in_bursts_that_stops_is_told_at_the_third_sample_until_it_comes_back(seed, hour):
    values = bursty(seed)
    begin = 14 * MINUTES + hour * 60
    assert not told(values)[0].flags[begin - 5 : begin + 60].any(), "nothing else stands out there"
    values[begin : begin + 40] = 0.0
    found, says = told(values)
    assert not found.flags[begin : begin + 2].any()
    assert found.flags[begin + 2 : begin + 26].all()
    assert says[begin + 2] == "zero"
    assert not (says[begin + 26 :] == "zero").any(), "without an alert it is no news for ever"
    alert = during_an_alert(values, begin + 3)
    assert (alert.sigma[0, :37] <= -4).all()
    assert (alert.expected[0, :37] > 4e6).all(), "what stopped is expected, not that it stopped"
    assert not (alert.strongest[0, 37:] >= SPEAKERS.index("zero")).any()


def test_zeros_of_every_night_are_no_news_and_no_one_zero_is():
    values = bursty(5, days=16)
    minutes = np.arange(len(values)) % MINUTES
    values[(minutes >= 60) & (minutes < 75)] = 0.0
    values[::997] = 0.0
    found, says = told(values)
    assert not (found.flags & (says == "zero"))[4 * MINUTES :].any()


def test_whole_numbers_one_above_zero_are_no_news_at_zero():
    rng = np.random.default_rng(1)
    values = np.repeat(rng.choice([2.0, 3.0, 4.0], 6000), rng.integers(1, 5, 6000))[: 14 * MINUTES]
    values = np.concatenate([values, [1.0] * 4, [0.0] * 6, values[:50]])
    found, says = told(values)
    assert not (found.flags & (says == "zero")).any()


def test_a_value_that_is_stuck_is_told_after_ten_samples_until_it_moves():
    rng = np.random.default_rng(7)
    values = 50.0 + rng.standard_normal(15 * MINUTES)
    begin = 14 * MINUTES + 300
    values[begin : begin + 120] = values[begin]
    found, says = told(values)
    assert not found.flags[begin : begin + 9].any()
    assert (says[begin + 9 : begin + 33] == "stuck").all()
    assert found.flags[begin + 9 : begin + 33].all()
    alert = during_an_alert(values, begin + 10)
    assert (alert.strongest[0, :110] == SPEAKERS.index("stuck")).all()
    assert (np.abs(alert.sigma[0, :110]) >= 4).all()
    assert not (alert.strongest[0, 110:] >= SPEAKERS.index("zero")).any()
    assert found.agreeing[begin + 9] >> SPEAKERS.index("stuck") & 1
    sentence = explain(50.2, 50.1, sigma=4.0, methods=("stuck",))
    assert "so says stuck: the same value for ten samples and more, which hardly ever came before" in sentence


def test_a_series_that_often_stands_still_may_do_so_after_an_incident():
    """Of an error ratio that is zero for weeks the zeros after an incident are no news, nor are hourly steps."""
    values = np.zeros(15 * MINUTES)
    values[np.random.default_rng(3).choice(14 * MINUTES, 60, replace=False)] = 0.01
    values[14 * MINUTES : 14 * MINUTES + 20] = np.linspace(0.3, 0.4, 20)
    found, says = told(values)
    assert not (found.flags & np.isin(says, ("zero", "stuck"))).any()
    steps = np.repeat(np.random.default_rng(4).standard_normal(15 * 24), 60)
    found, says = told(steps)
    assert not (found.flags & (says == "stuck"))[2 * MINUTES :].any()


def test_what_stands_still_for_a_week_or_by_a_persons_word_is_no_news():
    state = replace(
        known(), run_told=np.full(1, 3.5, np.float32), run_value=np.zeros(1), run_length=np.full(1, 50, np.int32)
    )
    zeros, some = np.zeros((1, 5)), np.ones((1, 5), bool)
    assert (still(state, zeros, some, zeros, zeros).sigma == 3.5).all()
    old = replace(state, run_length=np.full(1, 7 * A_DAY, np.int32))
    assert still(old, zeros, some, zeros, zeros).sigma.tolist() == [[3.5, 3.5, 0.0, 0.0, 0.0]]
    accepted = settled(
        replace(state, recent=np.zeros((1, 132)), recent_season=np.zeros((1, 132), np.float16)),
        np.array([0]),
        np.array([50]),
    )
    assert not still(accepted, zeros, some, zeros, zeros).sigma.any()


def stuck(value, expected):
    scores = Scores.nothing(1, 1, SPEAKERS)
    scores.sigma[:], scores.expected[:], scores.strongest[:] = 3.6, expected, SPEAKERS.index("stuck")
    return scores, [[value]]


def test_what_is_stuck_has_no_size_no_side_and_is_no_news_at_a_bound():
    assert judge(*stuck(50.1, 50.0), Policy(min_effect=5.0)).flags.all()
    assert not judge(*stuck(50.1, 50.0), Policy(direction=Direction.ABOVE)).flags.any()
    assert not judge(*stuck(100.0, 99.8), Policy(upper_bound=100.0, lower_bound=0.0)).flags.any()
