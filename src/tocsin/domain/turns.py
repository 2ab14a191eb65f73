"""A question that takes many pages: each of them takes a place of its own, so that others come in between."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from tocsin.domain.frame import Frame, Window

Places = AbstractAsyncContextManager[object]
"""Entered again and again: inside there is a place at the datasource."""


@runtime_checkable
class AsksInTurns(Protocol):
    """What a `MetricSource` offers beside, where some of its questions take many pages."""

    def in_turns(self, query: str) -> bool:
        """Whether `query` is such a question."""
        ...

    async def query_in_turns(self, query: str, window: Window, places: Places) -> Frame:
        """As `query_range`, which asks the server inside `places` alone and waits for nothing else there."""
        ...
