"""Opening the store: folder, lock, database, schema."""

import asyncio
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from tocsin.store.alert_log import SqlAlertLog
from tocsin.store.engine import DATABASE_NAME, Database, postgres_database, postgres_url, sqlite_database
from tocsin.store.events import SqlEvents
from tocsin.store.failures import translated
from tocsin.store.feedback import SqlFeedback
from tocsin.store.history import SqlHistory
from tocsin.store.housekeeping import SqlHousekeeping
from tocsin.store.lock import FolderLock
from tocsin.store.migrate import bring_up_to_date
from tocsin.store.settings import SqlSettings
from tocsin.store.targets import SqlTargets


class SqlStore(SqlTargets, SqlAlertLog, SqlFeedback, SqlEvents, SqlHistory, SqlHousekeeping, SqlSettings):
    """All ports of the store over one database; made by `open_store`."""

    def __init__(self, database: Database, lock: FolderLock) -> None:
        super().__init__(database)
        self._lock = lock

    async def close(self) -> None:
        """Wait for the write that is under way, then give back connections and lock; idempotent."""
        try:
            await self._database.close()
        finally:
            self._lock.release()


async def open_store(state_dir: Path, *, url: str | None = None) -> SqlStore:
    """The store of the state folder: SQLite in it, or the PostgreSQL database of `url` (postgres://, postgresql:// or
    postgresql+psycopg://).

    Makes the folder (mode 0700) and the file (0600), takes the lock, and brings an older schema up to date. Raises
    `StoreLocked` when another process has the folder or the PostgreSQL database, `SchemaTooNew` when a newer Tocsin
    wrote it, `StoreError` when it cannot be opened, read or written.
    """
    address = postgres_url(url) if url is not None else None
    with translated(f"the state folder {state_dir}"):
        lock = await asyncio.to_thread(_claim, state_dir)
    with ExitStack() as undo:
        undo.callback(lock.release)
        if address is None:
            with translated(f"the database {state_dir / DATABASE_NAME}"):
                database = sqlite_database(state_dir / DATABASE_NAME)
        else:
            database = postgres_database(address)
        store = await _ready(database, lock)
        undo.pop_all()
    return store


def _claim(state_dir: Path) -> FolderLock:
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return FolderLock(state_dir)


async def _ready(database: Database, lock: FolderLock) -> SqlStore:
    async with AsyncExitStack() as undo:
        undo.push_async_callback(database.close)
        await database.claim()
        await bring_up_to_date(database)
        undo.pop_all()
    return SqlStore(database, lock)
