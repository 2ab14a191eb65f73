"""Nine looks at the newest samples, each a residual: what happened less what was to be expected."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tocsin.detect.auto.medians import back, mean_of_10, mean_of_30, median_of_3, median_of_5, median_of_9
from tocsin.detect.auto.state import LEAD, VOICES, AutoState
from tocsin.detect.auto.windows import FEWEST, SPAN, in_steps, nearest
from tocsin.detect.calibrate import Array

SPREAD_SHARE = 0.04
"""No scale is below this share of the series' mean absolute deviation: a quiet hour is not a licence to shout."""

LEVEL_SHARE = 1e-4
"""Nor below this share of the level: a change of one in ten thousand is not news."""

SMALLEST = 1e-12

LONG_STEP_S = 3600.0
"""From one sample to the next of such a step the season moves by more than the noise: no voice looks at it raw."""

_STEPS_10 = (10, 20, 30, 40, 50)
_STEPS_24 = (24, 48, 72, 96, 120)
_VOLATILITY_FLOOR = 0.1
_SHAPE_FLOOR = 0.02


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


def reference_scale(state: AutoState) -> Array:
    """(S,): the size in which moves, distances and days wait to be learnt."""
    return np.maximum(state.spread, floors(state))


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
    from the middle of the last days. ``astray``: the same with thirty. At long steps every voice hears the deseasoned.
    """
    x, y = deseasoned if state.grid.step_s >= LONG_STEP_S else values, deseasoned
    parts = np.empty((len(VOICES), len(x), columns))
    parts[0] = back(x, columns, 0) - back(x, columns, 1)
    parts[1] = back(x, columns, 0) - median_of_3(back(x, columns, 1), back(x, columns, 2), back(x, columns, 3))
    level = median_of_9([back(y, columns, lag) for lag in range(1, 10)])
    parts[2] = back(y, columns, 0) - level
    before = median_of_5([back(y, columns, lag) for lag in range(2, 7)])
    parts[3] = 0.5 * (back(y, columns, 0) + back(y, columns, 1)) - before
    parts[4] = _against_before(mean_of_10(x[:, LEAD - _STEPS_10[-1] - 9 :]), columns, _STEPS_10)
    change = mean_of_10(np.abs(x[:, 1:] - x[:, :-1]))
    parts[5] = _against_before(np.log(change + floors(state)[:, None]), columns, _STEPS_24)
    parts[6] = _distance(y, columns, state)
    tens = mean_of_10(y[:, LEAD - 29 :])
    parts[7] = back(tens, columns, 0) - state.center[:, None]
    parts[8] = back(mean_of_30(tens), columns, 0) - state.center[:, None]
    return Residuals(parts, level)


def _against_before(values: Array, columns: int, lags: tuple[int, ...]) -> Array:
    return back(values, columns, 0) - median_of_5([back(values, columns, lag) for lag in lags])


def _distance(deseasoned: Array, columns: int, state: AutoState) -> Array:
    """The distance to the nearest window of the past; 0 while there are few."""
    result = np.zeros((len(deseasoned), columns))
    known = np.flatnonzero(state.known_references >= FEWEST)
    if known.size:
        some = slice(None) if known.size == len(deseasoned) else known
        away = deseasoned[some, LEAD - SPAN + 1 :] - state.center[some, None]
        steps = in_steps(away, state.window_scale[some, None])
        result[some] = nearest(steps, state.references[some], state.known_references[some])
    return result


def window_scale(state: AutoState) -> Array:
    """(S,): the scale of the windows that are remembered, in the row's own unit."""
    result: Array = state.spread + 3.0 * floors(state)
    return result
