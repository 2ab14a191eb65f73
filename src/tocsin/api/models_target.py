"""Targets in JSON: what people send, and what they get."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from tocsin.api.models_common import (
    AnswerModel,
    Duration,
    ListAnswer,
    Methods,
    Number,
    RequestModel,
    Seconds,
    Text,
    Word,
    printable,
)
from tocsin.detect import Direction, Severity
from tocsin.domain.events import AfterDeploy
from tocsin.domain.log_signal import LogSignal
from tocsin.domain.matters import MIN_EFFECT_RATIO
from tocsin.domain.target import HISTORY, MAX_INTERVAL, MIN_INTERVAL, Owner, QueryType, TargetState

Interval = Annotated[
    float,
    Field(strict=True, ge=MIN_INTERVAL.total_seconds(), le=MAX_INTERVAL.total_seconds(), allow_inf_nan=False),
]
Query = Annotated[str, Field(strict=True, min_length=1, max_length=100_000), AfterValidator(printable)]
Name = Annotated[str, Field(strict=True, min_length=1, max_length=128)]
LabelMap = Annotated[dict[Word, Text], Field(max_length=64)]


class TargetOptions(RequestModel):
    """What every target has and nobody needs to say. All durations are seconds."""

    query_type: Annotated[QueryType | None, Field(description="That of the datasource when absent.")] = None
    check_interval: Interval = 60.0
    detection_methods: Methods = Field(default=["auto"])
    severity_threshold: Severity = Severity.MEDIUM
    enabled: Annotated[bool, Field(strict=True)] = True
    step: Annotated[Seconds | None, Field(description="Grid of the query; min(60, check_interval) when absent.")] = None
    lookback: Annotated[
        Seconds | None,
        Field(description="History learnt from; max(3600, 60 steps, check_interval) when absent."),
    ] = None
    offset: Annotated[Seconds, Field(description="How long late samples are waited for.")] = 0.0
    history: Annotated[Seconds, Field(description="How far back `auto` reads at first.")] = HISTORY.total_seconds()
    timezone: Annotated[Word, Field(description="Whose days and weeks `auto` learns.")] = "UTC"
    sigma_threshold: Annotated[
        Number | None, Field(description="From how many sigma an alert begins, in place of the dial.")
    ] = None
    false_alerts_per_week: Annotated[Number, Field(description="The dial: false alerts tolerated of a series.")] = 0.35
    false_alerts_per_week_total: Annotated[Number, Field(description="The same of the whole target.")] = 3.5
    shadow: Annotated[bool, Field(strict=True, description="Recorded, not told.")] = False
    unit: Annotated[Text, Field(description="What the values are, where the name does not tell; none: nothing.")] = ""
    denominator: Annotated[Text, Field(description="Query of what a ratio is taken of, such as requests.")] = ""
    min_denominator: Annotated[Number, Field(description="Below it a ratio says nothing.")] = 0.0
    log_signal: Annotated[
        LogSignal | None,
        Field(description="What is watched of a log query: volume (by level), error_ratio or templates."),
    ] = None
    capacity_limit: Annotated[Number | None, Field(description="Where `capacity` sees the end of room.")] = None
    capacity_horizon: Annotated[Seconds, Field(description="How far `capacity` looks ahead.")] = 345600.0
    after_deploy: Annotated[AfterDeploy, Field(description="What a deployment does to alerts that would begin.")] = (
        AfterDeploy.NOTHING
    )
    deploy_for: Annotated[Seconds, Field(description="How long after a deployment.")] = 900.0
    deploy_factor: Annotated[Number, Field(description="How much more sigma (`widen`) or less (`tighten`).")] = 1.5
    pending_for: Seconds = 0.0
    keep_firing_for: Seconds = 300.0
    direction: Direction = Direction.BOTH
    min_effect: Number = 0.0
    min_effect_ratio: Number = MIN_EFFECT_RATIO
    alert_above: Number | None = None
    alert_below: Number | None = None
    lower_bound: Number | None = None
    upper_bound: Number | None = None
    labels: LabelMap = Field(default={})
    description: Text = ""


class TargetRequest(TargetOptions):
    """A whole target."""

    name: Name
    query: Query
    datasource_uid: Word


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema.get("properties", {}).values():
        field.pop("default", None)


class TargetPatch(TargetOptions):
    """A merge patch (RFC 7396): fields that are absent stay as they are; null gives back the default of `step` and
    `lookback` and takes a bound away. The name cannot change.
    """

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    name: Name = ""
    query: Query = ""
    datasource_uid: Word = ""


class CostAnswer(AnswerModel):
    """What its evaluations cost its datasource so far; an answer that another target has asked for is counted there.
    `bytes` are those of answers before decoding, 0 for host.
    """

    queries: int
    samples: int
    bytes: int


class DialAnswer(AnswerModel):
    """From how many sigma the series of a target are told, as of the end of yesterday. `raised` counts those above what
    the target itself asks for, `capped` those that would be higher still if `auto` could say more;
    `expected_per_week` are the false alerts to be expected, learnt from so many `weeks`; `over`: with the highest
    thresholds too more than is tolerated, by a week of history at least.
    """

    sigma_least: float
    sigma_median: float
    sigma_most: float
    raised: int
    capped: int
    expected_per_week: float
    weeks: float
    over: bool


class TargetStateAnswer(AnswerModel):
    """How a target is doing, and why. `lag_s`: how far its newest judged instant lies back beyond what its offset,
    interval and step explain; null while it is not watched. `eta`: when a target that warms up is expected to be ready,
    or `auto` to take over from the named methods; null where nothing is waited for.
    """

    state: TargetState
    reason: str
    since: datetime
    eta: datetime | None
    last_evaluated_at: datetime | None
    next_evaluation_at: datetime | None
    last_duration_s: float | None
    lag_s: float | None
    series: int
    series_ready: int
    evaluations: int
    failures: int
    overruns: int
    cost: CostAnswer
    dial: DialAnswer | None
    warnings: list[str]


class InferredAnswer(AnswerModel):
    """What the values are, as far as the target's `unit` (`from` is unit) or the names in its query (query) tell.

    An explicit bound takes the place of an inferred one; one that a sample lay beyond is null again.
    """

    unit: str
    lower_bound: float | None
    upper_bound: float | None
    origin: Annotated[str | None, Field(serialization_alias="from")]


class TargetAnswer(AnswerModel):
    """A target and how it is doing. All durations are seconds; `owner` is file (read-only here) or api."""

    name: str
    query: str
    datasource_uid: str
    query_type: QueryType
    check_interval: Duration
    detection_methods: list[str]
    severity_threshold: Severity
    enabled: bool
    step: Duration
    lookback: Duration
    offset: Duration
    history: Duration
    timezone: str
    sigma_threshold: float | None
    false_alerts_per_week: float
    false_alerts_per_week_total: float
    shadow: bool
    unit: str
    denominator: str
    min_denominator: float
    log_signal: LogSignal | None
    capacity_limit: float | None
    capacity_horizon: Duration
    after_deploy: AfterDeploy
    deploy_for: Duration
    deploy_factor: float
    pending_for: Duration
    keep_firing_for: Duration
    direction: Direction
    min_effect: float
    min_effect_ratio: float
    alert_above: float | None
    alert_below: float | None
    lower_bound: float | None
    upper_bound: float | None
    labels: dict[str, str]
    description: str
    owner: Owner
    version: int
    created_at: datetime | None
    updated_at: datetime | None
    inferred: InferredAnswer
    asked: Annotated[
        list[str],
        Field(description="What it asks of its values beside size and sigma, the defaults of its kind included."),
    ]
    state: TargetStateAnswer


class TargetList(ListAnswer[TargetAnswer]):
    """Targets by name."""
