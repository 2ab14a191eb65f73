"""Domain values to rows and back: the only place that knows both."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec
from sqlalchemy import RowMapping

from tocsin.detect import Severity
from tocsin.domain.alert import Acknowledgement, Alert, AlertKind, AlertState, Reason, Transition
from tocsin.domain.anomaly import Anomaly
from tocsin.domain.errors import StoreError
from tocsin.domain.feedback import Mark, MarkedWindow, Verdict, WindowKind
from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels
from tocsin.store.columns import escape, unescape

Parameters = dict[str, Any]
"""Column names and what to bind to them; leaves this package only as SQL."""

_labels_decoder = msgspec.json.Decoder(dict[str, str])
_methods_decoder = msgspec.json.Decoder(tuple[str, ...])
_encode = msgspec.json.Encoder().encode
_ESCAPED_ESCAPE = "\\u001a"
"""How JSON writes `columns.ESCAPE`."""


class Unreadable(StoreError):
    """A row holds something that this version never wrote."""

    def __init__(self, what: str, error: Exception) -> None:
        super().__init__(f"{what} in the database cannot be read: {error}", transient=False)


@lru_cache(maxsize=8_192)
def labels_text(labels: Labels) -> str:
    """The labels as JSON text; NUL is an escape sequence there, which both databases hold.

    Series repeat in every evaluation, so the latest texts are kept.
    """
    text = _text(dict(labels))
    if text is None or _ESCAPED_ESCAPE in text:
        return _encode({escape(name): escape(value) for name, value in labels.items()}).decode()
    return text


def labels_of(text: str) -> Labels:
    """The labels of a JSON text."""
    labels = _labels_decoder.decode(text)
    if _ESCAPED_ESCAPE in text:
        labels = {unescape(name): unescape(value) for name, value in labels.items()}
    return Labels(labels)


def methods_text(methods: Iterable[str]) -> str:
    """Names as a JSON array."""
    names = list(methods)
    text = _text(names)
    if text is None or _ESCAPED_ESCAPE in text:
        return _encode([escape(name) for name in names]).decode()
    return text


def methods_of(text: str) -> tuple[str, ...]:
    """The names of a JSON array."""
    names = _methods_decoder.decode(text)
    return tuple(unescape(name) for name in names) if _ESCAPED_ESCAPE in text else names


def _text(value: dict[str, str] | list[str]) -> str | None:
    """`value` as JSON, or None when it holds a lone surrogate."""
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:
        return None


def pair(name: str, value: str) -> bytes:
    """Sixteen bytes that stand for one label in `series_labels`."""
    return blake2b(f"{name}\xff{value}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def pair_rows(labels: Labels) -> list[Parameters]:
    """The rows of one series in `series_labels`."""
    return [{"pair": pair(name, value), "fingerprint": labels.fingerprint} for name, value in labels.items()]


def alert_row(alert: Alert) -> Parameters:
    """The row of an alert."""
    return {
        "id": alert.id,
        "kind": alert.kind.value,
        "target_name": alert.target_name,
        "fingerprint": alert.fingerprint,
        "labels": labels_text(alert.labels),
        "state": alert.state.value,
        "severity": alert.severity.value,
        "severity_rank": alert.severity.rank,
        "active_at": alert.active_at,
        "starts_at": alert.starts_at,
        "ends_at": alert.ends_at,
        "last_anomalous_at": alert.last_anomalous_at,
        "last_seen_at": alert.last_seen_at,
        "updated_at": alert.updated_at,
        "value": _finite(alert.value),
        "expected_value": _finite(alert.expected_value),
        "sigma": _finite(alert.sigma),
        "confidence": _finite(alert.confidence),
        "methods": methods_text(alert.methods),
        "summary": alert.summary,
        "explanation": alert.explanation,
        "anomaly_count": alert.anomaly_count,
        "evidence_id": alert.evidence_id,
        "shadow": alert.shadow,
        "unit": alert.unit,
    }


def alert_of(row: RowMapping) -> Alert:
    """The alert of a row; raises `Unreadable`."""
    try:
        return Alert(
            id=row["id"],
            kind=AlertKind(row["kind"]),
            target_name=row["target_name"],
            labels=labels_of(row["labels"]),
            state=AlertState(row["state"]),
            severity=Severity(row["severity"]),
            active_at=row["active_at"],
            starts_at=row["starts_at"],
            ends_at=row["ends_at"],
            last_anomalous_at=row["last_anomalous_at"],
            last_seen_at=row["last_seen_at"],
            updated_at=row["updated_at"],
            value=row["value"],
            expected_value=row["expected_value"],
            sigma=row["sigma"],
            confidence=row["confidence"],
            methods=methods_of(row["methods"]),
            summary=row["summary"],
            explanation=row["explanation"],
            anomaly_count=row["anomaly_count"],
            evidence_id=row["evidence_id"],
            shadow=row["shadow"],
            unit=row["unit"] or "",
        )
    except (ValueError, msgspec.MsgspecError) as error:
        raise Unreadable(f"alert {row['id']!r}", error) from error


def acknowledgement_row(acknowledgement: Acknowledgement) -> Parameters:
    """The row of an acknowledgement."""
    return {
        "alert_id": acknowledgement.alert_id,
        "who": acknowledgement.who,
        "note": acknowledgement.note,
        "at": acknowledgement.at,
    }


def transition_row(transition: Transition) -> Parameters:
    """The row of a transition, less its sequence number, which the database gives."""
    return {
        "alert_id": transition.alert_id,
        "at": transition.at,
        "before": transition.before.value if transition.before else None,
        "after": transition.after.value,
        "reason": transition.reason.value,
        "severity": transition.severity.value,
        "value": _finite(transition.value),
        "sigma": _finite(transition.sigma),
        "detail": transition.detail,
        "evidence_id": transition.evidence_id,
    }


def transition_of(row: RowMapping) -> Transition:
    """The transition of a row; raises `Unreadable`."""
    try:
        return Transition(
            alert_id=row["alert_id"],
            at=row["at"],
            before=AlertState(row["before"]) if row["before"] is not None else None,
            after=AlertState(row["after"]),
            reason=Reason(row["reason"]),
            severity=Severity(row["severity"]),
            value=row["value"],
            sigma=row["sigma"],
            detail=row["detail"],
            evidence_id=row["evidence_id"],
        )
    except ValueError as error:
        raise Unreadable(f"transition {row['sequence']}", error) from error


def anomaly_row(anomaly: Anomaly) -> Parameters:
    """The row of an anomaly; NaN becomes NULL."""
    return {
        "id": anomaly.id,
        "target_name": anomaly.target_name,
        "fingerprint": anomaly.labels.fingerprint,
        "labels": labels_text(anomaly.labels),
        "timestamp": anomaly.timestamp,
        "value": _finite(anomaly.value),
        "expected_value": _finite(anomaly.expected_value),
        "lower": _finite(anomaly.lower),
        "upper": _finite(anomaly.upper),
        "sigma": _finite(anomaly.sigma),
        "severity": anomaly.severity.value,
        "severity_rank": anomaly.severity.rank,
        "confidence": _finite(anomaly.confidence),
        "method": anomaly.method,
        "methods": methods_text(anomaly.methods),
        "explanation": anomaly.explanation,
        "query": anomaly.query,
        "window_start": anomaly.window.start,
        "window_end": anomaly.window.end,
        "window_step_s": anomaly.window.step_s,
        "samples": anomaly.samples,
        "alert_id": anomaly.alert_id,
        "evidence_id": anomaly.evidence_id,
    }


def anomaly_of(row: RowMapping) -> Anomaly:
    """The anomaly of a row; NULL numbers are NaN. Raises `Unreadable`."""
    try:
        return Anomaly(
            id=row["id"],
            target_name=row["target_name"],
            labels=labels_of(row["labels"]),
            timestamp=row["timestamp"],
            value=_number(row["value"]),
            expected_value=_number(row["expected_value"]),
            lower=_number(row["lower"]),
            upper=_number(row["upper"]),
            sigma=_number(row["sigma"]),
            severity=Severity(row["severity"]),
            confidence=_number(row["confidence"]),
            method=row["method"],
            methods=methods_of(row["methods"]),
            explanation=row["explanation"],
            query=row["query"],
            window=_window(row["window_start"], row["window_end"], row["window_step_s"]),
            samples=row["samples"],
            alert_id=row["alert_id"],
            evidence_id=row["evidence_id"],
        )
    except (ValueError, msgspec.MsgspecError) as error:
        raise Unreadable(f"anomaly {row['id']!r}", error) from error


def mark_row(mark: Mark) -> Parameters:
    """The row of a verdict."""
    return {"alert_id": mark.alert_id, "verdict": mark.verdict.value, "who": mark.who, "note": mark.note, "at": mark.at}


def mark_of(alert_id: str, verdict: str, who: str, note: str, at: datetime) -> Mark:
    """The verdict of a row; raises `Unreadable`."""
    try:
        return Mark(alert_id, Verdict(verdict), who, note, at)
    except ValueError as error:
        raise Unreadable(f"the verdict on {alert_id!r}", error) from error


def window_row(window: MarkedWindow) -> Parameters:
    """The row of a marked window."""
    return {
        "id": window.id,
        "kind": window.kind.value,
        "target_name": window.target_name,
        "labels": labels_text(window.labels),
        "begins_at": window.start,
        "ends_at": window.end,
        "who": window.who,
        "note": window.note,
        "created_at": window.created_at,
    }


def window_of(row: RowMapping) -> MarkedWindow:
    """The marked window of a row; raises `Unreadable`."""
    try:
        return MarkedWindow(
            id=row["id"],
            kind=WindowKind(row["kind"]),
            target_name=row["target_name"],
            labels=labels_of(row["labels"]),
            start=row["begins_at"],
            end=row["ends_at"],
            who=row["who"],
            note=row["note"],
            created_at=row["created_at"],
        )
    except (ValueError, msgspec.MsgspecError) as error:
        raise Unreadable(f"the marked window {row['id']!r}", error) from error


def _window(start: datetime, end: datetime, step_s: float) -> Window:
    return Window(start, end, timedelta(seconds=step_s))


def _finite(value: float | None) -> float | None:
    """None for NaN, which SQLite cannot hold: in an optional number both say that there is none. Infinity stays."""
    return None if value is None or value != value else value  # noqa: PLR0124 -- only NaN differs from itself


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
