"""Targets in JSON: what people send, what they get, and the one place where absent fields find their defaults."""

from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from tocsin.api.models_common import (
    AnswerModel,
    Duration,
    ListAnswer,
    Number,
    RequestModel,
    Seconds,
    Text,
    Word,
    printable,
)
from tocsin.detect import Direction, Severity
from tocsin.domain.errors import Invalid
from tocsin.domain.events import AfterDeploy
from tocsin.domain.labels import Labels
from tocsin.domain.log_signal import LogSignal
from tocsin.domain.matters import MIN_EFFECT_RATIO
from tocsin.domain.target import HISTORY, MAX_INTERVAL, MIN_INTERVAL, Owner, QueryType, Target, TargetState
from tocsin.monitor.status import TargetView

LONGEST_STEP_S = 60.0
LEAST_LOOKBACK_S = 3600.0
SAMPLES_LEARNT_FROM = 60

Interval = Annotated[
    float,
    Field(strict=True, ge=MIN_INTERVAL.total_seconds(), le=MAX_INTERVAL.total_seconds(), allow_inf_nan=False),
]
Query = Annotated[str, Field(strict=True, min_length=1, max_length=100_000), AfterValidator(printable)]
Name = Annotated[str, Field(strict=True, min_length=1, max_length=128)]
LabelMap = Annotated[dict[Word, Text], Field(max_length=64)]


class TargetOptions(RequestModel):
    """What every target has and nobody needs to say. All durations are seconds."""

    query_type: QueryType = QueryType.PROMETHEUS
    check_interval: Interval = 60.0
    detection_methods: list[Word] = Field(default=["auto"], min_length=1, max_length=16)
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
    """What its evaluations cost its datasource so far. `bytes` are those of answers before decoding, 0 for host."""

    queries: int
    samples: int
    bytes: int


class DialAnswer(AnswerModel):
    """From how many sigma the series of a target are told, as of the end of yesterday. `raised` counts those above what
    the target itself asks for; `expected_per_week` are the false alerts to be expected, learnt from so many `weeks`;
    `over`: more than is tolerated, though thresholds are as high as they can be.
    """

    sigma_least: float
    sigma_median: float
    sigma_most: float
    raised: int
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
    state: TargetStateAnswer


class TargetList(ListAnswer[TargetAnswer]):
    """Targets by name."""


def default_step(check_interval: float) -> float:
    """The grid of a target that names none."""
    return min(LONGEST_STEP_S, check_interval)


def default_lookback(check_interval: float, step: float) -> float:
    """The history of a target that names none."""
    return max(LEAST_LOOKBACK_S, SAMPLES_LEARNT_FROM * step, check_interval)


def target_from(request: TargetRequest, now: datetime) -> Target:
    """The target that is asked for, validated; raises `Invalid` naming the field."""
    step = default_step(request.check_interval) if request.step is None else request.step
    lookback = default_lookback(request.check_interval, step) if request.lookback is None else request.lookback
    return Target(
        name=request.name,
        query=request.query,
        datasource_uid=request.datasource_uid,
        query_type=request.query_type,
        check_interval=timedelta(seconds=request.check_interval),
        detection_methods=tuple(request.detection_methods),
        severity_threshold=request.severity_threshold,
        enabled=request.enabled,
        step=timedelta(seconds=step),
        lookback=timedelta(seconds=lookback),
        offset=timedelta(seconds=request.offset),
        history=timedelta(seconds=request.history),
        timezone=request.timezone,
        sigma_threshold=request.sigma_threshold,
        false_alerts_per_week=request.false_alerts_per_week,
        false_alerts_per_week_total=request.false_alerts_per_week_total,
        shadow=request.shadow,
        unit=request.unit,
        denominator=request.denominator,
        min_denominator=request.min_denominator,
        log_signal=request.log_signal,
        capacity_limit=request.capacity_limit,
        capacity_horizon=timedelta(seconds=request.capacity_horizon),
        after_deploy=request.after_deploy,
        deploy_for=timedelta(seconds=request.deploy_for),
        deploy_factor=request.deploy_factor,
        pending_for=timedelta(seconds=request.pending_for),
        keep_firing_for=timedelta(seconds=request.keep_firing_for),
        direction=request.direction,
        min_effect=request.min_effect,
        min_effect_ratio=request.min_effect_ratio,
        alert_above=request.alert_above,
        alert_below=request.alert_below,
        lower_bound=request.lower_bound,
        upper_bound=request.upper_bound,
        labels=Labels(request.labels),
        description=request.description,
        owner=Owner.API,
        created_at=now,
        updated_at=now,
    ).validated()


