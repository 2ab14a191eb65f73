"""Answers that were given a moment ago, by what was asked: bounded in time and bytes, and each asked for once.

Whoever asks the same while an answer is on its way waits for it and gets the same one.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_SHARE = 8
"""The largest answer that is kept is this part of all: one must not take the place of all others."""


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache holds and how well it serves. `joined` waited for an answer that was on its way already, `missed`
    were asked for; `evicted` went for lack of room, `too_large` were never kept.
    """

    name: str
    entries: int
    size_bytes: int
    max_bytes: int
    ttl_s: float
    hits: int
    joined: int
    missed: int
    evicted: int
    too_large: int

    @property
    def saved(self) -> float:
        """The share of questions that cost no request, 0 to 1."""
        asked = self.hits + self.joined + self.missed
        return (self.hits + self.joined) / asked if asked else 0.0


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    value: T
    size_bytes: int
    until: datetime


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: "asyncio.Task[T]"
    waiting: int = 0


@dataclass(slots=True, eq=False)
class Cache(Generic[T]):
    """The answers of one kind, of all datasources. `size_of` gives an answer's bytes in memory, `now` the time.

    A failure is told to all who wait for it and never kept. An answer whose last asker has given up is given up too.
    """

    name: str
    now: Callable[[], datetime]
    size_of: Callable[[T], int]
    ttl: timedelta
    max_bytes: int
    _kept: "OrderedDict[Hashable, _Kept[T]]" = field(default_factory=OrderedDict)
    _flights: dict[Hashable, _Flight[T]] = field(default_factory=dict)
    _size_bytes: int = 0
    _era: int = 0
    hits: int = 0
    joined: int = 0
    missed: int = 0
    evicted: int = 0
    too_large: int = 0

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """The answer to `key`, and whether this call is the one that has asked for it; raises what `ask` raises."""
        self._forget_old()
        kept = self._kept.get(key)
        if kept is not None:
            self.hits += 1
            return kept.value, False
        flight, first = self._flights.get(key), False
        if flight is None:
            first = True
            flight = _Flight(asyncio.create_task(self._ask(key, ask, self._era), name="question"))
            self._flights[key] = flight
            self.missed += 1
        else:
            self.joined += 1
        flight.waiting += 1
        try:
            # A shield: one who gives up must not take the answer from the others.
            return await asyncio.shield(flight.task), first
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                await self._give_up(key, flight)

    def clear(self, of: Callable[[Hashable], bool] = lambda _key: True) -> tuple[int, int]:
        """Forget the answers whose key says so, also those on their way; how many entries and bytes went."""
        self._era += 1
        gone = [key for key in self._kept if of(key)]
        freed = sum(self._drop(key) for key in gone)
        for key in [key for key in self._flights if of(key)]:
            # Whoever waits gets it; whoever comes from now on asks anew.
            del self._flights[key]
        return len(gone), freed

    def stats(self) -> CacheStats:
        """What is held now."""
        self._forget_old()
        return CacheStats(
            self.name,
            len(self._kept),
            self._size_bytes,
            self.max_bytes,
            self.ttl.total_seconds(),
            self.hits,
            self.joined,
            self.missed,
            self.evicted,
            self.too_large,
        )

    async def _ask(self, key: Hashable, ask: Callable[[], Awaitable[T]], era: int) -> T:
        try:
            value = await ask()
            if era == self._era:
                self._keep(key, value)
            return value
        finally:
            flight = self._flights.get(key)
            if flight is not None and flight.task is asyncio.current_task():
                del self._flights[key]

    async def _give_up(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        flight.task.cancel()
        # Its place at the datasource is free again when this returns.
        await asyncio.gather(flight.task, return_exceptions=True)

    def _keep(self, key: Hashable, value: T) -> None:
        size = self.size_of(value)
        if size > self.max_bytes // MAX_SHARE:
            self.too_large += 1
            return
        self._kept[key] = _Kept(value, size, self.now() + self.ttl)
        self._size_bytes += size
        while self._size_bytes > self.max_bytes:
            self._drop(next(iter(self._kept)))
            self.evicted += 1

    def _forget_old(self) -> None:
        """All live equally long, so the oldest stands first."""
        now = self.now()
        while self._kept:
            key = next(iter(self._kept))
            if self._kept[key].until > now:
                return
            self._drop(key)

    def _drop(self, key: Hashable) -> int:
        size = self._kept.pop(key).size_bytes
        self._size_bytes -= size
        return size
