"""The evaluate loop's body: ask for what is new, judge, step, keep."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

import structlog

from tocsin.detect import missing_extra
from tocsin.domain.errors import Invalid, NotAsked, SourceError, SourceFailure, StoreError
from tocsin.domain.frame import Frame, Window
from tocsin.domain.ports import Clock
from tocsin.domain.source_alert import datasource_alert, words_again, words_of
from tocsin.domain.target import TargetState
from tocsin.domain.words import many
from tocsin.monitor.backfill import BIG_FRAME, Backlog, read_back, span_of
from tocsin.monitor.commit import Committer
from tocsin.monitor.condition import span_in_words
from tocsin.monitor.datasources import skew_warnings
from tocsin.monitor.doubts import doubts
from tocsin.monitor.evidence import enrich
from tocsin.monitor.fetch import fetch
from tocsin.monitor.gate import Gate
from tocsin.monitor.memory import Memory
from tocsin.monitor.metrics import Metrics
from tocsin.monitor.relearn import relearnt
from tocsin.monitor.status import IN_VAIN, Cost
from tocsin.monitor.telling import News
from tocsin.monitor.watch import Verdict, Watch, conclude_evaluation
from tocsin.whole import to_the_end

log = structlog.get_logger(__name__)

_OWN_FAULTS = frozenset({SourceFailure.BAD_QUERY, SourceFailure.LIMIT})
"""Failures of a query that asking again soon does not mend."""

BIG_BLOCK = 2_000_000
"""Samples in memory above which judging goes to a thread, so that the loop stays responsive."""


async def _never(_gate: Gate) -> bool:
    return False


class Evaluator:
    """Evaluates one target at a time; holds nothing of a target itself. `excused` says whether a datasource that
    fails is told elsewhere.
    """

    def __init__(
        self,
        clock: Clock,
        committer: Committer,
        metrics: Metrics,
        excused: Callable[[Gate], Awaitable[bool]] = _never,
    ) -> None:
        self._clock, self._committer, self._metrics, self._excused = clock, committer, metrics, excused

    async def evaluate(self, watch: Watch, gate: Gate, at: datetime) -> bool:
        """One evaluation at `at`; whether it came to a result. Never raises for a datasource or store that fails."""
        window = watch.window(at)
        if window is None:
            return True
        began = self._clock.now()
        missing = missing_extra(watch.target.detection_methods)
        if missing is not None:
            # It was there when the target was made.
            log.error("evaluation failed", target=watch.target.name, error=missing)
            watch.fail(missing, began)
            return False
        verdict: Verdict | None = None
        try:
            frame = await fetch(watch.target, gate, window)
            cost = Cost.of(frame)
            watch.status.cost = watch.status.cost.plus(cost)
            watch.status.last_cost = None if watch.cursor is None else cost
            if watch.cursor is None:
                watch.memory = await self._read_back(watch, gate, window, len(frame.labels))
            elif watch.memory.marked != watch.marked:
                watch.memory = await relearnt(watch.target, gate, watch.memory, watch.marked, watch.active)
            verdict = await self.judge(watch, gate, frame, window)
            if verdict.evaluation.quiet:
                watch.apply(verdict, window)
            else:
                # Whole, also when the target is edited or monitoring stops meanwhile: an alert that is in the store and
                # not in `active` would never end.
                await to_the_end(self._keep(watch, verdict, window))
        except Invalid as error:
            # A package that a method needs is there, and cannot be imported.
            log.error("evaluation failed", target=watch.target.name, error=error.reason)
            watch.hopeless += 1
            watch.fail(error.reason, self._clock.now())
            return False
        except SourceError as error:
            self._source_failed(watch, error)
            await self.report(gate)
            return False
        except StoreError as error:
            self._metrics.failures.labels("store").inc()
            if verdict is None:
                # Nothing was to be kept yet: a source has read what it knew before.
                log.error("evaluation failed", target=watch.target.name, error=str(error))
                watch.fail(str(error), self._clock.now())
                return False
            log.error("evaluation not kept", target=watch.target.name, error=str(error))
            watch.status.failures += 1
            watch.status.reason = f"not kept by the store: {error}"
            return False
        watch.hopeless = 0
        self._succeeded(watch, gate, verdict, (frame, cost), began=began)
        await self.report(gate)
        return True

    async def _read_back(self, watch: Watch, gate: Gate, first: Window, series: int) -> Memory:
        """The memory before the first window, on from where an earlier try stopped; shown while it goes on."""
        target, began = watch.target, self._clock.now()
        stale = watch.backlog is not None and watch.backlog.memory.marked != watch.marked
        if watch.backlog is None or stale or watch.backlog.at > first.start.timestamp():
            watch.backlog = Backlog.beginning(target, first, series, watch.marked)
        log, already = watch.backlog, watch.backlog.done
        span = span_in_words(span_of(target, series))

        def heard(frame: Frame | None) -> None:
            now = self._clock.now()
            left = (now - began) * ((1.0 - log.done) / (log.done - already)) if log.done > already else None
            reason, eta = f"reading {span} of history: {log.done:.0%}", None if left is None else now + left
            watch.status.become(TargetState.WARMING_UP, reason, now, eta)
            if frame is not None:
                watch.status.cost = watch.status.cost.plus(Cost.of(frame))

        if log.at < first.start.timestamp():
            heard(None)
        return await read_back(target, gate, first, series, backlog=log, heard=heard)

    async def _keep(self, watch: Watch, verdict: Verdict, window: Window) -> None:
        await self._committer.save(verdict.evaluation)
        watch.apply(verdict, window)

    async def judge(self, watch: Watch, gate: Gate, frame: Frame, window: Window) -> Verdict:
        """What the evaluation comes to; the datasource is asked for context only when an alert changes."""
        at = window.end
        big = len(frame.labels) * watch.target.window > BIG_BLOCK or frame.values.size > BIG_FRAME
        big |= watch.target.learns_slowly
        verdict = (
            await asyncio.to_thread(conclude_evaluation, watch, frame, at)
            if big
            else conclude_evaluation(watch, frame, at)
        )
        if not verdict.evaluation.evidence:
            return verdict
        return replace(verdict, evaluation=await enrich(verdict.evaluation, gate))

    async def report(self, gate: Gate) -> None:
        """Open, reword or resolve the one alert about a datasource, when its health says so."""
        if gate.has_news and not (gate.consecutive and await self._excused(gate)):
            # Whole, also when the target is edited meanwhile: an alert that is kept and not known would never end.
            await to_the_end(gate.telling.tell(self._committer, self._clock, lambda: self._news(gate)))

    def _news(self, gate: Gate) -> News | None:
        if not gate.has_news:
            return None
        uid, words = gate.source.uid, None
        if gate.consecutive:
            words = words_of(uid, gate.last_error or "")
        elif not gate.steady:
            words = words_again(f"the datasource {uid}", gate.telling.failing)
        return News(datasource_alert(uid, words, gate.alert, self._clock.now()), words)

    def _source_failed(self, watch: Watch, error: SourceError) -> None:
        self._metrics.failures.labels(error.failure.value).inc()
        watch.hopeless = watch.hopeless + 1 if error.failure in _OWN_FAULTS else 0
        # While nobody asks there is no news: the failures that led to it were told.
        tell = log.debug if isinstance(error, NotAsked) else log.warning
        tell(
            "query failed",
            target=watch.target.name,
            datasource=watch.target.datasource_uid,
            error=str(error),
            transient=error.transient,
        )
        past = watch.backlog
        stopped = f"reading history stopped at {past.done:.0%}, it goes on there: " if past and past.tries else ""
        watch.fail(f"{stopped}{error}", self._clock.now())
        if not isinstance(error, NotAsked):
            watch.status.cost = watch.status.cost.plus(IN_VAIN)

    def _succeeded(
        self, watch: Watch, gate: Gate, verdict: Verdict, answer: tuple[Frame, Cost], *, began: datetime
    ) -> None:
        frame, cost = answer
        now = self._clock.now()
        took = (now - began).total_seconds()
        warnings = frame.warnings
        if frame.dropped:
            counted = ", ".join(f"{count} {kind}" for kind, count in sorted(frame.dropped.items()))
            warnings = (*warnings, f"samples that cannot be judged were read as gaps: {counted}")
        if verdict.evaluation.suppressed:
            self._metrics.suppressed.inc(verdict.evaluation.suppressed)
            warnings = (
                *warnings,
                f"{many(verdict.evaluation.suppressed, 'alert')} not begun: limit of one evaluation",
            )
        if verdict.evaluation.undrawn:
            without = many(verdict.evaluation.undrawn, "anomaly", "anomalies")
            warnings = (*warnings, f"{without} kept without evidence: limit of one evaluation")
        warnings = (*warnings, *skew_warnings(gate.source.uid, gate.source.skew, watch.target.step))
        warnings = (*warnings, *watch.left_out, *doubts(watch.target, watch.memory, now))
        status, condition = watch.status, verdict.condition
        status.become(condition.state, condition.reason, now, condition.eta)
        status.last_evaluated_at, status.last_duration_s = now, took
        status.series, status.series_ready = len(watch.memory.labels), condition.ready
        status.evaluations += 1
        status.warnings, status.refuted = warnings, watch.memory.refuted
        self._metrics.evaluations.inc()
        self._metrics.duration.observe(took)
        self._metrics.samples.inc(cost.samples)
        if verdict.evaluation.anomalies:
            self._metrics.anomalies.inc(len(verdict.evaluation.anomalies))
        for transition in verdict.evaluation.transitions:
            log.info(
                "transition",
                target=watch.target.name,
                alert=transition.alert_id,
                state=transition.after.value,
                reason=transition.reason.value,
                severity=transition.severity.value,
            )
