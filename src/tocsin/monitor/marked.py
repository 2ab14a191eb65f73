"""What people said of a target, as detection takes it: samples that teach nothing, levels that are let in, hours with a
threshold of their own. Pure.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import Learnt
from tocsin.domain.evaluation import instant
from tocsin.domain.feedback import Acceptance, AcceptanceKind, Marked, MarkedWindow, WindowKind
from tocsin.domain.frame import Floats
from tocsin.domain.incidents import Incident
from tocsin.domain.labels import Labels

Mask = NDArray[np.bool_]


def mute_of(windows: Sequence[MarkedWindow], labels: Sequence[Labels], times: Floats) -> Mask | None:
    """(S, T): the samples that lie in a marked window of their series; None where there are none."""
    mute: Mask | None = None
    for window in windows:
        inside = (times >= window.start.timestamp()) & (times <= window.end.timestamp())
        if not inside.any():
            continue
        if mute is None:
            mute = np.zeros((len(labels), len(times)), bool)
        mute |= rows_with(window.labels, labels)[:, None] & inside
    return mute


def rows_with(wanted: Labels, labels: Sequence[Labels]) -> Mask:
    """(S,): the series that carry all of these labels."""
    if not wanted:
        return np.ones(len(labels), bool)
    return np.fromiter((wanted.items() <= one.items() for one in labels), bool, len(labels))


def cuts(levels: Sequence[Acceptance], times: Floats, first: int) -> list[tuple[int, Acceptance]]:
    """Where among the columns from `first` on a level begins to be accepted: before that column, which is the first
    one after the acceptance. In the order of time.
    """
    found = []
    for one in levels:
        column = int(np.searchsorted(times, one.at.timestamp(), side="right"))
        if max(first, 1) <= column < len(times):
            found.append((column, one))
    return sorted(found, key=lambda cut: cut[1].at)


class Known(NamedTuple):
    """What is known before a column: which older samples may teach, (S, T), and what was learnt."""

    learn: Mask
    learnt: Learnt


def let_in(known: Known, values: Floats, times: Floats, rows: Mask, *, since: float, mute: Mask | None) -> Known:
    """The same after the levels of `rows` (S,) since an instant are normal: what came before teaches no more, what came
    since does. `values`, `mute` (S, T) and `times` (T,) are the columns before it.
    """
    later = times >= since
    usable = ~np.isnan(values) if mute is None else ~np.isnan(values) & ~mute
    learn = np.where(rows[:, None], usable & later, known.learn)
    found = np.flatnonzero(rows)
    ages = np.full(len(found), int(later.sum()), np.int64)
    return Known(learn, known.learnt.let_in(found, ages))


def loosened(exempt: Sequence[Acceptance], labels: Sequence[Labels], times: Floats, sigma: Floats) -> Mask | None:
    """(S, K): the samples that may begin an alert, where some hours have a threshold of their own and some series
    none; None: all.
    """
    allowed: Mask | None = None
    for one in exempt:
        inside = np.fromiter((_inside(one, stamp) for stamp in times.tolist()), bool, len(times))
        if inside.any():
            enough = (np.abs(sigma) >= one.sigma) & (one.kind is AcceptanceKind.HOURS)
            part = ~(rows_with(one.labels, labels)[:, None] & inside) | enough
            allowed = part if allowed is None else allowed & part
    return allowed


def _inside(one: Acceptance, stamp: float) -> bool:
    at = instant(stamp)
    return one.holds(at) and (one.slot is None or one.slot.contains(at))


def reaches(old: Marked, new: Marked, labels: Sequence[Labels], oldest: float, newest: float) -> bool:
    """Whether the difference of the two changes what was learnt between two instants (unix seconds)."""
    windows = set(old.windows) ^ set(new.windows)
    if any(
        one.end.timestamp() >= oldest and one.start.timestamp() <= newest and rows_with(one.labels, labels).any()
        for one in windows
    ):
        return True
    gone, come = set(old.levels) - set(new.levels), set(new.levels) - set(old.levels)
    return any(oldest <= one.at.timestamp() < newest for one in gone | come)


def marked_times(marked: Marked, kind: WindowKind, start: datetime, end: datetime) -> tuple[Incident, ...]:
    """The windows of one kind that have a part in a time, oldest first."""
    found = [
        Incident(one.start, one.end, one.labels)
        for one in marked.windows
        if one.kind is kind and one.start <= end and start <= one.end
    ]
    return tuple(sorted(found, key=lambda one: one.start))
