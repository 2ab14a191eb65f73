"""How much one query may bring; a long window asked for in parts, and the parts put together."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tocsin.domain.errors import Invalid, LimitExceeded
from tocsin.domain.frame import Floats, Frame, Window
from tocsin.domain.labels import Labels
from tocsin.sources.wire import MAX_NOTES, MAX_SAMPLES, MAX_SERIES

MAX_POINTS = 11_000
"""Prometheus and Loki refuse more points a series in one query."""


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """How much one query may bring; more is refused with `LimitExceeded`, never cut."""

    max_series: int = MAX_SERIES
    max_samples: int = MAX_SAMPLES
    max_points: int = MAX_POINTS
    """Per series and request; a longer window is asked for in parts."""
    max_range_s: float = 400 * 86400.0
    """From the first instant of a window to its last."""

    def __post_init__(self) -> None:
        for name in ("max_series", "max_samples", "max_points"):
            if getattr(self, name) < 1:
                raise Invalid(name, "must be at least 1")
        if self.max_range_s <= 0:
            raise Invalid("max_range_s", "must be above 0")

    def check(self, window: Window) -> None:
        """Raise `LimitExceeded` for a window that is too long, or that one series alone would fill."""
        span_s, instants = (window.end - window.start).total_seconds(), window.count
        if span_s > self.max_range_s:
            raise LimitExceeded(
                f"a window of {span_s / 86400:,.1f} days, more than {self.max_range_s / 86400:,.1f}; "
                "ask for a shorter one, or raise max_range",
                asked=False,
            )
        if instants > self.max_samples:
            raise LimitExceeded(
                f"a window of {instants:,} instants, more than {self.max_samples:,} samples; "
                "ask for a shorter window or a longer step, or raise max_samples",
                asked=False,
            )


def split(window: Window, max_points: int) -> Iterator[Window]:
    """Consecutive windows on the same grid that hold each instant once, none more than `max_points` of them."""
    instants = window.count
    if instants <= max_points:
        yield window
        return
    for first in range(0, instants, max_points):
        last = min(first + max_points, instants) - 1
        yield Window(window.start + first * window.step, window.start + last * window.step, window.step)


async def in_parts(
    window: Window, limits: QueryLimits, ask: Callable[[Window], Awaitable[Frame]], *, at_most: int | None = None
) -> Frame:
    """What `ask` answers for a window, in parts of at most `limits.max_points` instants (and `at_most`), joined. Raises
    what `ask` does, and LimitExceeded.
    """
    limits.check(window)
    points = limits.max_points if at_most is None else max(1, min(limits.max_points, at_most))
    return join([await ask(part) for part in split(window, points)], limits)


def join(parts: Sequence[Frame], limits: QueryLimits) -> Frame:
    """Consecutive parts as one frame; a series that a part does not have is a gap there. Raises LimitExceeded."""
    if len(parts) == 1:
        return parts[0]
    rows: dict[Labels, int] = {}
    for part in parts:
        for labels in part.labels:
            rows.setdefault(labels, len(rows))
    timestamps = np.concatenate([part.timestamps for part in parts])
    if len(rows) > limits.max_series or len(rows) * len(timestamps) > limits.max_samples:
        raise LimitExceeded(
            f"the query gives {len(rows):,} series of {len(timestamps):,} instants, more than "
            f"{limits.max_series:,} series or {limits.max_samples:,} samples; aggregate it, ask for a shorter "
            "window or a longer step, or raise max_series or max_samples"
        )
    values: Floats = np.full((len(rows), len(timestamps)), np.nan)
    dropped: dict[str, int] = {}
    at = 0
    for part in parts:
        width = len(part.timestamps)
        if part.labels:
            values[[rows[labels] for labels in part.labels], at : at + width] = part.values
        at += width
        for kind, count in part.dropped.items():
            dropped[kind] = dropped.get(kind, 0) + count
    warnings = tuple(dict.fromkeys(each for part in parts for each in part.warnings))[:MAX_NOTES]
    size_bytes = sum(part.size_bytes for part in parts)
    partial = any(part.partial for part in parts)
    return Frame(
        timestamps,
        values,
        tuple(rows),
        warnings,
        dropped,
        size_bytes=size_bytes,
        queries=len(parts),
        partial=partial,
    )
