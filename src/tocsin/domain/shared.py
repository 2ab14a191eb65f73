"""What the answers to several questions need in common: the door through which a source asks for it once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tocsin.domain.frame import Frame, Window


@dataclass(frozen=True, slots=True)
class NamesKey:
    """A question for metadata: which of the labels `wanted` make the streams of a datasource within [start, end].

    What was known of other labels tells nothing of one that has just begun: others `wanted` are another question.
    """

    uid: str
    wanted: tuple[str, ...]
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class StreamsKey:
    """A question for the lines of streams, as the server answers it, with its gaps."""

    uid: str
    query: str
    window: Window


class Shared(Protocol):
    """Answers that were given a moment ago, or are on their way. Each with whether this call has asked for it."""

    async def names(self, key: NamesKey, ask: Callable[[], Awaitable[frozenset[str]]]) -> tuple[frozenset[str], bool]:
        """The answer to `key`; raises what `ask` raises."""
        ...

    async def streams(self, key: StreamsKey, ask: Callable[[], Awaitable[Frame]]) -> tuple[Frame, bool]:
        """The answer to `key`, which nobody may change; raises what `ask` raises."""
        ...


class Unshared:
    """Implements `Shared` for who asks alone: everything is asked for each time."""

    async def names(
        self,
        key: NamesKey,  # noqa: ARG002 the port's shape
        ask: Callable[[], Awaitable[frozenset[str]]],
    ) -> tuple[frozenset[str], bool]:
        """What is answered now."""
        return await ask(), True

    async def streams(
        self,
        key: StreamsKey,  # noqa: ARG002 the port's shape
        ask: Callable[[], Awaitable[Frame]],
    ) -> tuple[Frame, bool]:
        """What is answered now."""
        return await ask(), True
