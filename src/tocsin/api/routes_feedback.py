"""What people say afterwards: verdicts on alerts, marked windows, what they accept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from tocsin.api.models_common import Word
from tocsin.api.models_feedback import (
    AcceptanceAnswer,
    AcceptanceList,
    AcceptedAnswer,
    AcceptRecurringRequest,
    AcceptRequest,
    EndRequest,
    MarkAnswer,
    MarkedWindowList,
    MarkingAnswer,
    RecurringList,
    UnmarkAnswer,
    VerdictRequest,
    WindowRequest,
    acceptance_answer,
    accepted_answer,
    lasting,
    marked_window_answer,
    marking_answer,
    minutes_of,
    recurring_item,
    window_from,
)
from tocsin.api.paging import PageQuery, next_path, part_of
from tocsin.api.routing import AcceptanceId, AlertId, TargetName, Through, WindowId, problems
from tocsin.domain.feedback import Acceptance, AcceptanceKind, Recurring
from tocsin.domain.labels import Labels

router = APIRouter(prefix="/monitoring", tags=["feedback"])


@router.put("/alerts/{alert_id}/verdict", summary="Say what an alert was")
async def mark_alert(alert_id: AlertId, body: VerdictRequest, doors: Through) -> MarkAnswer:
    """`false`: nothing was wrong. `expected`: something known. `real`: an incident. It stands beside the alert and
    takes the place of an earlier verdict; proposals follow from it.
    """
    mark = await doors.services.monitor.proposals.mark(alert_id, body.verdict, body.who, body.note)
    return MarkAnswer(alert_id=mark.alert_id, verdict=mark.verdict, who=mark.who, note=mark.note, at=mark.at)


@router.delete("/alerts/{alert_id}/verdict", summary="Take a verdict back")
async def unmark_alert(alert_id: AlertId, doors: Through) -> UnmarkAnswer:
    """Taking back what is not there is no error."""
    return UnmarkAnswer(alert_id=alert_id, unmarked=await doors.services.monitor.proposals.unmark(alert_id))


class TargetQuery(PageQuery):
    """Of which target."""

    target: Word | None = None


@router.post("/windows", status_code=201, summary="Mark a window", responses=problems(409))
async def mark_window(body: WindowRequest, doors: Through) -> MarkingAnswer:
    """An incident or maintenance leaves every baseline: targets that learnt from it learn anew without it at their next
    evaluation. The answer says which bands change. What happens in it is judged as ever. One that is marked already
    is 409.
    """
    return marking_answer(await doors.services.monitor.feedback.mark_window(window_from(body)))


@router.get("/windows", summary="Marked windows")
async def list_windows(request: Request, query: Annotated[TargetQuery, Query()], doors: Through) -> MarkedWindowList:
    """Marked windows, the newest first; with `target` those that concern it, of a deleted one those that name it. A
    target of which nothing is known is 404.
    """
    windows = doors.services.monitor.feedback.windows(query.target)
    return MarkedWindowList(
        items=[marked_window_answer(one) for one in part_of(windows, query.page)],
        total=len(windows),
        next=next_path(request, query.page, len(windows)),
    )


@router.delete("/windows/{window_id}", summary="Unmark a window")
async def forget_window(window_id: WindowId, doors: Through) -> MarkingAnswer:
    """It is learnt from again; the answer says which bands change."""
    return marking_answer(await doors.services.monitor.feedback.forget_window(window_id))


@router.post("/targets/{name}/accept", summary="Accept a new normal", responses=problems(409))
async def accept_level(name: TargetName, doors: Through, body: AcceptRequest | None = None) -> AcceptedAnswer:
    """The level where a series is now is its normal one: its active alert ends as `accepted_as_normal`, it is away from
    no level any more, and is judged against the new one.
    """
    words = body or AcceptRequest()
    accepted = await doors.services.monitor.feedback.accept_level(
        name, Labels(words.labels), words.at, who=words.who, note=words.note
    )
    return accepted_answer(accepted)


@router.get("/targets/{name}/recurring", summary="What comes by the clock")
async def list_recurring(
    request: Request, name: TargetName, query: Annotated[PageQuery, Query()], doors: Through
) -> RecurringList:
    """Series that stood out at the same time of day on at least three of the last fourteen days, where that is
    improbable by chance: those of which alerts came, and those that the dial, the severity threshold or `pending_for`
    held back.
    """
    feedback = doors.services.monitor.feedback
    found = await feedback.recurring(name)
    now, given = doors.services.clock.now(), feedback.acceptances(name)
    return RecurringList(
        items=[recurring_item(one, _accepting(one, given, now)) for one in part_of(found, query.page)],
        total=len(found),
        next=next_path(request, query.page, len(found)),
    )


def _accepting(one: Recurring, acceptances: Sequence[Acceptance], now: datetime) -> Acceptance | None:
    for each in acceptances:
        mine = each.kind is AcceptanceKind.RECURRING and each.labels == one.labels and each.holds(now)
        if mine and each.slot is not None and each.slot.contains(one.last):
            return each
    return None


@router.post("/targets/{name}/recurring/accept", summary="Accept what recurs", responses=problems(409))
async def accept_recurring(name: TargetName, body: AcceptRecurringRequest, doors: Through) -> AcceptedAnswer:
    """Alerts of those series around that time, also the first one, are begun as ever and shown as `expected`, as long
    as they deviate by no more than half again what was seen. It ends by itself after `days`. Each series and time of
    day is an acceptance of its own, and ends an earlier one of the same; where nothing recurs then, 404 says what does.
    """
    accepted = await doors.services.monitor.feedback.accept_recurring(
        name,
        Labels(body.labels),
        minutes_of(body.around),
        who=body.who,
        note=body.note,
        expires_after=lasting(body.days),
    )
    return accepted_answer(accepted)


class AcceptanceQuery(TargetQuery):
    """Which acceptances."""

    in_force: Annotated[bool, Field(description="Only those that are in force now.")] = False


@router.get("/acceptances", summary="What was accepted")
async def list_acceptances(
    request: Request, query: Annotated[AcceptanceQuery, Query()], doors: Through
) -> AcceptanceList:
    """Levels, recurring alerts, hours and series that people accepted, also those that are over, the newest first. A
    target of which nothing is known is 404.
    """
    services = doors.services
    found = services.monitor.feedback.acceptances(query.target)
    if query.in_force:
        now = services.clock.now()
        found = [one for one in found if one.holds(now)]
    return AcceptanceList(
        items=[acceptance_answer(one) for one in part_of(found, query.page)],
        total=len(found),
        next=next_path(request, query.page, len(found)),
    )


@router.post("/acceptances/{acceptance_id}/end", summary="Take an acceptance back", responses=problems(409))
async def end_acceptance(
    acceptance_id: AcceptanceId, doors: Through, body: EndRequest | None = None
) -> AcceptanceAnswer:
    """It is in force no more, and stays in the list."""
    words = body or EndRequest()
    return acceptance_answer(await doors.services.monitor.feedback.end_acceptance(acceptance_id, words.who))
