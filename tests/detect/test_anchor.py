"""An alert lasts as long as what the series left: by night and day, in level and in unrest; and it teaches nothing."""

from dataclasses import replace

import numpy as np
import pytest

from tocsin.detect import AWAY, RETURNED, SETTLED, AutoState
from tocsin.detect.auto import advance
from tocsin.detect.auto.settle import settled_by_itself
from tocsin.detect.auto.state import LEFT

DAY = 1440
START = 1_700_006_400.0
KNOWN = 9 * DAY
ON_HOLD = np.array([True])


def times(first, last):
    return START + np.arange(first, last) * 60.0


def traffic(days, seed=0):
    """Requests of a day, between 20 at night and 100 in the afternoon, with noise in proportion."""
    rng, at = np.random.default_rng(seed), np.arange(days * DAY)
    return (60.0 + 40.0 * np.cos((at / DAY - 14 / 24) * 2 * np.pi)) * (1.0 + 0.04 * rng.standard_normal(len(at)))


def flat(days, seed=0):
    return 50.0 + 2.0 * np.random.default_rng(seed).standard_normal(days * DAY)


def learnt(values):
    return advance(AutoState.empty(1, 60.0), times(0, KNOWN), values[None, :KNOWN]).state


def alert_of(values, begin):
    """What is said from the sample ``begin`` on, which begins an alert that stays active; and the state after it."""
    state, said = advance(learnt(values), times(KNOWN, begin + 1), values[None, KNOWN : begin + 1])
    assert np.abs(said.sigma[0, -1]) >= 3, "it begins with this sample"
    return advance(state, times(begin + 1, len(values)), values[None, begin + 1 :], hold=ON_HOLD)


@pytest.mark.parametrize("hour", [2, 8, 14, 20])
@pytest.mark.parametrize("hours", [4, 60])
@pytest.mark.parametrize("factor", [0.0, 2.0])
def test_an_alert_of_a_seasonal_series_lasts_while_it_is_away_at_whatever_hour(hour, hours, factor):
    values, begin = traffic(14), 10 * DAY + hour * 60
    end = begin + hours * 60
    values[begin:end] *= factor
    said = alert_of(values, begin)[1]
    course, long = said.course[0], hours * 60 - 1
    assert (course[:long] == AWAY).mean() > 0.995
    assert course[long : long + 2].tolist() == [RETURNED, RETURNED], "and what ends it is its way back"
    assert not (course[long + 5 :] == AWAY).any()


@pytest.mark.parametrize("hour", [2, 14])
def test_while_an_alert_lasts_what_is_expected_is_what_was_left(hour):
    usual, values, begin = traffic(14), traffic(14), 10 * DAY + hour * 60
    lasts = slice(begin + 1, begin + 6 * 60)
    values[begin : lasts.stop] = 0.0
    said, many = alert_of(values, begin)[1], lasts.stop - lasts.start
    expected, lower, upper = (part[0, :many] for part in (said.expected, said.lower, said.upper))
    assert np.abs(expected / usual[lasts] - 1.0).max() < 0.35
    assert ((lower < expected) & (expected < upper)).all()
    assert (values[lasts] < lower).all()
    state = learnt(values)
    followed = advance(state, times(KNOWN, lasts.stop), values[None, KNOWN : lasts.stop]).opinions.expected[0, -120:]
    assert np.median(np.abs(followed)) < 2, "without an alert it soon is where the series is"


@pytest.mark.parametrize("make", [flat, traffic])
@pytest.mark.parametrize("pause", [10, 25])
def test_a_second_outage_soon_after_the_first_is_followed_to_its_end(make, pause):
    values, first = make(11), 10 * DAY + 600
    second = first + 30 + pause
    values[first : first + 30] = values[second : second + 90] = 0.0
    course = advance(learnt(values), times(KNOWN, len(values)), values[None, KNOWN:]).opinions.course[0]
    assert (course[second - KNOWN : second - KNOWN + 90] == AWAY).mean() > 0.95
    assert (course[second - KNOWN + 95 :] == AWAY).sum() <= 3


