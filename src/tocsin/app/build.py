"""From settings to objects: datasources, store, monitor, API."""

import asyncio
import stat
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import structlog
from fastapi import FastAPI

from tocsin import __version__
from tocsin.api.factory import create_app
from tocsin.api.services import Readiness, Security, Services, Wake
from tocsin.app.grafanas import Grafanas, revealed
from tocsin.config.defaults import host_targets, prometheus_targets
from tocsin.config.model import GRAFANA, LOKI, PROMETHEUS, Config, DatasourceConfig
from tocsin.config.secret import Secret
from tocsin.domain.errors import Conflict
from tocsin.domain.ports import MetricSource, Retention, SettingStore, Store
from tocsin.domain.shared import Shared
from tocsin.domain.target import Target
from tocsin.monitor.caches import Caches
from tocsin.monitor.clock import SystemClock
from tocsin.monitor.metrics import Metrics
from tocsin.monitor.monitor import Monitor
from tocsin.sources.host import HostSettings, HostSource
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.loki import LokiSource
from tocsin.sources.parts import QueryLimits
from tocsin.sources.prometheus import PrometheusSource
from tocsin.store import open_store

log = structlog.get_logger(__name__)

HOST_CONCURRENCY = 16


@dataclass(slots=True)
class Application:
    """All parts of one process."""

    config: Config
    store: Store
    monitor: Monitor
    host: HostSource | None
    sources: dict[str, MetricSource]
    api: FastAPI
    stopping: asyncio.Event
    grafanas: Grafanas
    caches: Caches

    async def open(self) -> None:
        """Begin to sample and to monitor."""
        if self.host is not None:
            await self.host.start()
        await make_defaults(self.store, self.config)
        self.grafanas.start()
        await self.monitor.open(self.config.targets)

    async def close(self) -> None:
        """End everything in the order in which nothing is missed."""
        self.stopping.set()
        await self.monitor.close()
        await self.grafanas.close()
        for source in self.sources.values():
            await source.close()
        await self.store.close()

    async def reload(self, config: Config) -> None:
        """Take over a changed configuration: datasources and targets; the rest needs a restart and says so."""
        old = {one.uid: one for one in self.config.datasources if one.kind != GRAFANA}
        new = {one.uid: one for one in config.datasources if one.kind != GRAFANA}
        await self.grafanas.reload([one for one in config.datasources if one.kind == GRAFANA])
        for uid in old.keys() - new.keys():
            await self.monitor.remove_source(uid)
            await self.sources.pop(uid).close()
        for uid, datasource in new.items():
            if old.get(uid) != datasource:
                before = self.sources.get(uid)
                self.sources[uid] = source_of(datasource, self.store, self.caches)
                self.monitor.replace_source(self.sources[uid], datasource.concurrency)
                if before is not None:
                    await before.close()
        self.grafanas.declared(new.keys())
        first = first_prometheus(config)
        if first is not None:
            targets = prometheus_targets(first)
            await _make_once(self.store, "defaults.prometheus", targets, self.monitor.create_target)
        await self.monitor.replace_file_targets(config.targets)
        for part in ("server", "store", "host", "monitoring"):
            if getattr(config, part) != getattr(self.config, part):
                log.warning("a change of this part needs a restart", part=part)
        self.config = config


def http_settings(given: DatasourceConfig) -> HttpSettings:
    """How one declared datasource is reached; secrets are revealed here and nowhere else."""
    return HttpSettings(
        url=given.url,
        timeout_s=given.timeout_s,
        max_response_bytes=given.max_bytes,
        username=given.username,
        password=revealed(given.password),
        bearer_token=revealed(given.bearer_token),
        headers=tuple((name, value.reveal() if isinstance(value, Secret) else value) for name, value in given.headers),
        ca_file=str(given.ca_file) if given.ca_file else None,
        client_cert_file=str(given.cert_file) if given.cert_file else None,
        client_key_file=str(given.key_file) if given.key_file else None,
        tls_insecure=given.insecure_skip_verify,
    )


