"""Analyses in JSON: given data, dry runs, plots and patterns."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field, SkipValidation

from tocsin.api.models_alert import AlertFacts, TransitionAnswer
from tocsin.api.models_anomaly import AnomalyAnswer
from tocsin.api.models_common import (
    AnswerModel,
    Duration,
    ListAnswer,
    Methods,
    Number,
    RequestModel,
    WindowAnswer,
    Word,
    finite,
    finite_or_zero,
)
from tocsin.api.models_events import EventAnswer
from tocsin.detect import Pattern, Severity
from tocsin.domain.labels import Labels
from tocsin.domain.target import TargetState

MOST_POINTS = 100_000


class DataPoint(RequestModel):
    """One sample."""

    timestamp: Annotated[
        str,
        Field(
            strict=True,
            max_length=64,
            description="ISO 8601 with a zone, like 2025-12-18T19:00:00Z",
            json_schema_extra={"format": "date-time"},
        ),
    ]
    value: Number


class AnalyzeRequest(RequestModel):
    """Data to look at: timestamps ascending. Without `methods` all four are run."""

    metric_name: Word = "metric"
    # Each point is looked at beside the event loop, which a hundred thousand of them would hold up.
    data_points: Annotated[list[SkipValidation[DataPoint]], Field(min_length=1, max_length=MOST_POINTS)]
    methods: Methods | None = None


class DetectionAnswer(AnswerModel):
    """A sample that stands out. `method` is the strongest, `methods` all that agree."""

    index: int
    timestamp: datetime
    value: float
    expected_value: float | None
    deviation: float | None
    sigma: float
    severity: Severity
    confidence: float
    method: str
    methods: list[str]
    explanation: str


class PatternAnswer(AnswerModel):
    """A trend, a season (with its period) or a level shift."""

    kind: str
    direction: str | None
    start: datetime
    end: datetime
    size: float | None
    sigma: float | None
    severity: Severity
    confidence: float
    period_s: float | None
    explanation: str


class AnalyzeAnswer(AnswerModel):
    """What stands out of the data; `notes` say what could not be judged, and what came near."""

    metric_name: str
    anomalies: list[DetectionAnswer]
    anomalies_total: int
    severity: Severity | None
    patterns: list[PatternAnswer]
    notes: list[str]
    methods: list[str]
    confidence_kind: str = "retrospective"


class SeriesPatternAnswer(PatternAnswer):
    """A pattern and the series that has it."""

    labels: dict[str, str]


class PatternList(ListAnswer[SeriesPatternAnswer]):
    """The patterns of a target's series over `window`."""

    target: str
    window: WindowAnswer


class PlotSeriesAnswer(AnswerModel):
    """One series; `anomalies` are indexes into the columns, `severities` theirs in the same order. `sigma` is positive
    above what was expected; that of `auto` has the side of its voices, which of a sample that is no anomaly may be the
    other one.
    """

    labels: dict[str, str]
    values: list[float | None]
    expected: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    sigma: list[float | None]
    anomalies: list[int]
    severities: list[Severity]


class PlotAnswer(AnswerModel):
    """A target's series as columns over `timestamps` (unix seconds); `series_total` counts those left out too. `events`
    are what happened meanwhile, the newest first.
    """

    target: str
    step: Duration
    timestamps: list[float]
    series: list[PlotSeriesAnswer]
    series_total: int
    warnings: list[str]
    events: list[EventAnswer]


class CheckAnswer(AnswerModel):
    """What an evaluation now would find and change; nothing of it was kept."""

    target: str
    at: datetime
    state: TargetState
    reason: str
    series: int
    samples: int
    anomalies: list[AnomalyAnswer]
    transitions: list[TransitionAnswer]
    alerts: list[AlertFacts]
    duration_s: float
    warnings: list[str]


def pattern_answer(pattern: Pattern) -> PatternAnswer:
    """A pattern without its series."""
    return PatternAnswer(
        kind=pattern.kind,
        direction=pattern.direction,
        start=datetime.fromtimestamp(pattern.start, UTC),
        end=datetime.fromtimestamp(pattern.end, UTC),
        size=finite(pattern.size),
        sigma=finite(pattern.sigma),
        severity=pattern.severity,
        confidence=finite_or_zero(pattern.confidence),
        period_s=finite(pattern.period_s),
        explanation=pattern.explanation,
    )


def series_pattern_answer(labels: Labels, pattern: Pattern) -> SeriesPatternAnswer:
    """A pattern with its series."""
    return SeriesPatternAnswer(**vars(pattern_answer(pattern)), labels=dict(labels))
