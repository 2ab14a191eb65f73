"""Single events of series that rest, as counts of errors at zero or ``up`` at one: one now and then is no incident.
Pure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto.state import LEAD, AutoState
from tocsin.detect.auto.voices import SMALLEST
from tocsin.detect.calibrate import Array

SINGLE_S = 300.0
"""A single event is seen no longer than this: ``rate(x[5m])`` shows it for five samples a minute apart."""

MORE = 1.5
"""So many times the smallest event that is remembered is more than one."""

RESTS = 0.5
"""A series rests while its middle is nearer to a value than this share of one event: to zero, or to the one that was
the middle of its first samples.
"""

Flags = NDArray[np.bool_]
Halves = NDArray[np.float32]


class Singles(NamedTuple):
    """Of the columns of ``rows`` (n,) those that are a single event (``now``), those in which one has just ended
    (``over``), and those in which there is any event (``there``), each (n, K). ``event`` (S,) is the smallest event
    that is remembered, in the row's own unit.
    """

    rows: NDArray[np.intp]
    now: Flags
    over: Flags
    there: Flags
    event: Halves


def single_events(state: AutoState, values: Array, mute: Flags) -> Singles:
    """What of the columns after the first ``LEAD`` is a single event: no more than the smallest that came so far, and
    nothing more than that for as long as it may be seen, which is ``SINGLE_S`` away from zero and one sample away from
    any other value. ``values`` (S, ``LEAD`` + K) in the rows' own unit, gaps filled; those that are
    ``mute`` (S, K) are no smallest event.
    """
    event = state.event.copy()
    longest = min(int(SINGLE_S // state.grid.step_s), LEAD)
    zero = -state.offset / state.unit
    at_zero = np.abs(state.center - zero) <= np.abs(state.center)
    rest = np.where(at_zero, zero, 0.0)
    middle = np.abs(state.center - rest)
    resting = (middle < RESTS * event) & (longest > 0)
    parts = []
    for there, most in ((at_zero, longest), (~at_zero, 1)):
        rows = np.flatnonzero(resting & there)
        sizes = np.abs(values[rows, LEAD - most :] - rest[rows, None])
        some = (sizes > SMALLEST).any(axis=1)
        rows, sizes = rows[some], sizes[some]
        *found, event[rows] = _single(sizes, mute[rows], event[rows], middle[rows])
        parts.append((rows, *found))
    rows, now, over, there = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Singles(rows, now, over, there, event)


def _single(sizes: Array, mute: Flags, event: Halves, middle: Array) -> tuple[Flags, Flags, Flags, Halves]:
    """What is said of the last K of ``sizes`` (n, longest + K): ``now``, ``over``, ``there``, and the smallest
    ``event`` (n,) afterwards.
    """
    columns = mute.shape[1]
    there = sizes[:, -columns:] > SMALLEST
    teach = np.where(there & ~mute, sizes[:, -columns:], np.inf)
    known = np.minimum(teach.astype(np.float32), event[:, None])
    np.minimum.accumulate(known, axis=1, out=known)
    rests = middle[:, None] < RESTS * known
    near = np.lib.stride_tricks.sliding_window_view(sizes, sizes.shape[1] - columns + 1, axis=1)
    largest = near.max(axis=2)
    single = (near.min(axis=2) <= SMALLEST) & (largest > SMALLEST) & (largest <= MORE * known) & rests
    # What does not rest has no smaller events.
    last = np.where(rests.all(axis=1), columns - 1, rests.argmin(axis=1))
    return there & single, ~there & single, there, known[np.arange(len(known)), last]


def hold_back(held: Halves, ordinary: Array, singles: Singles) -> tuple[Halves, Array]:
    """What is told of an event that turns out to be more than a single one: what would have been since it began.

    ``held`` (n,) and ``ordinary`` (n, K) are what was held back before and what is told where nothing is; the first of
    these afterwards, and the least that is told of each column (n, K).
    """
    least = np.zeros(ordinary.shape)
    after = held.copy()
    for row, now in enumerate(singles.now):
        most = float(held[row])
        for column in np.flatnonzero(now | np.concatenate([[most > 0], now[:-1]])).tolist():
            if now[column]:
                most = max(most, float(np.float32(ordinary[row, column])))
            else:
                least[row, column] = most if singles.there[row, column] else 0.0
                most = 0.0
        after[row] = most
    return after, least
