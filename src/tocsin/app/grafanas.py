"""The Grafanas of the settings, and what they bring: each of their datasources as one of Tocsin's."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

import structlog

from tocsin.config.model import DatasourceConfig
from tocsin.config.secret import Secret
from tocsin.domain.errors import Invalid, SourceError, SourceFailure, StoreError
from tocsin.domain.events import MAX_TITLE, Event, EventKind
from tocsin.domain.operations import Annotation
from tocsin.domain.ports import MetricSource, SettingStore
from tocsin.domain.shared import Shared
from tocsin.monitor.monitor import Monitor
from tocsin.sources.grafana_discovery import Grafana
from tocsin.sources.grafana_settings import GrafanaSettings

log = structlog.get_logger(__name__)

_KEY = "grafana of datasource "


class Grafanas:
    """All of them. A uid is of the datasource that is declared, or of the Grafana that brought it first, also after a
    restart: until that is gone from the settings, or has told that it does not have it any more.
    """

    def __init__(
        self, monitor: Monitor, given: Sequence[DatasourceConfig], shared: Shared, settings: SettingStore
    ) -> None:
        self._monitor, self._shared, self._settings = monitor, shared, settings
        self._given: dict[str, DatasourceConfig] = {}
        self._running: dict[str, Grafana] = {}
        self._brought: dict[str, str] = {}
        """Each datasource that a Grafana brought, with the uid of that Grafana."""
        self._told: set[str] = set()
        """Those that have told in this process which datasources they have."""
        self._sorting = asyncio.Lock()
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
                self._told.discard(uid)
                if uid not in new:
                    await self._monitor.connections.pop(uid)
                await self._gone(uid, frozenset(), come_again=uid in new)
        for uid, one in new.items():
            if uid not in self._given:
                self._make(one)
                self._running[uid].start()

    def declared(self, uids: Collection[str]) -> None:
        """Datasources that the settings declare by now are no Grafana's, whoever brought them before."""
        for uid in uids:
            self._brought.pop(uid, None)

    def _make(self, given: DatasourceConfig) -> None:
        async def found(sources: Sequence[MetricSource]) -> Mapping[str, str]:
            async with self._sorting:
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

    async def _found(self, grafana: str, given: DatasourceConfig, sources: Sequence[MetricSource]) -> Mapping[str, str]:
        """Put the datasources of one Grafana in the place of those it brought before; the uids that are others', with
        whose they are. Raises `SourceError` where that is not known.
        """
        now = {source.uid: source for source in sources}
        await self._gone(grafana, now.keys())
        self._told.add(grafana)
        taken = {}
        for uid, source in now.items():
            whose = await self._whose(uid)
            if whose not in (None, grafana):
                taken[uid] = f"this uid is that of a datasource of {whose!r}"
            elif whose is None and (uid in self._given or self._monitor.source(uid) is not None):
                taken[uid] = "the settings declare another one with this uid"
            elif whose is None or self._monitor.source(uid) is not source:
                if whose is None:
                    await self._keep(uid, grafana)
                self._brought[uid] = grafana
                self._monitor.replace_source(source, given.concurrency)
        return taken

    async def _gone(self, grafana: str, now: Collection[str], *, come_again: bool = False) -> None:
        """Ask no more what a Grafana brought and does not have `now`. Where its settings have changed it may
        `come_again`, and what is told of it waits.
        """
        for uid in [uid for uid, by in self._brought.items() if by == grafana and uid not in now]:
            del self._brought[uid]
            await self._monitor.remove_source(uid, comes_again=come_again)

    async def _whose(self, uid: str) -> str | None:
        """The Grafana that a uid belongs to: that which brought it, or did so before the restart and has not told yet
        what it has now. Else another one with the same uid would be judged in its place.
        """
        if uid in self._brought:
            return self._brought[uid]
        try:
            before = await self._settings.setting(_KEY + uid)
        except StoreError as error:
            raise _unknown(error) from error
        return before if before in self._given and before not in self._told else None

    async def _keep(self, uid: str, grafana: str) -> None:
        try:
            await self._settings.save_setting(_KEY + uid, grafana)
        except StoreError as error:
            raise _unknown(error) from error


def _unknown(error: StoreError) -> SourceError:
    words = f"which Grafana a datasource belongs to is not known: {error}"
    return SourceError(words, failure=SourceFailure.SERVER_ERROR, transient=True)


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
