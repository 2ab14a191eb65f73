"""From alerts to the messages that a person would get: groups, and when each is told. Pure; time is in the alerts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from tocsin.detect import Severity
from tocsin.domain.alert import Alert, AlertState, Transition
from tocsin.domain.labels import Labels


@dataclass(frozen=True, slots=True)
class Telling:
    """How alerts become messages, in the meaning and with the defaults of Prometheus' Alertmanager.

    A group is told `group_wait` after its first alert fired, so that what fires together comes in one message. After
    that it is looked at every `group_interval`: what changed is told, and what did not again after `repeat_interval`,
    as long as an alert that nobody acknowledged fires.
    """

    group_wait: timedelta = timedelta(seconds=30)
    group_interval: timedelta = timedelta(minutes=5)
    repeat_interval: timedelta = timedelta(hours=4)


TELLING = Telling()


@dataclass(frozen=True, slots=True)
class Fired:
    """What telling needs to know of an alert that fired; one that stayed pending tells nobody and is none.

    `active_at` its first anomalous sample, `starts_at` firing since, `last_anomalous_at` the newest sample that held
    it, `ends_at` over at, None while it fires. `severity` is that of its beginning, `rises` when it rose, and to what.
    """

    alert_id: str
    target_name: str
    labels: Labels
    severity: Severity
    active_at: datetime
    starts_at: datetime
    last_anomalous_at: datetime
    ends_at: datetime | None = None
    rises: tuple[tuple[datetime, Severity], ...] = ()
    acknowledged_at: datetime | None = None

    def severity_at(self, at: datetime) -> Severity:
        """How bad it was known to be at an instant."""
        return max([self.severity, *(severity for when, severity in self.rises if when <= at)])

    @property
    def worst(self) -> Severity:
        """How bad it came to be."""
        return max([self.severity, *(severity for _, severity in self.rises)])


class Occasion(StrEnum):
    """Why a message is sent."""

    FIRST = "first"
    CHANGED = "changed"
    REPEATED = "repeated"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Message:
    """One message about a group: how many of its alerts fire at that instant, and how many ended since the last."""

    at: datetime
    occasion: Occasion
    firing: int
    ended: int


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts that are told together.

    It is open from its first alert on until it is seen that all have ended, and takes in whatever fires meanwhile.
    `ends_at` is None for one that is still open. One whose alerts were over before it could be told has no messages.
    """

    key: str
    begins_at: datetime
    ends_at: datetime | None
    alert_ids: tuple[str, ...]
    severity: Severity
    messages: tuple[Message, ...]


def fired(alerts: Iterable[Alert], transitions: Iterable[Transition]) -> list[Fired]:
    """Alerts as they are now, with their transitions in the order of time, as what telling needs."""
    rises: dict[str, list[tuple[datetime, Severity]]] = {}
    begun: dict[str, Severity] = {}
    for one in transitions:
        if one.after is not AlertState.FIRING:
            continue
        if one.before is AlertState.FIRING:
            rises.setdefault(one.alert_id, []).append((one.at, one.severity))
        else:
            begun[one.alert_id] = one.severity
    return [
        Fired(
            alert_id=alert.id,
            target_name=alert.target_name,
            labels=alert.labels,
            severity=begun.get(alert.id, alert.severity),
            active_at=alert.active_at,
            starts_at=alert.starts_at,
            last_anomalous_at=alert.last_anomalous_at,
            ends_at=alert.ends_at,
            rises=tuple(rises.get(alert.id, ())),
        )
        for alert in alerts
        if alert.starts_at is not None
    ]


