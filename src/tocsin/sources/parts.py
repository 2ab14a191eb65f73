"""Long windows: how much one query may bring, asking for it in parts, and the parts as one frame again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tocsin.domain.errors import Invalid, LimitExceeded
from tocsin.domain.frame import Floats, Frame, Window
from tocsin.domain.labels import Labels
from tocsin.sources.wire import MAX_NOTES, MAX_SAMPLES, MAX_SERIES

MAX_POINTS = 11_000
"""Prometheus and Loki refuse a range query of more points a series."""


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """How much one query may bring; more is refused with `LimitExceeded`, never cut."""

    max_series: int = MAX_SERIES
    max_samples: int = MAX_SAMPLES
    max_points: int = MAX_POINTS
    """Per series and request; a longer window is asked for in parts."""

    def __post_init__(self) -> None:
        for name in ("max_series", "max_samples", "max_points"):
            if getattr(self, name) < 1:
                raise Invalid(name, "must be at least 1")

    def check_instants(self, window: Window) -> None:
        """Raise `LimitExceeded` for a window that one series alone would make too large."""
        instants = window.count
        if instants > self.max_samples:
            raise LimitExceeded(
                f"a window of {instants:,} instants, more than {self.max_samples:,} samples; "
                "ask for a shorter window or a longer step, or raise max_samples"
            )


def joined(parts: Sequence[Frame], limits: QueryLimits) -> Frame:
    """Consecutive parts as one frame; a series that a part does not have is a gap there."""
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
    return Frame(timestamps, values, tuple(rows), warnings, dropped, size_bytes=size_bytes, queries=len(parts))


def split(window: Window, max_points: int) -> Iterator[Window]:
    """Consecutive windows on the same grid that hold each instant once, none more than `max_points` of them."""
    instants = window.count
    if instants <= max_points:
        yield window
        return
    for first in range(0, instants, max_points):
        last = min(first + max_points, instants) - 1
        yield Window(window.start + first * window.step, window.start + last * window.step, window.step)


def seconds(value: float) -> str:
    """Unix seconds or a step with milliseconds, as the API reads them; no exponent."""
    return f"{value:.3f}".rstrip("0").rstrip(".")
