"""What is said of a datasource that does not answer, or of a connection that brings some: one alert each. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime

from tocsin.detect import Severity
from tocsin.domain.alert import Alert, AlertKind, AlertState, Reason, Transition, alert_id
from tocsin.domain.errors import same_words
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.labels import Labels
from tocsin.domain.lifecycle import ended

ANSWERS = "it answers"
"""The kind of what is said while it answers again, and the alert is held."""


@dataclass(frozen=True, slots=True)
class SourceWords:
    """What is said of a datasource, or of what brings some, that fails. Words of the same `kind` say the same to
    people; `failing` is the failure that they tell of.
    """

    summary: str
    explanation: str
    kind: str
    failing: str


def words_of(uid: str, failing: str) -> SourceWords:
    """Those of a datasource that fails with `failing`."""
    return SourceWords(
        f"🔥 datasource {uid} does not answer: {failing}",
        f"Every query to the datasource {uid} fails, so its targets are frozen as they were: {failing}",
        same_words(failing),
        failing,
    )


def words_behind(uid: str, connection: str, before: str) -> SourceWords:
    """Those of a datasource that failed `before` what brings it did: nobody can know how it is now."""
    last = f" ({before})" if before else ""
    return SourceWords(
        f"🔥 datasource {uid} did not answer before the connection {connection} failed too{last}",
        f"The datasource {uid} did not answer when it could be asked last{last}. Now the connection {connection} "
        f"fails, which the alert datasource:{connection} tells: whether {uid} answers is seen when the connection "
        "works again. Until then its targets are frozen as they were",
        f"behind {connection}",
        before,
    )


def words_again(what: str, before: str) -> SourceWords:
    """Those of a datasource or a connection (`what`) that comes and goes and answers at the moment."""
    last = f"; it failed with: {before}" if before else ""
    return SourceWords(
        f"🔥 {what} comes and goes, and answers now{last}",
        f"{what[0].upper()}{what[1:]} comes and goes. It answers now, and the alert ends when it has for a while{last}",
        ANSWERS,
        before,
    )


def datasource_alert(uid: str, failing: SourceWords | None, alert: Alert | None, at: datetime) -> Evaluation:
    """The evaluation that opens or resolves the one alert of a datasource, or of a connection that brings some, or has
    it say what is wrong now: that is no change of its state, and no transition.

    `failing` None when it answers; `alert` the active one, if any.
    """
    name, labels = f"datasource:{uid}", Labels({"datasource_uid": uid})
    if failing is None:
        if alert is None:
            return Evaluation(name, at)
        over = ended(alert, AlertState.RESOLVED, at)
        return Evaluation(name, at, alerts=(over,), transitions=(_moved(alert, over, Reason.SOURCE_ANSWERS),))
    if alert is not None:
        if (failing.summary, failing.explanation) == (alert.summary, alert.explanation):
            return Evaluation(name, at)
        says = replace(alert, summary=failing.summary, explanation=failing.explanation, updated_at=at)
        return Evaluation(name, at, alerts=(says,))
    new = Alert(
        id=alert_id(name, labels, at),
        kind=AlertKind.DATASOURCE,
        target_name=name,
        labels=labels,
        state=AlertState.FIRING,
        severity=Severity.HIGH,
        active_at=at,
        last_anomalous_at=at,
        updated_at=at,
        value=None,
        expected_value=None,
        sigma=None,
        confidence=None,
        methods=(),
        summary=failing.summary,
        explanation=failing.explanation,
        starts_at=at,
        last_seen_at=at,
    )
    return Evaluation(name, at, alerts=(new,), transitions=(_moved(None, new, Reason.SOURCE_FAILING),))


def _moved(before: Alert | None, after: Alert, reason: Reason) -> Transition:
    state = None if before is None else before.state
    return Transition(after.id, after.updated_at, state, after.state, reason, after.severity)
