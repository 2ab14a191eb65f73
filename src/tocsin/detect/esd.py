"""What must not teach: outliers found by the generalised ESD test, through a floor under the scale."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tocsin.detect.calibrate import Array, sigma_of_log_tail
from tocsin.detect.rolling import Index, pick
from tocsin.detect.student import solve_log_t

ALPHA = 0.05
FENCE = 1.1
FENCED_FROM = 30


class Rest(NamedTuple):
    """What the test never sets aside: number, sum and sum of squares of its deviations from the middle of each row.

    ``lowest`` and ``highest`` are the farthest of them on either side; (S,) each.
    """

    number: Index
    total: Array
    squares: Array
    lowest: Array
    highest: Array


class Tails(NamedTuple):
    """What it may set aside: deviations beyond the ``fence``, ascending, infinite behind the last of each row (S, K).

    ``low`` of them lie below the middle and ``number`` there are in all; ``floor`` is the least scale; (S,) each.
    """

    ends: Array
    low: Index
    number: Index
    fence: Array
    floor: Array


class Kept(NamedTuple):
    """How many were set ``below`` and ``above``, and total and squares of the deviations of all others; (S,) each."""

    below: Index
    above: Index
    total: Array
    squares: Array


def fences(samples: Index, robust: Array, *, fenced: bool, width: int) -> Array:
    """How far from the median a sample is beyond suspicion: 0 where all are to be tested.

    On rows of 30 samples and more the search ends where the farthest sample left is within a critical value of the
    median by the ``robust`` scale, less that scale's own error (1.1 / sqrt(n) of it).
    """
    if not fenced:
        return np.zeros(len(samples))
    nearly = 1.0 - FENCE / np.sqrt(np.maximum(samples, FENCED_FROM))
    result: Array = (samples >= FENCED_FROM) * (nearly * critical_values(width)[np.maximum(samples, 3)] * robust)
    return result


def search(tails: Tails, rest: Rest) -> Kept:
    """Set aside what the test calls outliers.

    B. Rosner, "Percentage points for a generalized ESD many-outlier procedure", Technometrics 25 (1983), two-sided
    with alpha 0.05 and at most count // 3 outliers. The scale never falls below ``floor``. The one farthest from the
    mean is always at an end of what is left; the search goes on while that one is beyond the ``fence``.
    """
    samples = rest.number + tails.number
    most, limit = samples // 3, critical_values(int(samples.max()))
    sums, squares = _outward(tails)
    base = np.arange(0, sums.size, sums.shape[1])
    sums, squares = sums.ravel(), squares.ravel()
    low, high = np.zeros_like(tails.low), tails.number.copy()
    best_low, best_high = low, high
    active = np.ones(len(low), dtype=bool)
    for step in range(int(most.max())):
        left = rest.number + (high - low)
        total = rest.total + sums[base + low] + sums[base + high]
        square = rest.squares + squares[base + low] + squares[base + high]
        mean = total / left
        below = np.where(low < tails.low, -pick(tails.ends, low), rest.lowest)
        above = np.where(high > tails.low, pick(tails.ends, high - 1), rest.highest)
        take_high = above - mean >= below + mean
        distance = np.where(take_high, above - mean, below + mean)
        scale = np.maximum(np.sqrt(np.maximum(square - total * mean, 0.0) / (left - 1)), tails.floor)
        active &= (np.where(take_high, above, below) > tails.fence) & (distance > 0) & (step < most)
        if not active.any():
            break
        low = low + (active & ~take_high)
        high = high - (active & take_high)
        found = active & (distance > limit[left] * scale)
        best_low = np.where(found, low, best_low)
        best_high = np.where(found, high, best_high)
    return Kept(
        best_low,
        tails.number - best_high,
        rest.total + sums[base + best_low] + sums[base + best_high],
        rest.squares + squares[base + best_low] + squares[base + best_high],
    )


def _outward(tails: Tails) -> tuple[Array, Array]:
    """Sums of the deviations, and of their squares, counted outward from the middle of each row.

    Column j holds the sum between the middle and j, so a huge outlier at an end never enters the sum of the rest
    (a running total from the left would lose the small deviations behind it); (S, K + 1) each.
    """
    width = tails.ends.shape[1]
    column = np.arange(width)
    deviation = np.where(column < tails.number[:, None], tails.ends, 0.0)
    upper = column >= tails.low[:, None]
    result = []
    for part in (deviation, deviation * deviation):
        outward = np.zeros((len(part), width + 1))
        outward[:, 1:] = np.cumsum(np.where(upper, part, 0.0), axis=1)
        outward[:, :-1] += np.cumsum(np.where(upper, 0.0, part)[:, ::-1], axis=1)[:, ::-1]
        result.append(outward)
    return result[0], result[1]


def critical_values(size: int) -> Array:
    """Rosner's critical value by the number of samples still in the test (equation 2.5), infinite below 3.

    It depends on nothing else: with r samples left, p = 1 - alpha / (2 r) and r - 2 degrees of freedom.
    """
    return _critical_table(max(64, 1 << (size + 1).bit_length()))


@lru_cache(maxsize=32)
def _critical_table(size: int) -> Array:
    left = np.arange(3, size, dtype=np.float64)
    t = np.exp(solve_log_t(sigma_of_log_tail(np.log(ALPHA / left)), left - 2))
    table = np.full(size, np.inf)
    table[3:] = (left - 1) * t / np.sqrt((left - 2 + t * t) * left)
    return table
