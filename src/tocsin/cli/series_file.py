"""A CSV of series: decoded at this door, with the line and column of whatever is wrong."""

import csv
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from tocsin.domain.words import many

TIME_NAMES = ("timestamp", "time", "ts", "date", "datetime")
GAPS = ("", "nan", "null", "none", "na", "n/a")
MAX_SAMPLES = 5_000_000
MAX_COLUMNS = 10_000
_HUGE = 1e307
"""Whether a number beyond this can be judged is asked."""

_MILLISECONDS = 1e11
_UNDECODED = re.compile("[\udc80-\udcff]")
"""Bytes that are no UTF-8, as `surrogateescape` lets them through."""


@dataclass(frozen=True)
class SeriesFile:
    """Series on one grid of time: `timestamps` (T,) unix seconds, `values` (S, T) with NaN for a gap, `names` (S,)."""

    names: tuple[str, ...]
    timestamps: list[float]
    values: list[list[float]]


class CsvError(ValueError):
    """A file that cannot be read as series; the text begins with file:line:column."""


@dataclass
class _Place:
    """Where the reader is; `column` counts fields from one."""

    file: str
    line: int = 1

    def refuse(self, column: int, reason: str) -> NoReturn:
        raise CsvError(f"{self.file}:{self.line}:{column}: {reason}")


def read_series(lines: Iterable[str], file: str) -> SeriesFile:
    """The series of CSV lines: one column of time and one or more of values. Raises `CsvError`.

    A header is recognised by having no number in it; the time may stand in any column that it names, else in the first.
    Times are ISO 8601 with a zone, or unix seconds, and ascend. An empty field or `nan` is a gap.
    """
    place = _Place(file)
    rows = _rows(lines, place)
    first = next(rows, None)
    if first is None:
        place.refuse(1, "is empty; a line is: timestamp,value")
    if len(first) < 2:
        place.refuse(1, "needs a column of time and at least one of values: timestamp,value")
    if len(first) > MAX_COLUMNS:
        place.refuse(MAX_COLUMNS, f"has more than {MAX_COLUMNS:,} columns")
    header = _is_header(first)
    at = _time_column(first) if header else 0
    names = _names(first, at) if header else tuple(f"value{i}" for i in range(1, len(first)))
    result = SeriesFile(names if len(names) > 1 or header else ("value",), [], [[] for _ in names])
    if not header:
        _append(result, first, at, place)
    for row in rows:
        if len(row) != len(first):
            place.refuse(min(len(row), len(first)) + 1, f"has {many(len(row), 'field')}, the first line {len(first)}")
        _append(result, row, at, place)
    if not result.timestamps:
        place.refuse(1, "has a header but no samples")
    return result


def parse_time(text: str) -> float:
    """Unix seconds of ISO 8601 with a zone or of a number; raises ValueError saying what is wrong."""
    word = text.strip()
    try:
        seconds = float(word)
    except ValueError:
        pass
    else:
        if not math.isfinite(seconds):
            raise ValueError(f"{word!r} is no time")
        if abs(seconds) >= _MILLISECONDS:
            raise ValueError(f"{word} looks like milliseconds; unix seconds are wanted")
        return seconds
    try:
        at = datetime.fromisoformat(word)
    except ValueError as error:
        raise ValueError(f"{word!r} is neither ISO 8601 nor unix seconds") from error
    if at.tzinfo is None:
        raise ValueError(f"{word!r} has no time zone; write 2026-01-31T12:00:00Z or +02:00")
    return at.timestamp()


def _rows(lines: Iterable[str], place: _Place) -> Iterator[list[str]]:
    source = _decoded(lines, place)
    head = next(source, "")
    reader = csv.reader(_chained(head, source), delimiter=_separator(head), strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            place.line = reader.line_num
            place.refuse(1, f"is no valid CSV: {error}")
        place.line = reader.line_num
        if row and any(field.strip() for field in row):
            yield row


def _separator(line: str) -> str:
    """What a line holds most of; a comma wins a tie."""
    return max(",;\t", key=line.count)


def _decoded(lines: Iterable[str], place: _Place) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if not line.isascii() and (found := _UNDECODED.search(line)) is not None:
            place.line = number
            place.refuse(line.count(_separator(line), 0, found.start()) + 1, "is not UTF-8")
        yield line


def _chained(head: str, rest: Iterator[str]) -> Iterator[str]:
    yield head.removeprefix("\ufeff")
    yield from rest


def _is_header(row: list[str]) -> bool:
    return not any(_is_number(field) or _is_time(field) for field in row)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip().lower() not in GAPS


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text.strip())
    except ValueError:
        return False
    return True


def _time_column(header: list[str]) -> int:
    words = [field.strip().lower() for field in header]
    return next((words.index(name) for name in TIME_NAMES if name in words), 0)


def _names(header: list[str], at: int) -> tuple[str, ...]:
    return tuple(field.strip() or f"value{i + 1}" for i, field in enumerate(header) if i != at)


def _append(result: SeriesFile, row: list[str], at: int, place: _Place) -> None:
    try:
        time = parse_time(row[at])
    except ValueError as error:
        place.refuse(at + 1, str(error))
    if result.timestamps and time <= result.timestamps[-1]:
        same = time == result.timestamps[-1]
        place.refuse(at + 1, "repeats the time of the sample before" if same else "is earlier than the sample before")
    if (len(result.timestamps) + 1) * len(result.values) > MAX_SAMPLES:
        place.refuse(1, f"is beyond the limit of {MAX_SAMPLES:,} samples")
    result.timestamps.append(time)
    fields = (i for i in range(len(row)) if i != at)
    for values, i in zip(result.values, fields, strict=True):
        values.append(_value(row[i], i + 1, place))


def _value(text: str, column: int, place: _Place) -> float:
    word = text.strip()
    if word.lower() in GAPS:
        return math.nan
    try:
        value = float(word)
    except ValueError:
        place.refuse(column, f"{word!r} is no number")
    if math.isinf(value):
        place.refuse(column, f"{word!r} is no finite number; leave the field empty for a gap")
    if abs(value) > _HUGE:
        from tocsin.detect import LARGEST  # noqa: PLC0415  (numpy: hardly any file needs it)

        if abs(value) > LARGEST:
            place.refuse(column, f"{word!r} is beyond {LARGEST:g}; leave the field empty for a gap")
    return value
