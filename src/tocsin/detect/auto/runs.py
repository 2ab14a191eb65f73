"""What stands still that usually moves: nothing at all for some samples, or one value again and again. Pure.

The voices ask how far a sample lies from what was to be expected. Where traffic comes in bursts a fall to zero is not
far, and a gauge that repeats its last value lies exactly where it is expected. What says so is the run: so many samples
in a row with one value, in a series in which that hardly ever came. Runs are counted as excursions are in
``precedent.py``, and put on the sigma scale by the same rule.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto.anchor import NEW_NORMAL_DAYS, NEWS
from tocsin.detect.auto.precedent import FALL, PRIOR
from tocsin.detect.auto.score import Verdicts
from tocsin.detect.auto.state import RUNS, VOICES, AutoState
from tocsin.detect.calibrate import ANOMALOUS, Array

LENGTHS = (3, 10)
"""So many samples in a row are a run, of zeros and of any value: one zero may be a scrape that failed."""

FAR = 2.0
"""Zeros are news where the third lies beyond so many usual sizes of ``level`` from what was expected, and that is on
the side of zero where the middle of the series is. A change by one unit of a series of whole numbers never is.
"""

USUAL = 0.3
"""A series that stands still so often a day is told of with 3 sigma, ``FALL`` nats fewer for each sigma above."""

_ZERO, _SAME = range(len(RUNS))
_LEVEL = VOICES.index("level")
_LEAST = 1e-9

Flags = NDArray[np.bool_]
Halves = NDArray[np.float32]


class Runs(NamedTuple):
    """``sigma`` (S, K), at least 3 or 0 for nothing, ``which`` of ``RUNS`` says it, what was expected when it began
    (``left``; NaN where nothing is said), and ``changes``, what the state keeps.
    """

    sigma: Array
    which: NDArray[np.int8]
    left: Array
    changes: dict[str, Any]


class _Course(NamedTuple):
    """Which ``value`` was the last at each column (S, K), in how many samples in a row (``length``), and the column in
    which that ``began``; -1 before the first of these.
    """

    value: Array
    length: NDArray[np.int64]
    began: NDArray[np.int64]


def stand_still(state: AutoState, values: Array, seen: Flags, verdict: Verdicts, hold: Flags) -> Runs:
    """What runs say of samples (S, K); ``seen`` are those that count. Where no alert holds (S,) they are news for a
    while only.
    """
    if not state.run_told.any() and not _repeats(state, values, seen):
        return _moving(state, values, seen, verdict)
    course = _course(state, values, seen)
    which = np.where(course.value == 0, _ZERO, _SAME).astype(np.int8)
    beyond = course.length - np.array(LENGTHS)[which]
    # Each is counted when it has become a run, and again after each day of it.
    came = seen & (beyond >= 0) & (beyond % state.grid.a_day == 0)
    known, new = np.zeros(values.shape), state.new_runs.copy()
    for kind in (_ZERO, _SAME):
        mine = came & (which == kind)
        before = state.run_counts[:, kind, None] + (new[:, kind, None] + np.cumsum(mine, axis=1) - mine)
        known = np.where(which == kind, before, known)
        new[:, kind] += mine.sum(axis=1).astype(new.dtype)
    wanted = np.maximum(USUAL * state.mass / state.grid.a_day, _LEAST)
    sigma = ANOMALOUS + np.log(wanted[:, None] / (known + PRIOR)) / FALL
    begins = seen & (beyond == 0)
    middle = (state.center * state.unit + state.offset)[:, None]
    fell = (verdict.size[_LEVEL] > FAR) & (verdict.expected * np.sign(middle) > 0)
    news = begins & (sigma >= ANOMALOUS) & (fell | (which == _SAME))
    said = _kept(state.run_told, np.where(news, sigma, 0.0).astype(np.float32), begins, course)
    said[beyond >= NEW_NORMAL_DAYS * state.grid.a_day] = 0.0
    left = _kept(state.run_left, verdict.level.astype(np.float32), course.began == np.arange(values.shape[1]), course)
    # A sample that counts for nothing has a value of its own.
    there = np.where((values == course.value) & (hold[:, None] | (beyond < NEWS)), said, 0.0)
    changes = {
        "run_value": course.value[:, -1].copy(),
        "run_length": course.length[:, -1].astype(np.int32),
        "run_told": said[:, -1].copy(),
        "run_left": left[:, -1].copy(),
        "new_runs": new,
    }
    return Runs(there.astype(np.float64), which, np.where(there > 0, left, np.nan), changes)


def _repeats(state: AutoState, values: Array, seen: Flags) -> bool:
    """Whether a sample may have the value of the one before; where some are missing or count for nothing it may."""
    if not seen.all():
        return True
    return bool((values[:, 0] == state.run_value).any() or (values[:, 1:] == values[:, :-1]).any())


def _moving(state: AutoState, values: Array, seen: Flags, verdict: Verdicts) -> Runs:
    """What is said where every sample is another one: nothing, the usual case."""
    changes = {
        "run_value": values[:, -1].copy(),
        "run_length": np.ones_like(state.run_length),
        "run_told": np.zeros_like(state.run_told),
        "run_left": verdict.level[:, -1].astype(np.float32),
        "new_runs": state.new_runs,
    }
    return Runs(np.zeros(seen.shape), np.full(seen.shape, _SAME, np.int8), np.full(seen.shape, np.nan), changes)


def _course(state: AutoState, values: Array, seen: Flags) -> _Course:
    known = np.concatenate([state.run_value[:, None], np.where(seen, values, np.nan)], axis=1)
    last = np.maximum.accumulate(np.where(np.isnan(known), 0, np.arange(known.shape[1])), axis=1)
    known = np.take_along_axis(known, last, axis=1)
    new = seen & (values != known[:, :-1])
    began = np.maximum.accumulate(np.where(new, np.arange(values.shape[1]), -1), axis=1)
    count = np.cumsum(seen, axis=1)
    before = np.take_along_axis(count, np.maximum(began, 0), axis=1) - 1
    length = np.where(began < 0, state.run_length[:, None] + count, count - before)
    return _Course(known[:, 1:], length, began)


def _kept(before: Halves, each: Halves, where: Flags, course: _Course) -> Halves:
    """What ``each`` column (S, K) says, ``where`` it does so, for the rest of that run; in a run of which none does, 0,
    or what was known ``before`` (S,) of the one that had begun.
    """
    at = np.maximum.accumulate(np.where(where, np.arange(where.shape[1]), -1), axis=1)
    said = np.take_along_axis(each, np.maximum(at, 0), axis=1)
    old = np.where(course.began < 0, before[:, None], np.float32(0.0))
    return np.where((at >= 0) & (at >= course.began), said, old)


def counted(state: AutoState, fading: Array) -> dict[str, Any]:
    """The runs of the state after it has learnt, what was known of them ``fading`` (S,)."""
    counts = state.run_counts * fading[:, None] + state.new_runs
    return {"run_counts": counts.astype(np.float32), "new_runs": np.zeros_like(state.new_runs)}


def forgotten(state: AutoState, rows: NDArray[np.intp]) -> dict[str, Any]:
    """The runs after ``rows`` have a new normal: what stands still there is how it is."""
    told = state.run_told.copy()
    told[rows] = 0.0
    return {"run_told": told}
