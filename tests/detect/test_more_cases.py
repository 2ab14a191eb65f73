"""What each method beside `auto` must find, and what it must leave alone."""

import re

import numpy as np
import pytest

from tocsin.detect import Context, Policy, backtest, follow, judge, told_at
from tocsin.detect.more import drift
from tocsin.detect.more.capacity import pace_of
from tocsin.detect.more.drift import A_DAY, trend_of
from tocsin.detect.more.isolation_forest import LAG
from tocsin.detect.more.outlier import standing
from tocsin.detect.more.trees import flattened, grown, scored

DAY = 1440
START = 1_700_006_400.0  # a midnight, UTC


def times(columns, step=60.0):
    return START + np.arange(columns) * step


def noise(columns, seed=0, size=1.0):
    return size * np.random.default_rng(seed).standard_normal(columns)


def daily(days, seed=0):
    at = np.arange(days * DAY)
    return 50.0 + 10.0 * np.sin(at / DAY * 2 * np.pi) + noise(len(at), seed)


def flagged(values, method, **more):
    return np.flatnonzero(backtest(times(np.shape(values)[-1]), values, (method,), **more).flags)


LEAK = np.maximum(0, np.arange(14 * DAY) - 8 * DAY) / (6 * DAY) * 20


@pytest.mark.parametrize("sign", [1, -1])
def test_a_slow_leak_over_six_days_is_found_within_them(sign):
    found = flagged(daily(14) + sign * LEAK, "drift")
    assert 8 * DAY < found[0] < 14 * DAY
    assert np.sign(backtest(times(14 * DAY), daily(14) + sign * LEAK, ("drift",)).sigma[found[0]]) == sign


