"""Plain twins of how `auto` learns one series: what waits, what is folded in, what a day leaves behind."""

import itertools
import math
from types import SimpleNamespace

from tests.detect.naive import mean, median, quantile
from tests.detect.naive_auto import in_steps, looks, reference_scale, voice_floor

from tocsin.detect.auto import VOICES

BINS = 32


def cut(value, most):
    return min(max(value, -most), most)


def waits(row, samples):
    """What waits for the next learning after ``samples``: value, the one before, bin of the day, halves that it counts,
    whether it belongs to its day, whether it is away there and, for each voice, |z| and whether it is below.
    """
    new = SimpleNamespace(
        counts=[[[0] * BINS, [0] * BINS] for _ in VOICES],
        size=[[0] * row.grid.hours for _ in VOICES],
        seen=[0] * row.grid.hours,
        moved=0,
        away=0,
        gap=math.inf,
        ties=0,
        day=[0] * row.grid.bins,
        day_seen=[0] * row.grid.bins,
        day_away=[False] * row.grid.bins,
    )
    for value, before, where, halves, shown, away, sizes, below in samples:
        deviation = (value - row.center) / reference_scale(row)
        if shown:
            new.day[where] += round(cut(deviation, 60) * 512)
            new.day_seen[where] += 1
            new.day_away[where] |= away
        if not halves:
            continue
        hour = where * row.grid.hours // row.grid.bins
        for v in range(len(VOICES)):
            new.counts[v][below[v]][bin_of(sizes[v])] += halves
            new.size[v][hour] += round(min(sizes[v], 4.0) * 256)
        new.seen[hour] += 1
        new.moved += round(cut(deviation, 6) * 4096)
        new.away += round(min(abs(deviation), 16) * 4096)
        if abs(value - before) <= 1e-12:
            new.ties += 1
        else:
            new.gap = min(new.gap, abs(value - before))
    return new


def bin_of(size):
    """The first bin ends at 0.5, each other one is a quarter longer than the one before, the last has no end."""
    place, edge = 0, 0.5
    while size >= edge and place < BINS - 1:
        place, edge = place + 1, edge * 1.25
    return place


