"""Medians and means: of a few columns by exchange networks and sums of shifts, the same bits in whatever parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tocsin.detect.calibrate import Array


def back(values: Array, columns: int, lag: int) -> Array:
    """The last ``columns`` columns of (S, n) ``values``, ``lag`` columns earlier."""
    end = values.shape[1] - lag
    return values[:, end - columns : end]


def median_of_3(a: Array, b: Array, c: Array) -> Array:
    """The middle of three arrays of one shape."""
    result: Array = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    return result


def median_of_5(parts: Sequence[Array]) -> Array:
    """The middle of five arrays of one shape, by seven exchanges (Devillard 1998)."""
    a, b, c, d, e = parts
    a, b = np.minimum(a, b), np.maximum(a, b)
    d, e = np.minimum(d, e), np.maximum(d, e)
    d, b = np.maximum(a, d), np.minimum(b, e)
    b, c = np.minimum(b, c), np.maximum(b, c)
    result: Array = np.maximum(b, np.minimum(c, d))
    return result


def median_of_9(parts: Sequence[Array]) -> Array:
    """The middle of nine arrays of one shape: sort by threes, then what the middle can still be (Paeth 1990)."""
    thirds = []
    for first in (0, 3, 6):
        a, b, c = parts[first : first + 3]
        low, high = np.minimum(a, b), np.maximum(a, b)
        thirds.append((np.minimum(low, c), np.maximum(low, np.minimum(high, c)), np.maximum(high, c)))
    lowest = np.maximum(np.maximum(thirds[0][0], thirds[1][0]), thirds[2][0])
    middle = median_of_3(thirds[0][1], thirds[1][1], thirds[2][1])
    highest = np.minimum(np.minimum(thirds[0][2], thirds[1][2]), thirds[2][2])
    return median_of_3(lowest, middle, highest)


def mean_of_10(values: Array) -> Array:
    """The mean of each ten neighbouring columns; (S, n) to (S, n - 9)."""
    two = values[:, 1:] + values[:, :-1]
    four = two[:, 2:] + two[:, :-2]
    eight = four[:, 4:] + four[:, :-4]
    return (eight[:, 2:] + two[:, :-8]) * 0.1


def mean_of_30(tens: Array) -> Array:
    """The mean of each thirty neighbouring columns from the means of ten; (S, n) to (S, n - 20)."""
    result: Array = (tens[:, 20:] + tens[:, 10:-10] + tens[:, :-20]) * (1.0 / 3.0)
    return result


def median_of(values: Array, axis: int) -> Array:
    """The median along an axis, of numbers without NaN: ``numpy.median`` without what it costs for a few of them."""
    count = values.shape[axis]
    halves = (count - 1) // 2, count // 2
    ordered = np.partition(values, halves, axis=axis)
    result: Array = 0.5 * (ordered.take(halves[0], axis) + ordered.take(halves[1], axis))
    return result
