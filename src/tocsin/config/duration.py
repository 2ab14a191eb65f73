"""Durations as people write them: seconds, or Prometheus' form (`30s`, `5m`, `1h30m`)."""

import math
import re
from datetime import timedelta

_UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_FORM = re.compile("".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?){unit})?" for unit in _UNITS))
_LONGEST_S = 10 * 366 * 86_400.0


def parse_duration(text: str) -> timedelta:
    """The duration that `text` names; raises ValueError saying what would be accepted."""
    stripped = text.strip()
    seconds = _plain_seconds(stripped)
    if seconds is None:
        match = _FORM.fullmatch(stripped) if stripped else None
        if match is None:
            raise ValueError("must be a duration: seconds (300) or units from large to small (5m, 1h30m, 500ms)")
        seconds = sum(float(match[unit] or 0) * size for unit, size in _UNITS.items()) / 1000
    if not 0 <= seconds <= _LONGEST_S:
        raise ValueError("must be a duration between 0 and ten years")
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """The shortest Prometheus form of a duration of whole milliseconds, zero or more: `1h30m`; zero is `0s`."""
    rest = round(value / timedelta(milliseconds=1))
    parts: list[str] = []
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _plain_seconds(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else -1.0
