"""From how odd a sample is to whether it counts: threshold, floor on what matters, direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.base import Direction, Scores
from tocsin.detect.calibrate import ANOMALOUS, Array

REASONS: tuple[str, ...] = (
    "normal",
    "flagged",
    "no_opinion",
    "wrong_direction",
    "below_min_effect",
    "outside_alert_range",
    "below_dial",
)
"""What a code of ``Judgement.reasons`` means."""

_NORMAL, _FLAGGED, _NO_OPINION, _WRONG_DIRECTION, _BELOW_MIN_EFFECT, _OUTSIDE_ALERT_RANGE, _BELOW_DIAL = range(
    len(REASONS)
)


@dataclass(frozen=True)
class Policy:
    """What counts as an anomaly of one target, in the unit of its values.

    ``sigma`` is needed to begin, ``exit_sigma`` (default: one less, at least 2) to hold on. An anomaly is at least
    ``min_effect`` and ``min_effect_ratio`` of the expected value away from it. With ``alert_above`` a value at or
    below it never counts, with ``alert_below`` one at or above it. ``lower_bound`` and ``upper_bound`` are what is
    physically possible (counts above 0, percent to 100): bands are clipped to them.
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
        wanted = max(2.0, self.sigma - 1.0) if self.exit_sigma is None else self.exit_sigma
        return min(wanted, self.sigma)


@dataclass(frozen=True)
class Judgement:
    """What counts: ``flags`` (S, K), ``holding`` (the same test at the exit threshold), ``reasons`` (codes)."""

    flags: NDArray[np.bool_]
    holding: NDArray[np.bool_]
    reasons: NDArray[np.uint8]


def judge(scores: Scores, values: object, policy: Policy, entry: Array | None = None) -> Judgement:
    """Which samples (S, K) count under ``policy``, and for each the reason why or why not (see ``REASONS``).

    ``holding`` relaxes the floors on effect by half, and a series that is ``held`` holds as long as its value may alert
    at all: what is expected has followed it by then. ``entry`` (S, K) is how many sigma it takes to begin where that is
    more than the policy says: what the dial asks. It does not take more to hold on. Raises ValueError when shapes do
    not fit.
    """
    block = np.asarray(values, dtype=np.float64)
    if block.shape != scores.sigma.shape:
        raise ValueError(f"values {block.shape} and scores {scores.sigma.shape} differ in shape")
    reasons = _reasons(scores, block, policy, policy.sigma, 1.0)
    holding = _reasons(scores, block, policy, policy.holds_from, 0.5) == _FLAGGED
    if entry is not None:
        reasons[(reasons == _FLAGGED) & (np.abs(scores.sigma) < entry)] = _BELOW_DIAL
    holding |= scores.held & _may_alert(block, policy)
    return Judgement(reasons == _FLAGGED, holding, reasons)


def _reasons(scores: Scores, values: Array, policy: Policy, sigma: float, strictness: float) -> NDArray[np.uint8]:
    reasons = np.full(values.shape, _NORMAL, np.uint8)
    known = ~np.isnan(scores.sigma) & ~np.isnan(values)
    reasons[~known] = _NO_OPINION
    odd = known & (np.abs(scores.sigma) >= sigma)
    value, expected, deviation = values[odd], scores.expected[odd], scores.sigma[odd]
    code = np.full(value.shape, _FLAGGED, np.uint8)
    code[~_may_alert(value, policy)] = _OUTSIDE_ALERT_RANGE
    least = strictness * np.maximum(policy.min_effect, policy.min_effect_ratio * np.abs(expected))
    code[np.abs(value - expected) < least] = _BELOW_MIN_EFFECT
    if policy.direction is not Direction.BOTH:
        code[(deviation > 0) != (policy.direction is Direction.ABOVE)] = _WRONG_DIRECTION
    reasons[odd] = code
    if scores.missing is not None:
        # What is not there has no size and no side.
        reasons[scores.missing & (np.abs(scores.sigma) >= sigma)] = _FLAGGED
    return reasons


def _may_alert(values: Array, policy: Policy) -> NDArray[np.bool_]:
    above = np.full(values.shape, policy.alert_above is None) | (values > (policy.alert_above or 0.0))
    below = np.full(values.shape, policy.alert_below is None) | (values < (policy.alert_below or 0.0))
    result: NDArray[np.bool_] = above & below
    return result


def clip_band(scores: Scores, policy: Policy) -> tuple[Array, Array]:
    """The band (lower, upper), each (S, K), kept inside what is physically possible."""
    low = -np.inf if policy.lower_bound is None else policy.lower_bound
    high = np.inf if policy.upper_bound is None else policy.upper_bound
    return np.clip(scores.lower, low, high), np.clip(scores.upper, low, high)
