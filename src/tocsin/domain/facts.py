"""What an anomaly rests on, frozen when it is told: numbers for programs, one plain sentence for people. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import isnan

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import AHEAD, Ground, agreeing, explain, needed_words, number
from tocsin.domain.frame import Floats
from tocsin.domain.labels import Fingerprint

SEASONS = ("none", "day", "week")


@dataclass(frozen=True, slots=True)
class Facts:
    """Why a sample was called odd; numbers in the unit of the values, None where they do not apply.

    `deviation_ratio` is of the expected value. `season` is what was taken off (`none`, `day`, `week`), "" where the
    method knows none; `samples` how many the expectation was learnt from; `threshold` the |sigma| and `floor` the
    deviation that it took; `last_at` when the last alert of the same series before this one had its last anomaly.
    `told` is what methods say beside their numbers, `asked` what else the target asks of its values. Of a sample that
    is missing only `sigma` is a number: the value and what was expected are NaN.
    """

    value: float
    expected: float
    lower: float
    upper: float
    sigma: float
    methods: tuple[str, ...]
    unit: str = ""
    season: str = ""
    samples: int | None = None
    threshold: float | None = None
    floor: float | None = None
    last_at: datetime | None = None
    told: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()

    @property
    def deviation(self) -> float:
        """Value less expected."""
        return self.value - self.expected

    @property
    def deviation_ratio(self) -> float | None:
        """The same as a share of the expected value."""
        return self.deviation / abs(self.expected) if self.expected else None

    @property
    def lead(self) -> str:
        """What methods tell beside their numbers, as the beginning of a sentence; "" where they tell nothing."""
        told = "; ".join(self.told)
        return told[:1].upper() + told[1:]

    @property
    def is_ahead(self) -> bool:
        """Whether it is about the time ahead alone: the value of now is not what is odd."""
        return bool(self.told) and set(self.methods) <= set(AHEAD) and not isnan(self.value)

    @property
    def sentence(self) -> str:
        """All of it in one sentence; what methods tell beside is another one, or the only one if that is the news."""
        told, needed = self.lead, needed_words(self.threshold, self.sigma)
        if isnan(self.value):
            return f"{told}: {abs(self.sigma):.2f} sigma{needed}; {agreeing(self.methods)}."
        last = "" if self.last_at is None else f"{self.last_at:%Y-%m-%d %H:%M} UTC"
        if self.is_ahead:
            before = f"; last like this {last}" if last else ""
            now = f"now it is {number(self.value, self.unit)}"
            return f"{told}; {now}: {abs(self.sigma):.2f} sigma{needed}; {agreeing(self.methods)}{before}."
        said = explain(
            self.value,
            self.expected,
            sigma=self.sigma,
            methods=self.methods,
            lower=self.lower,
            upper=self.upper,
            unit=self.unit,
            ground=Ground(self.samples, self.season, self.threshold, self.floor, last),
        )
        return f"{said} {told}." if told else said


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """What is known of S series beside their scores; filled in for the few samples that are told.

    Of `auto`: `season` (S,) as in `SEASONS` and `age` (S,), the samples that it has seen by the last column. `taught`
    (S, T) are the samples that the named methods may have learnt from, the last `window` before each of the newest K
    columns. `last` is when the last alert of a series had its last anomaly.
    """

    season: NDArray[np.int8]
    age: NDArray[np.int64]
    taught: NDArray[np.bool_]
    window: int
    last: Mapping[Fingerprint, datetime] = field(default_factory=dict)

    def ground(self, row: int, column: int, columns: int, *, by_auto: bool) -> tuple[str, int]:
        """(season, samples learnt from) of one of the newest `columns` samples."""
        if by_auto:
            return SEASONS[int(self.season[row])], max(0, int(self.age[row]) - (columns - column))
        at = self.taught.shape[1] - columns + column
        return "", int(self.taught[row, max(0, at - self.window) : at].sum())

    def cut(self, rows: NDArray[np.intp] | slice, later: int) -> "Background":
        """The same of some rows, as it was before the last `later` columns; a season found since stays."""
        taught = self.taught[rows, : self.taught.shape[1] - later]
        return replace(self, season=self.season[rows], age=self.age[rows] - later, taught=taught)


_BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 120
"""Samples that a line of bars shows, the newest ones."""


def bars(values: tuple[float | None, ...]) -> str:
    """The newest samples as one line of bars between the least and the greatest of them; a gap is a blank."""
    shown = values[-MOST_BARS:]
    there: Floats = np.array([value for value in shown if value is not None and np.isfinite(value)])
    if not len(there):
        return ""
    low, span = float(there.min()), float(there.max()) - float(there.min())

    def bar(value: float | None) -> str:
        if value is None or not np.isfinite(value):
            return " "
        return _BARS[min(len(_BARS) - 1, int((value - low) / span * len(_BARS)))] if span > 0 else _BARS[0]

    return "".join(map(bar, shown))