def groups_of(
    alerts: Iterable[Fired],
    until: datetime,
    *,
    telling: Telling = TELLING,
    key: Callable[[Fired], str] = lambda one: one.target_name,
    told: bool = True,
) -> list[Group]:
    """The groups of `alerts` and what had been told of them by `until`, in the order in which they begin.

    Alerts of one `key` share a group while it is open. Without `told` (a target in shadow) there are no messages.
    """
    queues: dict[str, list[Fired]] = {}
    for one in sorted(alerts, key=lambda one: (one.starts_at, one.alert_id)):
        queues.setdefault(key(one), []).append(one)
    found: list[Group] = []
    for name, queue in queues.items():
        at = 0
        while at < len(queue):
            course = _Course(telling, queue, at)
            found.append(course.run(name, until, told=told))
            at = course.next
    return sorted(found, key=lambda group: group.begins_at)


@dataclass(slots=True)
class _Course:
    """One group while it is looked at again and again; `next` is the first alert of the queue that it has not seen."""

    telling: Telling
    queue: Sequence[Fired]
    next: int
    firing: dict[str, Fired] = field(default_factory=dict)
    told: dict[str, Severity] = field(default_factory=dict)
    last_sent: datetime | None = None

    def run(self, key: str, until: datetime, *, told: bool) -> Group:
        first = self.next
        begins, ends = self.queue[first].starts_at, None
        at = begins + self.telling.group_wait
        messages: list[Message] = []
        while at <= until:
            message = self._look(at)
            if message is not None:
                messages.append(message)
            if not self.firing:
                ends = at
                break
            at = self._next_look(at, until)
        # What fired after the last look is of this group too, where it is still open at `until`.
        while ends is None and self.next < len(self.queue) and self.queue[self.next].starts_at <= until:
            self.next += 1
        self.next = max(self.next, first + 1)
        members = self.queue[first : self.next]
        return Group(
            key=key,
            begins_at=begins,
            ends_at=ends,
            alert_ids=tuple(one.alert_id for one in members),
            severity=max(one.worst for one in members),
            messages=tuple(messages) if told else (),
        )

    def _look(self, at: datetime) -> Message | None:
        """What there is to be told at `at`, if anything."""
        while self.next < len(self.queue) and self.queue[self.next].starts_at <= at:
            self.firing[self.queue[self.next].alert_id] = self.queue[self.next]
            self.next += 1
        over = [name for name, one in self.firing.items() if one.ends_at is not None and one.ends_at <= at]
        for name in over:
            del self.firing[name]
        ended = sum(name in self.told for name in over)
        now = {name: one.severity_at(at) for name, one in self.firing.items()}
        occasion = self._occasion(at, now, ended)
        self.told = {name: severity for name, severity in self.told.items() if name in now}
        if occasion is None:
            return None
        self.told, self.last_sent = now, at
        return Message(at, occasion, len(now), ended)

    def _occasion(self, at: datetime, now: dict[str, Severity], ended: int) -> Occasion | None:
        if not now:
            # Alerts that were over before anybody was told of them are not told at all.
            return Occasion.OVER if ended else None
        if self.last_sent is None:
            return Occasion.FIRST
        if ended or any(name not in self.told or severity > self.told[name] for name, severity in now.items()):
            return Occasion.CHANGED
        waiting = any(one.acknowledged_at is None or one.acknowledged_at > at for one in self.firing.values())
        return Occasion.REPEATED if waiting and at - self.last_sent >= self.telling.repeat_interval else None

    def _next_look(self, at: datetime, until: datetime) -> datetime:
        """The next look at which something may have changed: those before it would find nothing."""
        events = [one.ends_at for one in self.firing.values() if one.ends_at is not None]
        events += [when for one in self.firing.values() for when, _ in one.rises if when > at]
        if self.next < len(self.queue):
            events.append(self.queue[self.next].starts_at)
        if self.last_sent is not None:
            # A repeat that is overdue waits for an alert that nobody acknowledged; each look asks for it.
            events.append(max(self.last_sent + self.telling.repeat_interval, at))
        soonest = min(events, default=until)
        looks = max(1, -((at - soonest) // self.telling.group_interval))
        return at + looks * self.telling.group_interval
