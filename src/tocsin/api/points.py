"""The samples of an analysis, part by part: other threads have their turn between two parts."""

from collections.abc import Sequence

import numpy as np
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from tocsin.api.models_analysis import DataPoint
from tocsin.api.models_common import parse_instant
from tocsin.detect import LARGEST
from tocsin.domain.errors import Invalid
from tocsin.domain.frame import Floats

AT_ONCE = 500

_PART: TypeAdapter[list[DataPoint]] = TypeAdapter(list[DataPoint])


def read_points(raw: Sequence[object]) -> tuple[Floats, Floats]:
    """Timestamps and values; raises `RequestValidationError` or `Invalid` naming the points that cannot be."""
    times, values = np.empty(len(raw)), np.empty(len(raw))
    before = -np.inf
    for begin in range(0, len(raw), AT_ONCE):
        for index, point in enumerate(_checked(raw[begin : begin + AT_ONCE], begin), begin):
            times[index] = before = _time_after(before, point.timestamp, index)
            values[index] = _reckonable(point.value, index)
    return times, values


def _checked(part: Sequence[object], begin: int) -> Sequence[DataPoint]:
    try:
        return _PART.validate_python(part)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        moved = [{**one, "loc": ("body", "data_points", begin + int(one["loc"][0]), *one["loc"][1:])} for one in found]
        raise RequestValidationError(moved) from error


def _reckonable(value: float, index: int) -> float:
    if abs(value) > LARGEST:
        raise Invalid(f"data_points[{index}].value", f"must lie between -{LARGEST:g} and {LARGEST:g}")
    return value


def _time_after(before: float, text: str, index: int) -> float:
    field = f"data_points[{index}].timestamp"
    try:
        now = parse_instant(text).timestamp()
    except ValueError as error:
        raise Invalid(field, str(error)) from error
    if now <= before:
        how = "repeats the timestamp before it" if now == before else "is earlier than the one before it"
        raise Invalid(field, f"{how}; timestamps must ascend")
    return now
