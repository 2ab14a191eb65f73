"""What people say of alerts."""

from collections.abc import Mapping, Sequence

from tocsin.domain.alert import Acknowledgement
from tocsin.domain.errors import NotFound
from tocsin.domain.ports import Clock, Store
from tocsin.monitor.gates import Gates
from tocsin.monitor.watch import Watch


class People:
    """Takes it down in the store; `watches` and `gates` are the monitor's own."""

    def __init__(self, store: Store, clock: Clock, gates: Gates, watches: Mapping[str, Watch]) -> None:
        self._store, self._clock, self._gates, self._watches = store, clock, gates, watches

    async def acknowledge(self, alert_or_target: str, who: str, note: str) -> Sequence[str]:
        """Take note of an alert, or of all active alerts of a target; the ids. Raises `NotFound`, `StoreError`."""
        ids = await self._meant(alert_or_target)
        now = self._clock.now()
        await self._store.acknowledge([Acknowledgement(one, who, note, now) for one in ids])
        return ids

    async def unacknowledge(self, alert_or_target: str) -> Sequence[str]:
        """Take acknowledgements back; the ids that were acknowledged. Raises `NotFound`, `StoreError`."""
        return await self._store.unacknowledge(await self._meant(alert_or_target))

    async def _meant(self, alert_or_target: str) -> list[str]:
        if alert_or_target.startswith("alert:"):
            return [(await self._store.alert(alert_or_target)).alert.id]
        if alert_or_target.startswith("datasource:"):
            telling = self._gates.telling(alert_or_target.removeprefix("datasource:"))
            if telling is None:
                raise NotFound(f"there is no datasource behind {alert_or_target!r}")
            return [telling.alert.id] if telling.alert else []
        watch = self._watches.get(alert_or_target)
        if watch is None:
            raise NotFound(f"there is no target named {alert_or_target!r}")
        return [alert.id for alert in watch.active.values()]
