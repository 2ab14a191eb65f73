"""Before its first verdict a target learns from what its datasource remembers: in parts, so that none is large.

It learns as if it had watched: what an alert would have been told of teaches no more than it would have taught then.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from tocsin.detect import wants_auto
from tocsin.domain.errors import NotAsked, SourceError
from tocsin.domain.evaluation import Evaluation, instant
from tocsin.domain.feedback import UNMARKED, Marked
from tocsin.domain.frame import Frame, Window
from tocsin.domain.target import Target
from tocsin.domain.words import many
from tocsin.monitor.fetch import fetch
from tocsin.monitor.gate import TARGETS_OWN, Gate
from tocsin.monitor.memory import Memory, absorb
from tocsin.monitor.rehearsal import Rehearsal
from tocsin.monitor.tally import Tally

MAX_SAMPLES = 4_000_000
"""Samples of history that one target reads at its first evaluation; a wide target reads back less far."""

MAX_COLUMNS = 20_160
"""Samples of one series that are read back, two weeks of minutes: a finer step reads back less far."""

PART_COLUMNS = 1440
"""Columns asked for at once."""

PART_SAMPLES = 1_000_000
"""Samples asked for at once: 40 bytes of JSON each at the most, which leaves room below `max_bytes`."""

MAX_TRIES = 3
"""Failures of one part after which it is left out, as a gap."""

BIG_FRAME = 20_000
"""New samples above which judging goes to a thread: each costs microseconds, and a first window has many."""

BIG_PART = 2_000
"""The same for a part of the history: many of them come one after the other, and evaluations wait in between."""

_DAY_S = 86400.0


class _Unheard(Tally):
    """Nobody is told what a history would have said."""

    def add(self, evaluation: Evaluation) -> None:
        """Forget it."""


@dataclass(slots=True, eq=False)
class Backlog:
    """How far a target has read back: a failure loses nothing, it goes on at `at` (unix seconds) where it stopped.

    `run` is what has gone through it, `begin` where it began, `done` the share of it that is read (0 to 1), `tries` how
    often the next part has failed, `left_out` what could not be read.
    """

    run: Rehearsal
    begin: float
    at: float
    done: float = 0.0
    tries: int = 0
    left_out: tuple[str, ...] = ()

    @classmethod
    def beginning(cls, target: Target, first: Window, series: int, marked: Marked = UNMARKED) -> "Backlog":
        """Nothing is read yet of what lies before the window `first`."""
        span = span_of(target, series).total_seconds()
        # From a midnight on, where a day is read at all: whoever reads back on one day begins with the same sample. On
        # the grid of the step, also where that divides no day.
        at, step_s = first.start.timestamp() - span, target.step.total_seconds()
        at = at if span < _DAY_S else -(-(at // _DAY_S * _DAY_S) // step_s) * step_s
        run = Rehearsal(target, replace(first, start=instant(at)), tally=_Unheard(), farthest=PART_COLUMNS)
        run.memory = Memory.empty(target, marked)
        return cls(run, at, at)

    @property
    def memory(self) -> Memory:
        """What is known so far."""
        return self.run.memory

    def left_out_words(self) -> tuple[str, ...]:
        """The warning about parts that are gaps."""
        if not self.left_out:
            return ()
        parts = f"{many(len(self.left_out), 'part')} of the history could not be read"
        return (f"{parts}, and {'are' if len(self.left_out) > 1 else 'is'} a gap; the last: {self.left_out[-1]}",)


def span_of(target: Target, series: int) -> timedelta:
    """How far back it is read: the target's `history`, less where that is more than `MAX_COLUMNS` or `MAX_SAMPLES`."""
    columns = min(int(target.reads_back / target.step), MAX_COLUMNS, MAX_SAMPLES // max(1, series))
    return columns * target.step


def part_columns(series: int) -> int:
    """How many columns of so many series are asked for at once."""
    return max(1, min(PART_COLUMNS, PART_SAMPLES // max(1, series)))


async def read_back(
    target: Target,
    gate: Gate,
    first: Window,
    series: int,
    *,
    marked: Marked = UNMARKED,
    backlog: Backlog | None = None,
    heard: Callable[[Frame], None] = lambda _frame: None,
) -> Memory:
    """What is known of a target's series by the samples before the window `first`; `heard` is told of each part.

    With a `backlog` it goes on where that stopped, and writes there how far it came. Raises `SourceError` when a part
    failed that is worth another try; one that the datasource refuses, or that failed too often, is left out as a gap.
    """
    log = backlog or Backlog.beginning(target, first, series, marked)
    step_s = target.step.total_seconds()
    end = first.start.timestamp() - step_s
    while log.at <= end:
        until = min(end, log.at + (part_columns(series) - 1) * step_s)
        window = Window(instant(log.at), instant(until), target.step)
        try:
            # Half of the places stay free for those that are judged already.
            async with gate.spare:
                frame = await fetch(target, gate, window)
        except NotAsked:
            # Nobody has looked whether that part can be read.
            raise
        except SourceError as error:
            log.tries += 1
            if error.failure not in TARGETS_OWN and log.tries < MAX_TRIES:
                raise
            log.left_out = (*log.left_out, f"{window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC: {error}")
        else:
            await _learn(target, gate, log, frame)
            series = max(series, len(frame.labels))
            log.done = (until - log.begin) / max(step_s, end - log.begin)
            heard(frame)
        log.at, log.tries = until + step_s, 0
    return _ended(log)


async def _learn(target: Target, gate: Gate, log: Backlog, frame: Frame) -> None:
    # Whoever gives up waiting leaves the backlog as it was.
    run = log.run.copy()
    if frame.values.size > BIG_PART or target.learns_slowly:
        # One at a time: two would take the event loop's time, and together they are no sooner done.
        async with gate.learning:
            await asyncio.to_thread(_taken_in, target, run, frame)
    else:
        _taken_in(target, run, frame)
    log.run = run


def _taken_in(target: Target, run: Rehearsal, frame: Frame) -> None:
    if wants_auto(target.detection_methods):
        run.judge(frame, lambda: None)
    else:
        # The named methods learn from the lookback alone.
        _, run.memory = absorb(target, run.memory, frame, {}, silent=True)


def gone_through(target: Target, memory: Memory, frame: Frame) -> Memory:
    """What is known after samples that were judged before, and are not judged again. Pure."""
    window = Window(instant(frame.timestamps[0]), instant(frame.timestamps[-1]), target.step)
    run = Rehearsal(target, window, tally=_Unheard(), farthest=PART_COLUMNS)
    run.memory = memory
    run.judge(frame, lambda: None)
    run.finish(lambda: None)
    return run.memory


def _ended(log: Backlog) -> Memory:
    """What is known at the end of the history. Whose alert nobody was told of has none: the lookback follows it."""
    log.run.finish(lambda: None)
    log.run.active = {}
    return log.run.memory


async def read_back_alike(
    known: Sequence[tuple[Target, Marked]], gate: Gate, first: Window, series: int
) -> list[Memory]:
    """The same at once, for targets that differ only in how they judge: each sample is asked for once."""
    logs = [Backlog.beginning(target, first, series, marked) for target, marked in known]
    at, step_s = logs[0].at, known[0][0].step.total_seconds()
    end = first.start.timestamp() - step_s
    while at <= end:
        until = min(end, at + (part_columns(series) - 1) * step_s)
        frame = await fetch(known[0][0], gate, Window(instant(at), instant(until), known[0][0].step))
        series = max(series, len(frame.labels))
        for (target, _), log in zip(known, logs, strict=True):
            await _learn(target, gate, log, frame)
        at = until + step_s
    return [_ended(log) for log in logs]
