"""What people say afterwards: verdicts on alerts, marked windows, what they accepted, and the changes that follow."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from tocsin.detect import Severity
from tocsin.domain.alert import Alert
from tocsin.domain.errors import Invalid
from tocsin.domain.events import Event
from tocsin.domain.labels import Labels

MAX_WINDOW = timedelta(days=90)
"""The longest window that can be marked: a lookback is no longer."""

MAX_WINDOWS = 1000
MAX_ACCEPTANCES = 1000

REMEMBERED = timedelta(days=400)
"""How long marked windows are kept: no back-test reaches further back."""

DAY_MINUTES = 1440

OCCASION = timedelta(minutes=40)
"""What a series does within that time is one occasion: one that flaps stands out once."""


class Verdict(StrEnum):
    """What a person says an alert was: nothing, something known, or a real incident."""

    FALSE = "false"
    EXPECTED = "expected"
    REAL = "real"


class WindowKind(StrEnum):
    """Why a window is marked."""

    INCIDENT = "incident"
    MAINTENANCE = "maintenance"


class AcceptanceKind(StrEnum):
    """What was accepted: a new level of a series, an alert that comes again and again, hours with a higher threshold,
    series that never alert.
    """

    LEVEL = "level"
    RECURRING = "recurring"
    HOURS = "hours"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class Mark:
    """A person's verdict on one alert. It stands beside the alert, which it does not change."""

    alert_id: str
    verdict: Verdict
    who: str
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class MarkedAlert:
    """An alert and the verdict on it."""

    alert: Alert
    mark: Mark


