"""Time for the loops: the machine's own, and one that tests turn by hand."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present, UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, at: datetime) -> None:
        """Return at or after `at`; a clock set back in between makes the sleep no longer than it was asked for."""
        await asyncio.sleep(max(0.0, (at - self.now()).total_seconds()))


class ManualClock:
    """A clock that stands still until `advance_to`; whoever sleeps is woken in the order of time."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        """The scenario's present."""
        return self._now

    async def sleep_until(self, at: datetime) -> None:
        """Return once the scenario has reached `at`."""
        if at <= self._now:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (at, next(self._order), future))
        await future

    async def advance_to(self, at: datetime) -> None:
        """Let time pass up to `at`, stopping at each sleeper until everything that it set off has come to rest."""
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= at:
            due, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, due)
            if not future.done():
                future.set_result(None)
            await self._settle()
        self._now = max(self._now, at)

    def jump_to(self, at: datetime) -> None:
        """Make it another time without waking anyone."""
        self._now = at

    async def _settle(self) -> None:
        # What a woken task does without real I/O takes a bounded number of turns of the event loop. asyncio's own loop
        # shows when nothing is left to be done: with it a scenario of days takes a fifth of the time.
        waiting = getattr(asyncio.get_running_loop(), "_ready", True)
        for _ in range(50):
            await asyncio.sleep(0)
            if not waiting:
                return
