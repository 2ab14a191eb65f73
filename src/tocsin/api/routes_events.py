"""Deployments and other events, as build systems and people tell them."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from tocsin.api.models_common import Instant, Word
from tocsin.api.models_events import EventAnswer, EventList, EventRequest, event_answer, event_from
from tocsin.api.paging import PageQuery, next_path, part_of
from tocsin.api.routing import EventId, Through

router = APIRouter(prefix="/events", tags=["events"])


class EventQuery(PageQuery):
    """Which events."""

    since: Instant | None = None
    until: Instant | None = None
    target: Word | None = None


@router.post("", status_code=201, summary="Say that something happened")
async def add_event(body: EventRequest, doors: Through) -> EventAnswer:
    """A deployment is shown with the series and with alerts that begin within the hour after it. What it does to the
    thresholds of a target is the target's `after_deploy`. Samples that were judged already stay judged.
    """
    services = doors.services
    event = event_from(body, services.clock.now())
    return event_answer(await services.monitor.events.add(event, dated=body.at is not None))


@router.get("", summary="What happened")
async def list_events(request: Request, query: Annotated[EventQuery, Query()], doors: Through) -> EventList:
    """Events, the newest first; with `target` those that concern it, of a deleted one those that name it. A target of
    which nothing is known is 404.
    """
    found = doors.services.monitor.events.listed(query.since, query.until, query.target)
    return EventList(
        items=[event_answer(one) for one in part_of(found, query.page)],
        total=len(found),
        next=next_path(request, query.page, len(found)),
    )


@router.delete("/{event_id}", status_code=204, summary="Forget an event")
async def forget_event(event_id: EventId, doors: Through) -> Response:
    """It concerns nothing that is judged from now on. One of a datasource is not taken from it again."""
    await doors.services.monitor.events.remove(event_id)
    return Response(status_code=204)
