"""What one range query returned, and the window that was asked for."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import LARGEST
from tocsin.domain.labels import Labels

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """The instants `start, start + step, …` up to and including `end`.

    `start` and `end` are aware datetimes; both lie on the step grid when made by `aligned`.
    """

    start: datetime
    end: datetime
    step: timedelta

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window needs aware datetimes")
        if self.step <= timedelta(0):
            raise ValueError("a window needs a positive step")
        if self.end < self.start:
            raise ValueError("a window ends before it starts")

    @classmethod
    def aligned(cls, start: float, end: float, step_s: float) -> "Window":
        """The grid instants (multiples of `step_s` since the epoch) within [start, end], unix seconds.

        Raises ValueError when no grid instant lies in the range.
        """
        first, last = -(-start // step_s) * step_s, end // step_s * step_s
        return cls(datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC), timedelta(seconds=step_s))

    @property
    def step_s(self) -> float:
        """The step in seconds."""
        return self.step.total_seconds()

    @property
    def count(self) -> int:
        """How many instants there are."""
        return int((self.end - self.start) / self.step + 1e-9) + 1

    def grid(self) -> Floats:
        """The instants as unix seconds, (T,)."""
        return self.start.timestamp() + self.step_s * np.arange(self.count, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The series of one query on one grid.

    `timestamps` (T,) float64 unix seconds, ascending; `values` (S, T) float64, NaN = no sample;
    `labels` one per series, all different; `warnings` what the server said beside its answer;
    `dropped` counts samples that had a value but none that can be judged (NaN, +Inf, -Inf, too large), by kind;
    `thin` (T,) counts samples that were made gaps because there was too little behind them (see `denominator.py`);
    `size_bytes` how large the answer was before it was decoded, 0 where nothing came over a wire; `queries` how many
    questions it took; `partial` that data are missing from it which the server could not reach: numbers that rest on
    them may be too small.
    """

    timestamps: Floats
    values: Floats
    labels: tuple[Labels, ...]
    warnings: tuple[str, ...] = ()
    dropped: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    queries: int = 1
    thin: NDArray[np.int64] | None = None
    partial: bool = False

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.labels), len(self.timestamps)):
            raise ValueError(
                f"values {self.values.shape} do not fit {len(self.labels)} series x {len(self.timestamps)} instants"
            )

    def until(self, count: int) -> "Frame":
        """The first `count` instants, with the series that have a sample at one of them."""
        values = self.values[:, :count]
        there = np.flatnonzero((~np.isnan(values)).any(axis=1))
        labels = tuple(self.labels[row] for row in there)
        thin = None if self.thin is None else self.thin[:count]
        return replace(self, timestamps=self.timestamps[:count], values=values[there], labels=labels, thin=thin)

    def within_reach(self) -> "Frame":
        """The same in which samples that are too large to be reckoned with are gaps, counted in `dropped`."""
        # One look at all costs less than a mask; `fmax` and `fmin` pass over gaps.
        if (
            not self.values.size
            or max(np.fmax.reduce(self.values, None), -np.fmin.reduce(self.values, None)) <= LARGEST
        ):
            return self
        beyond = np.abs(self.values) > LARGEST
        if not beyond.any():
            return self
        kind = f"beyond {LARGEST:g}"
        count = self.dropped.get(kind, 0) + int(np.count_nonzero(beyond))
        return replace(self, values=np.where(beyond, np.nan, self.values), dropped={**self.dropped, kind: count})

    @property
    def samples(self) -> int:
        """How many samples there are (gaps do not count)."""
        return int(np.count_nonzero(~np.isnan(self.values)))
