"""Alerts: list, read, acknowledge; and the stream of their transitions."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import PlainTextResponse
from pydantic import Field

from tocsin.api.models_alert import (
    AcknowledgeAnswer,
    AcknowledgeRequest,
    AlertDetail,
    AlertList,
    EvidenceAnswer,
    UnacknowledgeAnswer,
    alert_answer,
    alert_detail,
    evidence_answer,
)
from tocsin.api.models_common import Text, Word
from tocsin.api.paging import PageQuery, labels_from, next_path
from tocsin.api.routing import AlertId, AlertOrTarget, Through
from tocsin.api.stream import EventStream, events
from tocsin.detect import Severity
from tocsin.domain.alert import AlertState
from tocsin.domain.errors import Invalid
from tocsin.domain.ports import AlertFilter

router = APIRouter(prefix="/monitoring", tags=["alerts"])

YEAR_OF_MINUTES = 366 * 24 * 60


class AlertQuery(PageQuery):
    """Which alerts: every field narrows."""

    minutes: Annotated[
        float,
        Field(gt=0, le=YEAR_OF_MINUTES, allow_inf_nan=False, description="Active now, or over since so many minutes."),
    ] = 60.0
    min_severity: Severity | None = None
    include_acknowledged: bool = True
    shadow: Annotated[bool | None, Field(description="Only those in shadow, or only those that are told.")] = None
    state: list[Word] = Field(
        default=[], max_length=16, description="pending, firing, resolved, expired; repeated or with commas."
    )
    target: Word | None = None
    label: list[Text] = Field(default=[], max_length=32, description="name=value; repeatable.")
    labels: list[Text] = Field(default=[], max_length=32, description="name=value,name=value")


def _states(texts: list[str]) -> tuple[AlertState, ...]:
    names = [name.strip() for text in texts for name in text.split(",")]
    unknown = [name for name in names if name not in list(AlertState)]
    if unknown:
        raise Invalid("state", f"must be one of {', '.join(AlertState)}")
    return tuple(dict.fromkeys(map(AlertState, names)))


@router.get("/alerts", summary="Recent alerts")
async def list_alerts(request: Request, query: Annotated[AlertQuery, Query()], doors: Through) -> AlertList:
    """Alerts that are active now or were within `minutes`, those that changed last first. Without `state` those that
    fired; pending ones are asked for with `state=pending`. A `target` of which nothing is known is 404, one that was
    deleted is known by what is kept of it.
    """
    services = doors.services
    which = AlertFilter(
        states=_states(query.state),
        target_name=query.target,
        min_severity=query.min_severity,
        since=services.clock.now() - timedelta(minutes=query.minutes),
        include_acknowledged=query.include_acknowledged,
        shadow=query.shadow,
        labels=labels_from(query.label, query.labels),
    )
    found = await services.history.alerts(which, query.page)
    if query.target is not None and not found.total:
        await services.monitor.look_up(query.target)
    remarks = await services.monitor.feedback.remarks([one.alert for one in found.items])
    return AlertList(
        items=[alert_answer(one, remarks[one.alert.id]) for one in found.items],
        total=found.total,
        next=next_path(request, query.page, found.total),
    )


@router.get("/alerts/{alert_id}", summary="Read an alert")
async def read_alert(alert_id: AlertId, doors: Through) -> AlertDetail:
    """An alert with its transitions and the evidence frozen at each."""
    story = await doors.services.history.alert(alert_id)
    remarks = await doors.services.monitor.feedback.remarks([story.alert])
    return alert_detail(story, remarks[story.alert.id])


@router.get(
    "/evidence/{evidence_id}",
    summary="Read a piece of evidence",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    response_model=EvidenceAnswer,
)
async def read_evidence(
    evidence_id: AlertId, doors: Through, accept: Annotated[str, Header(max_length=1000)] = ""
) -> EvidenceAnswer | PlainTextResponse:
    """What was frozen when an alert changed; with `Accept: text/plain` drawn as text. No datasource is asked."""
    found = await doors.services.history.evidence(evidence_id)
    plain = "text/plain" in accept.lower() and "application/json" not in accept.lower()
    return PlainTextResponse(found.text) if plain else evidence_answer(found)


@router.post("/alerts/{alert_or_target}/acknowledge", summary="Acknowledge alerts")
async def acknowledge(
    alert_or_target: AlertOrTarget, doors: Through, body: AcknowledgeRequest | None = None
) -> AcknowledgeAnswer:
    """Take note of one alert by its id, or of all active ones of a target by its name."""
    words = body or AcknowledgeRequest()
    services = doors.services
    ids = await services.monitor.acknowledge(alert_or_target, words.who, words.note)
    return AcknowledgeAnswer(acknowledged=list(ids), who=words.who, note=words.note, at=services.clock.now())


@router.delete("/alerts/{alert_or_target}/acknowledge", summary="Take an acknowledgement back")
async def unacknowledge(alert_or_target: AlertOrTarget, doors: Through) -> UnacknowledgeAnswer:
    """The ids whose acknowledgement was taken back; taking back what is not there is no error."""
    return UnacknowledgeAnswer(unacknowledged=list(await doors.services.monitor.unacknowledge(alert_or_target)))


@router.get(
    "/stream",
    summary="Transitions as server-sent events",
    status_code=200,
    response_class=EventStream,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream(
    doors: Through,
    last_event_id: Annotated[str | None, Header(max_length=32, description="Go on after this event.")] = None,
    shadow: Annotated[bool, Query(description="Also those of alerts in shadow.")] = False,  # noqa: FBT002 -- a query
) -> EventStream:
    """`event: transition` with its sequence number as `id` and `{alert, transition}` as data. Without `Last-Event-ID`
    it begins with the next one. Alerts in shadow are left out but for their way into it. A comment every 15
    seconds shows that it lives.
    """
    services = doors.services
    last = await services.history.last_sequence()
    # A number beyond the last one is from another database: to wait for it would be to say nothing for ever.
    after = last if last_event_id is None else min(last, _sequence(last_event_id))
    return EventStream(events(services, after, shadow=shadow), doors.streams, services.stopping)


def _sequence(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise Invalid("Last-Event-ID", "must be the id of an event, a whole number")
    return int(text)
