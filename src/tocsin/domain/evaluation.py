"""One evaluation of one target: `step` turns judged samples into anomalies, alerts and transitions. Pure."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import (
    AHEAD,
    AWAY,
    MORE,
    RETURNED,
    SETTLED,
    SPEAKERS,
    STILL,
    Judgement,
    Policy,
    Scores,
    Severity,
    calibrated_confidence,
    confidence_of,
    floor,
    likely_real,
    told_at,
    wants_auto,
    young_confidence,
)
from tocsin.domain.alert import Alert, AlertState, Observation, Reason, Transition, alert_id
from tocsin.domain.anomaly import Anomaly, ConfidenceKind, Evidence
from tocsin.domain.asking import asked_words
from tocsin.domain.facts import Background, Facts
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Fingerprint
from tocsin.domain.lifecycle import advance, ended
from tocsin.domain.target import Target

Picture = Callable[[int, int, str], Evidence]
"""(row, column, id) -> the evidence of that series as it stood at that new column."""

MAX_ALERTS_PER_EVALUATION = 1000
"""New alerts one evaluation may begin; what is left out is counted in `Evaluation.suppressed` and said."""


FIRST_DAY_CONFIDENCE = 0.5
"""What the confidence of ``auto`` counts while it has seen a series for less than a day: of what it tells in those
hours half as much is real (docs/detection.md).
"""

_DAY_S = 86400.0

PARTIAL_CONFIDENCE = 0.5
"""What is left of the confidence of what is found in an answer from which data are missing: it may as well be they."""

PARTIAL_WORDS = "the answer was partial, some of its data were missing: the confidence is half of what it would be"


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The new samples of a target and what detection says of them; all arrays (S, K).

    `anomalous` is beyond three sigma and all floors; `judgement` uses the target's own entry and exit thresholds.
    Columns before `first` (S,) are history of their series: learnt from, and judged before or not to be judged.
    `policy` is what the newest column was judged by, `background` what is known of the series beside,
    `entry` (S, K) the sigma that it takes to begin an alert, where the dial or a deployment has a say in it.
    """

    frame: Frame
    scores: Scores
    judgement: Judgement
    anomalous: NDArray[np.bool_]
    first: NDArray[np.intp]
    policy: Policy
    background: Background
    entry: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one evaluation changes. Saving it is one transaction; an empty one is never saved.

    `alerts` holds every alert that changed, once, as it is afterwards. `suppressed` counts alerts that were not begun,
    `undrawn` anomalies without evidence, each for a limit. `seen` holds the active alerts with when their
    series was last seen: memory for the next evaluation, not written.
    """

    target_name: str
    at: datetime
    anomalies: tuple[Anomaly, ...] = ()
    alerts: tuple[Alert, ...] = ()
    transitions: tuple[Transition, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    suppressed: int = 0
    undrawn: int = 0
    seen: tuple[Alert, ...] = ()

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to keep."""
        return not (self.anomalies or self.alerts or self.transitions)