def test_a_leak_under_a_sawtooth_is_found_by_its_lows():
    saw = np.arange(14 * DAY) % 2448 / 200 + noise(14 * DAY, size=0.2)
    rising = saw + np.maximum(0, np.arange(14 * DAY) - 4 * DAY) / DAY * 3.0
    assert not flagged(saw, "drift").size
    assert flagged(rising, "drift").size


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(noise(30 * DAY, 1), id="noise"),
        pytest.param(daily(30, 2), id="daily season"),
        pytest.param(np.arange(14 * DAY) % 360 / 36 + noise(14 * DAY, size=0.2), id="sawtooth of six hours"),
        pytest.param(np.arange(14 * DAY) % 2448 / 200 + noise(14 * DAY, size=0.2), id="sawtooth of 1.7 days"),
        pytest.param(daily(14) + 15 * (np.arange(14 * DAY) > 8 * DAY), id="shift up"),
        pytest.param(daily(14) - 15 * (np.arange(14 * DAY) > 8 * DAY), id="shift down"),
        pytest.param(np.full(14 * DAY, 5.0), id="constant"),
        pytest.param(1e6 + noise(14 * DAY, size=1e-9), id="constant and float noise"),
        pytest.param(daily(28) - 30 * ((np.arange(28 * DAY) // DAY) % 7 >= 5), id="weekends"),
        pytest.param(np.random.default_rng(3).poisson(0.05, 14 * DAY).astype(float), id="rare counts"),
    ],
)
def test_what_is_no_drift(values):
    assert not flagged(values, "drift").size


@pytest.mark.parametrize("gap", [3, 180, 3 * DAY])
@pytest.mark.parametrize("method", ["drift", "seasonal", "capacity"])
def test_a_gap_is_no_alarm_afterwards(method, gap):
    values = daily(14, seed=2)
    values[8 * DAY : 8 * DAY + gap] = np.nan
    context = Context(limit=200.0)
    assert np.isnan(backtest(times(14 * DAY), values, (method,), context=context).sigma[8 * DAY]).all()
    assert flagged(values, method, context=context, policy=Policy(sigma=4.0)).size == 0


def test_a_week_long_sawtooth_is_left_alone_once_it_was_seen():
    saw = np.arange(28 * DAY) % (7 * DAY) / 200 + noise(28 * DAY, size=0.2)
    found = flagged(saw, "drift")
    assert (found < 7.5 * DAY).all(), "only the first rise, of which nobody can know that it will end"


def test_the_words_of_a_drift_say_how_fast():
    values = (daily(14) + LEAK)[None]
    rules = {"new": 14 * DAY, "window": DAY, "relearn": 60, "methods": ("drift",), "step_s": 60.0}
    scores = follow(times(14 * DAY), values, **rules).scores
    (said,) = told_at(scores, 0, 13 * DAY)
    slope, days = re.fullmatch(r"rising by ([\d.]+) a day for (\d+) days", said).groups()
    assert 2.5 < float(slope) < 4.5
    assert int(days) in drift.WINDOWS
    assert re.match(r"rising by [\d.]+ points a day for", told_at(scores, 0, 13 * DAY, "percent")[0])
    assert re.match(r"rising by [\d.]+ B a day for", told_at(scores, 0, 13 * DAY, "bytes")[0])
    assert told_at(scores, 0, 5 * DAY) == ()


def test_the_slope_is_the_median_of_those_between_equal_times_of_day():
    rng = np.random.default_rng(4)
    cells = rng.standard_normal((3, 6 * A_DAY)) + np.arange(6 * A_DAY) * 0.3
    cells[1, 5:9] = np.nan
    for row, found in zip(cells, trend_of(cells).slope, strict=True):
        slopes = [
            (row[j] - row[i]) / (j - i)
            for i in range(len(row))
            for j in range(i + A_DAY, len(row), A_DAY)
            if not np.isnan(row[i] + row[j])
        ]
        assert found == pytest.approx(np.median(slopes), rel=1e-9)


def fleet(columns, count=6, seed=0):
    """Series of different levels that follow one daily swing, each with noise of its own."""
    at = np.arange(columns)
    rng = np.random.default_rng(seed)
    swing = 1.0 + 0.3 * np.sin(at / DAY * 2 * np.pi)
    levels = np.array([10.0, 12.0, 15.0, 20.0, 40.0, 80.0])[:count, None]
    return levels * swing * (1.0 + 0.02 * rng.standard_normal((count, columns)))


def test_one_series_unlike_its_peers_is_its_own_alert():
    values = fleet(3 * DAY)
    values[2, 2 * DAY : 2 * DAY + 30] *= 1.5
    flags = backtest(times(3 * DAY), values, ("outlier",)).flags
    assert flags[2, 2 * DAY : 2 * DAY + 30].all()
    flags[2, 2 * DAY : 2 * DAY + 30] = False
    assert flags.mean() < 1e-3


def test_a_series_that_does_not_follow_is_an_outlier():
    values = fleet(3 * DAY)
    values[3, int(2.5 * DAY) :] = values[3, int(2.5 * DAY)]
    flags = backtest(times(3 * DAY), values, ("outlier",)).flags
    assert flags[3, int(2.65 * DAY) : int(2.85 * DAY)].mean() > 0.9


@pytest.mark.parametrize("moved", [[0, 1, 2, 3, 4, 5], [0, 2, 3, 5], [1, 2, 3, 4]])
def test_where_most_peers_move_none_is_an_outlier(moved):
    values = fleet(3 * DAY)
    values[moved, 2 * DAY : 2 * DAY + 30] *= 2.0
    flags = backtest(times(3 * DAY), values, ("outlier",), policy=Policy(sigma=4.0)).flags
    assert not flags[:, 2 * DAY : 2 * DAY + 30].any()


def test_four_series_have_too_few_peers():
    values = fleet(2 * DAY, count=4)
    assert np.isnan(backtest(times(2 * DAY), values, ("outlier",)).sigma).all()


def test_standing_is_the_distance_from_the_median():
    values = fleet(50)
    values[0, 3] = np.nan
    found = standing(values)
    for column in range(50):
        here = values[:, column]
        middle = np.median(here[~np.isnan(here)])
        assert found.middle[column] == pytest.approx(middle)
        assert np.allclose(found.apart[:, column], here - middle, equal_nan=True)
        assert np.allclose(found.times[:, column], np.log(here / middle), equal_nan=True)


def absent(values, step=60.0, policy=None, **more):
    at = times(len(values), step)
    rules = {"new": len(values), "window": DAY, "relearn": 60, "step_s": step, "methods": ("absence",)}
    scores = follow(at, values[None], **rules, **more).scores
    return scores, np.flatnonzero(judge(scores, values[None], policy or Policy()).flags[0])


@pytest.mark.parametrize(("gap", "found"), [(2, False), (3, True), (180, True), (3 * DAY, True)])
def test_a_series_that_stops_is_missed_from_the_third_step_on(gap, found):
    values = noise(8 * DAY)
    values[4 * DAY : 4 * DAY + gap] = np.nan
    scores, flags = absent(values)
    assert list(flags) == (list(range(4 * DAY + 2, 4 * DAY + gap)) if found else [])
    assert scores.missing[0, flags].all()
    assert np.isnan(scores.expected[0, flags]).all()
    assert (scores.sigma[0, 4 * DAY + gap :] == 0.0).all()


def test_gaps_that_are_usual_are_not_missed():
    values = np.full(8 * DAY, np.nan)
    values[::10] = 1.0
    assert not absent(values)[1].size
    values[6 * DAY : 6 * DAY + 60] = np.nan
    flags = absent(values)[1]
    assert flags.size
    assert flags[0] == 6 * DAY + 20, "the third in a row"


def test_one_outage_does_not_make_the_next_usual():
    values = noise(8 * DAY)
    values[3 * DAY : 3 * DAY + 100] = np.nan
    values[5 * DAY : 5 * DAY + 100] = np.nan
    flags = absent(values)[1]
    assert 5 * DAY + 5 in flags


@pytest.mark.parametrize(
    ("before", "said"),
    [
        pytest.param([], "regularly until now", id="no gap"),
        pytest.param([30], r"regularly until now, with one gap of at most (\S+) min", id="one gap"),
        pytest.param([30, 30], r"usually after gaps of at most (\S+) min", id="two gaps"),
    ],
)
def test_the_words_of_an_absence_say_which_gaps_there_were_before(before, said):
    values = noise(8 * DAY)
    for day, gap in enumerate(before, 1):
        values[day * DAY : day * DAY + gap] = np.nan
    values[5 * DAY : 5 * DAY + 100] = np.nan
    (words,) = told_at(absent(values)[0], 0, 5 * DAY + 99)
    last = str(np.datetime64(int(times(5 * DAY)[-1]), "s")).replace("T", " ")[:16]
    found = re.fullmatch(rf"no sample for 1.667 h, the last one came at {last} UTC; they came {said}", words)
    assert found, words
    for longest in found.groups():
        assert 30 <= float(longest) <= 30 * 1.25


def test_the_words_of_an_absence_name_the_last_sample_in_whatever_zone_and_parts():
    values = noise(8 * DAY)
    values[5 * DAY :] = np.nan
    rules = {"window": DAY, "relearn": 60, "step_s": 60.0, "methods": ("absence",), "utc_offset_s": 7200.0}
    before = follow(times(6 * DAY), values[None, : 6 * DAY], new=6 * DAY, **rules).learnt
    last = str(np.datetime64(int(times(5 * DAY)[-1]), "s")).replace("T", " ")[:16]
    for end in (6 * DAY + 1, 7 * DAY, 8 * DAY):
        part, at = values[None, 5 * DAY : end], times(end)[5 * DAY :]
        scores = follow(at, part, new=end - 6 * DAY, learnt=before, **rules).scores
        (words,) = told_at(scores, 0, end - 6 * DAY - 1)
        assert re.match(rf"no sample for \d[.\d]* days, the last one came at {last} UTC; they came", words)


def test_a_time_in_which_nobody_could_look_is_no_absence():
    values = noise(2 * DAY)
    values[DAY : DAY + 100] = np.nan
    assert not absent(values, context=Context(blind=True))[1].size


def test_what_never_came_is_not_missed():
    assert not absent(np.full(DAY, np.nan))[1].size


def test_the_same_time_of_day_is_expected():
    values = daily(10)
    values[8 * DAY + 600 : 8 * DAY + 630] += 12.0
    found = flagged(values, "seasonal")
    assert set(range(8 * DAY + 600, 8 * DAY + 630)) <= set(found)
    assert len(found) < 60
    result = backtest(times(10 * DAY), values, ("seasonal",))
    assert np.isnan(result.sigma[: 2 * DAY]).all(), "two days are needed"
    assert not np.isnan(result.sigma[2 * DAY :]).any()


def test_the_weekend_is_expected_once_two_weeks_are_known():
    values = daily(28) - 30.0 * ((np.arange(28 * DAY) // DAY) % 7 >= 5)
    found = flagged(values, "seasonal", policy=Policy(sigma=4.0))
    assert (found < 14 * DAY).all()
    broken = values.copy()
    broken[26 * DAY + 600 : 26 * DAY + 660] += 30.0  # a Saturday like a weekday
    assert 26 * DAY + 610 in flagged(broken, "seasonal")


def test_the_clock_change_moves_the_season_with_the_time_zone():
    days = 20
    at = times(days * DAY)
    offset = np.where(np.arange(days * DAY) < 12 * DAY, 0.0, 3600.0)
    minute = ((at + offset) // 60 % DAY).astype(int)
    values = 20.0 * ((minute >= 540) & (minute < 720)) + noise(days * DAY, seed=9)
    rules = {"new": len(at), "window": DAY, "relearn": 60, "step_s": 60.0, "methods": ("seasonal",)}
    local = follow(at, values[None], utc_offset_s=offset, **rules).scores
    nine = np.flatnonzero(minute == 545)
    late = nine[nine > 13 * DAY]
    assert np.abs(local.expected[0, late] - 20.0).max() < 4.0
    assert not (np.abs(local.sigma[0, 13 * DAY :]) > 5.0).any()


@pytest.mark.parametrize(("limit", "sign"), [(100.0, 1), (0.0, -1)])
def test_a_disk_that_fills_is_told_with_a_range_of_dates_that_holds(limit, sign):
    at = np.arange(14 * DAY)
    values = 50.0 + sign * (at / DAY * 3.0 + 3.0 * np.sin(at / DAY * 2 * np.pi)) + noise(len(at), size=0.3)
    rules = {"new": len(at), "window": DAY, "relearn": 60, "methods": ("capacity",), "step_s": 60.0}
    scores = follow(times(len(at)), values[None], context=Context(limit=limit), **rules).scores
    found = np.flatnonzero(np.abs(scores.sigma[0]) >= 3.0)
    true = START + 50.0 / 3.0 * 86400.0
    assert true - times(len(at))[found[0]] < 4.5 * 86400.0, "not before it is within the horizon"
    (said,) = told_at(scores, 0, int(found[-1]))
    first, last = re.search(r"between (\S+ \S+) and (\S+ \S+) UTC \(90 % interval\)", said).groups()
    early, late = (np.datetime64(one.replace(" ", "T")).astype("datetime64[s]").astype(float) for one in (first, last))
    assert early <= true <= late
    assert late - early < 2 * 86400.0


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(60.0 + noise(14 * DAY, size=0.3), id="flat"),
        pytest.param(60.0 + 20.0 * np.sin(np.arange(14 * DAY) / DAY * 2 * np.pi), id="daily season"),
        pytest.param(50.0 + np.arange(14 * DAY) % DAY / DAY * 30.0, id="log rotation"),
        pytest.param(60.0 + np.cumsum(noise(14 * DAY, 3, 0.05)), id="wandering"),
        pytest.param(np.full(14 * DAY, 99.9), id="constant near the limit"),
        pytest.param(50.0 + np.arange(DAY - 60) / 36, id="less than a day of history"),
    ],
)
def test_capacity_is_silent_when_flat_or_unsure(values):
    assert not flagged(values, "capacity", context=Context(limit=100.0)).size


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.full(14 * DAY, 1.0), id="availability"),
        pytest.param(np.where(np.arange(14 * DAY) < DAY, 1.4, 0.2 + np.arange(14 * DAY) / DAY * 0.06), id="no ratio"),
    ],
)
def test_an_inferred_limit_is_not_believed_where_the_series_stands_at_it_or_lay_beyond(values):
    assert not flagged(values, "capacity", context=Context(inferred_limit=1.0)).size
    assert flagged(values, "capacity", context=Context(upper_limit=1.0)).size


