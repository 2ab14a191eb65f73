"""Still where it went? Fast voices soon call a shifted level normal; an alert must last as long as it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto.score import Verdicts
from tocsin.detect.auto.state import FORMER, LEAD, LEFT, RATIO, SETTLED_AT, SHARE, SIZE, VOICES, AutoState
from tocsin.detect.auto.voices import floors, reference_scale
from tocsin.detect.base import AWAY, RETURNED, SETTLED
from tocsin.detect.calibrate import ANOMALOUS, Array

HOLDING = 0.5
"""A series is still away while at least this share of the first deviation is left."""

HOME = 1.0
"""Within so many mean absolute deviations of the middle of the last days a series is where it usually is, whatever it
left: what comes back from a burst that nobody was told of leaves nothing.
"""

HALF_WAY = 0.5
"""So it is where it is nearer to the middle than this share of the way from there to what was expected."""

CALM = 3
"""So many samples in a row nearer than that, or at home, end it."""

REST = 40
"""After it came back, so many samples are not told more for what lasts, no unrest of them is followed, and those that
stand out on the side to which it came are still its way back: the voices still look at where it was. A level is
followed again at once where it is beyond ``AGAIN``.
"""

AGAIN = 4.0
"""So many times the usual distance from the middle are no echo."""

NEW_NORMAL_DAYS = 7
"""Where a series has been for so long is where it usually is: no incident lasts a week unattended."""

NEWS = 24
"""So many samples after it went away the level that it is at is no news: what slow voices still say is held against
what it has followed, as an echo is.
"""

LEAST_SIZE = 2.0
"""Deviations below so many mean absolute deviations of the series are not followed: it wanders that far by itself."""

UNREST_OVER, UNREST_BEFORE = 24, LEAD - 24
"""The unrest of a sample is the median change over 24; before it was that of the 108 changes before those. A calm that
is unlike the series, as within an outage, is none to leave: it counts as no calmer than the series usually is.
"""

LEAST_UNREST = float(np.log(2.0))
"""Changes that are not twice as large as before are not followed, in nats."""

_LEVEL, _VOLATILITY, _CHANGE = VOICES.index("level"), VOICES.index("volatility"), VOICES.index("change")
_MEDIAN = 0.6745
"""The median of |z| of a Gaussian."""

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Anchors(NamedTuple):
    """``course`` (S, K): see ``Scores``; ``back``: it came back a short while ago, and ``side``: whether it came up (1)
    or down (-1); ``left``: the level that a row on hold is away from (NaN = none), in its own unit and without the
    season; ``no_news``: a row that is not on hold has been away from one for a while. The rest is what a state keeps,
    see there.
    """

    course: NDArray[np.int8]
    back: Flags
    side: NDArray[np.int8]
    left: Array
    no_news: Flags
    anchor: Array
    unrest: Array
    begun: Ints
    calm: NDArray[np.int32]


class _Track(Protocol):
    """What one row may be away from: ``open`` says whether it is."""

    @property
    def open(self) -> bool: ...
    def leave(self, column: int) -> None: ...
    def away(self, columns: NDArray[np.intp]) -> Flags: ...
    def returned(self, columns: NDArray[np.intp]) -> Flags: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Level:
    """The level that a row leaves: ``kept`` is its part of ``AutoState.anchor``, changed in place. Samples and what was
    expected (K,) without the ``season``, all in its own unit, in which nothing at all is ``zero``.
    """

    kept: Array
    values: Array
    level: Array
    season: Array
    center: float
    usual: float
    zero: float

    @property
    def open(self) -> bool:
        return not np.isnan(self.kept[LEFT])

    def leave(self, column: int) -> None:
        left, value = float(self.level[column]), float(self.values[column])
        self.kept[LEFT], self.kept[SIZE] = left, value - left
        usual = self.center + float(self.season[column]) - self.zero
        self.kept[RATIO], self.kept[SHARE] = 0.0, 0.0
        if usual != 0.0:
            self.kept[RATIO] = (left + float(self.season[column]) - self.zero) / usual
            self.kept[SHARE] = (value - left) / usual

    def away(self, columns: NDArray[np.intp]) -> Flags:
        """By half of the deviation, or by half of its share of what is usual, where a season has moved that."""
        left, size, ratio, share = self.kept[:FORMER]
        values, season = self.values[columns], self.season[columns]
        home = max(HOME * self.usual, HALF_WAY * abs(left - self.center))
        away: Flags = ((values - left) / size >= HOLDING) & (np.abs(values - self.center) >= home)
        usual = self.center + season - self.zero
        if share != 0.0:
            # A share means something only on the side of nothing on which it was taken.
            same = usual * (size / share) > 0
            part = np.divide(values + season - self.zero, usual, out=np.full(len(usual), ratio), where=same)
            away |= ((part - ratio) / share >= HOLDING) & (np.abs(part - 1.0) >= HALF_WAY * abs(ratio - 1.0))
        return away

    def returned(self, columns: NDArray[np.intp]) -> Flags:
        """Which samples are no farther on the other side of what it left than it wanders by itself."""
        left, size = self.kept[LEFT], self.kept[SIZE]
        most = max(HOLDING * abs(size), LEAST_SIZE * self.usual)
        result: Flags = (self.values[columns] - left) * np.sign(size) > -most
        return result

    def close(self) -> None:
        # From where it came back is still known.
        self.kept[[LEFT, RATIO, SHARE]] = np.nan, 0.0, 0.0


@dataclass(frozen=True, slots=True)
class _Unrest:
    """How much a row moves: ``kept`` is its part of ``AutoState.unrest``; ``now`` and ``before`` (K,) in nats."""

    kept: Array
    now: Array
    before: Array

    @property
    def open(self) -> bool:
        return not np.isnan(self.kept[LEFT])

    def leave(self, column: int) -> None:
        self.kept[:] = self.before[column], self.now[column] - self.before[column]

    def away(self, columns: NDArray[np.intp]) -> Flags:
        left, size = self.kept
        result: Flags = self.now[columns] - left >= HOLDING * size
        return result

    def returned(self, columns: NDArray[np.intp]) -> Flags:
        """None: of what moves less no sample is news."""
        return np.zeros(len(columns), bool)

    def close(self) -> None:
        self.kept[:] = np.nan, 0.0


class _Row(NamedTuple):
    """One row's samples: which are seen; its age before them and columns a day; ``hold``: it is never given up."""

    seen: Flags
    age: int
    a_day: int
    hold: bool


