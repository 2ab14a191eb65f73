"""`tocsin analyze`: what stands out of a recorded file, found here, without a server."""

import io
import math
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.cli.answer import Answer, Json
from tocsin.cli.exits import Exit, fail
from tocsin.cli.progress import UNDECODABLE, reading, spinner
from tocsin.cli.series_file import CsvError, SeriesFile, read_series
from tocsin.cli.tables import show_table, table
from tocsin.cli.terminal import clean, console, instant, number, print_json, safe, severity
from tocsin.domain.words import many, sigmas

if TYPE_CHECKING:
    from tocsin.detect import Detections

MOST_ROWS = 200


def analyze(
    file: Annotated[
        str,
        typer.Argument(
            help="A CSV with the columns timestamp,value (more value columns are more series); - reads standard input."
        ),
    ],
    *,
    method: Annotated[
        list[str] | None, typer.Option(help="A detection method; may be given more than once. Default: all, combined.")
    ] = None,
    name: Annotated[str, typer.Option(help="What the metric is called in the output. Default: the file's name.")] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, as POST /monitoring/analyze answers it.")
    ] = False,
    fail_on_anomaly: Annotated[
        bool, typer.Option("--fail-on-anomaly", help="Exit with 1 when an anomaly is found.")
    ] = False,
) -> None:
    """Find anomalies and patterns in a CSV file.

    Times are ISO 8601 with a zone (2026-01-31T12:00:00Z) or unix seconds, and ascend. Empty fields are gaps.
    """
    from tocsin.detect import detect, resolve_methods  # noqa: PLC0415  (numpy: only this command needs it)

    read = _read(file)
    try:
        methods = resolve_methods(method or "auto")
        with spinner("looking for what stands out"):
            result = detect(read.timestamps, read.values, methods)
    except ValueError as error:
        fail(f"--method: {error}", Exit.INPUT)
    title = name or ("stdin" if file == "-" else Path(file).stem)
    document = _document(title, read, result, methods)
    if as_json:
        print_json(document)
    else:
        _show(Answer(document), read)
    if fail_on_anomaly and len(result):
        raise typer.Exit(int(Exit.FOUND))


def _read(file: str) -> SeriesFile:
    try:
        if file == "-":
            with spinner("reading standard input"):
                return read_series(io.TextIOWrapper(sys.stdin.buffer, "utf-8", UNDECODABLE, newline=""), "stdin")
        with reading(Path(file)) as lines:
            return read_series(lines, file)
    except OSError as error:
        fail(f"{file}: cannot be read: {error.strerror}", Exit.INPUT)
    except CsvError as error:
        fail(str(error), Exit.INPUT)


def _document(title: str, read: SeriesFile, result: "Detections", methods: tuple[str, ...]) -> Json:
    """The answer of the API; with several series each finding also says which one it is of."""

    def whose(index: int) -> dict[str, Json]:
        return {"series": read.names[index]} if len(read.names) > 1 else {}

    anomalies: list[Json] = [
        {
            **whose(one.series),
            "index": one.index,
            "timestamp": _iso(one.timestamp),
            "value": _finite(one.value),
            "expected_value": _finite(one.expected_value),
            "deviation": _finite(one.deviation),
            "sigma": _finite(one.sigma),
            "severity": one.severity.value,
            "confidence": _finite(one.confidence),
            "method": one.method,
            "methods": list(one.methods),
            "explanation": one.explanation,
        }
        for one in result
    ]
    patterns: list[Json] = [
        {
            **whose(one.series),
            "kind": one.kind,
            "direction": one.direction,
            "start": _iso(one.start),
            "end": _iso(one.end),
            "size": _finite(one.size),
            "sigma": _finite(one.sigma),
            "severity": one.severity.value,
            "confidence": _finite(one.confidence),
            "period_s": _finite(one.period_s),
            "explanation": one.explanation,
        }
        for one in result.patterns
    ]
    return {
        "metric_name": title,
        "anomalies": anomalies,
        "anomalies_total": len(anomalies),
        "severity": result.severity.value if result.severity else None,
        "patterns": patterns,
        "notes": list(result.notes),
        "methods": list(methods),
        "confidence_kind": "retrospective",
    }


def _show(document: Answer, read: SeriesFile) -> None:
    out = console()
    several = len(read.names) > 1
    gaps = sum(value != value for values in read.values for value in values)  # noqa: PLR0124  (NaN is not itself)
    size = many(len(read.timestamps), "sample") + (f" x {len(read.names)} series" if several else "")
    out.print(safe(f"{document['metric_name'].text()}: {size}" + (f", {many(gaps, 'gap')}" if gaps else ""), "bold"))
    found = list(document["anomalies"])
    if found:
        rows = table("Time", *(["~Series"] if several else []), ">Value", ">Expected", ">Sigma", "Severity", "Method")
        for each in found[:MOST_ROWS]:
            rows.add_row(
                instant(each["timestamp"].text()),
                *([safe(each["series"].text())] if several else []),
                number(each["value"].number()),
                number(each["expected_value"].number()),
                sigmas(each["sigma"].number() or 0.0),
                severity(each["severity"]),
                _methods(each),
            )
        show_table(out, rows)
    hidden = f" (the first {MOST_ROWS} shown; --json has all)" if len(found) > MOST_ROWS else ""
    out.print(f"{len(found)} {'anomaly' if len(found) == 1 else 'anomalies'}{hidden}")
    for heading, key in (("Patterns", "patterns"), ("Notes", "notes")):
        entries = list(document[key])
        if entries:
            out.print(safe(f"\n{heading}".strip(), "bold"))
        for each in entries:
            whose = f"{each['series'].text()}: " if each["series"] else ""
            words = each["explanation"].text() or _named(each.text(), read.names)
            out.print(safe(f"- {whose}{words}"))


def _methods(anomaly: Answer) -> str:
    """The strongest method, and how many others agree: `mad +2`."""
    others = len(anomaly["methods"].words()) - 1
    return clean(anomaly["method"].text()) + (f" +{others}" if others > 0 else "")


def _named(note: str, names: tuple[str, ...]) -> str:
    """A note that begins with `series 3: ` with the name of that series instead; with one series, without."""
    match = re.match(r"series (\d+): ", note)
    if match is None or int(match[1]) >= len(names):
        return note
    name = f"{names[int(match[1])]}: " if len(names) > 1 else ""
    return name + note[match.end() :]


def _finite(value: float | None) -> float | None:
    """JSON knows no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
