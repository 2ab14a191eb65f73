"""The default detector: the cases that its users meet, and what must hold of every series."""

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.detect import naive

from tocsin.detect import AWAY, SPEAKERS, AutoState, Policy, backtest, follow
from tocsin.detect.auto import advance
from tocsin.detect.auto.medians import mean_of_10, mean_of_30, median_of_3, median_of_5, median_of_9
from tocsin.detect.auto.precedent import MOST
from tocsin.detect.auto.ruler import BINS, BODY, FAR, LARGEST, LOWEST, RATIO, places, tails
from tocsin.detect.auto.state import Grid

DAY = 1440
START = 1_700_006_400.0  # a midnight, UTC


def times(columns, step=60.0):
    return START + np.arange(columns) * step


def noise(columns, seed=0, size=1.0):
    return size * np.random.default_rng(seed).standard_normal(columns)


def daily(days, seed=0):
    """A daily swing of ten with noise of one."""
    at = np.arange(days * DAY)
    return 50.0 + 10.0 * np.sin(at / DAY * 2 * np.pi) + noise(len(at), seed)


def alerts(values, after=DAY, step=60.0, **rules):
    """The first column of each group of flags, those of the first day aside: it is the named methods'."""
    flags = backtest(times(len(values), step), values, **rules).flags
    found = np.flatnonzero(flags)
    found = found[found >= after]
    return [int(one[0]) for one in np.split(found, np.flatnonzero(np.diff(found) > 30) + 1) if len(one)]


def changed(values, first, last, by):
    values = values.copy()
    values[first:last] += by
    return values


@pytest.mark.parametrize(
    ("values", "found"),
    [
        pytest.param(np.repeat([5.0, 7.0], [2 * DAY, DAY]), [2 * DAY], id="flat, then one step"),
        pytest.param(changed(np.zeros(14 * DAY), 12 * DAY, 12 * DAY + 10, 0.02), [12 * DAY], id="error ratio"),
        pytest.param(changed(daily(14), 9 * DAY, 14 * DAY, 15.0), [9 * DAY], id="level shift up"),
        pytest.param(changed(daily(14), 9 * DAY, 14 * DAY, -15.0), [9 * DAY], id="level shift down"),
        pytest.param(changed(daily(7), 6 * DAY, 6 * DAY + 3, 12.0), [6 * DAY], id="one week of history"),
        pytest.param(1e6 + noise(3 * DAY, size=1e-9), [], id="constant and float noise"),
        pytest.param((np.random.default_rng(5).random(5 * DAY) < 0.3).astype(float), [], id="two values only"),
        pytest.param(np.random.default_rng(6).poisson(20, 7 * DAY).astype(float), [], id="counts"),
        pytest.param(np.arange(10 * DAY) % 360 / 36 + noise(10 * DAY, size=0.2), [], id="sawtooth"),
        pytest.param(daily(14) + np.maximum(0, np.arange(14 * DAY) - 8 * DAY) / (6 * DAY) * 20, [], id="slow leak"),
        pytest.param(np.arange(9 * DAY) * 100.0 + noise(9 * DAY, size=3), [], id="steady ramp"),
    ],
)
def test_what_is_found_and_what_is_left_alone(values, found):
    got = alerts(values, after=2 * DAY)
    assert len(got) == len(found)
    assert all(abs(one - want) <= 2 for one, want in zip(got, found, strict=True))


def test_a_percentage_near_its_limit_alerts_when_it_drops():
    values = changed(np.minimum(100.0, 97.0 + noise(7 * DAY, size=3.0)), 5 * DAY, 5 * DAY + 20, -37.0)
    assert 5 * DAY in alerts(values, after=2 * DAY)
    result = backtest(times(len(values)), values, policy=Policy(upper_bound=100.0))
    assert np.nanmax(result.upper) <= 100.0


def test_rare_counts_stay_rare_alerts():
    values = np.random.default_rng(3).poisson(0.02, 14 * DAY).astype(float)
    values[10 * DAY] = 6
    got = alerts(values, after=2 * DAY, policy=Policy(sigma=3.5))
    assert any(abs(one - 10 * DAY) <= 1 for one in got)
    assert len(got) <= 6


def test_a_counter_that_resets_is_one_alert():
    values = np.cumsum(100.0 + noise(7 * DAY, size=10.0))
    values[5 * DAY :] -= values[5 * DAY]
    assert alerts(values, after=3 * DAY) == [5 * DAY]


@pytest.mark.parametrize("gap", [3, 180, 3 * DAY])
def test_a_gap_is_no_opinion_and_no_alarm_afterwards(gap):
    values = daily(14, seed=2)
    values[8 * DAY : 8 * DAY + gap] = np.nan
    result = backtest(times(len(values)), values)
    assert np.isnan(result.sigma[8 * DAY : 8 * DAY + gap]).all()
    assert alerts(values, after=3 * DAY) == []