def source_of(given: DatasourceConfig, kept: SettingStore | None = None, shared: Shared | None = None) -> MetricSource:
    """The source of one declared datasource; what it learns outlives the process where it is `kept`, and what several
    of its questions need is asked for once where it is `shared`.
    """
    limits = QueryLimits(max_series=given.max_series, max_samples=given.max_samples, max_range_s=given.max_range_s)
    if given.kind == LOKI:
        return LokiSource(given.uid, http_settings(given), limits, kept=kept, shared=shared)
    return PrometheusSource(given.uid, http_settings(given), limits)


async def build(config: Config) -> Application:
    """All parts, nothing running yet. Raises `StoreError` when the store cannot be opened."""
    store = await open_store(config.state_dir, url=revealed(config.store.url))
    others = stat.S_IMODE(config.state_dir.stat().st_mode) & 0o077
    if others:
        folder = str(config.state_dir)
        log.warning("the state folder is open to other users; chmod 700 closes it", folder=folder, mode=f"{others:03o}")
    clock, wake, stopping = SystemClock(), Wake(), asyncio.Event()
    caches = Caches.empty(clock.now)
    sources: dict[str, MetricSource] = {
        one.uid: source_of(one, store, caches) for one in config.datasources if one.kind != GRAFANA
    }
    host = None
    if config.host.enabled:
        host = HostSource(HostSettings(state_dir=config.state_dir, period_s=config.host.period_s))
        sources[host.uid] = host
    limits = {one.uid: one.concurrency for one in config.datasources} | {"host": HOST_CONCURRENCY}
    retention = Retention(config.store.retention_days * 86400.0, config.store.max_anomalies, config.store.max_alerts)
    monitor = Monitor(
        store=store,
        sources=sources.values(),
        clock=clock,
        metrics=Metrics(),
        concurrency=limits,
        retention=retention,
        false_alerts_per_week=config.monitoring.false_alerts_per_week,
        on_commit=wake.ring,
        caches=caches,
    )
    services = Services(
        monitor=monitor,
        history=store,
        log=store,
        clock=clock,
        metrics=monitor.exposition,
        ready=lambda: ready(monitor),
        stopping=stopping,
        version=__version__,
        security=Security(token=revealed(config.server.token), allowed_hosts=allowed_hosts(config)),
        wake=wake,
    )
    grafanas = Grafanas(monitor, [one for one in config.datasources if one.kind == GRAFANA], caches, store)
    return Application(config, store, monitor, host, sources, create_app(services), stopping, grafanas, caches)


def allowed_hosts(config: Config) -> tuple[str, ...]:
    """The names a browser may call this server by: what was configured, and the address it listens on.

    Listening everywhere it cannot know its names; the token that is mandatory there stands in for the check.
    """
    server = config.server
    anywhere = server.host in ("0.0.0.0", "::", "")  # noqa: S104 a comparison, nothing is bound here
    if anywhere and not server.allowed_hosts:
        return ("*",)
    return (*server.allowed_hosts, server.host)


async def ready(monitor: Monitor) -> Readiness:
    """Ready means that what is acknowledged is kept; a datasource that is down is an alert, not unreadiness."""
    status = await monitor.status()
    if status.store.ok:
        return Readiness(ready=True)
    return Readiness(ready=False, reasons=(f"the store fails: {status.store.detail}",))


async def make_defaults(store: Store, config: Config) -> None:
    """On the first start: targets of this machine, and the mission's four for the first Prometheus datasource. Where
    that comes later, a reload makes them.
    """
    if config.host.enabled:
        await _make_once(store, "defaults.host", host_targets(), store.create_target)
    first = first_prometheus(config)
    if first is not None:
        await _make_once(store, "defaults.prometheus", prometheus_targets(first), store.create_target)


def first_prometheus(config: Config) -> str | None:
    """The uid of the first datasource that speaks PromQL itself."""
    return next((one.uid for one in config.datasources if one.kind == PROMETHEUS), None)


async def _make_once(
    store: Store, key: str, targets: Sequence[Target], create: Callable[[Target], Awaitable[object]]
) -> None:
    if await store.setting(key) is not None:
        return
    for target in targets:
        try:
            now = SystemClock().now()
            await create(replace(target, created_at=now, updated_at=now))
        except Conflict:
            log.info("a default target was not made: its name is taken", target=target.name)
    await store.save_setting(key, "made")
