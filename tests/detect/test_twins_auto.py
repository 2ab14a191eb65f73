"""What `auto` says of samples, kernel by kernel, against plain twins that go sample by sample."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.detect import naive_auto

from tocsin.detect.auto import LEAD, VOICES, AutoState, advance
from tocsin.detect.auto.anchor import follow_anchors
from tocsin.detect.auto.engine import _filled
from tocsin.detect.auto.score import Stretch, verdicts
from tocsin.detect.auto.state import AT_HOME, AT_REST, FORMER
from tocsin.detect.auto.voices import residuals
from tocsin.detect.auto.waiting import MUTE, lesson

STEP = 600.0
A_DAY = 144
START = 1_700_006_400.0
KINDS = ("noise", "ties", "constant", "mostly zero", "tiny", "huge", "jumps", "daily")
NEW = 30


def series(kind, seed, columns):
    """One series of a kind, with gaps."""
    rng = np.random.default_rng(seed)
    at = np.arange(columns)
    values = 50.0 + rng.standard_normal(columns)
    if kind == "ties":
        values = np.round(values)
    elif kind == "constant":
        values = np.full(columns, 7.0)
    elif kind == "mostly zero":
        values = rng.poisson(0.05, columns).astype(float)
    elif kind in ("tiny", "huge"):
        values = values * (1e-300 if kind == "tiny" else 1e300)
    elif kind == "jumps":
        values = values + np.repeat(rng.choice([0.0, 0.0, 30.0, -9.0], columns // 20 + 1), 20)[:columns]
    elif kind == "daily":
        values = values + 10.0 * np.sin(at / A_DAY * 2 * np.pi)
    values[rng.random(columns) < 0.03] = np.nan
    first = int(rng.integers(LEAD, columns - NEW))
    values[first : first + int(rng.integers(0, 100))] = np.nan
    return values


def scene(seed, columns=900):
    """The state of a series of each kind, and as many new columns as a test looks at."""
    rng = np.random.default_rng(seed)
    values = np.stack([series(kind, seed + n, columns + NEW) for n, kind in enumerate(KINDS)])
    odd = rng.random((len(KINDS), NEW)) < 0.1
    values[:, columns:][odd] *= 1.5
    at = START + np.arange(columns + NEW) * STEP
    state = advance(AutoState.empty(len(KINDS), STEP), at[:columns], values[:, :columns]).state
    return state, at[columns:], values[:, columns:]


def window(state, at, values):
    """(S, LEAD + K) in the rows' own unit, gaps filled, with their bins of the day."""
    own = np.clip((values - state.offset[:, None]) / state.unit[:, None], -1e12, 1e12)
    bins = np.concatenate([state.recent_bins, state.grid.bins_of(at)])
    raw = np.concatenate([state.recent, own], axis=1)
    return raw, _filled(raw, state.profile[:, bins].astype(float)), bins


def stretch(state, x, bins):
    return Stretch(x, state.season_at(bins), bins)


seeds = st.integers(0, 10**6)


@settings(max_examples=30)
@given(seeds, st.integers(1, 300), st.floats(0.0, 1.0))
def test_gaps_are_filled_as_the_plain_form_fills_them(seed, columns, share):
    rng = np.random.default_rng(seed)
    values, season = rng.standard_normal((3, columns)), rng.standard_normal((3, columns))
    values[rng.random(values.shape) < share] = np.nan
    got = _filled(values.copy(), season)
    for row in range(3):
        want = naive_auto.filled(values[row].tolist(), season[row].tolist())
        assert np.allclose(got[row], want, rtol=0, atol=1e-12, equal_nan=True)


@settings(max_examples=10)
@given(seeds)
def test_the_voices_are_their_plain_twins(seed):
    state, at, values = scene(seed)
    _, x, bins = window(state, at, values)
    y = x - state.profile[:, bins].astype(float)
    together = residuals(x, y, NEW, state)
    for row, kind in enumerate(KINDS):
        known = naive_auto.row_of(state, row)
        for column in range(0, NEW, 3):
            end = LEAD + column + 1
            parts, level = naive_auto.looks(x[row, :end].tolist(), y[row, :end].tolist(), known)
            size = np.abs(x[row]).max()
            assert together.level[row, column] == level
            for v, name in enumerate(VOICES):
                near = 1e-4 if name == "shape" else 1e-9 * (1.0 + size / naive_auto.floor(known))
                close = near if name in naive_auto.UNSIGNED else 1e-12 * (1.0 + size)
                assert together.parts[v, row, column] == pytest.approx(parts[v], abs=close, rel=1e-5), (kind, name)


