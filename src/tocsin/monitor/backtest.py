"""What a target would have said over a past window: the live code with other timestamps."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import numpy as np

from tocsin.domain.alert import Alert, Transition
from tocsin.domain.anomaly import Anomaly
from tocsin.domain.evaluation import Evaluation, instant
from tocsin.domain.frame import Floats, Frame, Window
from tocsin.domain.labels import Fingerprint
from tocsin.domain.target import Target, TargetState
from tocsin.monitor.aside import Aside, GoOn
from tocsin.monitor.backfill import read_back
from tocsin.monitor.gate import Gate
from tocsin.monitor.memory import Memory
from tocsin.monitor.status import BacktestResult, TargetStatus
from tocsin.monitor.watch import Verdict, Watch, conclude_evaluation, phase

MAX_LISTED = 1000
"""How many alerts, transitions and anomalies a result lists; the totals count all."""

QUIET_STRIDE = 64
"""How many evaluations are tried at once while nothing is active: when all of them are quiet, they are the same."""

Progress = Callable[[float], None]


@dataclass(slots=True)
class _Ledger:
    """What a back-test has found so far."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    transitions: list[Transition] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)
    anomalies_total: int = 0
    evaluations: int = 0
    series: set[Fingerprint] = field(default_factory=set)

    def add(self, evaluation: Evaluation, count: int) -> None:
        self.evaluations += count
        self.alerts.update({alert.id: alert for alert in evaluation.alerts})
        self.transitions.extend(evaluation.transitions[: MAX_LISTED - len(self.transitions)])
        self.anomalies.extend(evaluation.anomalies[: MAX_LISTED - len(self.anomalies)])
        self.anomalies_total += len(evaluation.anomalies)


async def backtest(target: Target, gate: Gate, window: Window, aside: Aside, progress: Progress) -> BacktestResult:
    """Replay `target` over `window`; what lies before it is learnt from first. Raises `SourceError`."""
    # The same samples that monitoring asks for at its first evaluation: what is remembered for weeks begins there.
    start = instant(window.start.timestamp() - (target.lookback + target.step).total_seconds())
    frame = await gate.query(target.query, Window(start, window.end, window.step))
    memory = await read_back(target, gate, Window(start, window.end, window.step), len(frame.labels))
    return await aside.run(lambda go_on: rehearse(target, frame, window, progress, go_on, memory=memory))


def rehearse(
    target: Target,
    frame: Frame,
    window: Window,
    progress: Progress = lambda _: None,
    go_on: GoOn = lambda: None,
    *,
    memory: Memory | None = None,
) -> BacktestResult:
    """The same with the samples at hand; pure but for `progress`, which hears shares from 0 to 1, and `go_on`.

    `memory` is what was known before the first column of `frame`.
    """
    watch = Watch(target, TargetStatus(TargetState.WAITING, "back-test", window.start), blind=False)
    if memory is not None:
        watch.memory = memory
    ledger = _Ledger()
    begin = int((frame.timestamps < window.start.timestamp()).sum())
    if begin:
        _accept(watch, _judge(watch, frame, 0, begin, history=True), frame.timestamps[begin - 1])
    bounds = _evaluations(target, frame.timestamps, begin)
    for n in range(0, len(bounds) - 1, QUIET_STRIDE):
        part = bounds[n : n + QUIET_STRIDE + 1]
        start, stop = part[0], part[-1]
        go_on()
        whole = None if watch.active else _judge(watch, frame, start, stop)
        if whole is not None and whole.evaluation.quiet:
            ledger.add(whole.evaluation, len(part) - 1)
            _accept(watch, whole, frame.timestamps[stop - 1])
        else:
            for first, last in pairwise(part):
                go_on()
                verdict = _judge(watch, frame, first, last)
                ledger.add(verdict.evaluation, 1)
                _accept(watch, verdict, frame.timestamps[last - 1])
        ledger.series.update(labels.fingerprint for labels in watch.memory.labels)
        progress((stop - begin) / max(1, len(frame.timestamps) - begin))
    return _result(target, frame, window, ledger)


def _evaluations(target: Target, timestamps: Floats, begin: int) -> list[int]:
    """The columns where evaluations begin, and the end: each takes what is new at its own scattered time."""
    interval = target.check_interval.total_seconds()
    seen_from = timestamps[begin:] + target.offset.total_seconds() - phase(target)
    slots = np.ceil(seen_from / interval - 1e-9)
    changes = np.flatnonzero(np.diff(slots)) + 1
    return [begin, *(begin + changes).tolist(), len(timestamps)] if len(seen_from) else []


def _judge(watch: Watch, frame: Frame, start: int, stop: int, *, history: bool = False) -> Verdict:
    part = Frame(frame.timestamps[start:stop], frame.values[:, start:stop], frame.labels)
    at = instant(part.timestamps[-1])
    if watch.cursor is None and not history:
        watch.cursor = float(part.timestamps[0])
    return conclude_evaluation(watch, part, at, ())


def _accept(watch: Watch, verdict: Verdict, stamp: float) -> None:
    at: datetime = instant(stamp)
    if watch.cursor is None:
        # The lookback before the window only teaches.
        watch.memory, watch.cursor = verdict.memory, float(stamp)
        return
    watch.apply(verdict, Window(at, at, watch.target.step))


def _result(target: Target, frame: Frame, window: Window, ledger: _Ledger) -> BacktestResult:
    fired = [alert for alert in ledger.alerts.values() if alert.starts_at is not None]
    return BacktestResult(
        target_name=target.name,
        window=window,
        series=len(ledger.series),
        samples=frame.samples,
        evaluations=ledger.evaluations,
        alerts=tuple(fired[:MAX_LISTED]),
        alerts_total=len(fired),
        transitions=tuple(ledger.transitions),
        anomalies=tuple(ledger.anomalies),
        anomalies_total=ledger.anomalies_total,
        by_severity=dict(Counter(alert.severity for alert in fired)),
        warnings=frame.warnings,
    )
