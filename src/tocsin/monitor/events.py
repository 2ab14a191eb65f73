"""What happened to what is watched: kept, and told to whoever judges."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from tocsin.domain.errors import NotFound
from tocsin.domain.events import MAX_EVENTS, Event
from tocsin.domain.ports import Clock, Store
from tocsin.monitor.feedback import Feedback
from tocsin.monitor.watch import Watch


class Events:
    """Events by the newest first; `watches` are the monitor's own, and `feedback` takes events to them."""

    def __init__(self, *, store: Store, clock: Clock, watches: Mapping[str, Watch], feedback: Feedback) -> None:
        self._store, self._clock, self._watches, self._feedback = store, clock, watches, feedback
        self._events: tuple[Event, ...] = ()
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Read what is kept; raises `StoreError`."""
        self._take(await self._store.events())

    def between(
        self, since: datetime | None = None, until: datetime | None = None, target_name: str | None = None
    ) -> Sequence[Event]:
        """Events from `since` up to and including `until`, of a target, the newest first."""
        return [
            one
            for one in self._events
            if (since is None or one.at >= since)
            and (until is None or one.at <= until)
            and (target_name is None or one.of_target(target_name))
        ]

    async def add(self, event: Event) -> Event:
        """Keep an event, in the place of an earlier one of the same id; raises `Invalid`, `NotFound`, `StoreError`."""
        event.validated(self._clock.now())
        if event.target_name is not None and event.target_name not in self._watches:
            raise NotFound(f"there is no target named {event.target_name!r}")
        async with self._changing:
            await self._store.save_event(event)
            others = (one for one in self._events if one.id != event.id)
            self._take((event, *others))
        return event

    async def remove(self, event_id: str) -> None:
        """Forget one; raises `NotFound`, `StoreError`."""
        async with self._changing:
            await self._store.delete_event(event_id)
            self._take([one for one in self._events if one.id != event_id])

    def _take(self, events: Sequence[Event]) -> None:
        by_id = sorted(events, key=lambda one: one.id)
        self._events = tuple(sorted(by_id, key=lambda one: one.at, reverse=True)[:MAX_EVENTS])
        self._feedback.know(self._events)
