"""What the further methods share: the form of a state with rows, what is said, what is known beside the samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.base import distinct
from tocsin.detect.calibrate import ANOMALOUS, Array
from tocsin.detect.student import sigma_of_t, t_of_sigma

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

DAY_S = 86400.0
MAD_TO_SIGMA = 1.4826
_MANY_DEGREES = 64
LEVEL_SHARE = 1e-4
"""No scale is below this share of the level: a change of one in ten thousand is not news."""

SPREAD_SHARE = 0.04
"""Nor below this share of how far a series is usually from its own median."""


@dataclass(frozen=True)
class Context:
    """What a method is told beside the samples.

    ``lower_limit`` and ``upper_limit`` are where something is exhausted, either may be the one that counts; ``limit``
    is the same where the side is not known. ``inferred_limit`` is an upper one that only a unit or a name says, for
    where no other is given. ``horizon_s`` is how far ``capacity`` looks ahead. ``blind``: nobody could look at the time
    of these columns, so that a gap in them says nothing.
    """

    limit: float | None = None
    lower_limit: float | None = None
    upper_limit: float | None = None
    inferred_limit: float | None = None
    horizon_s: float = 4 * DAY_S
    blind: bool = False


class Said(NamedTuple):
    """What one method says of K columns of S series; arrays (S, K), NaN = no opinion.

    ``facts`` are numbers (S, n) for the words beside a finding, each in force from its column of ``starts`` on.
    """

    sigma: Array
    expected: Array
    lower: Array
    upper: Array
    starts: tuple[int, ...] = ()
    facts: tuple[Array, ...] = ()

    @classmethod
    def nothing(cls, shape: tuple[int, ...]) -> Said:
        """No opinion yet, to be written into."""
        sigma, expected, lower, upper = (np.full(shape, np.nan) for _ in range(4))
        return cls(sigma, expected, lower, upper)

    def write(self, here: slice, values: Array, expected: Array, *, scale: Array, degrees: Array) -> Flags:
        """Hold ``values`` of some columns against Student-t about what is expected; which are at 3 sigma and more.

        ``scale`` and ``degrees`` fit the values, or broadcast to them.
        """
        z = (values - expected) / scale
        sigma = sigma_for(z, np.broadcast_to(degrees, z.shape))
        reach = t_of_sigma(ANOMALOUS, degrees) * scale
        known = ~np.isnan(z)
        parts = (sigma, expected, expected - reach, expected + reach)
        for array, part in zip(self[:4], parts, strict=True):
            array[:, here] = np.where(known, part, np.nan)
        return np.abs(sigma) >= ANOMALOUS


class Columns(NamedTuple):
    """New columns: ``local`` (K,) unix seconds plus the zone's offset, ``values`` (S, K), rows on ``hold`` (S,).

    ``mute`` (S, K) are samples and gaps that are judged and teach nothing; None: there are none.
    """

    local: Array
    values: Array
    hold: Flags
    context: Context
    mute: Flags | None = None

    @property
    def teaching(self) -> Array:
        """(S, K): the values that may teach, NaN elsewhere."""
        return self.values if self.mute is None else np.where(self.mute, np.nan, self.values)


class State(Protocol):
    """What one method remembers of S series: bounded, replaced and never changed in place."""

    @property
    def ready(self) -> Flags:
        """(S,): series that it has an opinion of."""

    def select(self, rows: object) -> Self:
        """The same with its rows reordered or extended; -1 = a new series."""

    @property
    def size_bytes(self) -> int:
        """Bytes that all rows hold."""


class Advanced(NamedTuple):
    """What ``advance`` of a method gives back."""

    state: Any
    said: Said


class Method(NamedTuple):
    """One method: how its state begins, how it goes on, how much history it wants (seconds), its ``words``.

    ``first_s`` are the seconds of history that its first opinion takes, about; 0 where a few samples do. ``series`` is
    how many series it takes.

    ``words(facts, stamp_shift, unit)`` puts a row of ``Said.facts`` into words, ``unit`` as in ``number``; local times
    in it become unix seconds when ``stamp_shift`` is taken off. ``slow``: it learns for so long that it must not be
    waited for by others.
    """

    fresh: Callable[[int, float], Any]
    advance: Callable[[Any, Columns], Advanced]
    history_s: float
    first_s: float = 0.0
    series: int = 1
    words: Callable[[Array, float, str], str] | None = None
    slow: bool = False


@dataclass(frozen=True)
class Rows(ABC):
    """A state whose arrays have a row for each series, but for the fields named in ``SHARED``."""

    SHARED: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def blank(self, rows: int) -> Self:
        """New series, at the same time and with the same settings."""

    @property
    def rows(self) -> int:
        """How many series there are."""
        return len(next(self._arrays())[1])

    def _arrays(self) -> Iterator[tuple[str, Any]]:
        return ((one.name, getattr(self, one.name)) for one in fields(self) if one.name not in self.SHARED)

    def select(self, rows: object) -> Self:
        """The same with its rows reordered or extended: ``rows`` are old row numbers, -1 = a new series."""
        index = np.asarray(rows, dtype=np.intp)
        if not self.rows:
            return self.blank(len(index))
        new = np.flatnonzero(index < 0)
        blank = self.blank(1) if new.size else None
        parts: dict[str, Any] = {}
        for name, array in self._arrays():
            if isinstance(array, Rows):
                parts[name] = array.select(index)
                continue
            picked = array[index]
            if blank is not None:
                picked[new] = getattr(blank, name)
            parts[name] = picked
        return replace(self, **parts)

    @property
    def size_bytes(self) -> int:
        """Bytes that all rows hold."""
        return sum(array.size_bytes if isinstance(array, Rows) else array.nbytes for _, array in self._arrays())

    def __len__(self) -> int:
        return self.rows


def median_of(values: Array) -> Array:
    """The median along the last axis of what is not NaN; NaN where all is."""
    return quantile_of(np.sort(values, axis=-1), 0.5)


def quantile_of(ordered: Array, share: float) -> Array:
    """A quantile along the last axis of sorted values (NaN last), between the two nearest; NaN where there is none."""
    count = (~np.isnan(ordered)).sum(axis=-1)
    place = share * np.maximum(count - 1, 0)
    low = np.floor(place).astype(np.intp)[..., None]
    high = np.ceil(place).astype(np.intp)[..., None]
    first, second = np.take_along_axis(ordered, low, -1)[..., 0], np.take_along_axis(ordered, high, -1)[..., 0]
    # Halves first: a sum of two large numbers would overflow.
    part = place - np.floor(place)
    result: Array = first * (1.0 - part) + second * part
    return result


def scale_of(values: Array, center: Array) -> Array:
    """The median absolute deviation along the last axis from ``center``, on the scale of a standard deviation."""
    return MAD_TO_SIGMA * median_of(np.abs(values - center[..., None]))


def sigma_for(t: Array, degrees: Array) -> Array:
    """Student-t on the sigma scale, as ``sigma_of_t`` puts it there, any shape.

    From tables for 1 to 64 degrees, rounded down: few degrees are slow to sum exactly. Relative error below 1 %.
    """
    whole = np.clip(np.floor(np.broadcast_to(degrees, t.shape)), 1, _MANY_DEGREES).astype(np.intp)
    result = np.full(t.shape, np.nan)
    for each in distinct(whole):
        here = whole == each
        knots, sigmas = _table(each)
        result[here] = np.copysign(np.interp(np.log1p(np.abs(t[here])), knots, sigmas), t[here])
    return np.where(np.isnan(t), np.nan, result)


@lru_cache(maxsize=_MANY_DEGREES)
def _table(degrees: int) -> tuple[Array, Array]:
    """Sigma over log(1 + t); up to 1, where nothing is decided, it is a straight line in t."""
    t = np.expm1(np.linspace(np.log(2.0), np.log(1e8), 256))
    sigma = sigma_of_t(t, np.full(t.shape, float(degrees)))
    small = np.linspace(0.0, 1.0, 16, endpoint=False)
    return np.log1p(np.concatenate([small, t])), np.concatenate([small * sigma[0], sigma])


def unseen_after(before: Ints, values: Array) -> Ints:
    """Columns since the last sample of each row, after the columns (S, K) came."""
    valid, columns = ~np.isnan(values), values.shape[1]
    last = np.where(valid.any(axis=1), columns - 1 - valid[:, ::-1].argmax(axis=1), -1)
    result: Ints = np.where(last < 0, before + columns, columns - 1 - last)
    return result
