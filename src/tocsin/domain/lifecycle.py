"""How one alert moves: `advance` takes what one sample says and answers the alert after it, and why it moved."""

from dataclasses import replace
from datetime import datetime, timedelta
from math import isnan
from typing import NamedTuple

from tocsin.detect import Severity
from tocsin.domain.alert import Alert, AlertKind, AlertState, Observation, Reason, alert_id, vanish_after
from tocsin.domain.labels import Labels
from tocsin.domain.target import Target
from tocsin.units import number


class Move(NamedTuple):
    """The alert after a sample (None = there is none) and why its state or severity changed (None = it did not)."""

    alert: Alert | None
    reason: Reason | None


STAY = Move(None, None)

ABSENCE = "absence"
ABSENT_FOR = timedelta(days=1)
"""How long the alert of a series that is missed stays once nothing is known of the series any more."""


def advance(alert: Alert | None, observation: Observation | None, target: Target, at: datetime) -> Move:
    """The alert of one series after one sample.

    `observation` is None where the series has no sample, or nothing can be said about it: a gap neither holds nor
    resolves an alert, and only a long absence ends it, as EXPIRED. `at` is the time of the sample.
    """
    if observation is None:
        return _unseen(alert, target, at)
    if alert is None:
        return _begin(observation, target) if observation.flagged else STAY
    if observation.settled:
        return Move(ended(alert, AlertState.EXPIRED, at), Reason.NEW_NORMAL)
    # Never earlier: the caller may have put it later, where a time in which nobody could look is not to count.
    alert = replace(alert, last_seen_at=max(at, alert.last_seen_at or at))
    same_side = (observation.sigma > 0) == ((alert.sigma or 0.0) > 0)
    if observation.flagged or (observation.holding and (same_side or observation.away)):
        return _hold(alert, observation, target)
    return _quiet(alert, target, at)


def _begin(seen: Observation, target: Target) -> Move:
    severity = seen.severity or Severity.LOW
    at_once = target.pending_for <= timedelta(0)
    alert = Alert(
        id=alert_id(target.name, seen.labels, seen.timestamp),
        kind=AlertKind.ANOMALY,
        target_name=target.name,
        labels=seen.labels,
        state=AlertState.FIRING if at_once else AlertState.PENDING,
        severity=severity,
        active_at=seen.timestamp,
        last_anomalous_at=seen.timestamp,
        updated_at=seen.timestamp,
        value=_known(seen.value),
        expected_value=_known(seen.expected_value),
        sigma=seen.sigma,
        confidence=seen.confidence,
        methods=seen.methods,
        summary=summary(target.name, severity, seen),
        explanation=seen.explanation,
        starts_at=seen.timestamp if at_once else None,
        last_seen_at=seen.timestamp,
        shadow=target.shadow,
        unit=target.nature.unit,
    )
    return Move(alert, Reason.ANOMALOUS)


def _hold(alert: Alert, seen: Observation, target: Target) -> Move:
    at = seen.timestamp
    held = replace(
        alert,
        last_anomalous_at=at,
        updated_at=at,
        anomaly_count=alert.anomaly_count + int(seen.severity is not None),
        well_for=timedelta(0),
    )
    back = seen.returned or _returns(alert, seen)
    worse = not back and seen.severity is not None and seen.severity > alert.severity
    # One that only holds, as an echo of what has come back, has no words of its own. Of equal ones the newest counts:
    # what lasts at the most that can be said goes on being told as it is. So is what was missing and comes back odd.
    there = alert.value is None and _known(seen.value) is not None
    if not back and seen.severity is not None and (there or abs(seen.sigma) >= abs(alert.sigma or 0.0)):
        severity = max(alert.severity, seen.severity)
        held = replace(
            held,
            severity=severity,
            value=_known(seen.value),
            expected_value=_known(seen.expected_value),
            sigma=seen.sigma,
            confidence=seen.confidence,
            methods=seen.methods,
            explanation=seen.explanation,
            summary=summary(alert.target_name, severity, seen),
        )
    if alert.state is AlertState.PENDING and at - alert.active_at >= target.pending_for:
        return Move(replace(held, state=AlertState.FIRING, starts_at=at), Reason.LASTED)
    return Move(held, Reason.WORSE if worse and alert.state is AlertState.FIRING else None)


def _returns(alert: Alert, seen: Observation) -> bool:
    """Whether a sample is the way back: it stands out on the other side, because meanwhile more or less was expected,
    and is on the side of the alert still, or by less than half of its way on the other.
    """
    if alert.value is None or alert.expected_value is None or not (alert.sigma or 0.0) * seen.sigma < 0:
        return False
    way = alert.value - alert.expected_value
    # A share, whose size does not depend on the unit: a product of two ways may be too small or too large for a float.
    return way != 0 and (seen.value - alert.expected_value) / way > -0.5


def _quiet(alert: Alert, target: Target, at: datetime) -> Move:
    if alert.state is AlertState.PENDING:
        return Move(ended(alert, AlertState.EXPIRED, at), Reason.DID_NOT_LAST)
    # Only what was seen counts: one good sample after a long gap is no recovery.
    well = replace(alert, well_for=alert.well_for + target.step)
    if well.well_for >= target.keep_firing_for:
        return Move(ended(well, AlertState.RESOLVED, at), Reason.RECOVERED)
    return Move(well, None)


def _unseen(alert: Alert | None, target: Target, at: datetime) -> Move:
    if alert is None:
        return STAY
    seen = alert.last_seen_at or alert.last_anomalous_at
    patience = ABSENT_FOR.total_seconds() if ABSENCE in alert.methods else vanish_after(target)
    if (at - seen).total_seconds() < patience:
        return Move(alert, None)
    return Move(ended(alert, AlertState.EXPIRED, at), Reason.VANISHED)


def ended(alert: Alert, state: AlertState, at: datetime) -> Alert:
    """The same alert, over at `at`."""
    return replace(alert, state=state, ends_at=at, updated_at=at)


def summary(target_name: str, severity: Severity, seen: Observation) -> str:
    """One line that says what, where, and how far off."""
    sign = "🔥" if severity >= Severity.HIGH else "⚠️"
    method = seen.methods[0] if seen.methods else "anomaly"
    unit = "" if seen.facts is None else seen.facts.unit
    if seen.facts is not None and seen.facts.is_ahead:
        return f"{sign} {series_name(target_name, seen.labels)}: {seen.facts.lead} - value {number(seen.value, unit)}"
    return (
        f"{sign} {series_name(target_name, seen.labels)}: Detected {method} anomaly - "
        f"value {number(seen.value, unit)} (expected {number(seen.expected_value, unit)})"
        if not isnan(seen.value)
        else f"{sign} {series_name(target_name, seen.labels)}: no samples any more"
    )


def series_name(target_name: str, labels: Labels) -> str:
    """`target{a="b"}`; only the name when the series has no labels beside its metric name."""
    inner = str(labels.without("__name__"))
    return target_name if inner == "{}" else target_name + inner


def _known(value: float) -> float | None:
    return None if isnan(value) else value
