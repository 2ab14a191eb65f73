"""The dial: from how many false alerts a week a person tolerates to the sigma from which one is told. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.calibrate import Array, likely_real

LEVELS: Array = np.array([*np.arange(3.0, 6.0, 0.25), 6, 6.5, 7, 8, 10, 13, 17, 22, 29, 38], dtype=np.float64)
"""The sigmas among which a threshold is chosen."""

AUTO_CEILING = 5.0
"""The dial asks no more than this of ``auto``, so that what is far out is told from the first days on: of the largest
deviation that there is it says 5.3 sigma after a day of minutes and 5.4 after four days at five minutes, and at any
step up to two hours at least 6 after a fortnight and 6.3 after a month: more would silence it, whatever happens.
"""

MEMORY_DAYS = 28.0
"""A day counts e times less after so many."""

_WEEK = 7.0

LEAST_WEEKS = 1.0
"""A shorter history counts as this long: one alert in the first hour is no rate. What is missing is as it was of young
series before: of pods that are replaced each day every one would begin anew.
"""

LEAST_YOUTH = 1.0 / _WEEK
"""What is known of young series is of a day at least."""

FIRST_DAY = 1.0
"""So many false alerts are to be expected of a series on its first day before its threshold rises."""

NEVER = np.iinfo(np.int64).max // 2
"""The day on which ``auto`` takes over a series that only other methods judge."""

_DAY_S, _HOUR_S, _HOURS = 86400.0, 3600.0, 24
_ARRAYS = ("false", "weeks", "today", "quiet", "peak", "wrong", "entry", "since")

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Tolerance(NamedTuple):
    """What is tolerated: false alerts a week ``per_series`` and in ``total``; no threshold is below ``floor`` (sigma).

    Anomalies at most ``merge`` columns apart are one alert.
    """

    per_series: float
    total: float
    merge: int
    floor: float = 0.0


class Youth(NamedTuple):
    """What series told in their first week that are gone by now: ``false`` (2, L) alerts to be expected by their
    highest level, and the ``weeks`` (2,) they were looked at, while the named methods spoke for them and after that.
    """

    false: Array
    weeks: Array

    @classmethod
    def none(cls) -> Youth:
        """Of no series."""
        return cls(np.zeros((2, len(LEVELS))), np.zeros(2))

    def plus(self, other: Youth, fading: float) -> Youth:
        """Both, faded."""
        return Youth((self.false + other.false) * fading, (self.weeks + other.weeks) * fading)

    @property
    def rates(self) -> Array:
        """(2, L): false alerts a week to be expected of such a series at each threshold."""
        result: Array = _and_above(self.false) / np.maximum(self.weeks, LEAST_YOUTH)[:, None]
        return result


class Seen(NamedTuple):
    """What detection says of K columns of S series: ``sigma``, where it is ``anomalous`` (3 sigma and all floors) and
    where it is ``auto`` that says so; NaN sigma = no opinion. Each (S, K).
    """

    sigma: Array
    anomalous: Flags
    auto: Flags

    def columns(self, here: slice) -> Seen:
        """Some of them."""
        return Seen(self.sigma[:, here], self.anomalous[:, here], self.auto[:, here])


class Reviews(NamedTuple):
    """What people said of alerts, n of them: the ``row`` of its series, the highest ``sigma`` of each, whether it was
    ``auto`` that spoke, the local ``day`` it began, and whether it was ``false``; each (n,).
    """

    row: NDArray[np.intp]
    sigma: Array
    auto: Flags
    day: Ints
    false: Flags


@dataclass(frozen=True)
class Dial:
    """What is remembered of the alerts of S series; all arrays have S rows.

    ``false`` (S, L) false alerts to be expected by their highest level, ``weeks`` looked at, both fading; ``today``
    columns looked at since the local day began. Of the alert under way: ``quiet`` columns since its last anomaly, its
    ``peak`` sigma and how likely it is ``wrong``, faded with what was counted. ``entry`` is the threshold of now, 0
    where nothing is known yet; ``since`` the local day on which ``auto`` took over. ``hour`` is the number of the last
    local hour that was looked at, -1 = none yet. ``youth`` is what young series told that are gone, ``leaving`` what
    comes to it when this day ends: of those that were dropped, and of those that ``auto`` took over.
    """

    step_s: float
    false: Array
    weeks: Array
    today: Ints
    quiet: Ints
    peak: Array
    wrong: Array
    entry: Array
    since: Ints
    hour: int = -1
    youth: Youth = field(default_factory=Youth.none)
    leaving: Youth = field(default_factory=Youth.none)

    @classmethod
    def fresh(cls, rows: int, step_s: float) -> Dial:
        """Series of which nothing is known."""
        never = np.full(rows, NEVER)
        weeks, peak, wrong, entry = (np.zeros(rows) for _ in range(4))
        today, since = np.zeros(rows, np.int64), np.full(rows, NEVER)
        return cls(step_s, np.zeros((rows, len(LEVELS))), weeks, today, never, peak, wrong, entry, since)

    @property
    def rows(self) -> int:
        """How many series."""
        return len(self.weeks)

    @property
    def day(self) -> int:
        """The number of the local day that was looked at last, -1 = none yet."""
        return self.hour // _HOURS

    def select(self, rows: object) -> Dial:
        """The same with its rows reordered, extended or left out: ``rows`` are old row numbers, -1 = a new series."""
        where = np.asarray(rows, dtype=np.intp)
        fresh = Dial.fresh(len(where), self.step_s)
        old = where >= 0
        for name in _ARRAYS:
            getattr(fresh, name)[old] = getattr(self, name)[where[old]]
        gone = np.ones(self.rows, bool)
        gone[where[old]] = False
        return replace(fresh, hour=self.hour, youth=self.youth, leaving=self._leaving(gone))

    def _leaving(self, gone: Flags) -> Youth:
        """What leaves when the rows ``gone`` (S,) do: the young ones of them tell of how young series are."""
        false, weeks = self.leaving.false.copy(), self.leaving.weeks.copy()
        for phase in (0, 1):
            young = gone & (self.phase == phase) & (self.weeks < LEAST_WEEKS)
            false[phase] += self.false[young].sum(axis=0)
            weeks[phase] += (self.weeks[young] + self.today[young] * self.step_s / _DAY_S / _WEEK).sum()
        return Youth(false, weeks)

    @property
    def phase(self) -> NDArray[np.intp]:
        """(S,): 0 while the named methods speak for a series, 1 from when ``auto`` does, as in ``Youth``."""
        result: NDArray[np.intp] = (self.since != NEVER).astype(np.intp)
        return result

    @property
    def unseen(self) -> Flags:
        """(S,): series of which there is no sample yet, or none since ``auto`` took over."""
        result: Flags = (self.weeks == 0.0) & (self.today == 0)
        return result

    def first(self, tolerance: Tolerance) -> Array:
        """(2,): from how many sigma a series is told of which nothing is known but how young ones were, by the named
        methods and by ``auto``; 0 where that is no reason to ask for more.
        """
        fits = self.youth.rates <= max(tolerance.per_series, FIRST_DAY) + 1e-9
        level = np.where(fits.any(axis=1), fits.argmax(axis=1), len(LEVELS) - 1)
        return np.where(level > 0, LEVELS[level], 0.0)

    def rates(self, correction: Array | None = None) -> Array:
        """(S, L): false alerts a week to be expected of each series at each threshold.

        ``correction`` (S, L), or what broadcasts to it, is added to what was counted: what people said of alerts.
        """
        counted = self.false if correction is None else self.false + correction
        above = _and_above(np.maximum(counted, 0.0))
        missing = np.where(self.unseen, 0.0, np.maximum(LEAST_WEEKS - self.weeks, 0.0))
        usual = self.youth.rates[self.phase]
        result: Array = (above + usual * missing[:, None]) / np.maximum(self.weeks, LEAST_WEEKS)[:, None]
        return result


def advance_dial(
    dial: Dial, local: Array, seen: Seen, tolerance: Tolerance, reviews: Reviews | None = None
) -> tuple[Dial, Array]:
    """Go through K columns at ``local`` seconds (K,); the dial afterwards and the threshold in force at each, (S, K).

    Alerts that people have given ``reviews`` count as that: a real one not at all, a false one whole.

    Thresholds change when a local day ends, and those of a series that is not yet a day old each hour: what is known of
    it so little may tell again and again what it has not seen yet. They follow what was seen before: in whatever parts
    the columns come, the result is the same. Where ``auto`` takes over, what the named methods told before counts no
    more: it says nothing of how often ``auto`` is wrong.
    """
    rows, columns = seen.sigma.shape
    entry = np.zeros((rows, columns))
    hours = np.floor(local / _HOUR_S).astype(np.int64)
    start = 0
    while start < columns:
        hour = int(hours[start])
        day = hour // _HOURS
        if dial.hour >= 0 and day != dial.day:
            dial = _turned(dial, day, tolerance, reviews)
        elif dial.hour not in (-1, hour):
            dial = _born_today(dial, tolerance, reviews)
        dial = _begun(dial, seen.auto[:, start], day, tolerance)
        stop = start + _alike(dial, hours[start:], seen.auto[:, start:])
        here = slice(start, stop)
        entry[:, here] = np.maximum(dial.entry, tolerance.floor)[:, None]
        dial = replace(_counted(dial, seen.columns(here), tolerance.merge), hour=int(hours[stop - 1]))
        start = stop
    return dial, entry


def _alike(dial: Dial, hours: Ints, auto: Flags) -> int:
    """How many columns come before thresholds may change: a day's while all are known for longer than that, and none
    is taken over by ``auto``.
    """
    young = bool((dial.weeks == 0.0).any())
    end = int(hours[0]) + 1 if young else (int(hours[0]) // _HOURS + 1) * _HOURS
    stop = max(int(np.searchsorted(hours, end, side="left")), 1)
    taken = auto[dial.since == NEVER, :stop].any(axis=0)
    return int(taken.argmax()) if taken.any() else stop


def thresholds(rates: Array, tolerance: Tolerance) -> Array:
    """(S,): for each series the lowest level at which it keeps to what is tolerated of one, raised together where all
    of them would tell more than is tolerated in total. Where no level is high enough, the highest.
    """
    last = len(LEVELS) - 1
    fits = rates <= tolerance.per_series + 1e-9
    own = np.where(fits.any(axis=1), fits.argmax(axis=1), last)
    return LEVELS[np.maximum(own, common_level(rates, own, tolerance.total))]


def common_level(rates: Array, own: NDArray[np.intp], total: float) -> int:
    """The lowest level that, as a floor under every series' ``own``, keeps the sum of ``rates`` (S, L) to ``total``."""
    if not len(rates):
        return 0
    each = np.arange(len(rates))
    for level in range(len(LEVELS)):
        if rates[each, np.maximum(own, level)].sum() <= total + 1e-9:
            return level
    return len(LEVELS) - 1


