"""The series of a target as a plot wants them, and the patterns in them."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from tocsin.detect import Pattern, Severity, patterns, possible
from tocsin.domain.evaluation import Judged
from tocsin.domain.frame import Floats, Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.target import Target
from tocsin.monitor.aside import GoOn
from tocsin.monitor.memory import Memory
from tocsin.monitor.rehearsal import Rehearsal
from tocsin.monitor.status import Plot, PlotSeries

PATTERN_SPAN = timedelta(days=1)


class _Drawn:
    """What was judged of some series, column by column, in whatever parts it comes."""

    def __init__(self, labels: Sequence[Labels], timestamps: Floats) -> None:
        shape = (len(labels), len(timestamps))
        self._rows, self._timestamps = {name: row for row, name in enumerate(labels)}, timestamps
        self.values, self.expected, self.lower, self.upper, self.sigma = (np.full(shape, np.nan) for _ in range(5))
        self.anomalous = np.zeros(shape, bool)

    def add(self, judged: Judged, columns: int) -> None:
        """The first `columns` of what was judged."""
        mine = [row for row, name in enumerate(judged.frame.labels) if name in self._rows]
        first = int(np.searchsorted(self._timestamps, judged.frame.timestamps[0] - 1e-6))
        rows = np.array([self._rows[judged.frame.labels[row]] for row in mine], np.intp)
        scores, here = possible(judged.scores, judged.policy), slice(first, first + columns)
        for whole, part in (
            (self.values, judged.frame.values),
            (self.expected, scores.expected),
            (self.lower, scores.lower),
            (self.upper, scores.upper),
            (self.sigma, scores.sigma),
            (self.anomalous, judged.anomalous),
        ):
            whole[rows, here] = part[mine, :columns]


def draw(
    target: Target, frame: Frame, window: Window, max_series: int, memory: Memory, *, go_on: GoOn = lambda: None
) -> Plot:
    """Judge `frame` causally, as monitoring does, and cut the plot of `window` out of it: while an alert lasts what is
    expected is what its series left.

    `frame` begins a lookback earlier; `memory` is what was known before that. Of alerts before nothing is known.
    """
    shown = Frame(frame.timestamps, frame.values[:max_series], frame.labels[:max_series], frame.warnings)
    drawn = _Drawn(shown.labels, frame.timestamps)
    if len(frame.timestamps):
        run = Rehearsal(target, window, sketch=drawn)
        run.memory = memory
        run.judge(shown, go_on)
        run.finish(go_on)
    inside = frame.timestamps >= window.start.timestamp() - 1e-6
    series = []
    for row, labels in enumerate(shown.labels):
        sigma = drawn.sigma[row, inside]
        marks = np.flatnonzero(drawn.anomalous[row, inside])
        series.append(
            PlotSeries(
                labels=labels,
                values=drawn.values[row, inside],
                expected=drawn.expected[row, inside],
                lower=drawn.lower[row, inside],
                upper=drawn.upper[row, inside],
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
