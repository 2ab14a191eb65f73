"""Suggested targets tried on the datasource before anybody sees them: do they return data, do they move, are they new,
and what would they have told.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tocsin.domain.errors import Invalid, NotAsked, SourceError, SourceFailure
from tocsin.domain.frame import Frame, Window
from tocsin.domain.log_signal import LogSignal
from tocsin.domain.suggest import Suggestion
from tocsin.domain.target import Target
from tocsin.domain.words import many, timespan
from tocsin.monitor.aside import Aside
from tocsin.monitor.backtest import NOTHING_ELSE, Asked, backtest
from tocsin.monitor.gate import Gate

GLANCE = 300
"""Samples of each series that decide whether it moves, over the past that is tried or over what there is of it."""

CLOSEST_S = 1.0
"""The step in seconds of the closest look at what is young."""

TEMPLATE_STEPS = 1440
"""Steps of templates that are looked at, with the lookback: each line of them is read."""

MAX_TRIED = 200
"""Suggestions that are tried, errors and durations first; how many are not is said."""

LEAST_FOR_A_WEEK = timedelta(hours=12)
"""With less of the past than this nothing is said of a week: one alert in a quarter of an hour is not 700 a week. Nor
is anything called a constant, or without data.
"""

MAX_BEATS = 10
"""Heartbeats that are offered, which are watched for being there; what goes beyond is left out."""

FEWEST_BEATS = 8
"""Moments at which a heartbeat was there, seen from afar: with fewer nobody knows how regularly it comes."""

_STILL = 1e-9
"""A part of the value within which it has not moved: rates of the same differ by rounding."""

WEEK = timedelta(days=7)
DAY_S = 86400.0


class Why(StrEnum):
    """Why a suggestion is not offered."""

    NO_DATA = "no_data"
    TOO_LITTLE = "too_little"
    CONSTANT = "constant"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    TOO_SLOW = "too_slow"
    TOO_MANY = "too_many"
    UNFIT = "unfit"


@dataclass(frozen=True, slots=True)
class Tried:
    """A suggestion that holds: the target, what it costs, and what it would have told over the time `covered` by data.

    By the week it is None where that time is too short to say.
    """

    suggestion: Suggestion
    target: Target
    series: int
    samples_an_evaluation: int
    samples_a_day: int
    covered: timedelta
    alerts: int
    messages: int

    @property
    def alerts_a_week(self) -> float | None:
        """Alerts by the week."""
        return self._a_week(self.alerts)

    @property
    def messages_a_week(self) -> float | None:
        """Messages by the week."""
        return self._a_week(self.messages)

    def _a_week(self, count: int) -> float | None:
        return None if self.covered < LEAST_FOR_A_WEEK else count / (self.covered / WEEK)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A suggestion that does not hold, why, and that in words."""

    suggestion: Suggestion
    why: Why
    words: str


@dataclass(frozen=True, slots=True)
class Trials:
    """What was tried: those that hold, why the others do not, how many were `not_tried`, and the queries it took.

    `covered` is the longest time for which anything has data: all that is known of how old the datasource is.
    """

    offered: tuple[Tried, ...]
    dropped: tuple[Dropped, ...]
    not_tried: int = 0
    queries: int = 0
    covered: timedelta = timedelta(0)


async def tried(
    suggestions: Sequence[Suggestion], gate: Gate, at: datetime, past: timedelta, progress: Callable[[float], None]
) -> Trials:
    """Try each over the `past` before `at`. A query that the datasource refuses, or that takes too long, drops its
    suggestion; raises `SourceError` when the datasource itself does not answer.
    """
    offered: list[Tried] = []
    dropped: list[Dropped] = []
    before, chosen = gate.queries, suggestions[:MAX_TRIED]
    trying = _Trying(gate, at, past, Aside(1), {one.name for one in chosen})
    progress(0.0)
    try:
        for number, one in enumerate(chosen):
            found = await trying.look(one)
            if isinstance(found, Tried):
                offered.append(found)
            else:
                dropped.append(found)
            progress((number + 1) / len(chosen))
    finally:
        trying.aside.close()
    progress(1.0)
    not_tried, queries = len(suggestions) - len(chosen), gate.queries - before
    return Trials(tuple(offered), tuple(dropped), not_tried, queries, trying.covered)


