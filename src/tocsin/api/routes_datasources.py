"""Datasources, and what is kept of their answers."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from tocsin.api.models_datasource import (
    CacheList,
    ClearAnswer,
    ClearRequest,
    DatasourceList,
    DatasourceTestAnswer,
    cache_answer,
    connection_answer,
    datasource_answer,
    test_answer,
)
from tocsin.api.paging import PageQuery, next_path, part_of
from tocsin.api.routing import BARE, DatasourceUid, Through, problems

router = APIRouter(tags=["datasources"])


@router.get("/monitoring/datasources", summary="Datasources and their health")
async def list_datasources(request: Request, query: Annotated[PageQuery, Query()], doors: Through) -> DatasourceList:
    """All datasources by uid: health, circuit, clock, the last error; and each Grafana that brings some of them."""
    statuses = doors.services.monitor.datasources()
    return DatasourceList(
        items=[datasource_answer(one) for one in part_of(statuses, query.page)],
        total=len(statuses),
        next=next_path(request, query.page, len(statuses)),
        connections=[
            connection_answer(uid, standing) for uid, standing in doors.services.monitor.sources.connections()
        ],
    )


@router.post(
    "/monitoring/datasources/{uid}/test",
    summary="Ask a datasource about itself now",
    dependencies=BARE,
    responses=problems(502),
)
async def test_datasource(uid: DatasourceUid, doors: Through) -> DatasourceTestAnswer:
    """Version, what it can do, latency, its clock against ours, and what each target costs it. It is asked also while
    it is left alone; one that does not answer is told in `error`. A connection that brings datasources is asked what
    answers there and which datasources it has; while it fails, one that is not known may be one of its (502).
    """
    return test_answer(await doors.services.monitor.sources.test(uid))


@router.get("/cache/stats", summary="What is kept of answers", dependencies=BARE)
async def cache_stats(doors: Through) -> CacheList:
    """How much is kept of datasources' answers, and how many requests that has saved."""
    return CacheList(items=[cache_answer(one) for one in doors.services.monitor.sources.cache_stats()])


@router.post("/cache/clear", summary="Forget what is kept of answers", dependencies=BARE)
async def clear_cache(doors: Through, body: ClearRequest | None = None) -> ClearAnswer:
    """Of one datasource, or of all. Whoever asks next asks the datasource."""
    uid = None if body is None else body.datasource_uid
    entries, size_bytes = doors.services.monitor.sources.clear_cache(uid)
    return ClearAnswer(entries=entries, size_bytes=size_bytes)
