"""Kernels over blocks of rows: arrays in, arrays out. Each has a plain twin in ``tests/detect/naive.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.calibrate import Array

Index = NDArray[np.intp]
Ordered = NDArray[Any]
"""Rows in ascending order, float64 or float32; what is computed of them is float64."""

_SORT_BELOW = 1 << 13


def pick(ordered: Ordered, position: Index) -> Ordered:
    """``ordered[i, position[i]]`` of every row; a position outside is moved to the nearest column."""
    if len(ordered) == 1:
        one: Ordered = ordered[0].take(position, mode="clip")
        return one
    width = ordered.shape[1]
    flat = np.minimum(np.maximum(position, 0), width - 1)
    flat += np.arange(0, ordered.size, width)
    result: Ordered = ordered.reshape(-1).take(flat)
    return result


def valid_counts(ordered: Ordered) -> Index:
    """How many samples each sorted row has; NaN sorts last."""
    count = np.full(len(ordered), ordered.shape[1], dtype=np.intp)
    gappy = np.isnan(ordered[:, -1])
    if gappy.any():
        count[gappy] = (~np.isnan(ordered[gappy])).sum(axis=1)
    return count


def median_of(ordered: Ordered, low: Index, high: Index) -> Array:
    """The median of columns low to high (excluded) of each sorted row; (S,)."""
    both = low + high
    upper = pick(ordered, both >> 1).astype(np.float64)
    lower = pick(ordered, (both - 1) >> 1)
    # Half of each, not half of the sum, and the difference is exact for neighbours.
    result: Array = lower + 0.5 * (upper - lower)
    return result


def quantile_of(ordered: Ordered, low: Index, high: Index, share: float) -> Array:
    """A quantile with linear interpolation (Hyndman and Fan 1996, definition 7) of columns low to high; (S,)."""
    position = (high - low - 1) * share
    first = position.astype(np.intp)
    rest = position - first
    first += low
    below = pick(ordered, first).astype(np.float64)
    result: Array = below + rest * (pick(ordered, np.minimum(first + 1, high - 1)) - below)
    return result


def range_of(ordered: Ordered, low: Index, high: Index) -> Array:
    """The distance between the quartiles of columns low to high (excluded) of each sorted row; (S,)."""
    return quantile_of(ordered, low, high, 0.75) - quantile_of(ordered, low, high, 0.25)


def mad_of(ordered: Ordered, low: Index, high: Index, median: Array) -> Array:
    """The median absolute deviation of columns low to high of each sorted row about its ``median``; (S,)."""
    width = ordered.shape[1]
    if ordered.size < _SORT_BELOW or width < 256:
        distance = np.abs(ordered - median[:, None])
        if int(low.max(initial=0)) > 0 or int(high.min(initial=width)) < width:
            column = np.arange(width)
            distance[(column < low[:, None]) | (column >= high[:, None])] = np.nan
        distance.sort(axis=1)
        return median_of(distance, np.zeros_like(low), high - low)
    return _mad_by_bisection(ordered, low, high, median)


def _mad_by_bisection(ordered: Ordered, low: Index, high: Index, median: Array) -> Array:
    """The same without a second sort: the distances below and above the median are two sorted lists.

    The k-th smallest of two sorted lists is found by bisecting how many of the k come from the upper one.
    """
    count = high - low
    split = low + (count >> 1)
    k = (count + 1) >> 1
    least = np.maximum(0, k - (split - low))
    most = np.minimum(k, high - split)
    flat, start = ordered.reshape(-1), np.arange(0, ordered.size, ordered.shape[1]) + split
    for _ in range(int((most - least).max(initial=0)).bit_length()):
        middle = (least + most) >> 1
        place = start + middle
        # Take more from above while the next one there is nearer than the last one taken from below.
        more = flat.take(place, mode="clip") - median < median - flat.take(place - k, mode="clip")
        more &= middle < most
        least = np.where(more, middle + 1, least)
        most = np.where(more, most, middle)
    above, below = split + least, split - 1 - (k - least)
    last = np.maximum(
        np.where(least > 0, pick(ordered, above - 1) - median, -np.inf),
        np.where(k > least, median - pick(ordered, below + 1), -np.inf),
    )
    following = np.minimum(
        np.where(above < high, pick(ordered, above) - median, np.inf),
        np.where(below >= low, median - pick(ordered, below), np.inf),
    )
    even = (count & 1) == 0
    result: Array = np.where(even, last + 0.5 * (np.where(even, following, last) - last), last)
    return result


def resolution_of(ordered: Array, across: Index | None = None, least: Array | None = None) -> Array:
    """The smallest gap between two values that both occur more than once in a sorted row; 0 where there is none.

    With ``across``, how often the series steps from one place of the order over the next (``steps_over``), only gaps
    count over which it steps at least ``least`` (S,) times.
    """
    gap = np.zeros(len(ordered))
    repeated = ordered[:, 1:] == ordered[:, :-1]
    rows = np.flatnonzero(repeated.any(axis=1))
    if rows.size:
        part = ordered[rows]
        place = np.maximum.accumulate(np.where(repeated[rows], np.arange(1, ordered.shape[1]), 0), axis=1)
        before = place[:, :-1]
        with np.errstate(invalid="ignore"):
            steps = np.take_along_axis(part, place[:, 1:], axis=1) - np.take_along_axis(part, before, axis=1)
            steps[~((steps > 0) & (steps < np.inf) & (before > 0))] = np.inf
        if across is not None and least is not None:
            often = np.minimum(across[rows][:, : steps.shape[1]], np.take_along_axis(across[rows], before, axis=1))
            steps[often < least[rows, None]] = np.inf
        smallest = steps.min(axis=1, initial=np.inf)
        gap[rows] = np.where(smallest < np.inf, smallest, 0.0)
    return gap


def steps_over(values: Array) -> Index:
    """How often each row (S, T) goes from one of its j + 1 smallest samples to a larger one, or back; over gaps, too.

    Column j of (S, T) says so.
    """
    rows, width = values.shape
    place = np.empty(values.shape, dtype=np.intp)
    np.put_along_axis(place, values.argsort(axis=1), np.arange(width)[None], axis=1)
    valid = ~np.isnan(values)
    before = last_valid(valid)
    valid &= before >= 0
    row, column = np.nonzero(valid)
    ends = place[row, column], place[row, before[row, column]]
    first = np.bincount(row * width + np.minimum(*ends), minlength=rows * width)
    last = np.bincount(row * width + np.maximum(*ends), minlength=rows * width)
    result: Index = (first - last).reshape(rows, width).cumsum(axis=1)
    return result


def bridges(dirty: Index, width: int) -> tuple[Index, Index, Index]:
    """The steps over runs of ``dirty`` places, ascending, in a flat block whose rows are ``width`` long.

    Answers, for each dirty place, the last clean one before it; the first clean places behind the runs; and for each
    of those the last clean one before the run. -1 where a row has none.
    """
    column = dirty % width
    fresh = np.ones(len(dirty), dtype=bool)
    fresh[1:] = (dirty[1:] != dirty[:-1] + 1) | (column[1:] == 0)
    start = dirty[np.maximum.accumulate(np.where(fresh, np.arange(len(dirty)), 0))]
    before = np.where(start % width == 0, -1, start - 1)
    last = column != width - 1
    last[:-1] &= fresh[1:]
    return before, dirty[last] + 1, before[last]


def last_valid(valid: NDArray[np.bool_]) -> Index:
    """For every column the nearest valid column before it, -1 where there is none; (S, T)."""
    column = np.where(valid, np.arange(valid.shape[1]), -1)
    result = np.full(valid.shape, -1, dtype=np.intp)
    np.maximum.accumulate(column[:, :-1], axis=1, out=result[:, 1:])
    return result


def previous_of(values: Array, valid: NDArray[np.bool_]) -> Array:
    """The last valid sample before each column, NaN where there is none; (S, T)."""
    where = last_valid(valid)
    result = np.take_along_axis(values, np.maximum(where, 0), axis=1)
    result[where < 0] = np.nan
    return result
