"""From what people send to a target and back, and the one place where absent fields find their defaults."""

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from tocsin.api.models_target import (
    CostAnswer,
    DialAnswer,
    InferredAnswer,
    TargetAnswer,
    TargetPatch,
    TargetRequest,
    TargetStateAnswer,
)
from tocsin.domain.asking import asked_words
from tocsin.domain.errors import Invalid
from tocsin.domain.labels import Labels
from tocsin.domain.target import Owner, QueryType, Target
from tocsin.monitor.status import TargetView

LONGEST_STEP_S = 60.0
LEAST_LOOKBACK_S = 3600.0
SAMPLES_LEARNT_FROM = 60

Languages = Callable[[str], QueryType | None]
"""The language of the datasource with a uid; None where there is none."""


def default_step(check_interval: float) -> float:
    """The grid of a target that names none."""
    return min(LONGEST_STEP_S, check_interval)


def default_lookback(check_interval: float, step: float) -> float:
    """The history of a target that names none."""
    return max(LEAST_LOOKBACK_S, SAMPLES_LEARNT_FROM * step, check_interval)


def target_from(request: TargetRequest, now: datetime, languages: Languages) -> Target:
    """The target that is asked for, validated; raises `Invalid` naming the field."""
    known, logs = languages(request.datasource_uid), request.log_signal is not None
    if logs and known is not None and request.query_type not in (None, known):
        raise Invalid("query_type", f"the datasource {request.datasource_uid!r} answers {known}")
    spoken = request.query_type or known or (QueryType.LOKI if logs else QueryType.PROMETHEUS)
    step = default_step(request.check_interval) if request.step is None else request.step
    lookback = default_lookback(request.check_interval, step) if request.lookback is None else request.lookback
    return Target(
        name=request.name,
        query=request.query,
        datasource_uid=request.datasource_uid,
        query_type=spoken,
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


def patched(target: Target, patch: TargetPatch, now: datetime, languages: Languages) -> Target:
    """The target after the patch, validated; a `step` or `lookback` that was a default follows the new interval, and
    the language a new datasource.
    """
    sent = {name: getattr(patch, name) for name in patch.model_fields_set}
    if sent.get("name", target.name) != target.name:
        raise Invalid("name", "cannot change: history stands under it; create a new target instead")
    if sent.get("datasource_uid", target.datasource_uid) != target.datasource_uid:
        sent.setdefault("query_type", None)
    changed = target_from(_request_of(target).model_copy(update=sent), now, languages)
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
        asked=list(asked_words(target, target.policy_beyond(view.status.refuted))),
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
