"""What people say afterwards, as the API hands it to the monitor."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from tocsin.domain.alert import Alert
from tocsin.domain.anomaly import Anomaly
from tocsin.domain.events import Event
from tocsin.domain.feedback import Acceptance, Mark, MarkedWindow, Recurring, Remarks, Verdict
from tocsin.domain.labels import Labels
from tocsin.domain.proposal import Proposal
from tocsin.monitor.feedback import Accepted, Marking
from tocsin.monitor.proposals import Deed


class FeedbackPort(Protocol):
    """Every method that keeps something may raise `StoreError`."""

    def windows(self, target_name: str | None = None) -> Sequence[MarkedWindow]:
        """Marked windows, the newest first; raises `NotFound` for a target that is none and that no window names."""
        ...

    async def mark_window(self, window: MarkedWindow) -> Marking:
        """Keep a window, whose id and `created_at` are given there; raises `Invalid`, `NotFound`, `Conflict`."""
        ...

    async def forget_window(self, window_id: str) -> Marking:
        """Learn from it again; raises `NotFound`."""
        ...

    def acceptances(self, target_name: str | None = None) -> Sequence[Acceptance]:
        """What was accepted, also what is over, the newest first; raises `NotFound` for a target that is none and of
        which nothing was accepted.
        """
        ...

    async def accept_level(self, name: str, labels: Labels, since: datetime | None, *, who: str, note: str) -> Accepted:
        """Levels are normal from now on; raises `NotFound`, `Invalid`, `Conflict`."""
        ...

    async def accept_recurring(
        self, name: str, labels: Labels, around: int, *, who: str, note: str, expires_after: timedelta | None = None
    ) -> Accepted:
        """Alerts of the series that carry `labels` which recur around a minute of the day are expected; raises
        `NotFound` that says what recurs, `Invalid`, `Conflict`.
        """
        ...

    async def end_acceptance(self, acceptance_id: str, who: str) -> Acceptance:
        """Take it back from now on; raises `NotFound`, `Conflict`."""
        ...

    async def recurring(self, name: str) -> Sequence[Recurring]:
        """What recurs of a target by the clock; raises `NotFound`."""
        ...

    async def recurring_among(self, anomalies: Sequence[Anomaly]) -> Mapping[str, Recurring]:
        """Those of some anomalies that come by the clock, by id."""
        ...

    async def remarks(self, alerts: Sequence[Alert]) -> Mapping[str, Remarks]:
        """What is to be said of alerts beside themselves, by id."""
        ...


class EventsPort(Protocol):
    """What happened to what is watched."""

    def between(
        self, since: datetime | None = None, until: datetime | None = None, target_name: str | None = None
    ) -> Sequence[Event]:
        """Events from `since` up to and including `until`, of a target, the newest first."""
        ...

    def listed(self, since: datetime | None, until: datetime | None, target_name: str | None) -> Sequence[Event]:
        """The same; raises `NotFound` for a target that is none and of which no event tells either."""
        ...

    async def add(self, event: Event, *, dated: bool = True) -> Event:
        """Keep an event, in the place of one of the same id, and at the instant of that where it is not `dated`; raises
        `Invalid`, `StoreError`.
        """
        ...

    async def remove(self, event_id: str) -> None:
        """Forget one; raises `NotFound`, `StoreError`."""
        ...


class ProposalsPort(Protocol):
    """Verdicts and the changes that follow from them; every method may raise `StoreError`."""

    async def mark(self, alert_id: str, verdict: Verdict, who: str, note: str) -> Mark:
        """Keep a verdict on an alert; raises `NotFound`."""
        ...

    async def unmark(self, alert_id: str) -> bool:
        """Take it back; False when there was none. Raises `NotFound` for an unknown alert."""
        ...

    async def proposals(self, target_name: str | None = None) -> Sequence[Proposal]:
        """All proposals, those that changed last first; raises `NotFound` for a target that is none and that no
        proposal names.
        """
        ...

    async def proposal(self, proposal_id: str) -> Proposal:
        """One of them; raises `NotFound`."""
        ...

    async def compared(self, proposal_id: str) -> Proposal:
        """The same with what a back-test says of it now; raises `NotFound`, `Conflict`, `SourceError`."""
        ...

    async def apply(self, proposal_id: str, deed: Deed) -> Proposal:
        """Make the change; raises `NotFound`, `Conflict`, `Invalid`."""
        ...

    async def revert(self, proposal_id: str, deed: Deed) -> Proposal:
        """Take it back; raises `NotFound`, `Conflict`."""
        ...

    async def dismiss(self, proposal_id: str, deed: Deed) -> Proposal:
        """Not to be made again; raises `NotFound`, `Conflict`."""
        ...
