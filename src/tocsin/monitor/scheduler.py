"""When each target is evaluated: one task a target, so that a slow one delays nobody else."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from tocsin.domain.ports import Clock
from tocsin.domain.target import TargetState
from tocsin.monitor.metrics import Metrics
from tocsin.monitor.pace import next_due, share_of
from tocsin.monitor.watch import Watch

log = structlog.get_logger(__name__)

RETRY_AFTER = timedelta(seconds=10)
"""After a failure a target is tried again at the latest after this, however long its interval; the earliest after half
of it, each at a time of its own, so that those who failed together do not come back together. Where the query itself
cannot work, each time after twice as long, until it is the interval again.
"""


class Scheduler:
    """Runs `evaluate` for each watch at its own times. Evaluations of one target never overlap: what falls due while
    one runs is left out, counted and shown, because the next one judges its samples too.
    """

    def __init__(self, clock: Clock, metrics: Metrics, evaluate: Callable[[Watch], Awaitable[bool]]) -> None:
        self._clock, self._metrics, self._evaluate = clock, metrics, evaluate
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def names(self) -> set[str]:
        """Targets that have a running task."""
        return {name for name, task in self._tasks.items() if not task.done()}

    def begin(self, watch: Watch) -> None:
        """Evaluate the target from now on, the first time at once."""
        watch.begun_at = self._clock.now()
        self._tasks[watch.target.name] = asyncio.create_task(self._run(watch), name=f"target {watch.target.name}")

    async def end(self, name: str) -> None:
        """Evaluate the target no more; returns when its running evaluation is over."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def end_all(self) -> None:
        """Evaluate no target any more."""
        await asyncio.gather(*(self.end(name) for name in list(self._tasks)))

    async def _run(self, watch: Watch) -> None:
        due = self._clock.now()
        while True:
            await self._clock.sleep_until(due)
            good = await self._once(watch)
            now = self._clock.now()
            following = next_due(watch.target, due)
            if following <= now:
                following = self._overrun(watch, following, now)
            wait = RETRY_AFTER * (1.0 + share_of(watch.target)) / 2 * 2 ** min(max(watch.hopeless - 1, 0), 16)
            due = following if good else min(following, now + wait)
            watch.status.next_evaluation_at = due

    def _overrun(self, watch: Watch, missed: datetime, now: datetime) -> datetime:
        """Count the times that went by during an evaluation, and answer the next one to come."""
        count = int((now - missed) / watch.target.check_interval) + 1
        self._metrics.overruns.inc(count)
        watch.status.overruns += count
        return next_due(watch.target, now)

    async def _once(self, watch: Watch) -> bool:
        try:
            return await self._evaluate(watch)
        except Exception as error:
            # The top of the loop: whatever it was, this target goes on and all others never notice.
            log.exception("evaluation failed", target=watch.target.name)
            self._metrics.failures.labels("internal").inc()
            watch.status.failures += 1
            watch.status.become(
                TargetState.ERROR, f"internal error: {type(error).__name__}: {error}", self._clock.now()
            )
            return False
