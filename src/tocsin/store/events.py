"""`EventStore` over SQL."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin.domain.errors import NotFound
from tocsin.domain.events import MAX_EVENTS, Event
from tocsin.store.feedback_documents import FORMAT, document, read
from tocsin.store.part import Part, reads
from tocsin.store.schema import events


class SqlEvents(Part):
    """Events, each a document; the oldest beyond `MAX_EVENTS` go when one is added."""

    async def save_event(self, event: Event) -> None:
        """Keep it, in the place of an earlier one of the same id."""
        insert = self._database.insert(events)
        changed = {name: insert.excluded[name] for name in ("at", "format", "body")}
        upsert = insert.on_conflict_do_update(index_elements=[events.c.id], set_=changed)
        row = {"id": event.id, "at": event.at, "format": FORMAT, "body": document(event)}
        newest = select(events.c.id).order_by(events.c.at.desc(), events.c.id).limit(MAX_EVENTS)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(upsert, row)
            await connection.execute(delete(events).where(events.c.id.not_in(newest)))

        await self._database.write(work)

    async def delete_event(self, event_id: str) -> None:
        """Forget it; raises `NotFound`."""

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(delete(events).where(events.c.id == event_id))).rowcount

        if not await self._database.write(work):
            raise NotFound(f"there is no event {event_id!r}")

    @reads
    async def events(self, connection: AsyncConnection) -> Sequence[Event]:
        """All of them, the newest first."""
        rows = await connection.execute(select(events).order_by(events.c.at.desc(), events.c.id))
        return [read(Event, row.id, row.format, row.body) for row in rows]
