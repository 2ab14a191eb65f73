"""Short words for long values."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tocsin.detect import Severity
from tocsin.domain.alert import Acknowledgement, Alert, AlertKind, AlertState, Reason, Transition, alert_id
from tocsin.domain.anomaly import Anomaly, Evidence
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.feedback import Mark, Verdict
from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels
from tocsin.domain.target import Target

T0 = datetime(2026, 3, 1, 12, 0, 0, 123_457, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def target(name: str = "cpu_usage", **changes: Any) -> Target:
    return replace(Target(name, "up", "prometheus", created_at=T0, updated_at=T0), **changes)


def alert(series: str = "a", *, at: datetime = T0, target_name: str = "cpu_usage", **changes: Any) -> Alert:
    labels = changes.pop("labels", None) or Labels({"instance": series, "job": "node"})
    made = Alert(
        id=alert_id(target_name, labels, at),
        kind=AlertKind.ANOMALY,
        target_name=target_name,
        labels=labels,
        state=AlertState.FIRING,
        severity=Severity.HIGH,
        active_at=at,
        last_anomalous_at=at,
        updated_at=at,
        value=97.5,
        expected_value=20.25,
        sigma=7.125,
        confidence=0.875,
        methods=("mad", "rate_change"),
        summary="🔥 cpu_usage: Detected mad anomaly - value 97.5 (expected 20.25)",
        explanation="far above",
        starts_at=at,
        last_seen_at=at,
    )
    return replace(made, **changes)


def over(of: Alert, at: datetime, state: AlertState = AlertState.RESOLVED) -> Alert:
    return replace(of, state=state, ends_at=at, updated_at=at)


def evidence(of: Alert, at: datetime) -> Evidence:
    stamps = tuple(at.timestamp() - 60.0 * step for step in (2, 1, 0))
    return Evidence(
        id=f"{of.id}@{at.timestamp():.3f}",
        query="rate(cpu[5m])",
        datasource_uid="prometheus",
        window=Window(at - 2 * MINUTE, at, MINUTE),
        methods=("mad",),
        timestamps=stamps,
        values=(1.0, None, 97.5),
        expected=(None, 1.0, 1.0),
        lower=(None, 0.5, 0.5),
        upper=(None, 1.5, 1.5),
        sigma=(None, None, 7.125),
        context=("burn 98 %",),
        notes=("partial",),
    )


def move(of: Alert, *, at: datetime | None = None, reason: Reason = Reason.ANOMALOUS, **changes: Any) -> Transition:
    at = at or of.updated_at
    made = Transition(
        alert_id=of.id, at=at, before=None, after=of.state, reason=reason, severity=of.severity,
        value=of.value, sigma=of.sigma, evidence_id=of.evidence_id,
    )  # fmt: skip
    return replace(made, **changes)


def anomaly(of: Alert, *, at: datetime | None = None, **changes: Any) -> Anomaly:
    at = at or of.updated_at
    made = Anomaly(
        id=alert_id(of.target_name, of.labels, at).replace("alert:", "anomaly:"),
        target_name=of.target_name, labels=of.labels, timestamp=at,
        value=97.5, expected_value=20.25, lower=10.0, upper=30.0, sigma=7.125, severity=of.severity, confidence=0.875,
        method="mad", methods=("mad", "rate_change"), explanation="far above", query="rate(cpu[5m])",
        window=Window(at - 60 * MINUTE, at, MINUTE), samples=2, alert_id=of.id, evidence_id=of.evidence_id,
    )  # fmt: skip
    return replace(made, **changes)


def begun(of: Alert) -> Evaluation:
    """The evaluation in which the alert began, with evidence, transition and anomaly."""
    piece = evidence(of, of.updated_at)
    of = replace(of, evidence_id=piece.id)
    return Evaluation(of.target_name, of.updated_at, (anomaly(of),), (of,), (move(of),), (piece,))


def ended(of: Alert, at: datetime, state: AlertState = AlertState.RESOLVED) -> Evaluation:
    """The evaluation in which it ended."""
    after = over(of, at, state)
    reason = Reason.RECOVERED if state is AlertState.RESOLVED else Reason.VANISHED
    return Evaluation(of.target_name, at, (), (after,), (move(after, reason=reason, before=of.state),))


def acknowledgement(of: Alert, who: str = "ann", note: str = "mine", at: datetime = T0) -> Acknowledgement:
    return Acknowledgement(of.id, who, note, at)


def mark(of: Alert, verdict: Verdict = Verdict.FALSE, at: datetime = T0, note: str = "nothing") -> Mark:
    return Mark(of.id, verdict, "ann", note, at)
