"""What happened to what is watched: kept, and told to whoever judges."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from tocsin.domain.errors import Invalid, NotFound
from tocsin.domain.events import API, MAX_EVENTS, MAX_FORGOTTEN, SAME_WITHIN, Event
from tocsin.domain.ports import Clock, Store
from tocsin.domain.redact import without_credentials
from tocsin.monitor.feedback import Feedback
from tocsin.monitor.watch import Watch

FORGOTTEN = "events.forgotten"


class Events:
    """Events by the newest first; `watches` are the monitor's own, and `feedback` takes events to them."""

    def __init__(self, *, store: Store, clock: Clock, watches: Mapping[str, Watch], feedback: Feedback) -> None:
        self._store, self._clock, self._watches, self._feedback = store, clock, watches, feedback
        self._events: tuple[Event, ...] = ()
        self._forgotten: dict[str, float] = {}
        """When the events of datasources were that people have deleted, unix seconds by id, the last deleted last."""
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Read what is kept; raises `StoreError`."""
        self._take(await self._store.events())
        self._forgotten = json.loads(await self._store.setting(FORGOTTEN) or "{}")

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

    def listed(self, since: datetime | None, until: datetime | None, target_name: str | None) -> Sequence[Event]:
        """The same as people ask for it: of a target that was deleted only those that name it. Raises `NotFound` for
        one that is none, and of which no event tells either.
        """
        if target_name is None or target_name in self._watches:
            return self.between(since, until, target_name)
        if not any(one.target_name == target_name for one in self._events):
            raise NotFound(f"there is no target named {target_name!r}, and no event of one")
        return [one for one in self.between(since, until) if one.target_name == target_name]

    async def add(self, event: Event, *, dated: bool = True) -> Event:
        """Keep an event, in the place of an earlier one of the same id, whoever tells of it without what looks like
        credentials in its title. One that is not `dated` stays at the instant of the earlier one: whoever tells of it
        once more says nothing of when it was. Raises `Invalid`, `StoreError`.
        """
        event = replace(event.validated(self._clock.now()), title=without_credentials(event.title))
        if event.target_name is not None and event.target_name not in self._watches:
            raise Invalid("target", f"there is no target named {event.target_name!r}")
        async with self._changing:
            if not dated:
                earlier = next((one.at for one in self._events if one.id == event.id), event.at)
                event = replace(event, at=earlier)
            await self._store.save_event(event)
            others = (one for one in self._events if one.id != event.id)
            self._take((event, *others))
        return event

    async def observe(self, event: Event) -> None:
        """Keep an event that a datasource tells of, unless people have deleted it; raises as `add`."""
        gone_s = self._forgotten.get(event.id)
        if gone_s is None or abs(event.at.timestamp() - gone_s) > SAME_WITHIN.total_seconds():
            await self.add(event)

    async def remove(self, event_id: str) -> None:
        """Forget one; a datasource does not bring it back. Raises `NotFound`, `StoreError`."""
        async with self._changing:
            for one in self._events:
                if one.id == event_id and one.source != API:
                    # Before it goes: whoever is told that it is gone does not meet it again.
                    await self._remember(one)
            await self._store.delete_event(event_id)
            self._take([one for one in self._events if one.id != event_id])

    async def _remember(self, event: Event) -> None:
        others = {name: at_s for name, at_s in self._forgotten.items() if name != event.id}
        kept = dict([*others.items(), (event.id, event.at.timestamp())][-MAX_FORGOTTEN:])
        await self._store.save_setting(FORGOTTEN, json.dumps(kept))
        self._forgotten = kept

    def _take(self, events: Sequence[Event]) -> None:
        by_id = sorted(events, key=lambda one: one.id)
        self._events = tuple(sorted(by_id, key=lambda one: one.at, reverse=True)[:MAX_EVENTS])
        self._feedback.know(self._events)
