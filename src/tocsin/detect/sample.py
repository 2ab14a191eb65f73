"""What is learnt of each row before any method looks at it: one sort, then numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.calibrate import ANOMALOUS, Array, tail_of
from tocsin.detect.esd import Rest, Tails, fences, search
from tocsin.detect.order import NARROW_FROM, Order, chunks, exact_order, narrow_order, scratch
from tocsin.detect.rolling import Index, bridges, mad_of, median_of, pick, range_of, resolution_of, steps_over

LEVEL_SHARE = 1e-4
"""No scale is below this share of the level: a change of one in ten thousand is not news."""

MAD_SIGMA = 1.4826022185056018
"""Standard deviations in a median absolute deviation of Gaussian samples."""

SMALLEST = 1e-290
"""Where even the floor is nothing (a series of zeros), the scale is this."""

STEPPED_OVER = 2.0 * tail_of(ANOMALOUS)
"""A gap between values is the resolution where at least this share of the samples steps over it, there or back: what
is as rare as 3 sigma is what may stand out, and says nothing of the resolution."""

_HUGE = 1e140
_NEARLY = 1.0 - 1e-6


@dataclass(frozen=True)
class Sample:
    """The clean samples of each row; every array is (S,).

    Clean are the samples whose distance from ``level`` (the median of all ``all_count``) lies between ``lower`` and
    ``upper``: what the ESD test left. ``width`` is their interquartile range, ``squares`` their sum of squares about
    the ``mean``; ``move_squares`` the sum of squared changes from one clean sample to the next, ``moves`` of them.
    ``rescale`` is None or the power of two by which all this has to be multiplied.
    """

    all_count: Index
    count: Index
    level: Array
    lower: Array
    upper: Array
    median: Array
    mad: Array
    width: Array
    mean: Array
    squares: Array
    floor: Array
    moves: Array
    move_squares: Array
    rescale: Array | None

    @cached_property
    def deviation(self) -> Array:
        """The standard deviation of the clean samples."""
        result: Array = np.sqrt(self.squares / np.maximum(self.count - 1.0, 1.0))
        return result

    def kept(self, values: Array) -> NDArray[np.bool_]:
        """Which of the (rescaled) rows (S, T) are clean samples."""
        distance = values - self.level[:, None]
        result: NDArray[np.bool_] = (distance >= self.lower[:, None]) & (distance <= self.upper[:, None])
        return result

    def rows(self, rows: Index) -> Sample:
        """Some rows of it."""
        result: dict[str, Any] = {name: None if part is None else part[rows] for name, part in self._parts()}
        return Sample(**result)

    def merged(self, other: Sample, here: Index, there: Index) -> Sample:
        """A sample whose rows ``here`` are mine and whose rows ``there`` are another's."""
        result: dict[str, Any] = {}
        theirs = dict(other._parts())
        for name, mine in self._parts():
            if mine is None and theirs[name] is None:
                result[name] = None
                continue
            # Only ``rescale`` may be missing, on one side: 1 says the same.
            one, two = (np.asarray(1.0 if part is None else part) for part in (mine, theirs[name]))
            result[name] = np.empty(len(here) + len(there), dtype=one.dtype)
            result[name][here], result[name][there] = one, two
        return Sample(**result)

    def _parts(self) -> list[tuple[str, Any]]:
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


def summarise(values: Array, *, fenced: bool = True, moves: bool = True) -> Sample:
    """The clean samples of each row of an (S, T) block, NaN = gap; rows of huge or tiny numbers are rescaled.

    ``fenced`` bounds the search for outliers (``esd.fences``). Rows of ``NARROW_FROM`` samples and more without ties
    are sorted in float32: their median and quartiles are good to 1e-7 of the distance between the quartiles.
    """
    if values.shape[1] == 0:
        values = np.full((len(values), 1), np.nan)
    if values.shape[1] < NARROW_FROM:
        return _learn(values, exact_order(values), fenced=fenced, moves=moves)
    order, exact = narrow_order(values)
    if exact.size == len(values):
        return _learn(values, exact_order(values), fenced=fenced, moves=moves)
    if not exact.size:
        return _learn(values, order, fenced=fenced, moves=moves)
    here = np.setdiff1d(np.arange(len(values)), exact, assume_unique=True)
    part = _learn(values[here], order.rows(here), fenced=fenced, moves=moves)
    rest = values[exact]
    return part.merged(_learn(rest, exact_order(rest), fenced=fenced, moves=moves), here, exact)


