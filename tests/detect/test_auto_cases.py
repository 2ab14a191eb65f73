"""More cases that users meet, each with the sample at which it is to be told and how little else."""

import numpy as np
import pytest
from tests.detect.test_auto import DAY, alerts, changed, daily, noise, times

from tocsin.detect import Policy, backtest, follow

PERCENT = Policy(lower_bound=0.0, upper_bound=100.0)


def busy(days, seed=0):
    """A percentage with a daily swing between 50 and 70."""
    return 60.0 + 10.0 * np.sin(np.arange(days * DAY) / DAY * 2 * np.pi) + noise(days * DAY, seed)


@pytest.mark.parametrize("hours", [1, 5, 24, 72])
def test_a_percentage_that_is_pinned_at_its_limit_is_told_when_it_begins_and_floods_nothing(hours):
    begin, end = 8 * DAY + 600, 8 * DAY + 600 + hours * 60
    values = busy(14)
    values[begin:end] = 100.0
    calm = alerts(busy(14), after=2 * DAY, policy=PERCENT)
    got = [one for one in alerts(values, after=2 * DAY, policy=PERCENT) if one not in calm]
    assert got[0] == begin
    assert all(abs(one - end) <= 120 for one in got[1:]), "beside that only its end may be told"
    assert len(got) <= 3


def test_a_percentage_that_was_always_at_its_limit_is_told_when_it_falls():
    values = np.full(7 * DAY, 100.0)
    assert alerts(values, after=0, policy=PERCENT) == []
    values[3 * DAY : 3 * DAY + 20] = 60.0
    assert alerts(values, after=0, policy=PERCENT) == [3 * DAY]


def nightly(minutes, days=21):
    """A batch at two each night that comes 30 above the swing of the day."""
    values = daily(days, seed=7)
    for day in range(days):
        values[day * DAY + 120 : day * DAY + 120 + minutes] += 30.0
    return values


def flags(values):
    return backtest(times(len(values)), values).flags


@pytest.mark.parametrize("minutes", [20, 60, 180])
def test_of_a_nightly_batch_that_is_known_only_the_edges_stand_out(minutes):
    """What is told of them, and that they recur, is the dial's and a person's to say: see docs/detection.md."""
    night = flags(nightly(minutes))[7 * DAY :].reshape(-1, DAY)
    edges = np.zeros(DAY, bool)
    edges[120:123] = edges[120 + minutes : 123 + minutes] = True
    assert night[:, edges].sum(axis=1).max() <= 6
    assert night[:, ~edges].sum() <= 3, "fourteen nights and days"


def recurring(kind, days):
    """What happens at the same minute of each day, with hardly any noise beside it."""
    day, rng = np.arange(days * DAY) / DAY, np.random.default_rng(2)
    if kind == "age of the last backup":
        return (day - 3.0 / 24) % 1.0 * 86400.0 + rng.uniform(0.0, 20.0, days * DAY)
    if kind == "on from eight to eight":
        return ((day * 24 % 24 >= 8) & (day * 24 % 24 < 20)).astype(float)
    return 50.0 + day % 1.0 * 8.0 + np.cumsum(rng.normal(0.0, 0.002, days * DAY))


@pytest.mark.parametrize("kind", ["age of the last backup", "on from eight to eight", "cleaned up at midnight"])
def test_what_happens_at_the_same_minute_each_day_is_not_told(kind):
    assert alerts(recurring(kind, 28), after=14 * DAY) == []


@pytest.mark.parametrize(("kind", "minute"), [("age of the last backup", 180), ("cleaned up at midnight", 0)])
def test_that_it_did_not_happen_is_told(kind, minute):
    values, due = recurring(kind, 21), 18 * DAY + minute
    still = changed(values, due, due + 60, values[due - 1] - values[due])
    got = alerts(still, after=14 * DAY)
    assert got
    assert due <= got[0] < due + 15


