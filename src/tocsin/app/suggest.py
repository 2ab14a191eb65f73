"""`tocsin suggest`: from what a datasource has to targets that were tried, without a server."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from tocsin.app.build import http_settings, source_of
from tocsin.config.model import LOKI, DatasourceConfig
from tocsin.domain.catalogue import Looked
from tocsin.domain.suggest import Suggestion, suggest, wanted
from tocsin.domain.suggest_logs import suggest_logs
from tocsin.monitor.clock import SystemClock
from tocsin.monitor.gate import Gate
from tocsin.monitor.trial import Trials, tried
from tocsin.sources.loki_catalogue import LokiCatalogue
from tocsin.sources.prometheus_catalogue import PrometheusCatalogue
from tocsin.sources.template_miner import missing

READING = 0.2
"""The share of the whole that reading the catalogue is taken for."""

Progress = Callable[[float], None]


async def suggestions(given: DatasourceConfig, past: timedelta, progress: Progress) -> tuple[Looked, Trials]:
    """What was looked at, and the targets it suggests, each tried over the `past`; raises `SourceError`."""
    clock, source = SystemClock(), source_of(given)
    read = _of_logs if given.kind == LOKI else _of_metrics
    try:
        looked, found = await read(given, clock.now(), lambda done: progress(READING * done))
        trials = await tried(
            found,
            Gate(source, clock, given.concurrency),
            clock.now(),
            past,
            lambda done: progress(READING + (1.0 - READING) * done),
        )
    finally:
        await source.close()
    return looked, trials


async def _of_metrics(
    given: DatasourceConfig, at: datetime, progress: Progress
) -> tuple[Looked, tuple[Suggestion, ...]]:
    catalogue = PrometheusCatalogue(http_settings(given))
    try:
        found = await catalogue.read(wanted, at, progress)
    finally:
        await catalogue.close()
    return found.looked, suggest(found)


async def _of_logs(given: DatasourceConfig, at: datetime, progress: Progress) -> tuple[Looked, tuple[Suggestion, ...]]:
    catalogue = LokiCatalogue(http_settings(given))
    try:
        found = await catalogue.read(at, progress)
    finally:
        await catalogue.close()
    plan = suggest_logs(found, missing())
    return replace(found.looked, notes=(*found.notes, *plan.notes)), plan.suggestions
