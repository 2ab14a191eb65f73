"""New samples held against a target's policy; an inferred bound that a sample lies beyond is dropped. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import (
    AUTO_CEILING,
    RETURNED,
    SPEAKERS,
    STATES,
    Dial,
    Judgement,
    Policy,
    Reviews,
    Scores,
    Seen,
    advance_dial,
    anomalies,
    judge,
    raised,
    slack,
)
from tocsin.domain.feedback import MarkedWindow, Verdict, Verdicted
from tocsin.domain.frame import Floats
from tocsin.domain.labels import Labels
from tocsin.domain.target import Refuted, Target
from tocsin.monitor.following import utc_offsets

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What counts of (S, K) new samples: by the target's thresholds, and `anomalous` from three sigma on.

    `policy` is what the last column was judged by, `refuted` the bounds that are wrong after it.
    """

    judgement: Judgement
    anomalous: NDArray[np.bool_]
    policy: Policy
    refuted: Refuted


def judge_within(target: Target, scores: Scores, values: Floats, refuted: Refuted, hold: Flags | None = None) -> Held:
    """Judge each column by the bounds that no column up to it has refuted: in whatever parts they come, the same.

    Rows on ``hold`` (S,) have an active alert: what comes back there is no anomaly.
    """
    held = _within(target, scores, values, refuted)
    if hold is None or not held.anomalous.any():
        return held
    return replace(held, anomalous=held.anomalous & ~(hold[:, None] & (scores.course == RETURNED)))


def _within(target: Target, scores: Scores, values: Floats, refuted: Refuted) -> Held:
    later = _refutations(target, values, refuted)
    if not later:
        now = _after(target, values[:, :1], refuted)
        policy = target.policy_beyond(now)
        return Held(judge(scores, values, policy), anomalies(scores, values, policy), policy, now)
    parts: list[tuple[Judgement, NDArray[np.bool_]]] = []
    now, policy = refuted, target.policy_beyond(refuted)
    for start, stop in pairwise([0, *later, values.shape[1]]):
        now = _after(target, values[:, : start + 1], now)
        policy = target.policy_beyond(now)
        columns = slice(start, stop)
        part, seen = scores.cut(slice(None), columns), values[:, columns]
        parts.append((judge(part, seen, policy), anomalies(part, seen, policy)))
    names = [field.name for field in fields(Judgement)]
    joined = Judgement(**{name: np.hstack([getattr(part, name) for part, _ in parts]) for name in names})
    return Held(joined, np.hstack([flags for _, flags in parts]), policy, now)


def by_dial(
    target: Target,
    scores: Scores,
    held: Held,
    dial: Dial,
    local: Floats,
    *,
    floor: float,
    mute: NDArray[np.bool_] | None = None,
    reviews: Reviews | None = None,
) -> tuple[Dial, Judgement, Floats | None]:
    """The dial after the columns at ``local`` seconds (K,), what counts where it asks for more sigma to begin, and how
    many it asks for (S, K); None where a person has said it.

    What lies in a marked window (``mute``, (S, K)) is told all the same, and says nothing of how
    often false alerts come. So does what the methods of ``STATES`` say: it lasts, and the dial asks for nothing there.
    Where ``auto`` speaks, or agrees with one that says more, it asks for no more than that can say.
    """
    tolerance = target.tolerance
    if tolerance is None:
        return dial, held.judgement, None
    sigma, counted = scores.sigma, held.anomalous
    if mute is not None:
        sigma, counted = np.where(mute, np.nan, sigma), counted & ~mute
    states, by_auto = scores.by(STATES), scores.by(SPEAKERS)
    if scores.missing is not None:
        sigma = np.where(scores.missing, np.nan, sigma)
    seen = Seen(sigma, counted & ~states, by_auto)
    dial, entry = advance_dial(dial, local, seen, tolerance._replace(floor=floor), reviews)
    entry[states] = 0.0
    np.minimum(entry, AUTO_CEILING, out=entry, where=by_auto | scores.agree(SPEAKERS))
    return dial, raised(held.judgement, scores.sigma, entry), entry


def reviews_of(
    verdicts: Sequence[Verdicted], labels: Sequence[Labels], timezone: str, windows: Sequence[MarkedWindow] = ()
) -> Reviews | None:
    """The verdicts on alerts of these series as the dial takes them; None where there are none. Those on what is said
    of a state, or began in one of the marked ``windows``, are none: the dial has not counted it.
    """
    if not verdicts:
        return None
    rows = {name: row for row, name in enumerate(labels)}
    mine = [
        one
        for one in verdicts
        if one.labels in rows
        and set(one.methods[:1]).isdisjoint(STATES)
        and not any(each.start <= one.at <= each.end and each.labels.items() <= one.labels.items() for each in windows)
    ]
    begun = np.array([one.at.timestamp() for one in mine])
    return Reviews(
        row=np.array([rows[one.labels] for one in mine], np.intp),
        sigma=np.array([one.sigma for one in mine], np.float64),
        auto=np.array([bool(one.methods) and one.methods[0] in SPEAKERS for one in mine], bool),
        day=((begun + utc_offsets(begun, timezone)) // 86400.0).astype(np.int64),
        false=np.array([one.verdict is not Verdict.REAL for one in mine], bool),
    )


def _beyond(target: Target, values: Floats, refuted: Refuted) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(K,) each: columns below the inferred lower bound, and above the upper one; only of bounds still believed."""
    nature = target.nature
    below = above = np.zeros(values.shape[1], bool)
    if nature.lower_bound is not None and target.lower_bound is None and not refuted[0]:
        below = _any(values < nature.lower_bound - slack(nature.lower_bound))
    if nature.upper_bound is not None and target.upper_bound is None and not refuted[1]:
        above = _any(values > nature.upper_bound + slack(nature.upper_bound))
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