@pytest.mark.parametrize("make", [flat, traffic])
def test_an_alert_of_days_teaches_nothing_and_the_noise_after_it_is_usual(make):
    values, begin = make(15), 10 * DAY + 600
    values[begin : begin + 3 * DAY] = 0.0
    before = advance(learnt(values), times(KNOWN, begin + 1), values[None, KNOWN : begin + 1]).state
    state, said = advance(
        before, times(begin + 1, begin + 3 * DAY), values[None, begin + 1 : begin + 3 * DAY], hold=ON_HOLD
    )
    rest = int(before.since[0]) + DAY
    assert 0.9 < state.mass[0] / before.mass[0] < (before.mass[0] + rest) / before.mass[0], "the day it began, no more"
    assert state.center[0] == pytest.approx(before.center[0], abs=0.1 * float(before.spread[0]))
    after = advance(state, times(begin + 3 * DAY, len(values)), values[None, begin + 3 * DAY :]).opinions
    assert (np.abs(after.sigma[0, 60:]) >= 3.5).sum() <= 1
    assert (said.course == AWAY).all()


def test_where_it_has_been_for_a_week_is_its_normal_and_to_be_back_lasts_for_no_time():
    values, begin = flat(21), 10 * DAY + 600
    values[begin : 19 * DAY + 600] += 40.0
    state, said = alert_of(values, begin)
    course = said.course[0]
    settled = 18 * DAY - begin - 1
    assert (course[:settled] == AWAY).all()
    assert (course[settled : settled + 40] == SETTLED).all()
    assert not (course[settled + 40 :] == AWAY).any(), "its old level neither"
    assert np.isnan(state.anchor[0, LEFT])
    quiet = said.sigma[0, settled : 19 * DAY + 600 - begin - 1]
    assert (np.abs(quiet) >= 3.5).mean() < 0.001


def test_an_incident_within_a_week_of_unrest_is_not_its_normal():
    known = learnt(flat(10))
    age, day = known.age[0], known.grid.a_day
    old, new = age - 8 * day, age - 60
    away = {"anchor": np.array([[0.0, 9.0, 1.0, 9.0, np.nan, np.nan]]), "unrest": np.array([[0.0, 2.0]])}
    for begun, settles in (((old, old), True), ((new, old), False), ((old, new), False)):
        after = settled_by_itself(replace(known, **away, anchor_begun=np.array([begun])))
        assert np.isnan(after.anchor[0, LEFT]) == settles


@pytest.mark.parametrize("seed", range(4))
def test_noise_that_grew_is_one_alert(seed):
    values, begin = flat(12, seed), 10 * DAY + 600
    values[begin : begin + 360] = 50.0 + 4.0 * (values[begin : begin + 360] - 50.0)
    free = advance(learnt(values), times(KNOWN, len(values)), values[None, KNOWN:]).opinions
    begin += int(np.argmax(np.abs(free.sigma[0, begin - KNOWN :]) >= 3))
    said = alert_of(values, begin)[1]
    end = 10 * DAY + 960 - begin
    assert (said.course[0, 30 : end - 10] == AWAY).mean() > 0.98
    assert not (said.course[0, end + 60 :] == AWAY).any()


def test_what_moves_again_after_an_outage_is_no_unrest():
    values, begin = flat(14), 10 * DAY + 600
    values[begin : begin + DAY] = 0.0
    said = alert_of(values, begin)[1]
    assert (said.course[0, DAY + 5 :] == AWAY).sum() <= 3, "no more than a sample that stands out by itself"


@pytest.mark.parametrize("lead", [1, 5, 60])
@pytest.mark.parametrize("idle", [DAY, 5000])
def test_a_series_that_idled_when_its_history_began_is_learnt_anew_once_it_moves(lead, idle):
    values = np.random.default_rng(lead).poisson(30.0, 9 * DAY).astype(float)
    values[lead : lead + idle], values[-10:] = 0.0, 0.0
    state, said = advance(AutoState.empty(1, 60.0), times(0, len(values)), values[None])
    assert state.age[0] < 8 * DAY, "what was before is forgotten"
    assert np.nanmax(np.abs(said.sigma[0, -10:])) >= 3.5


@pytest.mark.parametrize("gap", [0, 2 * DAY])
def test_an_outage_at_midnight_or_after_a_gap_is_no_reason_to_forget(gap):
    values, begin = flat(16), 12 * DAY
    values[begin - gap : begin], values[begin:] = np.nan, 0.0
    state, said = alert_of(values, begin)
    assert state.age[0] == len(values)
    assert (said.course == AWAY).all()


def test_a_few_moves_are_no_reason_to_forget():
    values = np.zeros(9 * DAY)
    values[::97] = 1.0
    values[5 * DAY : 5 * DAY + 200] = np.random.default_rng(0).poisson(20.0, 200)
    state = advance(AutoState.empty(1, 60.0), times(0, len(values)), values[None]).state
    assert state.age[0] == len(values)
