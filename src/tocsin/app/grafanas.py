"""The Grafanas of the settings, and what they bring: each of their datasources as one of Tocsin's."""

from collections.abc import Collection, Sequence

import structlog

from tocsin.config.model import DatasourceConfig
from tocsin.config.secret import Secret
from tocsin.domain.errors import Invalid
from tocsin.domain.events import MAX_TITLE, Event, EventKind
from tocsin.domain.operations import Annotation
from tocsin.domain.ports import MetricSource
from tocsin.domain.shared import Shared
from tocsin.monitor.monitor import Monitor
from tocsin.sources.grafana_discovery import Grafana
from tocsin.sources.grafana_settings import GrafanaSettings

log = structlog.get_logger(__name__)


class Grafanas:
    """All of them. A datasource that is declared, or that an earlier Grafana brought, keeps its uid."""

    def __init__(self, monitor: Monitor, given: Sequence[DatasourceConfig], shared: Shared) -> None:
        self._monitor, self._shared = monitor, shared
        self._given: dict[str, DatasourceConfig] = {}
        self._running: dict[str, Grafana] = {}
        self._brought: dict[str, str] = {}
        """Each datasource that a Grafana brought, with the uid of that Grafana."""
        for one in given:
            self._make(one)

    def start(self) -> None:
        """Begin to connect; returns at once, whether they answer or not."""
        for each in self._running.values():
            each.start()

    async def close(self) -> None:
        """End the connections."""
        for each in self._running.values():
            await each.close()

    async def reload(self, given: Sequence[DatasourceConfig]) -> None:
        """Take over changed settings. One that is gone or changed takes its datasources along, a new one begins."""
        new = {one.uid: one for one in given}
        for uid, before in list(self._given.items()):
            if new.get(uid) != before:
                await self._running.pop(uid).close()
                self._given.pop(uid)
                if uid not in new:
                    await self._monitor.connections.pop(uid)
                await self._found(uid, before, [], come_again=uid in new)
        for uid, one in new.items():
            if uid not in self._given:
                self._make(one)
                self._running[uid].start()

    def declared(self, uids: Collection[str]) -> None:
        """Datasources that the settings declare by now are no Grafana's, whoever brought them before."""
        for uid in uids:
            self._brought.pop(uid, None)

    def _make(self, given: DatasourceConfig) -> None:
        async def found(sources: Sequence[MetricSource]) -> Sequence[str]:
            return await self._found(given.uid, given, sources)

        async def deployed(annotations: Sequence[Annotation]) -> None:
            await self._deployed(given.uid, annotations)

        self._given[given.uid] = given
        self._running[given.uid] = Grafana(grafana_settings(given), found, deployed, shared=self._shared)
        self._monitor.connections.put(self._running[given.uid])

    async def _deployed(self, grafana: str, annotations: Sequence[Annotation]) -> None:
        """Keep deployments as events; raises `StoreError`."""
        for each in annotations:
            title = (each.text or f"annotation {each.id}")[:MAX_TITLE]
            event = Event(f"event:{grafana}:{each.id}", EventKind.DEPLOY, each.at, title, source=grafana)
            try:
                await self._monitor.events.observe(event)
            except Invalid as error:
                log.warning("a deployment is left out", grafana=grafana, annotation=each.id, why=str(error))

    async def _found(
        self, grafana: str, given: DatasourceConfig, sources: Sequence[MetricSource], *, come_again: bool = False
    ) -> Sequence[str]:
        """Put the datasources of one Grafana in the place of those it brought before; the uids that are taken. Where
        its settings have changed those that are gone may `come_again`, and what is told of them waits.
        """
        now = {source.uid: source for source in sources}
        for uid in [uid for uid, by in self._brought.items() if by == grafana and uid not in now]:
            del self._brought[uid]
            await self._monitor.remove_source(uid, comes_again=come_again)
        known = {status.uid for status in self._monitor.datasources()} | self._given.keys()
        taken = []
        for uid, source in now.items():
            mine = self._brought.get(uid) == grafana
            if uid in known and not mine:
                taken.append(uid)
            elif not mine or self._monitor.source(uid) is not source:
                self._brought[uid] = grafana
                self._monitor.replace_source(source, given.concurrency)
        return taken


def grafana_settings(given: DatasourceConfig) -> GrafanaSettings:
    """How one declared Grafana is reached; its token is revealed here and nowhere else."""
    return GrafanaSettings(
        uid=given.uid,
        grafana_url=given.grafana_url,
        url=given.url,
        token=revealed(given.token),
        command=str(given.command) if given.command else None,
        timeout_s=given.timeout_s,
        max_bytes=given.max_bytes,
        max_series=given.max_series,
        max_samples=given.max_samples,
        max_range_s=given.max_range_s,
        ca_file=str(given.ca_file) if given.ca_file else None,
        client_cert_file=str(given.cert_file) if given.cert_file else None,
        client_key_file=str(given.key_file) if given.key_file else None,
        tls_insecure=given.insecure_skip_verify,
        deploy_tags=given.deploy_tags,
    )


def revealed(secret: Secret | None) -> str | None:
    """The text of a secret."""
    return None if secret is None else secret.reveal()
