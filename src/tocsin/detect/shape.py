"""Is there a slope, is there a step: rank tests that outliers and autocorrelation do not fool."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tocsin.detect.calibrate import Array, sigma_of_tail

FEWEST_SIDE = 4
_EXACT_UP_TO = 10
_CORRECTED_FROM = 12


@dataclass(frozen=True)
class Shape:
    """A fitted shape: the ``sigma`` of its test, its ``size``, when, and the sum of squares it leaves unexplained."""

    sigma: float
    size: float
    start: float
    end: float
    left: float
    monotone: bool


def trend(times: Array, values: Array) -> Shape:
    """Mann-Kendall test with ties (Kendall 1975), slope by Theil and Sen, over (n,) values; O(n^2), n is small.

    Up to ten values without ties the exact distribution of S is used. From twelve on the variance of S is inflated by
    (1 + r) / (1 - r), r the lag-1 autocorrelation of what the slope leaves (Matalas and Langbein 1962).
    """
    n = len(values)
    i, j = np.triu_indices(n, 1)
    difference, gap = values[j] - values[i], times[j] - times[i]
    score = float(np.sign(difference).sum())
    slope = float(np.median(difference[gap > 0] / gap[gap > 0])) if bool((gap > 0).any()) else 0.0
    rest = values - slope * times
    rest = rest - np.median(rest)
    size = slope * float(times[-1] - times[0])
    ties = np.unique(values, return_counts=True)[1]
    if n <= _EXACT_UP_TO and len(ties) == n:
        sigma = sigma_of_tail(_kendall_tail(n, int(abs(score))))
    else:
        variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18.0
        variance *= inflation(rest)
        sigma = max(0.0, abs(score) - 1.0) / math.sqrt(variance) if variance > 0 else 0.0
    monotone = abs(score) >= 0.7 * len(i)
    return Shape(min(sigma, 38.0), size, float(times[0]), float(times[-1]), float((rest * rest).sum()), monotone)


@lru_cache(maxsize=16)
def _kendall_counts(n: int) -> tuple[int, ...]:
    """How many of the n! orders have 0, 1, 2, ... inversions (Kendall and Gibbons 1990)."""
    counts = [1]
    for size in range(2, n + 1):
        wider = [0] * (len(counts) + size - 1)
        for inversions, ways in enumerate(counts):
            for more in range(size):
                wider[inversions + more] += ways
        counts = wider
    return tuple(counts)


def _kendall_tail(n: int, score: int) -> float:
    """The exact two-sided probability that |S| is at least ``score`` among n values without ties."""
    pairs = n * (n - 1) // 2
    ways = sum(count for inversions, count in enumerate(_kendall_counts(n)) if abs(pairs - 2 * inversions) >= score)
    return min(1.0, ways / math.factorial(n))


def inflation(rest: Array) -> float:
    """How much more uncertain a mean is when neighbours resemble each other; at least 1, and 1 on short rows.

    The estimate of the autocorrelation is corrected for its bias (Marriott and Pope 1954).
    """
    n = len(rest)
    total = float((rest * rest).sum())
    if n < _CORRECTED_FROM or total <= 1e-18:
        return 1.0
    lag = float((rest[1:] * rest[:-1]).sum()) / total
    lag = min(max(lag + (2.0 + 4.0 * lag) / n, 0.0), 0.97)
    return (1.0 + lag) / (1.0 - lag)


def level_shift(times: Array, values: Array) -> Shape:
    """Pettitt's rank test for one change point (Applied Statistics 28 (1979), equation 7) over (n,) values.

    Its statistic is divided by the root of the same inflation as the trend's, taken on what the step leaves. The step
    lies where two levels leave least unexplained; each side holds four values at least.
    """
    n = len(values)
    nothing = Shape(0.0, 0.0, float(times[0]), float(times[-1]), math.inf, monotone=False)
    if n < 3 * FEWEST_SIDE:
        return nothing
    rank = np.searchsorted(np.sort(values), values) + np.searchsorted(np.sort(values), values, side="right")
    statistic = np.abs(np.cumsum(rank - n))[FEWEST_SIDE - 1 : n - FEWEST_SIDE]
    split = int(_least_left(values).argmin()) + FEWEST_SIDE
    before, after = float(np.median(values[:split])), float(np.median(values[split:]))
    rest = values - np.where(np.arange(n) < split, before, after)
    largest = float(statistic.max()) / math.sqrt(inflation(rest))
    tail = min(1.0, 2.0 * math.exp(-6.0 * largest * largest / (n**3 + n**2)))
    left = float((rest * rest).sum())
    return Shape(sigma_of_tail(tail), after - before, float(times[split]), float(times[-1]), left, monotone=True)


def _least_left(values: Array) -> Array:
    """The sum of squares about two means for each place of the step."""
    n = len(values)
    centred = values - values.mean()
    before = np.cumsum(centred)[FEWEST_SIDE - 1 : n - FEWEST_SIDE]
    size = np.arange(FEWEST_SIDE, n - FEWEST_SIDE + 1, dtype=np.float64)
    result: Array = -(before * before) * (1.0 / size + 1.0 / (n - size))
    return result
