"""`drift`: a series that rises or falls over days, too slowly for anything that follows it within hours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import combine
from tocsin.detect.calibrate import ANOMALOUS, Array
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
    quantile_of,
    scale_of,
    sigma_for,
)
from tocsin.detect.student import t_of_sigma
from tocsin.units import distance

A_DAY = 6
"""Cells a day, of four hours: a day's season is six numbers, and what is shorter lies within a cell."""

KEPT_DAYS = 30
WINDOWS = (3, 4, 6, 9, 14)
"""Days over which a trend is looked for."""

RESET = 0.4
"""A fall from one cell to the next of this share of the whole rise is a reset, and the series a sawtooth."""

FEWEST_RESETS = 3
"""So many lows between resets are needed to say that the lows rise."""

HAVE = 0.7
"""Share of the cells of a window that must hold samples."""

USUAL_FALLS = 0.9
"""A rise is no more than wandering where this share of the falls over as many days was not smaller."""

NEW = 0.2
"""This share of the rise lies above where the series ever was for a day."""

MATERIAL = 1.0 / 3.0
"""The whole rise is at least this share of how far the samples of a cell usually lie apart."""

_SLOTS = 48
_EDGE = 2
_LARGEST_MEMORY = 0.95


@dataclass(frozen=True)
class DriftState(Rows):
    """``cells`` of the last 30 days and, (S,), what the last finished one says: ``sigma``, NaN before three days.

    ``expected`` is where the trend began, ``reach`` how far it had to go to stand out, ``facts`` (S, 2) its slope a day
    and its days. 4.4 KB a series.
    """

    SHARED: ClassVar[tuple[str, ...]] = ()

    cells: Cells
    sigma: Array
    expected: Array
    reach: Array
    facts: Array

    @property
    def ready(self) -> Flags:
        """(S,): series with three days of samples."""
        return ~np.isnan(self.sigma)

    def blank(self, rows: int) -> DriftState:
        """New series, at the same time."""
        nothing = np.full(rows, np.nan)
        return DriftState(self.cells.blank(rows), nothing, nothing, nothing, np.full((rows, 2), np.nan))


def fresh(rows: int, step_s: float) -> DriftState:  # noqa: ARG001 - the form of every method
    """Series of which nothing is known."""
    cells = Cells.empty(rows, DAY_S / A_DAY, slots=_SLOTS, kept=KEPT_DAYS * A_DAY)
    nothing = np.full(rows, np.nan)
    return DriftState(cells, nothing, nothing, nothing, np.full((rows, 2), np.nan))


def advance(state: DriftState, new: Columns) -> Advanced:
    """Hold K columns against the trend of the finished cells, which is looked for anew when a cell ends.

    What is muted is no part of a cell. Where the newest ones are empty for that, their trend is unknown: no opinion.
    """
    said = Said.nothing(new.values.shape)
    starts, facts, teaching = [], [], new.teaching
    for cell, here in state.cells.stretches(new.local):
        if cell != state.cells.number:
            before = state.cells.number
            state = replace(state, cells=state.cells.moved_to(cell))
            state = state if before < 0 else found(state)
        seen = ~np.isnan(new.values[:, here])
        for array, part in zip(
            said[:4],
            (state.sigma, state.expected, state.expected - state.reach, state.expected + state.reach),
            strict=True,
        ):
            array[:, here] = np.where(seen, part[:, None], np.nan)
        starts.append(here.start)
        facts.append(state.facts)
        state = replace(state, cells=state.cells.filled(new.local[here], teaching[:, here]))
    return Advanced(state, said._replace(starts=tuple(starts), facts=tuple(facts)))


def words(facts: Array, shift: float, unit: str) -> str:  # noqa: ARG001 - the form of every method
    """The trend in words."""
    slope, days = facts.tolist()
    return f"{'rising' if slope > 0 else 'falling'} by {distance(slope, unit)} a day for {days:.0f} days"


METHOD = Method(fresh, advance, history_s=14 * DAY_S, first_s=WINDOWS[0] * DAY_S, words=words)


class Trend(NamedTuple):
    """The rise of (S, n) cells: ``slope`` a cell, its ``sigma`` (at least 0), ``reach`` of the whole rise.

    ``line`` (S, n) is the series without its season, ``scale`` how far cells are from the trend.
    """

    slope: Array
    sigma: Array
    reach: Array
    line: Array
    scale: Array


def found(state: DriftState) -> DriftState:
    """The strongest trend of the finished cells over each of ``WINDOWS``, up and down."""
    cells, rows = state.cells, len(state.sigma)
    best = np.full(rows, np.nan)
    expected, reach, facts = np.full(rows, np.nan), np.full(rows, np.nan), np.full((rows, 2), np.nan)
    for days in WINDOWS:
        size = days * A_DAY
        middle = cells.middle[:, -size:]
        for sign, edge in ((1.0, cells.low), (-1.0, -cells.high)):
            trend = trend_of(edge[:, -size:])
            sigma = combine.honest(trend.sigma, len(WINDOWS))
            for row in np.flatnonzero(sigma >= ANOMALOUS):
                rise = float(trend.slope[row]) * size
                apart = float(median_of((cells.high - cells.low)[row, -size:]))
                if rise < MATERIAL * apart or not _is_leak(trend.line[row], edge[row], rise, float(trend.scale[row])):
                    sigma[row] = 0.0
            better = ~np.isnan(sigma) & (np.isnan(best) | (sigma > np.abs(best)))
            if not better.any():
                continue
            slope = sign * trend.slope
            season = median_of((middle - slope[:, None] * np.arange(size)).reshape(rows, days, A_DAY)[:, :, 0])
            best = np.where(better, sign * sigma, best)
            expected, reach = np.where(better, season, expected), np.where(better, trend.reach, reach)
            facts[better] = np.stack([slope * A_DAY, np.full(rows, float(days))], axis=1)[better]
    return replace(state, sigma=best, expected=expected, reach=reach, facts=facts)


