"""Which datasources a Grafana has: asked when the connection is there, and again from time to time."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from tocsin.domain.errors import LimitExceeded, SourceError
from tocsin.domain.ports import MetricSource, Standing
from tocsin.sources.grafana import GrafanaLoki, GrafanaPrometheus
from tocsin.sources.grafana_deployments import Deployed, Deployments
from tocsin.sources.grafana_link import MAX_DELAY_S, GrafanaLink
from tocsin.sources.grafana_operations import GrafanaOperations, answered
from tocsin.sources.grafana_settings import GrafanaSettings
from tocsin.sources.grafana_wire import Listed, datasources

log = structlog.get_logger(__name__)

PAGE = 100
MAX_DATASOURCES = 1000
LOOK_AGAIN_S = 300.0
FIRST_RETRY_S = 1.0

Found = Callable[[Sequence[MetricSource]], Awaitable[Sequence[str]]]
"""Takes all sources that there are now, in the place of those before; answers the uids that it did not take, because
another datasource has them.
"""


class Grafana:
    """One Grafana, implements `Connection`. `start` connects and looks for its datasources until `close`."""

    def __init__(
        self, settings: GrafanaSettings, found: Found, deployed: Deployed, *, look_again_s: float = LOOK_AGAIN_S
    ) -> None:
        self.uid = settings.uid
        self.link = GrafanaLink(settings)
        self.operations = GrafanaOperations(self.link)
        self._found, self._look_again_s = found, look_again_s
        self._deployments = Deployments(self.link, deployed)
        self._sources: dict[tuple[str, str], GrafanaPrometheus | GrafanaLoki] = {}
        self._taken: tuple[str, ...] = ()
        self._failure: str | None = "its datasources were not asked for yet"
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; returns at once, whether Grafana answers or not."""
        self.link.start()
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._look(), name=f"datasources of {self.uid}"),
                asyncio.create_task(self._deployments.run(), name=f"deployments of {self.uid}"),
            ]

    async def close(self) -> None:
        """Look no more and end the connection; idempotent."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.link.close()

    def standing(self) -> Standing:
        """How the connection is doing, and the uids of the datasources it brought."""
        notes = (
            *(f"the datasource {uid!r} of this Grafana is not used: another one has this uid" for uid in self._taken),
            *self.link.complaints,
            *(self._deployments.unknown() if self.link.failure is None else ()),
        )
        uids = tuple(sorted(source.uid for source in self._sources.values() if source.uid not in self._taken))
        failure = self._failure
        if self.link.failure is not None:
            failure = f"no connection to mcp-grafana: {self.link.failure}"
        return Standing(failure, self.link.version, uids, notes)

    async def _look(self) -> None:
        delay_s = FIRST_RETRY_S
        while True:
            self.link.changed.clear()
            try:
                listed = await self._list()
            except SourceError as error:
                if self._failure != str(error):
                    log.warning("the datasources of a Grafana are not known", grafana=self.uid, why=str(error))
                self._failure = str(error)
                wait_s = delay_s * (0.5 + random.random())  # noqa: S311 chance against crowds, not a secret
                delay_s = min(2 * delay_s, MAX_DELAY_S)
            else:
                await self._take(listed)
                self._failure = None
                wait_s, delay_s = self._look_again_s, FIRST_RETRY_S
            # A connection that was lost and made anew may lead to another Grafana.
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self.link.changed.wait()

    async def _list(self) -> list[Listed]:
        found: list[Listed] = []
        while True:
            text = await answered(self.link, "list_datasources", {"limit": PAGE, "offset": len(found)})
            page, more = datasources(text)
            found += page
            if not more or not page:
                return found
            if len(found) >= MAX_DATASOURCES:
                raise LimitExceeded(f"Grafana has more than {MAX_DATASOURCES:,} datasources, which is the limit")

    async def _take(self, listed: Sequence[Listed]) -> None:
        sources: dict[tuple[str, str], GrafanaPrometheus | GrafanaLoki] = {}
        for each in listed:
            make = _MAKE.get(each.kind)
            if make is not None:
                key = (each.uid, each.kind)
                sources[key] = self._sources.get(key) or make(each.uid, self.link, self._deployments)
        # Each time, though nothing changed in Grafana: a uid that was taken may be free by now.
        taken = tuple(await self._found(list(sources.values())))
        for uid in taken:
            if uid not in self._taken:
                log.warning("a datasource of Grafana is not used: its uid is taken", grafana=self.uid, datasource=uid)
        self._sources, self._taken = sources, taken


_MAKE: dict[str, Callable[[str, GrafanaLink, Deployments], GrafanaPrometheus | GrafanaLoki]] = {
    "prometheus": GrafanaPrometheus,
    "grafana-amazonprometheus-datasource": GrafanaPrometheus,
    "grafana-azureprometheus-datasource": GrafanaPrometheus,
    "loki": GrafanaLoki,
}
"""Grafana's words for the types that are used. Others (Tempo, Alertmanager, SQL) are left alone."""
