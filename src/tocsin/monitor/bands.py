"""Which bands change when a window is marked: what is expected now, and what would be expected without it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from tocsin.detect import possible
from tocsin.domain.errors import SourceError
from tocsin.domain.evaluation import instant
from tocsin.domain.feedback import Marked
from tocsin.domain.labels import Labels
from tocsin.domain.target import Target
from tocsin.domain.words import many
from tocsin.monitor.following import utc_offsets
from tocsin.monitor.gates import Gates
from tocsin.monitor.memory import Memory
from tocsin.monitor.relearn import matters, rebuilt
from tocsin.monitor.watch import Watch

MAX_LISTED = 100
"""Bands that one answer lists; the others are counted."""

MAX_COMPARED = 20
"""Targets whose bands are compared for one answer."""

WITHIN_S = 20.0
"""How long the comparison may take; a target that would take longer learns anew without it."""

LEAST_CHANGE = 0.01
"""Of the width of the band: what moves less is not called changed."""


@dataclass(frozen=True, slots=True)
class Span:
    """What is expected of a sample, and the band around it."""

    expected: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Band:
    """The newest sample of a series, and what was and is expected of it; None: nothing can be said."""

    target_name: str
    labels: Labels
    at: datetime
    value: float
    before: Span | None
    after: Span | None


@dataclass(frozen=True, slots=True)
class ChangedBands:
    """The bands that differ, the largest change first; `changed` of `compared` series do. `notes` say of which targets
    it is not known, and why.
    """

    bands: tuple[Band, ...]
    changed: int
    compared: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A watch, and what people had said that concerns it `before` a change and `after` it."""

    watch: Watch
    before: Marked
    after: Marked


async def changed_bands(changes: Sequence[Said], gates: Gates) -> ChangedBands:
    """Compare what each watch would have learnt with what was said before and with what is said after; changes nothing.

    What was said earlier and is not learnt anew yet is in both, so that only this change counts.
    """
    notes: list[str] = []
    bands: list[tuple[float, Band]] = []
    compared = 0
    due = [(one, one.watch.memory) for one in changes]
    due = [(one, memory) for one, memory in due if matters(one.watch.target, memory, one.before, one.after)]
    untouched = len(changes) - len(due)
    if untouched:
        notes.append(f"{many(untouched, 'target')} {'has' if untouched == 1 else 'have'} learnt nothing from it")
    if len(due) > MAX_COMPARED:
        notes.append(f"{len(due) - MAX_COMPARED} more targets learn anew; {MAX_COMPARED} were compared")
    loop = asyncio.get_running_loop()
    until = loop.time() + WITHIN_S
    for one, memory in due[:MAX_COMPARED]:
        target, name = one.watch.target, one.watch.target.name
        gate = gates.find(target.datasource_uid)
        if gate is None:
            notes.append(f"{name}: its datasource is not configured")
            continue
        try:
            async with asyncio.timeout_at(until):
                # Both from the datasource: only this change is to be seen, not what it has forgotten since.
                before = await rebuilt(target, gate, memory, one.before, one.watch.active)
                after = await rebuilt(target, gate, memory, one.after, one.watch.active)
        except SourceError as error:
            notes.append(f"{name}: its history cannot be read, it learns anew when it can: {error}")
            continue
        except TimeoutError:
            notes.append(
                f"{name}: its history was not read within {WITHIN_S:g} s; it learns anew at its next evaluation"
            )
            continue
        found = await asyncio.to_thread(_compared, target, before, after)
        compared += len(memory.labels)
        bands += found
    bands.sort(key=lambda one: -one[0])
    return ChangedBands(tuple(band for _, band in bands[:MAX_LISTED]), len(bands), compared, tuple(notes))


def _compared(target: Target, before: Memory, after: Memory) -> list[tuple[float, Band]]:
    rows = {labels: row for row, labels in enumerate(after.labels)}
    old, new = _spans(target, before, before), _spans(target, after, before)
    found = []
    for row, labels in enumerate(before.labels):
        seen = np.flatnonzero(~np.isnan(before.values[row]))
        if not seen.size:
            continue
        column = int(seen[-1])
        was, now = old[row], new[rows[labels]] if labels in rows else None
        change = _change(was, now)
        if change >= LEAST_CHANGE:
            at, value = instant(float(before.timestamps[column])), float(before.values[row, column])
            found.append((change, Band(target.name, labels, at, value, was, now)))
    return found


def _spans(target: Target, known: Memory, shown: Memory) -> list[Span | None]:
    """What `known` expects of the newest sample of each of its rows among those of `shown`."""
    values = np.full((len(known.labels), len(shown.timestamps)), np.nan)
    rows = {labels: row for row, labels in enumerate(shown.labels)}
    for row, labels in enumerate(known.labels):
        if labels in rows:
            values[row] = shown.values[rows[labels]]
    scores = known.learnt.score(shown.timestamps, values, utc_offsets(shown.timestamps, target.timezone))
    scores = possible(scores, target.policy)
    spans: list[Span | None] = []
    for row in range(len(values)):
        told = np.flatnonzero(~np.isnan(scores.expected[row]))
        column = int(told[-1]) if told.size else -1
        parts = (scores.expected, scores.lower, scores.upper)
        spans.append(Span(*(float(part[row, column]) for part in parts)) if told.size else None)
    return spans


def _change(was: Span | None, now: Span | None) -> float:
    if was is None or now is None:
        return 0.0 if was is now else float("inf")
    width = max(abs(was.upper - was.lower), 1e-12 * max(1.0, abs(was.expected)))
    moved = max(abs(was.expected - now.expected), abs(was.lower - now.lower), abs(was.upper - now.upper))
    return float(moved / width)
