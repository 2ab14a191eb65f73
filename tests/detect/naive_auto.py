"""Plain twins of what `auto` does with one series: sample by sample, as its docstrings say it (scipy for the Gaussian).

A row is a namespace of plain numbers and lists under the names of ``AutoState``.
"""

import itertools
import math
from types import SimpleNamespace

import numpy as np
from scipy import stats
from tests.detect.naive import mean, median

from tocsin.detect.auto import VOICES
from tocsin.detect.auto.state import AutoState

LEAD = 132
LIMIT = -math.log(2 * stats.norm.sf(3.0))
"""The nats of 3 sigma."""

FAR_NATS = -math.log(0.002)
UNSIGNED = ("volatility", "shape")
LEVEL, CHANGE = VOICES.index("level"), VOICES.index("change")


def row_of(state: AutoState, row: int) -> SimpleNamespace:
    """What is known of one series."""
    parts = {
        name: getattr(state, name)[row].tolist()
        for name in AutoState.__dataclass_fields__
        if name not in ("grid", "day", "recent_bins")
    }
    parts["new_day_away"] = np.unpackbits(state.new_day_away[row], count=state.grid.bins).tolist()
    parts["days_away"] = np.unpackbits(state.days_away[row], axis=1).tolist()
    return SimpleNamespace(**parts, grid=state.grid, ready=bool(state.ready[row]), enough=state.enough)


def filled(values, season):
    """Before the first sample stands the first sample; a gap takes what was there 64 samples before, or was filled in
    there, moved along the season; gaps among the first 64 stay.
    """
    there = [i for i, x in enumerate(values) if not math.isnan(x)]
    level = [x - s for x, s in zip(values, season, strict=True)]
    if there:
        level[: there[0]] = [level[there[0]]] * there[0]
    for i in range(64, len(level)):
        if math.isnan(level[i]):
            level[i] = level[i - 64]
    return [v + s if math.isnan(x) else x for x, v, s in zip(values, level, season, strict=True)]


def floor(row):
    """The least scale: of the unrest, of half the resolution, of the level."""
    level = abs(row.center + row.offset / row.unit)
    return max(0.04 * row.spread, 0.5 * row.resolution, 1e-4 * level, 1e-12)


def voice_floor(row, name):
    return {"volatility": 0.1, "shape": 0.02}.get(name, floor(row))


def reference_scale(row):
    return max(row.spread, floor(row))


def looks(x, y, row):
    """The nine residuals of the newest sample of ``x`` (``y``: without the season), and what was expected. From
    an hour between samples on all are of ``y``.
    """
    x = y if row.grid.step_s >= 3600 else x

    def back(values, lag):
        return values[len(values) - 1 - lag]

    def ten(values, lag):
        return mean([back(values, lag + i) for i in range(10)])

    level = median([back(y, lag) for lag in range(1, 10)])
    unrest = [0.0] + [abs(b - a) for a, b in itertools.pairwise(x)]
    restless = [math.log(ten(unrest, lag) + floor(row)) for lag in (0, 24, 48, 72, 96, 120)]
    found = {
        "change": back(x, 0) - back(x, 1),
        "spike": back(x, 0) - median([back(x, lag) for lag in (1, 2, 3)]),
        "level": back(y, 0) - level,
        "step": mean([back(y, 0), back(y, 1)]) - median([back(y, lag) for lag in range(2, 7)]),
        "shift": ten(x, 0) - median([ten(x, lag) for lag in (10, 20, 30, 40, 50)]),
        "volatility": restless[0] - median(restless[1:]),
        "shape": distance(y, row),
        "away": ten(y, 0) - row.center,
        "astray": mean([back(y, lag) for lag in range(30)]) - row.center,
    }
    return [found[name] for name in VOICES], level


def distance(y, row):
    """How far the last window of eight is from the nearest that was known at the last learning."""
    if row.known_references < 40:
        return 0.0
    window = [in_steps((y[len(y) - 29 + 4 * i] - row.center) / row.window_scale) for i in range(8)]
    nearest = math.inf
    for number in range(max(0, row.known_references - 96), row.known_references):
        other = [lag[number % 120] for lag in row.references]
        nearest = min(nearest, sum((a - b) ** 2 for a, b in zip(window, other, strict=True)))
    return math.sqrt(nearest / 8) / 256 + 1e-3


def in_steps(distance):
    """The inverse hyperbolic sine in steps of 1/256, at most 8191 of them."""
    return min(max(round(math.asinh(distance) * 256), -8191), 8191)


