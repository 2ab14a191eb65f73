"""The life of an alert: pending, firing, resolved or expired; pure moves with their reasons."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b

from tocsin.detect import Severity
from tocsin.domain.facts import Facts
from tocsin.domain.labels import Fingerprint, Labels
from tocsin.domain.target import Target


class AlertState(StrEnum):
    """Where an alert is in its life.

    EXPIRED ends an alert whose series vanished: nobody saw a recovery, so it is not called resolved.
    """

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"
    EXPIRED = "expired"


ACTIVE = (AlertState.PENDING, AlertState.FIRING)


class AlertKind(StrEnum):
    """What an alert is about: a series of a target, or a datasource (or what brings some) that does not answer."""

    ANOMALY = "anomaly"
    DATASOURCE = "datasource"


class Reason(StrEnum):
    """Why an alert changed its state."""

    ANOMALOUS = "anomalous"
    LASTED = "lasted_for_pending_for"
    WORSE = "severity_rose"
    DID_NOT_LAST = "did_not_last"
    RECOVERED = "recovered_for_keep_firing_for"
    VANISHED = "series_vanished"
    TARGET_DELETED = "target_deleted"
    TARGET_DISABLED = "target_disabled"
    TARGET_CHANGED = "target_changed"
    ACCEPTED = "accepted_as_normal"
    NEW_NORMAL = "became_normal"
    SHADOWED = "target_in_shadow"
    TOLD = "target_out_of_shadow"
    SOURCE_FAILING = "datasource_failing"
    SOURCE_ANSWERS = "datasource_answers_again"


@dataclass(frozen=True, slots=True)
class Observation:
    """What one sample of one series says, with all words an alert needs.

    `flagged`: beyond the entry threshold and all floors; `holding`: beyond the lower exit threshold; `away`: so because
    it has not come back to the level that it left, on whatever side of what is expected by now; `returned`: it has;
    `settled`: where it is has just become its normal.
    """

    labels: Labels
    timestamp: datetime
    value: float
    expected_value: float
    lower: float
    upper: float
    sigma: float
    severity: Severity | None
    confidence: float
    methods: tuple[str, ...]
    flagged: bool
    holding: bool
    away: bool = False
    returned: bool = False
    settled: bool = False
    facts: Facts | None = None

    @property
    def explanation(self) -> str:
        """Why it is odd, in one sentence; "" where it is not."""
        return "" if self.facts is None else self.facts.sentence


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert while it lasts, however many evaluations see it.

    `active_at` first anomalous sample; `starts_at` firing since; `ends_at` over at; `last_anomalous_at` the newest
    sample that held it. `severity`, `value`, `expected_value`, `sigma`, `confidence` and `methods` are those of its
    worst sample so far and never become milder; `unit` is what the values are, "" where that is not known.
    `anomaly_count` counts anomalous samples. In `shadow` it is recorded and not told. `well_for` is how much of the
    time since `last_anomalous_at` was seen to be well, a step for each such sample: memory for the next sample, not
    kept, because after a start those samples are judged once more.
    """

    id: str
    kind: AlertKind
    target_name: str
    labels: Labels
    state: AlertState
    severity: Severity
    active_at: datetime
    last_anomalous_at: datetime
    updated_at: datetime
    value: float | None
    expected_value: float | None
    sigma: float | None
    confidence: float | None
    methods: tuple[str, ...]
    summary: str
    explanation: str
    anomaly_count: int = 1
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    last_seen_at: datetime | None = None
    evidence_id: str | None = None
    shadow: bool = False
    unit: str = ""
    well_for: timedelta = timedelta(0)

    @property
    def fingerprint(self) -> Fingerprint:
        """The identity of the series."""
        return self.labels.fingerprint

    @property
    def active(self) -> bool:
        """Whether it is pending or firing."""
        return self.state in ACTIVE


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of state (or of severity while firing), with its reason; `at` is the time of the sample behind it."""

    alert_id: str
    at: datetime
    before: AlertState | None
    after: AlertState
    reason: Reason
    severity: Severity
    value: float | None = None
    sigma: float | None = None
    detail: str = ""
    evidence_id: str | None = None


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A person took note of an alert: who, why, when."""

    alert_id: str
    who: str
    note: str
    at: datetime


def alert_id(target_name: str, labels: Labels, active_at: datetime) -> str:
    """The id of the alert of one series that began at `active_at`: the same in every process that sees it begin."""
    data = f"{target_name}\xff{labels.fingerprint}\xff{active_at.timestamp():.3f}"
    return f"alert:{blake2b(data.encode(), digest_size=8).hexdigest()}"


def vanish_after(target: Target) -> float:
    """Seconds without a sample after which a series counts as gone: five checks, at least five minutes."""
    return max(5 * target.check_interval.total_seconds(), 5 * target.step.total_seconds(), 300.0)