def test_an_incident_of_five_hours_does_not_hide_the_next():
    values = changed(changed(daily(14), 5 * DAY, 5 * DAY + 300, 20.0), 12 * DAY, 12 * DAY + 20, 20.0)
    got = alerts(values, after=2 * DAY)
    assert got[0] == 5 * DAY
    assert got[-1] == 12 * DAY
    assert len(got) <= 3


def test_many_similar_incidents_are_still_found():
    values = np.tile(daily(14, seed=4), 2)[: 21 * DAY]
    where = np.sort(np.random.default_rng(4).choice(np.arange(2 * DAY, 21 * DAY - 60, 120), 43, replace=False))
    for one in where:
        values[one : one + 8] += 20.0
    got = np.array(alerts(values, after=2 * DAY))
    assert sum(bool((np.abs(got - one) <= 2).any()) for one in where) >= 38
    assert len(got) <= 48


def test_a_nightly_batch_does_not_hide_a_day_that_differs():
    values = daily(14, seed=7)
    for day in range(14):
        values[day * DAY + 120 : day * DAY + 125] += 30.0
    values = changed(values, 12 * DAY + 700, 12 * DAY + 720, 25.0)
    assert 12 * DAY + 700 in alerts(values, after=2 * DAY)


@pytest.mark.parametrize("unit", [1e-300, 1e-9, 1e300])
def test_huge_and_tiny_numbers(unit):
    values = unit * (5.0 + noise(3 * DAY, seed=8, size=0.1))
    values[2 * DAY] = 9 * unit
    result = backtest(times(len(values)), values)
    assert np.isfinite(result.sigma[8:]).all()
    assert result.flags[2 * DAY]


def test_the_clock_change_moves_the_day_with_the_time_zone():
    """A job at 09:00 local time is an hour earlier by UTC after the change: expected by local time."""
    days = 20
    at = times(days * DAY)
    offset = np.where(np.arange(days * DAY) < 12 * DAY, 0.0, 3600.0)
    minute = ((at + offset) // 60 % DAY).astype(int)
    values = 20.0 * ((minute >= 540) & (minute < 720)) + noise(days * DAY, seed=9)
    rules = {"new": len(at), "window": DAY, "relearn": 60, "step_s": 60.0}
    local = follow(at, values[None], utc_offset_s=offset, **rules).scores
    nine = np.flatnonzero(minute == 540)
    late = nine[nine > 13 * DAY]
    assert np.abs(local.expected[0, late] - 20.0).max() < 4.0
    utc = follow(at, values[None], **rules).scores
    assert np.abs(utc.expected[0, late[0]] - 20.0) > 10.0


def test_weekends_are_expected_once_two_were_seen():
    days = 28
    weekday = (np.arange(days * DAY) // DAY) % 7 < 5
    hours = np.arange(days * DAY) % DAY
    values = 40.0 * (weekday & (hours >= 480) & (hours < 1080)) + noise(days * DAY, seed=10)
    state = advance(AutoState.empty(1, 60.0), times(days * DAY), values[None]).state
    assert state.season[0] == 2


def test_late_and_duplicate_rows_have_no_opinion():
    at = times(3 * DAY)
    at[100], at[2000] = at[99], at[1500]
    result = backtest(at, daily(3))
    assert np.isnan(result.sigma[[100, 2000]]).all()
    assert not result.flags[[100, 2000]].any()


def series(seed, rows=2, columns=700):
    """Something of everything, with gaps."""
    rng = np.random.default_rng(seed)
    values = 20.0 + 4.0 * np.sin(np.arange(columns) / 40.0) + rng.standard_normal((rows, columns))
    values[0] = np.round(values[0])
    values[rng.random(values.shape) < 0.01] += 25.0
    values[rng.random(values.shape) < 0.03] = np.nan
    values[-1, : int(rng.integers(0, 90))] = np.nan
    return values


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 300), min_size=1, max_size=6))
def test_feeding_in_parts_is_feeding_at_once(seed, sizes):
    values = series(seed)
    at = times(values.shape[1], 600.0)
    whole = advance(AutoState.empty(2, 600.0), at, values)
    state, said, first = AutoState.empty(2, 600.0), [], 0
    while first < len(at):
        part = slice(first, first + sizes[len(said) % len(sizes)])
        state, opinions = advance(state, at[part], values[:, part])
        said.append(opinions)
        first = part.stop
    for name in whole.opinions._fields:
        want = getattr(whole.opinions, name)
        got = np.concatenate([getattr(one, name) for one in said], axis=1)
        assert np.array_equal(got, want, equal_nan=want.dtype.kind == "f"), name
    assert state.to_bytes() == whole.state.to_bytes()


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(1, 699))
def test_the_future_changes_nothing(seed, cut):
    values, at = series(seed), times(700, 600.0)
    whole, short = backtest(at, values), backtest(at[:cut], values[:, :cut])
    for name in ("sigma", "expected", "lower", "upper", "flags"):
        want = getattr(whole, name)[:, :cut]
        assert np.array_equal(getattr(short, name), want, equal_nan=want.dtype.kind == "f"), name


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.sampled_from([0.125, 1.0, 1024.0]), st.integers(-4, 4))
def test_the_unit_and_the_zero_do_not_matter(seed, unit, shift):
    values, at = series(seed), times(700, 600.0)
    one, other = backtest(at, values), backtest(at, (values + 4.0 * shift) * unit)
    known = ~np.isnan(one.sigma)
    assert (known == ~np.isnan(other.sigma)).all()
    # Levels have a share in the floors, and at a fence a sample more or less is set aside, or is one precedent more.
    assert np.allclose(one.sigma[known], other.sigma[known], atol=MOST, rtol=0.1)
    assert np.median(np.abs(one.sigma[known] - other.sigma[known])) < 0.05


