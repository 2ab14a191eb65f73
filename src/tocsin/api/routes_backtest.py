"""The back-test of a target."""

from collections.abc import Callable
from datetime import datetime, timedelta

from fastapi import APIRouter, Request, Response

from tocsin.api.backtest import backtest_answer
from tocsin.api.models_backtest import BacktestAnswer, BacktestRequest, ProgressLine
from tocsin.api.models_target import TargetPatch, TargetRequest
from tocsin.api.routing import Doors, Through, json_beside_the_loop, problems
from tocsin.api.targets import patched, target_from
from tocsin.api.wanted import NDJSON, ProgressStream, while_wanted
from tocsin.domain.errors import Invalid
from tocsin.domain.incidents import Incident
from tocsin.domain.labels import Labels
from tocsin.domain.target import Target
from tocsin.monitor.status import Drawing, Question

router = APIRouter(prefix="/monitoring", tags=["analysis and history"])


@router.post(
    "/backtest",
    response_model=BacktestAnswer,
    summary="Back-test a target",
    responses={
        200: {"content": {NDJSON: {"schema": ProgressLine.model_json_schema()}}},
        **problems(502, 504),
    },
)
async def backtest_target(request: Request, body: BacktestRequest, doors: Through) -> Response:
    """What a saved or an unsaved target would have raised over a past window, down to the message. Nothing is kept.

    With `Accept: application/x-ndjson` lines tell how far it is; it is given up when the client goes.
    """
    now = doors.services.clock.now()
    start, end = _window(body, now)
    base = _target(body, doors, now)
    target = base if body.change is None else _changed(base, body.change, doors, now)
    question = Question(
        against=None if body.change is None else base,
        incidents=_incidents(body),
        drawing=Drawing(body.plot_series, body.plot_points) if body.plot else None,
    )

    async def work(progress: Callable[[float], None]) -> bytes:
        try:
            result = await doors.services.monitor.backtest(target, start, end, progress, question)
        except Invalid as error:
            if error.field not in TargetRequest.model_fields:
                raise
            changed = body.change is not None and error.field in body.change.model_fields_set
            raise Invalid(f"{'change' if changed else 'target'}.{error.field}", error.reason) from error
        return bytes((await json_beside_the_loop(doors.analyses, lambda: backtest_answer(result))).body)

    if NDJSON in request.headers.get("accept", "").lower():
        return ProgressStream(work, doors.services, doors.streams)
    answer = await while_wanted(request, work(lambda _: None))
    return Response(answer or b"", media_type="application/json")


def _target(body: BacktestRequest, doors: Doors, now: datetime) -> Target:
    if isinstance(body.target, str):
        return doors.services.monitor.view(body.target).target
    try:
        return target_from(body.target, now, doors.services.monitor.sources.language)
    except Invalid as error:
        raise error.under("target") from error


def _changed(target: Target, change: TargetPatch, doors: Doors, now: datetime) -> Target:
    try:
        changed = patched(target, change, now, doors.services.monitor.sources.language)
    except Invalid as error:
        raise error.under("change") from error
    if changed.enabled is not target.enabled:
        raise Invalid("change.enabled", "cannot be tried: a back-test replays a target as if it were enabled")
    return changed


def _incidents(body: BacktestRequest) -> tuple[Incident, ...]:
    for number, one in enumerate(body.incidents):
        if one.start > one.end:
            raise Invalid(f"incidents[{number}].end", "must not be earlier than its start")
    return tuple(Incident(one.start, one.end, Labels(one.labels)) for one in body.incidents)


def _window(body: BacktestRequest, now: datetime) -> tuple[datetime, datetime]:
    """The window asked for; raises `Invalid` unless it is said in exactly one way."""
    if sum(given is not None for given in (body.start, body.days, body.hours)) != 1:
        raise Invalid("start", "say exactly one of start (with end, or until now), days or hours")
    end = min(body.end or now, now)
    start = body.start or end - timedelta(days=body.days or 0.0, hours=body.hours or 0.0)
    if start >= end:
        raise Invalid("start", "must be earlier than end, and than now")
    return start, end