def tail_nats(size, log_far, shape):
    """-ln p = 6.2 (|z| / z2)^k, at most 24."""
    return min(FAR_NATS * math.exp(min(shape * (math.log(size) - log_far), 4.0)), 24.0)


def edge(row, bins, season, times):
    """How large a step of the season is near the last of ``bins``, beyond so many ``times`` the median step; where the
    day began within two bins, the one over midnight as well.
    """
    if row.season == 0:
        return 0.0
    steps = {at: abs(row.profile[at] - row.profile[at - 1]) for at in range(1, len(row.profile))}
    usual, b = median(steps.values()), bins[-1]
    near = [steps[at] for at in (b - 1, b, b + 1) if at in steps]
    begun = [back for back in range(1, 1 + 2 * row.grid.a_day // row.grid.bins) if bins[-back] < bins[-back - 1]]
    near += [abs(season[-back] - season[-back - 1]) for back in begun]
    return max([0.0, *(step - times * usual for step in near)])


def discount(row):
    """What nats are divided by: more for a history shorter than the memory, and for a step below a minute."""
    part, whole = (1 + 0.8 / math.sqrt(n * 0.002) for n in (max(row.mass, 1.0), row.grid.memory))
    return max(part / whole, 1.0) ** 1.5 / (0.95 * min(1.0, (row.grid.step_s / 60) ** 0.075))


def verdict(row, x, bins):
    """What is said of the newest of (more than 132) samples ``x`` in the row's own unit; ``bins`` of the day."""
    season = [row.profile[b] for b in bins]
    y = [a - b for a, b in zip(x, season, strict=True)]
    hour = bins[-1] * row.grid.hours // row.grid.bins
    parts, level = looks(x, y, row)
    damp = discount(row)
    due, sure = (edge(row, bins, season, times) for times in (4, 12))
    nats, sizes, below, scales = [], [], [], []
    if row.grid.step_s < 300:
        parts[:2] = [math.copysign(max(abs(part) - sure, 0.0), part) for part in parts[:2]]
    for v, (name, part) in enumerate(zip(VOICES, parts, strict=True)):
        scale = math.hypot(row.scale[v][hour], voice_floor(row, name))
        if v < 5:
            scale = math.hypot(scale, (0.12 if name in ("level", "step") else 0.5) * due)
        side = int(part < 0)
        size = min(max(abs(part / scale), 0.5e-6), 0.5 * 1.25**31)
        said = tail_nats(size, row.log_far[v][side], row.shape[v][side])
        nats.append(min(said, 12.0) if name in ("shape", "away", "astray") else said)
        sizes.append(size)
        below.append(bool(side))
        scales.append(scale)
    lone = 0.75 * (sum(nats[:4]) - 0.5 * max(nats[:4])) / 3.5 if row.grid.step_s >= 300 else 0.0
    total = max(0.9 * mean(nats[:6]), mean(nats), lone) / damp if row.ready else 0.0
    leaning = sum(
        -one if low else one for name, one, low in zip(VOICES, nats, below, strict=True) if name not in UNSIGNED
    )
    sigma = float(stats.norm.isf(0.5 * math.exp(-total)))
    alone = {name: one / damp for name, one in zip(VOICES, nats, strict=True)}
    strongest = VOICES[nats.index(max(nats))]
    if strongest in UNSIGNED:
        leaning = y[-1] - level
    if sigma >= 2 and strongest in ("away", "astray"):
        level = row.center
    elif sigma >= 2 and strongest == "shift":
        level = median(y[-60:-10])
    expected = level + season[-1]
    wanted = min(LIMIT * damp, 30.0)
    voice = VOICES.index("level")
    up, down = (
        scales[voice] * math.exp(row.log_far[voice][side] + math.log(wanted / FAR_NATS) / row.shape[voice][side])
        for side in (0, 1)
    )
    return SimpleNamespace(
        sigma=sigma,
        leaning=leaning,
        expected=expected * row.unit + row.offset,
        lower=(expected - down) * row.unit + row.offset,
        upper=(expected + up) * row.unit + row.offset,
        alone=alone if sigma >= 2 else {},
        nats=nats,
        sizes=sizes,
        below=below,
        level=level,
        deseasoned=y[-1],
    )


def usual_distance(row):
    """How far a series usually is from its middle: with a season, what that misses and the noise, if that is less."""
    if not row.season:
        return reference_scale(row)
    noise = mean(row.scale[LEVEL])
    return min(reference_scale(row), max(row.season_error[row.season] + noise, floor(row)))


def follow(samples, kept, begun, calm, *, hold, age, a_day, rules):
    """The course of each of ``samples``, whether it came back a short while ago, where the row is after them; and what
    it left and is away from, on hold, or else whether it has been so for 24 samples.

    ``rules``: what begins it, what it leaves (``kept``), what is away from there, what is back, and what still comes
    back from so far (a size that is known afterwards as well); of a sample each. The third calm sample in a row ends
    it, and for 40 samples it is back, in which little begins and what stands out on the side to which a level came is
    its way back; after a day it is given up, unless it is on ``hold``.
    """
    begins, leaves, away, returned, comes = rules
    course, back, left, no_news, size = [], [], [], [], 0.0
    for now, sample in enumerate(samples, age):
        course.append(0)
        left.append(math.nan)
        no_news.append(False)
        if kept is not None and not hold and now >= begun + a_day:
            size, kept, begun, calm = kept.size, None, now, 0
        if kept is None and sample.seen and begins(sample, now < begun):
            kept, begun, calm = leaves(sample), now, 0
        back.append(kept is None and now < begun)
        if back[-1] and sample.seen and comes(sample, size):
            course[-1] = 2
        if kept is None or not sample.seen:
            continue
        if away(sample, kept):
            course[-1], calm = 1, 0
            left[-1], no_news[-1] = kept.left if hold else math.nan, not hold and now - begun >= 24
        else:
            course[-1], calm = 2 if returned(sample, kept) else 0, calm + 1
        if calm == 3:
            size, kept, begun, calm = kept.size, None, now + 1 + 40, 0
    return course, back, (kept, begun, calm), left, no_news, size


def level_rules(row):
    """A level is left with 3 sigma and twice the usual distance, unless that leads home: near the middle, or nearer
    than half of the way there, or near a former normal. It is away while half of the deviation is left, or half of its
    share of what is usual at that time.
    """
    usual, zero, former = usual_distance(row), -row.offset / row.unit, row.anchor[4]

    def home(value, left):
        return abs(value - row.center) < max(usual, 0.5 * abs(left - row.center))

    def begins(one, rests):
        if abs(one.sigma) < 3 or home(one.value, one.level) or abs(one.value - one.level) < 2 * usual:
            return False
        if rests and abs(one.value - row.center) < 4 * usual:
            return False
        return not abs(one.value - former) < 0.5 * abs(row.center - former)

    def leaves(one):
        whole = row.center + one.season - zero
        kept = SimpleNamespace(left=one.level, size=one.value - one.level, ratio=0.0, share=0.0)
        if whole:
            kept.ratio, kept.share = (one.level + one.season - zero) / whole, (one.value - one.level) / whole
        return kept

    def away(one, kept):
        if (one.value - kept.left) / kept.size >= 0.5 and not home(one.value, kept.left):
            return True
        whole = row.center + one.season - zero
        if not kept.share or whole * (kept.size / kept.share) <= 0:
            return False
        part = (one.value + one.season - zero) / whole
        return (part - kept.ratio) / kept.share >= 0.5 and abs(part - 1) >= 0.5 * abs(kept.ratio - 1)

    def returned(one, kept):
        most = max(0.5 * abs(kept.size), 2 * usual)
        return math.copysign(1, kept.size) * (one.value - kept.left) > -most

    return begins, leaves, away, returned, lambda one, size: one.sigma * size < 0


def unrest_rules(row):
    """It is left with 3 sigma, where volatility alone says so, and twice the unrest; away is half of that, in nats."""
    usual = 0.6745 * mean(row.scale[CHANGE])

    def nats(changes):
        return math.log(changes + floor(row))

    def now(one):
        return nats(median([abs(b - a) for a, b in itertools.pairwise(one.before[-25:])]))

    def before(one):
        return nats(max(median([abs(b - a) for a, b in itertools.pairwise(one.before[-133:-24])]), usual))

    def begins(one, rests):
        return not rests and abs(one.sigma) >= 3 and one.restless and now(one) - before(one) >= math.log(2)

    def leaves(one):
        return SimpleNamespace(left=before(one), size=now(one) - before(one))

    def away(one, kept):
        return now(one) - kept.left >= 0.5 * kept.size

    return begins, leaves, away, lambda one, kept: False, lambda one, size: False


def weight(sigma, *, seen, hold, strange, mute, away):
    """How much a sample teaches, in halves: nothing while its alert is active and it is away."""
    if not seen or mute or (hold and away):
        return 0
    if abs(sigma) < 3 and not strange:
        return 2
    return 0 if hold else 1
