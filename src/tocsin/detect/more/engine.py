"""The further methods of a target going through time side by side, each with its own state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.base import Scores
from tocsin.detect.calibrate import ANOMALOUS, Array
from tocsin.detect.more.common import Columns, Flags, Ints, Said, unseen_after
from tocsin.detect.more.registry import BY_NAME

_NEVER = 1 << 40


@dataclass(frozen=True)
class MoreState:
    """A state a method; ``unseen`` (S,): columns since the last sample of each series, ``first`` (S,): the local time
    of its first one, NaN = none yet.
    """

    names: tuple[str, ...]
    unseen: Ints
    first: Array
    states: tuple[Any, ...]

    @classmethod
    def empty(cls, rows: int, names: tuple[str, ...], step_s: float) -> MoreState:
        """Series of which nothing is known."""
        first = np.full(rows, np.nan)
        return cls(names, np.full(rows, _NEVER), first, tuple(BY_NAME[name].fresh(rows, step_s) for name in names))

    @property
    def ready(self) -> Flags:
        """(S,): series that one of them has an opinion of."""
        result = np.zeros(len(self.unseen), bool)
        for state in self.states:
            result |= state.ready
        return result

    def select(self, rows: object) -> MoreState:
        """The same with its rows reordered or extended: ``rows`` are old row numbers, -1 = a new series."""
        index = np.asarray(rows, dtype=np.intp)
        unseen = np.full(len(index), _NEVER)
        unseen[index >= 0] = self.unseen[index[index >= 0]]
        first = np.where(index >= 0, self.first[index], np.nan) if len(self.first) else np.full(len(index), np.nan)
        return replace(self, unseen=unseen, first=first, states=tuple(state.select(index) for state in self.states))

    def anew(self, rows: NDArray[np.intp]) -> MoreState:
        """The same after ``rows`` are known no more; when they were seen is."""
        index = np.arange(len(self.unseen))
        index[rows] = -1
        return replace(self.select(index), unseen=self.unseen)

    def wait(self, local: float) -> tuple[float, float]:
        """Of the method that speaks first, of those for which there are series enough: the seconds of history that it
        needs, about, and those that are missing at ``local`` time of the series that has the most; 0 and less where
        something else is missing, as samples.
        """
        able = [BY_NAME[name] for name in self.names if BY_NAME[name].series <= len(self.unseen)]
        needed = min((one.first_s for one in able), default=0.0)
        known = self.first[~np.isnan(self.first)]
        return needed, needed - (local - float(known.min()) if known.size else 0.0)

    @property
    def size_bytes(self) -> int:
        """Bytes that all series hold."""
        return self.unseen.nbytes + self.first.nbytes + sum(int(state.size_bytes) for state in self.states)


class GoneOn(NamedTuple):
    """What ``go_on`` gives back: one ``Said`` a method, in the order of the state's names."""

    state: MoreState
    said: tuple[Said, ...]


def go_on(known: MoreState, columns: Columns) -> GoneOn:
    """Judge K columns by every method, each by what came before them, and learn. In whatever parts they come, the
    result is the same. What is ``mute`` is judged, and teaches none of them.
    """
    if not len(columns.values):
        return GoneOn(known, tuple(Said.nothing(columns.values.shape) for _ in known.names))
    advanced = [BY_NAME[name].advance(state, columns) for name, state in zip(known.names, known.states, strict=True)]
    unseen, valid = unseen_after(known.unseen, columns.values), ~np.isnan(columns.values)
    begun = np.where(valid.any(axis=1), columns.local[valid.argmax(axis=1)], np.nan)
    first = np.where(np.isnan(known.first), begun, known.first)
    state = replace(known, unseen=unseen, first=first, states=tuple(one.state for one in advanced))
    return GoneOn(state, tuple(one.said for one in advanced))


def strongest(scores: Scores, said: tuple[Said, ...], first: int) -> None:
    """Write into ``scores`` whatever is stronger than what stands there; the methods' places begin at ``first``.

    Who is at 3 sigma on the side of the strongest agrees.
    """
    side = np.where(np.isnan(scores.sigma), 0.0, scores.sigma)
    for place, one in enumerate(said):
        with np.errstate(invalid="ignore"):
            better = ~np.isnan(one.sigma) & ~(np.abs(one.sigma) <= np.abs(scores.sigma))
        for name in ("sigma", "expected", "lower", "upper"):
            array = getattr(scores, name)
            array[better] = getattr(one, name)[better]
        scores.strongest[better] = first + place
    scores.agreeing[(side > 0) != (scores.sigma > 0)] = 0
    for place, one in enumerate(said):
        agrees = (np.abs(one.sigma) >= ANOMALOUS) & ((one.sigma > 0) == (scores.sigma > 0))
        scores.agreeing[agrees] |= np.uint32(1 << (first + place))
