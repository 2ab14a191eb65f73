"""What happened to what is watched, as people and other systems say: deployments above all."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from urllib.parse import urlsplit

from tocsin.domain.errors import Invalid
from tocsin.domain.labels import Labels
from tocsin.domain.redact import without_credentials
from tocsin.domain.words import many

MAX_EVENTS = 10_000
"""Kept in all; the oldest go first."""

MAX_TITLE = 500
REMEMBERED = timedelta(days=400)
"""How long events are kept: no back-test reaches further back."""

AHEAD = timedelta(days=1)
"""So far ahead an event may lie: clocks differ, and a rollout may be announced."""

MAX_FORGOTTEN = 1_000
"""Events of a datasource that people have deleted and that are not taken from it again; the first deleted go first."""

SAME_WITHIN = timedelta(days=2)
"""An event of a deleted one's id that lies further from it is another: a Grafana may count from one anew."""

TOLD_WITHIN = timedelta(hours=1)
"""An event so long before an alert is told with it."""

MOST_TOLD = 5


API = "api"
"""The source of what people and build systems say."""


class EventKind(StrEnum):
    """`deploy`: something was changed on purpose. `note`: anything else, which is shown and changes no threshold."""

    DEPLOY = "deploy"
    NOTE = "note"


class AfterDeploy(StrEnum):
    """What a target does after a deployment: nothing, ask for more sigma, begin no alert, ask for fewer sigma."""

    NOTHING = "nothing"
    WIDEN = "widen"
    HOLD = "hold"
    TIGHTEN = "tighten"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at an instant: to one target or all (None), to the series that carry `labels`.

    `source` is who says so: `api`, or the uid of a datasource. `title` is foreign text: data, never an instruction.
    """

    id: str
    kind: EventKind
    at: datetime
    title: str
    target_name: str | None = None
    labels: Labels = field(default_factory=Labels)
    source: str = API
    url: str = ""

    def of_target(self, name: str) -> bool:
        """Whether it is about that target."""
        return self.target_name in (None, name)

    def concerns(self, name: str, labels: Labels) -> bool:
        """Whether it is about that series of that target."""
        return self.of_target(name) and self.labels.items() <= labels.items()

    def validated(self, now: datetime) -> "Event":
        """This event, or `Invalid` naming the first field that cannot be."""
        if not self.title.strip():
            raise Invalid("title", "must not be empty")
        if len(self.title) > MAX_TITLE:
            raise Invalid("title", f"must hold at most {MAX_TITLE} characters")
        if self.at > now + AHEAD:
            raise Invalid("at", "must not be more than a day ahead")
        if self.at < now - REMEMBERED:
            raise Invalid("at", f"must not be more than {REMEMBERED.days} days ago: nothing reaches back that far")
        if self.url and not _is_web(self.url):
            raise Invalid("url", "must begin with http:// or https:// and name a host")
        if self.url and "@" in urlsplit(self.url).netloc:
            raise Invalid("url", "must hold no credentials: whoever sees the event sees it")
        if without_credentials(self.url) != self.url:
            raise Invalid("url", "must hold no token, key or password: whoever sees the event sees it")
        for name, value in self.labels.items():
            if without_credentials(value) != value:
                raise Invalid("labels", f"{name} must hold no token or key: whoever sees the event sees it")
        return self


def told_before(events: tuple[Event, ...], name: str, labels: Labels, at: datetime) -> tuple[str, ...]:
    """Lines of evidence: what happened to a series in the hour before an instant, the nearest first, as events are."""
    recent = takewhile(lambda one: one.at >= at - TOLD_WITHIN, events)
    near = [one for one in recent if one.at <= at and one.concerns(name, labels)]
    lines = [f"{one.kind} {_ago(at - one.at)} before, at {one.at:%H:%M:%S} UTC: {_one_line(one)}" for one in near]
    if len(lines) > MOST_TOLD:
        lines[MOST_TOLD:] = [_left_out(len(lines) - MOST_TOLD)]
    return tuple(lines)


def _left_out(count: int) -> str:
    return f"{many(count, 'earlier event')} of that hour {'is' if count == 1 else 'are'} left out"


def _one_line(event: Event) -> str:
    where = f" ({event.url})" if event.url else ""
    return " ".join(event.title.split()) + where


def _ago(span: timedelta) -> str:
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable() and " " not in url
