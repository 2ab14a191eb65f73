"""One gate for each datasource: how many queries at once, and whether it answers at all."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tocsin.domain.alert import Alert
from tocsin.domain.datasource import Description
from tocsin.domain.errors import LimitExceeded, NotAsked, SourceError, SourceFailure, same_words
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.ports import Clock, MetricSource
from tocsin.domain.source_alert import ANSWERS
from tocsin.domain.turns import AsksInTurns
from tocsin.monitor.breaker import Breaker, Circuit
from tocsin.monitor.caches import Caches, SeriesKey, WordsKey
from tocsin.monitor.metrics import Metrics
from tocsin.monitor.telling import Telling
from tocsin.monitor.witnesses import Witnesses

TARGETS_OWN = frozenset({SourceFailure.BAD_QUERY, SourceFailure.LIMIT})
"""Failures that speak of a query, not of the datasource."""

SPARED = frozenset(
    {
        SourceFailure.UNREACHABLE,
        SourceFailure.TIMEOUT,
        SourceFailure.RATE_LIMITED,
        SourceFailure.SERVER_ERROR,
        SourceFailure.UNAUTHORIZED,
    }
)
"""Failures after which a datasource is left alone: it is down, has too much to do, or locks out who asks again and
again. A wrong answer is none: it is an answer, and often that of one query only.
"""

OF_ONE_QUERY = frozenset({SourceFailure.TIMEOUT, SourceFailure.SERVER_ERROR, SourceFailure.BAD_ANSWER})
"""Failures that a query may have alone, because it is too heavy or too odd, while all others are answered."""


REFUSALS_IN_A_ROW = 3
REFUSED_FOR = timedelta(seconds=30)
"""So many answers over a limit with no other in between, for so long: that is no single heavy query among others."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A question that came to a limit, ours or the server's. `answered`: the datasource was asked, and does answer.
    `count` of them came in a row.
    """

    error: str
    at: datetime
    answered: bool
    count: int = 1


@dataclass(slots=True, eq=False)
class Gate:
    """A datasource with its limit and its health, and what is told about it."""

    source: MetricSource
    clock: Clock
    concurrency: int = 4
    telling: Telling = field(default_factory=Telling)
    metrics: Metrics | None = None
    caches: Caches | None = None
    queries: int = 0
    failures: int = 0
    in_flight: int = 0
    consecutive: int = 0
    failing_since: datetime | None = None
    answers_since: datetime | None = None
    breaker: Breaker = field(default_factory=Breaker)
    witnesses: Witnesses = field(default_factory=Witnesses)
    last_error: str | None = None
    last_failure: SourceFailure = SourceFailure.UNREACHABLE
    last_error_at: datetime | None = None
    last_success_at: datetime | None = None
    refusal: Refusal | None = None
    """The last question that came to a limit."""
    last_duration_s: float | None = None
    described: Description | None = None
    """What it said of itself when a person last asked."""
    _places: asyncio.Semaphore = field(init=False)
    learning: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a thread learns from the past: one at a time."""
    spare: asyncio.Semaphore = field(init=False)
    """Places that may be used for reading the past, at most half of all but at least one."""

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.concurrency)
        self.spare = asyncio.Semaphore(max(1, self.concurrency // 2))

    async def query(self, query: str, window: Window) -> Frame:
        """The series of a query, asked for when there is a place; raises `SourceError`, `NotAsked` while it is left
        alone. Who asks the same as another a moment later gets the same answer, which then has cost nothing.
        """
        if self.caches is None:
            return await self._ask(query, window)
        key = SeriesKey(self.source.uid, query, window)
        frame, asked = await self.caches.series.get(key, lambda: self._ask(query, window))
        return frame if asked else replace(frame, queries=0, size_bytes=0)

    async def context(self, query: str, labels: Labels, at: datetime) -> tuple[str, ...]:
        """What the datasource knows beside the numbers, asked when there is a place; raises `SourceError`."""
        if self.caches is None:
            return await self._ask_beside(query, labels, at)
        key = WordsKey(self.source.uid, query, labels, at)
        lines, _ = await self.caches.words.get(key, lambda: self._ask_beside(query, labels, at))
        return lines

    async def _ask(self, query: str, window: Window) -> Frame:
        source = self.source
        self._admit()
        if isinstance(source, AsksInTurns) and source.in_turns(query):
            return await self._answered(query, lambda: source.query_in_turns(query, window, self._places))
        async with self._places:
            # Once more: it may have come to be left alone while this one waited.
            self._admit()
            return await self._answered(query, lambda: source.query_range(query, window))

    async def _answered(self, query: str, ask: Callable[[], Awaitable[Frame]]) -> Frame:
        self.breaker = self.breaker.asked(self.clock.now())
        self.queries += 1
        self.in_flight += 1
        began, frame = self.clock.now(), None
        try:
            frame = await ask()
        except SourceError as error:
            error.datasource = self.source.uid
            self._failed(error, query)
            raise
        finally:
            self.in_flight -= 1
            if frame is None:
                # Whoever asked is gone. After a failure this changes nothing.
                self.breaker = self.breaker.given_up(self.clock.now())
            self.last_duration_s = (self.clock.now() - began).total_seconds()
            if self.metrics is not None:
                self.metrics.asked(self.source.uid, frame, self.last_duration_s)
        self.consecutive, self.failing_since = 0, None
        self.last_success_at = self.clock.now()
        self.witnesses.heard(query, self.last_success_at)
        self.answers_since = self.answers_since or self.last_success_at
        self.breaker = self.breaker.succeeded(self.last_success_at)
        # Several targets may hold it: none may change it.
        frame.values.setflags(write=False)
        return frame

    async def _ask_beside(self, query: str, labels: Labels, at: datetime) -> tuple[str, ...]:
        async with self._places:
            if self.breaker.state is not Circuit.CLOSED:
                raise self._not_asked()
            return await self.source.context(query, labels, at)

    def _admit(self) -> None:
        if not self.breaker.admits(self.clock.now()):
            raise self._not_asked()

    def _not_asked(self) -> NotAsked:
        at = self.breaker.retry_at
        waits = at is not None and self.breaker.state is Circuit.OPEN
        again = f"before {at:%H:%M:%S} UTC" if waits else "before the one question that is on its way has ended"
        error = NotAsked(f"{self.last_error}; not asked again {again}", failure=self.last_failure)
        error.datasource = self.source.uid
        return error

    def _failed(self, error: SourceError, query: str) -> None:
        self.failures += 1
        now = self.clock.now()
        self.witnesses.missed(query, now)
        closed = self.breaker.state is Circuit.CLOSED
        if closed and error.failure in OF_ONE_QUERY and self.witnesses.fails_alone(query, now):
            # It must not take the others with it.
            return
        if error.failure is SourceFailure.LIMIT:
            answered = not isinstance(error, LimitExceeded) or error.asked
            before = self.refusal
            count = before.count + 1 if before is not None and not self._answered_since(before.at) else 1
            self.refusal = Refusal(str(error), now, answered=answered, count=count)
        if error.failure in TARGETS_OWN:
            # It may not even have been asked: that says nothing of it.
            return
        if error.failure in SPARED:
            self.breaker = self.breaker.failed(now, error.retry_after_s)
        else:
            self.breaker = self.breaker.succeeded(now)
        self.consecutive += 1
        self.failing_since = self.failing_since or now
        if self.broken:
            # One question that fails among many that are answered does not mean that it comes and goes.
            self.answers_since = None
        self.last_error, self.last_failure, self.last_error_at = str(error), error.failure, now

    def forgive(self) -> None:
        """Ask it as if it had not failed: it was not reached, because what brings it failed."""
        self.consecutive, self.failing_since = 0, None
        self.breaker = self.breaker.succeeded(self.clock.now())

    @property
    def broken(self) -> bool:
        """Whether it has failed long and often enough to be told."""
        return self.telling.failing_long(self.consecutive, self.failing_since, self.clock.now())

    @property
    def kind(self) -> str:
        """What it failed with last, without what differs each time."""
        return same_words(self.last_error or "")

    @property
    def reworded(self) -> bool:
        """Whether the alert about it goes on and says something else than how it is now."""
        if not self.consecutive and (self.answers_since is None or self.steady):
            return False
        return self.telling.outdated(self.kind if self.consecutive else ANSWERS, self.clock.now())

    @property
    def steady(self) -> bool:
        """Whether it answers, and has for long enough where it comes and goes."""
        return not self.consecutive and self.telling.answers_long(self.answers_since, self.clock.now())

    @property
    def refused(self) -> Refusal | None:
        """The last question that came to a limit, where none was answered since, and for no short while."""
        refusal, success = self.refusal, self.last_success_at
        if refusal is None or self._answered_since(refusal.at):
            return None
        often = refusal.count >= REFUSALS_IN_A_ROW
        return refusal if success is None or (often and refusal.at - success >= REFUSED_FOR) else None

    def _answered_since(self, at: datetime) -> bool:
        return self.last_success_at is not None and self.last_success_at >= at

    @property
    def has_news(self) -> bool:
        """Whether the alert about it begins or ends now, or is to say something else."""
        return self.broken if self.alert is None else self.steady or self.reworded

    @property
    def alert(self) -> Alert | None:
        """The one active alert about it, if any."""
        return self.telling.alert

    @property
    def retry_at(self) -> datetime | None:
        """From when on it is asked again; None while it is asked."""
        return None if self.breaker.state is Circuit.CLOSED else self.breaker.retry_at