def _learn(values: Array, order: Order, *, fenced: bool, moves: bool) -> Sample:
    values, order, rescale = _scaled(values, order)
    ordered, count = order.ordered, order.samples
    nothing = np.zeros_like(count)
    middle = median_of(ordered, nothing, count)
    level = middle + order.center
    mad = mad_of(ordered, nothing, count, middle)
    least = np.maximum(LEVEL_SHARE * np.abs(level), SMALLEST)
    floor = np.maximum(_resolution(values, order, np.maximum(least, MAD_SIGMA * mad)), least)
    fence = fences(count, np.maximum(MAD_SIGMA * mad, floor), fenced=fenced, width=values.shape[1])
    farthest = np.maximum(pick(ordered, count - 1) - middle, middle - pick(ordered, nothing))
    suspect = (farthest > fence * _NEARLY) & (count >= 3)
    beyond = _beyond(values, level, np.where(suspect, fence, np.inf), int(count.min(initial=values.shape[1])))
    test = _tested(beyond, order, middle, fence, floor) if beyond.flat.size else _untested(beyond, count)
    trimmed = np.flatnonzero(test.high - test.low < count)
    median = middle
    if trimmed.size:
        part = ordered if trimmed.size == len(ordered) else ordered[trimmed]
        ends = test.low[trimmed], test.high[trimmed]
        median, mad = middle.copy(), mad.copy()
        median[trimmed] = median_of(part, *ends)
        mad[trimmed] = mad_of(part, *ends, median[trimmed])
    left = test.high - test.low
    shift = test.total / np.maximum(left, 1)
    number = square = np.zeros(len(values))
    if moves:
        number, square = _moves(values, test.dirty)
    return Sample(
        all_count=count,
        count=left,
        level=level,
        lower=test.lower,
        upper=test.upper,
        median=median + order.center,
        mad=mad,
        width=range_of(ordered, test.low, test.high),
        mean=level + shift,
        squares=np.maximum(test.squares - test.total * shift, 0.0),
        floor=floor,
        moves=number,
        move_squares=square,
        rescale=rescale,
    )


def _resolution(values: Array, order: Order, usual: Array) -> Array:
    """The resolution of each row; what is more than the ``usual`` deviation (S,) needs evidence."""
    often: Array = np.multiply(STEPPED_OVER, order.samples, dtype=np.float64)
    doubted = np.flatnonzero((order.resolution > usual) & (often > 1.0))
    if not doubted.size:
        return order.resolution
    result = order.resolution.copy()
    result[doubted] = resolution_of(order.ordered[doubted], steps_over(values[doubted]), often[doubted])
    return result


def _scaled(values: Array, order: Order) -> tuple[Array, Order, Array | None]:
    """Rows whose squares would leave the range of a float, divided by a power of two; None when there is none."""
    if order.ordered.dtype != np.float64:
        return values, order, None
    ordered, count = order.ordered, order.samples
    largest = np.maximum(np.abs(ordered[:, 0]), np.abs(pick(ordered, count - 1)))
    extreme = (largest > _HUGE) | ((largest < 1.0 / _HUGE) & (largest > 0))
    if not extreme.any():
        return values, order, None
    unit = np.where(extreme, np.exp2(np.floor(np.log2(np.where(extreme, largest, 1.0)))), 1.0)
    scaled = ordered / unit[:, None]
    return values / unit[:, None], Order(scaled, order.center, count, order.resolution / unit), unit


class _Beyond(NamedTuple):
    """Samples beyond ``reach``: where (in the flat block) and how far from the level; ``gaps``; and the rest's sums."""

    flat: Index
    distance: Array
    gaps: Index
    total: Array
    squares: Array


def _beyond(values: Array, level: Array, reach: Array, fewest: int) -> _Beyond:
    rows, width = values.shape
    total, squares = np.empty(rows), np.empty(rows)
    flat, distance, gaps = [], [], []
    for part in chunks(rows, width):
        shape = values[part].shape
        deviation = np.subtract(values[part], level[part, None], out=scratch("deviation", shape))
        here = deviation.reshape(-1)
        if fewest < width:
            missing = np.flatnonzero(np.isnan(here))
            here[missing] = 0.0
            gaps.append(missing + part.start * width)
        some = np.flatnonzero(reach[part] < np.inf)
        if some.size:
            size = np.abs(deviation[some])
            far = np.flatnonzero(size > reach[part][some, None])
            row = far // width
            far += (some[row] - row) * width
            distance.append(here[far])
            flat.append(far + part.start * width)
            here[far] = 0.0
        np.add.reduce(deviation, axis=1, out=total[part])
        np.vecdot(deviation, deviation, out=squares[part])
    return _Beyond(_joined(flat), np.concatenate(distance) if distance else np.empty(0), _joined(gaps), total, squares)


