"""Plain twins of the named methods going through time: learn from a window, judge the next, never learn the odd."""

import itertools
import math

from tests.detect.naive import deviation, esd, floor, known, mad, mean, median, quantile, sigma_of_t

FEWEST = 8


def learnt(window):
    """Centre, scale and degrees of each method from the samples of a window, gaps among them NaN; and their median."""
    every = known(window)
    rest = esd(every)
    n, least, middle = len(rest), floor(every), median(rest)
    iqr = 0.741301109252801 * (quantile(rest, 0.75) - quantile(rest, 0.25))
    robust = 1.4826022185056018 * mad(rest)
    clean = [x for x in window if math.isfinite(x) and min(rest) <= x <= max(rest)]
    changes = [b - a for a, b in itertools.pairwise(clean)]
    m = max(len(changes), 1)
    size = math.sqrt(math.fsum(c * c for c in changes) / m)
    return {
        "level": middle,
        "zscore": (mean(rest), max(deviation(rest), least) * math.sqrt(1 + 1 / n), n - 1),
        "iqr": (
            middle,
            max(iqr or deviation(rest), least) * (1 + 1.6 / n + 4 / n**2),
            0.3675 * n + (1.2, 0.1, 0.6, 1.1)[n % 4],
        ),
        "mad": (
            middle,
            max(robust or deviation(rest), least) * (1 + 0.9 / n + 3.6 / n**2),
            0.3675 * n + (0.5, 0.05)[n % 2],
        ),
        "rate_change": (0.0, max(size, least * math.sqrt(2)), 2 * m * m / (3 * m - 1)),
    }


def opinion(base, methods, value, before):
    """What is said of one sample: the strongest of the methods, less what several voices cost; its name, its centre."""
    said = {}
    for name in methods:
        center, scale, degrees = base[name]
        if name == "rate_change":
            if math.isnan(before):
                continue
            center = before
        said[name] = sigma_of_t((value - center) / scale, degrees), center
        if name == "rate_change" and abs(value - base["level"]) <= abs(before - base["level"]):
            said[name] = 0.0, center
    if not said:
        return math.nan, None, math.nan, ()
    best = max(said, key=lambda name: abs(said[name][0]))
    sigma, center = said[best]
    sigma = math.copysign(min(abs(sigma), 38.0), sigma)
    voices = 1 + (len(methods) - 1) / 3
    agreeing = [name for name, (one, _) in said.items() if abs(sigma) >= 3 <= abs(one) and (one > 0) == (sigma > 0)]
    return sigma * (1 - math.log(voices) / (1 + sigma * sigma)), best, center, tuple(agreeing)


def agreed(window, methods, size):
    """What is learnt of a window's samples, None where it has just begun and a third of them stands out against it.
    `size` is how long a window may be.
    """
    samples, base = known(window), learnt(window)
    odd = sum(abs(opinion(base, methods, x, math.nan)[0]) >= 3 for x in samples)
    since = next(len(window) - i for i, x in enumerate(window) if not math.isnan(x))
    return None if since < max(8, min(32, size // 2)) and 3 * odd >= len(samples) else base


def walked(times, values, methods, *, window, relearn, step, hold=False, mute=(), born=None):
    """Each sample of one series in turn: sigma, strongest, centre, agreeing; and what may teach in the end. `born` is
    the column of its first sample, of a young series.
    """
    usable = [not math.isnan(x) and i not in mute for i, x in enumerate(values)]
    teaches, base, said = list(usable), None, []
    for column, value in enumerate(values):
        first = max(0, column - window)
        here = range(first, column)
        slots = [math.floor(at / step + 1e-6) // relearn for at in times[max(column - 1, 0) : column + 1]]
        if column and slots[0] != slots[1]:
            alone = column >= window and not hold and not any(teaches[i] for i in here)
            odd = sum(usable[i] and not teaches[i] for i in here)
            if alone or (born is not None and 2 * odd > column - born):
                for i in here:
                    teaches[i] = usable[i]
            taught = [values[i] if teaches[i] else math.nan for i in here]
            if len(known(taught)) >= FEWEST:
                base = agreed(taught, methods, window) if base is None else learnt(taught)
        if base is None and sum(teaches[i] for i in here) >= FEWEST:
            base = agreed([values[i] if teaches[i] else math.nan for i in here], methods, window)
        seen = [values[i] for i in here if not math.isnan(values[i])]
        if base is None or math.isnan(value):
            said.append((math.nan, None, math.nan, ()))
        else:
            said.append(opinion(base, methods, value, seen[-1] if seen else math.nan))
        if abs(said[-1][0]) >= 3:
            teaches[column] = False
    return said, teaches