@dataclass(frozen=True, slots=True)
class MarkedWindow:
    """A time, ends included, from which nothing is learnt: of one target or all (None), of the series that carry
    `labels`. What is judged in it is judged as ever.
    """

    id: str
    kind: WindowKind
    target_name: str | None
    labels: Labels
    start: datetime
    end: datetime
    who: str
    note: str
    created_at: datetime

    def of_target(self, name: str) -> bool:
        """Whether it is about that target."""
        return self.target_name in (None, name)

    def same(self, other: "MarkedWindow") -> bool:
        """Whether it says the same as another, whoever said it."""
        return (self.kind, self.target_name, self.labels, self.start, self.end) == (
            other.kind,
            other.target_name,
            other.labels,
            other.start,
            other.end,
        )

    def touches(self, alert: Alert, now: datetime) -> bool:
        """Whether an alert was active in it so far; one that goes on is so up to `now`."""
        return (
            self.of_target(alert.target_name)
            and self.labels.items() <= alert.labels.items()
            and alert.active_at <= self.end
            and (alert.ends_at or now) >= self.start
        )

    def validated(self) -> "MarkedWindow":
        """This window, or `Invalid` naming the first field that cannot be."""
        if self.end <= self.start:
            raise Invalid("end", "must be later than start")
        if self.end - self.start > MAX_WINDOW:
            raise Invalid("end", f"must be at most {MAX_WINDOW.days} days after start")
        if self.end < self.created_at - REMEMBERED:
            raise Invalid("end", f"must not be more than {REMEMBERED.days} days ago: nothing reaches back that far")
        if self.start > self.created_at + REMEMBERED:
            raise Invalid("start", f"must not be more than {REMEMBERED.days} days ahead")
        return self


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of each day in a time zone, minutes after midnight, `begin` to `end` inclusive (over midnight where end
    is the smaller), on some days of the week (0 is Monday; none named: all).
    """

    begin: int
    end: int
    timezone: str = "UTC"
    weekdays: tuple[int, ...] = ()

    def contains(self, at: datetime) -> bool:
        """Whether an instant lies in it."""
        local = at.astimezone(ZoneInfo(self.timezone))
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.begin <= self.end:
            inside = self.begin <= minute <= self.end
        else:
            inside = minute >= self.begin or minute <= self.end
            # The part after midnight belongs to the day on which the slot began.
            day = (day - 1) % 7 if minute <= self.end else day
        return inside and (not self.weekdays or day in self.weekdays)

    @classmethod
    def around(cls, minute: int, reach: int, timezone: str) -> "Slot":
        """The minutes `reach` before and after one."""
        return cls((minute - reach) % DAY_MINUTES, (minute + reach) % DAY_MINUTES, timezone)

    def __str__(self) -> str:
        return f"{clock_time(self.begin)} to {clock_time(self.end)} {self.timezone}"


def clock_time(minute: int) -> str:
    """Minutes after midnight as `02:10`."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What a person accepted, from `at` on until `expires_at` (None: for good) or until they took it back (`ended_at`).

    LEVEL: the series that carry `labels` have a new normal since `since`. RECURRING: alerts of the series `labels` that
    begin in `slot` are expected as long as they deviate by no more than `most_above` and `most_below`. HOURS: in `slot`
    an alert of the series that carry `labels` begins at `sigma`, where the target's own threshold is lower. EXCLUDED:
    none begins at all, what is found is still kept.
    """

    id: str
    kind: AcceptanceKind
    target_name: str
    labels: Labels
    at: datetime
    who: str
    note: str
    since: datetime | None = None
    slot: Slot | None = None
    most_above: float = 0.0
    most_below: float = 0.0
    sigma: float = 0.0
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str = ""

    @property
    def over_at(self) -> datetime | None:
        """When it is over, by itself or because a person said so; None where it is for good."""
        return min((each for each in (self.expires_at, self.ended_at) if each is not None), default=None)

    def holds(self, at: datetime) -> bool:
        """Whether it is in force at an instant."""
        until = self.over_at
        return self.at <= at and (until is None or at < until)

    def expects(self, alert: Alert) -> bool:
        """Whether it says that this alert was to come, as it came."""
        if self.kind is not AcceptanceKind.RECURRING or self.slot is None or alert.target_name != self.target_name:
            return False
        if alert.labels != self.labels or not self.holds(alert.active_at):
            return False
        if alert.value is None or alert.expected_value is None:
            return False
        deviation = alert.value - alert.expected_value
        return self.slot.contains(alert.starts_at or alert.active_at) and -self.most_below <= deviation <= (
            self.most_above
        )


@dataclass(frozen=True, slots=True)
class Verdicted:
    """What of a verdict changes thresholds: the series, when the alert began, how strong it was, and what it was."""

    labels: Labels
    at: datetime
    sigma: float
    methods: tuple[str, ...]
    verdict: Verdict

    @classmethod
    def of(cls, one: MarkedAlert) -> "Verdicted | None":
        """That of a marked alert; None for one that is about no sample."""
        alert = one.alert
        if alert.sigma is None:
            return None
        return cls(alert.labels, alert.active_at, abs(alert.sigma), alert.methods, one.mark.verdict)


@dataclass(frozen=True, slots=True)
class Marked:
    """What people said of one target that changes what is learnt or when an alert begins: the part of memory that they
    own.
    """

    windows: tuple[MarkedWindow, ...] = ()
    levels: tuple[Acceptance, ...] = ()
    exempt: tuple[Acceptance, ...] = ()
    verdicts: tuple[Verdicted, ...] = ()
    events: tuple[Event, ...] = ()


UNMARKED = Marked()
"""Nobody said anything."""


@dataclass(frozen=True, slots=True)
class Remarks:
    """What is to be said of an alert beside itself: the first marked window that it was active in, what it recurs as,
    and by which acceptance it was expected.
    """

    in_window: MarkedWindow | None = None
    recurring: "Recurring | None" = None
    expected_by: Acceptance | None = None


@dataclass(frozen=True, slots=True)
class Recurring:
    """A series that stands out at the same time of day again and again, whether alerts came of it or not.

    `around` is the middle in minutes after midnight of `timezone`, `times` how often on `days` days, `chance` how
    probable that is without a reason. `most_above` and `most_below` are the largest deviations seen, `alert_ids` the
    alerts among them: those that nothing held back.
    """

    target_name: str
    labels: Labels
    around: int
    timezone: str
    times: int
    days: int
    first: datetime
    last: datetime
    chance: float
    most_above: float
    most_below: float
    alert_ids: tuple[str, ...]

    @property
    def middle(self) -> datetime:
        """The middle of the last day on which it stood out."""
        hour, minute = divmod(self.around, 60)
        return self.last.astimezone(ZoneInfo(self.timezone)).replace(hour=hour, minute=minute)

    @property
    def words(self) -> str:
        """One sentence."""
        at = f"{clock_time(self.around)} {self.timezone}"
        when = f"{self.times} times around {at} on {self.days} days since {self.first:%Y-%m-%d}"
        alerts = len(self.alert_ids)
        if alerts >= self.times:
            return f"has begun {when}"
        told = f"alerts came of {alerts} of them" if alerts > 1 else "an alert came of one of them"
        return f"has stood out {when}; {told if alerts else 'no alert came of any'}"


@dataclass(frozen=True, slots=True)
class Firing:
    """When an alert began to fire, and by how much it deviated at its worst (value less expected). Without an
    `alert_id`: when a series stood out of which no alert came, and how `severe` that was at its worst.
    """

    alert_id: str | None
    target_name: str
    labels: Labels
    starts_at: datetime
    deviation: float = 0.0
    severe: Severity = Severity.LOW
