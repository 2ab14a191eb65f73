"""Slow shapes of a series: trend, seasonality, level shift. Each is tested, none is assumed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tocsin.detect.base import as_block, as_times
from tocsin.detect.calibrate import Array, Severity, tail_of
from tocsin.detect.explain import moment
from tocsin.detect.season import find_period
from tocsin.detect.shape import Shape, level_shift, trend
from tocsin.units import number

SURE = 0.01
"""A trend or shift is reported when chance would show one like it in at most this share of series without."""

LARGE = 0.25
MOST_BLOCKS = 96


@dataclass(frozen=True)
class Pattern:
    """A slow shape of one series between two unix times.

    ``kind`` is trend, seasonality or level_shift, ``direction`` up or down (None for a season), ``size`` the change of
    level (a season: its range) in the unit of the values, ``sigma`` the Gaussian deviation of its test, ``confidence``
    1 - p. Severity is MEDIUM for a monotone change of the level by a quarter or more, else LOW.
    """

    kind: str
    direction: str | None
    start: float
    end: float
    size: float
    sigma: float
    severity: Severity
    confidence: float
    period_s: float | None
    series: int
    explanation: str


def patterns(timestamps: object, values: object) -> tuple[Pattern, ...]:
    """The patterns of (T,) or (S, T) ``values`` at ``timestamps`` (T,), series by series; NaN = gap.

    Raises ValueError for shapes that do not fit.
    """
    block = as_block(values)
    times = as_times(timestamps, block.shape[1])
    found: list[Pattern] = []
    for series, row in enumerate(block):
        known = ~np.isnan(row)
        largest = float(np.abs(row[known]).max(initial=0.0))
        if known.sum() < 5 or float(np.ptp(row[known])) <= 1e-9 * largest:
            continue
        unit = 2.0 ** np.floor(np.log2(largest))
        found.extend(_of_series(series, times[known], row[known] / unit, float(unit)))
    return tuple(found)


def _of_series(series: int, times: Array, values: Array, unit: float) -> list[Pattern]:
    found = []
    span = (float(times[0]), float(times[-1]))
    season = find_period(times, values)
    level = values
    if season is not None:
        level = values - season.curve
        size = float(np.ptp(season.curve)) * unit
        words = f"repeats {_every(season.period_s)} with a range of {number(size)}"
        shape = Shape(season.sigma, size / unit, span[0], span[1], 0.0, monotone=False)
        found.append(_pattern("seasonality", series, shape, unit, said=(season.period_s, words)))
    at, middle = _blocks(times, level)
    straight, step = trend(at, middle), level_shift(at, middle)
    # A ramp has a before and after, and a step has a slope: the shape that leaves less unexplained is told.
    best, kind = (step, "level_shift") if step.left < straight.left else (straight, "trend")
    if tail_of(best.sigma) <= SURE and best.size:
        side = "rises" if best.size > 0 else "falls"
        by = f"by {number(abs(best.size) * unit)}"
        how = f"steadily {by}" if kind == "trend" else f"at once {by} at about {moment(best.start)} and stays there"
        words = f"{side} {how}"
        shape = (
            best if kind == "level_shift" else Shape(best.sigma, best.size, *span, best.left, monotone=best.monotone)
        )
        first = abs(float(np.median(middle[:3])))
        found.append(_pattern(kind, series, shape, unit, said=(None, words), level=first))
    return found


def _pattern(
    kind: str, series: int, shape: Shape, unit: float, *, said: tuple[float | None, str], level: float = 0.0
) -> Pattern:
    large = shape.monotone and abs(shape.size) >= LARGE * level
    return Pattern(
        kind=kind,
        direction=None if kind == "seasonality" else ("up" if shape.size > 0 else "down"),
        start=shape.start,
        end=shape.end,
        size=shape.size * unit,
        sigma=shape.sigma,
        severity=Severity.MEDIUM if large else Severity.LOW,
        confidence=1.0 - tail_of(shape.sigma),
        period_s=said[0],
        series=series,
        explanation=f"The series {said[1]} ({shape.sigma:.1f} sigma).",
    )


def _blocks(times: Array, values: Array) -> tuple[Array, Array]:
    """At most ``MOST_BLOCKS`` medians of neighbours: robust, and nearer to independent than single samples."""
    size = -(-len(values) // MOST_BLOCKS)
    if size == 1:
        return times, values
    whole = len(values) // size * size
    middle = np.median(values[:whole].reshape(-1, size), axis=1)
    at = times[:whole].reshape(-1, size).mean(axis=1)
    return at, middle


def _every(seconds: float) -> str:
    units = (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0))
    name, length = next((each for each in units if seconds >= each[1]), units[-1])
    many = f"{seconds / length:.3g}"
    return f"every {name}" if many == "1" else f"every {many} {name}s"
