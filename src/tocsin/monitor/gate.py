"""One gate for each datasource: how many queries at once, and whether it answers at all."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tocsin.domain.alert import Alert
from tocsin.domain.datasource import Description
from tocsin.domain.errors import NotAsked, SourceError, SourceFailure
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.ports import Clock, MetricSource
from tocsin.monitor.breaker import Breaker, Circuit
from tocsin.monitor.caches import Caches, SeriesKey, WordsKey
from tocsin.monitor.metrics import Metrics
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

FAILURES_BEFORE_ALERT = 2
FAILING_FOR_BEFORE_ALERT = timedelta(seconds=10)
FLAPPING_WITHIN = timedelta(minutes=5)
"""An alert that begins so soon after the last one's end stays until the datasource has answered for as long."""


@dataclass(slots=True, eq=False)
class Telling:
    """The one active `alert` about a datasource, if any, `flapping` where it began soon after the last one's end.

    It goes on when a reload puts another source in the place; `lock` is held while it is begun or ended.
    """

    alert: Alert | None = None
    flapping: bool = False
    ended_at: datetime | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def take(self, alert: Alert, now: datetime) -> None:
        """Take over the alert that was begun or ended, once it is kept."""
        if alert.active:
            self.alert, self.flapping = alert, self.ended_at is not None and now - self.ended_at < FLAPPING_WITHIN
        else:
            self.alert, self.ended_at = None, now


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
        self._admit()
        async with self._places:
            # Once more: it may have come to be left alone while this one waited.
            self._admit()
            self.breaker = self.breaker.asked(self.clock.now())
            self.queries += 1
            self.in_flight += 1
            began, frame = self.clock.now(), None
            try:
                frame = await self.source.query_range(query, window)
            except SourceError as error:
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
        return NotAsked(f"{self.last_error}; not asked again {again}", failure=self.last_failure)

    def _failed(self, error: SourceError, query: str) -> None:
        self.failures += 1
        now = self.clock.now()
        self.witnesses.missed(query, now)
        closed = self.breaker.state is Circuit.CLOSED
        if closed and error.failure in OF_ONE_QUERY and self.witnesses.fails_alone(query, now):
            # It must not take the others with it.
            return
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

    @property
    def broken(self) -> bool:
        """Whether it has failed long and often enough to be told."""
        return (
            self.consecutive >= FAILURES_BEFORE_ALERT
            and self.failing_since is not None
            and self.clock.now() - self.failing_since >= FAILING_FOR_BEFORE_ALERT
        )

    @property
    def steady(self) -> bool:
        """Whether it answers, and has for long enough where it comes and goes."""
        if self.consecutive or self.answers_since is None:
            return False
        return not self.telling.flapping or self.clock.now() - self.answers_since >= FLAPPING_WITHIN

    @property
    def has_news(self) -> bool:
        """Whether the alert about it begins or ends now."""
        return self.broken if self.alert is None else self.steady

    @property
    def alert(self) -> Alert | None:
        """The one active alert about it, if any."""
        return self.telling.alert

    @property
    def retry_at(self) -> datetime | None:
        """From when on it is asked again; None while it is asked."""
        return None if self.breaker.state is Circuit.CLOSED else self.breaker.retry_at
