"""What the parts of the store share."""

from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin.store.engine import Database

P = ParamSpec("P")
T = TypeVar("T")
OfPart = TypeVar("OfPart", bound="Part")


class Part:
    """One port over a database that it shares with the others."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known_series: set[str] = set()
        """Fingerprints whose labels are surely in `series_labels`: most batches then write none.

        Filled by the alert log after a commit, emptied by housekeeping while nobody writes.
        """


def reads(
    method: Callable[Concatenate[OfPart, AsyncConnection, P], Awaitable[T]],
) -> Callable[Concatenate[OfPart, P], Coroutine[Any, Any, T]]:
    """Give a method its connection, in a transaction that writes nothing: see `Database.read`."""

    @wraps(method)
    async def read(part: OfPart, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await part._database.read(lambda each: method(part, each, *args, **kwargs))  # noqa: SLF001 of this room

    return read
