"""Suggested targets tried on the datasource before anybody sees them: do they return data, do they move, are they new,
and what would they have told.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np

from tocsin.domain.errors import Invalid, NotAsked, SourceError, SourceFailure
from tocsin.domain.frame import Frame, Window
from tocsin.domain.log_signal import LogSignal
from tocsin.domain.suggest import Suggestion
from tocsin.domain.target import Target
from tocsin.monitor.aside import Aside
from tocsin.monitor.backtest import NOTHING_ELSE, Asked, backtest
from tocsin.monitor.gate import Gate

GLANCE = 300
"""Samples of each series that decide whether it moves, over the whole past that is tried."""

TEMPLATE_STEPS = 1440
"""Steps of templates that are looked at, with the lookback: each line of them is read."""

MAX_TRIED = 200
"""Suggestions that are tried, errors and durations first; how many are not is said."""

LEAST_FOR_A_WEEK = timedelta(hours=12)
"""With less of the past than this nothing is said of a week: one alert in a quarter of an hour is not 700 a week."""

WEEK = timedelta(days=7)
DAY_S = 86400.0


class Why(StrEnum):
    """Why a suggestion is not offered."""

    NO_DATA = "no_data"
    CONSTANT = "constant"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    TOO_SLOW = "too_slow"
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
    """What was tried: those that hold, why the others do not, how many were `not_tried`, and the queries it took."""

    offered: tuple[Tried, ...]
    dropped: tuple[Dropped, ...]
    not_tried: int = 0
    queries: int = 0


async def tried(
    suggestions: Sequence[Suggestion], gate: Gate, at: datetime, past: timedelta, progress: Callable[[float], None]
) -> Trials:
    """Try each over the `past` before `at`. A query that the datasource refuses, or that takes too long, drops its
    suggestion; raises `SourceError` when the datasource itself does not answer.
    """
    offered: list[Tried] = []
    dropped: list[Dropped] = []
    before, chosen = gate.queries, suggestions[:MAX_TRIED]
    trying = _Trying(gate, at, past, Aside(1))
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
    return Trials(tuple(offered), tuple(dropped), len(suggestions) - len(chosen), gate.queries - before)


@dataclass(slots=True)
class _Trying:
    """Where, when and over what `past` suggestions are tried; `seen` knows the values of what was offered, by name."""

    gate: Gate
    at: datetime
    past: timedelta
    aside: Aside
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
        target = _target(one, self.gate, self.past)
        past = self._past(target)
        frame, step_s = await self._glance(target, past)
        if not frame.samples:
            return Dropped(one, Why.NO_DATA, "it returns no data")
        if not _moves(frame):
            return Dropped(one, Why.CONSTANT, "it has not moved: it watches a constant")
        values = _fingerprint(frame)
        if values in self.seen:
            return Dropped(one, Why.DUPLICATE, f"it has the same values as {self.seen[values]}")
        columns = int((~np.isnan(frame.values)).any(axis=0).sum())
        result = await self._played(one, target, len(frame.labels), min(past, timedelta(seconds=columns * step_s)))
        self.seen[values] = one.name
        return result

    def _past(self, target: Target) -> timedelta:
        """Less than the whole where each line has to be read."""
        if target.log_signal is not LogSignal.TEMPLATES:
            return self.past
        return min(self.past, TEMPLATE_STEPS * target.step - target.lookback)

    async def _glance(self, target: Target, past: timedelta) -> tuple[Frame, float]:
        """The series from afar, and the step that they are looked at with. Templates with their lookback, in order and
        step by step: what comes first is what is not new later.
        """
        if target.log_signal is LogSignal.TEMPLATES:
            step_s, back = target.step.total_seconds(), past + target.lookback
        else:
            step_s, back = max(1.0, past.total_seconds() // GLANCE), past
        return await self.gate.query(target.asked, self._window(back, step_s)), step_s

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


def _moves(frame: Frame) -> bool:
    there = frame.values[~np.isnan(frame.values).all(axis=1)]
    return bool((np.nanmax(there, axis=1) > np.nanmin(there, axis=1)).any())


def _fingerprint(frame: Frame) -> bytes:
    """The same for the same values, whatever the labels."""
    return b"".join(sorted(row.tobytes() for row in np.round(frame.values, 12)))


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
        description=one.why,
        history=past,
    ).validated()
