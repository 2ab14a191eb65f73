"""Still where it went? Fast voices soon call a shifted level normal; an alert must last as long as it does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto.learn import reference_scale
from tocsin.detect.auto.score import Verdicts
from tocsin.detect.auto.state import VOICES, AutoState
from tocsin.detect.auto.voices import floors
from tocsin.detect.calibrate import ANOMALOUS, Array

HOLDING = 0.5
"""A series is still away while at least this share of the first deviation is left."""

HOME = 1.0
"""Within so many mean absolute deviations of the middle of the last days a series is where it usually is, whatever it
left: what comes back from a burst that nobody was told of leaves nothing.
"""

CALM = 3
"""So many samples in a row nearer than that, or at home, end it."""

REST = 40
"""After it came back, so many samples begin nothing new, and are not told more for what lasts: the voices still look at
where it was.
"""

LEAST_SIZE = 2.0
"""Deviations below so many mean absolute deviations of the series are not followed: it wanders that far by itself."""

HALF_WAY = 0.5
"""So is one that is nearer to the middle than this share of the way from it that it was expected to be."""

_LEVEL = VOICES.index("level")

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Anchors(NamedTuple):
    """``held`` (S, K): still away; ``back``: it came back a short while ago. For each row the level it left (NaN =
    none), how far, which share of the value that was expected that is, at which age (without a level: from which age
    on it may leave one), calm samples.
    """

    held: Flags
    back: Flags
    level: Array
    size: Array
    share: Array
    begun: Ints
    calm: Ints


class _Row(NamedTuple):
    """One row's samples and what was expected, which stand out, which were seen, how far from ``center`` is still at
    home; ``season`` and ``zero`` (the value 0) in its own unit; ``hold``: it is never given up.
    """

    values: Array
    level: Array
    odd: Flags
    seen: Flags
    center: float
    usual: float
    season: Array
    zero: float
    hold: bool


def follow_anchors(state: AutoState, verdict: Verdicts, seen: Flags, hold: Flags) -> Anchors:
    """Follow rows away from the level they left; ``seen`` (S, K) are the samples that are judged.

    A row goes away with a sample of 3 sigma that is not at home. After a day it is given up, unless it is on ``hold``.
    """
    values, level, sigma = verdict.deseasoned, verdict.level, verdict.sigma
    found = Anchors(
        np.zeros(values.shape, bool),
        _came_back(state, values.shape[1]),
        state.anchor.copy(),
        state.anchor_size.copy(),
        state.anchor_share.copy(),
        state.anchor_begun.copy(),
        state.anchor_calm.copy(),
    )
    usual = usual_distance(state)
    center = state.center[:, None]
    home = np.abs(values - center) < np.maximum(HOME * usual[:, None], HALF_WAY * np.abs(level - center))
    odd = (np.abs(sigma) >= ANOMALOUS) & seen & ~home & (np.abs(values - level) >= LEAST_SIZE * usual[:, None])
    zero = -state.offset / state.unit
    for row in np.flatnonzero(odd.any(axis=1) | ~np.isnan(found.level)):
        track = _Row(
            values[row], level[row], odd[row], seen[row], float(state.center[row]), float(usual[row]),
            verdict.season[row], float(zero[row]), bool(hold[row]),
        )
        _follow(found, int(row), state, track)
    return found


def usual_distance(state: AutoState) -> Array:
    """(S,): how far from its middle a series usually is, the season taken off, in its own unit."""
    whole = reference_scale(state)
    missed = state.season_error[np.arange(state.rows), state.season].astype(np.float64)
    noise = state.scale[:, _LEVEL].astype(np.float64).mean(axis=1)
    return np.where(state.season > 0, np.minimum(whole, np.maximum(missed + noise, floors(state))), whole)


def _came_back(state: AutoState, columns: int) -> Flags:
    ages = state.age[:, None] + np.arange(columns)
    result: Flags = np.isnan(state.anchor)[:, None] & (ages < state.anchor_begun[:, None])
    return result


def _leaves(found: Anchors, row: int, track: _Row, column: int, age: int) -> None:
    level, size = float(track.level[column]), float(track.values[column] - track.level[column])
    expected = level + float(track.season[column]) - track.zero
    found.level[row], found.size[row] = level, size
    found.share[row] = size / expected if expected != 0.0 else 0.0
    found.begun[row], found.calm[row] = age + column, 0


def _away(found: Anchors, row: int, track: _Row, heard: NDArray[np.intp]) -> Flags:
    """Which of the samples ``heard`` are still away: by half of the deviation, or by half of the share of what is
    expected, where a season has moved that.
    """
    level, size, share = found.level[row], found.size[row], found.share[row]
    values = track.values[heard]
    distance = values - level
    home = np.maximum(HOME * track.usual, HALF_WAY * abs(level - track.center))
    away = (distance / size >= HOLDING) & (np.abs(values - track.center) >= home)
    expected = level + track.season[heard] - track.zero
    if share != 0.0:
        with np.errstate(divide="ignore", invalid="ignore"):
            away |= (expected * (size / share) > 0) & (distance / expected / share >= HOLDING)
    return away


def _follow(found: Anchors, row: int, state: AutoState, track: _Row) -> None:
    column, columns, age = 0, len(track.values), int(state.age[row])
    while column < columns:
        if np.isnan(found.level[row]):
            column = max(column, int(found.begun[row]) - age)
            later = np.flatnonzero(track.odd[column:]) if column < columns else np.empty(0, np.intp)
            if not later.size:
                return
            column += int(later[0])
            _leaves(found, row, track, column, age)
        given_up = columns if track.hold else int(found.begun[row]) + state.grid.a_day - age
        stop = min(columns, max(given_up, column))
        heard = column + np.flatnonzero(track.seen[column:stop])
        away = _away(found, row, track, heard)
        place = np.arange(len(heard))
        last = np.maximum.accumulate(np.where(away, place, -1))
        calm = np.where(last < 0, place + 1 + found.calm[row], place - last)
        over = np.flatnonzero(calm >= CALM)
        end = int(over[0]) if over.size else len(heard)
        found.held[row, heard[:end]] = away[:end]
        if over.size or stop < columns:
            column = int(heard[end]) + 1 if over.size else stop
            found.level[row] = np.nan
            found.size[row], found.share[row], found.calm[row] = 0.0, 0.0, 0
            found.begun[row] = age + column + (REST if over.size else 0)
            found.back[row, column : int(found.begun[row]) - age] = True
        else:
            found.calm[row] = int(calm[-1]) if len(calm) else found.calm[row]
            return
