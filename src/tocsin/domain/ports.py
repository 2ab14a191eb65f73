"""Every door of the engine, in the order in which the data passes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from tocsin.detect import Severity
from tocsin.domain.alert import Acknowledgement, Alert, AlertState, Transition
from tocsin.domain.anomaly import MAX_PICTURED, Anomaly, Evidence
from tocsin.domain.datasource import Description, Skew
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.events import Event
from tocsin.domain.feedback import Acceptance, Firing, Mark, MarkedAlert, MarkedWindow
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.logs import LogPage
from tocsin.domain.operations import AlertRule, Annotation, IncidentsFound, OnCall
from tocsin.domain.proposal import Proposal
from tocsin.domain.target import QueryType, Target

T_co = TypeVar("T_co", covariant=True)


class MetricSource(Protocol):
    """A datasource that answers range queries with series; with `whole_seconds` only at steps of such."""

    uid: str
    query_type: QueryType
    whole_seconds: bool

    async def query_range(self, query: str, window: Window) -> Frame:
        """The series of `query` on the window's grid; raises `SourceError`."""
        ...

    async def context(self, query: str, labels: Labels, at: datetime) -> tuple[str, ...]:
        """What is known beside the numbers about a series at an instant, as lines of evidence; () when nothing is. By
        two cheap questions at most; raises `SourceError` when they are not answered within seconds.
        """
        ...

    def check_query(self, query: str) -> None:
        """Raise `Invalid("query", why)` when the text cannot be a query here; decides without asking a server."""
        ...

    @property
    def skew(self) -> Skew | None:
        """How far the server's clock is ahead by its last answers; None where that is not known or there is none."""
        ...

    async def describe(self) -> Description:
        """What the server says of itself, by a few cheap questions; raises `SourceError` when it does not answer."""
        ...

    async def close(self) -> None:
        """Give back connections and tasks; idempotent."""
        ...


class LogSource(Protocol):
    """A datasource that answers log queries with lines."""

    async def query_logs(self, query: str, start: datetime, end: datetime, limit: int) -> LogPage:
        """At most `limit` lines of `query` in [start, end), the newest where there are more; raises `SourceError`."""
        ...


class OperationsSource(Protocol):
    """What is known of the systems beside their telemetry. A question that is not answered raises `SourceError`."""

    async def annotations(self, start: datetime, end: datetime, tags: Sequence[str] = ()) -> tuple[Annotation, ...]:
        """What happened in [start, end], the oldest first; with `tags`, what carries one of them at least."""
        ...

    async def alert_rules(self) -> tuple[AlertRule, ...]:
        """The rules that the server evaluates itself, with their state now."""
        ...

    async def on_call(self) -> tuple[OnCall, ...]:
        """Who is on call now, by schedule."""
        ...

    async def incidents(self) -> IncidentsFound:
        """The incidents that are open."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: at most `limit` items after the first `offset`."""

    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Listing(Generic[T_co]):
    """A part of a list and how many there are in all."""

    items: Sequence[T_co]
    total: int


class TargetStore(Protocol):
    """Targets that people made over the API, and switches of those that a file made."""

    async def targets(self) -> Sequence[Target]:
        """All saved targets, by name."""
        ...

    async def create_target(self, target: Target) -> Target:
        """Save a new one (version 1); raises `Conflict` when the name is taken."""
        ...

    async def update_target(self, target: Target, expected_version: int) -> Target:
        """Save with `version + 1`; raises `Conflict` when the stored version differs, `NotFound` when it is gone."""
        ...

    async def delete_target(self, name: str) -> None:
        """Forget it; its alerts and anomalies stay in history. Raises `NotFound`."""
        ...


class SettingStore(Protocol):
    """Small facts that outlive the process (whether monitoring runs; whether defaults were made)."""

    async def setting(self, key: str) -> str | None:
        """The value, or None when it was never set."""
        ...

    async def save_setting(self, key: str, value: str) -> None:
        """Keep it."""
        ...


