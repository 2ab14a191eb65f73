"""Alerts, transitions and evidence in JSON."""

from datetime import datetime

from tocsin.api.models_anomaly import (
    FactsAnswer,
    RecurringAnswer,
    facts_answer,
    recurring_answer,
)
from tocsin.api.models_common import (
    AnswerModel,
    ListAnswer,
    RequestModel,
    Text,
    WindowAnswer,
    Word,
    finite,
    window_answer,
)
from tocsin.detect import Severity
from tocsin.domain.alert import Alert, AlertKind, AlertState, Reason, Transition
from tocsin.domain.anomaly import ConfidenceKind, Evidence
from tocsin.domain.feedback import Mark, Remarks, Verdict
from tocsin.domain.ports import AlertRecord, AlertStory


class AcknowledgementAnswer(AnswerModel):
    """Who took note, when, and what they wrote."""

    who: str
    note: str
    at: datetime


class VerdictAnswer(AnswerModel):
    """What a person says the alert was, who, when, and what they wrote."""

    verdict: Verdict
    who: str
    note: str
    at: datetime


class AlertFacts(AnswerModel):
    """An alert. `timestamp` is when it began to fire, or was first seen while it has not; `active_at` the first
    anomalous sample; `value`, `expected_value`, `sigma` and `confidence` are those of its worst sample.
    `confidence_kind`: `calibrated`, of alerts with that confidence so many are real (`auto` and the named methods);
    `tail`, one minus the tail probability (further methods). In `shadow` it is recorded and not told. `unit` is what
    the values are, "" where that is not known.
    """

    id: str
    timestamp: datetime
    target_name: str
    severity: Severity
    summary: str
    anomaly_count: int
    kind: AlertKind
    state: AlertState
    labels: dict[str, str]
    active_at: datetime
    starts_at: datetime | None
    ends_at: datetime | None
    last_anomalous_at: datetime
    updated_at: datetime
    value: float | None
    expected_value: float | None
    sigma: float | None
    confidence: float | None
    confidence_kind: ConfidenceKind | None
    methods: list[str]
    explanation: str
    shadow: bool
    unit: str


class AlertAnswer(AlertFacts):
    """An alert in a list. `verdict` is what a person says it was, `in_window` the id of a marked window that it was
    active in; `recurring` says that it comes by the clock. `expected`: it came as a person accepted that it would
    (`expected_by`, the id of the acceptance).
    """

    acknowledged: bool
    acknowledgement: AcknowledgementAnswer | None
    verdict: VerdictAnswer | None
    in_window: str | None
    recurring: RecurringAnswer | None
    expected: bool
    expected_by: str | None


class AlertList(ListAnswer[AlertAnswer]):
    """Alerts, those that changed last first."""


class TransitionAnswer(AnswerModel):
    """A change of state or severity, and why. `at` is the time of the sample that caused it."""

    alert_id: str
    at: datetime
    before: AlertState | None
    after: AlertState
    reason: Reason
    severity: Severity
    value: float | None
    sigma: float | None
    detail: str
    evidence_id: str | None


class EvidenceAnswer(AnswerModel):
    """The picture of a series at one moment; arrays on one grid, null for a gap."""

    id: str
    query: str
    datasource_uid: str
    window: WindowAnswer
    methods: list[str]
    timestamps: list[float]
    values: list[float | None]
    expected: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    sigma: list[float | None]
    context: list[str]
    notes: list[str]
    facts: FactsAnswer | None


class AlertDetail(AlertAnswer):
    """An alert with all that is kept of it."""

    transitions: list[TransitionAnswer]
    evidence: list[EvidenceAnswer]


class StreamEvent(AnswerModel):
    """What one event of the stream carries: a transition, and its alert as it is now."""

    alert: AlertFacts
    transition: TransitionAnswer


class AcknowledgeRequest(RequestModel):
    """Who takes note, and why."""

    who: Word = "api"
    note: Text = ""


