"""After a start: active alerts come back to whom they belong."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from tocsin.domain.alert import Alert, AlertKind, AlertState, Reason
from tocsin.domain.evaluation import conclude, moved_in_shadow
from tocsin.domain.ports import AlertFilter, Page, Store
from tocsin.monitor.commit import Committer
from tocsin.monitor.telling import Telling
from tocsin.monitor.watch import Watch

MOST_RECENT = 10_000
"""How many ended alerts are looked at, the newest ones."""


REMEMBERED_FOR = timedelta(days=14)
"""How far back ended alerts are looked at, for whoever explains the next one of the same series."""


async def recall(
    store: Store,
    committer: Committer,
    now: datetime,
    watches: Mapping[str, Watch],
    tellings: Callable[[str], Telling | None],
) -> None:
    """Give each watch, datasource and connection its active alerts, and each watch the ends of recent ones, so that
    none is told twice.

    An alert that belongs to nobody any more ends as expired, with its reason. Raises `StoreError`.
    """
    for alert in await store.active_alerts():
        if not _place(alert, watches, tellings):
            # Still there means switched off: a file may do that while nothing runs.
            reason = Reason.TARGET_DISABLED if alert.target_name in watches else Reason.TARGET_DELETED
            await committer.save(conclude([alert], reason, alert.target_name, now))
    for one in watches.values():
        moved = moved_in_shadow(one.active.values(), one.target, now)
        if not moved.quiet:
            # A file may have changed it while nothing ran.
            await committer.save(moved)
            one.active.update({alert.fingerprint: alert for alert in moved.alerts})
    reach = max((watch.target.check_interval for watch in watches.values()), default=timedelta(0))
    over = AlertFilter(states=(AlertState.RESOLVED, AlertState.EXPIRED), since=now - max(2 * reach, REMEMBERED_FOR))
    for record in (await store.alerts(over, Page(limit=MOST_RECENT))).items:
        alert = record.alert
        watch = watches.get(alert.target_name)
        if watch is not None and alert.ends_at is not None:
            last = watch.last_over.get(alert.fingerprint, alert.last_anomalous_at)
            watch.last_over[alert.fingerprint] = max(last, alert.last_anomalous_at)
            watch.ended[alert.fingerprint] = max(alert.ends_at, watch.ended.get(alert.fingerprint, alert.ends_at))


def _place(alert: Alert, watches: Mapping[str, Watch], tellings: Callable[[str], Telling | None]) -> bool:
    if alert.kind is AlertKind.DATASOURCE:
        telling = tellings(alert.target_name.removeprefix("datasource:"))
        if telling is not None:
            telling.alert = alert
        return telling is not None
    watch = watches.get(alert.target_name)
    if watch is None or not watch.target.enabled:
        return False
    watch.active[alert.fingerprint] = alert
    return True
