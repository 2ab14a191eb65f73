"""The `targets:` section: targets as code, with the field names of the API."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import timedelta
from difflib import get_close_matches

from tocsin.config.model import HOST
from tocsin.config.section import Section
from tocsin.detect import Direction, Severity
from tocsin.domain.errors import Invalid
from tocsin.domain.events import AfterDeploy
from tocsin.domain.labels import Labels
from tocsin.domain.log_signal import LogSignal
from tocsin.domain.logql import check_metric
from tocsin.domain.target import Owner, QueryType, Target


@dataclass(frozen=True, slots=True)
class Known:
    """What targets need to know of a datasource: its language, None where that shows later, and the `offset` that its
    targets have unless they say otherwise.
    """

    query_type: QueryType | None = None
    offset: timedelta = timedelta(0)


Datasources = Mapping[str, Known]
"""All of them, by uid."""

_SAMPLES = 60
"""Samples a lookback holds that is not written, as in the API; or more where an hour is longer."""

_DEFAULT = Target(name="", query="", datasource_uid="")


def read_targets(
    sections: list[Section], datasources: Datasources, grafanas: AbstractSet[str] = frozenset()
) -> tuple[Target, ...]:
    """The declared targets, those with an error left out; no two have the same name.

    `grafanas`: the uids of connections whose datasources Tocsin learns of while it runs, so any other uid may be one.
    """
    found: dict[str, Target] = {}
    lines: dict[str, int] = {}
    for section in sections:
        target = _target(section, datasources, grafanas)
        entry = section.get("name")
        if entry is not None and entry.written in lines:
            entry.complain(f"is taken: {entry.written!r} is declared on line {lines[entry.written]}")
        elif entry is not None:
            lines[entry.written] = entry.line
            if target is not None:
                found[target.name] = target
    return tuple(found.values())


def _target(section: Section, datasources: Datasources, grafanas: AbstractSet[str]) -> Target | None:
    before = len(section.document.problems)
    name, query = section.required("name"), section.required("query")
    uid = _datasource_uid(section, datasources, grafanas)
    query_type = _query_type(section, uid, datasources)
    check_interval = section.duration("check_interval", _DEFAULT.check_interval)
    step = section.duration("step", min(_DEFAULT.step, check_interval))
    severity = section.choice("severity_threshold", [each.value for each in Severity])
    signal = section.choice("log_signal", [each.value for each in LogSignal])
    direction = section.choice("direction", [each.value for each in Direction])
    after_deploy = section.choice("after_deploy", [each.value for each in AfterDeploy])
    target = Target(
        name=name or "",
        query=query or "",
        datasource_uid=uid or "",
        query_type=query_type,
        check_interval=check_interval,
        detection_methods=section.texts("detection_methods") or _DEFAULT.detection_methods,
        severity_threshold=_DEFAULT.severity_threshold if severity is None else Severity(severity),
        enabled=section.boolean("enabled", default=True),
        step=step,
        lookback=section.duration("lookback", max(_DEFAULT.lookback, _SAMPLES * step, check_interval)),
        offset=section.duration("offset", datasources.get(uid or "", Known()).offset),
        history=section.duration("history", _DEFAULT.history),
        timezone=section.text("timezone") or _DEFAULT.timezone,
        sigma_threshold=section.number("sigma_threshold", None),
        false_alerts_per_week=section.number("false_alerts_per_week", _DEFAULT.false_alerts_per_week),
        false_alerts_per_week_total=section.number("false_alerts_per_week_total", _DEFAULT.false_alerts_per_week_total),
        shadow=section.boolean("shadow", default=False),
        unit=section.text("unit") or "",
        denominator=section.text("denominator") or "",
        min_denominator=section.number("min_denominator", 0.0),
        log_signal=None if signal is None else LogSignal(signal),
        capacity_limit=section.number("capacity_limit", None),
        capacity_horizon=section.duration("capacity_horizon", _DEFAULT.capacity_horizon),
        after_deploy=_DEFAULT.after_deploy if after_deploy is None else AfterDeploy(after_deploy),
        deploy_for=section.duration("deploy_for", _DEFAULT.deploy_for),
        deploy_factor=section.number("deploy_factor", _DEFAULT.deploy_factor),
        pending_for=section.duration("pending_for", _DEFAULT.pending_for),
        keep_firing_for=section.duration("keep_firing_for", _DEFAULT.keep_firing_for),
        direction=_DEFAULT.direction if direction is None else Direction(direction),
        min_effect=section.number("min_effect", _DEFAULT.min_effect),
        min_effect_ratio=section.number("min_effect_ratio", _DEFAULT.min_effect_ratio),
        alert_above=section.number("alert_above", None),
        alert_below=section.number("alert_below", None),
        lower_bound=section.number("lower_bound", None),
        upper_bound=section.number("upper_bound", None),
        labels=Labels({key: text for key, (text, _) in section.pairs("labels").items()}),
        description=section.text("description") or "",
        owner=Owner.FILE,
    )
    section.finish()
    _validate(section, target, {problem.field for problem in section.document.problems[before:]})
    return target if len(section.document.problems) == before else None


def _validate(section: Section, target: Target, blamed: set[str]) -> None:
    """The rules of the domain, all of them, over stand-ins for what is missing; a field is not blamed twice."""
    whole = replace(
        target,
        name=target.name or "x",
        query=target.query or "x",
        datasource_uid=target.datasource_uid or "x",
    )
    try:
        whole.validated()
        if whole.query_type is QueryType.LOKI and whole.log_signal is None and not blamed:
            # What the API asks of the datasource itself, which is not made yet.
            check_metric(whole.query)
    except Invalid as error:
        for field, reason in error.problems:
            place = section.place(field)
            if place.name not in blamed:
                place.complain(reason)


def _datasource_uid(section: Section, datasources: Datasources, grafanas: AbstractSet[str]) -> str | None:
    uid = section.required("datasource_uid")
    entry = section.place("datasource_uid")
    if uid in grafanas:
        entry.complain("names a Grafana; name the uid that one of its datasources has there")
        return None
    if uid is None or uid in datasources or (grafanas and uid != HOST):
        return uid
    if uid == HOST:
        entry.complain("names this machine, which is switched off (host: enabled, or --no-host)")
        return None
    near = get_close_matches(uid, datasources, n=1)
    known = ", ".join(datasources) or "none"
    entry.complain(f"names no datasource; {f'did you mean {near[0]}?' if near else f'known: {known}'}")
    return None


def _query_type(section: Section, uid: str | None, datasources: Datasources) -> QueryType:
    """What is written, held against the datasource; a datasource has one language, so it may be left out.

    Of a datasource that is found later, or that is in error itself, it is taken as written; without that it is that of
    logs where something of their lines is watched, and PromQL elsewhere.
    """
    natural = datasources.get(uid or "", Known()).query_type
    written = section.choice("query_type", [each.value for each in QueryType])
    if natural is None:
        later = (QueryType.PROMETHEUS, QueryType.LOKI)
        if written is not None and written not in later:
            section.place("query_type").complain(f"must be {' or '.join(later)}")
        if written is None:
            return _DEFAULT.query_type if section.get("log_signal") is None else QueryType.LOKI
        return QueryType(written)
    if written is not None and written != natural:
        section.place("query_type").complain(f"must be {natural.value}, the language of the datasource {uid}")
    return natural
