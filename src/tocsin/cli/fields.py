"""Fields of a target on the command line, and times as ISO 8601 writes intervals."""

import json

from tocsin.cli.answer import Json
from tocsin.cli.exits import Exit, fail

LISTS = frozenset({"detection_methods"})
"""Fields that hold several words; on the command line with commas between them."""


def fields(given: list[str]) -> dict[str, Json]:
    """Fields as the API names them; a value that is no JSON is text, or the words of a list."""
    named: dict[str, Json] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            fail(f"--set: must look like field=value, not {text!r}", Exit.INPUT)
        try:
            named[name] = json.loads(value)
        except ValueError:
            named[name] = [*value.split(",")] if name in LISTS else value
    return named


def check_number(option: str, value: float | None, *, most: float, least: float = 0.0) -> None:
    """End the command unless the number, where one is given, is at least `least` (0: above it) and at most `most`."""
    if value is None or (0 < value <= most and value >= least):
        return
    bounds = f"from {least:g} to {most:g}" if least else f"above 0 and at most {most:g}"
    fail(f"{option}: must be a number {bounds}, not {value:g}", Exit.INPUT)


def intervals(given: list[str]) -> list[Json]:
    """`START/END` each, two timestamps; whether they are any the server says."""
    listed: list[Json] = []
    for text in given:
        start, slash, end = text.partition("/")
        if not slash or not start or not end:
            fail(f"--incident: must look like 2026-01-31T12:00:00Z/2026-01-31T13:00:00Z, not {text!r}", Exit.INPUT)
        listed.append({"start": start, "end": end})
    return listed
