"""What is kept as one versioned document, not in columns: the definition of a target and a piece of evidence."""

from dataclasses import replace
from datetime import datetime, timedelta
from math import isfinite
from typing import Final

import msgspec
from sqlalchemy import RowMapping

from tocsin.detect import Direction, Severity
from tocsin.domain.anomaly import Anomaly, Evidence
from tocsin.domain.events import AfterDeploy
from tocsin.domain.facts import Facts
from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels
from tocsin.domain.log_signal import LogSignal
from tocsin.domain.target import HISTORY, Owner, QueryType, Target
from tocsin.store import codec
from tocsin.store.codec import Unreadable
from tocsin.store.columns import EPOCH, MICROSECOND, escape, unescape

EVIDENCE_FORMAT: Final = 2
"""The newest form of `evidence.body`: `_Evidence` as MessagePack. Form 1 had no facts."""

_READABLE: Final = (1, 2)


class _Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A target as JSON. Names of methods, durations in seconds; a field that is missing has its default.

    A field is added with a default; one that changes its meaning gets a new name. So every older text can be read.
    """

    query: str
    datasource_uid: str
    query_type: QueryType
    check_interval_s: float
    detection_methods: tuple[str, ...]
    severity_threshold: Severity
    enabled: bool
    step_s: float
    lookback_s: float
    offset_s: float
    pending_for_s: float
    keep_firing_for_s: float
    direction: Direction
    min_effect: float
    min_effect_ratio: float
    alert_above: float | str | None
    alert_below: float | str | None
    lower_bound: float | str | None
    upper_bound: float | str | None
    labels: dict[str, str]
    description: str
    owner: Owner
    history_s: float = HISTORY.total_seconds()
    timezone: str = "UTC"
    sigma_threshold: float | None = None
    false_alerts_per_week: float = 0.35
    false_alerts_per_week_total: float = 3.5
    shadow: bool = False
    unit: str = ""
    denominator: str = ""
    min_denominator: float = 0.0
    capacity_limit: float | str | None = None
    capacity_horizon_s: float = 345600.0
    log_signal: LogSignal | None = None
    after_deploy: AfterDeploy = AfterDeploy.NOTHING
    deploy_for_s: float = 900.0
    deploy_factor: float = 1.5


_definition_decoder = msgspec.json.Decoder(_Definition)
_encode_json = msgspec.json.Encoder().encode


def definition_text(target: Target) -> str:
    """All of a target but its name, version and timestamps, as JSON text."""
    return _encode_json(
        _Definition(
            query=escape(target.query),
            datasource_uid=escape(target.datasource_uid),
            query_type=target.query_type,
            check_interval_s=target.check_interval.total_seconds(),
            detection_methods=tuple(map(escape, target.detection_methods)),
            severity_threshold=target.severity_threshold,
            enabled=target.enabled,
            step_s=target.step.total_seconds(),
            lookback_s=target.lookback.total_seconds(),
            offset_s=target.offset.total_seconds(),
            pending_for_s=target.pending_for.total_seconds(),
            keep_firing_for_s=target.keep_firing_for.total_seconds(),
            direction=target.direction,
            min_effect=target.min_effect,
            min_effect_ratio=target.min_effect_ratio,
            alert_above=_bound(target.alert_above),
            alert_below=_bound(target.alert_below),
            lower_bound=_bound(target.lower_bound),
            upper_bound=_bound(target.upper_bound),
            labels={escape(name): escape(value) for name, value in target.labels.items()},
            description=escape(target.description),
            owner=target.owner,
            history_s=target.history.total_seconds(),
            timezone=target.timezone,
            sigma_threshold=target.sigma_threshold,
            false_alerts_per_week=target.false_alerts_per_week,
            false_alerts_per_week_total=target.false_alerts_per_week_total,
            shadow=target.shadow,
            unit=escape(target.unit),
            denominator=escape(target.denominator),
            min_denominator=target.min_denominator,
            log_signal=target.log_signal,
            capacity_limit=_bound(target.capacity_limit),
            capacity_horizon_s=target.capacity_horizon.total_seconds(),
            after_deploy=target.after_deploy,
            deploy_for_s=target.deploy_for.total_seconds(),
            deploy_factor=target.deploy_factor,
        )
    ).decode()


def target_of(
    name: str, version: int, definition: str, *, created_at: datetime | None, updated_at: datetime | None
) -> Target:
    """The target of a row; raises `Unreadable`."""
    try:
        read = _definition_decoder.decode(definition)
    except msgspec.MsgspecError as error:
        raise Unreadable(f"target {name!r}", error) from error
    return Target(
        name=name,
        query=unescape(read.query),
        datasource_uid=unescape(read.datasource_uid),
        query_type=read.query_type,
        check_interval=timedelta(seconds=read.check_interval_s),
        detection_methods=tuple(map(unescape, read.detection_methods)),
        severity_threshold=read.severity_threshold,
        enabled=read.enabled,
        step=timedelta(seconds=read.step_s),
        lookback=timedelta(seconds=read.lookback_s),
        offset=timedelta(seconds=read.offset_s),
        history=timedelta(seconds=read.history_s),
        timezone=read.timezone,
        sigma_threshold=read.sigma_threshold,
        false_alerts_per_week=read.false_alerts_per_week,
        false_alerts_per_week_total=read.false_alerts_per_week_total,
        shadow=read.shadow,
        unit=unescape(read.unit),
        denominator=unescape(read.denominator),
        min_denominator=read.min_denominator,
        log_signal=read.log_signal,
        capacity_limit=_bound_of(read.capacity_limit),
        capacity_horizon=timedelta(seconds=read.capacity_horizon_s),
        after_deploy=read.after_deploy,
        deploy_for=timedelta(seconds=read.deploy_for_s),
        deploy_factor=read.deploy_factor,
        pending_for=timedelta(seconds=read.pending_for_s),
        keep_firing_for=timedelta(seconds=read.keep_firing_for_s),
        direction=read.direction,
        min_effect=read.min_effect,
        min_effect_ratio=read.min_effect_ratio,
        alert_above=_bound_of(read.alert_above),
        alert_below=_bound_of(read.alert_below),
        lower_bound=_bound_of(read.lower_bound),
        upper_bound=_bound_of(read.upper_bound),
        labels=Labels({unescape(key): unescape(value) for key, value in read.labels.items()}),
        description=unescape(read.description),
        owner=read.owner,
        version=version,
        created_at=created_at,
        updated_at=updated_at,
    )


def _bound(value: float | None) -> float | str | None:
    """JSON has no infinity: it is written as the text that `float` reads."""
    return value if value is None or isfinite(value) else repr(value)


def _bound_of(value: float | str | None) -> float | None:
    return None if value is None else float(value)


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What an anomaly rests on. A field is added with a default."""

    value: float | None
    expected: float | None
    lower: float | None
    upper: float | None
    sigma: float | None
    methods: tuple[str, ...]
    unit: str = ""
    season: str = ""
    samples: int | None = None
    threshold: float | None = None
    floor: float | None = None
    last_us: int | None = None
    told: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()


