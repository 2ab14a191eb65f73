"""What `auto` learns, kernel by kernel, against plain twins."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.detect import naive_auto, naive_learn
from tests.detect.test_twins_auto import A_DAY, KINDS, NEW, START, STEP, scene, series, stretch, window

from tocsin.detect.auto import LEAD, VOICES, AutoState, advance
from tocsin.detect.auto.learn import FIRST, first_learning, learn
from tocsin.detect.auto.ruler import BINS, tails
from tocsin.detect.auto.score import verdicts
from tocsin.detect.auto.seasons import over_midnight
from tocsin.detect.auto.waiting import Lesson, wait

seeds = st.integers(0, 10**6)


@settings(max_examples=15)
@given(seeds)
def test_what_waits_is_its_plain_twin(seed):
    state, at, values = scene(seed // 1000)
    _, x, bins = window(state, at, values)
    rng = np.random.default_rng(seed)
    state = replace(state, age=state.age + int(rng.integers(0, 3000)))
    here, weight = stretch(state, x, bins), rng.integers(0, 3, values.shape)
    verdict, chance = verdicts(state, here), rng.random((3, *values.shape))
    mute, shown = chance[0] < 0.2, chance[1] < 0.8
    away, held = shown & (chance[2] < 0.05), shown & (chance[2] < 0.02)
    got = wait(state, here, verdict, Lesson(weight, shown, away, held, ~mute))
    for row, kind in enumerate(KINDS):
        known = naive_auto.row_of(state, row)
        samples = [
            (
                x[row, LEAD + k],
                x[row, LEAD + k - 1],
                int(bins[LEAD + k]),
                int(weight[row, k]),
                bool(shown[row, k]),
                bool(away[row, k]),
                np.exp(verdict.log_z[:, row, k]).tolist(),
                verdict.below[:, row, k].astype(int).tolist(),
            )
            for k in range(NEW)
        ]
        want = naive_learn.waits(known, samples)
        more = {
            name: got["new_" + name][row].astype(int) - getattr(state, "new_" + name)[row]
            for name in vars(want)
            if name not in ("gap", "day_away")
        }
        assert got["new_day_held"][row] == known.new_day_held + held[row].sum()
        marks = np.unpackbits(got["new_day_away"][row], count=state.grid.bins)
        assert marks.tolist() == [int(old or new) for old, new in zip(known.new_day_away, want.day_away, strict=True)]
        for name in ("counts", "seen", "ties", "day_seen"):
            assert np.array_equal(more[name], getattr(want, name)), (kind, name)
        for name in ("size", "moved", "away", "day"):
            assert np.abs(more[name] - getattr(want, name)).max() <= 1, (kind, name)
        assert got["new_gap"][row] == min(known.new_gap, want.gap)
        season = state.profile[row, bins].astype(float).tolist()
        ring, count = naive_learn.remembered(known, x[row].tolist(), season, mute[row].tolist())
        assert got["reference_count"][row] == count
        # Half a step may fall either way.
        assert np.abs(got["references"][row].T - np.array(ring)).max() <= 1, kind


@settings(max_examples=40)
@given(seeds, st.sampled_from(KINDS))
def test_the_first_learning_is_its_plain_twin(seed, kind):
    raw = series(kind, seed, LEAD + 2 * NEW)[:FIRST]
    raw = np.where(np.isnan(raw), np.nanmedian(raw) if np.isfinite(raw).any() else 0.0, raw)
    recent = np.concatenate([np.full(LEAD - FIRST, raw[0]), raw])[None]
    bins = np.zeros(LEAD, np.intp)
    state = replace(AutoState.empty(1, STEP), recent=recent, recent_bins=bins, age=np.array([FIRST]))
    got, want = first_learning(state), naive_learn.first(raw.tolist())
    for name in ("offset", "unit", "center", "spread", "resolution"):
        assert getattr(got, name)[0] == pytest.approx(getattr(want, name), rel=1e-12), name
    assert np.allclose(got.recent[0, LEAD - FIRST :], (raw - want.offset) / want.unit, rtol=1e-12)
    for v, name in enumerate(VOICES):
        assert np.allclose(got.scale[0, v], want.scale[v], rtol=1e-5, atol=1e-6), name


@settings(max_examples=60)
@given(seeds, st.sampled_from(["many", "few", "none", "far", "one bin"]))
def test_the_tail_is_its_plain_twin(seed, kind):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 1000, (2, BINS)) // (1.5 ** np.arange(BINS)).astype(int)
    if kind == "few":
        counts = (rng.random((2, BINS)) < 0.1).astype(int)
    elif kind == "none":
        counts[int(rng.integers(0, 2))] = 0
    elif kind == "far":
        counts[:, -1] += 50
    elif kind == "one bin":
        counts = np.zeros((2, BINS), int)
        counts[0, int(rng.integers(0, BINS))] = 100
    log_far, shape = tails(counts.astype(np.float32))
    for side in (0, 1):
        want = naive_learn.tail(counts.tolist(), side)
        assert (log_far[side], shape[side]) == pytest.approx(want, rel=1e-9)


def told(state, row):
    return naive_auto.row_of(state, row)


@pytest.mark.parametrize("days", [1, 3, 11])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("day_over", [False, True])
def test_learning_is_its_plain_twin(days, seed, day_over):
    columns = days * A_DAY + (A_DAY - 1 if day_over else 40)
    values = np.stack([series(kind, seed * 100 + n, max(columns, 300))[:columns] for n, kind in enumerate(KINDS)])
    if not day_over:
        values[2, -60:] = np.nan
    state = advance(AutoState.empty(len(KINDS), STEP), START + np.arange(columns) * STEP, values).state
    after = learn(state, day_over=day_over)
    for row, kind in enumerate(KINDS):
        before, got = told(state, row), told(after, row)
        want = naive_learn.learnt(before)
        for name in ("center", "spread", "resolution", "mass"):
            assert getattr(got, name) == pytest.approx(getattr(want, name), rel=1e-9, abs=1e-12), (kind, name)
        assert np.allclose(got.peaks, want.peaks, rtol=1e-5)
        assert np.allclose(got.counts, want.counts, rtol=1e-5, atol=1e-5), kind
        assert np.allclose(got.scale, want.scale, rtol=1e-5, atol=1e-9), kind
        for v, name in enumerate(VOICES):
            for side in (0, 1):
                assert got.log_far[v][side] == pytest.approx(want.tails[v][side][0], rel=1e-3, abs=1e-3), (kind, name)
                assert got.shape[v][side] == pytest.approx(want.tails[v][side][1], rel=1e-2), (kind, name)
        assert got.known_references == before.reference_count
        assert got.window_scale == pytest.approx(got.spread + 3 * naive_auto.floor(got), rel=1e-12)
        ring = naive_learn.in_another_scale(before.references, before.window_scale, got.window_scale)
        assert np.abs(np.array(got.references) - ring).max() <= 1, kind
        assert got.learnt == before.learnt + 1
        assert got.since == sum(got.new_seen) == np.sum(got.new_counts) == np.sum(got.new_size) == got.new_ties == 0
        if not day_over:
            moved = [
                (total / 512 * naive_auto.reference_scale(before) + seen * (before.center - got.center))
                / naive_auto.reference_scale(got)
                for total, seen in zip(before.new_day, before.new_day_seen, strict=True)
            ]
            assert np.allclose(np.array(got.new_day) / 512, moved, atol=2 / 512), kind
            assert got.new_day_seen == before.new_day_seen


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ["day", "week", "none"])
def test_days_are_kept_and_a_season_earns_its_place(kind, shape):
    """Day after day, the state of the evening before against what the plain form makes of it."""
    days, at = 17, np.arange(17 * A_DAY)
    values = series(kind, 3, days * A_DAY)
    swing = 20.0 * (np.nanmax(np.abs(values)) or 1.0) * np.sin(at / A_DAY * 2 * np.pi)
    if shape != "none":
        values = values + swing * (at // A_DAY % 7 < 5 if shape == "week" else 1)
    state, seasons = AutoState.empty(1, STEP), set()
    for day in range(days):
        here = slice(day * A_DAY, (day + 1) * A_DAY)
        state = advance(state, START + at[here] * STEP, values[None, here]).state
        before, got = told(state, 0), told(learn(state, day_over=True), 0)
        kept = before.days[7 - before.day_count :] if before.day_count else []
        over = naive_learn.day_of(before, kept)
        assert got.day_end == pytest.approx(over.ends[1], rel=1e-9, abs=1e-12, nan_ok=True)
        hours = [int(any(before.new_day_away[hour * 6 : hour * 6 + 6])) for hour in range(24)]
        assert got.days_away == [*before.days_away[1:], hours]
        assert not any(got.new_day_away)
        level = over.level if over.whole else before.day_level
        assert got.day_level == pytest.approx(level, rel=1e-9, abs=1e-12, nan_ok=True)
        if math.isnan(before.day_level) or not (over.whole or before.day_count):
            assert got.days == before.days
            assert got.day_count == before.day_count, "of the first day nobody knows how much is a rise"
            continue
        finished = over.shape
        assert got.day_count == min(before.day_count + 1, 7)
        assert np.allclose(got.days[-1], np.clip(finished, -6e4, 6e4), rtol=2e-3, atol=1e-6)
        assert got.jumps[-1] == pytest.approx(over.ends[0] - before.day_end, rel=2e-3, abs=1e-3, nan_ok=True)
        midnight = over_midnight(learn(state, day_over=True), state.profile)
        moved = got.profile[0] - before.profile[-1] - naive_learn.expected_jump(got)
        assert np.allclose(midnight.recent_season - state.recent_season, moved, rtol=5e-3, atol=5e-3)
        errors = [naive_learn.error(kept, season, finished) if kept else None for season in range(3)]
        for season, one in enumerate(errors):
            if one is not None and over.whole:
                old = before.season_error[season]
                want = 0.2 * one + 0.8 * old if old > 0 else one
                assert got.season_error[season] == pytest.approx(want, rel=1e-3, abs=1e-5)
        assert got.season == naive_learn.chosen(got.season_error, got.day_count)
        days_now = got.days[7 - got.day_count :]
        assert np.allclose(got.profile, naive_learn.expected_day(days_now, got.season), rtol=2e-3, atol=1e-6)
        seasons.add(got.season)
    if kind == "noise":
        assert {"day": 1, "week": 2, "none": 0}[shape] in seasons
