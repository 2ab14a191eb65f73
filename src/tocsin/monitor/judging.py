"""New samples held against a target's policy; an inferred bound that a sample lies beyond is dropped. Pure."""

from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import ANOMALOUS, Judgement, Policy, Scores, judge
from tocsin.domain.frame import Floats
from tocsin.domain.target import Refuted, Target

_ROUNDING = 1e-6
"""A bound of 1 is not refuted by 1.0000001: a quotient of rates may come out so."""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Columns that are judged by one policy."""

    scores: Scores
    values: Floats
    policy: Policy


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """(S, K) new samples held against a policy: `anomalous` is what stands out from three sigma on.

    `refuted` are the bounds that are wrong after the last column.
    """

    parts: tuple[_Part, ...]
    refuted: Refuted

    @property
    def policy(self) -> Policy:
        """What the last column is judged by."""
        return self.parts[-1].policy

    @property
    def anomalous(self) -> NDArray[np.bool_]:
        """(S, K): beyond three sigma and all floors."""
        return np.hstack(
            [judge(part.scores, part.values, replace(part.policy, sigma=ANOMALOUS)).flags for part in self.parts]
        )

    def judgement(self, entry: Floats | None) -> Judgement:
        """What counts by the target's own thresholds; `entry` (S, K) as for `detect.judge`."""
        found, at = [], 0
        for part in self.parts:
            stop = at + part.values.shape[1]
            found.append(judge(part.scores, part.values, part.policy, None if entry is None else entry[:, at:stop]))
            at = stop
        if len(found) == 1:
            return found[0]
        names = [field.name for field in fields(Judgement)]
        return Judgement(**{name: np.hstack([getattr(part, name) for part in found]) for name in names})


def judge_within(target: Target, scores: Scores, values: Floats, refuted: Refuted) -> Held:
    """Hold each column against the bounds that no column up to it has refuted: the same in whatever parts they come."""
    starts = [0, *_refutations(target, values, refuted), values.shape[1]]
    parts, now = [], refuted
    for start, stop in pairwise(starts):
        now = _after(target, values[:, : start + 1], now)
        columns = slice(start, stop)
        parts.append(_Part(_columns(scores, columns), values[:, columns], target.policy_beyond(now)))
    return Held(tuple(parts), now)


def refuted_words(target: Target, refuted: Refuted) -> tuple[str, ...]:
    """The warning about bounds that turned out to be wrong."""
    nature = target.nature
    pairs = ((refuted[0], "below", nature.lower_bound), (refuted[1], "above", nature.upper_bound))
    return tuple(
        f"a sample lay {side} {bound:g}, the bound inferred from the {nature.origin}: it is not believed any more; "
        "say what is possible with unit, lower_bound or upper_bound"
        for wrong, side, bound in pairs
        if wrong and bound is not None
    )


def _beyond(target: Target, values: Floats, refuted: Refuted) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(K,) each: columns below the inferred lower bound, and above the upper one; only of bounds still believed."""
    nature = target.nature
    below: NDArray[np.bool_] = np.zeros(values.shape[1], bool)
    above: NDArray[np.bool_] = np.zeros(values.shape[1], bool)
    if nature.lower_bound is not None and target.lower_bound is None and not refuted[0]:
        below = _any(values < nature.lower_bound - _ROUNDING * max(1.0, abs(nature.lower_bound)))
    if nature.upper_bound is not None and target.upper_bound is None and not refuted[1]:
        above = _any(values > nature.upper_bound + _ROUNDING * max(1.0, abs(nature.upper_bound)))
    return below, above


def _any(where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = np.asarray(where.any(axis=0))
    return result


def _refutations(target: Target, values: Floats, refuted: Refuted) -> list[int]:
    """The columns, but the first, at which a bound is refuted."""
    firsts = {int(np.argmax(where)) for where in _beyond(target, values, refuted) if where.any()}
    return sorted(firsts - {0})


def _after(target: Target, values: Floats, refuted: Refuted) -> Refuted:
    below, above = _beyond(target, values, refuted)
    return refuted[0] or bool(below.any()), refuted[1] or bool(above.any())


def _columns(scores: Scores, columns: slice) -> Scores:
    if columns == slice(0, scores.sigma.shape[1]):
        return scores
    names = [field.name for field in fields(Scores) if field.name != "methods"]
    return replace(scores, **{name: getattr(scores, name)[:, columns] for name in names})