def _turned(dial: Dial, day: int, tolerance: Tolerance, reviews: Reviews | None) -> Dial:
    """A day is over: what it taught is folded in, and thresholds are chosen anew."""
    fading = float(np.exp(-max(day - dial.day, 0) / MEMORY_DAYS))
    weeks = (dial.weeks + dial.today * dial.step_s / _DAY_S / _WEEK) * fading
    # An alert that goes on over midnight takes back what is left of it when it goes higher.
    wrong = dial.wrong * fading
    after = replace(
        dial,
        false=dial.false * fading,
        weeks=weeks,
        wrong=wrong,
        today=np.zeros_like(dial.today),
        youth=dial.youth.plus(dial.leaving, fading),
        leaving=Youth.none(),
    )
    correction = None if reviews is None else corrections(reviews, dial, day)
    return replace(after, entry=thresholds(after.rates(correction), tolerance))


def _born_today(dial: Dial, tolerance: Tolerance, reviews: Reviews | None) -> Dial:
    """An hour is over: thresholds of series that are not yet a day old, and have told something."""
    young = (dial.weeks == 0.0) & (dial.peak > 0.0)
    if not young.any():
        return dial
    correction = None if reviews is None else corrections(reviews, dial, dial.day)
    borne = tolerance._replace(per_series=max(tolerance.per_series, FIRST_DAY))
    return replace(dial, entry=np.where(young, thresholds(dial.rates(correction), borne), dial.entry))


