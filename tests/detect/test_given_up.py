"""Midnights on which something is missing, given up or nearly forgotten: series that stand still, have gaps, glitch."""

import numpy as np
import pytest

from tocsin.detect import AutoState
from tocsin.detect.auto import advance
from tocsin.detect.follow import follow

DAY = 86400.0
MONDAY = 19723 * DAY


def through(times, values, step, window, size):
    """In calls of ``size`` columns, each with the window before it."""
    learnt, learn, said = None, np.zeros((len(values), 0), bool), []
    for start in range(0, len(times), size):
        stop, low = min(len(times), start + size), max(0, start - window)
        result = follow(
            times[low:stop],
            values[:, low:stop],
            new=stop - start,
            window=window,
            relearn=3,
            learn=learn[:, learn.shape[1] - (start - low) :],
            learnt=learnt,
            step_s=step,
        )
        learnt, learn = result.learnt, result.learn
        said.append(result.scores.sigma)
    return np.hstack(said)


@pytest.mark.parametrize("size", [12, 288])
def test_a_series_that_auto_gives_up_is_judged_by_the_named_methods_from_that_midnight_on(size):
    rng = np.random.default_rng(0)
    times = MONDAY + np.arange(7 * 288) * 300.0
    values = 5.0 + 1e-6 * rng.standard_normal(len(times))
    values[3 * 288 :] = 100.0 + 20.0 * rng.standard_normal(4 * 288)
    values[4 * 288 + 60 : 4 * 288 + 64] = 2000.0
    whole = through(times, values[None], 300.0, 60, len(times))
    np.testing.assert_array_equal(through(times, values[None], 300.0, 60, size), whole)
    assert not np.isnan(whole[0, 4 * 288 + 8 :]).any()
    assert whole[0, 4 * 288 + 60] > 4.0


def test_samples_in_a_marked_window_are_no_birth_in_whatever_parts():
    rng = np.random.default_rng(1)
    times, values = MONDAY + np.arange(300) * 60.0, 100.0 + 5.0 * rng.standard_normal((1, 300))
    values[0, 40:70] += 150.0
    mute = np.zeros((1, 300), bool)
    mute[0, :40] = True
    given = {"window": 60, "relearn": 3, "step_s": 60.0}
    whole = follow(times, values, new=300, mute=mute, **given).scores.sigma
    first = follow(times[:40], values[:, :40], new=40, mute=mute[:, :40], **given)
    rest = follow(times, values, new=260, mute=mute, learn=first.learn, learnt=first.learnt, **given)
    np.testing.assert_array_equal(rest.scores.sigma, whole[:, 40:])


def office(times, rng):
    """Busy from eight to six, not on weekends."""
    hour, weekday = times % DAY / 3600.0, times // DAY % 7 - MONDAY // DAY % 7
    busy = (hour >= 8) & (hour < 18) & (weekday % 7 < 5)
    return np.where(busy, 200.0, 20.0) * (1.0 + 0.05 * rng.standard_normal(len(times)))


@pytest.mark.parametrize("lost", [[15], [16], [14, 15], []])
def test_days_of_which_no_column_came_leave_the_weekdays_in_their_places(lost):
    times = MONDAY + np.arange(24 * 288) * 300.0
    values = office(times, np.random.default_rng(2))
    kept = ~np.isin((times - MONDAY) // DAY, lost)
    times, values = times[kept], values[kept]
    sigma = advance(AutoState.empty(1, 300.0), times, values[None]).opinions.sigma[0]
    later = times >= MONDAY + 17 * DAY
    assert (np.abs(sigma[later]) >= 3.0).sum() <= 2


@pytest.mark.parametrize(("step", "opens", "closes"), [(3600.0, 8, 18), (1800.0, 9, 15)])
def test_a_series_with_few_samples_a_day_is_known_one_day_and_stays_known(step, opens, closes):
    times = MONDAY + np.arange(int(120 * DAY / step)) * step
    hour = times % DAY / 3600.0
    weekday = (times - MONDAY) // DAY % 7
    values = 100.0 + 5.0 * np.random.default_rng(3).standard_normal(len(times))
    values[~((hour >= opens) & (hour < closes) & (weekday < 5))] = np.nan
    ready = advance(AutoState.empty(1, step), times, values[None]).opinions.ready[0]
    seen = ~np.isnan(values) & (times >= MONDAY + 40 * DAY)
    assert ready[seen].all()


@pytest.mark.parametrize("hours", [4, 12, 24])
def test_one_outlier_in_a_long_step_makes_nothing_forgotten(hours):
    columns = 300
    times = MONDAY + np.arange(columns) * hours * 3600.0
    values = 100.0 + 5.0 * np.random.default_rng(4).standard_normal(columns)
    values[280] = 1e4
    assert advance(AutoState.empty(1, hours * 3600.0), times, values[None]).state.ready.all()


def test_a_glitch_in_the_first_hour_blinds_nobody():
    times = MONDAY + np.arange(16 * 1440) * 60.0
    values = 1000.0 + 10.0 * np.random.default_rng(5).standard_normal(len(times))
    values[5], values[15 * 1440 : 15 * 1440 + 30] = 2.0**64, 0.0
    sigma = advance(AutoState.empty(1, 60.0), times, values[None]).opinions.sigma[0]
    assert np.nanmax(np.abs(sigma[15 * 1440 : 15 * 1440 + 30])) > 5.5


def test_an_hour_beside_unseen_ones_is_as_wide_as_the_others():
    times = MONDAY + np.arange(10 * 1440) * 60.0
    hour = times % DAY // 3600.0
    values = 100.0 + 5.0 * np.random.default_rng(6).standard_normal(len(times))
    values[~((hour >= 9) & (hour < 17))] = np.nan
    scale = advance(AutoState.empty(1, 60.0), times, values[None]).state.scale[0, 0, 9:17]
    assert scale.min() > 0.9 * scale.max()
