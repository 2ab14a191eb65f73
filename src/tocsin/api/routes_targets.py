"""Targets: list, create, read, change, delete, switch, try, plot."""

from dataclasses import replace
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from tocsin.api.models_analysis import CheckAnswer, PlotAnswer
from tocsin.api.models_common import Instant, RequestModel
from tocsin.api.models_target import (
    TargetAnswer,
    TargetList,
    TargetPatch,
    TargetRequest,
)
from tocsin.api.paging import PageQuery, next_path, part_of
from tocsin.api.routing import Doors, TargetName, Through, json_beside_the_loop, problems
from tocsin.api.targets import patched, target_answer, target_from
from tocsin.api.translate import check_answer, plot_answer
from tocsin.api.versions import IfMatch, edited, must_be_ours, must_match, tagged
from tocsin.domain.errors import Invalid

router = APIRouter(prefix="/monitoring/targets", tags=["targets"])


class SeriesQuery(RequestModel):
    """What of a target to plot; the last lookback when no time is given, and nothing after now."""

    start: Instant | None = None
    end: Instant | None = None
    max_series: Annotated[int, Field(ge=1, le=200)] = 20


@router.get("", summary="List targets")
async def list_targets(request: Request, query: Annotated[PageQuery, Query()], doors: Through) -> TargetList:
    """All targets by name, with their state."""
    views = doors.services.monitor.views()
    return TargetList(
        items=[target_answer(view) for view in part_of(views, query.page)],
        total=len(views),
        next=next_path(request, query.page, len(views)),
    )


@router.post("", status_code=201, summary="Create a target", responses=problems(409))
async def create_target(body: TargetRequest, response: Response, doors: Through) -> TargetAnswer:
    """Only name, query and datasource_uid are needed: the language is that of the datasource. `Location` and `ETag` are
    answered.
    """
    services = doors.services
    target = target_from(body, services.clock.now(), services.monitor.sources.language)
    view = await services.monitor.create_target(target)
    response.headers["Location"] = f"{router.prefix}/{quote(view.target.name, safe='')}"
    tagged(response, view.target)
    return target_answer(view)


@router.get("/{name}", summary="Read a target")
async def read_target(name: TargetName, response: Response, doors: Through) -> TargetAnswer:
    """The target with its state; `ETag` is its version."""
    view = doors.services.monitor.view(name)
    tagged(response, view.target)
    return target_answer(view)


@router.patch("/{name}", summary="Change a target", responses=problems(409, 412))
async def change_target(
    name: TargetName, body: TargetPatch, response: Response, doors: Through, *, if_match: IfMatch = None
) -> TargetAnswer:
    """A merge patch. With `If-Match` a stale copy is refused with 412. A target of the configuration file is refused
    with 409.
    """
    services = doors.services
    now, languages = services.clock.now(), services.monitor.sources.language
    view = await edited(services.monitor, name, lambda target: patched(target, body, now, languages), if_match)
    tagged(response, view.target)
    return target_answer(view)


@router.delete("/{name}", status_code=204, summary="Delete a target", responses=problems(409, 412))
async def delete_target(name: TargetName, doors: Through, *, if_match: IfMatch = None) -> None:
    """Forget it; its active alerts end, its history stays. Answers 204 without a body."""
    target = doors.services.monitor.view(name).target
    must_be_ours(target)
    must_match(target, if_match)
    await doors.services.monitor.delete_target(name)


async def _switch(doors: Doors, name: str, response: Response, *, enabled: bool) -> TargetAnswer:
    monitor, now = doors.services.monitor, doors.services.clock.now()
    view = monitor.view(name)
    must_be_ours(view.target)
    if view.target.enabled is not enabled:
        view = await edited(monitor, name, lambda one: replace(one.enabled_as(enabled=enabled), updated_at=now), None)
    tagged(response, view.target)
    return target_answer(view)


@router.patch("/{name}/enable", summary="Enable a target", responses=problems(409))
async def enable_target(name: TargetName, response: Response, doors: Through) -> TargetAnswer:
    """Evaluate it from now on; enabling twice is no error."""
    return await _switch(doors, name, response, enabled=True)


@router.patch("/{name}/disable", summary="Disable a target", responses=problems(409))
async def disable_target(name: TargetName, response: Response, doors: Through) -> TargetAnswer:
    """Evaluate it no more; disabling twice is no error."""
    return await _switch(doors, name, response, enabled=False)


@router.post("/{name}/check", response_model=CheckAnswer, summary="Try a target now", responses=problems(502, 504))
async def check_target(name: TargetName, doors: Through) -> Response:
    """A dry run: what an evaluation now would find and change. Nothing is kept, nobody is told."""
    result = await doors.services.monitor.check(name)
    return await json_beside_the_loop(doors.analyses, lambda: check_answer(result))


@router.get("/{name}/series", response_model=PlotAnswer, summary="Series for a plot", responses=problems(502, 504))
async def read_series(name: TargetName, query: Annotated[SeriesQuery, Query()], doors: Through) -> Response:
    """Values, expected values, band, sigma and anomalies as columns; null for a gap. An end in the future is now, as
    `window` says.
    """
    if query.start is not None and query.end is not None and query.start >= query.end:
        raise Invalid("end", "must be later than start")
    plot = await doors.services.monitor.plot(name, query.start, query.end, query.max_series)
    events = doors.services.monitor.events.between(plot.window.start, plot.window.end, name)
    return await json_beside_the_loop(doors.analyses, lambda: plot_answer(plot, events))
