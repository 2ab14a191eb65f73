"""Analysis of given data, patterns and the history of anomalies."""

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from tocsin.api.csv import MEDIA_TYPE as CSV
from tocsin.api.csv import ROWS_AT_ONCE, download
from tocsin.api.models_analysis import (
    AnalyzeAnswer,
    AnalyzeRequest,
    PatternList,
    series_pattern_answer,
)
from tocsin.api.models_anomaly import AnomalyList, anomaly_item
from tocsin.api.models_common import Instant, Text, Word, window_answer
from tocsin.api.paging import PageQuery, labels_from, next_path, part_of
from tocsin.api.routing import Through, json_beside_the_loop, problems
from tocsin.api.translate import analyze
from tocsin.detect import METHODS, MORE, SPEAKERS, Severity
from tocsin.domain.errors import Invalid
from tocsin.domain.ports import AnomalyFilter, Page

router = APIRouter(prefix="/monitoring", tags=["analysis and history"])


class Format(StrEnum):
    """How a list is written."""

    JSON = "json"
    CSV = "csv"


class AnomalyQuery(PageQuery):
    """Which anomalies: every field narrows."""

    target: Word | None = None
    min_severity: Severity | None = None
    since: Instant | None = None
    until: Instant | None = None
    method: Word | None = None
    alert_id: Word | None = None
    label: list[Text] = Field(default=[], max_length=32, description="name=value; repeatable.")
    labels: list[Text] = Field(default=[], max_length=32, description="name=value,name=value")
    format: Annotated[
        Format | None,
        Field(description="csv: all matching rows, whatever limit and offset say; also with Accept: text/csv."),
    ] = None


class PatternQuery(PageQuery):
    """Whose patterns."""

    target: Word


@router.post("/analyze", response_model=AnalyzeAnswer, summary="Analyze given data")
async def analyze_data(body: AnalyzeRequest, doors: Through) -> Response:
    """What stands out of a recorded series, each sample held against all the others. Nothing is kept."""
    return await json_beside_the_loop(doors.analyses, lambda: analyze(body))


@router.get("/patterns", summary="Patterns of a target", responses=problems(502, 504))
async def list_patterns(request: Request, query: Annotated[PatternQuery, Query()], doors: Through) -> PatternList:
    """Trends, seasons and level shifts of its series over the last day, or the lookback when that is longer.

    `window` has the step that was looked at: longer than the target's where it would take more than 8,640 of those.
    """
    window, series = await doors.services.monitor.patterns(query.target)
    found = [(labels, pattern) for labels, patterns in series for pattern in patterns]
    return PatternList(
        target=query.target,
        window=window_answer(window),
        items=[series_pattern_answer(labels, pattern) for labels, pattern in part_of(found, query.page)],
        total=len(found),
        next=next_path(request, query.page, len(found)),
    )


@router.get(
    "/anomalies",
    response_model=AnomalyList,
    summary="The history of anomalies",
    responses={200: {"content": {CSV: {"schema": {"type": "string"}}}}},
)
async def list_anomalies(
    request: Request, query: Annotated[AnomalyQuery, Query()], doors: Through
) -> AnomalyList | StreamingResponse:
    """Every anomaly that was kept, newest first; as CSV all of them at once. A `target` of which nothing is known is
    404, one that was deleted is known by what is kept of it.
    """
    services = doors.services
    which = _which(query)
    csv = query.format is Format.CSV or (query.format is None and _prefers_csv(request))
    found = await services.history.anomalies(which, Page(limit=ROWS_AT_ONCE) if csv else query.page)
    if query.target is not None and not found.total:
        await services.monitor.look_up(query.target)
    if csv:
        return StreamingResponse(
            download(services.history, which, found.items),
            media_type=CSV,
            headers={"Content-Disposition": 'attachment; filename="anomalies.csv"'},
        )
    recurring = await services.monitor.feedback.recurring_among(found.items)
    return AnomalyList(
        items=[anomaly_item(one, recurring.get(one.id)) for one in found.items],
        total=found.total,
        next=next_path(request, query.page, found.total),
    )


def _which(query: AnomalyQuery) -> AnomalyFilter:
    known = (*METHODS, *MORE, *SPEAKERS)
    if query.method is not None and query.method not in known:
        raise Invalid("method", f"must be one of {', '.join(known)}")
    if query.since is not None and query.until is not None and query.since > query.until:
        raise Invalid("until", "must not be earlier than since")
    return AnomalyFilter(
        target_name=query.target,
        min_severity=query.min_severity,
        since=query.since,
        until=query.until,
        alert_id=query.alert_id,
        method=query.method,
        labels=labels_from(query.label, query.labels),
    )


def _prefers_csv(request: Request) -> bool:
    accepted = request.headers.get("accept", "").lower()
    return CSV in accepted and "application/json" not in accepted
