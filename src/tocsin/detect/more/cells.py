"""The past of many series in cells of equal length: a low, a middle and a high of each, the newest ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from tocsin.detect.base import distinct
from tocsin.detect.calibrate import Array
from tocsin.detect.more.common import Rows, quantile_of

LOW, HIGH = 0.1, 0.9
"""The quantiles of a cell that are its low and its high."""


@dataclass(frozen=True)
class Cells(Rows):
    """Finished cells ``low``, ``middle``, ``high`` (S, kept), the newest last, and what is in the ``open`` one.

    A cell is ``width_s`` of local time. ``open`` (S, slots) has a place for each equal part of it, in which the last
    sample stays: so a cell is the same in whatever parts its samples come, and never grows. ``number`` counts cells
    since the epoch, -1 before the first; where clocks are set back it waits.
    """

    SHARED: ClassVar[tuple[str, ...]] = ("width_s", "number")

    width_s: float
    number: int
    open: Array
    low: Array
    middle: Array
    high: Array

    @classmethod
    def empty(cls, rows: int, width_s: float, *, slots: int, kept: int) -> Cells:
        """Nothing seen yet."""
        past = [np.full((rows, kept), np.nan) for _ in range(3)]
        return cls(width_s, -1, np.full((rows, slots), np.nan), *past)

    def blank(self, rows: int) -> Cells:
        """New series, at the same time."""
        new = Cells.empty(rows, self.width_s, slots=self.open.shape[1], kept=self.low.shape[1])
        return replace(new, number=self.number)

    def stretches(self, local: Array) -> Iterator[tuple[int, slice]]:
        """The columns of each cell in turn, with its number."""
        numbers = np.maximum.accumulate(np.maximum(np.floor(local / self.width_s).astype(np.int64), self.number))
        bounds = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
        for start, stop in pairwise(bounds):
            if stop > start:
                yield int(numbers[start]), slice(start, stop)

    def moved_to(self, number: int) -> Cells:
        """Finish cells until ``number`` is the open one."""
        if self.number < 0 or number <= self.number:
            return replace(self, number=max(number, self.number))
        ordered = np.sort(self.open, axis=1)
        kept = self.low.shape[1]
        gone = min(number - self.number, kept)
        parts: dict[str, Any] = {}
        for name, share in (("low", LOW), ("middle", 0.5), ("high", HIGH)):
            past = np.full_like(self.low, np.nan)
            past[:, : kept - gone] = getattr(self, name)[:, gone:]
            if number - self.number <= kept:
                past[:, kept - gone] = quantile_of(ordered, share)
            parts[name] = past
        return replace(self, number=number, open=np.full_like(self.open, np.nan), **parts)

    def filled(self, local: Array, values: Array) -> Cells:
        """With samples (S, K) of the open cell; NaN is no sample."""
        slots = self.open.shape[1]
        place = np.clip(np.floor((local - self.number * self.width_s) / self.width_s * slots), 0, slots - 1)
        place = place.astype(np.intp)
        filled = self.open.copy()
        if len(distinct(place)) == len(place):
            filled[:, place] = np.where(np.isnan(values), filled[:, place], values)
        else:
            for column, slot in enumerate(place.tolist()):
                part = values[:, column]
                filled[:, slot] = np.where(np.isnan(part), filled[:, slot], part)
        return replace(self, open=filled)
