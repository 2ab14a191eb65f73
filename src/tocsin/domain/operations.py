"""What people and other systems say of what they operate: deployments, rules of others, who is on call, incidents."""

from dataclasses import dataclass, field
from datetime import datetime

from tocsin.domain.labels import Labels


@dataclass(frozen=True, slots=True)
class Annotation:
    """Something that happened at `at` and lasted to `end`, the same for a moment. `text` is foreign: data, one line."""

    id: int
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
