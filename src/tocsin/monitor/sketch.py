"""The plot of a back-test while it goes on: every series thinned out to columns, so that a month needs little room."""

from collections import Counter
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import possible
from tocsin.domain.evaluation import Judged
from tocsin.domain.frame import Floats, Window
from tocsin.domain.grouping import Fired
from tocsin.domain.labels import Labels
from tocsin.domain.target import Target
from tocsin.monitor.status import Drawing, SketchedSeries, SketchPlot

MAX_SKETCHED = 500
"""Series that are thinned out along the way, of which the busiest are shown; further ones cannot be."""

MAX_SPANS = 500
"""Alerts drawn in one series."""

_GROWS_BY = 32


class Sketch:
    """For each series and column of the plot: lowest and highest value, band, and the mean of what was expected."""

    def __init__(self, target: Target, window: Window, drawing: Drawing) -> None:
        self._target, self._drawing, self._start = target, drawing, window.start.timestamp()
        steps = window.count
        self._column_s = -(-steps // min(drawing.points, steps)) * window.step_s
        self._columns = int((window.end.timestamp() - self._start) // self._column_s) + 1
        self._rows: dict[Labels, int] = {}
        self._left_out: set[Labels] = set()
        self._low, self._high, self._lower, self._upper = (self._blank(np.nan) for _ in range(4))
        self._sum, self._count = self._blank(0.0), self._blank(0.0)
        self._peak = np.zeros(_GROWS_BY)

    def _blank(self, value: float) -> Floats:
        return np.full((_GROWS_BY, self._columns), value)

    def add(self, judged: Judged, columns: int) -> None:
        """The first `columns` of what was judged."""
        mine = [row for row, name in enumerate(judged.frame.labels) if self._place(name) is not None]
        if not mine or not columns:
            return
        rows = np.array([self._rows[judged.frame.labels[row]] for row in mine])
        where = ((judged.frame.timestamps[:columns] - self._start + 1e-6) // self._column_s).astype(np.intp)
        starts = np.flatnonzero(np.diff(where, prepend=-1))
        cell = (rows[:, None], where[starts][None, :])
        scores = possible(judged.scores, self._target.policy)
        values = judged.frame.values[mine, :columns]
        for kept, part, pick in (
            (self._low, values, np.fmin),
            (self._high, values, np.fmax),
            (self._lower, scores.lower[mine, :columns], np.fmin),
            (self._upper, scores.upper[mine, :columns], np.fmax),
        ):
            kept[cell] = pick(kept[cell], pick.reduceat(part, starts, axis=1))
        expected = scores.expected[mine, :columns]
        known = np.isfinite(expected)
        self._sum[cell] += np.add.reduceat(np.where(known, expected, 0.0), starts, axis=1)
        self._count[cell] += np.add.reduceat(known.astype(np.float64), starts, axis=1)
        sigma = np.nan_to_num(np.abs(judged.scores.sigma[mine, :columns]))
        self._peak[rows] = np.maximum(self._peak[rows], sigma.max(axis=1))

    def _place(self, name: Labels) -> int | None:
        row = self._rows.get(name)
        if row is not None or name in self._left_out:
            return row
        if len(self._rows) >= MAX_SKETCHED:
            self._left_out.add(name)
            return None
        row = self._rows[name] = len(self._rows)
        if row >= len(self._peak):
            for part in ("_low", "_high", "_lower", "_upper"):
                setattr(self, part, np.concatenate([getattr(self, part), self._blank(np.nan)]))
            for part in ("_sum", "_count"):
                setattr(self, part, np.concatenate([getattr(self, part), self._blank(0.0)]))
            self._peak = np.concatenate([self._peak, np.zeros(_GROWS_BY)])
        return row

    def plot(self, alerts: Collection[Fired]) -> SketchPlot:
        """The series with the most alerts, of equals those that stood out most."""
        counted = Counter(one.labels for one in alerts)
        ranked = sorted(self._rows, key=lambda name: (-counted[name], -self._peak[self._rows[name]], self._rows[name]))
        shown = ranked[: self._drawing.series]
        notes, total = [], len(self._rows) + len(self._left_out)
        if total > len(shown):
            notes.append(f"{len(shown)} of {total:,} series, those with the most alerts")
        if self._left_out:
            notes.append(f"chosen of the first {MAX_SKETCHED:,} series; no others were looked at for the plot")
        series = [self._series(name, [one for one in alerts if one.labels == name]) for name in shown]
        if any(one.alerts > len(one.spans) for one in series):
            notes.append(f"of each series the first {MAX_SPANS:,} alerts are drawn")
        times = self._start + self._column_s * np.arange(self._columns, dtype=np.float64)
        return SketchPlot(times, self._column_s, series, total, tuple(notes), unit=self._target.nature.unit)

    def _series(self, name: Labels, alerts: list[Fired]) -> SketchedSeries:
        row = self._rows[name]
        count = self._count[row]
        expected: NDArray[np.float64] = np.where(count > 0, self._sum[row] / np.maximum(count, 1.0), np.nan)
        return SketchedSeries(
            labels=name,
            low=self._low[row],
            high=self._high[row],
            expected=expected,
            lower=self._lower[row],
            upper=self._upper[row],
            alerts=len(alerts),
            spans=tuple(alerts[:MAX_SPANS]),
        )
