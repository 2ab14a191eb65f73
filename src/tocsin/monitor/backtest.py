"""What a target would have said over a past window: read in parts, judged part by part, counted to the message."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from tocsin.domain.difference import compare
from tocsin.domain.evaluation import instant
from tocsin.domain.feedback import UNMARKED, Marked, WindowKind
from tocsin.domain.frame import Frame, Window
from tocsin.domain.grouping import Fired, groups_of
from tocsin.domain.incidents import Reckoning, reckon
from tocsin.domain.target import Target
from tocsin.monitor.aside import Aside, GoOn
from tocsin.monitor.backfill import part_columns, read_back_alike
from tocsin.monitor.fetch import fetch
from tocsin.monitor.gate import Gate
from tocsin.monitor.marked import marked_times
from tocsin.monitor.memory import Memory
from tocsin.monitor.rehearsal import Rehearsal, columns_of
from tocsin.monitor.sketch import Sketch
from tocsin.monitor.status import BacktestResult, Question
from tocsin.monitor.tally import MAX_LISTED

Progress = Callable[[float], None]
NOTHING_ELSE = Question()


class Asked(NamedTuple):
    """A target, where its samples come from, and what people have said of it."""

    target: Target
    gate: Gate
    marked: Marked = UNMARKED


async def backtest(
    asked: Sequence[Asked], window: Window, aside: Aside, question: Question, progress: Progress
) -> BacktestResult:
    """Replay the first target over `window`, and the second, if any, to compare it with; raises `SourceError`,
    `Invalid`. What lies before the window is learnt from first. `progress` hears shares from 0 to 1.

    Memory holds the lookback and a part of the window. Targets that want the same samples share them.
    """
    runs = [_rehearsal(one.target, window, question if n == 0 else NOTHING_ELSE) for n, one in enumerate(asked)]
    for run, one in zip(runs, asked, strict=True):
        run.memory = Memory.empty(one.target, one.marked)
    gates = [one.gate for one in asked]
    alike = len({_needs(one.target) for one in asked}) == 1
    together = [(gates[0], runs)] if alike else [(gate, [run]) for gate, run in zip(gates, runs, strict=True)]
    for n, (gate, some) in enumerate(together):
        await _play(some, gate, aside, _Shares(progress, n / len(together), 1.0 / len(together)))
    results = await aside.run(lambda _: [_result(run, question) for run in runs])
    progress(1.0)
    return results[0] if len(results) == 1 else _compared(*results)


def rehearse(
    target: Target,
    frame: Frame,
    window: Window,
    progress: Progress = lambda _: None,
    go_on: GoOn = lambda: None,
    *,
    memory: Memory | None = None,
    question: Question = NOTHING_ELSE,
) -> BacktestResult:
    """The same of one target with the samples at hand; pure but for `progress` and `go_on`.

    `memory` is what was known before the first column of `frame`.
    """
    run = _rehearsal(target, window, question)
    if memory is not None:
        run.memory = memory
    run.read(frame)
    columns = len(frame.timestamps)
    begin = int((frame.timestamps < window.start.timestamp()).sum())
    if begin:
        run.learn(columns_of(frame, 0, begin))
    run.judge(columns_of(frame, begin, columns), go_on, progress)
    run.finish(go_on)
    progress(1.0)
    return _result(run, question)


def _needs(target: Target) -> tuple[object, ...]:
    """What decides which samples a back-test of the target reads."""
    return (
        target.datasource_uid,
        target.asked,
        target.denominator,
        target.min_denominator,
        target.step,
        target.lookback,
        target.reads_back,
    )


def _rehearsal(target: Target, window: Window, question: Question) -> Rehearsal:
    grid = Window.aligned(window.start.timestamp(), window.end.timestamp(), target.step.total_seconds())
    sketch = Sketch(target, grid, question.drawing) if question.drawing is not None else None
    return Rehearsal(target, grid, sketch=sketch, incidents=question.incidents)


async def _play(runs: Sequence[Rehearsal], gate: Gate, aside: Aside, progress: Progress) -> None:
    """Read history, lookback and window once, for rehearsals that need the same."""
    target, window = runs[0].target, runs[0].window
    # The same samples that monitoring asks for at its first evaluation: what is remembered for weeks begins there.
    step, start = target.step, instant(window.start.timestamp() - (target.lookback + target.step).total_seconds())
    early = await fetch(target, gate, Window(start, window.start - step, step))
    first = Window(start, window.end, step)
    known = [(run.target, run.memory.marked) for run in runs]
    memories = await read_back_alike(known, gate, first, len(early.labels))
    for run, memory in zip(runs, memories, strict=True):
        run.memory = memory
    await aside.run(partial(_learn, runs, early))
    series, at = len(early.labels), window.start
    while at <= window.end:
        until = min(window.end, at + (part_columns(series) - 1) * step)
        frame = await fetch(target, gate, Window(at, until, step))
        shares = _Shares(progress, (at - window.start) / (window.end + step - window.start))
        shares.width = (until + step - at) / (window.end + step - window.start) / len(runs)
        await aside.run(partial(_judge, runs, frame, shares))
        series, at = max(series, len(frame.labels)), until + step
    await aside.run(partial(_finish, runs))


@dataclass(slots=True)
class _Shares:
    """Where in the whole the part lies that is judged now."""

    progress: Progress
    begin: float
    width: float = 0.0

    def __call__(self, share: float) -> None:
        self.progress(self.begin + share * self.width)


def _learn(runs: Sequence[Rehearsal], frame: Frame, _: GoOn) -> None:
    for run in runs:
        run.read(frame)
        run.learn(frame)


def _judge(runs: Sequence[Rehearsal], frame: Frame, shares: _Shares, go_on: GoOn) -> None:
    for run in runs:
        run.read(frame)
        run.judge(frame, go_on, shares)
        shares.begin += shares.width


def _finish(runs: Sequence[Rehearsal], go_on: GoOn) -> None:
    for run in runs:
        run.finish(go_on)


def _result(run: Rehearsal, question: Question) -> BacktestResult:
    tally = run.tally
    alerts = sorted(tally.fired.values(), key=lambda one: (one.starts_at, one.alert_id))
    series = len(tally.series)
    return BacktestResult(
        target_name=run.target.name,
        window=run.window,
        series=series,
        samples=tally.samples,
        evaluations=tally.evaluations,
        alerts=tuple(tally.alerts.values())[:MAX_LISTED],
        alerts_total=len(alerts),
        transitions=tuple(tally.transitions),
        transitions_total=tally.transitions_total,
        anomalies=tuple(tally.anomalies),
        anomalies_total=tally.anomalies_total,
        by_severity=tally.by_severity,
        warnings=(*tally.warnings, *run.doubts),
        judged=tally.judged,
        fired=tuple(alerts),
        groups=tuple(groups_of(alerts, run.window.end, told=not run.target.shadow)),
        reckoning=_reckoned(run, question, alerts),
        plot=run.sketch.plot(alerts) if isinstance(run.sketch, Sketch) else None,
    )


def _reckoned(run: Rehearsal, question: Question, alerts: Sequence[Fired]) -> Reckoning | None:
    if not question.incidents:
        return None
    maintenance = marked_times(run.memory.marked, WindowKind.MAINTENANCE, run.window.start, run.window.end)
    series = len(run.tally.series)
    return reckon(question.incidents, alerts, run.window, series, unseen=run.unseen, maintenance=maintenance)


def _compared(result: BacktestResult, against: BacktestResult) -> BacktestResult:
    difference = compare(against.fired, result.fired, against.reckoning, result.reckoning)
    return replace(result, against=against, difference=difference)
