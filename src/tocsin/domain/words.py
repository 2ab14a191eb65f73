"""Small words for people: how many of something, about how long."""

import math
from datetime import timedelta


def many(count: int, one: str, plural: str = "") -> str:
    """How many there are: `1 event`, `2 events`; `plural` where that is not `one` with an s."""
    return f"{count:,} {one if count == 1 else plural or one + 's'}"


def sigmas(value: float) -> str:
    """A signed sigma with one decimal, cut and not rounded: 3.98 is no +4.0, from which on all is worse."""
    if not math.isfinite(value):
        return f"{value:+.1f}"
    return f"{math.trunc(value * 10 + math.copysign(1e-9, value)) / 10 + 0.0:+.1f}"


def timespan(length: timedelta) -> str:
    """About how long something is: `20 seconds`, `14 minutes`, `13 hours`, `3 days`."""
    hours = length / timedelta(hours=1)
    if hours * 60 < 2:
        return many(round(length.total_seconds()), "second")
    if hours < 2:
        return many(round(hours * 60), "minute")
    return many(round(hours), "hour") if hours < 48 else many(round(hours / 24), "day")
