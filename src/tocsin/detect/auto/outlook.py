"""When ``auto`` will know a series, and what it knows of its season: for people who wait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tocsin.detect.auto.engine import FULL_COUNTS, early_stops
from tocsin.detect.auto.learn import FIRST
from tocsin.detect.auto.state import DAY_S, FEWEST_A_DAY, AutoState

_DAYS_FOR_SEASON = 2
"""Finished days, less the first, that a season of the day rests on."""

_DAYS_FOR_NONE = 7
"""A series of which no day was seen nearly whole by then has none."""


@dataclass(frozen=True)
class Outlook:
    """What is said of S series together.

    ``have`` of ``need`` samples has the series that is known next, in ``wait_s`` seconds: both None when all are known.
    ``seasons`` counts the known series by season: none, day, week. ``nights`` is after how many more midnights the
    first known series without one can have a season; 0 when it could have one already, None where no step can, and
    where too little is seen of the days of all.
    """

    have: int | None
    need: int
    wait_s: float | None
    seasons: tuple[int, int, int]
    nights: int | None


def outlook(state: AutoState, local: float) -> Outlook:
    """What to expect at ``local`` time (unix seconds plus the offset of the time zone)."""
    ready, grid = state.ready, state.grid
    counts = [int((state.season[ready] == season).sum()) for season in range(3)]
    seasons = (counts[0], counts[1], counts[2])
    nights = None
    if grid.a_day >= FEWEST_A_DAY:
        known = np.flatnonzero(ready)
        none = np.isnan(state.day_level[known])
        hopeful = ~none | (state.age[known] < _DAYS_FOR_NONE * grid.a_day)
        left = (_DAYS_FOR_SEASON - state.day_count[known] + none)[hopeful]
        if left.size or not known.size:
            nights = max(0, int(left.min())) if known.size else _DAYS_FOR_SEASON + 1
    young = np.flatnonzero(~ready)
    if not young.size:
        return Outlook(None, state.enough, None, seasons, nights)
    moving = state.age[young] - state.still[young]
    if not (moving > 1).any():
        # None of them has moved yet: nobody knows when one will.
        return Outlook(None, state.enough, None, seasons, nights)
    have = state.mass[young] + state.new_seen[young].sum(axis=1)
    best = int(np.argmax(have))
    age = int(moving[best])
    # Of what comes only the share is seen that was.
    missing = max(0, int(np.ceil((state.enough - have[best]) * max(1.0, (age - FIRST) / max(have[best], 1.0)))))
    stops = [stop - age for stop in (FIRST, *early_stops(state)) if stop > age]
    due = min(
        (columns for columns in (*stops, FULL_COUNTS - int(state.since[young[best]])) if columns >= missing),
        default=np.inf,
    )
    midnight = (np.floor((local + missing * grid.step_s) / DAY_S) + 1.0) * DAY_S - local
    # It learns when the next column comes, or the first one of the new day.
    wait_s = min((due + 1) * grid.step_s, midnight)
    return Outlook(int(min(have[best], state.enough)), state.enough, float(wait_s), seasons, nights)
