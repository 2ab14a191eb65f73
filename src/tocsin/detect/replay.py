"""Going through time, in monitoring and in a back-test alike: learn when it is due, score, never learn the odd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.base import AUTO, MIN_LEARN, Scores, as_block, as_times, joined, resolve_methods
from tocsin.detect.baseline import Baseline, fit_block, score_block
from tocsin.detect.calibrate import ANOMALOUS, Array
from tocsin.detect.rolling import last_valid

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]

AT_ODDS = 1.0 / 3.0
"""A row has no opinion yet where this share of what taught it stands out against what was learnt from it."""

SURE_AFTER = 4 * MIN_LEARN
"""So many columns after its first sample it has one all the same: a series may have two levels."""


@dataclass(frozen=True)
class Replay:
    """``scores`` of the new columns (S, K), ``learn`` (S, T): what may teach, and the ``baseline`` in force."""

    scores: Scores
    learn: Mask
    baseline: Baseline


def replay(
    timestamps: object,
    values: object,
    *,
    new: int,
    window: int,
    relearn: int,
    learn: object = None,
    baseline: Baseline | None = None,
    hold: object = None,
    methods: str | Sequence[str] = AUTO,
    step_s: float | None = None,
    mute: object = None,
    born: Ints | None = None,
) -> Replay:
    """Judge the newest ``new`` columns of (S, T) ``values``, each by a baseline learnt before it; NaN = gap.

    A fit is due where ``timestamp // step_s // relearn`` changes from one column to the next, and at once for a row
    that is not ready but has ``MIN_LEARN`` samples; it learns from the ``window`` columns before. ``step_s`` (default:
    the median spacing) is given by a caller who feeds a series in parts. Samples at 3 sigma and more are masked out of
    ``learn`` and never teach. Where every sample of a whole window is masked, that is the new normal, and the window
    may be learnt from again: but not in rows on ``hold`` (S,), whose alert is active.

    ``mute`` (S, T) are samples that are judged and never teach, whatever else is masked. ``born`` (S,), for series that
    are young: the column of the first sample, which may lie before the block. What they began with may have been the
    exception: there what stands out is the normal too, also on hold, once it is more than half of all there ever was,
    in the window and before it. After a window of ordinary samples it never is.

    ``learn`` (S, T - new) is the mask of the older columns, as an earlier replay returned it, and ``baseline`` that
    replay's. Fed in any parts (each with the ``window`` columns before it), the result is that of one call, bit by bit.
    Raises ValueError for shapes that do not fit, an unknown method, and limits below 1.
    """
    block = as_block(values)
    times = as_times(timestamps, block.shape[1])
    rows, columns = block.shape
    if window < 1 or relearn < 1 or not 0 <= new <= columns:
        raise ValueError(f"window {window} and relearn {relearn} start at 1; new {new} lies between 0 and {columns}")
    names = resolve_methods(methods)
    mask = np.ones((rows, columns), dtype=bool)
    if learn is not None:
        mask[:, : columns - new] = np.asarray(learn, dtype=bool).reshape(rows, columns - new)
    held = np.zeros(rows, dtype=bool) if hold is None else np.asarray(hold, dtype=bool)
    usable = ~np.isnan(block)
    if mute is not None:
        usable &= ~np.asarray(mute, dtype=bool)
    mask &= usable
    if baseline is not None and (baseline.methods != names or len(baseline.samples) != rows):
        raise ValueError("the baseline has other methods or another number of rows")
    walk = _Walk(block, (mask, usable), (held, born), window, baseline or Baseline.unlearnt(rows, names))
    if not new or not rows:
        return Replay(Scores.nothing(rows, new, names), mask, walk.baseline)
    first = columns - new
    previous = _previous(block, first, window)
    before = max(first - 1, 0)
    slots = np.floor(times[before:] / (step_s or spacing(times)) + 1e-6) // relearn
    due = set((np.flatnonzero(slots[1:] != slots[:-1]) + before + 1).tolist())
    starts = sorted(due | {first})
    parts: list[Scores] = []
    for start, end in zip(starts, [*starts[1:], columns], strict=True):
        if start in due:
            walk.relearn(start)
        parts += walk.advance(start, end, previous[:, start - first : end - first])
    return Replay(parts[0] if len(parts) == 1 else joined(parts), mask, walk.baseline)


def relearns_after(window: int) -> int:
    """After how many samples a baseline of so many is learnt anew: a sixtieth of them, at least three."""
    return max(3, window // 60)


def sure_after(window: int) -> int:
    """Columns after its first sample from which a row has an opinion though its samples do not agree."""
    return max(MIN_LEARN, min(SURE_AFTER, window // 2))


def spacing(times: Array) -> float:
    """The median distance of neighbouring timestamps in seconds; 1 where there is none."""
    steps = np.diff(times)
    steps = steps[steps > 0]
    return float(np.median(steps)) if steps.size else 1.0


def _previous(block: Array, first: int, window: int) -> Array:
    """The last sample before each new column, NaN where the last ``window`` columns hold none; (S, K)."""
    if first:
        neighbours = block[:, first - 1 : -1]
        if not np.isnan(neighbours).any():
            return neighbours
    start = max(0, first - window)
    where = last_valid(~np.isnan(block[:, start:]))[:, first - start :]
    age = np.arange(first - start, block.shape[1] - start) - where
    known = (where >= 0) & (age <= window)
    values = np.take_along_axis(block[:, start:], np.maximum(where, 0), axis=1)
    result: Array = np.where(known, values, np.nan)
    return result


class _Walk:
    """The one mutable thing: the mask and the baseline while time goes on."""

    def __init__(
        self, block: Array, masks: tuple[Mask, Mask], rows: tuple[Mask, Ints | None], window: int, baseline: Baseline
    ) -> None:
        self.block, self.window, self.baseline = block, window, baseline
        self.mask, self.usable = masks
        self.held, self.born = rows

    def relearn(self, column: int) -> None:
        """Learn every row anew from the window before ``column``."""
        start = max(0, column - self.window)
        if column == start:
            return
        part, mask = self.block[:, start:column], self.mask[:, start:column]
        stale = ~mask.any(axis=1) & ~self.held & (column >= self.window)
        if self.born is not None:
            stale |= 2 * (self.usable[:, start:column] & ~mask).sum(axis=1) > column - self.born
        rows = np.flatnonzero(stale)
        mask[rows] = self.usable[rows, start:column]
        before = self.baseline
        self.baseline = fit_block(np.where(mask, part, np.nan), before.methods, before)
        fresh = np.flatnonzero(self.baseline.ready & ~before.ready)
        doubted = fresh[self._at_odds(self.baseline.select(fresh), part[fresh], mask[fresh])]
        if doubted.size:
            self.baseline = replaced_rows(self.baseline, doubted, before.select(doubted))

    def warm_up(self, column: int, end: int) -> int:
        """Learn the rows that became ready to be learnt at ``column``; return the next such column, at most ``end``."""
        ready = self.baseline.ready
        if ready.all():
            return end
        pending = np.flatnonzero(~ready)
        start = max(0, column - self.window)
        seen = np.zeros((len(pending), end - start + 1), dtype=np.intp)
        np.cumsum(self.mask[pending, start:end], axis=1, out=seen[:, 1:])
        at = np.arange(column, end + 1)
        enough = seen[:, at - start] - seen[:, np.maximum(at - self.window, start) - start] >= MIN_LEARN
        due = pending[enough[:, 0]]
        if due.size:
            part, mask = self.block[due, start:column], self.mask[due, start:column]
            learnt = fit_block(np.where(mask, part, np.nan), self.baseline.methods, None)
            doubted = self._at_odds(learnt, part, mask)
            sure = np.flatnonzero(~doubted)
            self.baseline = replaced_rows(self.baseline, due[sure], learnt.select(sure))
            if doubted.any():
                return min(column + 1, end)
        later = enough[~enough[:, 0]].any(axis=0)
        return int(at[later.argmax()]) if later.any() else end

    def _at_odds(self, learnt: Baseline, part: Array, mask: Mask) -> Mask:
        """(S,): rows that are new and do not agree with what was ``learnt`` of them, ``part`` (S, T) where ``mask``."""
        since = mask.shape[1] - mask.argmax(axis=1)
        result: Mask = learnt.ready & (since < sure_after(self.window))
        rows = np.flatnonzero(result)
        if rows.size:
            sigma = score_block(learnt.select(rows), part[rows], np.full_like(part[rows], np.nan)).sigma
            odd = (np.abs(sigma) >= ANOMALOUS) & mask[rows]
            result[rows] = odd.sum(axis=1) >= AT_ODDS * mask[rows].sum(axis=1)
        return result

    def advance(self, start: int, end: int, previous: Array) -> list[Scores]:
        """Score columns start to end, in as many parts as rows become ready in between; ``previous`` (S, K) of them."""
        parts, at = [], start
        while at < end:
            stop = max(self.warm_up(at, end), at + 1)
            before = np.ascontiguousarray(previous[:, at - start : stop - start])
            part = score_block(self.baseline, np.ascontiguousarray(self.block[:, at:stop]), before)
            self.mask[:, at:stop] &= ~(np.abs(part.sigma) >= ANOMALOUS)
            parts.append(part)
            at = stop
        return parts


def replaced_rows(baseline: Baseline, rows: NDArray[np.intp], part: Baseline) -> Baseline:
    """The baseline in which ``rows`` are those of ``part``."""
    samples, level = baseline.samples.copy(), baseline.level.copy()
    samples[rows], level[rows] = part.samples, part.level
    arrays = []
    for name in ("center", "scale", "degrees", "reach"):
        array = getattr(baseline, name).copy()
        array[:, rows] = getattr(part, name)
        arrays.append(array)
    return Baseline(baseline.methods, samples, level, *arrays)
