"""Each row in order: in float64 where rows are short or tied, in float32 about their middle where they are long."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.calibrate import Array
from tocsin.detect.network import sort_rows
from tocsin.detect.rolling import Index, resolution_of, valid_counts

NARROW_FROM = 300
"""From this width on rows are sorted in float32: half the time, and what is read off is good to 1e-7 of a deviation."""

CHUNK_SAMPLES = 1 << 17
"""So many samples at a time: an array of that size stays in the second-level cache, a dozen in the third."""

_GLANCE = 33
_RESOLVED = 0.02
_LARGEST = 1e37


class Order(NamedTuple):
    """Sorted rows less their ``center`` (S,), gaps last; how many ``samples`` and the ``resolution`` of each."""

    ordered: NDArray[Any]
    center: Array
    samples: Index
    resolution: Array

    def rows(self, rows: Index) -> Order:
        """Some rows of it."""
        return Order(self.ordered[rows], self.center[rows], self.samples[rows], self.resolution[rows])


class _Scratch(threading.local):
    """Memory that stays: touching new memory for the first time costs more than the arithmetic on it."""

    def __init__(self) -> None:
        self.kept: dict[str, NDArray[Any]] = {}


_scratch = _Scratch()
_SCRATCH_NUMBERS = 1 << 21


def scratch(name: str, shape: tuple[int, ...], kind: type = np.float64) -> NDArray[Any]:
    """An array of whatever it held before, this thread's own until the next call by that name; 2 M numbers at most."""
    size = 1
    for length in shape:
        size *= length
    if size > _SCRATCH_NUMBERS:
        return np.empty(shape, dtype=kind)
    kept = _scratch.kept.get(name)
    if kept is None or kept.size < size or kept.dtype != kind:
        kept = _scratch.kept[name] = np.empty(size, dtype=kind)
    return kept[:size].reshape(shape)


def chunks(rows: int, columns: int) -> list[slice]:
    """Rows in parts of about ``CHUNK_SAMPLES``."""
    step = max(1, CHUNK_SAMPLES // max(1, columns))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def exact_order(values: Array) -> Order:
    """Any rows, in float64."""
    ordered = np.sort(values, axis=1)
    return Order(ordered, np.zeros(len(values)), valid_counts(ordered), resolution_of(ordered))


def narrow_order(values: Array) -> tuple[Order, Index]:
    """Long rows in float32, and which of them need ``exact_order`` instead.

    Those are the rows with values that occur more than once, with a middle half too narrow for float32, and with
    samples beyond its range. Where two samples differ in float64 only, the row stays: their order does not matter.
    """
    center = _glance(values)
    ordered = scratch("ordered", values.shape, np.float32)
    exact = np.empty(len(values), dtype=np.bool_)
    with np.errstate(over="ignore", invalid="ignore"):
        for part in chunks(*values.shape):
            here = ordered[part]
            wide = np.subtract(values[part], center[part, None], out=scratch("wide", here.shape))
            np.copyto(here, wide, casting="same_kind")
            sort_rows(here, scratch("keys", (2 * here.size + 8 * len(here),), np.int32))
            exact[part] = _tied(here)
    count = valid_counts(ordered)
    rows = np.arange(len(values))
    last = ordered[rows, np.maximum(count - 1, 0)]
    quarter, upper = ordered[rows, count >> 2], ordered[rows, np.minimum(3 * count >> 2, values.shape[1] - 1)]
    tied = np.flatnonzero(exact)
    if tied.size:
        again = np.sort(values[tied], axis=1)
        exact[tied] = (again[:, 1:] == again[:, :-1]).any(axis=1)
    with np.errstate(invalid="ignore"):
        exact |= ~(upper - quarter > _RESOLVED * np.maximum(np.abs(upper), np.abs(quarter)))
        exact |= ~((ordered[:, 0] > -_LARGEST) & (last < _LARGEST) & (np.abs(center) < _LARGEST))
    return Order(ordered, center, count, np.zeros(len(values))), np.flatnonzero(exact)


def _glance(values: Array) -> Array:
    """About the middle of each row: the median of some samples."""
    few = np.sort(values[:, :: max(1, values.shape[1] // _GLANCE)], axis=1)
    result: Array = few[np.arange(len(few)), valid_counts(few) >> 1]
    return np.where(result == result, result, 0.0)  # noqa: PLR0124 - nothing but gaps: any middle will do


def _tied(ordered: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether a value occurs more than once in a sorted row."""
    flat = ordered.reshape(-1)
    same = scratch("same", ordered.shape, np.bool_)
    # One long comparison and not one a row; what it says of a row's first sample is taken back.
    np.equal(flat[1:], flat[:-1], out=same.reshape(-1)[1:])
    same[:, 0] = False
    return np.asarray(same.any(axis=1))
