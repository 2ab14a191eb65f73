"""Anomalies in JSON, with what they rest on and what is said of them beside."""

from datetime import datetime

from tocsin.api.models_common import (
    AnswerModel,
    ListAnswer,
    WindowAnswer,
    finite,
    finite_or_zero,
    window_answer,
)
from tocsin.detect import Severity
from tocsin.domain.anomaly import Anomaly, ConfidenceKind
from tocsin.domain.facts import Facts
from tocsin.domain.feedback import Recurring, clock_time


class FactsAnswer(AnswerModel):
    """Why a sample was called odd, as it was then. `deviation_ratio` is of the expected value; `season` what was taken
    off (none, day, week; "" where the method knows none); `samples` how many were learnt from; `threshold` the sigma
    and `floor` the deviation that it took; `last_at` when the last alert of the series before had its last anomaly;
    `told` what methods say beside their numbers; `asked` what else the target asks of its values (side, range, events).
    Of a sample that is missing there is no value.
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
    asked: list[str]
    sentence: str


class RecurringAnswer(AnswerModel):
    """That this series stands out at the same time of day: `around` in `timezone`, `times` on `days` days, `chance` how
    probable that is without a reason. `alerts` of these times were alerts, the others were held back.
    """

    around: str
    timezone: str
    times: int
    days: int
    alerts: int
    first: datetime
    last: datetime
    chance: float
    summary: str


class AnomalyAnswer(AnswerModel):
    """The strongest anomalous sample of a series in one evaluation; `samples` counts them. `evidence_id` names its
    frozen evidence (`GET /monitoring/evidence/{evidence_id}`): that of its alert, or without one that of its episode.
    """

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
    confidence_kind: ConfidenceKind
    method: str
    methods: list[str]
    explanation: str
    samples: int
    query: str
    window: WindowAnswer
    alert_id: str | None
    evidence_id: str | None
    facts: FactsAnswer | None


class AnomalyItem(AnomalyAnswer):
    """An anomaly of the history; `recurring` says that its series stands out at that time of day again and again."""

    recurring: RecurringAnswer | None


class AnomalyList(ListAnswer[AnomalyItem]):
    """Anomalies, newest first."""


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
        asked=list(facts.asked),
        sentence=facts.sentence,
    )


def recurring_answer(one: Recurring) -> RecurringAnswer:
    """That a series stands out by the clock."""
    return RecurringAnswer(
        around=clock_time(one.around),
        timezone=one.timezone,
        times=one.times,
        days=one.days,
        alerts=len(one.alert_ids),
        first=one.first,
        last=one.last,
        chance=one.chance,
        summary=one.words,
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
        confidence_kind=ConfidenceKind.of(anomaly.methods),
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


def anomaly_item(anomaly: Anomaly, recurring: Recurring | None) -> AnomalyItem:
    """An anomaly of the history, and whether it comes by the clock."""
    by_clock = None if recurring is None else recurring_answer(recurring)
    return AnomalyItem(**vars(anomaly_answer(anomaly)), recurring=by_clock)