def test_series_do_not_know_each_other():
    values, at = series(11, rows=5), times(700, 600.0)
    whole = backtest(at, values)
    order = [3, 0, 4, 1, 2]
    assert np.array_equal(backtest(at, values[order]).sigma, whole.sigma[order], equal_nan=True)


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_nothing_in_nothing_out_and_every_length(seed):
    values = series(seed)
    result = backtest(times(700, 600.0), values)
    assert result.sigma.shape == values.shape
    assert np.isnan(result.sigma[np.isnan(values)]).all()
    assert (result.lower <= result.upper)[~np.isnan(result.lower)].all()


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_whoever_says_that_a_sample_stands_out_is_named(seed):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(3000) < 0.9, rng.standard_normal(3000), rng.standard_t(2, 3000))
    values[2000:2200] += 2.0
    said = advance(AutoState.empty(1, 600.0), times(3000, 600.0), values[None]).opinions
    odd = np.abs(said.sigma) >= 3
    assert (said.agreeing[odd] > 0).all()
    assert (said.agreeing[~odd] == 0).all()
    scores = follow(
        times(3000, 600.0), values[None], new=3000, window=400, relearn=10, methods="auto", step_s=600.0
    ).scores
    rows, columns = np.nonzero(np.abs(scores.sigma) >= 3)
    assert all(scores.methods_at(row, column) for row, column in zip(rows, columns, strict=True))


@pytest.mark.parametrize("step", [7200.0, 21600.0, 86400.0])
def test_steps_of_hours_are_known_after_as_many_samples_as_others(step):
    values = noise(250, seed=21)
    before = advance(AutoState.empty(1, step), times(190, step), values[None, :190]).state
    assert not before.ready.any()
    later = advance(AutoState.empty(1, step), times(250, step), values[None]).state
    assert later.ready.all()
    long = advance(AutoState.empty(1, step), times(3000, step), noise(3000, seed=22)[None])
    assert long.state.ready.all()
    assert (np.abs(long.opinions.sigma[0, 300:]) >= 3).mean() < 0.005


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 4 * DAY), min_size=1, max_size=6))
def test_a_shift_and_its_end_are_the_same_in_any_parts(seed, cuts):
    values = daily(5, seed)
    rng = np.random.default_rng(seed)
    for begin in rng.integers(2 * DAY, 5 * DAY - 200, 4):
        values[begin : begin + rng.integers(5, 2000)] += 15.0
    whole = advance(AutoState.empty(1, 60.0), times(len(values)), values[None])
    state, parts = AutoState.empty(1, 60.0), []
    for first, last in pairwise([0, *sorted(set(cuts)), len(values)]):
        part = advance(state, times(len(values))[first:last], values[None, first:last])
        state, parts = part.state, [*parts, part.opinions]
    for name in ("sigma", "course", "agreeing"):
        together = np.concatenate([getattr(part, name) for part in parts], axis=1)
        assert np.array_equal(getattr(whole.opinions, name), together, equal_nan=name == "sigma"), name


def test_an_alert_holds_while_the_series_is_away():
    values = changed(daily(6, seed=12), 4 * DAY, 5 * DAY, 30.0)
    said = advance(AutoState.empty(1, 60.0), times(len(values)), values[None], hold=np.array([True])).opinions
    assert (said.course[0, 4 * DAY : 5 * DAY] == AWAY).mean() > 0.99
    assert not (said.course[0, 5 * DAY + 5 :] == AWAY).any()
    given_up = advance(AutoState.empty(1, 60.0), times(len(values)), np.r_[values, values][None][:, : len(values)])
    assert (given_up.opinions.course[0, 4 * DAY : 5 * DAY] == AWAY).mean() > 0.99


