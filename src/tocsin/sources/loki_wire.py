"""Loki's answers beside series: lines, a count, the names of labels, and what it says when it does not answer. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Generic, TypeVar

import msgspec

from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.domain.labels import Labels
from tocsin.domain.logs import LogLine
from tocsin.sources.wire import MAX_NOTES, Buffer
from tocsin.sources.wire_errors import bad_answer, decode_error, said

T = TypeVar("T")

_ENTRIES = re.compile(r"max entries limit.*\((\d+) > (\d+)\)")
_LIMITS = (
    "exceeded maximum resolution",
    "maximum number of series",
    "maximum of series",
    "query time range exceeds the limit",
    "max entries limit",
    "too many bytes",
    "would read too many",
)


class _Stream(msgspec.Struct):
    stream: dict[str, str]
    values: list[list[str | dict[str, dict[str, str]]]]


class _Streams(msgspec.Struct):
    result_type: str = msgspec.field(name="resultType")
    result: list[_Stream]


class _LogAnswer(msgspec.Struct):
    status: str
    data: _Streams
    warnings: list[str] | None = None


class _Point(msgspec.Struct):
    value: tuple[float, str]


class _Vector(msgspec.Struct):
    result_type: str = msgspec.field(name="resultType")
    result: msgspec.Raw


class _CountAnswer(msgspec.Struct):
    data: _Vector


_VECTOR = msgspec.json.Decoder(list[_Point])
_SCALAR = msgspec.json.Decoder(tuple[float, str])


class _ListAnswer(msgspec.Struct, Generic[T]):
    status: str
    data: list[T] = msgspec.field(default_factory=list)


_NAMES = msgspec.json.Decoder(_ListAnswer[str])
_SERIES = msgspec.json.Decoder(_ListAnswer[dict[str, str]])


class _Counted(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Counts(msgspec.Struct):
    result_type: str = msgspec.field(name="resultType")
    result: list[_Counted]


class _CountsAnswer(msgspec.Struct):
    data: _Counts


class _Typed(msgspec.Struct):
    result_type: str = msgspec.field(name="resultType")


class _TypedAnswer(msgspec.Struct):
    data: _Typed


class _Build(msgspec.Struct):
    version: str


class _Message(msgspec.Struct):
    message: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """The lines of one answer, each stream's in the server's order, and what was said beside them.

    `more` says whether there are others in the window; None where the server does not tell.
    """

    lines: tuple[LogLine, ...]
    warnings: tuple[str, ...]
    size_bytes: int
    more: bool | None = None


def decode_streams(body: Buffer) -> Answered:
    """The answer to a log query; raises SourceError for anything else."""
    try:
        answer = msgspec.json.decode(body, type=_LogAnswer)
    except msgspec.MsgspecError:
        raise _no_lines(body) from None
    if answer.status != "success" or answer.data.result_type != "streams":
        raise _no_lines(body)
    lines = []
    for each in answer.data.result:
        labels = Labels(each.stream)
        lines += [_line(labels, entry) for entry in each.values]
    warnings = tuple(said(each) for each in (answer.warnings or ())[:MAX_NOTES])
    return Answered(tuple(lines), warnings, len(body))


def decode_count(body: Buffer) -> int:
    """The number that an instant query of one series gives; nothing there is 0. Raises SourceError."""
    try:
        data = msgspec.json.decode(body, type=_CountAnswer).data
        # A scalar has its instant in milliseconds, a vector in seconds; neither is needed.
        points = [_Point(_SCALAR.decode(data.result))] if data.result_type == "scalar" else _VECTOR.decode(data.result)
    except msgspec.MsgspecError:
        raise decode_error(200, "application/json", body) from None
    if len(points) > 1:
        raise bad_answer(f"{len(points)} series where one number was asked for")
    text = points[0].value[1] if points else "0"
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        raise bad_answer(f"{said(text)!r} is no number of lines") from None


def decode_names(body: Buffer) -> frozenset[str]:
    """Names of labels. Where there are none Loki leaves `data` out. Raises SourceError."""
    return frozenset(_listed(body, _NAMES))


def decode_series(body: Buffer) -> list[dict[str, str]]:
    """The labels of streams; where there are none Loki may leave `data` out. Raises SourceError."""
    return _listed(body, _SERIES)


def _listed(body: Buffer, decoder: msgspec.json.Decoder[_ListAnswer[T]]) -> list[T]:
    try:
        answer = decoder.decode(body)
    except msgspec.MsgspecError:
        raise decode_error(200, "application/json", body) from None
    if answer.status != "success":
        raise decode_error(200, "application/json", body)
    return answer.data


def decode_counts(body: Buffer) -> list[tuple[dict[str, str], float]]:
    """The series of an instant query with their labels; raises SourceError."""
    try:
        data = msgspec.json.decode(body, type=_CountsAnswer).data
    except msgspec.MsgspecError:
        raise decode_error(200, "application/json", body) from None
    try:
        found = [(each.metric, float(each.value[1])) for each in data.result]
    except ValueError:
        raise bad_answer("the value of a series is no number") from None
    if data.result_type != "vector" or not all(isfinite(value) for _, value in found):
        raise bad_answer("it does not count lines")
    return found


def decode_version(body: Buffer) -> str:
    """What the server calls its version; "" where this is no such answer."""
    try:
        return said(msgspec.json.decode(body, type=_Build).version)
    except msgspec.MsgspecError:
        return ""


def entries_limit(text: str) -> int | None:
    """How many lines the server gives at once, where an error says that more were asked for."""
    found = _ENTRIES.search(text)
    return None if found is None else int(found[2])


def decode_loki_error(status: int, content_type: str, body: Buffer) -> SourceError:
    """Why an answer is none. Loki's errors are plain text, a gateway's may be JSON or HTML."""
    text = _text(content_type, body)
    failure, transient = SourceFailure.BAD_QUERY, False
    if status == 401 and "no org id" in text:
        return SourceError(
            "the server has tenants and was told none: give the header X-Scope-OrgID (headers)",
            failure=SourceFailure.UNAUTHORIZED,
            transient=False,
        )
    if "multiple org IDs present" in text:
        why = "the server does not answer for several tenants at once (X-Scope-OrgID)"
        failure = SourceFailure.UNAUTHORIZED
    elif "tenant ID" in text and status == 400:
        why, failure = f"the server refuses the tenant (X-Scope-OrgID): {text}", SourceFailure.UNAUTHORIZED
    elif status == 404:
        why, failure = "there is no Loki API at this URL; is its path prefix right?", SourceFailure.NOT_FOUND
    elif status in (400, 422, 500) and any(each in text for each in _LIMITS):
        why, failure = f"over a limit of the server: {text}", SourceFailure.LIMIT
    elif status in (400, 422) and text:
        why = f"the server refuses the query: {text}"
    else:
        return decode_error(status, content_type, body)
    return SourceError(why, failure=failure, transient=transient)


def _line(labels: Labels, entry: list[str | dict[str, dict[str, str]]]) -> LogLine:
    if len(entry) not in (2, 3):
        raise bad_answer("a line is not [nanoseconds, text]")
    at, text, more = entry[0], entry[1], entry[2] if len(entry) == 3 else {}
    if not isinstance(at, str) or not isinstance(text, str) or isinstance(more, str):
        raise bad_answer("a line is not [nanoseconds, text]")
    if not (at.isascii() and at.isdigit() and len(at) <= 19 and int(at) < 2**63):
        raise bad_answer(f"a line has the instant {said(at)[:40]!r}, which is no number of nanoseconds")
    return LogLine(int(at), labels, text, _metadata(more))


def _metadata(more: Mapping[str, Mapping[str, str]]) -> Labels:
    """What a line has beside its stream's labels, where the server tells them apart: attached to it, and parsed."""
    return Labels(
        {name: value for part in ("structuredMetadata", "parsed") for name, value in more.get(part, {}).items()}
    )


def _no_lines(body: Buffer) -> SourceError:
    try:
        kind = msgspec.json.decode(body, type=_TypedAnswer).data.result_type
    except (msgspec.MsgspecError, UnicodeDecodeError):
        kind = ""
    if kind in ("matrix", "vector", "scalar"):
        return bad_answer("series where lines were asked for")
    return decode_error(200, "application/json", body)


def _text(content_type: str, body: Buffer) -> str:
    start = bytes(body[:4000])
    if "html" in content_type.lower() or start.lstrip().startswith(b"<"):
        return ""
    try:
        spoken = msgspec.json.decode(body, type=_Message)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return said(start.decode("utf-8", "replace"))
    return said(spoken.message or spoken.error)
