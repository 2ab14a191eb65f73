"""Windows of the newest samples against those of the past, in whole numbers: sums of squares are exact, so that they
are the same in whatever parts the samples come.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.calibrate import Array

REFERENCES = 120
WAITING_REFERENCES = 24
"""Places in the ring of windows for those seen since the last learning: they are compared with from the next one on."""

LAG = 8
STRIDE = 4
"""A window is every fourth of 29 columns: eight numbers."""

SPAN = STRIDE * (LAG - 1) + 1
FEWEST = 40
"""With fewer windows nothing is said of shapes."""

UNIT = 256.0
LARGEST = 8191
"""Numbers are inverse hyperbolic sines of distances from the middle, which tames outliers, in so many parts; beyond
31.99 nothing is told apart.
"""

_UNKNOWN = 1e15
_LEAST = 1e-3
_COLUMNS = 240
"""So many windows at once: of larger products OpenBLAS wakes threads, which cost more than they save."""

_PRODUCTS = 1 << 18

Rings = NDArray[np.int16]


def in_steps(distance: Array, scale: Array) -> Array:
    """Whole numbers of distances from the middle, by a ``scale`` above 0 in the same unit; both broadcast."""
    result: Array = np.rint(np.arcsinh(distance / scale) * UNIT)
    return np.clip(result, -LARGEST, LARGEST, out=result)


def rescaled(references: Rings, before: Array, after: Array) -> Rings:
    """Rings (S, ``LAG``, ``REFERENCES``) of one scale (S,) in another."""
    if np.array_equal(before, after):
        return references
    distance = np.sinh(references / UNIT)
    return in_steps(distance, (after / before)[:, None, None]).astype(np.int16)


def nearest(steps: Array, references: Rings, known: NDArray[np.int64]) -> Array:
    """The root mean square distance of each window to the nearest of the ring, plus a thousandth; (S, K).

    ``steps`` (S, K + ``SPAN`` - 1) are the samples as ``in_steps`` makes them, ``references`` the rings (S, ``LAG``,
    ``REFERENCES``), ``known`` (S,) how many windows there were when the row last learnt: those after are not asked yet.
    """
    rows, columns = len(steps), steps.shape[1] - SPAN + 1
    result = np.empty((rows, columns))
    most = max(1, _PRODUCTS // (REFERENCES * (min(columns, _COLUMNS) + LAG + 1)))
    for first in range(0, rows, most):
        here = slice(first, first + most)
        # |q - w|^2 = |q|^2 + (|w|^2 - 2 q w), and the bracket is one product.
        window = np.empty((len(steps[here]), LAG + 1, REFERENCES))
        window[:, :LAG] = references[here]
        window[:, LAG] = np.where(_asked(known[here]), np.square(window[:, :LAG]).sum(axis=1), _UNKNOWN)
        window[:, :LAG] *= -2.0
        for start in range(0, columns, _COLUMNS):
            stop = min(start + _COLUMNS, columns)
            query = np.ones((len(window), LAG + 1, stop - start))
            for lag in range(LAG):
                query[:, lag] = steps[here, STRIDE * lag + start : STRIDE * lag + stop]
            least = np.matmul(window.transpose(0, 2, 1), query).min(axis=1)
            result[here, start:stop] = least + np.square(query[:, :LAG]).sum(axis=1)
    return np.sqrt(result / LAG) / UNIT + _LEAST


def _asked(known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(S, ``REFERENCES``): the places of the newest windows among those that were ``known``."""
    age = (known[:, None] - 1 - np.arange(REFERENCES)) % REFERENCES
    result: NDArray[np.bool_] = age < np.minimum(known, REFERENCES - WAITING_REFERENCES)[:, None]
    return result