def test_a_limit_that_is_given_takes_the_place_of_an_inferred_one():
    values = 40.0 + np.arange(14 * DAY) / DAY * 3.0 + noise(14 * DAY, size=0.1)
    for context in (Context(inferred_limit=100.0, limit=500.0), Context(inferred_limit=100.0, upper_limit=500.0)):
        assert not flagged(values, "capacity", context=context).size
    assert flagged(values + 20.0, "capacity", context=Context(inferred_limit=100.0)).size


def test_a_saw_of_three_days_is_silent_once_it_fell_back():
    values = 50.0 + np.arange(14 * DAY) % (3 * DAY) / DAY * 10.0
    assert (flagged(values, "capacity", context=Context(limit=100.0)) < 3.5 * DAY).all()


def test_what_stands_at_its_limit_goes_on_being_told():
    values = np.minimum(100.0, 70.0 + np.arange(14 * DAY) / DAY * 5.0)
    found = flagged(values, "capacity", context=Context(limit=100.0))
    assert (np.diff(found) == 1).all()
    assert found[-1] == 14 * DAY - 1


def test_the_pace_is_the_median_slope_and_its_interval_holds_it():
    inside = 0
    for seed in range(60):
        pace = pace_of(0.5 * np.arange(72.0) + noise(72, seed, 2.0))
        assert pace.low <= pace.slope <= pace.high
        inside += pace.low <= 0.5 <= pace.high
    assert inside >= 50, "a 90 % interval"
    x = noise(24, 5)
    naive = np.median([(x[j] - x[i]) / (j - i) for i in range(24) for j in range(i + 1, 24)])
    assert pace_of(x).slope == pytest.approx(naive)