@pytest.mark.parametrize("step_s", [15.0, STEP, 3600.0])
@settings(max_examples=5)
@given(seeds)
def test_the_verdict_is_its_plain_twin(step_s, seed):
    state, at, values = scene(seed)
    state = replace(state, grid=replace(state.grid, step_s=step_s))
    _, x, bins = window(state, at, values)
    found = verdicts(state, stretch(state, x, bins))
    loud = 0
    for row, kind in enumerate(KINDS):
        known = naive_auto.row_of(state, row)
        assert known.ready or known.age - known.still <= 1, "what never moved is not judged"
        if not known.ready:
            continue
        for column in range(0, NEW, 3):
            end = LEAD + column + 1
            want = naive_auto.verdict(known, x[row, :end].tolist(), bins[:end].tolist())
            assert abs(found.sigma[row, column]) == pytest.approx(want.sigma, abs=0.02), kind
            first, second = sorted(want.nats)[:-3:-1]
            close = abs(want.sigma - 2) < 0.02 or first - second < 1e-3
            if abs(want.leaning) > 1e-6 and not close:
                assert math.copysign(1, found.sigma[row, column]) == math.copysign(1, want.leaning), kind
            for name in () if close else ("expected", "lower", "upper"):
                width = want.upper - want.lower
                assert getattr(found, name)[row, column] == pytest.approx(
                    getattr(want, name), rel=1e-9, abs=1e-6 * width
                )
            assert want.nats[found.strongest[row, column]] == pytest.approx(max(want.nats), abs=1e-4)
            loud += bool(want.alone)
            for v, name in enumerate(VOICES):
                if want.alone and abs(want.alone[name] - naive_auto.LIMIT) > 1e-3 and abs(want.sigma - 2) > 0.02:
                    says = bool(found.agreeing[row, column] >> v & 1)
                    assert says == (want.alone[name] > naive_auto.LIMIT), (kind, name)
    assert loud, "some samples stood out"


def samples_of(row, whole, **parts):
    """What the plain form of following is told of each sample of a row."""
    return [
        SimpleNamespace(
            before=whole[row, : LEAD + column + 1].tolist(), **{name: each[row, column] for name, each in parts.items()}
        )
        for column in range(whole.shape[1] - LEAD)
    ]


