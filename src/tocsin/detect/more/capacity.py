"""`capacity`: when something will be full or empty, as a range of dates; silent when flat or unsure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar, NamedTuple

import numpy as np

from tocsin.detect import combine
from tocsin.detect.calibrate import ANOMALOUS, Array, Severity
from tocsin.detect.more.cells import Cells
from tocsin.detect.more.common import DAY_S, Advanced, Columns, Context, Flags, Method, Rows, Said, median_of, sigma_for
from tocsin.detect.student import t_of_sigma
from tocsin.units import distance, number

HOUR_S = 3600.0
KEPT_HOURS = 14 * 24
WINDOWS = (24, 72, 168)
"""Hours over which a trend is looked for; less than a day of history says nothing."""

CONFIDENCE_Z = 1.6449
"""Of the standard normal: the range of dates is a 90 % interval."""

WIDEST = 3.0
"""The late end of the range is at most this many times as far as the early one; wider is unsure, unless it is ``NEAR``:
what may be there at any moment has no early end to be held against."""

RESET = 0.4
"""A fall back of this share of the rise within a window is a reset: what resets itself is not exhausted."""

EXHAUSTED_SIGMA = Severity.HIGH.sigma
"""What is said of a series that stands at its limit; of one on its way no more is said, however sure that is."""

FAR_SIGMA = Severity.MEDIUM.sigma
"""At most this much is said of a limit as far ahead as the horizon."""

SETTLED_HOURS = 7 * 24
"""After so many hours it is settled on which side of a limit a series usually is, also while it lies beyond."""

NEAR = 0.25
"""Within this share of the horizon a limit counts as one that is reached."""

_ROUNDING = 1e-6
_HAVE = 0.8
_SLOTS = 60
_LARGEST_MEMORY = 0.95


@dataclass(frozen=True)
class CapacityState(Rows):
    """``cells`` of an hour, two weeks of them, and (S,) what the last finished hour says of each series.

    ``sigma`` (NaN before a day), ``expected`` where the trend began, ``reach`` how far it had to go to be one,
    ``facts`` (S, 6): limit, early and late end (local times), slope an hour, 1 where the limit is inferred, 1 where it
    is reached (the slope is then the side). ``upwards``: whether a limit of which no side is given, or that is
    inferred, is reached upwards, 1 or -1, NaN until a week of hours has settled that. 8.5 KB a series.
    """

    SHARED: ClassVar[tuple[str, ...]] = ()

    cells: Cells
    sigma: Array
    expected: Array
    reach: Array
    facts: Array
    upwards: Array

    @property
    def ready(self) -> Flags:
        """(S,): series with a day of samples."""
        return ~np.isnan(self.sigma)

    def blank(self, rows: int) -> CapacityState:
        """New series, at the same time."""
        return replace(fresh(rows, HOUR_S), cells=self.cells.blank(rows))


def fresh(rows: int, step_s: float) -> CapacityState:  # noqa: ARG001 - the form of every method
    """Series of which nothing is known."""
    nothing = np.full(rows, np.nan)
    cells = Cells.empty(rows, HOUR_S, slots=_SLOTS, kept=KEPT_HOURS)
    return CapacityState(cells, nothing, nothing, nothing, np.full((rows, 6), np.nan), nothing)


def advance(state: CapacityState, new: Columns) -> Advanced:
    """Look ahead from the finished hours, anew when an hour ends; in between the last word stands.

    What is muted is no part of an hour. Where a day has too few hours left for that, there is no opinion.
    """
    said = Said.nothing(new.values.shape)
    starts, facts, teaching = [], [], new.teaching
    for cell, here in state.cells.stretches(new.local):
        if cell != state.cells.number:
            before = state.cells.number
            state = replace(state, cells=state.cells.moved_to(cell))
            state = state if before < 0 else _ahead(state, new.context, cell * HOUR_S)
        seen = ~np.isnan(new.values[:, here])
        parts = (state.sigma, state.expected, state.expected - state.reach, state.expected + state.reach)
        for array, part in zip(said[:4], parts, strict=True):
            array[:, here] = np.where(seen, part[:, None], np.nan)
        starts.append(here.start)
        facts.append(state.facts)
        state = replace(state, cells=state.cells.filled(new.local[here], teaching[:, here]))
    return Advanced(state, said._replace(starts=tuple(starts), facts=tuple(facts)))


def words(facts: Array, shift: float, unit: str) -> str:
    """The range of dates in words, in UTC; one date where both ends are the same minute."""
    limit, early, late, slope, inferred, reached = facts.tolist()
    whence = " that was inferred from the unit or the query (capacity_limit sets another)" if inferred else ""
    if reached:
        return f"the limit of {number(limit, unit)}{whence} is reached from {'below' if slope > 0 else 'above'}"
    first, last = (f"{datetime.fromtimestamp(at - shift, UTC):%Y-%m-%d %H:%M}" for at in (early, late))
    pace = f"{'rising' if slope > 0 else 'falling'} by {distance(slope * 24, unit)} a day"
    to = f"the limit of {number(limit, unit)}{whence}" if inferred else number(limit, unit)
    if first == last:
        return f"{pace}, it reaches {to} at about {first} UTC"
    return f"{pace}, it reaches {to} between {first} and {last} UTC (90 % interval)"


METHOD = Method(fresh, advance, history_s=7 * DAY_S, first_s=(WINDOWS[0] + 1) * HOUR_S, words=words)


class Pace(NamedTuple):
    """The trend of one row: ``slope`` an hour, its 90 % interval, ``sigma``, ``reach`` of the whole window.

    ``begin`` and ``level`` are where it begins and ends, ``apart`` how far hours are from it (rms).
    """

    slope: float
    low: float
    high: float
    sigma: float
    reach: float
    level: float
    begin: float
    apart: float


def pace_of(x: Array) -> Pace | None:
    """The trend of (n,) hourly medians, NaN = gap; None where too few are known.

    Theil-Sen slope with the order-statistic interval of Sen (1968): of the N sorted slopes between pairs those at
    (N -+ C) / 2, C = z * sqrt(Var S). From three days on only pairs whole days apart are compared, which no daily
    season disturbs. Var S = n (n - 1) (2 n + 5) / 18 grows by (1 + r) / (1 - r), r the lag-1 autocorrelation of what is
    left, since neighbours alike are worth fewer samples (Hamed and Rao 1998).
    """
    n = len(x)
    known = ~np.isnan(x)
    if known.sum() < _HAVE * n or not known[:3].any() or not known[-3:].any():
        return None
    first, second = np.triu_indices(n, 1)
    if n >= 72:
        whole = (second - first) % 24 == 0
        first, second = first[whole], second[whole]
    slopes = (x[second] - x[first]) / (second - first)
    slopes = np.sort(slopes[~np.isnan(slopes)])
    slope = float(median_of(slopes))
    rest = x - slope * np.arange(n)
    season = np.zeros(n)
    if n >= 72:
        season = np.tile(median_of(rest.reshape(-1, 24).T), n // 24)
        season = season - float(median_of(season))
    begin = float(median_of(rest - season))
    rest = np.nan_to_num(rest - season - begin)
    energy = float((rest * rest).sum())
    memory = float((rest[1:] * rest[:-1]).sum()) / energy if energy > 0 else 0.0
    memory = min(max(memory + (1.0 + 4.0 * memory) / n, 0.0), _LARGEST_MEMORY)
    loss = (1.0 + memory) / (1.0 - memory)
    # As many pairs as there are: of those within one time of day the variance of S is the sum over the times of day.
    each = n // 24 if n >= 72 else n
    variance = (24 if n >= 72 else 1) * each * (each - 1) * (2 * each + 5) / 18.0 * loss
    count = len(slopes)
    aside = CONFIDENCE_Z * variance**0.5 / 2.0
    low = float(slopes[max(0, int(np.floor(count / 2.0 - aside)))])
    high = float(slopes[min(count - 1, int(np.ceil(count / 2.0 + aside)))])
    error = max((high - low) / (2.0 * CONFIDENCE_Z), 1e-12 * abs(slope), 1e-300)
    degrees = np.array(max((n - 2) / loss, 1.0))
    sigma = float(sigma_for(np.array(slope / error), degrees))
    sure = count / 2.0 - aside >= 0.0
    reach = float(t_of_sigma(combine.entry(len(WINDOWS)), degrees)) * error * n
    return Pace(slope, low, high, sigma if sure else 0.0, reach, begin + slope * (n - 0.5), begin, (energy / n) ** 0.5)


def _ahead(state: CapacityState, context: Context, now: float) -> CapacityState:
    rows = len(state.sigma)
    sigma, expected, reach = (np.full(rows, np.nan) for _ in range(3))
    facts = np.full((rows, 6), np.nan)
    middle, settled = state.cells.middle, state.upwards.copy()
    sided = context.limit is not None or context.inferred_limit is not None
    day = (~np.isnan(middle[:, -24:])).sum(axis=1) >= _HAVE * 24
    for row in np.flatnonzero(day & ~np.isnan(middle[:, :-24]).all(axis=1)):
        x = middle[row]
        unit = float(np.max(np.abs(np.nan_to_num(x)))) or 1.0
        sigma[row] = 0.0
        expected[row] = float(median_of(x[-24:]))
        reach[row] = unit
        newest = float(median_of(x[-2:]))
        usual, highest = float(median_of(x)), float(np.nanmax(x))
        if sided and np.isnan(settled[row]) and (~np.isnan(x)).sum() >= SETTLED_HOURS:
            settled[row] = 1.0 if _is_below(context, usual) else -1.0
        for limit, upwards, inferred in _limits(context, usual, highest, float(settled[row])):
            side = 1.0 if upwards else -1.0
            if side * (newest - limit) >= 0.0:
                sigma[row], facts[row] = side * EXHAUSTED_SIGMA, (limit, now, now, side, inferred, 1.0)
                continue
            found = _nearing(side * x / unit, side * limit / unit, context.horizon_s)
            said = 0.0 if found is None else min(found.sigma, _most(found.early / context.horizon_s))
            if found is not None and said > abs(sigma[row]):
                sigma[row], expected[row], reach[row] = (
                    side * said,
                    side * found.begin * unit,
                    found.reach * unit,
                )
                facts[row] = (limit, now + found.early, now + found.late, side * found.slope * unit, inferred, 0.0)
    return replace(state, sigma=sigma, expected=expected, reach=reach, facts=facts, upwards=settled)


def _most(ahead: float) -> float:
    """The most sigma that is said of a limit ``ahead``, as a share of the horizon: how near it is, not how sure."""
    near = min(1.0, max(0.0, (1.0 - ahead) / (1.0 - NEAR)))
    return FAR_SIGMA + (EXHAUSTED_SIGMA - FAR_SIGMA) * near


class _Nearing(NamedTuple):
    sigma: float
    begin: float
    reach: float
    slope: float
    early: float
    late: float


def _nearing(x: Array, limit: float, horizon_s: float) -> _Nearing | None:
    """When rising hours (n,) reach ``limit``: the strongest window whose range of dates is narrow and near enough."""
    best: _Nearing | None = None
    for size in WINDOWS:
        part = x[-size:]
        if float(np.nanmax(part)) - float(np.nanmin(part)) <= 1e-9:
            continue
        pace = pace_of(part)
        if pace is None or pace.low <= 0.0:
            continue
        rise = pace.slope * size
        if _resets(part, rise):
            continue
        sigma = float(combine.honest(np.array(pace.sigma), len(WINDOWS)))
        left, apart = limit - pace.level, CONFIDENCE_Z * pace.apart
        early, late = (max(one, 0.0) * HOUR_S for one in ((left - apart) / pace.high, (left + apart) / pace.low))
        if sigma < ANOMALOUS or early > horizon_s or late > max(WIDEST * early, NEAR * horizon_s):
            continue
        if best is None or sigma > best.sigma:
            best = _Nearing(sigma, pace.begin, pace.reach, pace.slope, early, late)
    # What came back from here before will do so again.
    if best is not None and _came_back(x, float(np.nanmax(x[-24:]))):
        return None
    return best


def _resets(x: Array, rise: float) -> bool:
    known = x[~np.isnan(x)]
    fallen = np.maximum.accumulate(known) - known
    return bool(fallen.max() >= RESET * rise)


def _came_back(x: Array, top: float) -> bool:
    """Whether the series stood as high before and fell back by itself."""
    before = x[:-24]
    return bool((before[~np.isnan(before)] >= top).any())


class _Limit(NamedTuple):
    value: float
    upwards: bool
    inferred: bool = False


def _limits(context: Context, usual: float, highest: float, settled: float) -> list[_Limit]:
    """The limits that count, each with whether it is reached upwards; for ``limit`` and an inferred one the usual level
    of the first week says which, so that what stays there is not taken for what comes from there.

    An inferred one does not where an hour lay beyond it, which is then no bound, nor where the series usually stands
    at it: availability at 100 percent is not exhausted.
    """
    upwards = _is_below(context, usual) if np.isnan(settled) else settled > 0
    if context.limit is not None:
        return [_Limit(context.limit, upwards)]
    found = [] if context.upper_limit is None else [_Limit(context.upper_limit, upwards=True)]
    inferred = context.inferred_limit
    if not found and inferred is not None and upwards and highest <= inferred + _ROUNDING * abs(inferred):
        found = [_Limit(inferred, upwards=True, inferred=True)]
    return found if context.lower_limit is None else [*found, _Limit(context.lower_limit, upwards=False)]


def _is_below(context: Context, usual: float) -> bool:
    """Whether a series that is usually there comes from below to the limit of which no side is given, or that is
    inferred; what usually stands at an inferred one does not.
    """
    if context.limit is not None:
        return usual <= context.limit
    return context.inferred_limit is not None and usual < context.inferred_limit