def _joined(parts: list[Index]) -> Index:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.intp)


class _Tested(NamedTuple):
    """What the ESD test left: columns ``low`` to ``high`` of the sorted rows, the distances that bound it, its sums.

    ``dirty`` are the places in the flat block that are not clean: gaps and what was set aside.
    """

    low: Index
    high: Index
    lower: Array
    upper: Array
    total: Array
    squares: Array
    dirty: Index


def _untested(beyond: _Beyond, count: Index) -> _Tested:
    infinite = np.full(len(count), np.inf)
    return _Tested(np.zeros_like(count), count, -infinite, infinite, beyond.total, beyond.squares, beyond.gaps)


def _tested(beyond: _Beyond, order: Order, middle: Array, fence: Array, floor: Array) -> _Tested:
    """The ESD test of the rows that have samples beyond the fence."""
    width = order.ordered.shape[1]
    row = beyond.flat // width
    many = np.bincount(row, minlength=len(middle))
    rows = np.flatnonzero(many)
    number = many[rows]
    first = np.cumsum(number) - number
    local = np.repeat(np.arange(len(rows)), number)
    ends = np.full((len(rows), int(number.max())), np.inf)
    ends[local, np.arange(len(row)) - first[local]] = beyond.distance
    ends.sort(axis=1)
    low = np.add.reduceat(beyond.distance < 0, first, dtype=np.intp)
    count, start, flat, half = order.samples[rows], rows * width, order.ordered.reshape(-1), middle[rows]
    # Where everything is tested there may be no rest; what is read here then is not looked at.
    lowest = half - flat[start + np.minimum(low, width - 1)]
    highest = flat[start + np.maximum(count - number + low - 1, 0)] - half
    rest = Rest(count - number, beyond.total[rows], beyond.squares[rows], lowest, highest)
    kept = search(Tails(ends, low, number, fence[rows], floor[rows]), rest)
    left = _untested(beyond, order.samples)
    high = order.samples.copy()
    left.low[rows], high[rows] = kept.below, count - kept.above
    left.total[rows], left.squares[rows] = kept.total, kept.squares
    place, last = np.arange(len(rows)), number - kept.above - 1
    lower = np.where(kept.below < low, ends[place, np.minimum(kept.below, ends.shape[1] - 1)], -fence[rows])
    upper = np.where(last >= low, ends[place, last], fence[rows])
    left.lower[rows] = np.where(kept.below > 0, lower, -np.inf)
    left.upper[rows] = np.where(kept.above > 0, upper, np.inf)
    aside = beyond.flat[(beyond.distance < left.lower[row]) | (beyond.distance > left.upper[row])]
    dirty = np.sort(np.concatenate((beyond.gaps, aside))) if beyond.gaps.size else aside
    return left._replace(high=high, dirty=dirty)


def _moves(values: Array, dirty: Index) -> tuple[Array, Array]:
    """How many changes there are from one clean sample to the next, and the sum of their squares."""
    rows, width = values.shape
    squares = np.empty(rows)
    _, after, start = bridges(dirty, width)
    flat = values.reshape(-1)
    step = np.where(start < 0, 0.0, flat[after] - flat[start])
    for part in chunks(rows, width):
        whole = scratch("change", values[part].shape)
        change, first, end = whole.reshape(-1), part.start * width, part.start * width + whole.size
        # One long subtraction; from one row to the next there is no change.
        np.subtract(flat[first + 1 : end], flat[first : end - 1], out=change[1:])
        whole[:, 0] = 0.0
        if dirty.size:
            change[dirty[slice(*np.searchsorted(dirty, (first, end)))] - first] = 0.0
            here = slice(*np.searchsorted(after, (first, end)))
            change[after[here] - first] = step[here]
        np.vecdot(whole, whole, out=squares[part])
    clean = np.full(rows, width)
    if dirty.size:
        clean -= np.bincount(dirty // width, minlength=rows)
    return np.maximum(clean - 1.0, 0.0), squares
