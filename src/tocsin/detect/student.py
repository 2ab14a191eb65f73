"""Student-t deviations put on the one sigma scale, in numpy alone."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from tocsin.detect.calibrate import SIGMA_CAP, Array, sigma_of_log_tail

_T_LIMIT = 1e100
_KNOTS = 512
_LOWEST_DEGREES = 0.5


def sigma_of_t(t: Array, degrees: Array) -> Array:
    """The signed Gaussian deviation with the same two-sided tail as ``t`` on ``degrees`` degrees of freedom.

    ``degrees`` (above 0, may be fractional) broadcasts against ``t``; NaN stays NaN; |result| <= ``SIGMA_CAP``.
    G. W. Hill, "Algorithm 395: Student's t-distribution", CACM 13 (1970), its normal deviate; where that series is
    short of five digits (few degrees and far out) the incomplete beta function is summed instead.
    Error below 2e-3 from 1.5 degrees on.
    """
    shift = degrees - 0.5
    scale = 48.0 * shift * shift
    t = np.minimum(np.maximum(t, -_T_LIMIT), _T_LIMIT)
    grown = np.log1p(t * t / degrees) * np.maximum(shift, 1e-3)
    tail = (((-0.4 * grown - 3.3) * grown - 24.0) * grown - 85.5) / (0.8 * grown * grown + (100.0 + scale))
    sigma = ((tail + grown + 3.0) / np.maximum(scale, 1e-3) + 1.0) * np.sqrt(grown)
    hard = ~(sigma <= 0.3 * degrees) & (t == t)  # noqa: PLR0124 - NaN is not hard, it is nothing
    if hard.any():
        exact = _log_tail_of_t(np.abs(t[hard]), np.broadcast_to(degrees, t.shape)[hard])
        sigma[hard] = sigma_of_log_tail(exact)
    result: Array = np.copysign(np.minimum(sigma, SIGMA_CAP), t)
    return result


def t_of_sigma(sigma: float, degrees: Array) -> Array:
    """The t with the two-sided tail of ``sigma``, for each number of degrees: where a band at ``sigma`` ends.

    Read off a table of 512 knots in 1/degrees, made once for each ``sigma``; relative error below 1e-3.
    """
    inverse, log_t = _quantiles(sigma)
    result: Array = np.exp(np.interp(1.0 / degrees, inverse, log_t))
    return result


@lru_cache(maxsize=16)
def _quantiles(sigma: float) -> tuple[Array, Array]:
    inverse = np.linspace(0.0, 1.0 / _LOWEST_DEGREES, _KNOTS)
    inverse[0] = 1e-9
    return inverse, solve_log_t(np.full(_KNOTS, sigma), 1.0 / inverse)


def solve_log_t(sigma: Array, degrees: Array) -> Array:
    """Logarithm of the positive t whose deviation is ``sigma`` (same shapes), by bisection: exact, slow, for tables."""
    low = np.full(sigma.shape, -20.0)
    high = np.full(sigma.shape, 80.0)
    for _ in range(54):
        middle = 0.5 * (low + high)
        below = sigma_of_t(np.exp(middle), degrees) < sigma
        low = np.where(below, middle, low)
        high = np.where(below, high, middle)
    result: Array = 0.5 * (low + high)
    return result


def _log_tail_of_t(t: Array, degrees: Array) -> Array:
    """Logarithm of the two-sided tail of t >= 0: ln I_x(df/2, 1/2) with x = df / (df + t^2).

    The power series of the incomplete beta function, Abramowitz and Stegun 26.5.4; all terms are positive.
    """
    half = 0.5 * degrees
    root = t / np.sqrt(degrees)
    log_x = -np.log1p(root * root)
    x = np.exp(log_x)
    term = np.ones_like(x)
    total = np.ones_like(x)
    for k in range(4000):
        term = term * (x * ((half + 0.5 + k) / (half + 1.0 + k)))
        total += term
        # Each sum ends by itself, so that a deviation does not depend on what else is in the array.
        term[term <= 1e-9 * total * (1.0 - x)] = 0.0
        if not term.any():
            break
    values, where = np.unique(half, return_inverse=True)
    log_beta = np.array([math.lgamma(a) + math.lgamma(0.5) - math.lgamma(a + 0.5) for a in values.tolist()])
    log_one_less_x = np.log(np.maximum(root, 1e-300)) * 2.0 + log_x
    result: Array = np.minimum(
        half * log_x + 0.5 * log_one_less_x - np.log(half) - log_beta[where] + np.log(total), 0.0
    )
    return result
