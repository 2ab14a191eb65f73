"""One gate for each datasource: how many queries at once, and whether it answers at all."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tocsin.domain.alert import Alert
from tocsin.domain.errors import NotAsked, SourceError, SourceFailure
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.ports import Clock, MetricSource
from tocsin.monitor.breaker import Breaker, Circuit
from tocsin.monitor.metrics import Metrics
from tocsin.monitor.status import DatasourceStatus, Health

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

FAILURES_BEFORE_ALERT = 2
FAILING_FOR_BEFORE_ALERT = timedelta(seconds=10)


@dataclass(slots=True, eq=False)
class Gate:
    """A datasource with its limit and its health. `alert` is the one active alert about it, if any."""

    source: MetricSource
    clock: Clock
    concurrency: int = 4
    alert: Alert | None = None
    metrics: Metrics | None = None
    queries: int = 0
    failures: int = 0
    in_flight: int = 0
    consecutive: int = 0
    failing_since: datetime | None = None
    breaker: Breaker = field(default_factory=Breaker)
    last_error: str | None = None
    last_failure: SourceFailure = SourceFailure.UNREACHABLE
    last_error_at: datetime | None = None
    last_success_at: datetime | None = None
    _places: asyncio.Semaphore = field(init=False)
    reporting: asyncio.Lock = field(default_factory=asyncio.Lock)
    learning: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a thread learns from the past: one at a time."""
    spare: asyncio.Semaphore = field(init=False)
    """Places that may be used for reading the past, at most half of all but at least one."""

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.concurrency)
        self.spare = asyncio.Semaphore(max(1, self.concurrency // 2))

    async def query(self, query: str, window: Window) -> Frame:
        """Ask the datasource when there is a place; raises `SourceError`, `NotAsked` while it is left alone."""
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
                self._failed(error)
                raise
            except BaseException:
                self.breaker = self.breaker.given_up(self.clock.now())
                raise
            finally:
                self.in_flight -= 1
                if self.metrics is not None:
                    self.metrics.asked(self.source.uid, frame, (self.clock.now() - began).total_seconds())
        self.consecutive, self.failing_since = 0, None
        self.last_success_at = self.clock.now()
        self.breaker = self.breaker.succeeded(self.last_success_at)
        return frame

    async def context(self, query: str, labels: Labels, at: datetime) -> tuple[str, ...]:
        """What the datasource knows beside the numbers, asked when there is a place; raises `SourceError`."""
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

    def _failed(self, error: SourceError) -> None:
        self.failures += 1
        now = self.clock.now()
        if error.failure in SPARED:
            self.breaker = self.breaker.failed(now, error.retry_after_s)
        else:
            self.breaker = self.breaker.succeeded(now)
        if error.failure in TARGETS_OWN:
            return
        self.consecutive += 1
        self.failing_since = self.failing_since or now
        self.last_error, self.last_failure, self.last_error_at = str(error), error.failure, now

    @property
    def broken(self) -> bool:
        """Whether it has failed long and often enough to be told."""
        return (
            self.consecutive >= FAILURES_BEFORE_ALERT
            and self.failing_since is not None
            and self.clock.now() - self.failing_since >= FAILING_FOR_BEFORE_ALERT
        )

    def status(self) -> DatasourceStatus:
        """How it is doing."""
        health = Health.FAILING if self.consecutive else Health.OK if self.last_success_at else Health.UNKNOWN
        return DatasourceStatus(
            uid=self.source.uid,
            query_type=self.source.query_type,
            health=health,
            last_error=self.last_error,
            last_error_at=self.last_error_at,
            last_success_at=self.last_success_at,
            queries=self.queries,
            failures=self.failures,
            in_flight=self.in_flight,
            concurrency=self.concurrency,
            circuit=self.breaker.state,
            circuit_since=self.breaker.since,
            retry_at=None if self.breaker.state is Circuit.CLOSED else self.breaker.retry_at,
            failing_in_a_row=self.consecutive,
        )