@pytest.mark.parametrize("minutes", [20, 60, 180])
def test_a_nightly_batch_that_lasts_longer_is_told_where_it_should_have_ended(minutes):
    values, end = nightly(minutes), 18 * DAY + 120 + minutes
    longer = changed(values, end, end + 90, 30.0)
    usual, found = flags(values)[end : end + 90], flags(longer)[end : end + 90]
    assert usual.sum() <= 3
    assert found[:10].any()
    assert found.sum() > usual.sum()


@pytest.mark.parametrize("minutes", [20, 60, 180])
def test_a_nightly_batch_that_comes_higher_is_told_at_once(minutes):
    values, begin = nightly(minutes), 18 * DAY + 120
    higher = changed(values, begin, begin + minutes, 40.0)
    whole = backtest(times(len(values)), values).sigma[begin : begin + 5]
    more = backtest(times(len(values)), higher).sigma[begin : begin + 5]
    assert more.max() > whole.max() + 0.3
    assert flags(higher)[begin : begin + 10].sum() > flags(values)[begin : begin + 10].sum()


@pytest.mark.parametrize("method", ["auto", ("zscore", "iqr", "mad", "rate_change")])
def test_a_leak_is_left_to_the_method_that_is_for_it_and_a_restart_of_it_is_told(method):
    """A leak of six days that ends with a restart: the fall is told, the way up is not."""
    values = daily(14, seed=3) + np.maximum(0, np.arange(14 * DAY) - 4 * DAY) / (6 * DAY) * 20
    values[10 * DAY :] -= 20.0 * np.maximum(0, np.arange(4 * DAY) + 6 * DAY) / (6 * DAY)
    got = alerts(values, after=4 * DAY, methods=method)
    assert any(abs(one - 10 * DAY) <= 2 for one in got)
    if method == "auto":
        assert all(abs(one - 10 * DAY) <= 60 for one in got)


def test_late_and_duplicate_samples_change_nothing_for_the_others():
    """Rows that come again or too late are left out; what is said of the rest is what is said without them."""
    values = changed(daily(4, seed=5), 3 * DAY, 3 * DAY + 10, 20.0)
    at, clean = times(4 * DAY), np.ones(4 * DAY, bool)
    late = [1500, 2400, 2401, 4000, 3 * DAY + 3]
    at = np.insert(at, late, [at[1490], at[2399], at[2300], at[3999], at[3 * DAY + 2]])
    given = np.insert(values, late, [900.0, -900.0, 900.0, 0.0, 50.0])
    clean = np.insert(clean, late, np.zeros(5, bool))
    got, want = backtest(at, given), backtest(times(4 * DAY), values)
    assert np.isnan(got.sigma[~clean]).all()
    assert not got.flags[~clean].any()
    for name in ("sigma", "expected", "lower", "upper", "flags"):
        part = getattr(got, name)[clean]
        assert np.array_equal(part, getattr(want, name), equal_nan=part.dtype.kind == "f"), name


def test_a_known_series_without_a_sample_in_sight_has_no_opinion_drawn():
    columns = 3 * DAY
    values = 20.0 + np.random.default_rng(0).standard_normal((2, columns))
    learnt = follow(times(columns), values, new=columns, window=60, relearn=3, step_s=60.0).learnt
    assert learnt.auto.ready.all()
    seen = np.full((2, 60), np.nan)
    seen[0] = 20.0
    drawn = learnt.score(times(columns + 60)[columns:], seen)
    for name in ("sigma", "expected", "lower", "upper"):
        assert np.isfinite(getattr(drawn, name)[0]).all(), name
        assert np.isnan(getattr(drawn, name)[1]).all(), name


@pytest.mark.parametrize("still", [60, 360, DAY])
def test_what_stood_still_at_first_is_measured_by_how_it_moves(still):
    """A service that is idle at first, then busy: an outage is as clear as if the idle time had not been."""
    rng = np.random.default_rng(still)
    values = 100.0 + 5.0 * rng.standard_normal(8 * DAY)
    values[:still] = 100.0
    values[-10:] = 0.0
    cut = values.copy()
    cut[:still] = np.nan
    known, never = (np.abs(backtest(times(len(values)), one).sigma[-10:]).max() for one in (values, cut))
    assert known > 5.0
    assert known == pytest.approx(never, abs=0.3)
