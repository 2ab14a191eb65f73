"""Datasources as the API asks the monitor about them."""

from collections.abc import Sequence
from typing import Protocol

from tocsin.monitor.cache import CacheStats
from tocsin.monitor.datasources import DatasourceTest


class DatasourcesPort(Protocol):
    """Nothing here is kept in the store."""

    async def test(self, uid: str) -> DatasourceTest:
        """Ask it about itself now; raises `NotFound`. One that does not answer is told in the result."""
        ...

    def cache_stats(self) -> Sequence[CacheStats]:
        """What is kept of their answers, by kind."""
        ...

    def clear_cache(self, uid: str | None) -> tuple[int, int]:
        """Forget what one has answered, or all; how many answers and bytes. Raises `NotFound`."""
        ...
