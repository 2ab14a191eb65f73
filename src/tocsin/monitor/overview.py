"""How all of it is doing, in numbers: for the status and for Tocsin's own metrics."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from tocsin.domain.ports import AlertCounts, Clock, StoreHealth
from tocsin.domain.target import TargetState
from tocsin.monitor.datasources import statuses
from tocsin.monitor.fleet import Fleet
from tocsin.monitor.gates import Gates
from tocsin.monitor.metrics import Metrics
from tocsin.monitor.status import MonitorStatus
from tocsin.monitor.watch import Watch


def lag_of(watch: Watch, now: datetime, *, running: bool) -> float | None:
    """How far a target is behind, seconds; None while it is not watched."""
    return watch.lag_s(now) if running and watch.target.enabled else None


class Overview:
    """Counts over the monitor's own `watches` and `gates`; keeps nothing but the gauges it sets."""

    def __init__(
        self, clock: Clock, metrics: Metrics, gates: Gates, watches: Mapping[str, Watch], *, fleet: Fleet
    ) -> None:
        self._clock, self._metrics, self._gates, self._watches, self._fleet = clock, metrics, gates, watches, fleet

    def status(
        self, *, running: bool, since: datetime | None, counts: AlertCounts | None, store: StoreHealth
    ) -> MonitorStatus:
        """The status; `counts` is None where the store cannot be read."""
        watches = self._watches.values()
        if counts is not None:
            self._metrics.show_alerts(counts)
        self._show(running=running)
        return MonitorStatus(
            running=running,
            since=since,
            targets_total=len(watches),
            targets_enabled=sum(watch.target.enabled for watch in watches),
            targets_by_state=dict(Counter(watch.status.state for watch in watches)),
            alerts=counts,
            datasources=statuses(self._gates, watches),
            evaluations=sum(watch.status.evaluations for watch in watches),
            failures=sum(watch.status.failures for watch in watches),
            overruns=sum(watch.status.overruns for watch in watches),
            lag_s=self._furthest_behind_s(running=running),
            false_alerts=self._fleet.view(),
            store=store,
        )

    def exposition(self, *, running: bool, store: StoreHealth) -> bytes:
        """Tocsin's own metrics in Prometheus' text format."""
        self._show(running=running)
        self._metrics.store_ok.set(float(store.ok))
        return self._metrics.exposition()

    def _furthest_behind_s(self, *, running: bool) -> float:
        now = self._clock.now()
        return max((lag_of(watch, now, running=running) or 0.0 for watch in self._watches.values()), default=0.0)

    def _show(self, *, running: bool) -> None:
        states = Counter(watch.status.state for watch in self._watches.values())
        for state in TargetState:
            self._metrics.targets.labels(state.value).set(states.get(state, 0))
        self._metrics.series.set(sum(watch.status.series for watch in self._watches.values()))
        self._metrics.lag.set(self._furthest_behind_s(running=running))
        self._metrics.running.set(float(running))
        for gate in self._gates.by_uid.values():
            self._metrics.show_circuit(gate.source.uid, gate.breaker.state)
