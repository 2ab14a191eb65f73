"""Liveness, readiness and own metrics."""

from collections.abc import Sequence

from fastapi import APIRouter, Response

from tocsin.api.models_status import LiveAnswer, NotReadyProblem, ReadyAnswer
from tocsin.api.problems import MEDIA_TYPE
from tocsin.api.routing import Through

router = APIRouter(tags=["health"])
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/health/live", summary="Does the process answer?")
async def live(doors: Through) -> LiveAnswer:
    """Always 200 while the process answers; needs no token."""
    return LiveAnswer(version=doors.services.version)


@router.get(
    "/health/ready",
    summary="Can the process do its work?",
    response_model=ReadyAnswer,
    responses={503: {"model": NotReadyProblem, "description": "Not ready, with the reasons"}},
)
async def ready(doors: Through) -> ReadyAnswer | Response:
    """200, or 503 with the reasons."""
    readiness = await doors.services.ready()
    if readiness.ready:
        return ReadyAnswer(ready=True, reasons=list(readiness.reasons))
    return _not_ready(readiness.reasons)


def _not_ready(reasons: Sequence[str]) -> Response:
    problem = NotReadyProblem(
        title="Service Unavailable",
        status=503,
        detail="; ".join(reasons) or "not ready",
        ready=False,
        reasons=list(reasons),
    )
    return Response(problem.model_dump_json(), 503, media_type=MEDIA_TYPE)


@router.get(
    "/metrics",
    summary="Own metrics in Prometheus text form",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(doors: Through) -> Response:
    """For a Prometheus to scrape."""
    return Response(doors.services.metrics(), media_type=METRICS_TYPE)
