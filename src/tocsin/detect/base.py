"""The nouns of detection: methods, directions, scores, and what one method learns of one series."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.calibrate import Array

METHODS: tuple[str, ...] = ("zscore", "iqr", "mad", "rate_change")
"""Every method there is for recorded data, in the order in which a tie between them is broken."""

MORE: tuple[str, ...] = (
    "seasonal",
    "forecast",
    "prophet",
    "isolation_forest",
    "drift",
    "outlier",
    "absence",
    "capacity",
)
"""What monitoring and back-tests have beside them (``tocsin.detect.more``): each goes through time and remembers."""

STATES: tuple[str, ...] = ("drift", "absence", "capacity")
"""Those of them that speak of a state of the series (it rises, it is gone, it will be full), not of one sample."""

AHEAD: tuple[str, ...] = ("capacity",)
"""Those that speak of what comes: how far the sample of now is from what was expected does not matter there."""

STILL: tuple[str, ...] = ("stuck",)
"""Those that say that nothing moves: that has no size and no side."""

AWAY, RETURNED, SETTLED = range(1, 4)
"""What ``Scores.course`` says of a sample."""

AUTO = "auto"
"""The default of a user: the detector of ``tocsin.detect.auto`` in monitoring, all methods on recorded data."""

MIN_LEARN = 8
"""A row with fewer samples to learn from has no baseline yet."""


LARGEST = 8e307
"""A sample beyond this is a gap."""


class Direction(StrEnum):
    """Which side of what is expected counts."""

    ABOVE = "above"
    BELOW = "below"
    BOTH = "both"


def wants_auto(methods: str | Sequence[str]) -> bool:
    """Whether ``auto`` is among the names; it then speaks for all of them."""
    return AUTO in ((methods,) if isinstance(methods, str) else methods)


def resolve_methods(methods: str | Sequence[str]) -> tuple[str, ...]:
    """The names of the classic methods to run: ``auto`` is all of them, duplicates go, order stays.

    Raises ValueError for an empty sequence and for a name that is not in ``METHODS``.
    """
    return _resolved((methods,) if isinstance(methods, str) else tuple(methods))


@lru_cache(maxsize=256)
def _resolved(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError(f"no detection method given; known: {', '.join((AUTO, *METHODS))}")
    resolved: dict[str, None] = {}
    for name in names:
        if name in MORE:
            known = ", ".join((AUTO, *METHODS))
            raise ValueError(f"{name} goes through time: monitoring and back-tests have it; for recorded data: {known}")
        if name != AUTO and name not in METHODS:
            raise ValueError(f"unknown detection method {name!r}; known: {', '.join((AUTO, *METHODS))}")
        resolved.update(dict.fromkeys(METHODS if name == AUTO else (name,)))
    return tuple(resolved)


class Chosen(NamedTuple):
    """What a target's names come to: whether ``auto`` judges, the ``classic`` methods, those of ``MORE``."""

    auto: bool
    classic: tuple[str, ...]
    more: tuple[str, ...]


def choose(methods: str | Sequence[str]) -> Chosen:
    """The methods of monitoring and back-tests behind some names; without classic ones only those of ``MORE`` run.

    Raises ValueError for an empty sequence and for an unknown name.
    """
    return _chosen((methods,) if isinstance(methods, str) else tuple(methods))


@lru_cache(maxsize=256)
def _chosen(names: tuple[str, ...]) -> Chosen:
    known = f"known: {', '.join((AUTO, *METHODS, *MORE))}"
    if not names:
        raise ValueError(f"no detection method given; {known}")
    wrong = [name for name in names if name != AUTO and name not in METHODS and name not in MORE]
    if wrong:
        raise ValueError(f"unknown detection method {wrong[0]!r}; {known}")
    more = tuple(name for name in MORE if name in names)
    classic = tuple(name for name in names if name not in MORE)
    return Chosen(AUTO in names, resolve_methods(classic) if classic else (), more)


class Told(NamedTuple):
    """Numbers behind what a method says: ``facts`` (S, n) in force from its column of ``starts`` on.

    ``shift`` (K,) is what local times in them are ahead of unix seconds.
    """

    method: str
    starts: tuple[int, ...]
    facts: tuple[Array, ...]
    shift: Array

    def cut(self, rows: NDArray[np.intp] | slice, columns: slice) -> Told:
        """Those of some rows and columns; what is in force at the first column may have begun before it."""
        first, stop = columns.start or 0, len(self.shift) if columns.stop is None else columns.stop
        here = slice(max(0, bisect_right(self.starts, first) - 1), bisect_left(self.starts, stop))
        starts = tuple(start - first for start in self.starts[here])
        return Told(self.method, starts, tuple(part[rows] for part in self.facts[here]), self.shift[columns])


@dataclass(frozen=True)
class Predictive:
    """What one method expects of the next sample of each row: Student-t about ``center``; each array (S,)."""

    center: Array
    scale: Array
    degrees: Array


