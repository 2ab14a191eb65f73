"""What a day is expected to be: days meet at midnight, incidents and gaps are not expected again, habits are."""

import numpy as np
import pytest

from tocsin.detect import AutoState, Policy, backtest
from tocsin.detect.auto import advance
from tocsin.detect.auto.learn import FIRST
from tocsin.detect.auto.settle import settled

DAY = 1440
START = 1_700_438_400.0
"""A Monday, 00:00 UTC."""

HELD = np.array([True])
THURSDAY = 17 * DAY + 900


def times(first, last):
    return START + np.arange(first, last) * 60.0


def requests(days, seed=0, weekend=0.3):
    """Requests between 80 and 320, at weekends a share of that, going over from one to the other at night."""
    rng, at = np.random.default_rng(seed), np.arange(days * DAY)
    week = at % (7 * DAY)
    rise = [1.0 / (1.0 + np.exp(-(week - turn) / 60.0)) for turn in (5.125 * DAY, 0.125 * DAY)]
    share = 1.0 + (weekend - 1.0) * np.clip(rise[0] + 1.0 - rise[1], 0.0, 1.0)
    noise = np.exp(0.03 * rng.standard_normal(len(at)))
    return (200.0 + 120.0 * np.cos((at / DAY - 15 / 24) * 2 * np.pi)) * share * noise


def alerts(flags):
    """The first column of each group of flags."""
    found = np.flatnonzero(flags)
    return [int(one[0]) for one in np.split(found, np.flatnonzero(np.diff(found) > 90) + 1) if one.size]


def held_through(values, begin, end):
    """What is said of all samples where an alert is active from the one after ``begin`` until ``end``."""
    state, sigma = AutoState.empty(1, 60.0), []
    for first, last in ((0, begin + 1), (begin + 1, end), (end, len(values))):
        hold = HELD if first == begin + 1 else None
        state, said = advance(state, times(first, last), values[None, first:last], hold=hold)
        sigma.append(said.sigma[0])
    return np.concatenate(sigma), state


@pytest.mark.parametrize("weekend", [0.1, 0.6, 1.5])
def test_days_meet_at_midnight_though_weekends_are_at_another_level(weekend):
    values = requests(28, weekend=weekend)
    said = backtest(times(0, len(values)), values)
    state = advance(AutoState.empty(1, 60.0), times(0, len(values)), values[None]).state
    assert state.season[0] == 2
    for day in range(21, 28):
        around = slice(day * DAY - 5, day * DAY + 10)
        off = np.abs(said.expected[around] / values[around] - 1.0)
        assert np.median(off) < 0.1, f"day {day}"
        assert not said.flags[around].any(), f"day {day}"


@pytest.mark.parametrize("minutes", [20, 60, 240])
def test_an_outage_is_not_expected_a_week_later(minutes):
    values = requests(28)
    values[THURSDAY : THURSDAY + minutes] = 0.0
    sigma, _ = held_through(values, THURSDAY, THURSDAY + minutes)
    assert abs(sigma[THURSDAY]) > 3.5
    later = sigma[THURSDAY + 7 * DAY - 120 : THURSDAY + 7 * DAY + minutes + 120]
    assert np.abs(later).max() < 3.5


def test_a_gap_is_not_expected_a_week_later():
    values = requests(28)
    values[THURSDAY : THURSDAY + 120] = np.nan
    later = backtest(times(0, len(values)), values).sigma[THURSDAY + 7 * DAY - 60 : THURSDAY + 7 * DAY + 180]
    assert np.abs(later).max() < 3.5


def test_what_a_series_was_away_for_every_night_is_a_habit():
    """A job of half an hour: it is kept as it was from the second night on, and expected once it is usual."""
    values = 50.0 + np.random.default_rng(1).standard_normal(18 * DAY)
    for night in range(6, 18):
        values[night * DAY + 120 : night * DAY + 150] += 40.0
    state = AutoState.empty(1, 60.0)
    kept = []
    for day in range(18):
        here = slice(day * DAY, (day + 1) * DAY)
        state = advance(state, times(here.start, here.stop), values[None, here]).state
        kept.append(float(state.days[0, -1, 12:15].mean() * state.unit[0]))
    assert max(np.abs(kept[:7])) < 5, "the first night is not kept"
    assert min(kept[8:17]) > 30, "the next ones are"
    assert state.season[0] > 0
    assert float(state.profile[0, 12:15].mean() * state.unit[0]) > 30


def test_a_weekend_that_alerts_is_expected_once_it_came_again():
    """An alert that lasts over the weekend: the first is taken for an incident, the next ones are not."""
    values = requests(36, weekend=1.0)
    for first in range(12, 36, 7):
        values[first * DAY + 480 : (first + 2) * DAY] *= 0.2
    state, held = AutoState.empty(1, 60.0), []
    for day in range(35):
        for part in range(3):
            first, last = day * DAY + part * 480, day * DAY + (part + 1) * 480
            hold = HELD if day % 7 in (5, 6) and (day, part) != (12, 0) and day >= 12 else None
            state, said = advance(state, times(first, last), values[None, first:last], hold=hold)
            if day == 33 and part == 1:
                held = said.sigma[0]
    assert np.abs(held).max() < 3.5


