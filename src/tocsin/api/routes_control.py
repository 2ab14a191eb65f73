"""Start, stop, status."""

from fastapi import APIRouter

from tocsin.api.models_status import RunAnswer, StatusAnswer, status_answer
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
