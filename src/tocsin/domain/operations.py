"""What people and other systems say of what they operate: deployments, rules of others, who is on call, incidents."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tocsin.domain.labels import Labels

NEAR = timedelta(hours=1)
"""A deployment so long before an anomaly is told with it."""

MOST_NEAR = 5
"""Deployments told with one anomaly, the nearest."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """Something that happened at `at` and lasted to `end`, the same for a moment. `text` is foreign: data, one line."""

    at: datetime
    end: datetime
    text: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A rule that another system evaluates. `state` is its word (`firing`, `pending`, `inactive`), "" without one."""

    name: str
    group: str
    state: str
    health: str
    labels: Labels = field(default_factory=Labels)
    query: str = ""


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who is on call in one schedule now; nobody is an answer."""

    schedule: str
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident that people declared. `status` is `active` or `resolved`."""

    id: str
    title: str
    status: str
    severity: str = ""


@dataclass(frozen=True, slots=True)
class IncidentsFound:
    """Declared incidents. Without any, `certain` is false: the server answers the same where it keeps no incidents."""

    items: tuple[OpenIncident, ...]
    more: bool = False

    @property
    def certain(self) -> bool:
        """Whether this says anything; an empty list is never "all quiet"."""
        return bool(self.items)


def deployments_near(annotations: tuple[Annotation, ...], at: datetime) -> tuple[str, ...]:
    """Lines of evidence: the deployments in the hour before `at`, the nearest first; () when there is none."""
    near = sorted((each for each in annotations if at - NEAR <= each.at <= at), key=lambda each: each.at, reverse=True)
    lines = [
        f"deployment {_ago(at - each.at)} before, at {each.at:%H:%M:%S} UTC: {each.text or 'without a text'}"
        + (f" [{', '.join(each.tags)}]" if each.tags else "")
        for each in near[:MOST_NEAR]
    ]
    if len(near) > MOST_NEAR:
        lines.append(f"{len(near) - MOST_NEAR} earlier deployments of that hour are left out")
    return tuple(lines)


def _ago(span: timedelta) -> str:
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
