"""`seasonal`: a sample against the same time of day, and of the week once that is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.calibrate import Array
from tocsin.detect.more.cells import Cells
from tocsin.detect.more.common import (
    DAY_S,
    LEVEL_SHARE,
    SPREAD_SHARE,
    Advanced,
    Columns,
    Flags,
    Method,
    Rows,
    Said,
    median_of,
    scale_of,
)

KEPT_DAYS = 14
FEWEST_DAYS = 2
BINS = 144
"""Parts of the day that are told apart: ten minutes, or a step where that is longer."""

HOURS = 24
WEEKLY_GAIN = 0.9
"""The same weekday is taken where it predicted the last week with less than this share of the error."""

_WEEK = 7
_SLOTS = 16
_AROUND = (-1, 0, 1)


@dataclass(frozen=True)
class SeasonalState(Rows):
    """``days`` (S, 14, bins) of medians, the newest last, ``widths`` (S, 14, 24) how far samples in a bin lie apart.

    ``expected``, ``scale`` (S, bins) are what today should be, ``degrees`` (S,) what that rests on: learnt when a day
    ends. All these are shares of ``unit`` (S,). ``cells`` holds the bin under way, ``today`` (S, bins) and ``wide``
    (S, 2, 24) (sum, count) the finished ones of today. 12 KB a series.
    """

    SHARED: ClassVar[tuple[str, ...]] = ("day",)

    day: int
    cells: Cells
    days: NDArray[np.float32]
    widths: NDArray[np.float32]
    unit: Array
    today: Array
    wide: Array
    expected: NDArray[np.float32]
    scale: NDArray[np.float32]
    degrees: Array

    @property
    def ready(self) -> Flags:
        """(S,): series with two days of samples."""
        result: Flags = self.degrees > 0
        return result

    def blank(self, rows: int) -> SeasonalState:
        """New series, at the same time."""
        new = _empty(rows, self.cells.width_s)
        return replace(new, day=self.day, cells=self.cells.blank(rows))


def fresh(rows: int, step_s: float) -> SeasonalState:
    """Series of which nothing is known."""
    bins = max(1, min(BINS, int(DAY_S // step_s)))
    return _empty(rows, DAY_S / bins)


def _empty(rows: int, width_s: float) -> SeasonalState:
    bins = round(DAY_S / width_s)
    blank = [np.full((rows, bins), np.nan, np.float32) for _ in range(2)]
    return SeasonalState(
        day=-1,
        cells=Cells.empty(rows, width_s, slots=_SLOTS, kept=1),
        days=np.full((rows, KEPT_DAYS, bins), np.nan, np.float32),
        widths=np.full((rows, KEPT_DAYS, HOURS), np.nan, np.float32),
        unit=np.zeros(rows),
        today=np.full((rows, bins), np.nan),
        wide=np.zeros((rows, 2, HOURS)),
        expected=blank[0],
        scale=blank[1],
        degrees=np.zeros(rows),
    )


def advance(state: SeasonalState, new: Columns) -> Advanced:
    """Hold K columns against the median of the days before at the same time of day, in the zone's own time.

    Student-t about it: the scale is that of the medians of three neighbouring bins over the days, and of the samples
    within a bin. Of one day and another, an incident on one hardly moves the median. What stands out while its alert is
    active teaches nothing.
    """
    said = Said.nothing(new.values.shape)
    days = np.floor(new.local / DAY_S).astype(np.int64)
    bins, teaching = state.today.shape[1], new.teaching
    for cell, here in state.cells.stretches(new.local):
        day = int(days[here.start])
        state = _moved(state, cell, max(day, state.day))
        place = np.floor(new.local[here] % DAY_S / DAY_S * bins).astype(np.intp)
        values = new.values[:, here]
        unit = np.where(state.unit > 0.0, state.unit, 1.0)[:, None]
        expected, scale = (part[:, place].astype(np.float64) * unit for part in (state.expected, state.scale))
        degrees = np.maximum(state.degrees, 1.0)[:, None]
        odd = said.write(here, values, expected, scale=scale, degrees=degrees) & new.hold[:, None]
        state = replace(state, cells=state.cells.filled(new.local[here], np.where(odd, np.nan, teaching[:, here])))
    return Advanced(state, said)


METHOD = Method(fresh, advance, history_s=KEPT_DAYS * DAY_S, first_s=FEWEST_DAYS * DAY_S)


def _moved(state: SeasonalState, cell: int, day: int) -> SeasonalState:
    """Finish the bin under way, and the day when it is over."""
    before, bins = state.cells.number, state.today.shape[1]
    if cell != before:
        cells = state.cells.moved_to(cell)
        if before >= 0:
            ordered = np.sort(state.cells.open, axis=1)
            middle = median_of(ordered)
            width = scale_of(ordered, middle)
            today, wide = state.today.copy(), state.wide.copy()
            today[:, before % bins] = middle
            known = ~np.isnan(width)
            hour = before % bins * HOURS // bins
            wide[known, 0, hour] += width[known]
            wide[known, 1, hour] += 1.0
            state = replace(state, today=today, wide=wide)
        state = replace(state, cells=cells)
    if day != state.day:
        state = _learnt(state, day) if state.day >= 0 else replace(state, day=day)
    return state


def _learnt(state: SeasonalState, day: int) -> SeasonalState:
    """A day is over: what the next one should be."""
    gone = min(day - state.day, KEPT_DAYS)
    rows, bins = state.today.shape
    # Days are kept as shares of a unit fixed once, so that half the bytes hold any size of number.
    largest = np.max(np.abs(np.nan_to_num(state.today)), axis=1, initial=0.0)
    unit = np.where((state.unit == 0.0) & (largest > 0.0), largest, state.unit)
    safe = np.where(unit > 0.0, unit, 1.0)[:, None]
    days, widths = np.full_like(state.days, np.nan), np.full_like(state.widths, np.nan)
    days[:, : KEPT_DAYS - gone], widths[:, : KEPT_DAYS - gone] = state.days[:, gone:], state.widths[:, gone:]
    if day - state.day <= KEPT_DAYS:
        mean = np.where(state.wide[:, 1] > 0, state.wide[:, 0] / np.maximum(state.wide[:, 1], 1.0), np.nan)
        days[:, KEPT_DAYS - gone] = np.clip(state.today / safe, -1e30, 1e30)
        widths[:, KEPT_DAYS - gone] = np.clip(mean / safe, 0.0, 1e30)
    past, apart = days.astype(np.float64), widths.astype(np.float64)
    weekly = _is_weekly(past)
    same = [KEPT_DAYS - _WEEK * n + (gone - 1) for n in (1, 2) if KEPT_DAYS - _WEEK * n + (gone - 1) < KEPT_DAYS]
    by_day = median_of(past.transpose(0, 2, 1))
    by_week = median_of(past[:, same].transpose(0, 2, 1)) if same else np.full((rows, bins), np.nan)
    expected = np.where(weekly[:, None] & ~np.isnan(by_week), by_week, by_day)
    rest = np.where(weekly[:, None, None], past[:, _WEEK:] - past[:, :-_WEEK], past[:, _WEEK:] - by_day[:, None])
    older = np.where(weekly[:, None, None], np.nan, past[:, :_WEEK] - by_day[:, None])
    rest = np.concatenate([older, rest], axis=1)
    around = np.concatenate([np.roll(rest, shift, axis=2) for shift in _AROUND], axis=1)
    between = scale_of(around.transpose(0, 2, 1), np.zeros((rows, bins)))
    hours = np.arange(bins) * HOURS // bins
    within = np.nan_to_num(median_of(apart.transpose(0, 2, 1)))[:, hours]
    level = np.abs(by_day)
    spread = np.nan_to_num(scale_of(by_day, median_of(by_day)))[:, None]
    least = np.maximum(LEVEL_SHARE * level, SPREAD_SHARE * spread) + 1e-12
    count = (~np.isnan(past)).any(axis=2).sum(axis=1)
    enough = ((~np.isnan(past)).sum(axis=1) >= FEWEST_DAYS) & (count >= FEWEST_DAYS)[:, None]
    scale = (
        np.sqrt(between * between + within * within + least * least)
        * np.sqrt(1.0 + 1.0 / np.maximum(count, 1))[:, None]
    )
    return replace(
        state,
        day=day,
        days=days,
        widths=widths,
        unit=unit,
        today=np.full_like(state.today, np.nan),
        wide=np.zeros_like(state.wide),
        expected=np.where(enough, expected, np.nan).astype(np.float32),
        scale=np.where(enough, scale, np.nan).astype(np.float32),
        degrees=np.where(count >= FEWEST_DAYS, 2.0 * count, 0.0),
    )


def _is_weekly(past: Array) -> Flags:
    """(S,): where the same weekday predicted the last week better than the median of the seven days before it did."""
    rows = len(past)
    by_week, by_day = np.zeros(rows), np.zeros(rows)
    seen = np.zeros(rows, np.int64)
    for day in range(_WEEK, KEPT_DAYS):
        usual = median_of(past[:, day - _WEEK : day].transpose(0, 2, 1))
        week = np.abs(past[:, day] - past[:, day - _WEEK])
        daily = np.abs(past[:, day] - usual)
        known = ~np.isnan(week) & ~np.isnan(daily)
        by_week += np.where(known, week, 0.0).sum(axis=1)
        by_day += np.where(known, daily, 0.0).sum(axis=1)
        seen += known.any(axis=1)
    result: Flags = (seen == _WEEK) & (by_week < WEEKLY_GAIN * by_day)
    return result
