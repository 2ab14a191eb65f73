"""Many methods, one opinion: the strongest, honest about having asked several."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from tocsin.detect.calibrate import ANOMALOUS, SIGMA_CAP, Array


def voices(methods: int) -> float:
    """How many independent methods that many are worth: fewer, since they look at the same sample.

    A third of a voice for each one beyond the first; on Gaussian noise the strongest of all four is then beyond 3 sigma
    no more often than a single method is.
    """
    return 1.0 + (methods - 1) / 3.0


def honest(sigma: Array, methods: int) -> Array:
    """The sigma of the strongest of several methods once its tail is multiplied by their ``voices``; any shape.

    The Gaussian tail falls by sigma + 1/sigma per unit of sigma (its hazard), so multiplying it by v takes
    ln(v) / (sigma + 1/sigma) off; that keeps sign and order, and zero is zero.
    """
    result: Array = sigma * (1.0 - math.log(voices(methods)) / (1.0 + sigma * sigma))
    return result


@lru_cache(maxsize=16)
def entry(methods: int) -> float:
    """The sigma that a method on its own needs so that the combined one is 3: where the band ends."""
    low, high = ANOMALOUS, SIGMA_CAP
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = middle * (1.0 - math.log(voices(methods)) / (1.0 + middle * middle)) < ANOMALOUS
        low, high = (middle, high) if below else (low, middle)
    return high


def agreement(sigmas: Array, direction: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    """Bit m where method m alone is at 3 sigma or more on the side of ``direction``; (M, ...) and (...) to (...)."""
    bits = np.zeros(direction.shape, np.uint32)
    for m in range(len(sigmas)):
        agrees = (np.abs(sigmas[m]) >= ANOMALOUS) & ((sigmas[m] > 0) == (direction > 0))
        bits |= agrees.astype(np.uint32) << np.uint32(m)
    return bits