@dataclass(frozen=True)
class Scores:
    """How odd each sample is, and what was expected; every array is (S, K), NaN = no opinion.

    ``expected``, ``lower`` and ``upper`` are those of the strongest method at that sample, in the unit of the values;
    outside the band |sigma| is at least 3. ``sigma`` is signed, positive above what was expected; that of ``auto`` has
    the side of its voices, which of a sample that is no anomaly may be the other one. ``strongest`` is an index into
    ``methods`` (-1 = no opinion); bit m of ``agreeing`` says that method m on its own puts the sample at 3 sigma or
    more, on the same side. ``course`` is ``AWAY`` where a series is still away from where it was before
    it stood out, even if it has come to look ordinary there, ``RETURNED`` where it has come back from there,
    ``SETTLED`` where that has just become its normal; only ``auto`` knows that. ``missing`` says that no sample came
    where one should have: only ``absence`` does, and the other numbers but ``sigma`` are NaN there. ``told`` is for
    words.
    """

    expected: Array
    lower: Array
    upper: Array
    sigma: Array
    strongest: NDArray[np.int8]
    agreeing: NDArray[np.uint32]
    course: NDArray[np.int8]
    methods: tuple[str, ...]
    missing: NDArray[np.bool_] | None = None
    told: tuple[Told, ...] = ()

    def by(self, names: Container[str]) -> NDArray[np.bool_]:
        """(S, K): where the strongest method is one of these."""
        wanted = np.array([name in names for name in self.methods], bool)
        if not wanted.any():
            return np.zeros(self.strongest.shape, bool)
        result: NDArray[np.bool_] = (self.strongest >= 0) & wanted[np.maximum(self.strongest, 0)]
        return result

    def agree(self, names: Container[str]) -> NDArray[np.bool_]:
        """(S, K): where one of these says so as well, at 3 sigma or more on its own."""
        bits = sum(1 << m for m, name in enumerate(self.methods) if name in names)
        result: NDArray[np.bool_] = (self.agreeing & np.uint32(bits)) > 0
        return result

    def cut(self, rows: NDArray[np.intp] | slice, columns: slice) -> Scores:
        """The scores of some rows, and of the columns from ``columns.start`` to ``columns.stop``."""
        arrays = ("expected", "lower", "upper", "sigma", "strongest", "agreeing", "course")
        parts: dict[str, Any] = {name: getattr(self, name)[rows, columns] for name in arrays}
        parts["missing"] = None if self.missing is None else self.missing[rows, columns]
        return replace(self, told=tuple(one.cut(rows, columns) for one in self.told), **parts)

    def methods_at(self, row: int, column: int) -> tuple[str, ...]:
        """The names of the methods that agree on one sample, the strongest first; empty when none does."""
        bits = int(self.agreeing[row, column])
        strongest = int(self.strongest[row, column])
        names = [name for m, name in enumerate(self.methods) if bits >> m & 1]
        return tuple(sorted(names, key=lambda name: self.methods.index(name) != strongest))

    @classmethod
    def nothing(cls, rows: int, columns: int, methods: tuple[str, ...]) -> Scores:
        """Scores without any opinion, to be filled in."""
        blank = [np.full((rows, columns), np.nan) for _ in range(4)]
        strongest = np.full((rows, columns), -1, np.int8)
        agreeing, course = np.zeros((rows, columns), np.uint32), np.zeros((rows, columns), np.int8)
        return cls(blank[0], blank[1], blank[2], blank[3], strongest, agreeing, course, methods)

    def put(self, rows: NDArray[np.intp] | slice, columns: slice, part: Scores) -> None:
        """Write the scores of some rows and columns into their place."""
        for name in ("expected", "lower", "upper", "sigma", "strongest", "agreeing", "course"):
            getattr(self, name)[rows, columns] = getattr(part, name)


def joined(parts: Sequence[Scores]) -> Scores:
    """Scores of columns that follow on each other, of the same rows and methods."""
    bounds = [0, *accumulate(part.sigma.shape[1] for part in parts)]
    whole = Scores.nothing(len(parts[0].sigma), bounds[-1], parts[0].methods)
    for start, stop, part in zip(bounds, bounds[1:], parts, strict=False):
        whole.put(slice(None), slice(start, stop), part)
    if parts[0].missing is None:
        return whole
    missing = np.hstack([part.missing for part in parts if part.missing is not None])
    told = [
        Told(
            each[0].method,
            tuple(start + first for first, one in zip(bounds, each, strict=False) for start in one.starts),
            tuple(facts for one in each for facts in one.facts),
            np.concatenate([one.shift for one in each]),
        )
        for each in zip(*(part.told for part in parts), strict=True)
    ]
    return replace(whole, missing=missing, told=tuple(told))


def as_block(values: object) -> Array:
    """Values as a new (S, T) float64 block in which whatever is not finite is a gap (NaN).

    (T,) becomes (1, T). Raises ValueError for another number of dimensions.
    """
    block = np.array(values, dtype=np.float64, ndmin=2, order="C")
    if block.ndim != 2:
        raise ValueError(f"values have shape (T,) or (S, T), not {block.shape}")
    # Half of the largest float: a difference of two samples then cannot overflow. Two reductions cost less than a mask.
    if block.size and not (block.max() <= LARGEST and block.min() >= -LARGEST):
        block[~(np.abs(block) <= LARGEST)] = np.nan
    return block


def distinct(values: NDArray[Any]) -> list[Any]:
    """The values of an array of any shape, each once, ascending: `numpy.unique` imports 1.3 MB of masked arrays."""
    return sorted(set(values.ravel().tolist()))


def as_times(timestamps: object, columns: int) -> Array:
    """Timestamps as float64 unix seconds of shape (T,).

    Raises ValueError when their number is not that of the samples.
    """
    times = np.asarray(timestamps, dtype=np.float64)
    if times.shape != (columns,):
        raise ValueError(f"{columns} samples a series need {columns} timestamps, not an array of shape {times.shape}")
    return times
