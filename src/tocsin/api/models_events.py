"""What happened to what is watched, in JSON."""

from datetime import datetime
from hashlib import blake2b
from typing import Annotated
from uuid import uuid4

from pydantic import AfterValidator, Field

from tocsin.api.models_common import AnswerModel, Instant, ListAnswer, RequestModel, Text, Word, printable
from tocsin.api.models_target import LabelMap
from tocsin.domain.events import MAX_TITLE, Event, EventKind
from tocsin.domain.labels import Labels


class EventRequest(RequestModel):
    """A deployment, or another thing that happened: to one target or all, to the series that carry `labels`."""

    title: Annotated[
        str,
        Field(strict=True, min_length=1, max_length=MAX_TITLE, description="What happened, as people would say it."),
        AfterValidator(printable),
    ]
    kind: Annotated[EventKind, Field(description="A note is shown and changes no threshold.")] = EventKind.DEPLOY
    at: Annotated[Instant | None, Field(description="When. Without it now, or as it was where the `key` is known.")] = (
        None
    )
    target: Word | None = None
    labels: LabelMap = Field(default={})
    url: Annotated[Text, Field(description="Where to read more.")] = ""
    key: Annotated[
        Word | None, Field(description="What is sent again under the same key takes the place of the earlier one.")
    ] = None


class EventAnswer(AnswerModel):
    """Something that happened."""

    id: str
    kind: EventKind
    at: datetime
    title: str
    target: str | None
    labels: dict[str, str]
    source: str
    url: str


class EventList(ListAnswer[EventAnswer]):
    """Events, the newest first."""


def event_from(request: EventRequest, now: datetime) -> Event:
    """The event of a request; its id follows from its key where it has one."""
    name = uuid4().hex[:16] if request.key is None else blake2b(request.key.encode(), digest_size=8).hexdigest()
    return Event(
        id=f"event:{name}",
        kind=request.kind,
        at=request.at or now,
        title=request.title,
        target_name=request.target,
        labels=Labels(request.labels),
        url=request.url,
    )


def event_answer(event: Event) -> EventAnswer:
    """An event."""
    return EventAnswer(
        id=event.id,
        kind=event.kind,
        at=event.at,
        title=event.title,
        target=event.target_name,
        labels=dict(event.labels),
        source=event.source,
        url=event.url,
    )
