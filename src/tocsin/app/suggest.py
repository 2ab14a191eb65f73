"""`tocsin suggest`: from a datasource's metrics to targets that were tried, without a server."""

from collections.abc import Callable
from datetime import timedelta

from tocsin.app.build import http_settings, source_of
from tocsin.config.model import DatasourceConfig
from tocsin.domain.catalogue import Catalogue
from tocsin.domain.suggest import suggest, wanted
from tocsin.monitor.clock import SystemClock
from tocsin.monitor.gate import Gate
from tocsin.monitor.trial import Trials, tried
from tocsin.sources.prometheus_catalogue import PrometheusCatalogue

READING = 0.2
"""The share of the whole that reading the catalogue is taken for."""


async def suggestions(
    given: DatasourceConfig, past: timedelta, progress: Callable[[float], None]
) -> tuple[Catalogue, Trials]:
    """What the datasource has, and the targets it suggests, each tried over the `past`; raises `SourceError`."""
    clock = SystemClock()
    catalogue, source = PrometheusCatalogue(http_settings(given)), source_of(given)
    try:
        found = await catalogue.read(wanted, clock.now(), lambda done: progress(READING * done))
        trials = await tried(
            suggest(found),
            Gate(source, clock, given.concurrency),
            clock.now(),
            past,
            lambda done: progress(READING + (1.0 - READING) * done),
        )
    finally:
        await catalogue.close()
        await source.close()
    return found, trials
