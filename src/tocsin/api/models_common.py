"""Types that requests and answers share: aware instants, finite numbers, text without control characters."""

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from tocsin.domain.frame import Window

T = TypeVar("T")

EARLIEST, LATEST = 1900, 2200
"""Years; further out the arithmetic with time zones and stores ends."""

_LOST_PLUS = re.compile(r"(T.*) (\d\d:?\d\d)$")


def parse_instant(text: object) -> datetime:
    """An ISO 8601 timestamp with a zone as UTC; ValueError says what is wrong."""
    if not isinstance(text, str):
        # A ValueError, because pydantic takes no other error for a finding about the input.
        raise ValueError("must be an ISO 8601 timestamp with a zone, like 2025-12-18T19:00:00Z")  # noqa: TRY004
    try:
        # In a query an unescaped "+" of a zone arrives as a space.
        instant = datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", text) if " " in text else text)
    except ValueError:
        raise ValueError("must be an ISO 8601 timestamp with a zone, like 2025-12-18T19:00:00Z") from None
    if instant.tzinfo is None:
        raise ValueError("has no time zone; write one, like 2025-12-18T19:00:00Z")
    if not EARLIEST <= instant.year < LATEST:
        raise ValueError(f"must lie between the years {EARLIEST} and {LATEST}")
    return instant.astimezone(UTC)


def printable(text: str) -> str:
    """The text, or ValueError when it holds control characters other than line breaks and tabs."""
    if any((ord(letter) < 32 and letter not in "\n\r\t") or ord(letter) == 127 for letter in text):
        raise ValueError("must not hold control characters")
    return text


SMALLEST = 1e-100
"""No instrument knows a smaller number."""


def finite(value: float | None) -> float | None:
    """The value, or None for what JSON cannot say (NaN, infinities). What is left of a computation is zero, and so is
    minus zero.
    """
    if value is None or not math.isfinite(value):
        return None
    return value if abs(value) >= SMALLEST else 0.0


def finite_or_zero(value: float) -> float:
    """The value, or 0 where it must be a number and is none."""
    return value if math.isfinite(value) else 0.0


def _plain_number(seconds: float) -> float | int:
    return int(seconds) if seconds.is_integer() else seconds


Instant = Annotated[datetime, BeforeValidator(parse_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
"""A timestamp in a request."""

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=1e9, allow_inf_nan=False)]
Duration = Annotated[float, PlainSerializer(_plain_number), WithJsonSchema({"type": "number"})]
"""Seconds in an answer: 60, not 60.0."""

Word = Annotated[str, Field(strict=True, min_length=1, max_length=200), AfterValidator(printable)]
Text = Annotated[str, Field(strict=True, max_length=10_000), AfterValidator(printable)]


def each_once(words: list[str]) -> list[str]:
    """The words, or ValueError that names the first one that stands there again."""
    again = next((word for place, word in enumerate(words) if word in words[:place]), None)
    if again is not None:
        raise ValueError(f"names {again!r} more than once")
    return words


Methods = Annotated[
    list[Word], Field(min_length=1, max_length=16, json_schema_extra={"uniqueItems": True}), AfterValidator(each_once)
]
"""Names of detection methods in a request."""


class RequestModel(BaseModel):
    """A body or query: unknown fields are refused by name."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class AnswerModel(BaseModel):
    """An answer; made from checked values only."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class ListAnswer(AnswerModel, Generic[T]):
    """A part of a list: `total` counts all, `next` is the path of the next part or null."""

    items: list[T]
    total: int
    next: str | None


class WindowAnswer(AnswerModel):
    """A time range and its resolution in seconds."""

    start: datetime
    end: datetime
    step: Duration


def window_answer(window: Window) -> WindowAnswer:
    """A time range."""
    return WindowAnswer(start=window.start, end=window.end, step=window.step_s)