@dataclass(slots=True)
class _Trying:
    """Where, when and over what `past` suggestions are tried, and the `names` of all; `seen` knows the values of what
    was offered, by name, and `beats` counts heartbeats among it. `covered` is the longest time that had data so far.
    """

    gate: Gate
    at: datetime
    past: timedelta
    aside: Aside
    names: set[str]
    beats: int = 0
    covered: timedelta = timedelta(0)
    seen: dict[bytes, str] = field(default_factory=dict)

    async def look(self, one: Suggestion) -> Tried | Dropped:
        """From afar, then play it; raises `SourceError` when the datasource does not answer at all."""
        try:
            return await self._offer(one)
        except SourceError as error:
            slow = error.failure is SourceFailure.TIMEOUT and not isinstance(error, NotAsked)
            if error.transient and not slow:
                raise
            words = f"it takes too long: {error}" if slow else f"the datasource refuses it: {error}"
            return Dropped(one, Why.TOO_SLOW if slow else Why.REFUSED, words)
        except Invalid as error:
            return Dropped(one, Why.UNFIT, f"it makes no target: {error}")

    async def _offer(self, one: Suggestion) -> Tried | Dropped:
        if one.is_beat and self.beats >= MAX_BEATS:
            return Dropped(one, Why.TOO_MANY, f"{MAX_BEATS} heartbeats are offered already")
        target = _target(one, self.gate, self.past)
        past = self._past(target)
        frame, step_s = await self._glance(one, target, past)
        columns = int(_there(frame).sum())
        covered = min(past, _since(frame, step_s) if one.is_beat else timedelta(seconds=columns * step_s))
        self.covered = max(self.covered, covered)
        if one.is_beat and columns < FEWEST_BEATS:
            return Dropped(one, Why.TOO_LITTLE, _few_beats(columns, covered if columns else past))
        if not columns:
            return await self._nothing(one, past)
        if not one.is_beat and not _moves(frame):
            if covered < LEAST_FOR_A_WEEK:
                return Dropped(one, Why.TOO_LITTLE, f"it has not moved, {_too_little(covered, past)}")
            return await self._still(one)
        values = _fingerprint(frame, there=one.is_beat)
        if values in self.seen:
            return Dropped(one, Why.DUPLICATE, f"it has the same values as {self.seen[values]}")
        result = await self._played(one, target, len(frame.labels), covered)
        self.seen[values] = one.name
        self.beats += one.is_beat
        return result

    async def _nothing(self, one: Suggestion, past: timedelta) -> Dropped:
        """Why it returns nothing: because there is nothing, or because what it is made of is too young."""
        if one.seen:
            frame, step_s = await self._look_back(one.seen, past)
            # The catalogue has just seen it: what no instant shows began a moment ago.
            known = min(past, timedelta(seconds=step_s * int(_there(frame).sum())))
            self.covered = max(self.covered, known)
            if known < LEAST_FOR_A_WEEK:
                return Dropped(one, Why.TOO_LITTLE, f"it returns no data, {_too_little(known, past)}")
        return Dropped(one, Why.NO_DATA, "it returns no data")

    async def _still(self, one: Suggestion) -> Tried | Dropped:
        """What never moves tells nothing by its value. Where it is a sign of life, it is offered as that."""
        still = "it has not moved: it watches a constant"
        if not one.beat:
            return Dropped(one, Why.CONSTANT, still)
        beat = one.as_beat()
        if beat.name in self.names:
            return Dropped(one, Why.CONSTANT, f"{still}; {beat.name} is tried in its place")
        found = await self._offer(beat)
        if isinstance(found, Tried) or found.why in (Why.DUPLICATE, Why.TOO_MANY):
            return found
        # Nothing above zero is there: it is a constant zero, and no sign of life.
        return Dropped(one, Why.CONSTANT, still)

    def _past(self, target: Target) -> timedelta:
        """Less than the whole where each line has to be read."""
        if target.log_signal is not LogSignal.TEMPLATES:
            return self.past
        return min(self.past, TEMPLATE_STEPS * target.step - target.lookback)

    async def _glance(self, one: Suggestion, target: Target, past: timedelta) -> tuple[Frame, float]:
        """The series from afar, and the step that they are looked at with. Templates with their lookback, in order and
        step by step: what comes first is what is not new later.
        """
        if target.log_signal is LogSignal.TEMPLATES:
            step_s, back = target.step.total_seconds(), past + target.lookback
            return await self.gate.query(target.asked, self._window(back, step_s)), step_s
        # How regularly a heartbeat comes is told by moments that lie apart.
        return await self._look_back(target.asked, past, closer=not one.is_beat)

    async def _look_back(self, query: str, past: timedelta, *, closer: bool = True) -> tuple[Frame, float]:
        """The series from afar, and the step. What is younger than a third of the time is looked at `closer` then, so
        that five minutes have as many samples as a day.
        """
        back, found = past, None
        while True:
            step_s = max(CLOSEST_S, back.total_seconds() // GLANCE)
            frame = await self.gate.query(query, self._window(back, step_s))
            if found is not None and frame.samples == 0 < found[0].samples:
                return found
            found = frame, step_s
            # It may have begun up to a step before the first instant that shows it, or after the last of all.
            since = _since(frame, step_s) + timedelta(seconds=step_s)
            if not closer or step_s <= CLOSEST_S or since > back / 3:
                return found
            back = since

    async def _played(self, one: Suggestion, target: Target, series: int, covered: timedelta) -> Tried:
        """What the target would have told over the past, which is as long as the history it learns from."""
        step_s = target.step.total_seconds()
        asked, window = [Asked(target, self.gate)], self._window(self._past(target), step_s)
        result = await backtest(asked, window, self.aside, NOTHING_ELSE, lambda _: None)
        return Tried(
            one,
            target,
            series,
            round(series * (target.check_interval / target.step)),
            round(series * DAY_S / step_s),
            covered,
            result.alerts_total,
            result.messages_total,
        )

    def _window(self, past: timedelta, step_s: float) -> Window:
        return Window.aligned((self.at - past).timestamp(), self.at.timestamp(), step_s)


def _there(frame: Frame) -> NDArray[np.bool_]:
    """At which instants there is anything."""
    return np.asarray((~np.isnan(frame.values)).any(axis=0), dtype=np.bool_)


def _since(frame: Frame, step_s: float) -> timedelta:
    """The time since the first sample, 0 without one; between heartbeats there are gaps by right."""
    there = np.flatnonzero(_there(frame))
    return timedelta(seconds=(len(frame.timestamps) - int(there[0])) * step_s if len(there) else 0.0)


def _moves(frame: Frame) -> bool:
    there = frame.values[~np.isnan(frame.values).all(axis=1)]
    low, high = np.nanmin(there, axis=1), np.nanmax(there, axis=1)
    return bool((high - low > _STILL * np.maximum(np.abs(low), np.abs(high))).any())


def _fingerprint(frame: Frame, *, there: bool) -> bytes:
    """The same for the same values, whatever the labels; where only being `there` counts, of the same series."""
    names = [one.fingerprint.encode() if there else b"" for one in frame.labels]
    rows = np.round(frame.values, 12)
    return b"".join(sorted(name + row.tobytes() for name, row in zip(names, rows, strict=True)))


def _too_little(known: timedelta, past: timedelta) -> str:
    needed = timespan(LEAST_FOR_A_WEEK)
    if past < LEAST_FOR_A_WEEK:
        return f"too little to judge yet: {timespan(past)} were tried, {needed} are needed"
    return f"too little to judge yet: there are {timespan(known)} of data, {needed} are needed"


def _few_beats(columns: int, past: timedelta) -> str:
    seen = f"it moved at {many(columns, 'moment')}" if columns else "it did not move"
    return f"too little to judge yet: {seen} in {timespan(past)}, {FEWEST_BEATS} moments are needed"


def _target(one: Suggestion, gate: Gate, past: timedelta) -> Target:
    return Target(
        name=one.name,
        query=one.query,
        datasource_uid=gate.source.uid,
        query_type=gate.source.query_type,
        direction=one.direction,
        unit=one.unit,
        log_signal=one.log_signal,
        denominator=one.denominator,
        min_denominator=one.min_denominator,
        detection_methods=one.methods,
        description=one.why,
        history=past,
    ).validated()