def test_what_is_learnt_fits_in_twelve_kilobytes_and_survives_as_bytes():
    state = advance(AutoState.empty(3, 60.0), times(10 * DAY), np.stack([daily(10, seed) for seed in range(3)])).state
    assert state.size_bytes <= 3 * 12 * 1024
    again = AutoState.from_bytes(state.to_bytes())
    for field in fields(AutoState):
        one, other = getattr(state, field.name), getattr(again, field.name)
        assert (
            np.array_equal(one, other, equal_nan=True)
            if isinstance(one, np.ndarray) and one.dtype.kind == "f"
            else (np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other)
        ), field.name
    more = daily(1, 20)[None].repeat(3, axis=0)
    at = START + (10 * DAY + np.arange(DAY)) * 60.0
    assert np.array_equal(advance(state, at, more).opinions.sigma, advance(again, at, more).opinions.sigma)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no learnt state"),
        (b"\x80\x04\x95\n", "no learnt state"),
        (b'{"version": 99, "step_s": 60, "arrays": {}}\n', "layout 99"),
        (b'{"version": 2, "step_s": 60, "day": 0, "arrays": {}}\n', "layout 2"),
        (b'{"version": 10, "step_s": 60, "day": 0, "arrays": {}}\n', "other arrays"),
    ],
)
def test_bytes_that_are_no_state_are_refused(data, why):
    with pytest.raises(ValueError, match=why):
        AutoState.from_bytes(data)


def test_bytes_that_break_off_are_refused():
    whole = AutoState.empty(2, 60.0).to_bytes()
    with pytest.raises(ValueError, match="breaks off"):
        AutoState.from_bytes(whole[:-100])


def test_rows_come_and_go():
    values = series(13, rows=4)
    state = advance(AutoState.empty(4, 600.0), times(700, 600.0), values).state
    more = state.select([2, -1, 0])
    assert more.rows == 3
    assert more.age.tolist() == [state.age[2], 0, state.age[0]]
    at = START + (700 + np.arange(50)) * 600.0
    later = series(14, rows=3, columns=50)
    kept = advance(more, at, later).opinions.sigma
    assert np.array_equal(kept[2], advance(state.select([0]), at, later[2:]).opinions.sigma[0], equal_nan=True)


def test_a_step_that_is_none_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        Grid.of(0.0)


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 30))
def test_running_medians_and_means_are_the_plain_ones(seed, columns):
    rng = np.random.default_rng(seed)
    parts = [np.round(rng.standard_normal((2, columns)), 1) for _ in range(9)]
    assert np.array_equal(median_of_3(*parts[:3]), naive.median_of(parts[:3]))
    assert np.array_equal(median_of_5(parts[:5]), naive.median_of(parts[:5]))
    assert np.array_equal(median_of_9(parts), naive.median_of(parts))
    values = rng.standard_normal((2, columns + 29))
    assert np.allclose(mean_of_10(values), naive.means_of(values, 10), rtol=0, atol=1e-12)
    assert np.allclose(mean_of_30(mean_of_10(values)), naive.means_of(values, 30), rtol=0, atol=1e-12)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(0.4, 3.0))
def test_the_ruler_finds_the_quantiles_of_what_it_counted(seed, heavy):
    z = np.abs(np.random.default_rng(seed).standard_normal(20_000)) ** heavy
    counts = np.bincount(places(np.log(np.maximum(z, 1e-9))), minlength=BINS).astype(np.float32)
    both = np.stack([counts, np.zeros(BINS, np.float32)])
    log_far, shape = tails(both)
    far, body = naive.tail_quantile(z, FAR), naive.tail_quantile(z, BODY)
    assert np.exp(log_far[0]) == pytest.approx(min(far, LARGEST), rel=0.12)
    if body > LOWEST * RATIO and far < LARGEST:
        want = np.log(np.log(FAR) / np.log(BODY)) / np.log(far / body)
        assert shape[0] == pytest.approx(np.clip(want, 0.2, 2.0), rel=0.15)


def test_each_voice_is_named():
    values = changed(daily(6, seed=15), 5 * DAY, 5 * DAY + 5, 30.0)
    result = backtest(times(len(values)), values)
    assert result.methods[: len(SPEAKERS)] == SPEAKERS
    first = int(np.flatnonzero(result.flags & (np.arange(len(values)) >= 5 * DAY))[0])
    assert result.strongest[first] < len(SPEAKERS)
    assert result.agreeing[first] >> int(result.strongest[first]) & 1
