"""One scale for every method: tail probability, sigma, severity and confidence."""

from __future__ import annotations

import math
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SIGMA_CAP = 38.0
"""No sigma is larger: the two-sided Gaussian tail beyond 38 sigma is below the smallest float."""

ANOMALOUS = 3.0
"""From this |sigma| on a method calls a sample unlike its past."""

NEARLY = 2.5
"""From this |sigma| on a sample nearly stands out; less does not hold an active alert, unless its policy says so."""

_AT_THREE, _EACH_SIGMA, _EACH_E_OF_STEP = 1.85, 1.1, -1.4
_SHORTEST_STEP_S, _LONGEST_STEP_S = 60.0, 300.0
_NAMED_AT_THREE, _NAMED_EACH_E = -3.9, 2.3
_YOUNG_AT_THREE, _YOUNG_EACH_E = -1.45, 1.75
_SQRT_HALF = math.sqrt(0.5)
_ERFC = (0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368)


class Severity(StrEnum):
    """How bad an anomaly is, ordered by rank (not by spelling): ``LOW < MEDIUM < HIGH < CRITICAL``."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 (low) to 3 (critical)."""
        return _RANKS[self.value]

    @property
    def sigma(self) -> float:
        """The smallest |sigma| of this severity: 3, 3.5, 4 or 5.5."""
        return _SIGMAS[self.rank]

    @classmethod
    def of(cls, sigma: float) -> Severity | None:
        """The severity of a (signed) sigma; None below 3 sigma and for NaN."""
        return next((severity for severity in reversed(cls) if abs(sigma) >= severity.sigma), None)

    def __lt__(self, other: str) -> bool:
        return self.rank < Severity(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= Severity(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > Severity(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= Severity(other).rank


_RANKS = {"low": 0, "medium": 1, "high": 2, "critical": 3}
_SIGMAS = (3.0, 3.5, 4.0, 5.5)


def tail_of(sigma: float) -> float:
    """The two-sided Gaussian tail probability of a sigma, 1 at zero."""
    return math.erfc(abs(sigma) * _SQRT_HALF)


def sigma_of_tail(tail: float) -> float:
    """The (positive) sigma whose two-sided Gaussian tail is ``tail``, at most ``SIGMA_CAP``.

    Raises ValueError unless 0 <= tail <= 1.
    """
    if not 0.0 <= tail <= 1.0:
        raise ValueError(f"a tail probability lies between 0 and 1, not {tail}")
    if tail == 0.0:
        return SIGMA_CAP
    return float(sigma_of_log_tail(np.array([math.log(tail)]))[0])


def confidence_of(sigma: float) -> float:
    """How sure monitoring is that a sample is unlike its past: one minus the two-sided Gaussian tail, 0 to 1.

    That of the further methods: it says how improbable the sample is, not how often such samples matter.
    """
    return 1.0 - tail_of(sigma)


def calibrated_confidence(sigma: float, step_s: float) -> float:
    """How likely an alert of ``auto`` with this sigma is a real incident, 0 to 1; 0 below 3 sigma.

    A logistic curve (Platt 1999) over the alerts of two labelled sets, production KPIs and NAB; of those told with
    confidence c about c were in a labelled incident. Samples ``step_s`` seconds apart: at five minutes, where one
    sample alone may be an incident, fewer are than at one; beyond that no fewer (below a minute no set is labelled; it
    counts as one). The fit and its error by family stand in docs/detection.md.
    """
    if not abs(sigma) >= ANOMALOUS:
        return 0.0
    step = _EACH_E_OF_STEP * math.log(min(max(step_s, _SHORTEST_STEP_S), _LONGEST_STEP_S) / _SHORTEST_STEP_S)
    return 1.0 / (1.0 + math.exp(-(_AT_THREE + step + _EACH_SIGMA * (min(abs(sigma), SIGMA_CAP) - ANOMALOUS))))


def young_confidence(sigma: float, step_s: float) -> float:
    """How likely an alert of the named methods on a series too young for ``auto`` is a real incident, 0 to 1.

    A logistic curve in the logarithm of sigma over the alerts of the first days of both labelled sets: at a minute 24 %
    at 3.5 sigma and 66 % at 10, at five minutes and more 19 % whatever the sigma (docs/detection.md).
    """
    if not abs(sigma) >= ANOMALOUS:
        return 0.0
    longer = math.log(min(max(step_s, _SHORTEST_STEP_S), _LONGEST_STEP_S) / _SHORTEST_STEP_S)
    steepness = _YOUNG_EACH_E * (1.0 - longer / math.log(_LONGEST_STEP_S / _SHORTEST_STEP_S))
    return 1.0 / (1.0 + math.exp(-(_YOUNG_AT_THREE + steepness * math.log(min(abs(sigma), SIGMA_CAP) / ANOMALOUS))))


def likely_real(sigma: float, step_s: float, *, auto: bool) -> float:
    """How likely an alert with this sigma is a real incident, 0 to 1: of ``auto``, or of the named methods.

    The curve of the named methods is flat, as they are: 2 % at 3 sigma, 24 % at 10, 87 % at 38 (docs/detection.md).
    """
    if auto:
        return calibrated_confidence(sigma, step_s)
    steepness = _NAMED_EACH_E * math.log(max(abs(sigma), ANOMALOUS) / ANOMALOUS)
    return 1.0 / (1.0 + math.exp(-(_NAMED_AT_THREE + steepness)))


def log_tail_of(sigma: Array) -> Array:
    """Logarithm of the two-sided Gaussian tail of non-negative sigmas, any shape, never underflowing.

    Chebyshev fit of erfc with a relative error below 1.2e-7 everywhere (Press et al., Numerical Recipes, erfcc).
    """
    z = sigma * _SQRT_HALF
    t = 1.0 / (1.0 + 0.5 * z)
    series = np.full_like(t, _ERFC[0])
    for coefficient in _ERFC[1:]:
        series *= t
        series += coefficient
    result: Array = np.log(t) - z * z - 1.26551223 + t * series
    return result


def sigma_of_log_tail(log_tail: Array) -> Array:
    """The non-negative sigma whose two-sided Gaussian tail has this logarithm; shape kept, capped at ``SIGMA_CAP``.

    Newton's method on the logarithm, where the tail is nearly a parabola, from its leading asymptotic term.
    """
    floor = float(log_tail_of(np.array([SIGMA_CAP]))[0])
    target = np.clip(log_tail, floor, 0.0)
    sigma: Array = np.sqrt(np.maximum(-2.0 * target - np.log1p(-target), 0.0))
    for _ in range(6):
        log_now = log_tail_of(sigma)
        hazard = np.sqrt(2.0 / np.pi) * np.exp(-0.5 * sigma * sigma - log_now)
        sigma = np.clip(sigma + (log_now - target) / hazard, 0.0, SIGMA_CAP)
    return sigma
