"""Plain twins of the methods beside `auto`: what is said of one column, reckoned anew from all samples before it.

Samples are pairs of local time and value of one series, in order, NaN for a gap. Only the table that puts Student-t on
the sigma scale is the code's own: it has a test against scipy.
"""

import itertools
import math

import numpy as np
from tests.detect.naive import mean, median, quantile

from tocsin.detect.more.common import sigma_for

NAN = math.nan


def known(values):
    return [x for x in values if not math.isnan(x)]


def middle(values):
    """The median of what is there, NaN of nothing."""
    return median(known(values)) if known(values) else NAN


def share_of(values, share):
    return quantile(known(values), share) if known(values) else NAN


def spread(values, center):
    return 1.4826 * middle([abs(x - center) for x in values])


def sigma_of(t, degrees):
    return float(sigma_for(np.array(t), np.array(degrees)))


def honest(sigma, methods):
    return sigma * (1 - math.log(1 + (methods - 1) / 3) / (1 + sigma * sigma))


def cells(samples, width, slots, first, end):
    """The samples of each cell from ``first`` to ``end``: of each of its ``slots`` the last one."""
    found = {cell: {} for cell in range(first, end)}
    for at, value in samples:
        cell = math.floor(at / width)
        if cell in found and not math.isnan(value):
            found[cell][math.floor((at - cell * width) / width * slots)] = value
    return [list(found[cell].values()) for cell in range(first, end)]


def memory_of(rest, n):
    """The autocorrelation of neighbours, corrected for its bias; gaps are nothing."""
    rest = [0.0 if math.isnan(x) else x for x in rest]
    energy = sum(x * x for x in rest)
    memory = sum(a * b for a, b in itertools.pairwise(rest)) / energy if energy else 0.0
    return min(max(memory + (1 + 4 * memory) / n, 0.0), 0.95)


def trend(x):
    """Slope a cell of four hours, its sigma, the line without the season, the scale; None where too little is known."""
    n, a_day = len(x), 6
    count = len(known(x))
    slope = middle([(x[j] - x[i]) / (j - i) for i in range(n) for j in range(i + a_day, n, a_day)])
    season = [middle([x[i] - slope * i for i in range(phase, n, a_day)]) for phase in range(a_day)]
    rest = [x[i] - slope * i - season[i % a_day] for i in range(n)]
    if count < 0.7 * n or not known(x[:2]) or not known(x[-2:]) or math.isnan(slope):
        return None
    size = spread(rest, 0.0)
    clipped = [min(max(one, -4 * size), 4 * size) if size > 0 else one for one in rest]
    level = middle(x)
    least = max(1e-4 * abs(level), 0.04 * spread(x, level))
    scale = math.sqrt(sum(one * one for one in known(clipped)) / max(count - 7, 1) + least * least)
    memory = memory_of(clipped, n)
    loss = (1 + memory) / (1 - memory)
    error = scale * math.sqrt(12 * loss / (n * (n * n - 1)))
    sigma = sigma_of(max(slope, 0.0) / error, max((count - 7) / loss, 1.0)) if error else 0.0
    return slope, sigma, [rest[i] + slope * i for i in range(n)], scale


def leaks(line, edge, rise, scale):
    """Whether what rises is no step, no sawtooth, no wandering, and no level that it had before."""
    n, a_day = len(line), 6
    y = [(i, x) for i, x in enumerate(line) if not math.isnan(x)]
    values = [x for _, x in y]

    def left(part):
        return sum((x - mean(part)) ** 2 for x in part)

    straight = left([x - rise / n * i for i, x in y])
    if min(left(values[:cut]) + left(values[cut:]) for cut in range(1, len(values))) <= straight:
        return False
    falls = [i for i in range(1, len(values)) if values[i] - values[i - 1] <= -max(0.4 * rise, 4 * scale)]
    lows = [min(values[a:b]) for a, b in itertools.pairwise([0, *falls, len(values)])]
    if falls and (len(lows) < 3 or any(b <= a for a, b in itertools.pairwise(lows)) or lows[-1] - lows[0] < 0.5 * rise):
        return False
    fallen = known([edge[i] - edge[i + n] for i in range(len(edge) - n)])
    if fallen and rise <= quantile(fallen, 0.9):
        return False
    days = [middle(edge[i : i + a_day]) for i in range(0, len(edge) - n, a_day)]
    return all(day < middle(edge[-a_day:]) - 0.2 * rise for day in known(days))


