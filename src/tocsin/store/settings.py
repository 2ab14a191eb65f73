"""`SettingStore` over SQL."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin.store.part import Part, reads
from tocsin.store.schema import settings


class SqlSettings(Part):
    """Small facts that outlive the process."""

    @reads
    async def setting(self, connection: AsyncConnection, key: str) -> str | None:
        """The value, or None when it was never set."""
        found = await connection.execute(select(settings.c.value).where(settings.c.key == key))
        return found.scalar_one_or_none()

    async def save_setting(self, key: str, value: str) -> None:
        """Keep it."""
        insert = self._database.insert(settings)
        upsert = insert.on_conflict_do_update(index_elements=[settings.c.key], set_={"value": insert.excluded["value"]})

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(upsert, {"key": key, "value": value})

        await self._database.write(work)