@settings(max_examples=40)
@given(seeds, st.booleans(), st.integers(1, 200))
def test_the_anchor_is_its_plain_twin(seed, holds, cut):
    state, at, values = scene(seed // 50)
    _, x, bins = window(state, at, values)
    rng = np.random.default_rng(seed)
    columns = 3 * A_DAY
    verdict, shape = verdicts(state, stretch(state, x, bins)), (state.rows, columns)
    scale = np.array([naive_auto.usual_distance(naive_auto.row_of(state, row)) for row in range(state.rows)])[:, None]
    level = scale * rng.choice([0.0, 5.0], (state.rows, 1)) + scale * 0.1 * rng.standard_normal(shape)
    away = np.repeat(rng.choice([0.0, 0.0, 4.0, -6.0, 1.9], (state.rows, columns // 12)), 12, axis=1)
    away[:, A_DAY // 2 : 2 * A_DAY] += rng.choice([0.0, 9.0], (state.rows, 1))
    made = scale * away + scale * 0.2 * rng.standard_normal(shape)
    season = scale * 4.0 * np.sin(np.arange(columns) * 2 * np.pi / A_DAY) * rng.choice([0.0, 1.0], (state.rows, 1))
    moves = scale * np.repeat(rng.choice([0.1, 0.1, 3.0], (state.rows, columns // 36)), 36, axis=1)
    whole = np.concatenate([x[:, :LEAD], made + moves * rng.standard_normal(shape)], axis=1)
    sigma = np.where(rng.random(shape) < 0.7, np.clip(away, -5, 5), 0.5)
    restless = (rng.random(shape) < 0.5).astype(np.uint16) << VOICES.index("volatility")
    seen, hold = rng.random(shape) < 0.9, np.full(state.rows, holds)
    former = np.where(rng.random(state.rows) < 0.5, np.nan, scale[:, 0] * 9.0)
    nowhere = {name: np.zeros((state.rows, 2), np.int64) for name in ("anchor_begun", "anchor_calm")}
    anchor = np.where(np.arange(6) == FORMER, former[:, None], AT_HOME)
    state = replace(state, anchor=anchor, unrest=np.tile(AT_REST, (state.rows, 1)), **nowhere)

    def part(here):
        cuts = {"deseasoned": made, "level": level, "sigma": sigma, "season": season, "agreeing": restless}
        return verdict._replace(**{name: each[:, here] for name, each in cuts.items()})

    first = follow_anchors(state, part(slice(0, cut)), whole[:, : LEAD + cut], seen[:, :cut], hold)
    later = replace(
        state,
        age=state.age + cut,
        anchor=first.anchor,
        unrest=first.unrest,
        anchor_begun=first.begun,
        anchor_calm=first.calm,
    )
    rest = follow_anchors(later, part(slice(cut, None)), whole[:, cut:], seen[:, cut:], hold)
    course, back, _, left, no_news = (np.concatenate(both, axis=1) for both in zip(first[:5], rest[:5], strict=True))
    for row in range(state.rows):
        plain = naive_auto.row_of(state, row)
        samples = samples_of(
            row, whole, value=made, level=level, season=season, sigma=sigma, restless=restless, seen=seen
        )
        kept = (None, 0, 0)
        options = {"hold": holds, "age": plain.age, "a_day": plain.grid.a_day}
        levels = naive_auto.follow(samples, *kept, rules=naive_auto.level_rules(plain), **options)
        unrest = naive_auto.follow(samples, *kept, rules=naive_auto.unrest_rules(plain), **options)
        assert course[row].tolist() == [
            1 if 1 in both else max(both) for both in zip(levels[0], unrest[0], strict=True)
        ]
        assert back[row].tolist() == levels[1]
        assert no_news[row].tolist() == levels[4], "of a level alone"
        assert left[row].tolist() == pytest.approx(levels[3], nan_ok=True)
        for track, (_, _, (kept, begun, calm), *_, size) in enumerate((levels, unrest)):
            got = rest.anchor[row, :4] if track == 0 else rest.unrest[row]
            names = ("left", "size", "ratio", "share")[: len(got)]
            last = 0 if track else size
            want = [math.nan, last, 0, 0][: len(got)] if kept is None else [getattr(kept, name) for name in names]
            assert got.tolist() == pytest.approx(want, nan_ok=True)
            assert (rest.begun[row, track], rest.calm[row, track]) == (begun, calm)


@settings(max_examples=20)
@given(seeds)
def test_what_a_sample_teaches_is_what_the_plain_rule_says(seed):
    state, at, values = scene(seed // 1000)
    _, x, bins = window(state, at, values)
    rng = np.random.default_rng(seed)
    verdict = verdicts(state, stretch(state, x, bins))
    verdict = verdict._replace(sigma=np.where(rng.random(values.shape) < 0.3, 4.0, verdict.sigma))
    seen, hold = ~np.isnan(values), rng.random(state.rows) < 0.5
    strange = rng.choice(np.array([0, 1, MUTE], np.uint8), values.shape)
    away = rng.random(values.shape) < 0.3
    got = lesson(verdict, seen, (hold, strange), away)
    for row in range(state.rows):
        for column in range(NEW):
            mark = int(strange[row, column])
            want = naive_auto.weight(
                verdict.sigma[row, column],
                seen=seen[row, column],
                hold=hold[row],
                strange=mark == 1,
                mute=mark == MUTE,
                away=away[row, column],
            )
            assert got.weight[row, column] == want
            assert got.shown[row, column] == (seen[row, column] and mark != MUTE)
            assert got.away[row, column] == (got.shown[row, column] and away[row, column])
            lasts = hold[row] and away[row, column]
            assert got.held[row, column] == (got.shown[row, column] and lasts)
            assert got.remembered[row, column] == (mark != MUTE and not lasts)
