"""The same time of day again and again: what of a series comes by the clock. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from math import comb
from zoneinfo import ZoneInfo

from tocsin.domain.feedback import DAY_MINUTES, OCCASION, Firing, Recurring

REACH = 20
"""Minutes before and after the middle that belong to it."""

LEAST_DAYS = 3
CHANCE = 1e-3
"""How improbable it must be that alerts spread over the day by chance come together like that."""

NARROWEST = 10
"""Minutes: alerts nearer together than that count as no nearer, since they are seen once in an interval only."""

MOST_SLOTS = 5
"""Times of day of one series."""


def all_recurring(firings: Sequence[Firing], held_back: Sequence[Firing], timezone: str) -> tuple[Recurring, ...]:
    """The times of day at which one series recurs: those of its alerts, and those of all that stood out of it.

    Alerts are looked at alone first, then with what was held back, the most severe first: what is weak comes at any
    time, and would hide the hour of what is not.
    """
    found = list(recurring_of(firings, timezone))
    for least in sorted({one.severe for one in held_back}, reverse=True):
        more = recurring_of([*firings, *(one for one in held_back if one.severe >= least)], timezone)
        found += [one for one in more if all(minutes_apart(one.around, known.around) > REACH for known in found)]
    return tuple(found[:MOST_SLOTS])


def minutes_apart(one: int, other: int) -> int:
    """Minutes between two times of day, over midnight where that is nearer."""
    apart = (one - other) % DAY_MINUTES
    return min(apart, DAY_MINUTES - apart)


def recurring_of(firings: Iterable[Firing], timezone: str) -> tuple[Recurring, ...]:
    """The times of day at which some occasions of one series recur, the most improbable first.

    `firings` are those of one series over about a fortnight. The probability is that of a scan: n alerts spread evenly
    over the day, of which some k lie within the width that these k have, is at most n times the binomial tail of the
    other n - 1. Each day counts once.
    """
    occasions = _occasions(sorted(firings, key=lambda one: one.starts_at))
    zone = ZoneInfo(timezone)
    local = [one.starts_at.astimezone(zone) for one in occasions]
    minutes = [at.hour * 60 + at.minute for at in local]
    left = list(range(len(occasions)))
    found: list[Recurring] = []
    while len(left) >= LEAST_DAYS and len(found) < MOST_SLOTS:
        group, chance = _densest(left, minutes, [at.toordinal() for at in local])
        if chance >= CHANCE:
            break
        found.append(_described([occasions[n] for n in group], [minutes[n] for n in group], timezone, chance))
        left = [n for n in left if n not in group]
    return tuple(found)


def _occasions(firings: Sequence[Firing]) -> list[Firing]:
    """One for each run of them, with the largest deviation and the first alert of the run."""
    kept: list[Firing] = []
    last = None
    for one in firings:
        if last is None or one.starts_at - last > OCCASION:
            kept.append(one)
        else:
            most = max(kept[-1].deviation, one.deviation, key=abs)
            kept[-1] = replace(kept[-1], deviation=most, alert_id=kept[-1].alert_id or one.alert_id)
        last = one.starts_at
    return kept


def _densest(left: Sequence[int], minutes: Sequence[int], days: Sequence[int]) -> tuple[list[int], float]:
    """Of the occasions `left` those that lie together most improbably, and how improbably."""
    best: tuple[list[int], float] = ([], 1.0)
    clockwise = sorted(left, key=lambda n: minutes[n])
    for place, first in enumerate(clockwise):
        ahead = [*clockwise[place:], *clockwise[:place]]
        seen: set[int] = set()
        for stop, n in enumerate(ahead, start=1):
            width = (minutes[n] - minutes[first]) % DAY_MINUTES
            if width > 2 * REACH:
                break
            seen.add(days[n])
            if len(seen) < LEAST_DAYS:
                continue
            chance = _chance(len(left), len(seen), max(width, NARROWEST))
            if chance < best[1]:
                best = (ahead[:stop], chance)
    return best


@lru_cache(maxsize=8192)
def _chance(n: int, k: int, width: int) -> float:
    """How probable it is that `k` of `n` lie within so many minutes. A fortnight asks for the same few again."""
    share = width / DAY_MINUTES
    tail = sum(comb(n - 1, j) * share**j * (1 - share) ** (n - 1 - j) for j in range(k - 1, n))
    return min(1.0, n * tail)


def _described(group: Sequence[Firing], minutes: Sequence[int], timezone: str, chance: float) -> Recurring:
    # Minutes of a group stand in the order of the clock from its first one on, also over midnight.
    ahead = [(minute - minutes[0]) % DAY_MINUTES for minute in minutes]
    around = (minutes[0] + max(ahead) // 2) % DAY_MINUTES
    in_time = sorted(group, key=lambda one: one.starts_at)
    zone = ZoneInfo(timezone)
    return Recurring(
        target_name=group[0].target_name,
        labels=group[0].labels,
        around=around,
        timezone=timezone,
        times=len(group),
        days=len({one.starts_at.astimezone(zone).date() for one in group}),
        first=in_time[0].starts_at,
        last=in_time[-1].starts_at,
        chance=chance,
        most_above=max(0.0, *(one.deviation for one in group)),
        most_below=max(0.0, *(-one.deviation for one in group)),
        alert_ids=tuple(one.alert_id for one in in_time if one.alert_id is not None),
    )
