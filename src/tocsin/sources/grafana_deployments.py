"""Deployments that are noted in a Grafana: read again and again, each handed over once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from tocsin.domain.errors import TocsinError
from tocsin.domain.operations import Annotation
from tocsin.sources.grafana_link import GrafanaLink
from tocsin.sources.grafana_operations import GrafanaOperations

log = structlog.get_logger(__name__)

EVERY_S = 20.0
FIRST = timedelta(days=1)
"""How far back the first reading goes."""

AGAIN = timedelta(hours=1)
"""So much is read anew each time: annotations are made late, and changed."""

Deployed = Callable[[Sequence[Annotation]], Awaitable[None]]
"""Takes deployments that are new or changed; may raise a TocsinError, then they come again."""


class Deployments:
    """Hands the annotations with one of the tags to `deployed`; while they cannot be read, says so."""

    def __init__(
        self, link: GrafanaLink, deployed: Deployed, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._operations, self._tags = GrafanaOperations(link), link.settings.deploy_tags
        self._deployed, self._now = deployed, now
        self._since: datetime | None = None
        self._known: dict[int, Annotation] = {}
        self.failure: str | None = "they were not asked for yet"
        """Why they are not known, None while they are."""

    async def run(self) -> None:
        """Read for ever."""
        while True:
            try:
                await self.read()
            except TocsinError as error:
                if self.failure != str(error):
                    log.warning("deployments are not read from Grafana", why=str(error))
                self.failure = str(error)
            await asyncio.sleep(EVERY_S)

    async def read(self) -> None:
        """Read once; raises SourceError, and what `deployed` does."""
        now = self._now()
        found = await self._operations.annotations(self._since or now - FIRST, now + AGAIN, self._tags)
        fresh = [each for each in found if self._known.get(each.id) != each]
        if fresh:
            await self._deployed(fresh)
        self._known = {each.id: each for each in found}
        self._since, self.failure = now - AGAIN, None

    def unknown(self) -> tuple[str, ...]:
        """A line of evidence while deployments cannot be read: that none is told does not mean that there was none."""
        return () if self.failure is None else (f"what was deployed is not known from Grafana: {self.failure}",)
