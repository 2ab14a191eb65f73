"""The host's past: one ring of samples per series, bounded in time and in number."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tocsin.domain.frame import Floats
from tocsin.domain.labels import Labels

FIRST_ROWS = 64


@dataclass(frozen=True, slots=True)
class Past:
    """A history laid out plainly, to be kept in a file.

    `values` (S, N) float64: column N-1 is the sample at `newest_tick` periods since the epoch, NaN = no sample.
    """

    period_s: float
    newest_tick: int
    labels: tuple[Labels, ...]
    values: Floats


class History:
    """Samples of all series on the grid of multiples of `period_s` since the epoch.

    Holds `capacity` ticks (samples) a series and at most `max_series` series; 8 bytes a sample.
    """

    def __init__(self, period_s: float, capacity: int, max_series: int) -> None:
        self.period_s = period_s
        self.capacity = capacity
        self.max_series = max_series
        self.refused = 0
        """How many different series found no room (as far as counted: the last tick's)."""
        self._newest: int | None = None
        self._rows: dict[Labels, int] = {}
        self._values: Floats = np.full((min(FIRST_ROWS, max_series), capacity), np.nan)
        self._last_seen: NDArray[np.int64] = np.zeros(len(self._values), dtype=np.int64)

    @property
    def newest_tick(self) -> int | None:
        """The tick of the last sample, None before the first."""
        return self._newest

    def append(self, tick: int, sample: Mapping[Labels, float]) -> None:
        """Keep one sample of each series at `tick` (periods since the epoch).

        Ticks that were skipped become gaps. When the clock was set back, what it passed again is forgotten: there
        is one sample for an instant, and it is the latest word.
        """
        self._turn_to(tick)
        column = tick % self.capacity
        refused = 0
        for labels, value in sample.items():
            row = self._rows.get(labels)
            if row is None:
                row = self._new_row(labels, tick)
            if row is None:
                refused += 1
            else:
                self._values[row, column] = value
                self._last_seen[row] = tick
        self.refused = refused

    def series(self, metric: str) -> list[Labels]:
        """The known series of a metric, by labels."""
        return sorted((each for each in self._rows if each["__name__"] == metric), key=lambda each: tuple(each.items()))

    def means(self, labels: Iterable[Labels], grid: Floats, step_s: float) -> Floats:
        """For each series and instant t the mean of its samples in (t - step, t], NaN where there is none: (S, T).

        `step_s` is at least the period; `grid` ascends by it.
        """
        rows = np.array([self._rows[each] for each in labels], dtype=np.int64)
        answer = np.full((len(rows), len(grid)), np.nan)
        if self._newest is None or not len(rows) or not len(grid):
            return answer
        oldest = self._newest - self.capacity + 1
        # A thousandth of a period forgives what floats make of a grid such as 0.1 s.
        first = max(oldest, int(np.floor((grid[0] - step_s) / self.period_s + 1e-3)) + 1)
        last = min(self._newest, int(np.floor(grid[-1] / self.period_s + 1e-3)))
        if last < first:
            return answer
        ticks = np.arange(first, last + 1)
        samples = self._values[np.ix_(rows, ticks % self.capacity)]
        bucket = np.ceil((ticks * self.period_s - grid[0]) / step_s - 1e-6).astype(np.int64)
        starts = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))
        there = ~np.isnan(samples)
        counts = np.add.reduceat(there, starts, axis=1, dtype=np.int64)
        sums = np.add.reduceat(np.where(there, samples, 0.0), starts, axis=1)
        means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
        answer[:, bucket[starts]] = means
        return answer

    def past(self) -> Past | None:
        """All of it in order of time, as a copy; None while there is nothing."""
        if self._newest is None:
            return None
        labels = [each for each, row in self._rows.items() if self._last_seen[row] > self._newest - self.capacity]
        ticks = np.arange(self._newest - self.capacity + 1, self._newest + 1)
        rows = np.array([self._rows[each] for each in labels], dtype=np.int64)
        values = self._values[np.ix_(rows, ticks % self.capacity)]
        return Past(self.period_s, self._newest, tuple(labels), values)

    def restore(self, past: Past) -> None:
        """Begin with what an earlier process kept. The period must be the same; what exceeds the capacity is left."""
        if past.period_s != self.period_s:
            raise ValueError(f"the history was kept every {past.period_s:g} s, not every {self.period_s:g} s")
        length = min(self.capacity, past.values.shape[1])
        values = past.values[:, past.values.shape[1] - length :]
        ticks = np.arange(past.newest_tick - length + 1, past.newest_tick + 1)
        self._turn_to(past.newest_tick)
        for labels, samples in zip(past.labels, values, strict=True):
            seen = np.flatnonzero(~np.isnan(samples))
            row = self._new_row(labels, past.newest_tick) if len(seen) else None
            if row is not None:
                self._values[row, ticks % self.capacity] = samples
                self._last_seen[row] = ticks[seen[-1]]

    def _turn_to(self, tick: int) -> None:
        newest = self._newest
        if newest is not None:
            low, high = (newest + 1, tick) if tick > newest else (tick, newest)
            if high - low + 1 >= self.capacity:
                self._values[:] = np.nan
            else:
                self._values[:, np.arange(low, high + 1) % self.capacity] = np.nan
            if tick <= newest:
                np.minimum(self._last_seen, tick - 1, out=self._last_seen)
        self._newest = tick

    def _new_row(self, labels: Labels, tick: int) -> int | None:
        row = len(self._rows)
        if row >= self.max_series:
            # The series that is silent for longer than the history is long holds only gaps: its row is free.
            stale = next((old for old, at in self._rows.items() if self._last_seen[at] <= tick - self.capacity), None)
            if stale is None:
                return None
            row = self._rows.pop(stale)
        elif row >= len(self._values):
            more = min(2 * len(self._values), self.max_series) - len(self._values)
            self._values = np.vstack([self._values, np.full((more, self.capacity), np.nan)])
            self._last_seen = np.concatenate([self._last_seen, np.zeros(more, dtype=np.int64)])
        self._rows[labels] = row
        return row
