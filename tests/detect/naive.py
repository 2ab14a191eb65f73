"""Plain twins of the fast kernels: loops and the math module, nothing clever (scipy for distributions)."""

import itertools
import math

import numpy as np
from scipy import stats

ALPHA = 0.05


def known(values):
    return [float(x) for x in values if math.isfinite(x)]


def median(values):
    ordered = sorted(values)
    n = len(ordered)
    return ordered[n // 2] if n % 2 else ordered[n // 2 - 1] + 0.5 * (ordered[n // 2] - ordered[n // 2 - 1])


def quantile(values, share):
    ordered = sorted(values)
    position = (len(ordered) - 1) * share
    whole = int(position)
    following = ordered[min(whole + 1, len(ordered) - 1)]
    return ordered[whole] + (position - whole) * (following - ordered[whole])


def mad(values):
    middle = median(values)
    return median([abs(x - middle) for x in values])


def resolution(values, least=0.0):
    """The smallest gap between values that occur twice, of those that at least so many steps go over as a whole."""
    repeated = sorted({x for x in values if list(values).count(x) > 1})
    gaps = [
        b - a
        for a, b in itertools.pairwise(repeated)
        if min(crossings(values, lambda x, a=a: x > a), crossings(values, lambda x, b=b: x >= b)) >= least
    ]
    return min(gaps, default=0.0)


def crossings(values, beyond):
    sides = [beyond(x) for x in values if math.isfinite(x)]
    return sum(one != other for one, other in itertools.pairwise(sides))


def mean(values):
    return math.fsum(values) / len(values)


def deviation(values):
    middle = mean(values)
    return math.sqrt(math.fsum((x - middle) ** 2 for x in values) / (len(values) - 1))


def floor(values):
    least = max(1e-4 * abs(median(values)), 1e-290)
    found = resolution(values)
    if found > max(least, 1.4826022185056018 * mad(values)):
        found = resolution(values, 2 * 0.0026997960632601965 * len(values))
    return max(found, least)


def sigma_of_t(t, degrees):
    """Through the logarithm of scipy's tail; scipy's own tails end near 1e-300."""
    log_tail = stats.t.logsf(abs(t), degrees)
    if not math.isfinite(log_tail) or log_tail < -700:
        return math.copysign(math.inf, t)
    return math.copysign(float(stats.norm.isf(math.exp(log_tail))), t)


def critical(left):
    quantile = stats.t.isf(ALPHA / (2 * left), left - 2)
    return (left - 1) * quantile / math.sqrt((left - 2 + quantile**2) * left)


def esd(values):
    """What generalised ESD leaves, the scale never below the floor of all values."""
    least, left, best = floor(values), list(values), list(values)
    for _ in range(len(values) // 3):
        middle = mean(left)
        farthest = max(left, key=lambda x: (abs(x - middle), x))
        scale = max(deviation(left), least)
        odd = abs(farthest - middle) > critical(len(left)) * scale
        left.remove(farthest)
        if odd:
            best = list(left)
    return best


def zscore(values, index):
    rest = esd(known(values))
    x = values[index]
    others = list(rest)
    if x in others:
        others.remove(x)
    if len(others) < 3:
        return math.nan
    n = len(others)
    scale = max(deviation(others), floor(known(values)))
    return sigma_of_t((x - mean(others)) / (scale * math.sqrt(1 + 1 / n)), n - 1)


def robust(values, index, name):
    rest = esd(known(values))
    n = len(rest)
    if n - (values[index] in rest) < 4:
        return math.nan
    if name == "iqr":
        width = 0.741301109252801 * (quantile(rest, 0.75) - quantile(rest, 0.25))
        factor, degrees = 1 + 1.6 / n + 4 / n**2, 0.3675 * n + (1.2, 0.1, 0.6, 1.1)[n % 4]
    else:
        width = 1.4826022185056018 * mad(rest)
        factor, degrees = 1 + 0.9 / n + 3.6 / n**2, 0.3675 * n + (0.5, 0.05)[n % 2]
    width = max(width if width > 0 else deviation(rest), floor(known(values)))
    return sigma_of_t((values[index] - median(rest)) / (width * factor), degrees)


def rate_change(values, index):
    rest = esd(known(values))
    low, high, middle = min(rest), max(rest), median(rest)
    clean = [x for x in values if math.isfinite(x) and low <= x <= high]
    changes = [b - a for a, b in itertools.pairwise(clean)]
    before = [x for x in values[:index] if math.isfinite(x) and low <= x <= high]
    x = values[index]
    if not before:
        return math.nan
    change = x - before[-1]
    if low <= x <= high:
        changes.remove(change)
    m = len(changes)
    if m < 3:
        return math.nan
    if abs(x - middle) <= abs(before[-1] - middle):
        return 0.0
    scale = max(math.sqrt(math.fsum(c * c for c in changes) / m), floor(known(values)) * math.sqrt(2))
    return sigma_of_t(change / scale, 2 * m * m / (3 * m - 1))


def sigma(values, index, name):
    if not math.isfinite(values[index]):
        return math.nan
    if name == "zscore":
        return zscore(values, index)
    return rate_change(values, index) if name == "rate_change" else robust(values, index, name)


def median_of(parts):
    """The middle of an odd number of arrays."""
    return np.median(np.stack(parts), axis=0)


def means_of(values, width):
    """The mean of each ``width`` neighbouring columns."""
    return np.stack([[row[i : i + width].mean() for i in range(len(row) - width + 1)] for row in values])


def tail_quantile(values, share):
    """The value that ``share`` of all reach."""
    return float(np.quantile(values, 1.0 - share))
