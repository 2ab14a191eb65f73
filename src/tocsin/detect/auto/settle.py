"""The new normal, by a person's word or after a week: nothing is away from it, and nothing looks odd against it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto.anchor import NEW_NORMAL_DAYS, REST
from tocsin.detect.auto.runs import forgotten
from tocsin.detect.auto.state import AT_HOME, AT_REST, FORMER, LEFT, SETTLED_AT, AutoState

FEWEST = 3
"""Samples of the new level that say where it is."""


def settled(state: AutoState, rows: NDArray[np.intp], ages: NDArray[np.int64]) -> AutoState:
    """The state after ``rows`` have had their normal level for the last ``ages`` (n,) columns.

    They are away from nothing. The samples before and the centre are moved by the difference of the medians, the
    season taken off, so that voices which look back find them where the series is now; where no sample before is known
    any more, the centre by what there is between the level that was left and now. Scales and tails stay as they were
    learnt.
    """
    recent, center, anchor, unrest = (each.copy() for each in (state.recent, state.center, state.anchor, state.unrest))
    day_level, day_end = state.day_level.copy(), state.day_end.copy()
    columns = recent.shape[1]
    for row, age in zip(rows.tolist(), ages.tolist(), strict=True):
        first = max(0, columns - age)
        level = recent[row] - state.recent_season[row]
        before, since = level[:first], level[first:]
        if np.count_nonzero(~np.isnan(since)) < FEWEST:
            continue
        moved = np.nanmedian(since) - (anchor[row, LEFT] if np.isnan(before).all() else np.nanmedian(before))
        if not np.isnan(moved):
            recent[row, :first] += moved
            center[row] += moved
            day_level[row] += moved
            day_end[row] += moved
    begun, calm = state.anchor_begun.copy(), state.anchor_calm.copy()
    anchor[rows], unrest[rows] = AT_HOME, AT_REST
    begun[rows], calm[rows] = state.age[rows, None] + REST, 0
    # Of this day, which was at both levels, only what is to come is kept.
    today = {name: getattr(state, name).copy() for name in ("new_day", "new_day_seen", "new_day_away", "new_day_held")}
    for part in today.values():
        part[rows] = 0
    # How it came here is no precedent.
    lasting, peak, near = state.lasting.copy(), state.peak.copy(), state.last_near.copy()
    lasting[rows], peak[rows], near[rows] = 0.0, 0.0, -(1 << 40)
    return state.changed(
        anchor=anchor,
        unrest=unrest,
        anchor_begun=begun,
        anchor_calm=calm,
        recent=recent,
        center=center,
        day_level=day_level,
        day_end=day_end,
        **today,
        **forgotten(state, rows),
        lasting=lasting,
        peak=peak,
        last_near=near,
    )


def settled_by_itself(state: AutoState) -> AutoState:
    """The state at the end of a day: what rows have been away from for ``NEW_NORMAL_DAYS`` they have left for good.

    The level is remembered: to be there again is nothing that lasts.
    """
    away = ~np.isnan(np.stack([state.anchor[:, LEFT], state.unrest[:, LEFT]], axis=1))
    lasting = state.age[:, None] - state.anchor_begun
    # What it went away from since, in level or in unrest, is an incident of its own.
    young = away & (lasting <= NEW_NORMAL_DAYS * state.grid.a_day)
    rows = np.flatnonzero(away.any(axis=1) & ~young.any(axis=1))
    if not rows.size:
        return state
    after = settled(state, rows, lasting[rows].max(axis=1))
    after.anchor[rows, FORMER], after.anchor[rows, SETTLED_AT] = state.anchor[rows, LEFT], state.age[rows]
    return after