class AcknowledgeAnswer(AnswerModel):
    """Which alerts were acknowledged."""

    acknowledged: list[str]
    who: str
    note: str
    at: datetime


class UnacknowledgeAnswer(AnswerModel):
    """Of which alerts the acknowledgement was taken back."""

    unacknowledged: list[str]


def alert_facts(alert: Alert) -> AlertFacts:
    """An alert without what people did with it."""
    return AlertFacts(
        id=alert.id,
        timestamp=alert.starts_at or alert.active_at,
        target_name=alert.target_name,
        severity=alert.severity,
        summary=alert.summary,
        anomaly_count=alert.anomaly_count,
        kind=alert.kind,
        state=alert.state,
        labels=dict(alert.labels),
        active_at=alert.active_at,
        starts_at=alert.starts_at,
        ends_at=alert.ends_at,
        last_anomalous_at=alert.last_anomalous_at,
        updated_at=alert.updated_at,
        value=finite(alert.value),
        expected_value=finite(alert.expected_value),
        sigma=finite(alert.sigma),
        confidence=finite(alert.confidence),
        confidence_kind=None if alert.confidence is None else ConfidenceKind.of(alert.methods),
        methods=list(alert.methods),
        explanation=alert.explanation,
        shadow=alert.shadow,
        unit=alert.unit,
    )


def alert_answer(record: AlertRecord, remarks: Remarks) -> AlertAnswer:
    """An alert in a list."""
    return _with_words(record, remarks)


def _with_words(record: AlertRecord, remarks: Remarks) -> AlertAnswer:
    words, given = None, record.acknowledgement
    if given is not None:
        words = AcknowledgementAnswer(who=given.who, note=given.note, at=given.at)
    return AlertAnswer(
        **vars(alert_facts(record.alert)),
        acknowledged=words is not None,
        acknowledgement=words,
        verdict=None if record.mark is None else verdict_answer(record.mark),
        in_window=None if remarks.in_window is None else remarks.in_window.id,
        recurring=None if remarks.recurring is None else recurring_answer(remarks.recurring),
        expected=remarks.expected_by is not None,
        expected_by=None if remarks.expected_by is None else remarks.expected_by.id,
    )


def verdict_answer(mark: Mark) -> VerdictAnswer:
    """A verdict on an alert."""
    return VerdictAnswer(verdict=mark.verdict, who=mark.who, note=mark.note, at=mark.at)


def alert_detail(story: AlertStory, remarks: Remarks) -> AlertDetail:
    """An alert whole."""
    return AlertDetail(
        **vars(_with_words(AlertRecord(story.alert, story.acknowledgement, story.mark), remarks)),
        transitions=[transition_answer(one) for one in story.transitions],
        evidence=[evidence_answer(one) for one in story.evidence],
    )


def transition_answer(transition: Transition) -> TransitionAnswer:
    """A change of state."""
    return TransitionAnswer(
        alert_id=transition.alert_id,
        at=transition.at,
        before=transition.before,
        after=transition.after,
        reason=transition.reason,
        severity=transition.severity,
        value=finite(transition.value),
        sigma=finite(transition.sigma),
        detail=transition.detail,
        evidence_id=transition.evidence_id,
    )


def evidence_answer(evidence: Evidence) -> EvidenceAnswer:
    """A frozen picture."""
    return EvidenceAnswer(
        id=evidence.id,
        query=evidence.query,
        datasource_uid=evidence.datasource_uid,
        window=window_answer(evidence.window),
        methods=list(evidence.methods),
        timestamps=list(evidence.timestamps),
        values=[finite(value) for value in evidence.values],
        expected=[finite(value) for value in evidence.expected],
        lower=[finite(value) for value in evidence.lower],
        upper=[finite(value) for value in evidence.upper],
        sigma=[finite(value) for value in evidence.sigma],
        context=list(evidence.context),
        notes=list(evidence.notes),
        facts=facts_answer(evidence.facts),
    )
