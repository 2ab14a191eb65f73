"""Start, stop, status, datasources."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from tocsin.api.models_status import (
    DatasourceList,
    RunAnswer,
    StatusAnswer,
    connection_answer,
    datasource_answer,
    status_answer,
)
from tocsin.api.paging import PageQuery, next_path, part_of
from tocsin.api.routing import Doors, Through

router = APIRouter(prefix="/monitoring", tags=["control"])


def _run_answer(doors: Doors, *, changed: bool) -> RunAnswer:
    monitor = doors.services.monitor
    return RunAnswer(running=monitor.running, since=monitor.since, changed=changed)


@router.post("/start", summary="Start monitoring")
async def start_monitoring(doors: Through) -> RunAnswer:
    """Begin to evaluate the enabled targets; starting twice is no error. It is remembered over restarts."""
    return _run_answer(doors, changed=await doors.services.monitor.start())


@router.post("/stop", summary="Stop monitoring")
async def stop_monitoring(doors: Through) -> RunAnswer:
    """Cease to evaluate; stopping twice is no error. It is remembered over restarts."""
    return _run_answer(doors, changed=await doors.services.monitor.stop())


@router.get("/status", summary="How all of it is doing")
async def read_status(doors: Through) -> StatusAnswer:
    """Whether monitoring runs, targets, alerts, datasources, lateness and the store."""
    return status_answer(await doors.services.monitor.status())


@router.get("/datasources", summary="Datasources and their health")
async def list_datasources(request: Request, query: Annotated[PageQuery, Query()], doors: Through) -> DatasourceList:
    """All datasources by uid, with their last error; and each Grafana that brings some of them."""
    statuses = doors.services.monitor.datasources()
    return DatasourceList(
        items=[datasource_answer(one) for one in part_of(statuses, query.page)],
        total=len(statuses),
        next=next_path(request, query.page, len(statuses)),
        connections=[connection_answer(uid, standing) for uid, standing in doors.services.monitor.connections()],
    )
