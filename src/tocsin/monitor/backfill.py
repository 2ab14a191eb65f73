"""Before its first verdict a target learns from what its datasource remembers: in parts, so that none is large."""

import asyncio
from datetime import timedelta

from tocsin.domain.evaluation import instant
from tocsin.domain.frame import Window
from tocsin.domain.target import Target
from tocsin.monitor.gate import Gate
from tocsin.monitor.memory import Memory, absorb

MAX_SAMPLES = 4_000_000
"""Samples of history that one target reads at its first evaluation; a wide target reads back less far."""

MAX_COLUMNS = 20_160
"""Samples of one series that are read back, two weeks of minutes: a finer step reads back less far."""

PART_COLUMNS = 1440
"""Columns asked for at once."""

BIG_FRAME = 20_000
"""New samples above which judging goes to a thread: each costs microseconds, and a first window has many."""

_DAY_S = 86400.0


def span_of(target: Target, series: int) -> timedelta:
    """How far back it is read: the target's `history`, less where that is more than `MAX_COLUMNS` or `MAX_SAMPLES`."""
    columns = min(int(target.reads_back / target.step), MAX_COLUMNS, MAX_SAMPLES // max(1, series))
    return columns * target.step


async def read_back(target: Target, gate: Gate, first: Window, series: int) -> Memory:
    """What is known of a target's series by the samples before the window `first`. Raises `SourceError`."""
    memory, step_s = Memory.empty(target), target.step.total_seconds()
    end, span = first.start.timestamp() - step_s, span_of(target, series).total_seconds()
    # From a midnight on, where a day is read at all: whoever reads back on one day begins with the same sample.
    at = first.start.timestamp() - span
    at = at if span < _DAY_S else at // _DAY_S * _DAY_S
    while at <= end:
        until = min(end, at + (PART_COLUMNS - 1) * step_s)
        frame = await gate.query(target.query, Window(instant(at), instant(until), target.step))
        big = frame.values.size > BIG_FRAME or target.learns_slowly
        _, memory = (
            await asyncio.to_thread(absorb, target, memory, frame, {}, silent=True)
            if big
            else absorb(target, memory, frame, {}, silent=True)
        )
        at = until + step_s
    return memory
