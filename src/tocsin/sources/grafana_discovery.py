"""Which datasources a Grafana has: asked when the connection is there, and again from time to time."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import structlog

from tocsin.domain.connection import Standing
from tocsin.domain.datasource import Description
from tocsin.domain.errors import LimitExceeded, SourceError, SourceFailure
from tocsin.domain.ports import MetricSource
from tocsin.domain.shared import Shared
from tocsin.domain.target import QueryType
from tocsin.sources.grafana import GrafanaLoki, GrafanaPrometheus
from tocsin.sources.grafana_deployments import Deployed, Deployments
from tocsin.sources.grafana_link import GrafanaLink, pause_s
from tocsin.sources.grafana_operations import GrafanaOperations, answered
from tocsin.sources.grafana_settings import GrafanaSettings
from tocsin.sources.grafana_wire import Listed, datasources
from tocsin.whole import to_the_end

log = structlog.get_logger(__name__)

PAGE = 100
MAX_DATASOURCES = 1000
LOOK_AGAIN_S = 300.0
FIRST_RETRY_S = 1.0

Found = Callable[[Sequence[MetricSource]], Awaitable[Mapping[str, str]]]
"""Takes all sources that there are now, in the place of those before; answers the uids that it did not take, each with
whose it is. Raises `SourceError` where that is not known.
"""


class Grafana:
    """One Grafana, implements `Connection`. `start` connects and looks for its datasources until `close`."""

    def __init__(
        self,
        settings: GrafanaSettings,
        found: Found,
        deployed: Deployed,
        *,
        look_again_s: float = LOOK_AGAIN_S,
        shared: Shared | None = None,
    ) -> None:
        self.uid = settings.uid
        self.link = GrafanaLink(settings)
        self.operations = GrafanaOperations(self.link)
        self._found, self._look_again_s, self._shared = found, look_again_s, shared
        self._deployments = Deployments(self.link, deployed)
        self._sources: dict[tuple[str, str], GrafanaPrometheus | GrafanaLoki] = {}
        self._taken: Mapping[str, str] = {}
        self._failure: str | None = "its datasources were not asked for yet"
        self._failures = 0
        self._asking = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def what(self) -> str:
        """Where it leads to, and how."""
        settings = self.link.settings
        if settings.grafana_url:
            return f"Grafana at {settings.redact(settings.grafana_url)} through mcp-grafana"
        return f"Grafana through the mcp-grafana at {settings.redact(settings.url)}"

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
            *(f"the datasource {uid!r} of this Grafana is not used: {whose}" for uid, whose in self._taken.items()),
            *self.link.complaints,
            *(self._deployments.unknown() if self.link.failure is None else ()),
        )
        uids = tuple(sorted(source.uid for source in self._sources.values() if source.uid not in self._taken))
        failure = self._failure
        if self.link.failure is not None:
            failure = f"no connection to mcp-grafana: {self.link.failure}"
        return Standing(failure, self.link.version, uids, notes, self._failures)

    async def describe(self) -> Description:
        """Ask for its datasources now, which are taken over; raises SourceError."""
        began = time.monotonic()
        try:
            # Whole, also when whoever asks is gone: half of it would be datasources that nobody has.
            await to_the_end(self._ask())
        except SourceError:
            # The loop is not to wait until the next time that it would have looked.
            self.link.changed.set()
            raise
        took_s, brings = time.monotonic() - began, ", ".join(self.standing().datasources)
        abilities = (f"brings {brings}" if brings else "brings no datasource", f"{self.link.tools} tools")
        return Description(self.link.version or "", abilities, took_s)

    async def _look(self) -> None:
        failures = 0
        while True:
            self.link.changed.clear()
            try:
                await self._ask()
            except SourceError:
                failures += 1
                wait_s = pause_s(failures, FIRST_RETRY_S, random.random())  # noqa: S311 against crowds, not a secret
            else:
                wait_s, failures = self._look_again_s, 0
            # A connection that was lost and made anew may lead to another Grafana.
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self.link.changed.wait()

    async def _ask(self) -> None:
        async with self._asking:
            try:
                await self._take(await self._list())
            except SourceError as error:
                if self._failure != str(error):
                    log.warning("the datasources of a Grafana are not known", grafana=self.uid, why=str(error))
                self._failure = str(error)
                # While the first connection is being made nothing was in vain yet.
                self._failures += self.link.tried
                raise
            self._failure, self._failures = None, 0

    async def _list(self) -> list[Listed]:
        found: list[Listed] = []
        while True:
            text = await answered(self.link, "list_datasources", {"limit": PAGE, "offset": len(found)})
            page, more = datasources(text)
            found += page
            if not found:
                # What a token without the right gets too. Taken at its word, everything would be gone and all quiet.
                raise SourceError(
                    "Grafana lists no datasource: is there one, and does the token have datasources:read?",
                    failure=SourceFailure.NOT_FOUND,
                    transient=True,
                )
            if not more or not page:
                return found
            if len(found) >= MAX_DATASOURCES:
                raise LimitExceeded(f"Grafana has more than {MAX_DATASOURCES:,} datasources, which is the limit")

    async def _take(self, listed: Sequence[Listed]) -> None:
        sources: dict[tuple[str, str], GrafanaPrometheus | GrafanaLoki] = {}
        for each in listed:
            if each.kind in _LANGUAGE:
                key = (each.uid, each.kind)
                sources[key] = self._sources.get(key) or self._made(each)
        # Each time, though nothing changed in Grafana: a uid that was taken may be free by now.
        taken = await self._found(list(sources.values()))
        for uid in taken.keys() - self._taken.keys():
            log.warning("a datasource of Grafana is not used: its uid is taken", grafana=self.uid, datasource=uid)
        self._sources, self._taken = sources, taken

    def _made(self, listed: Listed) -> GrafanaPrometheus | GrafanaLoki:
        if _LANGUAGE[listed.kind] is QueryType.LOKI:
            return GrafanaLoki(listed.uid, self.link, self._deployments, shared=self._shared)
        return GrafanaPrometheus(listed.uid, self.link, self._deployments)


_LANGUAGE = {
    "prometheus": QueryType.PROMETHEUS,
    "grafana-amazonprometheus-datasource": QueryType.PROMETHEUS,
    "grafana-azureprometheus-datasource": QueryType.PROMETHEUS,
    "loki": QueryType.LOKI,
}
"""Grafana's words for the types that are used. Others (Tempo, Alertmanager, SQL) are left alone."""
