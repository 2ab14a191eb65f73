"""Alerts, transitions, anomalies and evidence in JSON."""

from collections.abc import Sequence
from datetime import datetime

from tocsin.api.models_common import (
    AnswerModel,
    ListAnswer,
    RequestModel,
    Text,
    WindowAnswer,
    Word,
    finite,
    finite_or_zero,
    window_answer,
)
from tocsin.detect import VOICES, Severity
from tocsin.domain.alert import Alert, AlertKind, AlertState, Reason, Transition
from tocsin.domain.anomaly import Anomaly, Evidence
from tocsin.domain.facts import Facts
from tocsin.domain.feedback import Mark, Recurring, Remarks, Verdict, clock_time
from tocsin.domain.ports import AlertRecord, AlertStory


def confidence_kind(methods: Sequence[str]) -> str:
    """`calibrated` where `auto` judged: the share of such alerts that are real. `monitoring`: one minus the tail."""
    return "calibrated" if methods and methods[0] in VOICES else "monitoring"


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


class RecurringAnswer(AnswerModel):
    """That alerts of this series begin at the same time of day: `around` in `timezone`, `times` on `days` days,
    `chance` how probable that is without a reason.
    """

    around: str
    timezone: str
    times: int
    days: int
    first: datetime
    last: datetime
    chance: float
    summary: str


class AlertFacts(AnswerModel):
    """An alert. `timestamp` is when it began to fire, or was first seen while it has not; `active_at` the first
    anomalous sample; `value`, `expected_value`, `sigma` and `confidence` are those of its worst sample. In
    `shadow` it is recorded and not told.
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
    confidence_kind: str
    methods: list[str]
    explanation: str
    shadow: bool


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


class FactsAnswer(AnswerModel):
    """Why a sample was called odd, as it was then. `deviation_ratio` is of the expected value; `season` what was taken
    off (none, day, week; "" where the method knows none); `samples` how many were learnt from; `threshold` the sigma
    and `floor` the deviation that it took; `last_at` when the last alert of the series before had its last anomaly;
    `told` what methods say beside their numbers. Of a sample that is missing there is no value.
    """

    value: float | None
    expected: float | None
    lower: float | None
    upper: float | None
    deviation: float | None
    deviation_ratio: float | None
    sigma: float | None
    methods: list[str]
    unit: str
    season: str
    samples: int | None
    threshold: float | None
    floor: float | None
    last_at: datetime | None
    told: list[str]
    sentence: str


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


class AnomalyAnswer(AnswerModel):
    """The strongest anomalous sample of a series in one evaluation; `samples` counts them."""

    id: str
    target_name: str
    labels: dict[str, str]
    timestamp: datetime
    value: float | None
    expected_value: float | None
    deviation: float | None
    lower: float | None
    upper: float | None
    sigma: float
    severity: Severity
    confidence: float
    confidence_kind: str
    method: str
    methods: list[str]
    explanation: str
    samples: int
    query: str
    window: WindowAnswer
    alert_id: str | None
    evidence_id: str | None
    facts: FactsAnswer | None


class AnomalyList(ListAnswer[AnomalyAnswer]):
    """Anomalies, newest first."""


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
        confidence_kind=confidence_kind(alert.methods),
        methods=list(alert.methods),
        explanation=alert.explanation,
        shadow=alert.shadow,
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


def recurring_answer(one: Recurring) -> RecurringAnswer:
    """That alerts come by the clock."""
    return RecurringAnswer(
        around=clock_time(one.around),
        timezone=one.timezone,
        times=one.times,
        days=one.days,
        first=one.first,
        last=one.last,
        chance=one.chance,
        summary=one.words,
    )


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


def facts_answer(facts: Facts | None) -> FactsAnswer | None:
    """What an anomaly rests on; None where an older version kept it."""
    if facts is None:
        return None
    return FactsAnswer(
        value=finite(facts.value),
        expected=finite(facts.expected),
        lower=finite(facts.lower),
        upper=finite(facts.upper),
        deviation=finite(facts.deviation),
        deviation_ratio=finite(facts.deviation_ratio),
        sigma=finite(facts.sigma),
        methods=list(facts.methods),
        unit=facts.unit,
        season=facts.season,
        samples=facts.samples,
        threshold=finite(facts.threshold),
        floor=finite(facts.floor),
        last_at=facts.last_at,
        told=list(facts.told),
        sentence=facts.sentence,
    )


def anomaly_answer(anomaly: Anomaly) -> AnomalyAnswer:
    """An anomaly of the history."""
    return AnomalyAnswer(
        id=anomaly.id,
        target_name=anomaly.target_name,
        labels=dict(anomaly.labels),
        timestamp=anomaly.timestamp,
        value=finite(anomaly.value),
        expected_value=finite(anomaly.expected_value),
        deviation=finite(anomaly.deviation),
        lower=finite(anomaly.lower),
        upper=finite(anomaly.upper),
        sigma=finite_or_zero(anomaly.sigma),
        severity=anomaly.severity,
        confidence=finite_or_zero(anomaly.confidence),
        confidence_kind=confidence_kind(anomaly.methods),
        method=anomaly.method,
        methods=list(anomaly.methods),
        explanation=anomaly.explanation,
        samples=anomaly.samples,
        query=anomaly.query,
        window=window_answer(anomaly.window),
        alert_id=anomaly.alert_id,
        evidence_id=anomaly.evidence_id,
        facts=facts_answer(anomaly.facts),
    )