def patched(target: Target, patch: TargetPatch, now: datetime) -> Target:
    """The target after the patch, validated; a `step` or `lookback` that was a default follows the new interval."""
    sent = {name: getattr(patch, name) for name in patch.model_fields_set}
    if sent.get("name", target.name) != target.name:
        raise Invalid("name", "cannot change: history stands under it; create a new target instead")
    changed = target_from(_request_of(target).model_copy(update=sent), now)
    return replace(changed, owner=target.owner, version=target.version, created_at=target.created_at)


def _request_of(target: Target) -> TargetRequest:
    interval, step = target.check_interval.total_seconds(), target.step.total_seconds()
    lookback = target.lookback.total_seconds()
    return TargetRequest.model_construct(
        **_fields(target),
        check_interval=interval,
        step=None if step == default_step(interval) else step,
        lookback=None if lookback == default_lookback(interval, step) else lookback,
    )


def _fields(target: Target) -> dict[str, Any]:
    """What people send and get alike."""
    return {
        "name": target.name,
        "query": target.query,
        "datasource_uid": target.datasource_uid,
        "query_type": target.query_type,
        "detection_methods": list(target.detection_methods),
        "severity_threshold": target.severity_threshold,
        "enabled": target.enabled,
        "offset": target.offset.total_seconds(),
        "history": target.history.total_seconds(),
        "timezone": target.timezone,
        "sigma_threshold": target.sigma_threshold,
        "false_alerts_per_week": target.false_alerts_per_week,
        "false_alerts_per_week_total": target.false_alerts_per_week_total,
        "shadow": target.shadow,
        "unit": target.unit,
        "denominator": target.denominator,
        "min_denominator": target.min_denominator,
        "log_signal": target.log_signal,
        "capacity_limit": target.capacity_limit,
        "capacity_horizon": target.capacity_horizon.total_seconds(),
        "after_deploy": target.after_deploy,
        "deploy_for": target.deploy_for.total_seconds(),
        "deploy_factor": target.deploy_factor,
        "pending_for": target.pending_for.total_seconds(),
        "keep_firing_for": target.keep_firing_for.total_seconds(),
        "direction": target.direction,
        "min_effect": target.min_effect,
        "min_effect_ratio": target.min_effect_ratio,
        "alert_above": target.alert_above,
        "alert_below": target.alert_below,
        "lower_bound": target.lower_bound,
        "upper_bound": target.upper_bound,
        "labels": dict(target.labels),
        "description": target.description,
    }


def target_answer(view: TargetView) -> TargetAnswer:
    """A target as people get it."""
    target = view.target
    return TargetAnswer(
        **_fields(target),
        check_interval=target.check_interval.total_seconds(),
        step=target.step.total_seconds(),
        lookback=target.lookback.total_seconds(),
        owner=target.owner,
        version=target.version,
        created_at=target.created_at,
        updated_at=target.updated_at,
        inferred=_inferred_answer(view),
        state=_state_answer(view),
    )


def _inferred_answer(view: TargetView) -> InferredAnswer:
    nature, (low, high) = view.target.nature, view.status.refuted
    return InferredAnswer(
        unit=nature.unit,
        lower_bound=None if low else nature.lower_bound,
        upper_bound=None if high else nature.upper_bound,
        origin=nature.origin,
    )


def _state_answer(view: TargetView) -> TargetStateAnswer:
    status = view.status
    return TargetStateAnswer(
        state=status.state,
        reason=status.reason,
        since=status.since,
        eta=status.eta,
        last_evaluated_at=status.last_evaluated_at,
        next_evaluation_at=status.next_evaluation_at,
        last_duration_s=status.last_duration_s,
        lag_s=status.lag_s,
        series=status.series,
        series_ready=status.series_ready,
        evaluations=status.evaluations,
        failures=status.failures,
        overruns=status.overruns,
        cost=CostAnswer(queries=status.cost.queries, samples=status.cost.samples, bytes=status.cost.size_bytes),
        dial=None if status.dial is None else DialAnswer(**asdict(status.dial)),
        warnings=list(status.warnings),
    )
