"""`forecast` and `prophet`: what a forecasting model said yesterday of today, fitted anew each local day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np

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
"""With fewer of the hours than this share nothing is fitted; single gaps are bridged by straight lines."""

ERRORS = 7 * 24
ENOUGH_ERRORS = 24
"""From so many past errors on they are the scale; before that the model's own interval is."""

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

    ``within`` (S,) is how far samples of an hour lie apart, ``least`` (S,) the floor of the scale. 10 KB a series.
    """

    SHARED: ClassVar[tuple[str, ...]] = ("day", "begin")

    day: int
    begin: int
    cells: Cells
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
    soon as there are enough, and of the samples within an hour; Student-t, with a degree for each four errors.
    """
    said, teaching = Said.nothing(new.values.shape), new.teaching
    for cell, here in state.cells.stretches(new.local):
        state = _moved(state, cell, fit)
        values = new.values[:, here]
        expected, deviation, degrees = _expected(state, new.local[here])
        odd = said.write(here, values, expected, scale=deviation, degrees=degrees) & new.hold[:, None]
        state = replace(state, cells=state.cells.filled(new.local[here], np.where(odd, np.nan, teaching[:, here])))
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
    state = replace(state, cells=cells)
    if before >= 0:
        errors = np.full_like(state.errors, np.nan)
        errors[:, :-1] = state.errors[:, 1:]
        hour = before - state.begin
        if 0 <= hour < AHEAD and cell - before <= KEPT_HOURS:
            errors[:, -1] = cells.middle[:, -(cell - before)] - state.mean[:, hour]
        state = replace(state, errors=errors)
    if day != state.day:
        state = _fitted(state, cell, fit) if state.day >= 0 else state
        state = replace(state, day=day)
    return state


def _fitted(state: ForetoldState, cell: int, fit: Fit) -> ForetoldState:
    cells, rows = state.cells, len(state.within)
    mean, deviation = np.full((rows, AHEAD), np.nan), np.full((rows, AHEAD), np.nan)
    level = median_of(cells.middle)
    for row in range(rows):
        hours = _bridged(cells.middle[row])
        if hours is None:
            continue
        unit = float(np.abs(hours).max()) or 1.0
        own = hours / unit
        if float(own.max() - own.min()) <= 1e-9:
            mean[row], deviation[row] = hours[-1], 0.0
            continue
        try:
            foretold = fit(own)
        except _FAILURES:
            # No model, no opinion: another day may bring one.
            continue
        mean[row], deviation[row] = foretold.mean * unit, foretold.deviation * unit
    spread = scale_of(cells.middle, level)
    least = np.maximum(LEVEL_SHARE * np.abs(level), SPREAD_SHARE * spread) + 1e-300
    within = np.nan_to_num(median_of(cells.high - cells.low) / 2.563)
    return replace(state, begin=cell, mean=mean, deviation=deviation, within=within, least=least)


def _bridged(hours: Array) -> Array | None:
    """The hours from the first known one on, gaps filled by straight lines; None where too few are known."""
    known = np.flatnonzero(~np.isnan(hours))
    if not known.size:
        return None
    own = hours[known[0] :]
    if len(own) < FEWEST_HOURS or len(known) < HAVE * len(own):
        return None
    return np.interp(np.arange(len(own)), known - known[0], hours[known])
