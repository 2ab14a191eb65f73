"""Questions about a target that change nothing: check now, plot, patterns, back-test."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil

from tocsin.detect import Pattern
from tocsin.domain.errors import Invalid
from tocsin.domain.feedback import Marked
from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels
from tocsin.domain.ports import Clock
from tocsin.domain.target import Target, TargetState
from tocsin.monitor.aside import Aside
from tocsin.monitor.backfill import read_back, span_of
from tocsin.monitor.backtest import NOTHING_ELSE, Asked, Progress, backtest
from tocsin.monitor.condition import span_in_words
from tocsin.monitor.evaluate import Evaluator
from tocsin.monitor.fetch import fetch
from tocsin.monitor.fleet import Fleet
from tocsin.monitor.gate import Gate
from tocsin.monitor.plot import PATTERN_SPAN, draw, find_patterns
from tocsin.monitor.status import BacktestResult, CheckResult, Plot, Question
from tocsin.monitor.watch import Watch

MAX_SPAN = timedelta(days=400)
PICTURE_COLUMNS = 2880
PATTERN_COLUMNS = 8640
MAX_COLUMNS = 1_000_000
MAX_DRAWN_SAMPLES = 400_000
MAX_BACKTESTS_AT_ONCE = 2
MAX_PICTURES_AT_ONCE = 2


class Inquiry:
    """Answers from the datasource and the watch's memory; keeps nothing."""

    def __init__(self, clock: Clock, evaluator: Evaluator, marked: Callable[[str], Marked], fleet: Fleet) -> None:
        self._clock, self._evaluator, self._marked, self._fleet = clock, evaluator, marked, fleet
        # Apart, so that a picture does not wait for back-tests of minutes.
        self._backtests, self._pictures = Aside(MAX_BACKTESTS_AT_ONCE), Aside(MAX_PICTURES_AT_ONCE)
        self._turns = asyncio.Semaphore(MAX_BACKTESTS_AT_ONCE)

    def close(self) -> None:
        """Give up what is still being computed."""
        self._backtests.close()
        self._pictures.close()

    async def check(self, watch: Watch, gate: Gate) -> CheckResult:
        """What an evaluation now would find and change; nothing is kept. Raises `SourceError`."""
        began = self._clock.now()
        window, note, status = watch.window(began), "", watch.status
        if watch.cursor is None and watch.target.reads_back:
            note = "an evaluation reads back first, this looked at the lookback alone: it may judge by other methods"
        again = window is None
        if window is None:
            # Nothing is new since the last evaluation: judge its newest instant once more.
            note = "nothing is new since the last evaluation, this judged the newest sample again by the lookback alone"
            step_s = watch.target.step.total_seconds()
            end = (began - watch.target.offset).timestamp()
            watch = Watch(watch.target, watch.status, dict(watch.active), marked=watch.marked)
            window = watch.window(began) or Window.aligned(end - step_s, end, step_s)
        frame = await fetch(watch.target, gate, window)
        verdict = await self._evaluator.judge(watch, gate, frame, window)
        state, reason = verdict.condition.state, verdict.condition.reason
        if again:
            # What is known beyond the lookback was not looked at.
            state, reason = status.state, status.reason
        elif note and state in (TargetState.READY, TargetState.WARMING_UP):
            span = span_in_words(span_of(watch.target, len(frame.labels)))
            reading = status.reason if status.state is TargetState.WARMING_UP else ""
            state, reason = TargetState.WARMING_UP, reading or f"an evaluation reads {span} of history first"
        return CheckResult(
            target_name=watch.target.name,
            at=window.end,
            state=state,
            reason=reason,
            series=len(frame.labels),
            samples=frame.samples,
            anomalies=verdict.evaluation.anomalies,
            transitions=verdict.evaluation.transitions,
            alerts=verdict.evaluation.alerts,
            duration_s=(self._clock.now() - began).total_seconds(),
            warnings=(*frame.warnings, note) if note else frame.warnings,
        )

    async def plot(
        self, target: Target, gate: Gate, start: datetime | None, end: datetime | None, max_series: int
    ) -> Plot:
        """The series of a window (default: the last lookback; up to now at most), judged causally. Raises
        `SourceError`, `Invalid`.
        """
        now = self._clock.now()
        end = now - target.offset if end is None else min(end, now)
        window = self._window(target.step, start or end - target.lookback, end)
        early = Window.aligned(
            window.start.timestamp() - target.lookback.total_seconds(), window.end.timestamp(), window.step_s
        )
        frame = await fetch(target, gate, early)
        steps = round((window.end - window.start).total_seconds() / window.step_s) + 1
        size = steps * min(max_series, len(frame.labels))
        if size > MAX_DRAWN_SAMPLES:
            reason = f"the picture would hold {size:,} samples, more than {MAX_DRAWN_SAMPLES:,}: ask for less"
            raise Invalid("max_series", reason)
        # That makes `auto` know a series; all of its history would be asked for at each look.
        short = replace(target, history=min(target.history, PICTURE_COLUMNS * target.step))
        memory = await read_back(short, gate, early, len(frame.labels), marked=self._marked(target.name))
        if short.history < target.history:
            more = "what monitoring said, by more, is in the evidence of an alert"
            words = f"judged by {PICTURE_COLUMNS:,} samples before it; {more}"
            frame = replace(frame, warnings=(*frame.warnings, words))
        return await self._pictures.run(lambda go_on: draw(target, frame, window, max_series, memory, go_on=go_on))

    async def patterns(self, target: Target, gate: Gate) -> tuple[Window, Sequence[tuple[Labels, tuple[Pattern, ...]]]]:
        """Trends, seasons and level shifts of the last day, or of the lookback when that is longer.

        They are slow shapes: where the step is short it is asked with a multiple of it, unless lines are counted.
        """
        end, span, step = self._clock.now() - target.offset, max(target.lookback, PATTERN_SPAN), target.step
        if target.log_signal is None:
            step *= max(1, ceil(span / (PATTERN_COLUMNS * step)))
        window = self._window(step, end - span, end)
        frame = await fetch(target, gate, window)
        return window, await self._pictures.run(lambda go_on: find_patterns(frame, go_on))

    async def backtest(
        self,
        asked: Sequence[Asked],
        start: datetime,
        end: datetime,
        question: Question = NOTHING_ELSE,
        progress: Progress = lambda _: None,
    ) -> BacktestResult:
        """What the first target would have said between two instants, and how that differs from what the second would
        have, if there is one. Raises `SourceError`, `Invalid`.
        """
        windows = [self._window(target.step, start, min(end, self._clock.now())) for target, *_ in asked]
        # One at a time holds samples for each thread there is.
        async with self._turns:
            result = await backtest(asked, windows[0], self._backtests, question, progress)
        return replace(result, warnings=(*result.warnings, *self._fleet.warning([target for target, *_ in asked])))

    def _window(self, step: timedelta, start: datetime, end: datetime) -> Window:
        if start >= end:
            raise Invalid("start", "must be earlier than end, and than now")
        if end - start > MAX_SPAN:
            raise Invalid("start", f"must be at most {MAX_SPAN.days} days before end")
        step_s = step.total_seconds()
        if (end - start).total_seconds() / step_s > MAX_COLUMNS:
            raise Invalid("start", f"the window holds more than {MAX_COLUMNS:,} steps of {step_s:g} s")
        try:
            return Window.aligned(start.timestamp(), end.timestamp(), step_s)
        except ValueError as error:
            raise Invalid("start", f"the window holds no step of {step_s:g} s") from error