def _begun(dial: Dial, auto: Flags, day: int, tolerance: Tolerance) -> Dial:
    """Where ``auto`` speaks (S,) for the first time, how often it is wrong is not known; nor is anything known of a
    series that is new: both begin as young ones were.
    """
    taken = np.flatnonzero((dial.since == NEVER) & auto)
    if taken.size:
        which = np.arange(dial.rows)
        which[taken] = -1
        dial = dial.select(which)
        dial.since[taken] = day
    unseen = dial.unseen
    if not unseen.any():
        return dial
    return replace(dial, entry=np.where(unseen, dial.first(tolerance)[dial.phase], dial.entry))


def corrections(reviews: Reviews, dial: Dial, day: int) -> Array:
    """(S, L): what is to be added to the false alerts that were counted until ``day``, faded like those. Of alerts of
    other methods from before ``auto`` took over none was.
    """
    result = np.zeros((dial.rows, len(LEVELS)))
    for row, sigma, auto, begun, false in zip(*reviews, strict=True):
        forgotten = not auto and begun <= dial.since[row] < NEVER
        if begun < day and not forgotten:
            counted = 1.0 - likely_real(float(sigma), dial.step_s, auto=bool(auto))
            result[row, _level(float(sigma))] += (float(false) - counted) * np.exp(-(day - int(begun)) / MEMORY_DAYS)
    return result


