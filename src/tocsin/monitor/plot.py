"""The series of a target as a plot wants them, and the patterns in them."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from tocsin.detect import Pattern, Severity, patterns, possible
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.target import Target
from tocsin.monitor.aside import GoOn
from tocsin.monitor.memory import Memory, absorb
from tocsin.monitor.status import Plot, PlotSeries

PATTERN_SPAN = timedelta(days=1)


def draw(target: Target, frame: Frame, window: Window, max_series: int, memory: Memory) -> Plot:
    """Judge `frame` causally and cut the plot of `window` out of it.

    `frame` begins a lookback earlier; `memory` is what was known before that.
    """
    shown = Frame(frame.timestamps, frame.values[:max_series], frame.labels[:max_series], frame.warnings)
    judged, _ = absorb(target, memory, shown, {})
    rows = {labels: row for row, labels in enumerate(judged.frame.labels)}
    inside = frame.timestamps >= window.start.timestamp() - 1e-6
    scores = possible(judged.scores, judged.policy)
    series = []
    for labels in shown.labels:
        row = rows[labels]
        sigma = judged.scores.sigma[row, inside]
        marks = np.flatnonzero(judged.anomalous[row, inside])
        series.append(
            PlotSeries(
                labels=labels,
                values=judged.frame.values[row, inside],
                expected=scores.expected[row, inside],
                lower=scores.lower[row, inside],
                upper=scores.upper[row, inside],
                sigma=sigma,
                anomalies=tuple(marks.tolist()),
                severities=tuple(Severity.of(float(sigma[mark])) or Severity.LOW for mark in marks),
            )
        )
    return Plot(target.name, window, frame.timestamps[inside], series, len(frame.labels), frame.warnings)


def find_patterns(frame: Frame, go_on: GoOn = lambda: None) -> Sequence[tuple[Labels, tuple[Pattern, ...]]]:
    """The patterns of each series."""
    found = []
    for row, labels in enumerate(frame.labels):
        go_on()
        found.append((labels, patterns(frame.timestamps, frame.values[row])))
    return found
