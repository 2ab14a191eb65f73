"""The slow loop: retention, the store's health, and the gauges that nobody else sets."""

from collections.abc import Callable
from datetime import timedelta

import structlog

from tocsin.domain.errors import StoreError
from tocsin.domain.ports import Clock, Retention, Store
from tocsin.monitor.commit import Committer
from tocsin.monitor.metrics import Metrics

log = structlog.get_logger(__name__)

PROBE_EVERY = timedelta(seconds=15)
PRUNE_EVERY = timedelta(minutes=10)


async def keep_house(
    store: Store,
    committer: Committer,
    clock: Clock,
    metrics: Metrics,
    retention: Retention,
    *,
    settle: Callable[[], None] = lambda: None,
) -> None:
    """Probe and prune for ever; a store that fails is said and tried again. `settle` is called each time."""
    prune_at = clock.now()
    while True:
        settle()
        try:
            health = await store.probe()
            committer.health = health
            metrics.store_ok.set(float(health.ok))
            metrics.show_alerts(await store.counts())
            if health.ok and clock.now() >= prune_at:
                prune_at = clock.now() + PRUNE_EVERY
                gone = await store.prune(retention, clock.now())
                if gone:
                    log.info("history pruned", rows=gone)
            if health.ok:
                # Last: what can never be kept must not stand in the way of the rest.
                await committer.settle()
        except StoreError as error:
            committer.failed(error)
            metrics.store_ok.set(0.0)
            log.error("store fails", error=str(error))
        await clock.sleep_until(clock.now() + PROBE_EVERY)
