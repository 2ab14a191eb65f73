"""Suggested targets tried on the datasource before anybody sees them: do they return data, do they move, are they new,
and what would they have told.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from tocsin.domain.errors import SourceError
from tocsin.domain.frame import Frame, Window
from tocsin.domain.suggest import Suggestion
from tocsin.domain.target import Target
from tocsin.monitor.aside import Aside
from tocsin.monitor.backtest import NOTHING_ELSE, Asked, backtest
from tocsin.monitor.gate import Gate

GLANCE = 300
"""Samples of each series that decide whether it moves, over the whole past that is tried."""

WEEK = timedelta(days=7)
DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Tried:
    """A suggestion that holds: the target, what it costs, and what it would have told, by the week."""

    suggestion: Suggestion
    target: Target
    series: int
    samples_a_day: int
    alerts_a_week: float
    messages_a_week: float


@dataclass(frozen=True, slots=True)
class Trials:
    """What was tried: those that hold, and why the others do not."""

    offered: tuple[Tried, ...]
    dropped: tuple[tuple[Suggestion, str], ...]


async def tried(
    suggestions: Sequence[Suggestion], gate: Gate, at: datetime, past: timedelta, progress: Callable[[float], None]
) -> Trials:
    """Try each over the `past` before `at`. A query that the datasource refuses drops its suggestion; raises
    `SourceError` when the datasource itself does not answer.
    """
    offered: list[Tried] = []
    dropped: list[tuple[Suggestion, str]] = []
    seen: dict[bytes, str] = {}
    aside = Aside(1)
    shares = [number / max(1, len(suggestions)) for number in range(len(suggestions) + 1)]
    try:
        for one, (begun, over) in zip(suggestions, pairwise(shares), strict=True):
            progress(begun)
            step_s = max(1.0, past.total_seconds() // GLANCE)
            try:
                frame = await gate.query(one.query, Window.aligned((at - past).timestamp(), at.timestamp(), step_s))
                why = _useless(frame, seen, one.name)
                if not why:
                    offered.append(
                        await _played(one, len(frame.labels), Asked(_target(one, gate, past), gate), at, aside)
                    )
            except SourceError as error:
                if error.transient:
                    raise
                why = f"the datasource refuses it: {error}"
            if why:
                dropped.append((one, why))
            progress(over)
    finally:
        aside.close()
    return Trials(tuple(offered), tuple(dropped))


def _useless(frame: Frame, seen: dict[bytes, str], name: str) -> str:
    """Why nobody would watch these series; "" when there is nothing against them."""
    if not frame.samples:
        return "it returns no data"
    with np.errstate(invalid="ignore"):
        there = frame.values[~np.isnan(frame.values).all(axis=1)]
    if not (np.nanmax(there, axis=1) > np.nanmin(there, axis=1)).any():
        return "it has not moved: it watches a constant"
    rows = sorted(row.tobytes() for row in np.round(there, 12))
    before = seen.setdefault(b"".join(rows), name)
    return "" if before == name else f"it has the same values as {before}"


def _target(one: Suggestion, gate: Gate, past: timedelta) -> Target:
    return Target(
        name=one.name,
        query=one.query,
        datasource_uid=gate.source.uid,
        query_type=gate.source.query_type,
        direction=one.direction,
        unit=one.unit,
        description=one.why,
        history=past,
    ).validated()


async def _played(one: Suggestion, series: int, asked: Asked, at: datetime, aside: Aside) -> Tried:
    """What the target would have told over the past, which is as long as the history it learns from."""
    target, past = asked.target, asked.target.history
    step_s = target.step.total_seconds()
    window = Window.aligned((at - past).timestamp(), at.timestamp(), step_s)
    result = await backtest([asked], window, aside, NOTHING_ELSE, lambda _: None)
    weeks = past / WEEK
    return Tried(
        one,
        target,
        series,
        round(series * DAY_S / step_s),
        result.alerts_total / weeks,
        result.messages_total / weeks,
    )
