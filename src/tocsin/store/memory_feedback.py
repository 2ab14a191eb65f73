"""The part of the store that forgets which keeps what people say afterwards."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from math import isnan

from tocsin.domain.alert import Alert, AlertKind
from tocsin.domain.anomaly import Anomaly
from tocsin.domain.errors import NotFound
from tocsin.domain.events import MAX_EVENTS, Event
from tocsin.domain.feedback import OCCASION, REMEMBERED, Acceptance, Firing, Mark, MarkedAlert, MarkedWindow
from tocsin.domain.proposal import Proposal


class MemoryFeedback:
    """`FeedbackStore` in dictionaries, beside the alerts and anomalies of the store that it is a part of."""

    def __init__(self) -> None:
        self._alerts: dict[str, Alert] = {}
        self._anomalies: dict[str, Anomaly] = {}
        self._marks: dict[str, Mark] = {}
        self._windows: dict[str, MarkedWindow] = {}
        self._acceptances: dict[str, Acceptance] = {}
        self._proposals: dict[str, Proposal] = {}
        self._events: dict[str, Event] = {}

    def _check(self) -> None:
        """Raise what the whole store is told to fail with."""

    async def mark(self, mark: Mark) -> None:
        """Keep it, in the place of an earlier one of the same alert; raises `NotFound` for an unknown alert."""
        self._check()
        if mark.alert_id not in self._alerts:
            raise NotFound(f"there is no alert {mark.alert_id!r}")
        self._marks[mark.alert_id] = mark

    async def unmark(self, alert_id: str) -> bool:
        """Take it back; False when there was none."""
        self._check()
        return self._marks.pop(alert_id, None) is not None

    async def marks(self, target_name: str | None, since: datetime) -> Sequence[MarkedAlert]:
        """The marked alerts of a target, or of all, that were active at or after an instant, the newest mark first."""
        self._check()
        found = [MarkedAlert(self._alerts[one.alert_id], one) for one in self._marks.values()]
        found = [one for one in found if target_name in (None, one.alert.target_name)]
        found = [one for one in found if one.alert.ends_at is None or one.alert.ends_at >= since]
        found.sort(key=lambda one: one.alert.id)
        return sorted(found, key=lambda one: one.mark.at, reverse=True)

    async def save_window(self, window: MarkedWindow) -> None:
        """Keep a marked window."""
        self._check()
        self._windows[window.id] = window

    async def delete_window(self, window_id: str) -> None:
        """Forget it; raises `NotFound`."""
        self._check()
        if self._windows.pop(window_id, None) is None:
            raise NotFound(f"there is no marked window {window_id!r}")

    async def windows(self) -> Sequence[MarkedWindow]:
        """All marked windows, by when they begin, the newest first."""
        self._check()
        found = sorted(self._windows.values(), key=lambda one: one.id)
        return sorted(found, key=lambda one: one.start, reverse=True)

    async def save_acceptances(self, keep: Sequence[Acceptance]) -> None:
        """Keep some, each in the place of an earlier form of the same id; all or nothing."""
        self._check()
        self._acceptances.update((one.id, one) for one in keep)

    async def acceptances(self) -> Sequence[Acceptance]:
        """All of them, also those that are over, the newest first."""
        self._check()
        found = sorted(self._acceptances.values(), key=lambda one: one.id)
        return sorted(found, key=lambda one: one.at, reverse=True)

    async def save_proposals(self, keep: Sequence[Proposal], drop: Sequence[str] = ()) -> None:
        """Keep some, each in the place of an earlier form of the same id, and forget `drop`; all or nothing."""
        self._check()
        for proposal_id in drop:
            self._proposals.pop(proposal_id, None)
        self._proposals.update((one.id, one) for one in keep)

    async def proposals(self) -> Sequence[Proposal]:
        """All of them, those that changed last first."""
        self._check()
        found = sorted(self._proposals.values(), key=lambda one: one.id)
        return sorted(found, key=lambda one: one.updated_at, reverse=True)

    async def save_event(self, event: Event) -> None:
        """Keep it, in the place of an earlier one of the same id; the oldest beyond `MAX_EVENTS` go."""
        self._check()
        self._events[event.id] = event
        for one in (await self.events())[MAX_EVENTS:]:
            del self._events[one.id]

    async def delete_event(self, event_id: str) -> None:
        """Forget it; raises `NotFound`."""
        self._check()
        if self._events.pop(event_id, None) is None:
            raise NotFound(f"there is no event {event_id!r}")

    async def events(self) -> Sequence[Event]:
        """All of them, the newest first."""
        self._check()
        found = sorted(self._events.values(), key=lambda one: one.id)
        return sorted(found, key=lambda one: one.at, reverse=True)

    async def firings(self, since: datetime, limit: int) -> Sequence[Firing]:
        """The anomaly alerts that began to fire at or after an instant, the newest first."""
        self._check()
        found = [
            Firing(one.id, one.target_name, one.labels, one.starts_at, (one.value or 0.0) - (one.expected_value or 0.0))
            for one in self._alerts.values()
            if one.starts_at is not None and one.starts_at >= since and one.kind is AlertKind.ANOMALY
        ]
        found.sort(key=lambda one: one.alert_id or "")
        return sorted(found, key=lambda one: one.starts_at, reverse=True)[:limit]

    async def held_back(self, since: datetime, limit: int) -> Sequence[Firing]:
        """When series stood out at or after an instant of which no alert fired, by occasion, the most severe first."""
        self._check()
        found: dict[tuple[str, str, int], Firing] = {}
        for one in sorted(self._anomalies.values(), key=lambda one: one.timestamp):
            alert = None if one.alert_id is None else self._alerts.get(one.alert_id)
            if one.timestamp < since or (alert is not None and alert.starts_at is not None):
                continue
            key = (one.target_name, one.labels.fingerprint, int(one.timestamp.timestamp() // OCCASION.total_seconds()))
            deviation = 0.0 if isnan(one.deviation) else one.deviation
            known = found.get(key, Firing(None, one.target_name, one.labels, one.timestamp))
            most = max(known.deviation, deviation, key=abs)
            found[key] = replace(known, deviation=most, severe=max(known.severe, one.severity))
        ordered = sorted(found.values(), key=lambda one: (one.target_name, one.labels.fingerprint))
        return sorted(ordered, key=lambda one: (one.severe, one.starts_at), reverse=True)[:limit]

    def _prune_feedback(self, cutoff: datetime, now: datetime) -> int:
        """Forget what is too old; how many went, those of alerts that are gone among them."""
        kept = (self._marks, self._windows, self._acceptances, self._proposals, self._events)
        before = sum(len(table) for table in kept)
        self._marks = {name: one for name, one in self._marks.items() if name in self._alerts}
        reach = now - REMEMBERED
        self._windows = {name: one for name, one in self._windows.items() if one.end >= reach}
        self._acceptances = {
            name: one for name, one in self._acceptances.items() if not _over_before(one, min(cutoff, reach))
        }
        self._proposals = {name: one for name, one in self._proposals.items() if one.updated_at >= cutoff}
        self._events = {name: one for name, one in self._events.items() if one.at >= reach}
        kept = (self._marks, self._windows, self._acceptances, self._proposals, self._events)
        return before - sum(len(table) for table in kept)


def _over_before(one: Acceptance, at: datetime) -> bool:
    return any(each is not None and each < at for each in (one.ended_at, one.expires_at))