def test_the_arrays_score_as_the_forest_does():
    from sklearn.ensemble import IsolationForest

    windows = np.random.default_rng(2).standard_normal((192, LAG)).astype(np.float32)
    forest = IsolationForest(n_estimators=24, max_samples=64, random_state=0).fit(windows)
    new = np.random.default_rng(3).standard_normal((40, LAG)).astype(np.float32) * 2
    trees = grown(windows)
    stacked = type(trees)(*(part[None] for part in trees))
    path = scored(stacked, new[None])[0]
    from tocsin.detect.more.trees import average_path

    assert np.allclose(2.0 ** (-path / average_path(np.array([64.0]))), -forest.score_samples(new), atol=1e-5)
    assert all(np.array_equal(a, b) for a, b in zip(flattened(forest), trees, strict=True))


def test_a_shape_that_never_was_is_isolated():
    values = daily(8)
    values[6 * DAY + 700 : 6 * DAY + 760] += np.where(np.arange(60) % 2, 12.0, -12.0)
    flags = backtest(times(8 * DAY), values, ("isolation_forest",)).flags
    assert flags[6 * DAY + 706 : 6 * DAY + 760].mean() > 0.5
    flags[6 * DAY + 690 : 6 * DAY + 800] = False
    assert flags.sum() < 40


@pytest.mark.parametrize("method", ["forecast", "prophet"])
def test_what_was_foretold_is_expected(method):
    values = daily(8)[::10]
    values[6 * 144 + 70 : 6 * 144 + 74] += 15.0
    result = backtest(times(8 * 144, 600.0), values, (method,), step_s=600.0)
    assert np.isnan(result.sigma[: 2 * 144]).all(), "two days are needed"
    assert result.flags[6 * 144 + 70 : 6 * 144 + 74].all()
    assert result.flags.sum() < 20
    smooth = 50.0 + 10.0 * np.sin(np.arange(8 * 144) / 144 * 2 * np.pi)
    late = slice(4 * 144, None)
    assert np.nanmedian(np.abs(result.expected - smooth)[late]) < 1.5
