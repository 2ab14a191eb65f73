"""From how odd a sample is to whether it counts: threshold, floor on what matters, direction."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto.state import SIDED, VOICES
from tocsin.detect.base import AHEAD, AWAY, RETURNED, STILL, Direction, Scores
from tocsin.detect.calibrate import ANOMALOUS, NEARLY, Array

REASONS: tuple[str, ...] = (
    "normal",
    "flagged",
    "no_opinion",
    "wrong_direction",
    "below_min_effect",
    "outside_alert_range",
    "below_dial",
    "after_deploy",
    "came_back",
)
"""What a code of ``Judgement.reasons`` means."""

(
    _NORMAL,
    _FLAGGED,
    _NO_OPINION,
    _WRONG_DIRECTION,
    _BELOW_MIN_EFFECT,
    _OUTSIDE_ALERT_RANGE,
    _BELOW_DIAL,
    _AFTER_DEPLOY,
    _CAME_BACK,
) = np.arange(len(REASONS), dtype=np.uint8)

_ROUNDING = 1e-6
"""A bound of 1 is not passed by 1.0000001."""


@dataclass(frozen=True)
class Policy:
    """What counts as an anomaly of one target, in the unit of its values.

    ``sigma`` is needed to begin, ``exit_sigma`` (default: one less, at least 2.5) to hold on. An anomaly is at least
    ``min_effect`` and ``min_effect_ratio`` of the expected value (see ``floor``) away from it. With ``alert_above`` a
    value at or below it never counts, with ``alert_below`` one at or above it. ``lower_bound`` and ``upper_bound`` are
    what is physically possible (counts above 0, percent to 100): what is expected is clipped to them.
    """

    sigma: float = ANOMALOUS
    exit_sigma: float | None = None
    direction: Direction = Direction.BOTH
    min_effect: float = 0.0
    min_effect_ratio: float = 0.0
    alert_above: float | None = None
    alert_below: float | None = None
    lower_bound: float | None = None
    upper_bound: float | None = None

    @property
    def holds_from(self) -> float:
        """The |sigma| from which an active anomaly goes on; never more than it takes to begin."""
        wanted = max(NEARLY, self.sigma - 1.0) if self.exit_sigma is None else self.exit_sigma
        return min(wanted, self.sigma)

    @property
    def side(self) -> int:
        """The side of what is expected that is asked for: 1 above, -1 below, 0 both."""
        if self.direction is not Direction.BOTH:
            return 1 if self.direction is Direction.ABOVE else -1
        return int(self.alert_above is not None) - int(self.alert_below is not None)

    def within(self, values: Array) -> Array:
        """Values, any shape, moved to the nearest one that is physically possible; NaN stays NaN."""
        if self.lower_bound is None and self.upper_bound is None:
            return values
        result: Array = np.clip(
            values,
            -np.inf if self.lower_bound is None else self.lower_bound,
            np.inf if self.upper_bound is None else self.upper_bound,
        )
        return result


@dataclass(frozen=True)
class Judgement:
    """What counts: ``flags`` (S, K), ``holding`` (the same test at the exit threshold), ``reasons`` (codes)."""

    flags: NDArray[np.bool_]
    holding: NDArray[np.bool_]
    reasons: NDArray[np.uint8]


def judge(scores: Scores, values: object, policy: Policy) -> Judgement:
    """Which samples (S, K) count under ``policy``, and for each the reason why or why not (see ``REASONS``).

    ``holding`` relaxes the floors on effect by half, and a series that is ``AWAY`` holds as long as its value may alert
    at all: what is expected has followed it by then. Raises ValueError when shapes do not fit.
    """
    block = _checked(scores, values)
    size = np.where(_there(scores, block), np.abs(scores.sigma), np.nan)
    reasons = np.where(np.isnan(size), _NO_OPINION, _NORMAL)
    flags, holding = np.zeros(block.shape, bool), np.zeros(block.shape, bool)
    near = size >= policy.holds_from
    if near.any():
        holding[near] = _codes(scores, block, policy, near, holding=True) == _FLAGGED
        # What begins is among what holds on: it is never easier.
        odd = size >= policy.sigma
        reasons[odd] = _codes(scores, block, policy, odd)
        flags = reasons == _FLAGGED
    away = scores.course == AWAY
    if away.any():
        holding |= away & _may_alert(block, policy)
    return Judgement(flags, holding, reasons)


def raised(judgement: Judgement, sigma: Array, entry: Array) -> Judgement:
    """The same where it takes ``entry`` (S, K) sigma to begin: what the dial asks. To hold on takes no more."""
    below = judgement.flags & (np.abs(sigma) < entry)
    if not below.any():
        return judgement
    return Judgement(judgement.flags & ~below, judgement.holding, np.where(below, _BELOW_DIAL, judgement.reasons))


def shifted(judgement: Judgement, anomalous: NDArray[np.bool_], sigma: Array, usual: Array, needed: Array) -> Judgement:
    """The same where it takes ``needed`` (S, K) sigma to begin and not the ``usual`` number: more keeps back what
    counted, fewer lets in what is ``anomalous``. To hold on takes no more than before.
    """
    size = np.abs(sigma)
    back = judgement.flags & (size < needed)
    let_in = anomalous & ~judgement.flags & (needed < usual) & (size >= needed)
    if not (back.any() or let_in.any()):
        return judgement
    reasons = np.where(back, _AFTER_DEPLOY, np.where(let_in, _FLAGGED, judgement.reasons)).astype(np.uint8)
    return Judgement(judgement.flags & ~back | let_in, judgement.holding | let_in, reasons)


def anomalies(scores: Scores, values: object, policy: Policy) -> NDArray[np.bool_]:
    """Which samples (S, K) are at 3 sigma or more and beyond the floors of ``policy``, whatever sigma it asks for."""
    block = _checked(scores, values)
    odd = (np.abs(scores.sigma) >= ANOMALOUS) & _there(scores, block)
    if odd.any():
        odd[odd] = _codes(scores, block, policy, odd) == _FLAGGED
    return odd


def _checked(scores: Scores, values: object) -> Array:
    block = np.asarray(values, dtype=np.float64)
    if block.shape != scores.sigma.shape:
        raise ValueError(f"values {block.shape} and scores {scores.sigma.shape} differ in shape")
    return block


def _there(scores: Scores, values: Array) -> NDArray[np.bool_]:
    """(S, K): where there is something to judge: a sample, or one that is missed."""
    there: NDArray[np.bool_] = ~np.isnan(values)
    return there if scores.missing is None else there | scores.missing


def _codes(
    scores: Scores, values: Array, policy: Policy, odd: NDArray[np.bool_], *, holding: bool = False
) -> NDArray[np.uint8]:
    """Of the samples that are ``odd``, which count and why the others do not; (their number,).

    A sample on the other side than the deviation of which a voice speaks is an echo: what went that way has come back.
    It begins nothing. What is missing, and what is said of the time ahead, has no deviation that a floor could be held
    against. Nor has what stands still, which is no news at a bound, and on no side.
    """
    value, expected, deviation = values[odd], policy.within(scores.expected[odd]), scores.sigma[odd]
    code = np.full(value.shape, _FLAGGED, np.uint8)
    code[~_may_alert(value, policy)] = _OUTSIDE_ALERT_RANGE
    effect = np.abs(value - expected)
    if not holding:
        effect = np.where(scores.by(SIDED)[odd], (value - expected) * np.sign(deviation), effect)
    least = floor(expected, policy) * (0.5 if holding else 1.0)
    ahead = scores.by(AHEAD)[odd]
    # Where it is at a bound, beyond which more was expected, it is as near as can be.
    at_bound = (expected == policy.lower_bound) | (expected == policy.upper_bound)
    still = scores.by(STILL)[odd]
    resting = still & ((value == policy.lower_bound) | (value == policy.upper_bound))
    small = ~still & (effect < least) | at_bound & (value == expected)
    code[small & ~ahead | resting] = _BELOW_MIN_EFFECT
    if policy.direction is not Direction.BOTH:
        code[((deviation > 0) != (policy.direction is Direction.ABOVE)) | still] = _WRONG_DIRECTION
    if policy.side:
        # Who asks for one side alone is not told that it comes back from the other.
        back = (scores.course[odd] == RETURNED) & (deviation * policy.side > 0) & scores.by(VOICES)[odd]
        code[back & (code == _FLAGGED)] = _CAME_BACK
    if scores.missing is not None:
        # What is not there has no size and no side.
        code[scores.missing[odd]] = _FLAGGED
    return code


def floor(expected: Array, policy: Policy) -> Array:
    """The least deviation from each expected value that counts, same shape, in the unit of the values.

    ``min_effect_ratio`` is of the expected value; with both bounds known it is of the distance to the nearer one, as
    long as the expected value lies within them.
    """
    size = np.abs(expected)
    if policy.lower_bound is not None and policy.upper_bound is not None:
        below = expected < policy.lower_bound - slack(policy.lower_bound)
        above = expected > policy.upper_bound + slack(policy.upper_bound)
        room = np.maximum(0.0, np.minimum(expected - policy.lower_bound, policy.upper_bound - expected))
        size = np.where(below | above, size, room)
    return np.maximum(policy.min_effect, policy.min_effect_ratio * size)


def slack(bound: float) -> float:
    """How far beyond a bound a value may lie and still be at it: a quotient of rates may come out so."""
    return _ROUNDING * max(1.0, abs(bound))


def _may_alert(values: Array, policy: Policy) -> NDArray[np.bool_]:
    above = np.full(values.shape, policy.alert_above is None) | (values > (policy.alert_above or 0.0))
    below = np.full(values.shape, policy.alert_below is None) | (values < (policy.alert_below or 0.0))
    result: NDArray[np.bool_] = above & below
    return result


def possible(scores: Scores, policy: Policy) -> Scores:
    """The same with what is expected, and its band, kept inside what is physically possible: as people are shown it."""
    expected, lower, upper = map(policy.within, (scores.expected, scores.lower, scores.upper))
    return replace(scores, expected=expected, lower=lower, upper=upper)
