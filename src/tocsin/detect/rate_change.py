"""How far a sample is from the one before it, against how far samples usually are."""

from __future__ import annotations

import math

import numpy as np

from tocsin.detect.base import Predictive
from tocsin.detect.calibrate import Array
from tocsin.detect.sample import Sample


def predict(sample: Sample) -> Predictive:
    """Student-t of the *change* about zero, scale the root mean square of the m changes between clean samples.

    Twice the mean-square successive difference is an estimate of the variance (von Neumann 1941) with
    2 m^2 / (3 m - 1) degrees where samples are independent (Satterthwaite: the squared trace of the quadratic form
    over the trace of its square). A steady ramp is its own scale, and so it is silent.
    """
    moves = np.maximum(sample.moves, 1.0)
    spread = np.maximum(np.sqrt(sample.move_squares / moves), sample.floor * math.sqrt(2.0))
    return Predictive(np.zeros_like(spread), spread, degrees_of(moves))


def degrees_of(moves: Array) -> Array:
    """Degrees of freedom of the mean square of ``moves`` successive changes of independent samples."""
    return 2.0 * moves * moves / (3.0 * moves - 1.0)


def away(values: Array, previous: Array, level: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Whether a change leads away from the level; the way back from a spike does not count. All broadcast."""
    result: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = np.abs(values - level) > np.abs(previous - level)
    return result
