"""The store that forgets when the process ends: the fake of the port, held to the same contract as the real ones."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from tocsin.detect import Severity
from tocsin.domain.alert import Acknowledgement, Alert, AlertState
from tocsin.domain.anomaly import Anomaly, Evidence
from tocsin.domain.errors import Conflict, NotFound, StoreError
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.labels import Labels
from tocsin.domain.ports import (
    AlertCounts,
    AlertFilter,
    AlertRecord,
    AlertStory,
    AnomalyFilter,
    Listing,
    Page,
    Retention,
    SequencedTransition,
    StoreHealth,
)
from tocsin.domain.target import Target
from tocsin.store.memory_feedback import MemoryFeedback

T = TypeVar("T")


class MemoryStore(MemoryFeedback):
    """All ports of the store in dictionaries.

    `failing`: when set, every call but `close` raises it and changes nothing, as a broken disk would; `probe` reports
    it. `saves` counts the calls of `save_evaluations` that were kept.
    """

    def __init__(self, *, failing: StoreError | None = None) -> None:
        super().__init__()
        self.failing = failing
        self.size_bytes: int | None = None
        self.saves = 0
        self.closed = False
        self._targets: dict[str, Target] = {}
        self._settings: dict[str, str] = {}
        self._acknowledgements: dict[str, Acknowledgement] = {}
        self._transitions: dict[tuple[str, datetime, str, str], SequencedTransition] = {}
        self._evidence: dict[str, Evidence] = {}
        self._sequence = 0

    # targets and settings

    async def targets(self) -> Sequence[Target]:
        """All saved targets, by name."""
        self._check()
        return [self._targets[name] for name in sorted(self._targets)]

    async def create_target(self, target: Target) -> Target:
        """Save a new one (version 1); raises `Conflict` when the name is taken."""
        self._check()
        if target.name in self._targets:
            raise Conflict(f"a target named {target.name!r} exists already")
        self._targets[target.name] = replace(target, version=1)
        return self._targets[target.name]

    async def update_target(self, target: Target, expected_version: int) -> Target:
        """Save with the next version; raises `Conflict` when the stored one differs, `NotFound` when it is gone."""
        self._check()
        stored = self._targets.get(target.name)
        if stored is None:
            raise NotFound(f"there is no target named {target.name!r}")
        if stored.version != expected_version:
            raise Conflict(
                f"target {target.name!r} was changed meanwhile: it is at version {stored.version}, "
                f"not {expected_version}"
            )
        self._targets[target.name] = replace(
            target, version=expected_version + 1, created_at=stored.created_at or target.created_at
        )
        return self._targets[target.name]

    async def delete_target(self, name: str) -> None:
        """Forget it; raises `NotFound`."""
        self._check()
        if self._targets.pop(name, None) is None:
            raise NotFound(f"there is no target named {name!r}")

    async def setting(self, key: str) -> str | None:
        """The value, or None when it was never set."""
        self._check()
        return self._settings.get(key)

    async def save_setting(self, key: str, value: str) -> None:
        """Keep it."""
        self._check()
        self._settings[key] = value

    # the write side of alerts

    async def active_alerts(self) -> Sequence[Alert]:
        """All pending and firing alerts."""
        self._check()
        return sorted((alert for alert in self._alerts.values() if alert.active), key=lambda alert: alert.id)

    async def save_evaluations(self, evaluations: Sequence[Evaluation]) -> None:
        """Keep all of them or none; saving the same again changes nothing."""
        self._check()
        known = set(self._alerts).union(alert.id for one in evaluations for alert in one.alerts)
        for evaluation in evaluations:
            for transition in evaluation.transitions:
                if transition.alert_id not in known:
                    raise StoreError(f"a transition names the unknown alert {transition.alert_id!r}", transient=False)
        for evaluation in evaluations:
            self._keep(evaluation)
        self.saves += 1

    def _keep(self, evaluation: Evaluation) -> None:
        for alert in evaluation.alerts:
            stored = self._alerts.get(alert.id)
            if stored is None or (stored.active and (not alert.active or alert.updated_at >= stored.updated_at)):
                self._alerts[alert.id] = alert
        for transition in evaluation.transitions:
            key = (transition.alert_id, transition.at, transition.after, transition.reason)
            if key not in self._transitions:
                self._sequence += 1
                alert = self._alerts[transition.alert_id]
                self._transitions[key] = SequencedTransition(self._sequence, transition, alert)
        for evidence in evaluation.evidence:
            self._evidence.setdefault(evidence.id, evidence)
        for anomaly in evaluation.anomalies:
            self._anomalies.setdefault(anomaly.id, anomaly)

    async def acknowledge(self, acknowledgements: Sequence[Acknowledgement]) -> None:
        """Keep them, each in the place of an earlier one; raises `NotFound` for an unknown alert and keeps none."""
        self._check()
        for acknowledgement in acknowledgements:
            if acknowledgement.alert_id not in self._alerts:
                raise NotFound(f"there is no alert {acknowledgement.alert_id!r}")
        self._acknowledgements.update((one.alert_id, one) for one in acknowledgements)

    async def unacknowledge(self, alert_ids: Sequence[str]) -> Sequence[str]:
        """Take them back; the ids that were acknowledged."""
        self._check()
        return [one for one in dict.fromkeys(alert_ids) if self._acknowledgements.pop(one, None) is not None]

    # the read side

    async def alerts(self, which: AlertFilter, page: Page) -> Listing[AlertRecord]:
        """Alerts, those that changed last first; without `states` those that ever fired."""
        self._check()
        found = [one for one in self._alerts.values() if self._matches(one, which)]
        found.sort(key=lambda alert: alert.id)
        found.sort(key=lambda alert: alert.updated_at, reverse=True)
        part = found[page.offset : page.offset + page.limit]
        items = [AlertRecord(one, self._acknowledgements.get(one.id), self._marks.get(one.id)) for one in part]
        return Listing(items, len(found))

    def _matches(self, alert: Alert, which: AlertFilter) -> bool:
        return (
            (alert.state in which.states if which.states else alert.starts_at is not None)
            and which.target_name in (None, alert.target_name)
            and (which.min_severity is None or alert.severity >= which.min_severity)
            and (which.since is None or alert.ends_at is None or alert.ends_at >= which.since)
            and which.shadow in (None, alert.shadow)
            and (which.include_acknowledged or alert.id not in self._acknowledgements)
            and _has(alert.labels, which.labels)
        )

    async def alert(self, alert_id: str) -> AlertStory:
        """One alert whole; raises `NotFound`."""
        self._check()
        if alert_id not in self._alerts:
            raise NotFound(f"there is no alert {alert_id!r}")
        alert = self._alerts[alert_id]
        transitions = [one.transition for one in self._log() if one.transition.alert_id == alert_id]
        names = dict.fromkeys([*(one.evidence_id for one in transitions), alert.evidence_id])
        evidence = [self._evidence[name] for name in names if name is not None and name in self._evidence]
        words, mark = self._acknowledgements.get(alert_id), self._marks.get(alert_id)
        return AlertStory(alert, words, transitions, evidence, mark)

    async def evidence(self, evidence_id: str) -> Evidence:
        """One piece of evidence; raises `NotFound`."""
        self._check()
        if evidence_id not in self._evidence:
            raise NotFound(f"there is no evidence {evidence_id!r}")
        return self._evidence[evidence_id]

    async def anomalies(self, which: AnomalyFilter, page: Page) -> Listing[Anomaly]:
        """Anomalies, newest first."""
        self._check()
        found = [one for one in self._anomalies.values() if _anomaly_matches(one, which)]
        found.sort(key=lambda anomaly: anomaly.id)
        found.sort(key=lambda anomaly: anomaly.timestamp, reverse=True)
        return Listing(found[page.offset : page.offset + page.limit], len(found))

    async def transitions_after(self, sequence: int, limit: int) -> Sequence[SequencedTransition]:
        """Transitions with a higher sequence number, ascending, each with its alert as it is now."""
        self._check()
        later = [one for one in self._log() if one.sequence > sequence]
        return [replace(one, alert=self._alerts[one.transition.alert_id]) for one in later[:limit]]

    async def last_sequence(self) -> int:
        """The highest sequence number ever given, 0 when there is none."""
        self._check()
        return self._sequence

    async def counts(self) -> AlertCounts:
        """How many alerts there are now; every state and severity is named."""
        self._check()
        told = [one for one in self._alerts.values() if not one.shadow]
        firing = [one for one in told if one.state is AlertState.FIRING]
        states = Counter(one.state for one in told)
        severities = Counter(one.severity for one in firing)
        return AlertCounts(
            by_state={state: states[state] for state in AlertState},
            by_severity={severity: severities[severity] for severity in Severity},
            unacknowledged=sum(one.id not in self._acknowledgements for one in firing),
            shadow=sum(one.shadow and one.state is AlertState.FIRING for one in self._alerts.values()),
        )

    # care

    async def prune(self, retention: Retention, now: datetime) -> int:
        """Delete what is beyond the limits; how many rows went. Active alerts never go."""
        self._check()
        before = self._rows()
        cutoff = now - timedelta(seconds=retention.max_age_s)
        anomalies = sorted(self._anomalies.values(), key=lambda one: (one.timestamp, one.id))
        for anomaly in _beyond(anomalies, lambda one: one.timestamp < cutoff, len(anomalies) - retention.max_anomalies):
            del self._anomalies[anomaly.id]
        pictured = [one for one in anomalies if one.id in self._anomalies and not one.alert_id and one.evidence_id]
        for anomaly in pictured[: max(0, len(pictured) - retention.max_pictures)]:
            self._anomalies[anomaly.id] = replace(anomaly, evidence_id=None)
        over = [(one.ends_at, one.id) for one in self._alerts.values() if one.ends_at is not None and not one.active]
        for _, alert_id in _beyond(sorted(over), lambda one: one[0] < cutoff, len(self._alerts) - retention.max_alerts):
            del self._alerts[alert_id]
            self._acknowledgements.pop(alert_id, None)
        self._transitions = {key: one for key, one in self._transitions.items() if key[0] in self._alerts}
        named = {one.evidence_id for one in self._alerts.values()}
        named |= {one.evidence_id for one in self._anomalies.values()}
        named |= {one.transition.evidence_id for one in self._transitions.values()}
        self._evidence = {name: one for name, one in self._evidence.items() if name in named}
        return before - self._rows() + self._prune_feedback(cutoff, now)

    async def probe(self) -> StoreHealth:
        """Fine, or what `failing` says."""
        detail = str(self.failing or "in memory: nothing is kept on disk")
        return StoreHealth(ok=self.failing is None, detail=detail, size_bytes=self.size_bytes)

    async def close(self) -> None:
        """Nothing to give back."""
        self.closed = True

    def _check(self) -> None:
        if self.failing is not None:
            raise self.failing

    def _log(self) -> list[SequencedTransition]:
        return sorted(self._transitions.values(), key=lambda one: one.sequence)

    def _rows(self) -> int:
        kept = (self._anomalies, self._alerts, self._acknowledgements, self._transitions, self._evidence)
        return sum(len(table) for table in kept)


def _has(labels: Labels, wanted: Labels) -> bool:
    return wanted.items() <= labels.items()


def _anomaly_matches(anomaly: Anomaly, which: AnomalyFilter) -> bool:
    return (
        which.target_name in (None, anomaly.target_name)
        and (which.min_severity is None or anomaly.severity >= which.min_severity)
        and (which.since is None or anomaly.timestamp >= which.since)
        and (which.until is None or anomaly.timestamp <= which.until)
        and which.alert_id in (None, anomaly.alert_id)
        and (which.method is None or which.method == anomaly.method or which.method in anomaly.methods)
        and _has(anomaly.labels, which.labels)
    )


def _beyond(oldest_first: Iterable[T], too_old: Callable[[T], bool], excess: int) -> list[T]:
    return [one for place, one in enumerate(oldest_first) if place < excess or too_old(one)]