def trend_of(cells: Array) -> Trend:
    """The rise of (S, n) cells of whole days.

    The slope is the median of those between cells at the same time of day (Hirsch, Slack and Smith 1982, after Theil
    and Sen), which no daily season disturbs. It is held against its standard error, from the clipped distances to the
    trend, with the loss that neighbours alike bring: (1 + r) / (1 - r) with r the lag-1 autocorrelation, corrected for
    its bias (Kendall 1954). NaN where fewer than ``HAVE`` of the cells have samples, 0 where nothing rises.
    """
    rows, n = cells.shape
    unit = np.max(np.abs(np.nan_to_num(cells)), axis=1, initial=0.0)
    unit[unit == 0.0] = 1.0
    x = cells / unit[:, None]
    at = np.arange(n, dtype=np.float64)
    slope = _same_phase_slope(x)
    season = median_of((x - slope[:, None] * at).reshape(rows, -1, A_DAY).transpose(0, 2, 1))
    rest = x - slope[:, None] * at - np.tile(season, (1, n // A_DAY))
    known = ~np.isnan(x)
    count = known.sum(axis=1)
    size = scale_of(rest, np.zeros(rows))[:, None]
    clipped = np.where(~np.isnan(rest), np.where(size > 0, np.clip(rest, -4 * size, 4 * size), rest), 0.0)
    energy = (clipped * clipped).sum(axis=1)
    level = median_of(x)
    least = np.maximum(LEVEL_SHARE * np.abs(level), SPREAD_SHARE * scale_of(x, level))
    scale = np.sqrt(energy / np.maximum(count - A_DAY - 1, 1) + least * least + 1e-24)
    memory = (clipped[:, 1:] * clipped[:, :-1]).sum(axis=1) / np.maximum(energy, 1e-300)
    memory = np.clip(memory + (1.0 + 4.0 * memory) / n, 0.0, _LARGEST_MEMORY)
    loss = (1.0 + memory) / (1.0 - memory)
    error = scale * np.sqrt(12.0 * loss / (n * (n * n - 1.0)))
    degrees = np.maximum((count - A_DAY - 1) / loss, 1.0)
    enough = (count >= HAVE * n) & known[:, :_EDGE].any(axis=1) & known[:, -_EDGE:].any(axis=1) & ~np.isnan(slope)
    sigma = np.where(enough, sigma_for(np.where(enough, np.maximum(slope, 0.0) / error, 0.0), degrees), np.nan)
    reach = t_of_sigma(combine.entry(len(WINDOWS)), degrees) * error * n
    line = rest + slope[:, None] * at
    return Trend(slope * unit, sigma, reach * unit, line * unit[:, None], scale * unit)


def _same_phase_slope(x: Array) -> Array:
    """(S,): the median slope a cell between cells that are whole days apart."""
    days = x.shape[1] // A_DAY
    block = x.reshape(len(x), days, A_DAY)
    first, second = np.triu_indices(days, 1)
    slopes = (block[:, second] - block[:, first]) / ((second - first) * A_DAY)[None, :, None]
    return median_of(slopes.reshape(len(x), -1))


def _is_leak(line: Array, edge: Array, rise: float, scale: float) -> bool:
    """Whether a rising row is none of what only looks like it: one step, a sawtooth, wandering, a level it had before.

    ``line`` (n,) is the window without its season, ``edge`` all that is known of the row.
    """
    n = len(line)
    known = ~np.isnan(line)
    y, at = line[known], np.flatnonzero(known).astype(np.float64)
    unit = float(np.abs(y).max())
    if _steps_once(y / unit, at, rise / n / unit):
        return False
    falls = np.flatnonzero(np.diff(y) <= -max(RESET * rise, 4.0 * scale)) + 1
    if falls.size and not _lows_rise(y, falls, rise):
        return False
    fallen = edge[:-n] - edge[n:]
    fallen = np.sort(fallen[~np.isnan(fallen)])
    if len(fallen) and rise <= float(quantile_of(fallen, USUAL_FALLS)):
        return False
    before = edge[: len(edge) - n]
    days = median_of(before.reshape(-1, A_DAY))
    newest = float(median_of(edge[-A_DAY:]))
    return not (days[~np.isnan(days)] >= newest - NEW * rise).any()


def _steps_once(y: Array, at: Array, slope: float) -> bool:
    """Whether one step explains the row better than the straight line does."""
    rest = y - slope * at
    straight = float(((rest - rest.mean()) ** 2).sum())
    left = np.cumsum(y - y.mean())[:-1]
    count = np.arange(1, len(y))
    gain = left * left * (1.0 / count + 1.0 / (len(y) - count))
    return bool(float(((y - y.mean()) ** 2).sum()) - float(gain.max()) <= straight)


def _lows_rise(y: Array, falls: NDArray[np.intp], rise: float) -> bool:
    """Whether the lows between resets rise one after another, and by at least half of the whole rise."""
    lows = np.array([part.min() for part in np.split(y, falls)])
    return len(lows) >= FEWEST_RESETS and bool((np.diff(lows) > 0).all()) and lows[-1] - lows[0] >= 0.5 * rise
