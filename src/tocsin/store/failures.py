"""What a database says when it cannot, in words for people. No text here ever holds a URL, a statement or a value."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tocsin.domain.errors import StoreError

_DAMAGED = (
    "is damaged ({detail}). Stop Tocsin, move the file and its -wal and -shm files aside, and restore a backup or "
    "start anew; `sqlite3 FILE .recover` saves what can be read"
)
_SQLITE = {
    sqlite3.SQLITE_FULL: ("the disk is full: nothing can be kept until there is space", True),
    sqlite3.SQLITE_READONLY: ("is read-only: nothing can be kept until Tocsin may write there", True),
    sqlite3.SQLITE_BUSY: ("is locked by another process", True),
    sqlite3.SQLITE_LOCKED: ("is locked by another process", True),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened: is the folder there, and may Tocsin write to it?", True),
    sqlite3.SQLITE_PERM: ("may not be opened by this user", True),
    sqlite3.SQLITE_IOERR: ("cannot be read or written: the disk answers with errors", True),
    sqlite3.SQLITE_CORRUPT: (_DAMAGED.format(detail="database disk image is malformed"), False),
    sqlite3.SQLITE_NOTADB: (_DAMAGED.format(detail="file is not a database"), False),
}
_POSTGRES = {
    "53100": ("the disk of the server is full: nothing can be kept until there is space", True),
    "53300": ("has no connection left for Tocsin", True),
    "25006": ("is read-only: nothing can be kept until Tocsin may write there", True),
    "28P01": ("refuses the user or the password", False),
    "28000": ("refuses the user", False),
    "3D000": ("does not exist on the server", False),
    "42501": ("refuses the user a right that Tocsin needs", False),
    "55P03": ("is locked by another connection", True),
    "57014": ("took too long to answer", True),
    "XX001": ("is damaged (data_corrupted): restore a backup", False),
    "XX002": ("is damaged (index_corrupted): REINDEX may help, else restore a backup", False),
}
_POSTGRES_CLASSES = {"08": "cannot be reached", "57": "is shutting down or starting", "53": "is short of resources"}


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn every failure of the database inside into a `StoreError` that begins with `place`, which holds no secret."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise store_error(place, error) from _Quiet.of(error)


class _Quiet(Exception):
    """The cause without its text: SQLAlchemy's and libpq's may hold a statement, its values or a connection string."""

    @classmethod
    def of(cls, error: BaseException) -> "_Quiet":
        """The type of `error`, and nothing else of it."""
        return cls(type(_original(error)).__name__)


def _original(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, StatementError) and error.orig is not None else error


def store_error(place: str, error: BaseException) -> StoreError:
    """The `StoreError` for a failure of the database at `place`."""
    original = _original(error)
    if isinstance(error, PoolTimeout):
        return StoreError(f"{place} has no free connection: too many questions at once")
    if isinstance(original, sqlite3.Error):
        return _of_sqlite(place, original)
    state: object = getattr(original, "sqlstate", None)
    if isinstance(state, str):
        return _of_postgres(place, state)
    if isinstance(error, IntegrityError):
        return StoreError(f"{place} refuses a row that contradicts another", transient=False)
    if isinstance(original, OSError) or (isinstance(error, DBAPIError) and type(original).__name__ in _LOST):
        return StoreError(f"{place} cannot be reached")
    return StoreError(f"{place} failed with {type(original).__name__}", transient=False)


_LOST = ("OperationalError", "InterfaceError", "ConnectionTimeout", "PoolTimeout")
"""What psycopg raises without an SQLSTATE when there is no server to give one."""


def _of_sqlite(place: str, error: sqlite3.Error) -> StoreError:
    # The low byte is the primary code; the rest says which read, which lock.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _SQLITE:
        text, transient = _SQLITE[code]
        return StoreError(
            f"{place} {text}" if not text.startswith("the disk") else f"{place}: {text}", transient=transient
        )
    if code == sqlite3.SQLITE_CONSTRAINT:
        return StoreError(f"{place} refuses a row that contradicts another", transient=False)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return StoreError(f"{place} failed with {name}", transient=False)


def _of_postgres(place: str, state: str) -> StoreError:
    if state in _POSTGRES:
        text, transient = _POSTGRES[state]
        return StoreError(
            f"{place} {text}" if not text.startswith("the disk") else f"{place}: {text}", transient=transient
        )
    if state[:2] in _POSTGRES_CLASSES:
        return StoreError(f"{place} {_POSTGRES_CLASSES[state[:2]]}")
    if state.startswith("23"):
        return StoreError(f"{place} refuses a row that contradicts another", transient=False)
    return StoreError(f"{place} failed with SQLSTATE {state}", transient=False)
