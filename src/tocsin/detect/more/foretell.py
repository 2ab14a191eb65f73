"""`forecast` and `prophet`: what a forecasting model said yesterday of today, fitted anew each local day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

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

HOUR_S = 3600.0
KEPT_HOURS = 14 * 24
"""Two weeks of hourly medians: what a model is fitted to, never more."""

AHEAD = 48
"""Hours that a model speaks of: today, and tomorrow where it could not be fitted again."""

FEWEST_HOURS = 48
HAVE = 0.5
"""With fewer of the hours than this share nothing is fitted; those that are missing are filled as the season goes."""

ERRORS = 7 * 24
ENOUGH_ERRORS = 24
"""From so many past errors on they are the scale; before that the model's own interval is."""

_A_DAY, _A_WEEK = 24, 7 * 24
_SLOTS = 60
_FAILURES = (ValueError, ArithmeticError, RuntimeError, IndexError, np.linalg.LinAlgError)


class Foretold(NamedTuple):
    """``mean`` (AHEAD,) of the next hours and ``deviation`` (AHEAD,), one standard deviation."""

    mean: Array
    deviation: Array


Fit = Callable[[Array], Foretold]
"""Hours (n,) without gaps, the last one newest, to what comes next. Raises one of a numeric library's errors."""


@dataclass(frozen=True)
class ForetoldState(Rows):
    """``cells`` of an hour, ``mean`` and ``deviation`` (S, 48) from hour ``begin`` on, ``errors`` (S, 168) of the past.

    ``odd`` (S, 336) are the hours with a sample that stood out while its alert was active, ``doubt`` (S,) whether the
    hour under way is one, ``first`` (S,) the hour of the first sample, NaN = none yet. ``within`` (S,) is how far
    samples of an hour lie apart, ``least`` (S,) the floor of the scale. 10 KB a series.
    """

    SHARED: ClassVar[tuple[str, ...]] = ("day", "begin")

    day: int
    begin: int
    cells: Cells
    odd: Flags
    doubt: Flags
    first: Array
    mean: Array
    deviation: Array
    errors: Array
    within: Array
    least: Array

    @property
    def ready(self) -> Flags:
        """(S,): series that a model was fitted to."""
        result: Flags = np.asarray((~np.isnan(self.mean)).any(axis=1))
        return result

    def blank(self, rows: int) -> ForetoldState:
        """New series, at the same time."""
        return replace(fresh(rows, HOUR_S), day=self.day, begin=self.begin, cells=self.cells.blank(rows))


def fresh(rows: int, step_s: float) -> ForetoldState:  # noqa: ARG001 - the form of every method
    """Series of which nothing is known."""
    return ForetoldState(
        -1,
        0,
        Cells.empty(rows, HOUR_S, slots=_SLOTS, kept=KEPT_HOURS),
        np.zeros((rows, KEPT_HOURS), bool),
        np.zeros(rows, bool),
        np.full(rows, np.nan),
        np.full((rows, AHEAD), np.nan),
        np.full((rows, AHEAD), np.nan),
        np.full((rows, ERRORS), np.nan),
        np.full(rows, np.nan),
        np.full(rows, np.nan),
    )


def method_of(fit: Fit) -> Method:
    """The method that lets ``fit`` speak."""
    return Method(
        fresh,
        lambda state, new: advance(state, new, fit),
        history_s=KEPT_HOURS * HOUR_S,
        first_s=FEWEST_HOURS * HOUR_S,
        slow=True,
    )


def advance(state: ForetoldState, new: Columns, fit: Fit) -> Advanced:
    """Hold K columns against what was foretold, and fit again when a local day ends.

    The hourly means are joined by straight lines. The scale is that of the model's own past errors, a day ahead, as
    soon as there are enough, and of the samples within an hour; Student-t, with a degree for each four errors. Hours
    that are missing are filled as the day and the week go. So are those that stood out while their alert was active,
    unless those a week before or after did too (a day, before two weeks are known), or half of all hours: then that is
    how the series goes.
    """
    said, teaching = Said.nothing(new.values.shape), new.teaching
    for cell, here in state.cells.stretches(new.local):
        state = _moved(state, cell, fit)
        values = new.values[:, here]
        expected, deviation, degrees = _expected(state, new.local[here])
        odd = said.write(here, values, expected, scale=deviation, degrees=degrees) & new.hold[:, None]
        taught = teaching[:, here]
        known = ~np.isnan(taught)
        state = replace(
            state,
            cells=state.cells.filled(new.local[here], taught),
            doubt=state.doubt | (odd & known).any(axis=1),
            first=np.where(np.isnan(state.first) & known.any(axis=1), float(cell), state.first),
        )
    return Advanced(state, said)


def _expected(state: ForetoldState, local: Array) -> tuple[Array, Array, Array]:
    at = local / HOUR_S - 0.5 - state.begin
    inside = (at >= -1.0) & (at < AHEAD)
    first = np.clip(np.floor(at), 0, AHEAD - 2).astype(np.intp)
    part = np.clip(at - first, 0.0, 1.0)
    mean = state.mean[:, first] * (1.0 - part) + state.mean[:, first + 1] * part
    count = (~np.isnan(state.errors)).sum(axis=1)
    errors = scale_of(state.errors, np.zeros(len(count)))
    own = state.deviation[:, first]
    between = np.where((count >= ENOUGH_ERRORS)[:, None], errors[:, None], own)
    scale = np.hypot(np.hypot(between, state.within[:, None]), state.least[:, None])
    degrees = np.where(count >= ENOUGH_ERRORS, np.minimum(count / 4.0, 30.0), 5.0)[:, None]
    return np.where(inside, mean, np.nan), scale, degrees