@dataclass(slots=True)
class _Draft:
    """The parts of an evaluation while `step` fills them."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    anomalies: list[Anomaly] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    seen: list[Alert] = field(default_factory=list)
    begun: int = 0
    suppressed: int = 0


def step(
    target: Target, at: datetime, judged: Judged, active: Mapping[Fingerprint, Alert], picture: Picture
) -> Evaluation:
    """The evaluation of `target` at `at` (aware, the end of the window).

    `active` holds the target's pending and firing alerts by series. Each new sample is one step of its alert, so the
    result does not depend on how many samples come at once. Only series with an anomalous sample or an alert cost time.
    """
    draft = _Draft()
    busy: NDArray[np.bool_] = np.asarray(judged.anomalous.any(axis=1))
    missing = {alert.labels: alert for alert in active.values()}
    for position, labels in enumerate(judged.frame.labels) if missing else ():
        if missing.pop(labels, None) is not None:
            busy[position] = True
    for gone in missing.values():
        _absent(draft, target, gone, at)
    for row in np.flatnonzero(busy):
        fingerprint = judged.frame.labels[row].fingerprint
        touched = _follow(draft, target, judged, int(row), alert=active.get(fingerprint), picture=picture)
        _record(draft, target, judged, int(row), touched)
    return Evaluation(
        target_name=target.name,
        at=at,
        anomalies=tuple(draft.anomalies),
        alerts=tuple(draft.alerts.values()),
        transitions=tuple(draft.transitions),
        evidence=tuple(draft.evidence.values()),
        suppressed=draft.suppressed,
        seen=tuple(draft.seen),
    )


def _absent(draft: _Draft, target: Target, alert: Alert, at: datetime) -> None:
    move = advance(alert, None, target, at)
    if move.alert is not None and move.reason is not None:
        _note(draft, alert, move.alert, move.reason, at)
    elif move.alert is not None:
        draft.seen.append(move.alert)


def _follow(
    draft: _Draft, target: Target, judged: Judged, row: int, *, alert: Alert | None, picture: Picture
) -> Mapping[str, Alert]:
    """Walk the new samples of one series; the alerts that it touched, by id, as they are then."""
    touched = {} if alert is None else {alert.id: alert}
    for column in range(int(judged.first[row]), len(judged.frame.timestamps)):
        stamp = float(judged.frame.timestamps[column])
        seen = observe(target, judged, row, column)
        at = instant(stamp)
        if alert is None and seen is not None and seen.flagged and draft.begun >= MAX_ALERTS_PER_EVALUATION:
            draft.suppressed += 1
            continue
        before, (after, reason) = alert, advance(alert, seen, target, at)
        if after is None:
            continue
        if reason is not None:
            draft.begun += before is None
            if reason in (Reason.ANOMALOUS, Reason.LASTED, Reason.WORSE, Reason.RECOVERED):
                evidence = picture(row, column, f"{after.id}@{stamp:.3f}")
                draft.evidence[evidence.id] = evidence
                after = replace(after, evidence_id=evidence.id)
            _note(draft, before, after, reason, at)
        if before is None or after.updated_at != before.updated_at:
            draft.alerts[after.id] = after
        touched[after.id] = after
        alert = after if after.active else None
    if alert is not None:
        draft.seen.append(alert)
    return touched


def _note(draft: _Draft, before: Alert | None, after: Alert, reason: Reason, at: datetime) -> None:
    draft.alerts[after.id] = after
    draft.transitions.append(
        Transition(
            alert_id=after.id,
            at=at,
            before=before.state if before else None,
            after=after.state,
            reason=reason,
            severity=after.severity,
            value=after.value,
            sigma=after.sigma,
            evidence_id=after.evidence_id,
        )
    )


def _record(draft: _Draft, target: Target, judged: Judged, row: int, alerts: Mapping[str, Alert]) -> None:
    """Keep the strongest anomalous sample of the row in each of its alerts, and of those in none."""
    columns = np.flatnonzero(judged.anomalous[row])
    columns = columns[columns >= judged.first[row]]
    times = judged.frame.timestamps[columns]
    for alert in alerts.values():
        ends = math.inf if alert.ends_at is None else alert.ends_at.timestamp()
        inside = (times >= alert.active_at.timestamp()) & (times <= ends)
        _keep(draft, target, judged, row, columns=columns[inside], alert=alert)
        columns, times = columns[~inside], times[~inside]
    _keep(draft, target, judged, row, columns=columns, alert=None)


def _keep(
    draft: _Draft, target: Target, judged: Judged, row: int, *, columns: NDArray[np.intp], alert: Alert | None
) -> None:
    if not len(columns):
        return
    column = int(columns[np.argmax(np.abs(judged.scores.sigma[row, columns]))])
    seen = observe(target, judged, row, column)
    if seen is None:
        return
    stamp = float(judged.frame.timestamps[column])
    draft.anomalies.append(
        Anomaly(
            id=alert_id(target.name, seen.labels, seen.timestamp).replace("alert:", "anomaly:"),
            target_name=target.name,
            labels=seen.labels,
            timestamp=seen.timestamp,
            value=seen.value,
            expected_value=seen.expected_value,
            lower=seen.lower,
            upper=seen.upper,
            sigma=seen.sigma,
            severity=seen.severity or Severity.LOW,
            confidence=seen.confidence,
            method=seen.methods[0] if seen.methods else "",
            methods=seen.methods,
            explanation=seen.explanation,
            facts=seen.facts,
            query=target.asked,
            window=Window(instant(stamp) - target.lookback, instant(stamp), target.step),
            samples=len(columns),
            alert_id=alert.id if alert is not None else None,
            evidence_id=alert.evidence_id if alert is not None else None,
        )
    )


def observe(target: Target, judged: Judged, row: int, column: int) -> Observation | None:
    """What one sample says, or one that is missed; None where nothing can be said (a gap, or no baseline yet)."""
    value, sigma = float(judged.frame.values[row, column]), float(judged.scores.sigma[row, column])
    scores, policy = judged.scores, judged.policy
    absent = np.isnan(value) and scores.missing is not None
    if np.isnan(sigma) or (np.isnan(value) and not absent):
        return None
    shown = np.array([part[row, column] for part in (scores.expected, scores.lower, scores.upper)])
    expected, lower, upper = policy.within(shown).tolist()
    anomalous = bool(judged.anomalous[row, column])
    methods, course = scores.methods_at(row, column), int(scores.course[row, column])
    facts, samples = None, 0
    if anomalous:
        strongest = methods[0] if methods else ""
        by_auto = strongest in SPEAKERS
        season, samples = judged.background.ground(row, column, len(judged.frame.timestamps), by_auto=by_auto)
        facts = Facts(
            value=value,
            expected=expected,
            lower=lower,
            upper=upper,
            sigma=sigma,
            methods=methods,
            unit=target.nature.unit,
            season=season,
            samples=None if strongest in MORE else samples,
            threshold=policy.sigma if judged.entry is None else float(judged.entry[row, column]),
            floor=None if absent or strongest in (*AHEAD, *STILL) else float(floor(np.array([expected]), policy)[0]),
            last_at=judged.background.last.get(judged.frame.labels[row].fingerprint),
            told=(
                *told_at(scores, row, column, target.nature.unit),
                *((PARTIAL_WORDS,) if judged.frame.partial else ()),
            ),
            asked=asked_words(target, policy),
        )
    return Observation(
        labels=judged.frame.labels[row],
        timestamp=instant(float(judged.frame.timestamps[column])),
        value=value,
        expected_value=expected,
        lower=lower,
        upper=upper,
        sigma=sigma,
        severity=Severity.of(sigma) if anomalous else None,
        confidence=_confidence(sigma, methods, target, samples) * (PARTIAL_CONFIDENCE if judged.frame.partial else 1.0),
        methods=methods,
        flagged=bool(judged.judgement.flags[row, column]),
        holding=bool(judged.judgement.holding[row, column]),
        away=bool(judged.judgement.holding[row, column] and course == AWAY),
        returned=course == RETURNED,
        settled=course == SETTLED,
        facts=facts,
    )


def _confidence(sigma: float, methods: tuple[str, ...], target: Target, samples: int) -> float:
    """That of ``auto`` and of the named methods is calibrated on labelled incidents, for young series by what came of
    those; that of the further methods is one minus the tail.
    """
    step_s = target.step.total_seconds()
    if ConfidenceKind.of(methods) is ConfidenceKind.TAIL:
        return confidence_of(sigma)
    if methods[0] in SPEAKERS:
        return calibrated_confidence(sigma, step_s) * (1.0 if samples * step_s >= _DAY_S else FIRST_DAY_CONFIDENCE)
    young = wants_auto(target.detection_methods)
    return young_confidence(sigma, step_s) if young else likely_real(sigma, step_s, auto=False)


def instant(timestamp: float) -> datetime:
    """Unix seconds as an aware datetime."""
    return datetime.fromtimestamp(float(timestamp), UTC)


def conclude(alerts: Mapping[str, Alert] | list[Alert], reason: Reason, target_name: str, at: datetime) -> Evaluation:
    """The evaluation that ends all given alerts as EXPIRED because of what a person did to their target."""
    listed = list(alerts.values()) if isinstance(alerts, Mapping) else alerts
    draft = _Draft()
    for alert in listed:
        _note(draft, alert, ended(alert, AlertState.EXPIRED, at), reason, at)
    return Evaluation(target_name, at, alerts=tuple(draft.alerts.values()), transitions=tuple(draft.transitions))


def moved_in_shadow(alerts: Iterable[Alert], target: Target, at: datetime) -> Evaluation:
    """The evaluation that takes the active alerts of a target into its shadow or out of it; each change is told."""
    draft = _Draft()
    for alert in alerts:
        if alert.shadow is not target.shadow:
            reason = Reason.SHADOWED if target.shadow else Reason.TOLD
            _note(draft, alert, replace(alert, shadow=target.shadow), reason, at)
    return Evaluation(target.name, at, alerts=tuple(draft.alerts.values()), transitions=tuple(draft.transitions))


def take_over(active: dict[Fingerprint, Alert], evaluation: Evaluation) -> None:
    """Bring the active alerts of a target to where an evaluation leaves them."""
    # `seen` last: an alert that changed and then went on was seen after its change.
    for alert in (*evaluation.alerts, *evaluation.seen):
        if alert.active:
            active[alert.fingerprint] = alert
        else:
            active.pop(alert.fingerprint, None)