def follow_anchors(state: AutoState, verdict: Verdicts, filled: Array, seen: Flags, hold: Flags) -> Anchors:
    """Follow rows away from the level that they left, and from the calm; ``seen`` (S, K) are the samples that are
    judged, ``filled`` (S, ``LEAD`` + K) all of them, in the rows' own unit.

    A row goes away with a sample of 3 sigma that is not at home. After a day it is given up, unless it is on ``hold``.
    """
    rows, columns = verdict.sigma.shape
    found = Anchors(
        np.zeros((rows, columns), np.int8),
        np.zeros((rows, columns), bool),
        np.zeros((rows, columns), np.int8),
        np.full((rows, columns), np.nan),
        np.zeros((rows, columns), bool),
        state.anchor.copy(),
        state.unrest.copy(),
        state.anchor_begun.copy(),
        state.anchor_calm.copy(),
    )
    ages = state.age[:, None] + np.arange(columns)
    odd = (np.abs(verdict.sigma) >= ANOMALOUS) & seen
    found.course[ages - state.anchor[:, SETTLED_AT, None] < REST] = SETTLED
    usual = usual_distance(state)
    far = odd & _far(state, verdict, usual)
    zero = -state.offset / state.unit
    np.logical_and(np.isnan(state.anchor[:, LEFT, None]), ages < state.anchor_begun[:, :1], out=found.back)
    np.multiply(found.back, -np.sign(state.anchor[:, SIZE, None]), out=found.side, casting="unsafe")
    for row in np.flatnonzero(far.any(axis=1) | ~np.isnan(found.anchor[:, LEFT])).tolist():
        level = _Level(
            found.anchor[row],
            verdict.deseasoned[row],
            verdict.level[row],
            verdict.season[row],
            float(state.center[row]),
            float(usual[row]),
            float(zero[row]),
        )
        again = far[row] & (np.abs(level.values - level.center) >= AGAIN * level.usual)
        _follow(found, (row, 0), level, far[row], _row(state, row, seen, hold), again=again)
    restless = odd & (verdict.agreeing >> _VOLATILITY & 1 > 0)
    for row in np.flatnonzero(restless.any(axis=1) | ~np.isnan(found.unrest[:, LEFT])).tolist():
        unrest = _Unrest(found.unrest[row], *_unrest(state, row, filled[row]))
        loud = restless[row] & (unrest.now - unrest.before >= LEAST_UNREST)
        _follow(found, (row, 1), unrest, loud, _row(state, row, seen, hold))
    # What is heard of the way back belongs to it.
    found.course[found.back & seen & (found.course == 0) & (found.side * verdict.sigma > 0)] = RETURNED
    return found