def drift(samples, now):
    """Sigma, where the strongest trend began, slope a day and days of it; None before three days."""
    cell = math.floor(now / 14400)
    unit = max((abs(x) for x in known([x for _, x in samples])), default=0.0) or 1.0
    past = cells([(at, x / unit) for at, x in samples], 14400, 48, cell - 180, cell)
    low, mid, high = ([share_of(one, share) for one in past] for share in (0.1, 0.5, 0.9))
    best = None
    for days in (3, 4, 6, 9, 14):
        size = days * 6
        for sign, edge in ((1, low), (-1, [-x for x in high])):
            found = trend(edge[-size:])
            if found is None:
                continue
            slope, sigma, line, scale = found
            sigma, rise = honest(sigma, 5), slope * size
            if sigma >= 3:
                apart = middle([b - a for a, b in zip(low[-size:], high[-size:], strict=True)])
                if rise < apart / 3 or not leaks(line, edge, rise, scale):
                    sigma = 0.0
            if best is None or sigma > abs(best[0]):
                began = middle([mid[-size + i] - sign * slope * i for i in range(0, size, 6)])
                best = sign * sigma, began * unit, sign * slope * 6 * unit, days
    return best


def pace(x):
    """Slope an hour, its 90 % interval, sigma, and the level at the end with how far hours are from it; or None."""
    n, whole_days = len(x), len(x) >= 72
    if len(known(x)) < 0.8 * n or not known(x[:3]) or not known(x[-3:]):
        return None
    step = 24 if whole_days else 1
    slopes = sorted(known([(x[j] - x[i]) / (j - i) for i in range(n) for j in range(i + step, n, step)]))
    slope = median(slopes)
    season = (
        [middle([x[i] - slope * i for i in range(phase, n, 24)]) for phase in range(24)] if whole_days else [0.0] * 24
    )
    usual = median(season)
    rest = [x[i] - slope * i - (season[i % 24] - usual) for i in range(n)]
    begin = middle(rest)
    rest = [one - begin for one in rest]
    memory = memory_of(rest, n)
    loss = (1 + memory) / (1 - memory)
    each = n // step if whole_days else n
    variance = (24 if whole_days else 1) * each * (each - 1) * (2 * each + 5) / 18 * loss
    aside = 1.6449 * math.sqrt(variance) / 2
    low = slopes[max(0, math.floor(len(slopes) / 2 - aside))]
    high = slopes[min(len(slopes) - 1, math.ceil(len(slopes) / 2 + aside))]
    error = max((high - low) / 2 / 1.6449, 1e-12 * abs(slope), 1e-300)
    sigma = sigma_of(slope / error, max((n - 2) / loss, 1.0)) if len(slopes) / 2 >= aside else 0.0
    apart = math.sqrt(sum(one * one for one in known(rest)) / n)
    return slope, low, high, sigma, begin + slope * (n - 0.5), apart


def usual(samples, hour, x):
    """The hours by which the side of a limit goes: the first that are a week, else those of now."""
    first = math.floor(samples[0][0] / 3600)
    every = [middle(one) for one in cells(samples, 3600, 60, first, hour)]
    for end in range(1, len(every) + 1):
        then = every[max(0, end - 336) : end]
        if len(known(then[-24:])) >= 0.8 * 24 and known(then[:-24]) and len(known(then)) >= 168:
            return then
    return x


def capacity(samples, now, limit, horizon):
    """Sigma, and seconds until the early and the late end; None before a day."""
    hour = math.floor(now / 3600)
    x = [middle(one) for one in cells(samples, 3600, 60, hour - 336, hour)]
    if len(known(x[-24:])) < 0.8 * 24 or not known(x[:-24]):
        return None
    side = 1 if middle(usual(samples, hour, x)) <= limit else -1
    if side * (middle(x[-2:]) - limit) >= 0:
        return side * 4.0, 0.0, 0.0
    x, limit = [side * one for one in x], side * limit
    best = (0.0, NAN, NAN)
    for size in (24, 72, 168):
        part = x[-size:]
        unit = max(abs(one) for one in known(x)) or 1.0
        if max(known(part)) - min(known(part)) <= 1e-9 * unit:
            continue
        found = pace(part)
        if found is None or found[1] <= 0:
            continue
        slope, low, high, sigma, level, apart = found
        top = itertools.accumulate(known(part), max)
        if max(most - one for most, one in zip(top, known(part), strict=True)) >= 0.4 * slope * size:
            continue
        sigma = honest(sigma, 3)
        early = max((limit - level - 1.6449 * apart) / high, 0.0) * 3600
        late = max((limit - level + 1.6449 * apart) / low, 0.0) * 3600
        if sigma >= 3 and early <= horizon and late <= max(3 * early, horizon / 4) and sigma > best[0]:
            best = sigma, early, late
    if any(one >= max(known(x[-24:])) for one in known(x[:-24])):
        return 0.0, NAN, NAN
    most = 3.5 + 0.5 * min(1.0, (1.0 - best[1] / horizon) / 0.75) if best[0] else 0.0
    return side * min(best[0], most), best[1], best[2]