def remembered(row, x, season, mute):
    """The ring after the columns behind the first 132 of ``x``: every one at first, ever fewer."""
    ring, count = [list(one) for one in zip(*row.references, strict=True)], row.reference_count
    for column in range(len(x) - 132):
        age = row.age + column
        every = 1
        while every * 2 <= age / 96:
            every *= 2
        every = min(every, max(1, row.grid.memory // 96))
        if age % every or mute[column] or count - row.known_references >= 24:
            continue
        at = [132 + column - 28 + 4 * i for i in range(8)]
        ring[count % 120] = [in_steps((x[i] - season[i] - row.center) / row.window_scale) for i in at]
        count += 1
    return ring, count


def in_another_scale(ring, before, after):
    """What the windows of a ring are where distances are measured by another scale."""
    return [[in_steps(math.sinh(step / 256) * before / after) for step in lag] for lag in ring]


def first(raw):
    """Unit, middle and scales from the first 32 samples."""
    offset = median(raw)
    size = mean([abs(x - offset) for x in raw])
    least = max(1e-3 * abs(offset), 1e-300) if size + abs(offset) > 0 else 1.0
    unit = 2.0 ** round(math.log2(max(size, least)))
    own = [(x - offset) / unit for x in raw]
    changes = [abs(b - a) for a, b in itertools.pairwise(own)]
    moves = [change for change in changes if change > 1e-12]
    tied = len(changes) - len(moves) > 0.05 * len(changes)
    center = median(own)
    row = SimpleNamespace(
        offset=offset,
        unit=unit,
        center=center,
        spread=mean([abs(x - center) for x in own]),
        resolution=min(moves) if moves and tied else 0.0,
        known_references=0,
        grid=SimpleNamespace(step_s=60.0),
    )
    x = [own[0]] * 132 + own
    parts = [looks(x[: 133 + i], x[: 133 + i], row)[0] for i in range(32)]
    row.scale = [quantile([abs(part[v]) for part in parts], 0.6) / 0.8416 for v in range(len(VOICES))]
    row.scale[VOICES.index("shape")] = 0.3
    return row


def tail(histogram, side):
    """ln z2 and k of the Weibull tail through the |z| that 5 % and 0.2 % of all samples reach on one side."""
    total = sum(map(sum, histogram))
    body = max(reached(histogram[side], 0.05 * total), 0.05)
    far = max(reached(histogram[side], 0.002 * total), 1.2 * body)
    shape = math.log(math.log(0.002) / math.log(0.05)) / math.log(far / body)
    return math.log(far), min(max(shape, 0.2), 2.0)


def reached(counts, mass):
    """The |z| that ``mass`` of the counts reach: between two edges by the logarithm of what lies above them."""
    mass = max(mass, 1e-9)
    above = [sum(counts[place:]) for place in range(BINS)] + [0.0]
    place = max([p for p in range(BINS) if above[p] >= mass], default=0)
    here, after = max(above[place], 1e-9), max(above[place + 1], 0.3 * mass)
    share = math.log(here / mass) / math.log(here / after) if here != after else 0.0
    return 0.5 * 1.25 ** (place - 1 + min(max(share, 0.0), 1.0))


def learnt(row):
    """The row after what waits was folded in; the day aside."""
    grid, seen = row.grid, max(sum(row.new_seen), 1)
    share = min(1.0, row.since / max(min(row.age - row.still, grid.memory), 1))
    fades = row.age > max(2 * grid.a_day, 384) and row.mass + sum(row.new_seen) > 2 * max(
        192, min(grid.a_day / 2, 1440)
    )
    fading = math.exp(-row.since / grid.memory) if fades else 1.0
    size = reference_scale(row)
    moved, away = row.new_moved / 4096 / seen * size, row.new_away / 4096 / seen * size
    if row.spread > 0:
        away = min(away, 4 * row.spread)
    heard = share if sum(row.new_seen) else 0.0
    gap = row.new_gap if math.isfinite(row.new_gap) and row.new_ties > 0.05 * seen else 0.0
    counts = [
        [
            [old * fading + 0.5 * new for old, new in zip(*both, strict=True)]
            for both in zip(row.counts[v], row.new_counts[v], strict=True)
        ]
        for v in range(len(VOICES))
    ]
    return SimpleNamespace(
        center=row.center + cut(moved, 2 * size) * heard,
        spread=row.spread + (away - row.spread) * heard,
        resolution=row.resolution + (gap - row.resolution) * share,
        counts=counts,
        tails=[[tail(counts[v], side) for side in (0, 1)] for v in range(len(VOICES))],
        mass=row.mass * fading + sum(row.new_seen),
        peaks=[peak * fading for peak in row.peaks],
        scale=[scales(row, v, max(share, grid.a_day / grid.memory)) for v in range(len(VOICES))],
    )


def scales(row, v, share):
    """The usual size of one voice in each hour: 0.7 of it and its neighbours, 0.3 of all hours; the whole at first."""
    hours, old = row.grid.hours, row.age >= 2 * row.grid.a_day

    def size(hour):
        divisor = math.hypot(row.scale[v][hour], voice_floor(row, VOICES[v]))
        return row.new_size[v][hour] / 256 / 0.79 * divisor

    whole = sum(size(hour) for hour in range(hours)) / max(sum(row.new_seen), 1)
    hourly = [size(hour) / max(row.new_seen[hour], 1) for hour in range(hours)]
    result = []
    for hour in range(hours):
        wanted = whole
        if old and hours > 1:
            near = [(hour + step) % hours for step in (-1, 0, 1)]
            wanted = 0.7 * mean([hourly[each] for each in near if row.new_seen[each]] or [0.0]) + 0.3 * whole
        told = sum(row.new_seen) and (row.new_seen[hour] or not old)
        known = row.scale[v][hour]
        result.append(known + (wanted - known) * share if told else known)
    return result


def day_of(row, days):
    """Level, shape and ends of the day that is over, and whether it is whole; ``days`` are those before."""
    bins, size = row.grid.bins, reference_scale(row)
    alert = row.new_day_held > 0.5 * row.grid.a_day
    kept = (sum(row.new_day_away) > 0.5 * bins and not alert) or row.day_count < 2
    near = [row.days_away[0]] if alert else [row.days_away[0], row.days_away[-1]]
    sound = []
    for b, (seen, away) in enumerate(zip(row.new_day_seen, row.new_day_away, strict=True)):
        again = any(day[(b * 24 // bins + step) % 24] for step in (-1, 0, 1) for day in near)
        sound.append(seen > 0 and (not away or again or kept))
    shape = [total / 512 * size / max(seen, 1) for total, seen in zip(row.new_day, row.new_day_seen, strict=True)]
    ends = [row.center + shape[at] if sound[at] else math.nan for at in (0, -1)]
    usual = expected_day(days, 2, bins)
    beside = [x - e for x, e, good in zip(shape, usual, sound, strict=True) if good]
    known = 0.0 if math.isnan(row.day_level) else row.day_level - row.center
    level = median(beside) if beside else known
    shape = [x if good else e + level for x, e, good in zip(shape, usual, sound, strict=True)]
    middle, whole = median(shape), sum(sound) > 0.8 * bins
    rise = row.center + middle - row.day_level if whole and not math.isnan(row.day_level) else 0.0
    return SimpleNamespace(
        level=row.center + middle,
        shape=[x - middle - rise * ((b + 0.5) / bins - 0.5) for b, x in enumerate(shape)],
        ends=ends,
        whole=whole,
    )


def expected_jump(row):
    """From the end of a day to the beginning of the next: as a week before, or the usual one."""
    known = [jump for jump in row.jumps if not math.isnan(jump)]
    if row.season == 0 or not known:
        return 0.0
    return row.jumps[0] if row.season == 2 and not math.isnan(row.jumps[0]) else median(known)


def expected_day(days, season, bins=0):
    """What the day after ``days`` (the newest last) looks like: nothing, their median, or that of a week before."""
    nothing = [0.0] * (len(days[-1]) if days else bins)
    usual = [median(column) for column in zip(*days, strict=True)] if len(days) >= 2 else nothing
    return (nothing, usual, days[-7] if len(days) >= 7 else usual)[season]


def error(days, season, finished):
    """How far what was expected is from the day that came, levels aside."""
    rest = [x - e for x, e in zip(finished, expected_day(days, season), strict=True)]
    middle = median(rest)
    return mean([abs(x - middle) for x in rest])


def chosen(errors, days):
    """A season must be a tenth better than what is simpler; two days alone are believed."""
    day = errors[1] < 0.9 * errors[0]
    if days >= 7 and errors[2] < 0.9 * (errors[1] if day else errors[0]):
        return 2
    return int(day or days == 2)
