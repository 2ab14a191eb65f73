"""What the API is handed by the application: ports, limits and words; it makes none of them itself."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from tocsin.api.datasources_port import DatasourcesPort
from tocsin.api.feedback_port import EventsPort, FeedbackPort, ProposalsPort
from tocsin.detect import Pattern
from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels
from tocsin.domain.ports import AlertLog, Clock, History
from tocsin.domain.target import Target
from tocsin.monitor.status import (
    BacktestResult,
    CheckResult,
    DatasourceStatus,
    MonitorStatus,
    Plot,
    Question,
    TargetView,
)

SeriesPatterns = tuple[Labels, tuple[Pattern, ...]]


class MonitorPort(Protocol):
    """The monitor as the API sees it; every method may raise `StoreError` when it has to write."""

    @property
    def running(self) -> bool:
        """Whether evaluations are being made."""
        ...

    @property
    def since(self) -> datetime | None:
        """Since when it runs or stands still; None before the first start."""
        ...

    @property
    def feedback(self) -> FeedbackPort:
        """What people say afterwards."""
        ...

    @property
    def events(self) -> EventsPort:
        """What happened to what is watched."""
        ...

    @property
    def proposals(self) -> ProposalsPort:
        """Verdicts, and the changes that follow from them."""
        ...

    @property
    def sources(self) -> DatasourcesPort:
        """Datasources: whether they answer, what they cost, what is kept of their answers."""
        ...

    async def start(self) -> bool:
        """Begin to evaluate, and remember it; True when it was not running."""
        ...

    async def stop(self) -> bool:
        """Cease to evaluate, and remember it; True when it was running."""
        ...

    async def status(self) -> MonitorStatus:
        """How all of it is doing."""
        ...

    def views(self) -> Sequence[TargetView]:
        """All targets, by name."""
        ...

    def view(self, name: str) -> TargetView:
        """One target; raises `NotFound`."""
        ...

    async def look_up(self, name: str) -> None:
        """Raises `NotFound` for a name that is no target, and of which no alert and no anomaly is kept."""
        ...

    async def create_target(self, target: Target) -> TargetView:
        """Save and watch a new target; raises `Conflict` when the name is taken, `Invalid` naming the field."""
        ...

    async def update_target(self, target: Target, expected_version: int | None) -> TargetView:
        """Save a changed target; raises `NotFound`, `Conflict` (version, owned by a file) or `Invalid`."""
        ...

    async def delete_target(self, name: str) -> None:
        """Forget a target; raises `NotFound` or `Conflict` (owned by a file)."""
        ...

    async def check(self, name: str) -> CheckResult:
        """What an evaluation now would find, keeping nothing; raises `NotFound`, `SourceError`."""
        ...

    async def plot(self, name: str, start: datetime | None, end: datetime | None, max_series: int) -> Plot:
        """Values, band and anomalies of a target's series; raises `NotFound`, `SourceError`, `Invalid`."""
        ...

    async def patterns(self, name: str) -> tuple[Window, Sequence[SeriesPatterns]]:
        """Trends, seasons and level shifts of a target's series; raises `NotFound`, `SourceError`."""
        ...

    async def backtest(
        self, target: Target, start: datetime, end: datetime, progress: Callable[[float], None], question: Question
    ) -> BacktestResult:
        """What a saved or unsaved target would have raised; raises `Invalid`, `SourceError`."""
        ...

    def datasources(self) -> Sequence[DatasourceStatus]:
        """All datasources, by uid."""
        ...

    async def acknowledge(self, alert_or_target: str, who: str, note: str) -> Sequence[str]:
        """Acknowledge one alert, or all active ones of a target; their ids; raises `NotFound`, `StoreError`."""
        ...

    async def unacknowledge(self, alert_or_target: str) -> Sequence[str]:
        """Take acknowledgements back; the ids that had one; raises `NotFound`, `StoreError`."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may ask of the API. Each limit that is reached is said in a problem document."""

    body_bytes: int = 16 * 1024 * 1024
    request_s: float = 60.0
    """Total time of a request; event streams and CSV downloads are exempt."""
    slow_request_s: float = 600.0
    """The same for a backtest, which reads and replays a long past."""
    requests_per_s: float = 200.0
    """Sustained, per client address."""
    burst: int = 2000
    clients: int = 4096
    """Addresses remembered by the rate limit; the one unseen longest is forgotten first."""
    streams: int = 100
    heartbeat_s: float = 15.0
    analyses: int = 2
    """Analyses computed at once; further ones wait their turn."""


@dataclass(frozen=True, slots=True)
class Security:
    """Who may reach the API. Loopback names are always allowed as `Host`."""

    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    """Names or addresses (without port) beside the loopback ones; `*` allows all and needs a token."""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if "*" in self.allowed_hosts and not self.token:
            raise ValueError("every Host is allowed only with a token: a rebound name would reach the API")


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the process can do its work; `reasons` says what is missing."""

    ready: bool
    reasons: tuple[str, ...] = ()


class Wake:
    """A bell without data: whoever waits looks at the store again.

    A waiter takes `rings` before it looks and waits for a later ring, so that none is missed in between.
    """

    def __init__(self) -> None:
        self._rings = 0
        self._event = asyncio.Event()

    @property
    def rings(self) -> int:
        """How often it has rung."""
        return self._rings

    def ring(self) -> None:
        """Wake all waiters; call it from the event loop, after a commit."""
        self._rings += 1
        rung, self._event = self._event, asyncio.Event()
        rung.set()

    async def wait(self, heard: int, timeout_s: float) -> None:
        """Return when it has rung more than `heard` times, at the latest after `timeout_s`."""
        if self._rings > heard:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._event.wait()


@dataclass(frozen=True, slots=True)
class Services:
    """All that the API stands on.

    `stopping` ends open streams when it is set; `wake` is rung after transitions were committed; `metrics` answers the
    Prometheus text form.
    """

    monitor: MonitorPort
    history: History
    log: AlertLog
    clock: Clock
    metrics: Callable[[], bytes]
    ready: Callable[[], Awaitable[Readiness]]
    stopping: asyncio.Event
    version: str
    security: Security = field(default_factory=Security)
    wake: Wake = field(default_factory=Wake)
