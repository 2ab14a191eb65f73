"""What was learnt, learnt anew: as if what people have said since had been known from the beginning."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from tocsin.detect import wants_auto
from tocsin.domain.alert import Alert
from tocsin.domain.feedback import Marked
from tocsin.domain.frame import Window
from tocsin.domain.labels import Fingerprint
from tocsin.domain.target import Target
from tocsin.monitor.backfill import BIG_FRAME, read_back
from tocsin.monitor.fetch import fetch
from tocsin.monitor.gate import Gate
from tocsin.monitor.marked import reaches
from tocsin.monitor.memory import Memory, absorb
from tocsin.monitor.watch import MAX_REACH_BACK


def learnt_since(target: Target, memory: Memory) -> float:
    """The oldest sample that may have taught anything, unix seconds; `memory` holds some."""
    oldest = float(memory.timestamps[0])
    if memory.learnt.more is not None:
        oldest = min(oldest, float(memory.timestamps[-1]) - target.reads_back.total_seconds())
    auto = memory.learnt.auto
    if auto is None or not auto.rows:
        return oldest
    lived = max(0.0, float(auto.age.max()) - 1.0) * target.step.total_seconds()
    return min(oldest, float(memory.timestamps[-1]) - lived)


def concerns(target: Target, memory: Memory, marked: Marked) -> bool:
    """Whether what is said now changes what `memory` has learnt."""
    return matters(target, memory, memory.marked, marked)


def matters(target: Target, memory: Memory, before: Marked, after: Marked) -> bool:
    """Whether the difference of what was said before and after reaches into the time that `memory` has learnt from."""
    if not memory.labels:
        return False
    newest = float(memory.timestamps[-1])
    return reaches(before, after, memory.labels, learnt_since(target, memory), newest)


async def relearnt(
    target: Target, gate: Gate, memory: Memory, marked: Marked, active: Mapping[Fingerprint, Alert]
) -> Memory:
    """The memory as it would be with `marked`: read again where that makes a difference. Raises `SourceError`."""
    if not concerns(target, memory, marked):
        return replace(memory, marked=marked)
    return await rebuilt(target, gate, memory, marked, active)


async def rebuilt(
    target: Target, gate: Gate, memory: Memory, marked: Marked, active: Mapping[Fingerprint, Alert]
) -> Memory:
    """The memory with `marked`, read from the datasource again as far back as it has learnt from; its newest column
    stays the same. Raises `SourceError`.
    """
    newest, step_s = float(memory.timestamps[-1]), target.step.total_seconds()
    begin = newest
    if active and not wants_auto(target.detection_methods):
        # As after a start: what the named methods knew when an alert began lies before it.
        oldest = min(alert.active_at.timestamp() for alert in active.values())
        begin = min(newest, max(oldest, newest - MAX_REACH_BACK.total_seconds()))
    first = Window.aligned(begin - target.lookback.total_seconds(), newest, step_s)
    if wants_auto(target.detection_methods):
        # What was learnt since it is watched counts, not only what was read back at first.
        lived = first.start.timestamp() - learnt_since(target, memory)
        target = replace(target, history=max(target.history, timedelta(seconds=max(0.0, lived))))
    frame = await fetch(target, gate, first)
    known = await read_back(target, gate, first, len(frame.labels), marked=marked)
    big = frame.values.size > BIG_FRAME or target.learns_slowly
    _, after = (
        await asyncio.to_thread(absorb, target, known, frame, active) if big else absorb(target, known, frame, active)
    )
    return after