def seasonal(samples, now, value):
    """Sigma and what is expected at this time of the day; None before two days."""
    bins, day = 144, math.floor(now / 86400)
    days, widths = [], []
    for past in range(day - 14, day):
        parts = cells(samples, 600, 16, past * bins, past * bins + bins)
        days.append([middle(part) for part in parts])
        wide = [spread(part, middle(part)) for part in parts]
        hours = [known(wide[hour * 6 : hour * 6 + 6]) for hour in range(24)]
        widths.append([mean(hour) if hour else NAN for hour in hours])
    here = math.floor(now % 86400 / 600)
    count = sum(bool(known(one)) for one in days)
    if count < 2 or len(known([one[here] for one in days])) < 2:
        return None
    by_day = [middle([one[b] for one in days]) for b in range(bins)]
    expected, rest = by_day[here], [[x - e for x, e in zip(one, by_day, strict=True)] for one in days]
    if weekly(days):
        expected = middle([days[0][here], days[7][here]])
        rest = [[b - a for a, b in zip(days[i - 7], days[i], strict=True)] for i in range(7, 14)]
    between = spread([one[(here + step) % bins] for one in rest for step in (-1, 0, 1)], 0.0)
    within = middle([one[here // 6] for one in widths])
    least = max(1e-4 * abs(by_day[here]), 0.04 * spread(by_day, middle(by_day)))
    scale = math.hypot(between, 0.0 if math.isnan(within) else within, least) * math.sqrt(1 + 1 / count)
    return (sigma_of((value - expected) / scale, 2.0 * count) if scale > 0 else 0.0), expected


def weekly(days):
    """Whether the weekday a week before said more of each day of the last week than the seven days before it did."""
    by_week = by_day = 0.0
    for i in range(7, 14):
        usual = [middle(column) for column in zip(*days[i - 7 : i], strict=True)]
        pairs = zip(days[i], days[i - 7], usual, strict=True)
        errors = [(abs(x - week), abs(x - day)) for x, week, day in pairs if not math.isnan(x + week + day)]
        if not errors:
            return False
        by_week += sum(one for one, _ in errors)
        by_day += sum(one for _, one in errors)
    return by_week < 0.9 * by_day


def stand(column, row):
    """Of all samples of an instant: the median, how far a row is from it, and the logarithm of their ratio."""
    if len(known(column)) < 5:
        return NAN, NAN, NAN
    center, value = middle(column), column[row]
    ratio = math.log(value) - math.log(center) if value > 0 and center > 0 else NAN
    return center, value - center, ratio


def outlier(times, columns, row):
    """Sigma of a row at the last of ``columns`` (all series at an instant); None before three hours beside peers."""
    hour = math.floor(times[-1] / 3600)
    stands = [stand(column, row) for column in columns]
    past = [list(zip(times[:-1], [one[i] for one in stands[:-1]], strict=True)) for i in range(3)]
    fleet, apart, times_of = (cells(one, 3600, 60, hour - 168, hour) for one in past)
    middles = [middle(one) for one in fleet]
    if len(known([middle(one) for one in apart])) < 3 or math.isnan(columns[-1][row]) or math.isnan(stands[-1][0]):
        return None
    same = known([middles[i] for i in range(len(middles)) if (len(middles) - i) % 24 == 0])
    usual = median(same) if len(same) >= 2 else middle(middles)
    center = stands[-1][0]
    usually = middle([middle(one) for one in apart])
    z, width, offset = far(apart, stands[-1][1], center - usual, 1e-4 * abs(usually + middle(middles)))
    if math.isnan(stands[-1][2]) or math.isnan(middle([middle(one) for one in times_of])):
        return sigma_of(z, 8.0)
    ratio, ratio_width, _ = far(times_of, stands[-1][2], math.log(center / usual), 1e-4)
    if len(known([middle(one) for one in apart])) >= 24:
        return sigma_of(ratio if ratio_width * abs(offset + usual) < width else z, 8.0)
    return sigma_of(math.copysign(min(abs(ratio), abs(z)), z) if (ratio > 0) == (z > 0) else 0.0, 8.0)


def far(past, now, moved, least):
    """How many usual spreads a row is from how it usually stands; nothing where it stayed and the others moved."""
    hourly = [middle(one) for one in past]
    offset = middle(hourly)
    within = middle([share_of(one, 0.9) - share_of(one, 0.1) for one in past]) / 2.563
    width = math.hypot(spread(hourly, offset), within, least)
    rest = now - offset
    return (0.0 if abs(rest + moved) < abs(moved) else rest / width), width, offset
