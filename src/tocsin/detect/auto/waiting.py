"""What of new samples waits for the next learning, as whole numbers: the same in whatever parts they come. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto.learn import AWAY_CAP, MOVE_CAP, MOVE_UNIT, SIZE_CAP, SIZE_UNIT
from tocsin.detect.auto.ruler import BINS, places
from tocsin.detect.auto.score import Stretch, Verdicts
from tocsin.detect.auto.seasons import DAY_CAP, DAY_UNIT
from tocsin.detect.auto.state import LEAD, VOICES, AutoState
from tocsin.detect.auto.voices import SMALLEST, reference_scale
from tocsin.detect.auto.windows import REFERENCES, SPAN, STRIDE, WAITING_REFERENCES, Rings, in_steps
from tocsin.detect.calibrate import ANOMALOUS, Array

MUTE = 2
"""A sample that teaches nothing; 1 is one that stands out, 0 any other."""

Flags = NDArray[np.bool_]
Halves = NDArray[np.int64]
Known = tuple[Flags, NDArray[np.uint8]]
"""Rows on hold (S,), and what was known of samples before they are judged (S, K): see ``MUTE``."""


class Lesson(NamedTuple):
    """What each sample (S, K) teaches: how much, in halves; whether it belongs to the shape of its day, whether it
    is ``away`` there, and ``held`` so by an alert; whether its window is worth remembering.
    """

    weight: Halves
    shown: Flags
    away: Flags
    held: Flags
    remembered: Flags


def lesson(verdict: Verdicts, seen: Flags, known: Known, away: Flags) -> Lesson:
    """What samples teach. What stands out counts half: counted whole, incidents become normal; not
    at all, a bursty series floods. While its alert is active it teaches nothing, and what is ``away`` neither.
    """
    hold, strange = known
    odd = (np.abs(verdict.sigma) >= ANOMALOUS) | (strange > 0)
    shown = seen & (strange != MUTE)
    lasts = away & hold[:, None]
    weight = np.where(odd, np.where(hold, 0, 1)[:, None], 2) * (shown & ~lasts)
    return Lesson(weight, shown, away & shown, lasts & shown, (strange != MUTE) & ~lasts)


def wait(state: AutoState, stretch: Stretch, verdict: Verdicts, taught: Lesson) -> dict[str, Any]:
    """What of a state changes so that the next learning has what it needs of these columns, as whole numbers."""
    weight, teach = taught.weight, taught.weight > 0
    rows, bins, values = len(weight), stretch.bins[LEAD:], stretch.values[:, LEAD:]
    hours = bins * state.grid.hours // state.grid.bins
    voices, who = np.arange(len(VOICES))[:, None, None], np.arange(rows)[None, :, None]
    sides = places(verdict.log_z)
    sides += (who * len(VOICES) + voices) * (2 * BINS)
    sides += verdict.below * BINS
    size = np.rint(np.minimum(verdict.size, SIZE_CAP) * SIZE_UNIT) * teach
    each = np.arange(rows)[:, None]
    hour_of, bin_of = each * state.grid.hours + hours, each * state.grid.bins + bins
    deviation = (values - state.center[:, None]) / reference_scale(state)[:, None]
    moved = np.rint(np.clip(deviation, -MOVE_CAP, MOVE_CAP) * MOVE_UNIT) * teach
    away = np.rint(np.minimum(np.abs(deviation), AWAY_CAP) * MOVE_UNIT) * teach
    day = np.rint(np.clip(deviation, -DAY_CAP, DAY_CAP) * DAY_UNIT) * taught.shown
    change = np.abs(values - stretch.values[:, LEAD - 1 : -1])
    tied = (change <= SMALLEST) & teach
    gap = np.where(~tied & teach, change, np.inf).min(axis=1)
    references, count = _remembered(state, stretch, taught.remembered)
    return {
        "new_counts": _added(state.new_counts, sides, np.broadcast_to(weight, sides.shape)),
        "new_size": _added(state.new_size, (who * len(VOICES) + voices) * state.grid.hours + hours, size),
        "new_seen": _added(state.new_seen, hour_of, teach),
        "new_moved": state.new_moved + moved.sum(axis=1).astype(np.int64),
        "new_away": state.new_away + away.sum(axis=1).astype(np.int64),
        "new_gap": np.minimum(state.new_gap, gap),
        "new_ties": state.new_ties + tied.sum(axis=1, dtype=np.int32),
        "new_day": _added(state.new_day, bin_of, day),
        "new_day_seen": _added(state.new_day_seen, bin_of, taught.shown),
        "new_day_held": state.new_day_held + taught.held.sum(axis=1),
        "new_day_away": _marked(state, bins, taught.away),
        "references": references,
        "reference_count": count,
    }


def _added(before: NDArray[Any], places: NDArray[np.intp], amounts: NDArray[Any]) -> NDArray[Any]:
    """``before`` with whole ``amounts`` (..., S, K) added at its flat ``places``."""
    if places.shape[-1] == 1:
        # One column: no place comes twice.
        after = before.copy()
        after.reshape(-1)[places.reshape(-1)] += amounts.reshape(-1).astype(before.dtype)
        return after
    more = np.bincount(places.ravel(), amounts.ravel(), minlength=before.size)
    result: NDArray[Any] = before + more.reshape(before.shape).astype(before.dtype)
    return result


def _marked(state: AutoState, bins: NDArray[np.intp], away: Flags) -> NDArray[np.uint8]:
    """A bit for each bin of the day with a sample that is ``away``."""
    rows, columns = np.nonzero(away)
    if not rows.size:
        return state.new_day_away
    marks = np.unpackbits(state.new_day_away, axis=1, count=state.grid.bins)
    marks[rows, bins[columns]] = 1
    return np.packbits(marks, axis=1)


def _remembered(state: AutoState, stretch: Stretch, worth: Flags) -> tuple[Rings, NDArray[np.int64]]:
    """The ring of windows: every column at first, ever fewer, until the last fortnight is spread over the ring. Each
    ends in a sample that is ``worth`` it (S, columns).
    """
    columns = worth.shape[1]
    kept = REFERENCES - WAITING_REFERENCES
    sparsest = max(1, state.grid.memory // kept)
    ages = state.age[:, None] + np.arange(columns)
    first, last = (_spacing(ages[:, [at]], kept) for at in (0, -1))
    every = first if np.array_equal(first, last) else _spacing(ages, kept)
    pick = (ages % np.minimum(every, sparsest).astype(np.int64) == 0) & worth
    # Room since the last learning: what comes after that waits for the next one.
    room = WAITING_REFERENCES - (state.reference_count - state.known_references)
    pick &= np.cumsum(pick, axis=1) <= room[:, None]
    references, order = state.references.copy(), np.cumsum(pick, axis=1)
    rows, columns_of = np.nonzero(pick)
    window = columns_of[:, None] + np.arange(LEAD - SPAN + 1, LEAD + 1, STRIDE)
    here = rows[:, None], window
    level = stretch.values[here] - stretch.season[here] - state.center[rows, None]
    place = (state.reference_count[rows] + order[rows, columns_of] - 1) % REFERENCES
    references[rows, :, place] = in_steps(level, state.window_scale[rows, None])
    return references, state.reference_count + order[:, -1]


def _spacing(ages: NDArray[np.int64], kept: int) -> Array:
    """Every how many columns a window is picked, at these ages: a power of two."""
    result: Array = 2 ** np.floor(np.log2(np.maximum(ages / kept, 1.0)))
    return result
