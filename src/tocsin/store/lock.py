"""One process owns a state folder, and one a PostgreSQL database: who comes second is told who was first."""

import fcntl
import os
import socket
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tocsin.domain.errors import StoreLocked

LOCK_NAME = "tocsin.lock"
ADVISORY_KEY = 0x746F6373696E
"""The key of PostgreSQL's advisory lock: "tocsin" in ASCII."""


_TRY = text("SELECT pg_try_advisory_lock(:key)")
_GIVE_BACK = text("SELECT pg_advisory_unlock(:key)")
_PING = text("SELECT 1")


class FolderLock:
    """An flock on `tocsin.lock` in the state folder. The kernel gives it back however the process ends."""

    def __init__(self, state_dir: Path) -> None:
        """Take it; raises `StoreLocked` naming the owner and the folder, and OSError when the file cannot be opened."""
        # O_CLOEXEC: a child process that outlives this one must not keep the lock.
        self._descriptor = os.open(state_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(self._descriptor, 300, 0).decode(errors="replace").split()
            os.close(self._descriptor)
            pid, host = owner if len(owner) == 2 else ("unknown", "an unknown host")
            raise StoreLocked(
                f"the state folder {state_dir} is in use by process {pid} on {host}: stop it, or give this one "
                "another folder with TOCSIN_STATE_DIR"
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)

    def release(self) -> None:
        """Give it back; idempotent. The file stays: removing it would let two processes lock two files."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class OwningConnection:
    """The one PostgreSQL connection that writes. It holds an advisory lock, which ends with it, so with the process.

    Lock and writes share one session: whoever lost the lock has lost the connection too, and can write nothing before
    `connection` has taken both again.
    """

    def __init__(self, engine: AsyncEngine, place: str) -> None:
        self._engine = engine
        self._place = place
        self._connection: AsyncConnection | None = None

    async def connection(self) -> AsyncConnection:
        """The connection, in no transaction; taken anew when the old one does not answer.

        Raises `StoreLocked` naming the owner, or SQLAlchemyError when there is no server.
        """
        if self._connection is not None and not await _answers(self._connection):
            await self.release()
        if self._connection is None:
            self._connection = await self._take()
        return self._connection

    async def _take(self) -> AsyncConnection:
        connection = await self._engine.connect()
        async with AsyncExitStack() as undo:
            undo.push_async_callback(connection.close)
            async with connection.begin():
                taken = (await connection.execute(_TRY, {"key": ADVISORY_KEY})).scalar_one()
                owner = "" if taken else await _owner(connection)
            if not taken:
                raise StoreLocked(f"{self._place} is in use by {owner}: stop it first")
            undo.pop_all()
        return connection

    async def release(self) -> None:
        """Give both back; idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # Said, and not left to the end of the session, which the server notices only after a moment.
            with suppress(SQLAlchemyError):
                async with connection.begin():
                    await connection.execute(_GIVE_BACK, {"key": ADVISORY_KEY})
            # Closed for good, not put back into the pool: the lock belongs to the session.
            await connection.invalidate()
            await connection.close()


async def _answers(connection: AsyncConnection) -> bool:
    """Whether the server is still there; asked before each write, so that a restart costs no write."""
    try:
        async with connection.begin():
            await connection.execute(_PING)
    except SQLAlchemyError:
        return False
    return True


async def _owner(connection: AsyncConnection) -> str:
    """Who holds the lock, as its `application_name` says (set by `engine`)."""
    found = await connection.execute(
        text(
            "SELECT application_name, a.pid FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid"
            " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
            " AND l.classid = :high AND l.objid = :low"
            " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ),
        {"high": ADVISORY_KEY >> 32, "low": ADVISORY_KEY & 0xFFFFFFFF},
    )
    row = found.first()
    return "another process" if row is None else f"{row[0] or 'an unnamed client'} (server process {row[1]})"