def test_to_accept_a_level_keeps_nothing_of_a_day_that_was_at_both():
    values = requests(20)
    values[17 * DAY + 300 :] += 400.0
    state = advance(AutoState.empty(1, 60.0), times(0, 17 * DAY + 400), values[None, : 17 * DAY + 400]).state
    after = settled(state, np.array([0]), np.array([100]))
    assert not after.new_day_seen.any()
    moved = (after.day_level - state.day_level) * state.unit
    assert moved[0] == pytest.approx(400.0, rel=0.15)
    later = advance(after, times(17 * DAY + 400, 20 * DAY), values[None, 17 * DAY + 400 :]).opinions
    assert (np.abs(later.sigma[0]) >= 3.5).sum() <= 2


def test_a_job_of_every_night_is_no_news_though_it_begins_some_minutes_sooner_or_later():
    rng = np.random.default_rng(2)
    values = 50.0 + rng.standard_normal(28 * DAY)
    for night in range(28):
        begin = night * DAY + 187 + int(rng.integers(-3, 4))
        values[begin : begin + 25] += 40.0
    values[25 * DAY + 700 : 25 * DAY + 725] += 20.0
    sigma = np.abs(backtest(times(0, len(values)), values).sigma)
    nights = [sigma[night * DAY + 150 : night * DAY + 250].max() for night in range(14, 28)]
    assert sum(night >= 3.5 for night in nights) <= 1
    assert sigma[25 * DAY + 700] >= 4, "half of it at another time is"


def test_what_is_forgotten_at_midnight_has_no_season_before_it():
    """Idle for days, then in use: learnt anew, at a midnight at which the days before had a season."""
    values = np.random.default_rng(3).standard_normal(9 * DAY) * 0.01
    for day in range(5):
        values[day * DAY + 600 : day * DAY + 700] += 5.0
    values[6 * DAY :] = 50.0 + 10.0 * np.random.default_rng(4).standard_normal(3 * DAY)
    state = advance(AutoState.empty(1, 60.0), times(0, 7 * DAY), values[None, : 7 * DAY]).state
    assert (state.learnt > 0).all()
    after = advance(state, times(7 * DAY, 7 * DAY + 1), values[None, 7 * DAY : 7 * DAY + 1]).state
    assert not after.learnt.any(), "it was forgotten"
    assert not after.recent_season.any()


@pytest.mark.parametrize("minutes", [5, 20, 60])
@pytest.mark.parametrize(("usual", "wrong"), [(1.0, 0.0), (0.0, 5.0)])
def test_a_series_that_never_moved_is_judged_as_before_its_first_outage(usual, wrong, minutes):
    values = np.full(24 * DAY, usual)
    begins = [day * DAY + 667 for day in (8, 12, 16, 20)]
    for begin in begins:
        values[begin : begin + minutes] = wrong
    said = backtest(times(0, len(values)), values)
    assert alerts(said.flags) == begins
    assert said.expected[begins] == pytest.approx([usual] * 4, abs=0.05)
    state = advance(AutoState.empty(1, 60.0), times(0, 9 * DAY), values[None, : 9 * DAY]).state
    middle = state.center * state.unit + state.offset
    assert middle[0] == pytest.approx(usual, abs=0.1 * abs(usual - wrong)), "a time without moves says where it is"


@pytest.mark.parametrize("seed", range(3))
def test_counts_that_fall_to_zero_for_hours_are_told_though_the_newest_samples_have_followed(seed):
    values = np.random.default_rng(seed).poisson(10.0, 12 * DAY).astype(float)
    begin = 10 * DAY + 600
    values[begin : begin + 360] = 0.0
    said = backtest(times(0, len(values)), values, policy=Policy(sigma=3.5, min_effect=1.0, min_effect_ratio=0.05))
    first = begin + int(said.flags[begin : begin + 360].argmax())
    assert said.flags[first]
    assert first - begin <= 15
    assert said.expected[first] == pytest.approx(10.0, abs=2.0)


@pytest.mark.parametrize(("step", "enough"), [(60.0, 720), (300.0, 192)])
def test_a_series_speaks_once_it_has_enough_samples_and_not_at_the_midnight_after(step, enough):
    columns = enough + FIRST
    values = 50.0 + np.random.default_rng(5).standard_normal(columns + 1)
    at = START + np.arange(columns + 1) * step
    before = advance(AutoState.empty(1, step), at[:columns], values[None, :columns]).state
    assert not before.ready.any()
    assert advance(before, at[columns:], values[None, columns:]).state.ready.all()
