"""`outlier`: one series unlike its peers in the same target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np

from tocsin.detect.calibrate import ANOMALOUS, Array
from tocsin.detect.more.cells import Cells
from tocsin.detect.more.common import (
    DAY_S,
    LEVEL_SHARE,
    Advanced,
    Columns,
    Flags,
    Method,
    Rows,
    Said,
    median_of,
    scale_of,
    sigma_for,
)
from tocsin.detect.student import t_of_sigma

FEWEST_PEERS = 4
"""So many others must send a sample at that instant."""

HOUR_S = 3600.0
KEPT_HOURS = 168
"""A week of hours: how a series usually stands to its peers."""

READY_HOURS = 3
DEGREES = 8.0
"""The Student-t of a series against its peers: heavier than Gaussian, since the usual spread itself changes."""

_SLOTS = 60
_A_DAY = 24


@dataclass(frozen=True)
class OutlierState(Rows):
    """How each series stands to the median of all: ``apart`` as a difference, ``times`` as a logarithm of the ratio.

    Both are cells of an hour. ``offset``, ``spread`` (S, 2) are learnt from them when an hour ends, (S,) ``hours`` says
    from how many. ``fleet`` (168,) are the hourly medians of all series together, the newest last, ``fleet_open`` (60,)
    those of the hour under way. 9 KB a series.
    """

    SHARED: ClassVar[tuple[str, ...]] = ("fleet", "fleet_open")

    apart: Cells
    times: Cells
    offset: Array
    spread: Array
    hours: Array
    fleet: Array
    fleet_open: Array

    @property
    def ready(self) -> Flags:
        """(S,): series with ``READY_HOURS`` beside peers."""
        result: Flags = self.hours >= READY_HOURS
        return result

    def blank(self, rows: int) -> OutlierState:
        """New series, at the same time."""
        pairs = [np.full((rows, 2), np.nan) for _ in range(2)]
        apart, times = self.apart.blank(rows), self.times.blank(rows)
        return OutlierState(apart, times, pairs[0], pairs[1], np.zeros(rows), self.fleet, self.fleet_open)


def fresh(rows: int, step_s: float) -> OutlierState:  # noqa: ARG001 - the form of every method
    """Series of which nothing is known."""
    cells = Cells.empty(rows, HOUR_S, slots=_SLOTS, kept=KEPT_HOURS)
    pairs = [np.full((rows, 2), np.nan) for _ in range(2)]
    fleet, fleet_open = np.full(KEPT_HOURS, np.nan), np.full(_SLOTS, np.nan)
    return OutlierState(cells, cells, pairs[0], pairs[1], np.zeros(rows), fleet, fleet_open)


def advance(state: OutlierState, new: Columns) -> Advanced:
    """Hold each series against the median of all at that instant, less how it usually stands to it.

    As a difference or as a ratio, whichever the series keeps to better (in the first day: as both), so that peers which
    grow together are none. It must be the series that moved: where most peers did, they are no outliers, nor is who
    stayed.
    """
    said, teaching = Said.nothing(new.values.shape), new.teaching
    for cell, here in state.apart.stretches(new.local):
        if cell != state.apart.number:
            state = _learnt(state, cell)
        values = new.values[:, here]
        stand = standing(values)
        part = _judged(state, values, stand, cell)
        for array, one in zip(said[:4], part[:4], strict=True):
            array[:, here] = one
        odd = (np.abs(part.sigma) >= ANOMALOUS) & new.hold[:, None]
        stand = stand if new.mute is None else standing(teaching[:, here])
        state = replace(
            state,
            apart=state.apart.filled(new.local[here], np.where(odd, np.nan, stand.apart)),
            times=state.times.filled(new.local[here], np.where(odd, np.nan, stand.times)),
            fleet_open=_fleet(state, new.local[here], stand.middle),
        )
    return Advanced(state, said)


METHOD = Method(fresh, advance, history_s=2 * DAY_S, first_s=READY_HOURS * HOUR_S, series=FEWEST_PEERS + 1)


class Standing(NamedTuple):
    """``middle`` (K,) is the median of all, ``apart``, ``times`` (S, K) how each stands to it; NaN = too few peers."""

    middle: Array
    apart: Array
    times: Array


def standing(values: Array) -> Standing:
    """How the rows of (S, K) stand to their median, at each instant with more than ``FEWEST_PEERS`` samples."""
    known = ~np.isnan(values)
    middle = np.where(known.sum(axis=0) > FEWEST_PEERS, median_of(values.T), np.nan)
    positive = (values > 0) & (middle > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(positive, np.log(values) - np.log(middle), np.nan)
    return Standing(middle, values - middle, times)


def _judged(state: OutlierState, values: Array, stand: Standing, cell: int) -> Said:
    usual = _usual_fleet(state, cell)
    z = _stayed(stand.apart - state.offset[:, :1], stand.middle - usual) / state.spread[:, :1]
    ratio = stand.times - state.offset[:, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = _stayed(ratio, np.log(stand.middle / usual)) / state.spread[:, 1:]
        weaker = np.where((ratio > 0) == (z > 0), np.copysign(np.minimum(np.abs(ratio), np.abs(z)), z), 0.0)
    # A day tells which of both the series keeps to; before that it must break both. Without a ratio: the difference.
    level = np.abs(state.offset[:, :1] + usual)
    keeps = np.where(state.spread[:, 1:] * level < state.spread[:, :1], ratio, z)
    both = np.where((state.hours >= _A_DAY)[:, None], keeps, weaker)
    z = np.where(np.isnan(ratio), z, both)
    z[~state.ready[:, None] | np.isnan(values)] = np.nan
    sigma = sigma_for(z, np.full(z.shape, DEGREES))
    expected = np.where(np.isnan(z), np.nan, stand.middle + state.offset[:, :1])
    reach = t_of_sigma(ANOMALOUS, np.array(DEGREES)) * state.spread[:, :1]
    return Said(sigma, expected, expected - reach, expected + reach)


def _stayed(rest: Array, moved: Array) -> Array:
    """``rest`` (S, K), 0 where it was the peers that ``moved`` (K,): the series is nearer to where it was than they."""
    with np.errstate(invalid="ignore"):
        result: Array = np.where(np.abs(rest + moved) < np.abs(moved), 0.0, rest)
    return result


def _usual_fleet(state: OutlierState, cell: int) -> float:
    """Where the median of all usually is in this hour of the day, from two days on; before that, what it was at all."""
    at = np.arange(cell - KEPT_HOURS, cell)
    same = state.fleet[(cell - at) % _A_DAY == 0]
    same = same[~np.isnan(same)]
    return float(median_of(same if len(same) >= 2 else state.fleet))


def _fleet(state: OutlierState, local: Array, middle: Array) -> Array:
    place = np.clip(np.floor(local % HOUR_S / HOUR_S * _SLOTS), 0, _SLOTS - 1).astype(np.intp)
    result = state.fleet_open.copy()
    known = ~np.isnan(middle)
    result[place[known]] = middle[known]
    return result


def _learnt(state: OutlierState, cell: int) -> OutlierState:
    """An hour is over: how each series usually stands to its peers, and how far from that it usually is."""
    before = state.apart.number
    apart, times = state.apart.moved_to(cell), state.times.moved_to(cell)
    if before < 0:
        return replace(state, apart=apart, times=times)
    fleet, gone = np.full(KEPT_HOURS, np.nan), min(cell - before, KEPT_HOURS)
    fleet[: KEPT_HOURS - gone] = state.fleet[gone:]
    if cell - before <= KEPT_HOURS:
        fleet[KEPT_HOURS - gone] = float(median_of(state.fleet_open))
    offset, spread = [], []
    level = np.abs(median_of(apart.middle) + float(np.nan_to_num(median_of(fleet))))
    for cells, least in ((apart, LEVEL_SHARE * level + 1e-300), (times, np.full(len(level), LEVEL_SHARE))):
        usual = median_of(cells.middle)
        between = scale_of(cells.middle, usual)
        # Of a Gaussian, the lows and highs at 10 and 90 % lie 2.563 standard deviations apart.
        within = median_of(cells.high - cells.low) / 2.563
        offset.append(usual)
        spread.append(np.hypot(np.hypot(between, within), least))
    hours = (~np.isnan(apart.middle)).sum(axis=1).astype(np.float64)
    return replace(
        state,
        apart=apart,
        times=times,
        offset=np.stack(offset, axis=1),
        spread=np.stack(spread, axis=1),
        hours=hours,
        fleet=fleet,
        fleet_open=np.full(_SLOTS, np.nan),
    )
