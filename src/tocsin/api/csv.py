"""Anomalies as CSV, row by row, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import AsyncIterator, Sequence

from tocsin.domain.anomaly import Anomaly, ConfidenceKind
from tocsin.domain.ports import AnomalyFilter, History, Page

MEDIA_TYPE = "text/csv"
ROWS_AT_ONCE = 1000
COLUMNS = (
    "id",
    "timestamp",
    "target_name",
    "labels",
    "value",
    "expected_value",
    "deviation",
    "lower",
    "upper",
    "sigma",
    "severity",
    "confidence",
    "method",
    "methods",
    "samples",
    "explanation",
    "query",
    "alert_id",
    "confidence_kind",
)
_FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")


def cell(value: str | float | None) -> str:
    """A cell: numbers as they are; text that a spreadsheet would run as a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA_BEGINS) else value
    return repr(value)


def header() -> str:
    """The first line."""
    return ",".join(COLUMNS) + "\r\n"


def lines(anomalies: Sequence[Anomaly]) -> str:
    """One line for each anomaly."""
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in _row(one)] for one in anomalies)
    return text.getvalue()


def _row(one: Anomaly) -> tuple[str | float | None, ...]:
    return (
        one.id,
        one.timestamp.isoformat(),
        one.target_name,
        str(one.labels),
        one.value,
        one.expected_value,
        one.deviation,
        one.lower,
        one.upper,
        one.sigma,
        one.severity.value,
        one.confidence,
        one.method,
        " ".join(one.methods),
        one.samples,
        one.explanation,
        one.query,
        one.alert_id,
        ConfidenceKind.of(one.methods).value,
    )


async def download(history: History, which: AnomalyFilter, first: Sequence[Anomaly]) -> AsyncIterator[str]:
    """All matching rows, newest first; `first` is the part already read, so that an early error can still be told.

    Rows that arrive meanwhile move the parts: what was sent with the part before is not sent again.
    """
    yield header()
    offset, part = 0, first
    sent: set[str] = set()
    while part:
        yield lines([one for one in part if one.id not in sent])
        if len(part) < ROWS_AT_ONCE:
            return
        sent = {one.id for one in part}
        offset += ROWS_AT_ONCE
        part = (await history.anomalies(which, Page(limit=ROWS_AT_ONCE, offset=offset))).items
