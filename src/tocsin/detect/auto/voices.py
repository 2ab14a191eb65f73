"""Nine looks at the newest samples, each a residual: what happened less what was to be expected."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto.medians import back, mean_of_10, mean_of_30, median_of_3, median_of_5, median_of_9
from tocsin.detect.auto.state import LAG, LEAD, REFERENCES, SPAN, STRIDE, VOICES, WAITING_REFERENCES, AutoState
from tocsin.detect.calibrate import Array

SPREAD_SHARE = 0.04
"""No scale is below this share of the series' mean absolute deviation: a quiet hour is not a licence to shout."""

LEVEL_SHARE = 1e-4
"""Nor below this share of the level: a change of one in ten thousand is not news."""

SMALLEST = 1e-12

_STEPS_10 = (10, 20, 30, 40, 50)
_STEPS_24 = (24, 48, 72, 96, 120)
_FEWEST_REFERENCES = 40
_VOLATILITY_FLOOR = 0.1
_SHAPE_FLOOR = 0.02
_SMALL = 1 << 14
_LONG = 64
_AT_ONCE = 256


class Residuals(NamedTuple):
    """``parts`` (9, S, K) in the order of ``VOICES``; ``level`` (S, K): what is expected, without the season."""

    parts: Array
    level: Array


def floors(state: AutoState) -> Array:
    """(S,): the least scale of each row, in its own unit."""
    level = np.abs(state.center + state.offset / state.unit)
    least = np.maximum(SPREAD_SHARE * state.spread, 0.5 * state.resolution)
    result: Array = np.maximum(np.maximum(least, LEVEL_SHARE * level), SMALLEST)
    return result


def voice_floors(state: AutoState) -> Array:
    """(9, S): the least scale of each voice; volatility and shape count in logarithms and scales of their own."""
    result = np.repeat(floors(state)[None], len(VOICES), axis=0)
    result[VOICES.index("volatility")] = _VOLATILITY_FLOOR
    result[VOICES.index("shape")] = _SHAPE_FLOOR
    return result


def residuals(values: Array, deseasoned: Array, columns: int, state: AutoState) -> Residuals:
    """The voices of the last ``columns`` of (S, ``LEAD`` + columns) ``values``, gaps filled.

    ``change``: from the sample before. ``spike``: from the median of the three before. ``level``: of the deseasoned
    series from the median of the nine before. ``step``: the mean of two from the median of the five before them.
    ``shift``: the mean of ten from the median of the five means of ten before. ``volatility``: the logarithm of the
    mean absolute change over ten, from its median over 120. ``shape``: the distance of every fourth of the last 29
    samples from the nearest of the remembered windows (discord, Keogh 2005). ``away``: the mean of ten, deseasoned,
    from the middle of the last days. ``astray``: the same with thirty.
    """
    x, y = values, deseasoned
    parts = np.empty((len(VOICES), len(x), columns))
    parts[0] = back(x, columns, 0) - back(x, columns, 1)
    parts[1] = back(x, columns, 0) - median_of_3(back(x, columns, 1), back(x, columns, 2), back(x, columns, 3))
    level = median_of_9([back(y, columns, lag) for lag in range(1, 10)])
    parts[2] = back(y, columns, 0) - level
    before = median_of_5([back(y, columns, lag) for lag in range(2, 7)])
    parts[3] = 0.5 * (back(y, columns, 0) + back(y, columns, 1)) - before
    parts[4] = _against_before(mean_of_10(x), columns, _STEPS_10)
    change = mean_of_10(np.abs(x[:, 1:] - x[:, :-1]))
    parts[5] = _against_before(np.log(change + floors(state)[:, None]), columns, _STEPS_24)
    parts[6] = _distance(y, columns, state)
    tens = mean_of_10(y)
    parts[7] = back(tens, columns, 0) - state.center[:, None]
    parts[8] = back(mean_of_30(tens), columns, 0) - state.center[:, None]
    return Residuals(parts, level)


def _against_before(values: Array, columns: int, lags: tuple[int, ...]) -> Array:
    return back(values, columns, 0) - median_of_5([back(values, columns, lag) for lag in lags])


def _distance(deseasoned: Array, columns: int, state: AutoState) -> Array:
    """Root mean square distance to the nearest reference, on a scale that tames outliers; 0 while there are few."""
    result = np.zeros((len(deseasoned), columns))
    known = np.flatnonzero(state.known_references >= _FEWEST_REFERENCES)
    if not known.size:
        return result
    scale = (state.spread + 3.0 * floors(state))[known]
    recent = deseasoned[known, LEAD - SPAN + 1 :]
    query = np.arcsinh((recent - state.center[known, None]) / scale[:, None]).astype(np.float32)
    reference = state.references[known].astype(np.float64) / scale[:, None, None]
    # The newest window of each place in the ring, by its number: those since the last learning are not asked yet.
    last = state.reference_count[known, None] - 1
    number = last - (last - np.arange(REFERENCES)) % REFERENCES
    until = state.known_references[known, None]
    unknown = (number < until - (REFERENCES - WAITING_REFERENCES)) | (number >= until) | (number < 0)
    reference[unknown] = np.inf
    window = np.arcsinh(reference[:, ~unknown.all(axis=0)]).astype(np.float32)
    # Sums of squares one lag after another and not a matrix product: its bits depend on the shape of the block.
    if columns == 1 and query.size * window.shape[1] <= _SMALL:
        # The same sums in three calls, where calls and not numbers are what costs.
        away = np.empty((LAG, len(known), window.shape[1]), np.float32)
        np.subtract(query.T[::STRIDE, :, None], window.transpose(2, 0, 1), out=away)
        away *= away
        result[known, 0] = np.sqrt(np.add.reduce(away, axis=0).min(axis=1) / LAG) + 1e-3
        return result
    if columns >= _LONG:
        for row, each in enumerate(known):
            result[each] = _nearest(query[row], window[row], columns)
        return result
    total = np.zeros((len(known), columns, window.shape[1]), np.float32)
    part = np.empty_like(total)
    for lag in range(LAG):
        np.subtract(query[:, STRIDE * lag : STRIDE * lag + columns, None], window[:, None, :, lag], out=part)
        np.multiply(part, part, out=part)
        np.add(total, part, out=total)
    result[known] = np.sqrt(total.min(axis=2) / LAG) + 1e-3
    return result


def _nearest(query: NDArray[np.float32], window: NDArray[np.float32], columns: int) -> Array:
    """The same sums for many columns of one row: along the columns, and as many at once as the nearest cache holds."""
    result = np.empty(columns)
    for start in range(0, columns, _AT_ONCE):
        stop = min(start + _AT_ONCE, columns)
        total = query[start:stop] - window[:, :1]
        np.multiply(total, total, out=total)
        part = np.empty_like(total)
        for lag in range(1, LAG):
            np.subtract(query[STRIDE * lag + start : STRIDE * lag + stop], window[:, lag, None], out=part)
            np.multiply(part, part, out=part)
            np.add(total, part, out=total)
        result[start:stop] = np.sqrt(total.min(axis=0) / LAG) + 1e-3
    return result
