"""The connection to the database: how it is opened, how transactions run, how failures are told."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import URL, Table, event, make_url
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from tocsin.domain.errors import StoreError
from tocsin.store.failures import translated
from tocsin.store.lock import OwningConnection
from tocsin.whole import left_to_its_end

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import Insert as PostgresInsert

T = TypeVar("T")

DATABASE_NAME: Final = "tocsin.db"
BUSY_TIMEOUT_MS: Final = 5_000
STATEMENT_TIMEOUT_MS: Final = 30_000
CONNECT_TIMEOUT_S: Final = 5
READERS_END_WITHIN_S: Final = 1.0
CACHE_KB: Final = 256
CACHED_STATEMENTS: Final = 24
"""Prepared statements that a connection keeps, some 10 KB each: Python's default of 128 fills up over minutes."""
CONNECTIONS: Final = 5
"""Readers at once, and one writer among them; each SQLite connection is a thread."""


class Database:
    """One database and its transactions.

    Readers run side by side. Writers run one after the other, so that sequence numbers are committed in the order in
    which they are given and SQLite never waits for itself.
    """

    def __init__(self, engine: AsyncEngine, place: str) -> None:
        self.engine = engine
        self.place = place
        self._writing = asyncio.Lock()
        self._closed = False
        self._readers = 0
        self._unread = asyncio.Event()
        self._unread.set()
        self._owner = OwningConnection(engine, place) if engine.dialect.name == "postgresql" else None

    @property
    def sqlite(self) -> bool:
        """Whether it is SQLite; else it is PostgreSQL."""
        return self.engine.dialect.name == "sqlite"

    def insert(self, table: Table) -> "SqliteInsert | PostgresInsert":
        """An INSERT that knows ON CONFLICT; both dialects spell it alike."""
        if self.sqlite:
            return sqlite_insert(table)
        # Here and not above: its dialect is 4 MB that a process with SQLite does not need.
        from sqlalchemy.dialects.postgresql import insert  # noqa: PLC0415

        return insert(table)

    async def claim(self) -> None:
        """On PostgreSQL, take the advisory lock; raises `StoreLocked` or `StoreError`."""
        if self._owner is not None:
            with translated(self.place):
                await self._owner.connection()

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """The result of `work`, which writes nothing, in a transaction; failures inside become `StoreError`.

        A caller that is cancelled meanwhile leaves it to its end: a connection whose opening or statement is cut off
        would keep its thread and its descriptors.
        """
        return await left_to_its_end(self._read(work))

    async def _read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        self._check_open()
        self._readers += 1
        self._unread.clear()
        try:
            with translated(self.place):
                async with self.engine.connect() as connection:
                    return await work(connection)
        finally:
            self._readers -= 1
            if not self._readers:
                self._unread.set()

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """The result of `work`, after its transaction is committed; raises `StoreError` when it was not kept.

        A caller that is cancelled meanwhile does not tear the transaction: it ends by itself, and `close` waits for it.
        """
        return await left_to_its_end(self._write(work))

    async def _write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self._writing:
            self._check_open()
            with translated(self.place):
                async with self._writer() as connection, connection.begin():
                    return await work(connection)

    @asynccontextmanager
    async def _writer(self) -> AsyncIterator[AsyncConnection]:
        if self._owner is not None:
            yield await self._owner.connection()
        else:
            async with self.engine.connect() as connection:
                yield await connection.execution_options(tocsin_writes=True)

    async def close(self) -> None:
        """End after the write that is under way, and after readers, which get a moment; idempotent."""
        async with self._writing:
            self._closed = True
            # A connection that is still out when the pool is given up would be closed by nobody.
            with suppress(TimeoutError):
                async with asyncio.timeout(READERS_END_WITHIN_S):
                    await self._unread.wait()
            if self._owner is not None:
                await self._owner.release()
            await self.engine.dispose()

    def _check_open(self) -> None:
        # A disposed engine would connect again, but the lock is given back: another process may own the data by now.
        if self._closed:
            raise StoreError(f"{self.place} is closed", transient=False)


def sqlite_database(path: Path) -> Database:
    """The SQLite database in the file `path`, made with mode 0600 when it is not there. Raises OSError.

    SQLite gives its -wal and -shm files the mode of the database itself.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        connect_args={"cached_statements": CACHED_STATEMENTS},
        hide_parameters=True,
        pool_size=CONNECTIONS,
        max_overflow=0,
        # The one that was used last, so that those for a rush alone keep little.
        pool_use_lifo=True,
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return Database(engine, f"the database {path}")


def _prepare_sqlite(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    del record
    # The driver would begin transactions late and never for DDL: `_begin_sqlite` does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        # Before the first table, else it has no effect; lets `prune` give pages back to the disk.
        "auto_vacuum = INCREMENTAL",
        "journal_mode = WAL",
        # FULL: a commit is on the disk before it is told; with NORMAL a power cut could take back the last ones.
        "synchronous = FULL",
        "foreign_keys = ON",
        # Of each connection, beside the system's own cache of the file: SQLite's default of 2 MB fills up over hours.
        f"cache_size = -{CACHE_KB}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: one that began as a reader could not wait for its turn.
    writes = connection.get_execution_options().get("tocsin_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def postgres_url(text: str) -> URL:
    """`text` as a URL of the psycopg driver; raises `StoreError` without repeating it, since it may hold a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise StoreError("the database URL cannot be read", transient=False) from None
    if url.drivername not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise StoreError(
            f"the database URL begins with {url.drivername}://, only postgresql:// is understood", transient=False
        )
    return url.set(drivername="postgresql+psycopg")


def postgres_database(url: URL) -> Database:
    """The PostgreSQL database of a URL from `postgres_url`; connects to nothing yet."""
    ours = {
        "connect_timeout": str(CONNECT_TIMEOUT_S),
        "application_name": f"tocsin process {os.getpid()} on {socket.gethostname()}",
        "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={BUSY_TIMEOUT_MS}",
        # A server that vanished without a word is noticed after this, not after two hours.
        "tcp_user_timeout": "10000",
    }
    engine = create_async_engine(
        url,
        connect_args={name: value for name, value in ours.items() if name not in url.query},
        hide_parameters=True,
        pool_size=CONNECTIONS + 1,  # one writes and holds the lock
        max_overflow=0,
        pool_pre_ping=True,
    )
    where = url.host or url.query.get("host") or "the local socket"
    return Database(engine, f"the PostgreSQL database {url.database!r} on {where}")