class AlertLog(Protocol):
    """The write side of alerts: what the monitor keeps, each call one transaction."""

    async def active_alerts(self) -> Sequence[Alert]:
        """All pending and firing alerts, of all targets and datasources."""
        ...

    async def save_evaluations(self, evaluations: Sequence[Evaluation]) -> None:
        """Keep all of them or none: evidence, alerts, transitions, anomalies. Saving the same again changes nothing.

        Never touches acknowledgements.
        """
        ...

    async def acknowledge(self, acknowledgements: Sequence[Acknowledgement]) -> None:
        """Keep them, each in the place of an earlier one of the same alert."""
        ...

    async def unacknowledge(self, alert_ids: Sequence[str]) -> Sequence[str]:
        """Take them back; the ids that were acknowledged."""
        ...


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts: every field narrows; None or empty does not."""

    states: tuple[AlertState, ...] = ()
    target_name: str | None = None
    min_severity: Severity | None = None
    since: datetime | None = None
    """Those active at or after this instant: not over yet, or over since then."""
    include_acknowledged: bool = True
    shadow: bool | None = None
    labels: Labels = field(default_factory=Labels)


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """An alert as a reader sees it."""

    alert: Alert
    acknowledgement: Acknowledgement | None = None
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class AlertStory:
    """An alert with all that is kept of it. `evidence` oldest first, as the transitions name it."""

    alert: Alert
    acknowledgement: Acknowledgement | None
    transitions: Sequence[Transition]
    evidence: Sequence[Evidence]
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class SequencedTransition:
    """A transition with its place in the log (ascending, never reused) and its alert as it is now."""

    sequence: int
    transition: Transition
    alert: Alert


@dataclass(frozen=True, slots=True)
class AnomalyFilter:
    """Which anomalies of the history: every field narrows; None or empty does not."""

    target_name: str | None = None
    min_severity: Severity | None = None
    since: datetime | None = None
    until: datetime | None = None
    alert_id: str | None = None
    method: str | None = None
    labels: Labels = field(default_factory=Labels)


class FeedbackStore(Protocol):
    """What people say afterwards; no evaluation writes any of it."""

    async def mark(self, mark: Mark) -> None:
        """Keep it, in the place of an earlier one of the same alert; raises `NotFound` for an unknown alert."""
        ...

    async def unmark(self, alert_id: str) -> bool:
        """Take it back; False when there was none."""
        ...

    async def marks(self, target_name: str | None, since: datetime) -> Sequence[MarkedAlert]:
        """The marked alerts of a target, or of all, that were active at or after an instant, the newest mark first; at
        most 10,000.
        """
        ...

    async def save_window(self, window: MarkedWindow) -> None:
        """Keep a marked window."""
        ...

    async def delete_window(self, window_id: str) -> None:
        """Forget it; raises `NotFound`."""
        ...

    async def windows(self) -> Sequence[MarkedWindow]:
        """All marked windows, by when they begin, the newest first."""
        ...

    async def save_acceptances(self, keep: Sequence[Acceptance]) -> None:
        """Keep some, each in the place of an earlier form of the same id; all or nothing."""
        ...

    async def acceptances(self) -> Sequence[Acceptance]:
        """All of them, also those that are over, the newest first."""
        ...

    async def save_proposals(self, keep: Sequence[Proposal], drop: Sequence[str] = ()) -> None:
        """Keep some, each in the place of an earlier form of the same id, and forget those whose id is in `drop`.

        All or nothing.
        """
        ...

    async def proposals(self) -> Sequence[Proposal]:
        """All of them, those that changed last first."""
        ...

    async def firings(self, since: datetime, limit: int) -> Sequence[Firing]:
        """The anomaly alerts that began to fire at or after an instant, the newest first."""
        ...

    async def held_back(self, since: datetime, limit: int) -> Sequence[Firing]:
        """When series stood out at or after an instant of which no alert fired, the most severe first, and of these the
        newest: those of one series in the same `OCCASION` of the clock as one, at its first and by its largest.
        """
        ...


class EventStore(Protocol):
    """What happened to what is watched."""

    async def save_event(self, event: Event) -> None:
        """Keep it, in the place of an earlier one of the same id."""
        ...

    async def delete_event(self, event_id: str) -> None:
        """Forget it; raises `NotFound`."""
        ...

    async def events(self) -> Sequence[Event]:
        """All of them, the newest first; at most `MAX_EVENTS`."""
        ...


class History(Protocol):
    """The read side: alerts and anomalies, committed ones only."""

    async def alerts(self, which: AlertFilter, page: Page) -> Listing[AlertRecord]:
        """Alerts, those that changed last first."""
        ...

    async def alert(self, alert_id: str) -> AlertStory:
        """One alert whole; raises `NotFound`."""
        ...

    async def evidence(self, evidence_id: str) -> Evidence:
        """One piece of evidence; raises `NotFound`."""
        ...

    async def anomalies(self, which: AnomalyFilter, page: Page) -> Listing[Anomaly]:
        """Anomalies, newest first."""
        ...

    async def transitions_after(self, sequence: int, limit: int) -> Sequence[SequencedTransition]:
        """Transitions with a higher sequence number, ascending; at most `limit`."""
        ...

    async def last_sequence(self) -> int:
        """The highest sequence number of any transition, 0 when there is none."""
        ...

    async def counts(self) -> "AlertCounts":
        """How many alerts there are now, for the status."""
        ...


@dataclass(frozen=True, slots=True)
class AlertCounts:
    """Counts of the active alerts and of those over; those in shadow are counted in `shadow` alone."""

    by_state: dict[AlertState, int]
    by_severity: dict[Severity, int]
    """Of the firing ones."""
    unacknowledged: int
    """Of the firing ones."""
    shadow: int = 0
    """Firing in the shadow of their targets: recorded, not told."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long and how many rows of history are kept; `max_pictures` anomalies without an alert keep evidence."""

    max_age_s: float = 90 * 86400.0
    max_anomalies: int = 200_000
    max_alerts: int = 50_000
    max_pictures: int = MAX_PICTURED


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """Whether the store keeps what it is given, and why not."""

    ok: bool
    detail: str
    size_bytes: int | None = None


class Housekeeping(Protocol):
    """Care of the store itself."""

    async def prune(self, retention: Retention, now: datetime) -> int:
        """Delete ended alerts (with transitions, evidence, acknowledgements, marks), anomalies and evidence beyond the
        limits, and what people said so long ago that nothing reaches back to it; how many rows went. Active alerts
        never go.
        """
        ...

    async def probe(self) -> StoreHealth:
        """Write and read back a row."""
        ...


class Store(TargetStore, SettingStore, AlertLog, FeedbackStore, EventStore, History, Housekeeping, Protocol):
    """All ports of the store; one object may offer them together."""

    async def close(self) -> None:
        """Give back connections and the lock; idempotent."""
        ...


class Clock(Protocol):
    """The loops' sense of time; tests own theirs."""

    def now(self) -> datetime:
        """The present, aware, UTC."""
        ...

    async def sleep_until(self, at: datetime) -> None:
        """Return at or after `at`."""
        ...
