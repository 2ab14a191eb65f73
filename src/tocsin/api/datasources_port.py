"""Datasources as the API asks the monitor about them."""

from collections.abc import Sequence
from typing import Protocol

from tocsin.domain.connection import Standing
from tocsin.domain.target import QueryType
from tocsin.monitor.cache import CacheStats
from tocsin.monitor.datasources import DatasourceTest


class DatasourcesPort(Protocol):
    """Nothing here is kept in the store."""

    def connections(self) -> Sequence[tuple[str, Standing]]:
        """What brings datasources, by uid, and how it is doing."""
        ...

    async def test(self, uid: str) -> DatasourceTest:
        """Ask it about itself now; raises `NotFound`, and `SourceError` where nobody can know whether there is one. One
        that does not answer is told in the result.
        """
        ...

    def language(self, uid: str) -> QueryType | None:
        """What its queries are written in; None where there is none of this uid now."""
        ...

    def cache_stats(self) -> Sequence[CacheStats]:
        """What is kept of their answers, by kind."""
        ...

    def clear_cache(self, uid: str | None) -> tuple[int, int]:
        """Forget what one has answered, or all; how many answers and bytes. Raises `NotFound`."""
        ...