def _facts_in(facts: Facts | None) -> _Facts | None:
    if facts is None:
        return None
    numbers = {name: _or_none(getattr(facts, name)) for name in ("value", "expected", "lower", "upper", "sigma")}
    return _Facts(
        **numbers,
        methods=tuple(map(escape, facts.methods)),
        unit=facts.unit,
        season=facts.season,
        samples=facts.samples,
        threshold=facts.threshold,
        floor=facts.floor,
        last_us=None if facts.last_at is None else (facts.last_at - EPOCH) // MICROSECOND,
        told=tuple(map(escape, facts.told)),
        asked=tuple(map(escape, facts.asked)),
    )


def _facts_out(read: _Facts | None) -> Facts | None:
    if read is None:
        return None
    value, expected, lower, upper, sigma = (
        float("nan") if number is None else number
        for number in (read.value, read.expected, read.lower, read.upper, read.sigma)
    )
    return Facts(
        value=value,
        expected=expected,
        lower=lower,
        upper=upper,
        sigma=sigma,
        methods=tuple(map(unescape, read.methods)),
        unit=read.unit,
        season=read.season,
        samples=read.samples,
        threshold=read.threshold,
        floor=read.floor,
        last_at=None if read.last_us is None else EPOCH + read.last_us * MICROSECOND,
        told=tuple(map(unescape, read.told)),
        asked=tuple(map(unescape, read.asked)),
    )


