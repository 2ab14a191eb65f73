"""Validation errors of pydantic as (field, reason): the field's place in the request, never its value."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tocsin.domain.words import many

MOST_ERRORS = 50
SAVED = "saved-target"
UNSAVED = "unsaved-target"
"""Tags of the two forms of a back-test's target; pydantic puts them into the place of an error, people need not see."""

_SUBJECT = re.compile(r"^\w+ should")
_PLACES = ("body", "query", "path", "header")
_WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "json_invalid": "is not valid JSON",
    "model_attributes_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "list_type": "must be a JSON array",
    "string_type": "must be a string",
    "string_unicode": "must be valid Unicode text",
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
}
_NO_OBJECT = ("model_attributes_type", "model_type")
_BOUNDS = {
    "less_than": ("must be below", "lt"),
    "less_than_equal": ("must be at most", "le"),
    "greater_than": ("must be above", "gt"),
    "greater_than_equal": ("must be at least", "ge"),
}
"""What is said of a number beyond a bound, and under which name the bound stands in the error."""


def fields_of(errors: Sequence[Any] | Iterable[Any]) -> list[tuple[str, str]]:
    """The fields and reasons of pydantic's error list, at most `MOST_ERRORS`, each once."""
    found: dict[tuple[str, str], None] = {}
    for error in errors:
        found[(_field(error["loc"], error["type"]), _reason(error))] = None
        if len(found) == MOST_ERRORS:
            break
    return list(found)


def _field(place: Sequence[str | int], kind: str) -> str:
    parts = [part for part in place[place[:1] != () and place[0] in _PLACES :] if part not in (SAVED, UNSAVED)]
    if not parts or kind == "json_invalid":
        return "body" if not place or place[0] == "body" else str(place[0])
    name = ""
    for part in parts:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    # A client chooses the names of unknown fields: they are cut, and shown without control characters.
    return "".join(letter if letter.isprintable() else "?" for letter in name[:200])


def _reason(error: Mapping[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx") or {}
    if kind in _NO_OBJECT and error["loc"][-1:] == (UNSAVED,):
        return "must be the name of a target, or a JSON object that defines one"
    if kind in _WORDS:
        return _WORDS[kind]
    if kind == "too_long":
        return f"has too many items: at most {context['max_length']:,} are accepted"
    if kind == "too_short":
        return f"must have at least {many(context['min_length'], 'item')}"
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        return f"{words} {_plain(context[name])}"
    if kind == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    return _SUBJECT.sub("should", str(error["msg"]))


def _plain(bound: float) -> str:
    return f"{int(bound):,}" if float(bound).is_integer() else f"{bound:g}"