def _counted(dial: Dial, seen: Seen, merge: int) -> Dial:
    """The alerts of some columns of one day, each at its highest level so far."""
    columns = seen.sigma.shape[1]
    quiet, today = dial.quiet + columns, dial.today + (~np.isnan(seen.sigma)).sum(axis=1)
    if not seen.anomalous.any():
        return replace(dial, quiet=quiet, today=today)
    false, peak, wrong = dial.false.copy(), dial.peak.copy(), dial.wrong.copy()
    for row in np.flatnonzero(seen.anomalous.any(axis=1)):
        since = int(dial.quiet[row])
        last = -1
        for column in np.flatnonzero(seen.anomalous[row]).tolist():
            since, last = (since + column + 1 if last < 0 else column - last), column
            size = abs(float(seen.sigma[row, column]))
            if since > merge:
                peak[row] = wrong[row] = 0.0
            if size > peak[row]:
                if peak[row]:
                    false[row, _level(peak[row])] -= wrong[row]
                by_auto = bool(seen.auto[row, column])
                peak[row], wrong[row] = size, 1.0 - likely_real(size, dial.step_s, auto=by_auto)
                false[row, _level(size)] += wrong[row]
        quiet[row] = columns - 1 - last
    return replace(dial, false=false, peak=peak, wrong=wrong, quiet=quiet, today=today)


def _and_above(counted: Array) -> Array:
    """What was counted at each level or above it, (n, L)."""
    result: Array = np.cumsum(counted[:, ::-1], axis=1)[:, ::-1]
    return result


def _level(sigma: float) -> int:
    return max(0, int(np.searchsorted(LEVELS, sigma, side="right")) - 1)
