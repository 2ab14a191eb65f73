"""A long window asked for in parts, and the parts put together. Pure."""

from collections.abc import Iterator, Sequence

import numpy as np

from tocsin.domain.errors import LimitExceeded
from tocsin.domain.frame import Floats, Frame, Window
from tocsin.domain.labels import Labels
from tocsin.sources.wire import MAX_NOTES


def split(window: Window, max_points: int) -> Iterator[Window]:
    """Consecutive windows on the same grid that hold each instant once, none more than `max_points` of them."""
    instants = window.count
    if instants <= max_points:
        yield window
        return
    for first in range(0, instants, max_points):
        last = min(first + max_points, instants) - 1
        yield Window(window.start + first * window.step, window.start + last * window.step, window.step)


def join(parts: Sequence[Frame], *, max_series: int, max_samples: int) -> Frame:
    """Consecutive parts as one frame; a series that a part does not have is a gap there. Raises LimitExceeded."""
    if len(parts) == 1:
        return parts[0]
    rows: dict[Labels, int] = {}
    for part in parts:
        for labels in part.labels:
            rows.setdefault(labels, len(rows))
    timestamps = np.concatenate([part.timestamps for part in parts])
    if len(rows) > max_series or len(rows) * len(timestamps) > max_samples:
        raise LimitExceeded(
            f"the query gives {len(rows):,} series of {len(timestamps):,} instants, more than "
            f"{max_series:,} series or {max_samples:,} samples; aggregate it, ask for a shorter "
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