def _or_none(number: float) -> float | None:
    """JSON has no NaN, and no infinity."""
    return float(number) if isfinite(number) else None


_facts_decoder = msgspec.json.Decoder(_Facts)


def facts_text(facts: Facts | None) -> str | None:
    """What an anomaly rests on, as JSON text."""
    read = _facts_in(facts)
    return None if read is None else _encode_json(read).decode()


def facts_of(text: str | None) -> Facts | None:
    """The facts of a JSON text; raises `msgspec.MsgspecError`."""
    return None if text is None else _facts_out(_facts_decoder.decode(text))


class _Evidence(msgspec.Struct, frozen=True, array_like=True):
    """Evidence as a MessagePack array: exact doubles (NaN too), nine bytes a number, no names."""

    id: str
    query: str
    datasource_uid: str
    window_us: tuple[int, int, int]
    methods: tuple[str, ...]
    timestamps: tuple[float, ...]
    values: tuple[float | None, ...]
    expected: tuple[float | None, ...]
    lower: tuple[float | None, ...]
    upper: tuple[float | None, ...]
    sigma: tuple[float | None, ...]
    context: tuple[str, ...]
    notes: tuple[str, ...]
    facts: _Facts | None = None


_evidence_decoder = msgspec.msgpack.Decoder(_Evidence)
# numpy.float64 is a float to the type checker and a stranger to msgspec.
_encode_msgpack = msgspec.msgpack.Encoder(enc_hook=float).encode


def evidence_body(evidence: Evidence) -> bytes:
    """The evidence in the form `EVIDENCE_FORMAT`."""
    window = evidence.window
    return _encode_msgpack(
        _Evidence(
            id=escape(evidence.id),
            query=escape(evidence.query),
            datasource_uid=escape(evidence.datasource_uid),
            window_us=(
                (window.start - EPOCH) // MICROSECOND,
                (window.end - EPOCH) // MICROSECOND,
                window.step // MICROSECOND,
            ),
            methods=tuple(map(escape, evidence.methods)),
            timestamps=evidence.timestamps,
            values=evidence.values,
            expected=evidence.expected,
            lower=evidence.lower,
            upper=evidence.upper,
            sigma=evidence.sigma,
            context=tuple(map(escape, evidence.context)),
            notes=tuple(map(escape, evidence.notes)),
            facts=_facts_in(evidence.facts),
        )
    )


def evidence_of(evidence_id: str, form: int, body: bytes) -> Evidence:
    """The evidence of a row; raises `Unreadable`, also for a form that is newer than this code."""
    what = f"evidence {evidence_id!r}"
    if form not in _READABLE:
        raise Unreadable(what, ValueError(f"it has the form {form}, this version knows {EVIDENCE_FORMAT}"))
    try:
        read = _evidence_decoder.decode(body)
        start, end, step = read.window_us
        window = Window(EPOCH + start * MICROSECOND, EPOCH + end * MICROSECOND, step * MICROSECOND)
    except (ValueError, msgspec.MsgspecError) as error:
        raise Unreadable(what, error) from error
    return Evidence(
        id=unescape(read.id),
        query=unescape(read.query),
        datasource_uid=unescape(read.datasource_uid),
        window=window,
        methods=tuple(map(unescape, read.methods)),
        timestamps=read.timestamps,
        values=read.values,
        expected=read.expected,
        lower=read.lower,
        upper=read.upper,
        sigma=read.sigma,
        context=tuple(map(unescape, read.context)),
        notes=tuple(map(unescape, read.notes)),
        facts=_facts_out(read.facts),
    )


def anomaly_row(anomaly: Anomaly) -> codec.Parameters:
    """The row of an anomaly, with what it rests on as JSON."""
    return {**codec.anomaly_row(anomaly), "facts": facts_text(anomaly.facts)}


def anomaly_of(row: RowMapping) -> Anomaly:
    """The anomaly of a row; raises `Unreadable`."""
    try:
        facts = facts_of(row["facts"])
    except msgspec.MsgspecError as error:
        raise Unreadable(f"anomaly {row['id']!r}", error) from error
    return replace(codec.anomaly_of(row), facts=facts)
