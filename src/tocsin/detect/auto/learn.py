"""What changes when a day is over: pure, a few arrays, no sample is looked at again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto.ruler import places, tails
from tocsin.detect.auto.runs import counted
from tocsin.detect.auto.seasons import DAY_CAP, DAY_UNIT, finish_day
from tocsin.detect.auto.state import ENOUGH, LEAD, VOICES, AutoState
from tocsin.detect.auto.voices import SMALLEST, reference_scale, residuals, voice_floors, window_scale
from tocsin.detect.auto.windows import rescaled
from tocsin.detect.calibrate import Array

FIRST = 32
"""Columns after which a row learns for the first time."""

SIZE_UNIT = 256.0
"""Sizes of residuals are counted in parts of a scale this fine; whole numbers add up the same in any order."""

MOVE_UNIT = 4096.0

SIZE_CAP = 4.0
"""A residual beyond so many scales teaches the scale no more than that."""

MOVE_CAP, AWAY_CAP = 6.0, 16.0

BEYOND = 8.0
OUTGROWN, NEVER = 0.25, 0.01
FEWEST_HOURS, FEWEST_MOVES = 3.0, 8.0
"""Where such a share of what waits moves by ``BEYOND`` scales, and hardly any of what is known does, what is known is
of a time in which it stood still; but the few samples with which an outage begins say nothing, nor does one that is a
quarter of a day.
"""

GLITCH = 1000.0
"""No sample of the first counts with more than so many times the median deviation: the unit is fixed for ever."""

_MEAN_SIZE = 0.79
"""E|z| of a Gaussian, with |z| cut at ``SIZE_CAP``."""

_CHANGE = VOICES.index("change")
_BEYOND_BIN = int(places(np.log([BEYOND]))[0])
_TIES = 0.05
_GROWTH = 4.0


def first_learning(state: AutoState) -> AutoState:
    """Fix the unit of rows that have seen ``FIRST`` columns, and take a first scale from those."""
    raw = state.recent[:, LEAD - FIRST :]
    offset = np.median(raw, axis=1)
    size = (_deviations(raw, offset) / FIRST).sum(axis=1)
    # Of nothing but zeros no unit can be learnt; any will do.
    least = np.where(size + np.abs(offset) > 0, np.maximum(1e-3 * np.abs(offset), 1e-300), 1.0)
    # A power of two: values keep their bits, and what is learnt does not depend on the unit people measure in.
    unit = np.exp2(np.round(np.log2(np.maximum(size, least))))
    own = (state.recent - offset[:, None]) / unit[:, None]
    seen = own[:, LEAD - FIRST :]
    changes = np.abs(seen[:, 1:] - seen[:, :-1])
    moved = changes > SMALLEST
    gap = np.where(moved, changes, np.inf).min(axis=1)
    tied = (~moved).mean(axis=1) > _TIES
    center = np.median(seen, axis=1)
    known = state.changed(
        offset=offset,
        unit=unit,
        recent=own,
        center=center,
        spread=_deviations(seen, center).mean(axis=1),
        resolution=np.where(np.isfinite(gap) & tied, gap, 0.0),
        learnt=state.learnt + 1,
        since=np.zeros_like(state.since),
    )
    sizes = np.abs(seen)
    event = np.where(sizes > SMALLEST, sizes, np.inf).min(axis=1).astype(np.float32)
    known = known.changed(window_scale=window_scale(known), event=event)
    lead = np.concatenate([np.repeat(seen[:, :1], LEAD, axis=1), seen], axis=1)
    parts = residuals(lead, lead, FIRST, known).parts
    size = np.quantile(np.abs(parts), 0.6, axis=2) / 0.8416
    scale = np.repeat(size.T[:, :, None], state.grid.hours, axis=2)
    scale[:, VOICES.index("shape")] = 0.3
    return known.changed(scale=scale.astype(np.float32))


def _deviations(first: Array, middle: Array) -> Array:
    """How far the first samples (S, FIRST) are from their ``middle`` (S,), without glitches."""
    away = np.abs(first - middle[:, None])
    usual = np.median(away, axis=1)[:, None]
    result: Array = np.where(usual > 0, np.minimum(away, GLITCH * usual), away)
    return result


def learn(state: AutoState, *, day_over: bool) -> AutoState:
    """Fold what waited since the last learning into what is known; ``day_over``: the local day ended."""
    if day_over:
        state = finish_day(state)
    memory, a_day = state.grid.memory, state.grid.a_day
    # Idle time before it first moved is no experience.
    weight = np.minimum(1.0, state.since / np.maximum(np.minimum(state.age - state.still, memory), 1))
    seen = np.maximum(state.new_seen.sum(axis=1), 1)
    scale = _scale(state, np.maximum(weight, a_day / memory))
    center, spread = _middle(state, weight, seen)
    tied = state.new_ties > _TIES * seen
    resolution = np.where(np.isfinite(state.new_gap) & tied, state.new_gap, 0.0)
    # Of few samples a day, of a long step and with gaps, none is forgotten before there are enough.
    fades = (state.age > max(2 * a_day, 2 * ENOUGH)) & (state.mass + state.new_seen.sum(axis=1) > 2 * state.enough)
    fading = np.where(fades, np.exp(-state.since / memory), 1.0)
    counts = state.counts * fading[:, None, None, None].astype(np.float32) + 0.5 * state.new_counts.astype(np.float32)
    log_far, shape = tails(counts)
    after = state.changed(
        scale=scale,
        center=center,
        spread=spread,
        resolution=state.resolution + (resolution - state.resolution) * weight,
        counts=counts,
        log_far=log_far.astype(np.float32),
        shape=shape.astype(np.float32),
        mass=state.mass * fading + state.new_seen.sum(axis=1),
        peaks=state.peaks * fading[:, None].astype(np.float32),
        event=(state.event / fading).astype(np.float32),
        **counted(state, fading),
        learnt=state.learnt + 1,
        known_references=state.reference_count,
        since=np.zeros_like(state.since),
        new_counts=np.zeros_like(state.new_counts),
        new_size=np.zeros_like(state.new_size),
        new_seen=np.zeros_like(state.new_seen),
        new_moved=np.zeros_like(state.new_moved),
        new_away=np.zeros_like(state.new_away),
        new_gap=np.full_like(state.new_gap, np.inf),
        new_ties=np.zeros_like(state.new_ties),
    )
    scaled = window_scale(after)
    references = rescaled(state.references, state.window_scale, scaled)
    after = after.changed(references=references, window_scale=scaled)
    return after if day_over else _carried_day(state, after)


def outgrown(state: AutoState) -> NDArray[np.intp]:
    """The rows that move by orders of magnitude more than they did in all that they have learnt: measured by that, all
    that comes is without measure for weeks.
    """
    new = state.new_counts[:, _CHANGE].sum(axis=1, dtype=np.float64)
    samples, share = 0.5 * new.sum(axis=1), _beyond(new)
    waits = (samples >= FEWEST_HOURS / 24 * state.grid.a_day) & (samples * share >= FEWEST_MOVES)
    rows = np.flatnonzero((state.learnt > 0) & waits & (share >= OUTGROWN))
    if not rows.size:
        return rows
    return rows[_beyond(state.counts[rows, _CHANGE].sum(axis=1, dtype=np.float64)) < NEVER]


def _beyond(counts: Array) -> Array:
    """The share of counts (S, BINS) that lies beyond ``BEYOND`` scales."""
    result: Array = counts[:, _BEYOND_BIN:].sum(axis=1) / np.maximum(counts.sum(axis=1), 1.0)
    return result


def _scale(state: AutoState, weight: Array) -> NDArray[np.float32]:
    """Each voice's usual size an hour: its neighbours and the whole day help each hour to few samples."""
    least = voice_floors(state).T[:, :, None]
    known = state.scale.astype(np.float64)
    divisor = np.sqrt(known * known + least * least)
    seen = np.maximum(state.new_seen, 1)[:, None, :]
    size = state.new_size / SIZE_UNIT / _MEAN_SIZE * divisor
    whole = size.sum(axis=2, keepdims=True) / np.maximum(state.new_seen.sum(axis=1), 1)[:, None, None]
    hourly = size / seen
    if state.grid.hours > 1:
        hour = np.arange(state.grid.hours)
        there = (state.new_seen > 0)[:, None, :].astype(np.float64)
        both = [hour - 1, hour - state.grid.hours + 1]
        near = hourly[:, :, both[0]] + hourly + hourly[:, :, both[1]]
        near = near / np.maximum(there[:, :, both[0]] + there + there[:, :, both[1]], 1.0)
        old_enough = (state.age >= 2 * state.grid.a_day)[:, None, None]
        hourly = np.where(old_enough, 0.7 * near + 0.3 * whole, whole)
    else:
        hourly = np.broadcast_to(whole, known.shape)
    heard = (state.new_seen > 0)[:, None, :] | (state.age < 2 * state.grid.a_day)[:, None, None]
    heard = heard & (state.new_seen.sum(axis=1) > 0)[:, None, None]
    result = np.where(heard, known + (hourly - known) * weight[:, None, None], known)
    return result.astype(np.float32)


def _middle(state: AutoState, weight: Array, seen: Array) -> tuple[Array, Array]:
    size = reference_scale(state)
    moved = state.new_moved / MOVE_UNIT / seen * size
    away = state.new_away / MOVE_UNIT / seen * size
    away = np.where(state.spread > 0, np.minimum(away, _GROWTH * state.spread), away)
    weight = np.where(state.new_seen.any(axis=1), weight, 0.0)
    center = state.center + np.clip(moved, -2.0 * size, 2.0 * size) * weight
    return center, state.spread + (away - state.spread) * weight


def _carried_day(before: AutoState, after: AutoState) -> AutoState:
    """The unfinished day in the scale and from the middle of now."""
    mean = before.new_day / DAY_UNIT * reference_scale(before)[:, None]
    moved = mean + before.new_day_seen * (before.center - after.center)[:, None]
    again = np.rint(moved / reference_scale(after)[:, None] * DAY_UNIT)
    most = before.new_day_seen * (DAY_CAP * DAY_UNIT)
    return after.changed(new_day=np.clip(again, -most, most).astype(np.int32))