def usual_distance(state: AutoState) -> Array:
    """(S,): how far from its middle a series usually is, the season taken off, in its own unit."""
    whole = reference_scale(state)
    missed = state.season_error[np.arange(state.rows), state.season].astype(np.float64)
    noise = state.scale[:, _LEVEL].astype(np.float64).mean(axis=1)
    return np.where(state.season > 0, np.minimum(whole, np.maximum(missed + noise, floors(state))), whole)


def _far(state: AutoState, verdict: Verdicts, usual: Array) -> Flags:
    """Which samples are far from what was expected, and not at home: near the middle, or near a former normal."""
    values, level = verdict.deseasoned, verdict.level
    center, former, scale = state.center[:, None], state.anchor[:, FORMER, None], usual[:, None]
    home = np.abs(values - center) < np.maximum(HOME * scale, HALF_WAY * np.abs(level - center))
    home |= np.abs(values - former) < HALF_WAY * np.abs(center - former)
    result: Flags = ~home & (np.abs(values - level) >= LEAST_SIZE * scale)
    return result


def _row(state: AutoState, row: int, seen: Flags, hold: Flags) -> _Row:
    return _Row(seen[row], int(state.age[row]), state.grid.a_day, bool(hold[row]))


def _unrest(state: AutoState, row: int, filled: Array) -> tuple[Array, Array]:
    """How much one row (LEAD + K,) moves at each new column, and how much before or usually; (K,) in nats."""
    changes = np.abs(np.diff(filled))
    last = np.lib.stride_tricks.sliding_window_view(changes, UNREST_OVER)[LEAD - UNREST_OVER :]
    before = np.lib.stride_tricks.sliding_window_view(changes, UNREST_BEFORE)[: len(last)]
    least = float(floors(state)[row])
    usual = _MEDIAN * float(state.scale[row, _CHANGE].mean(dtype=np.float64))
    return np.log(np.median(last, axis=1) + least), np.log(np.maximum(np.median(before, axis=1), usual) + least)


def _follow(
    found: Anchors, place: tuple[int, int], track: _Track, odd: Flags, row: _Row, *, again: Flags | None = None
) -> None:
    """Follow one ``track`` of a row: it leaves with a sample that is ``odd``, at rest with one that is so ``again``."""
    again = np.zeros(odd.shape, bool) if again is None else again
    column, columns = 0, len(row.seen)
    while column < columns:
        if not track.open:
            begins = np.where(np.arange(columns) < int(found.begun[place]) - row.age, again, odd)
            later = np.flatnonzero(begins[column:])
            if not later.size:
                return
            column += int(later[0])
            track.leave(column)
            if isinstance(track, _Level):
                found.back[place[0], column:] = False
                found.side[place[0], column:] = 0
            found.begun[place], found.calm[place] = row.age + column, 0
        given_up = columns if row.hold else int(found.begun[place]) + row.a_day - row.age
        stop = min(columns, max(given_up, column))
        heard = column + np.flatnonzero(row.seen[column:stop])
        away = track.away(heard)
        count = np.arange(len(heard))
        last = np.maximum.accumulate(np.where(away, count, -1))
        calm = np.where(last < 0, count + 1 + found.calm[place], count - last)
        over = np.flatnonzero(calm >= CALM)
        end = int(over[0]) if over.size else len(heard)
        until = heard[: end + 1]
        here, gone = found.course[place[0], until], away[: end + 1]
        # Whatever it is away from counts more than what it has come back from.
        here[track.returned(until) & (here != AWAY)] = RETURNED
        here[gone] = AWAY
        found.course[place[0], until] = here
        if isinstance(track, _Level) and row.hold:
            found.left[place[0], until[gone]] = track.kept[LEFT]
        elif isinstance(track, _Level):
            found.no_news[place[0], until[gone & (row.age + until - found.begun[place] >= NEWS)]] = True
        if over.size or stop < columns:
            column = int(heard[end]) + 1 if over.size else stop
            track.close()
            found.calm[place] = 0
            found.begun[place] = row.age + column + (REST if over.size else 0)
            if isinstance(track, _Level):
                rest = slice(column, int(found.begun[place]) - row.age)
                found.back[place[0], rest] = True
                found.side[place[0], rest] = -np.sign(track.kept[SIZE])
        else:
            found.calm[place] = int(calm[-1]) if len(calm) else found.calm[place]
            return
