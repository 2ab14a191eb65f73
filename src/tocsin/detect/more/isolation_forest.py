"""`isolation_forest`: the last samples against all windows of the past days, with their own level taken off."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tocsin.detect.calibrate import ANOMALOUS, Array, sigma_of_log_tail
from tocsin.detect.more.common import (
    DAY_S,
    LEVEL_SHARE,
    SPREAD_SHARE,
    Advanced,
    Columns,
    Flags,
    Ints,
    Method,
    Rows,
    Said,
    median_of,
    scale_of,
)
from tocsin.detect.more.trees import Trees, grown, no_trees, picked, put, scored

LAG = 6
LEAD = 24
"""Samples before a window whose median is taken off it: what is left is the residual."""

WINDOWS = 192
"""Windows that are remembered, spread over the last ``DAYS``."""

DAYS = 3
FEWEST_WINDOWS = 64
SCORES = 48
"""Bins of the histogram of path lengths, a sixth of a split each."""

FEWEST_SCORES = 200
_BIN = 6.0
_FORGET = 14
_SPAN = LEAD + LAG
_LARGEST, _SMALLEST = 3e38, 1e-30
"""What four bytes hold, and the floor of a scale, as shares of the unit."""


@dataclass(frozen=True)
class ForestState(Rows):
    """``recent`` (S, 29) samples, which of them are ``muted``, a ring of ``windows`` (S, 192, 6) with how many were put
    in, a forest as arrays.

    ``windows`` are shares of ``unit`` (S,), the power of two below the first sample that is not zero, 0 = none yet.
    ``counts`` (S, 48) is how often each path length came, learnt as whole numbers when a day ends (``new_counts``);
    ``scale`` (S,) turns a residual into its own unit. The trees of a series take 31 KB, the rest 6 KB.
    """

    SHARED: ClassVar[tuple[str, ...]] = ("day", "step_s")

    day: int
    step_s: float
    recent: Array
    muted: Flags
    windows: NDArray[np.float32]
    put: Ints
    unit: Array
    scale: Array
    grown: Flags
    feature: NDArray[np.int8]
    threshold: NDArray[np.float32]
    left: NDArray[np.uint8]
    right: NDArray[np.uint8]
    length: NDArray[np.float32]
    counts: Ints
    new_counts: Ints

    @property
    def ready(self) -> Flags:
        """(S,): series with a forest and enough path lengths to say which are rare."""
        result: Flags = self.grown & (self.counts.sum(axis=1) >= FEWEST_SCORES)
        return result

    @property
    def trees(self) -> Trees:
        """The forests of all series."""
        return Trees(self.feature, self.threshold, self.left, self.right, self.length)

    def blank(self, rows: int) -> ForestState:
        """New series, at the same time."""
        return replace(fresh(rows, self.step_s), day=self.day)


def fresh(rows: int, step_s: float) -> ForestState:
    """Series of which nothing is known."""
    zero, counts = np.zeros(rows, np.int64), np.zeros((rows, SCORES), np.int64)
    return ForestState(
        -1,
        step_s,
        np.full((rows, _SPAN - 1), np.nan),
        np.zeros((rows, _SPAN - 1), bool),
        np.full((rows, WINDOWS, LAG), np.nan, np.float32),
        zero,
        np.zeros(rows),
        np.ones(rows),
        np.zeros(rows, bool),
        **no_trees(rows)._asdict(),
        counts=counts,
        new_counts=counts,
    )


def advance(state: ForestState, new: Columns) -> Advanced:
    """Score K columns by the forests of yesterday, and grow new ones when a day ends.

    A window of six samples, less the median of the 24 before, is isolated by few splits when it is unlike the windows
    of the last days (Liu, Ting and Zhou 2008). How improbable such a path is, the series' own past paths say: the share
    that was as short, and a geometric tail beyond the shortest. So it is one voice on the common scale. No window
    that reaches into what is muted teaches.
    """
    said = Said.nothing(new.values.shape)
    days = np.floor(new.local / DAY_S).astype(np.int64)
    bounds = np.flatnonzero(np.diff(days, prepend=state.day))
    for start, stop in zip([0, *bounds.tolist()], [*bounds.tolist(), len(days)], strict=True):
        if stop <= start:
            continue
        if int(days[start]) > state.day:
            state = _learnt(state, int(days[start])) if state.day >= 0 else replace(state, day=int(days[start]))
        mute = None if new.mute is None else new.mute[:, start:stop]
        part = new._replace(local=new.local[start:stop], values=new.values[:, start:stop], mute=mute)
        state = _stretch(state, part, [array[:, start:stop] for array in said[:4]])
    return Advanced(state, said)


METHOD = Method(fresh, advance, history_s=DAYS * DAY_S, first_s=2 * DAY_S, slow=True)


def _stretch(state: ForestState, new: Columns, out: list[Array]) -> ForestState:
    """The columns of one day."""
    values = new.values
    series = np.concatenate([state.recent, values], axis=1)
    views = sliding_window_view(series, _SPAN, axis=1)
    muted = np.concatenate([state.muted, np.zeros(values.shape, bool) if new.mute is None else new.mute], axis=1)
    level = median_of(views[:, :, :LEAD])
    known = ~np.isnan(views[:, :, LEAD:]).any(axis=2) & ~np.isnan(level)
    teaches = known & ~sliding_window_view(muted, _SPAN, axis=1).any(axis=2)
    state = replace(state, unit=_unit(state.unit, new.teaching))
    unit = _safe(state.unit)
    with np.errstate(over="ignore"):
        share = (views[:, :, LEAD:] - level[:, :, None]) / unit[:, None, None]
        rest = share / (state.scale / unit)[:, None, None]
    rest = np.clip(np.where(known[:, :, None], rest, 0.0), -1e6, 1e6)
    counts, ready = state.new_counts.copy(), state.ready
    odd = np.zeros(values.shape, bool)
    rows = np.flatnonzero(state.grown)
    if rows.size:
        path = scored(picked(state.trees, rows), rest[rows])
        place = np.clip(np.floor(path * _BIN), 0, SCORES - 1).astype(np.intp)
        sigma = _sigma(state.counts[rows], place, path)
        seen = known[rows] & ready[rows, None]
        signed = np.copysign(sigma, rest[rows][:, :, -1])
        out[0][rows] = np.where(seen, signed, np.nan)
        odd[rows] = seen & (sigma >= ANOMALOUS) & new.hold[rows, None]
        for n, row in enumerate(rows.tolist()):
            teach = teaches[row] & ~odd[row]
            counts[row] += np.bincount(place[n, teach], minlength=SCORES)
        reach = ANOMALOUS * state.scale[rows, None]
        for array, part in zip(out[1:], (level[rows], level[rows] - reach, level[rows] + reach), strict=True):
            array[rows] = np.where(seen, part, np.nan)
    windows, put = _remembered(state, new.local, share, teaches & ~odd)
    return replace(
        state,
        recent=series[:, -(_SPAN - 1) :].copy(),
        muted=muted[:, -(_SPAN - 1) :].copy(),
        windows=windows,
        put=put,
        new_counts=counts,
    )


def _sigma(counts: Ints, place: NDArray[np.intp], path: Array) -> Array:
    """How improbable paths (S, K) in bins ``place`` are by ``counts`` (S, bins), the shortest first."""
    total = counts.sum(axis=1)[:, None]
    shorter = np.take_along_axis(np.cumsum(counts, axis=1), place, axis=1)
    shortest = np.where(counts.any(axis=1), (counts > 0).argmax(axis=1), SCORES)[:, None]
    beyond = np.maximum(shortest - path * _BIN, 0.0)
    result: Array = sigma_of_log_tail(np.minimum(np.log((shorter + 1.0) / (total + 1.0)) - beyond, 0.0))
    return result


def _unit(unit: Array, values: Array) -> Array:
    """(S,): that of before, or the power of two below the first of (S, K) samples that is not zero."""
    there = ~np.isnan(values) & (values != 0.0)
    first = np.take_along_axis(values, there.argmax(axis=1)[:, None], axis=1)[:, 0]
    below = np.ldexp(0.5, np.frexp(np.where(there.any(axis=1), first, 1.0))[1])
    return np.where((unit == 0.0) & there.any(axis=1), below, unit)


def _safe(unit: Array) -> Array:
    return np.where(unit > 0.0, unit, 1.0)


def _remembered(state: ForestState, local: Array, share: Array, known: Flags) -> tuple[NDArray[np.float32], Ints]:
    """Every so many columns a window goes into the ring, so that it covers the last days."""
    every = max(1, round(DAYS * DAY_S / state.step_s / WINDOWS))
    windows, put = state.windows.copy(), state.put.copy()
    for column in np.flatnonzero(np.floor(local / state.step_s + 1e-6) % every == 0):
        rows = np.flatnonzero(known[:, column])
        windows[rows, put[rows] % WINDOWS] = np.clip(share[rows, column], -_LARGEST, _LARGEST)
        put[rows] += 1
    return windows, put


def _learnt(state: ForestState, day: int) -> ForestState:
    """A day is over: count its paths, and grow forests from the windows of the last days."""
    counts = state.counts - state.counts // _FORGET + state.new_counts
    scale, trees = state.scale.copy(), picked(state.trees, np.arange(state.rows))
    have, unit = state.grown.copy(), _safe(state.unit)
    for row in np.flatnonzero(state.put >= FEWEST_WINDOWS):
        windows = state.windows[row, : min(int(state.put[row]), WINDOWS)].astype(np.float64)
        flat = windows.ravel()
        with np.errstate(over="ignore"):
            level = np.where(state.muted[row], 0.0, np.nan_to_num(state.recent[row])) / unit[row]
        size = float(scale_of(flat, median_of(flat)))
        least = max(min(LEVEL_SHARE * float(np.abs(level).max()), _LARGEST), _SMALLEST)
        own = np.hypot(size, max(least, SPREAD_SHARE * float(np.abs(flat).mean())))
        scale[row] = own * unit[row]
        one = grown(np.clip(windows / own, -1e6, 1e6))
        put(trees, int(row), one)
        have[row] = True
    return replace(
        state,
        day=day,
        scale=scale,
        grown=have,
        counts=counts,
        new_counts=np.zeros_like(counts),
        **trees._asdict(),
    )
