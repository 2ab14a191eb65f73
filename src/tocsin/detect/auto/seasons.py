"""The shape of a day, and what the next one is expected to be: the median day, or the same weekday a week before.

Pure. A day is kept when it is over, in the row's own unit less its middle. What of it was not seen, or was away from
what was expected for some hours, is kept as it was expected: an incident must not be expected a week later. Where a
series was away near that hour on the day before or a week before as well it is a habit, and kept as it was.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto.medians import median_of
from tocsin.detect.auto.state import DAY_ROWS, FEWEST_A_DAY, HOURS, LEFT, AutoState, Ints
from tocsin.detect.auto.voices import reference_scale
from tocsin.detect.base import distinct
from tocsin.detect.calibrate import Array

DAY_UNIT = 512.0
DAY_CAP = 60.0

WHOLE = 0.8
"""A day of which more than this share was seen, and not away, says how good the seasons are."""

LONG = 0.5
"""What a series was away for is an incident where it was no larger share of the day, or where an alert lasted as long:
without one it may be a weekend.
"""

SEASON_GAIN = 0.9
"""A season must be off by no more than this share of what comes without it."""

SEASON_MEMORY = 0.2
"""The share that the newest day has in how far each season was off."""

_MOST = 6e4

Flags = NDArray[np.bool_]


class _Finished(NamedTuple):
    """A day of some rows: distances from the middle (R, bins), in their own unit, and which of them can be believed."""

    distance: Array
    sound: Flags


def finish_day(state: AutoState) -> AutoState:
    """A day is over: keep its shape, choose what the next one is expected to look like by what served so far."""
    changes: dict[str, Any] = {
        "new_day": np.zeros_like(state.new_day),
        "new_day_seen": np.zeros_like(state.new_day_seen),
        "new_day_away": np.zeros_like(state.new_day_away),
        "new_day_held": np.zeros_like(state.new_day_held),
    }
    days_away = state.days_away.copy()
    days_away[:, :-1], days_away[:, -1] = state.days_away[:, 1:], _hours(state.new_day_away, state.grid.bins)
    changes["days_away"] = days_away
    if state.grid.a_day < FEWEST_A_DAY:
        return state.changed(**changes)
    finished = _finished(state)
    whole = finished.sound.mean(axis=1) > WHOLE
    first, last = (np.where(finished.sound[:, at], state.center + finished.distance[:, at], np.nan) for at in (0, -1))
    changes["day_end"] = last
    # The first day has none before it, so that nobody knows how much of it is a rise.
    known = ~np.isnan(state.day_level)
    rows = np.flatnonzero(known & (whole | (state.day_count > 0)))
    distance = _filled(state, finished)
    middle = median_of(distance, 1)
    level = state.center + middle
    changes["day_level"] = np.where(whole, level, state.day_level)
    if not rows.size:
        return state.changed(**changes)
    # What rises all day is no season: without this a steady ramp would end every day with a jump.
    rise = np.where(whole & known, level - state.day_level, 0.0)[:, None]
    shape = distance - middle[:, None] - rise * ((np.arange(state.grid.bins) + 0.5) / state.grid.bins - 0.5)
    days, counts, jumps = state.days.copy(), state.day_count.copy(), state.jumps.copy()
    days[rows, :-1], days[rows, -1] = state.days[rows, 1:], _half(shape[rows])
    jumps[rows, :-1], jumps[rows, -1] = state.jumps[rows, 1:], _half(first[rows] - state.day_end[rows])
    counts[rows] = np.minimum(counts[rows] + 1, DAY_ROWS)
    errors = state.season_error.copy()
    judging = np.flatnonzero(known & whole)
    error = _season_errors(state, judging, shape[judging])
    memory = np.where(errors[judging] > 0, 1.0 - SEASON_MEMORY, 0.0)
    errors[judging] = memory * errors[judging] + (1.0 - memory) * error
    season = _chosen(errors, counts)
    profile = _candidates(days.astype(np.float64), counts)[season, np.arange(state.rows)]
    changes |= {"days": days, "day_count": counts, "jumps": jumps, "season_error": errors, "season": season}
    return state.changed(**changes, profile=_half(profile))


def over_midnight(state: AutoState, before: NDArray[np.float16]) -> AutoState:
    """The same where what was expected of the last day, the profile ``before`` (S, bins), meets that of the new one.

    Each day is kept less its own middle, so that one after a weekend begins with a jump that no series makes. The
    samples before midnight are seen from the new day: they stand where they are expected to go on from.
    """
    moved = state.profile[:, 0].astype(np.float64) - before[:, -1] - _expected_jump(state)
    # What is forgotten at this midnight has no samples before it.
    moved[state.learnt == 0] = 0.0
    if not moved.any():
        return state
    anchor = state.anchor.copy()
    anchor[:, LEFT] -= moved
    season = _half(state.recent_season + moved[:, None])
    return state.changed(recent_season=season, anchor=anchor, run_left=(state.run_left - moved).astype(np.float32))


def _expected_jump(state: AutoState) -> Array:
    """(S,): how far the first bin of the new day is expected to lie from the last one of the day before."""
    result = np.zeros(state.rows)
    for row in np.flatnonzero(state.season > 0).tolist():
        jumps = state.jumps[row].astype(np.float64)
        known = jumps[~np.isnan(jumps)]
        if state.season[row] == 2 and not np.isnan(jumps[0]):
            result[row] = jumps[0]
        elif known.size:
            result[row] = median_of(known, 0)
    return result


def _finished(state: AutoState) -> _Finished:
    seen, bins = state.new_day_seen, state.grid.bins
    distance = state.new_day / DAY_UNIT * reference_scale(state)[:, None] / np.maximum(seen, 1)
    sound = seen > 0
    if state.new_day_away.any():
        away = np.unpackbits(state.new_day_away, axis=1, count=bins) > 0
        # An alert that lasts for so long is no habit because it did so on the day before.
        alert = (state.new_day_held > LONG * state.grid.a_day)[:, None]
        week, day = state.days_away[:, 0], state.days_away[:, -1]
        before = np.unpackbits(np.where(alert, week, week | day), axis=1, count=HOURS) > 0
        near = before | np.roll(before, 1, axis=1) | np.roll(before, -1, axis=1)
        habit = near[:, np.arange(bins) * HOURS // bins]
        # Where nothing is expected yet, nothing better is known than what came.
        kept = (away.mean(axis=1) > LONG)[:, None] & ~alert | (state.day_count < 2)[:, None]
        sound &= ~away | habit | kept
    return _Finished(distance, sound)


def _hours(marks: NDArray[np.uint8], bins: int) -> NDArray[np.uint8]:
    """Marks of the bins of a day (S, bytes) as marks of its hours."""
    rows, columns = np.nonzero(np.unpackbits(marks, axis=1, count=bins))
    hours = np.zeros((len(marks), HOURS), np.uint8)
    hours[rows, columns * HOURS // bins] = 1
    return np.packbits(hours, axis=1)


def _filled(state: AutoState, finished: _Finished) -> Array:
    """(S, bins): the day, and what cannot be believed of it as it was expected, the level of the rest aside."""
    rows = np.flatnonzero(~finished.sound.all(axis=1))
    if not rows.size:
        return finished.distance
    expected = _candidates(state.days[rows].astype(np.float64), state.day_count[rows])[-1]
    result, level = finished.distance.copy(), state.day_level - state.center
    for row, usual in zip(rows.tolist(), expected, strict=True):
        sound = finished.sound[row]
        beside = np.median(result[row, sound] - usual[sound]) if sound.any() else np.nan_to_num(level[row])
        result[row, ~sound] = usual[~sound] + beside
    return result


def _candidates(days: Array, counts: Ints) -> Array:
    """(3, S, bins), for the day after the last: no season, the median day, the same weekday a week before."""
    nothing = np.zeros(days.shape[::2])
    median = np.zeros_like(nothing)
    for count in distinct(counts[counts >= 2]):
        rows = counts == count
        median[rows] = median_of(days[rows, DAY_ROWS - count :], 1)
    week = np.where((counts >= DAY_ROWS)[:, None], days[:, 0], median)
    return np.stack([nothing, median, week])


def _season_errors(before: AutoState, rows: NDArray[np.intp], shape: Array) -> Array:
    """How far each candidate was from the day that is over, levels aside; (R, 3)."""
    rest = shape[None] - _candidates(before.days[rows].astype(np.float64), before.day_count[rows])
    rest -= median_of(rest, 2)[:, :, None]
    result: Array = np.abs(rest).mean(axis=2).T
    return result


def _chosen(errors: NDArray[np.float32], counts: Ints) -> NDArray[np.int8]:
    """0, 1 or 2 for each row: a season must earn its place."""
    day = errors[:, 1] < SEASON_GAIN * errors[:, 0]
    week = (counts >= DAY_ROWS) & (errors[:, 2] < SEASON_GAIN * np.where(day, errors[:, 1], errors[:, 0]))
    first = (counts == 2) & ~week
    return np.where(week, 2, np.where(day | first, 1, 0)).astype(np.int8)


def _half(values: Array) -> NDArray[np.float16]:
    result: NDArray[np.float16] = np.clip(values, -_MOST, _MOST).astype(np.float16)
    return result