def _moved(state: ForetoldState, cell: int, fit: Fit) -> ForetoldState:
    """Finish the hour under way, and the day when it is over."""
    before = state.cells.number
    day = int(cell * HOUR_S // DAY_S)
    if cell == before:
        return state
    cells = state.cells.moved_to(cell)
    if before >= 0:
        gone = min(cell - before, KEPT_HOURS)
        odd = np.zeros_like(state.odd)
        odd[:, : KEPT_HOURS - gone] = state.odd[:, gone:]
        errors = np.full_like(state.errors, np.nan)
        errors[:, :-1] = state.errors[:, 1:]
        if cell - before <= KEPT_HOURS:
            odd[:, -gone] = state.doubt
            hour = before - state.begin
            if 0 <= hour < AHEAD:
                errors[:, -1] = np.where(state.doubt, np.nan, cells.middle[:, -gone] - state.mean[:, hour])
        state = replace(state, odd=odd, doubt=np.zeros_like(state.doubt), errors=errors)
    state = replace(state, cells=cells)
    if day != state.day:
        state = _fitted(state, cell, fit) if state.day >= 0 else state
        state = replace(state, day=day)
    return state


def _fitted(state: ForetoldState, cell: int, fit: Fit) -> ForetoldState:
    cells, rows = state.cells, len(state.within)
    mean, deviation = np.full((rows, AHEAD), np.nan), np.full((rows, AHEAD), np.nan)
    once = _once(state.odd, ~np.isnan(cells.middle), weekly=cell - state.first >= KEPT_HOURS)
    middle, width = np.where(once, np.nan, cells.middle), np.where(once, np.nan, cells.high - cells.low)
    level = median_of(middle)
    for row in range(rows):
        hours = _worth_it(middle[row], cell - state.first[row])
        if hours is None:
            continue
        unit = float(np.nanmax(np.abs(hours))) or 1.0
        own = _filled(hours / unit)
        if float(own.max() - own.min()) <= 1e-9:
            mean[row], deviation[row] = own[-1] * unit, 0.0
            continue
        try:
            foretold = fit(own)
        except _FAILURES:
            # No model, no opinion: another day may bring one.
            continue
        mean[row], deviation[row] = foretold.mean * unit, foretold.deviation * unit
    spread = scale_of(middle, level)
    least = np.maximum(LEVEL_SHARE * np.abs(level), SPREAD_SHARE * spread) + 1e-300
    within = np.nan_to_num(median_of(width) / 2.563)
    return replace(state, begin=cell, mean=mean, deviation=deviation, within=within, least=least)


def _once(odd: Flags, known: Flags, *, weekly: Flags) -> Flags:
    """(S, 336): what stood out and is not how the series goes; two weeks are known of what is ``weekly`` (S,)."""
    again = np.where(weekly[:, None], _again(odd, _A_WEEK), _again(odd, _A_DAY))
    few = odd.sum(axis=1) < HAVE * known.sum(axis=1)
    result: Flags = odd & ~again & few[:, None]
    return result


def _again(odd: Flags, hours: int) -> Flags:
    """(S, 336): whether so many hours before or after an hour one stood out too."""
    found = np.zeros_like(odd)
    found[:, hours:] |= odd[:, :-hours]
    found[:, :-hours] |= odd[:, hours:]
    return found


def _worth_it(hours: Array, age: float) -> Array | None:
    """The most of the newest hours of which enough are known, none before the ``age`` of the series; None where no two
    days are.
    """
    if np.isnan(age):
        return None
    own = hours[-min(int(age), len(hours)) :]
    have, long = np.cumsum(~np.isnan(own[::-1]))[::-1], np.arange(len(own), 0, -1)
    begins = np.flatnonzero((long >= FEWEST_HOURS) & (have >= HAVE * long))
    return own[begins[0] :] if begins.size else None


def _filled(hours: Array) -> Array:
    """Hours (n,), some of them known, with all gaps filled as the season goes.

    The median of the other days at the same time is taken off, and of two weeks what the other one has beyond that.
    What is left is bridged by straight lines.
    """
    days = -(-len(hours) // _A_DAY)
    padded = np.concatenate([np.full(days * _A_DAY - len(hours), np.nan), hours])
    day = median_of(padded.reshape(days, _A_DAY).T)
    known = np.flatnonzero(~np.isnan(day))
    day = np.interp(np.arange(_A_DAY), known, day[known], period=_A_DAY)
    season = np.tile(day, days)[-len(hours) :]
    rest = hours - season
    if len(hours) == 2 * _A_WEEK:
        other = np.roll(rest, _A_WEEK)
        rest = np.where(np.isnan(rest), other + _bridged(rest - other), rest)
    return np.where(np.isnan(hours), season + _bridged(rest), hours)


def _bridged(values: Array) -> Array:
    """(n,) with gaps bridged by straight lines, from the median of five neighbours to that of five others."""
    known = np.flatnonzero(~np.isnan(values))
    if not known.size:
        return values
    ends = median_of(sliding_window_view(np.pad(values[known], 2, constant_values=np.nan), 5))
    return np.where(np.isnan(values), np.interp(np.arange(len(values)), known, ends), values)
