"""The monitor as the API sees it: targets, start and stop, acknowledgements, status."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime

import structlog

from tocsin.domain.alert import Reason
from tocsin.domain.errors import Conflict, Invalid, StoreError
from tocsin.domain.evaluation import moved_in_shadow
from tocsin.domain.ports import Clock, MetricSource, Retention, Store
from tocsin.domain.target import Owner, Target
from tocsin.monitor.caches import Caches
from tocsin.monitor.commit import Committer
from tocsin.monitor.connections import Connections
from tocsin.monitor.datasources import Datasources
from tocsin.monitor.evaluate import Evaluator
from tocsin.monitor.events import Events
from tocsin.monitor.feedback import Feedback
from tocsin.monitor.fleet import DEFAULT_TOLERATED, Fleet
from tocsin.monitor.gates import Gates, fits
from tocsin.monitor.housekeeping import keep_house
from tocsin.monitor.inquiry import Inquiry
from tocsin.monitor.metrics import Metrics
from tocsin.monitor.overview import Overview, lag_of
from tocsin.monitor.people import People
from tocsin.monitor.proposals import Proposals
from tocsin.monitor.questions import Questions
from tocsin.monitor.recall import recall
from tocsin.monitor.scheduler import Scheduler
from tocsin.monitor.status import (
    DatasourceStatus,
    MonitorStatus,
    TargetView,
)
from tocsin.monitor.watch import Watch, not_evaluated
from tocsin.whole import whole

log = structlog.get_logger(__name__)

RUNNING = "monitoring.running"
MAX_TARGETS = 5000
SAME_SERIES = ("query", "datasource_uid", "query_type", "log_signal")
SAME_MEMORY = (
    *(*SAME_SERIES, "step", "lookback", "detection_methods", "offset", "history", "timezone"),
    *("denominator", "min_denominator"),
)


class Monitor(Questions):
    """Watches targets over the sources it was given; whatever it answers as done has been kept by the store."""

    def __init__(
        self,
        *,
        store: Store,
        sources: Iterable[MetricSource],
        clock: Clock,
        metrics: Metrics,
        concurrency: Mapping[str, int] | None = None,
        retention: Retention | None = None,
        false_alerts_per_week: float = DEFAULT_TOLERATED,
        on_commit: Callable[[], None] = lambda: None,
        caches: Caches | None = None,
    ) -> None:
        self._store, self._clock, self.metrics = store, clock, metrics
        self._retention = retention or Retention()
        limits = concurrency or {}
        self._gates = Gates(sources, clock, metrics, limits, caches=caches)
        self._committer = Committer(store, on_commit)
        self._watches: dict[str, Watch] = {}
        self.connections = Connections(clock, self._committer, self._gates, self._watches)
        self._evaluator = Evaluator(clock, self._committer, metrics, self.connections.excuse)
        self._scheduler = Scheduler(clock, metrics, self._evaluate)
        self.feedback = Feedback(
            store=store,
            clock=clock,
            gates=self._gates,
            watches=self._watches,
            committer=self._committer,
            paused=self._paused,
        )
        self.events = Events(store=store, clock=clock, watches=self._watches, feedback=self.feedback)
        self._fleet = Fleet(false_alerts_per_week)
        self._inquiry = Inquiry(clock, self._evaluator, self.feedback.marked, self._fleet)
        self.proposals = Proposals(
            store=store,
            clock=clock,
            gates=self._gates,
            watches=self._watches,
            feedback=self.feedback,
            inquiry=self._inquiry,
            update=self.update_target,
        )
        self._people = People(store, clock, self._gates, self._watches)
        self.sources = Datasources(self._gates, self._watches, clock.now)
        self._overview = Overview(clock, metrics, self._gates, self._watches, fleet=self._fleet)
        self._shadowed: dict[str, Target] = {}
        self._editing = asyncio.Lock()
        self._house: asyncio.Task[None] | None = None
        self._running = False
        self._since: datetime | None = None

    # life

    async def open(self, file_targets: Sequence[Target] = ()) -> None:
        """Load targets and active alerts, and go on as it was left: running, unless a person stopped it."""
        saved = {target.name: target for target in await self._store.targets()}
        for target in file_targets:
            if target.name in saved:
                self._shadowed[target.name] = saved[target.name]
                log.warning("target of the file takes the place of a saved one", target=target.name)
            saved[target.name] = target
        await self.feedback.open()
        await self.events.open()
        for target in saved.values():
            self._watches[target.name] = self._fresh(target)
        await recall(self._store, self._committer, self._clock.now(), self._watches, self._gates.recalled)
        for uid in list(self._gates.awaited):
            await self._unasked(uid, Reason.TARGET_DELETED)
        self._house = asyncio.create_task(
            keep_house(
                self._store,
                self._committer,
                self._clock,
                self.metrics,
                self._retention,
                settle=lambda: self._fleet.settle(self._watches.values()),
            ),
            name="housekeeping",
        )
        if await self._store.setting(RUNNING) != "no":
            self._begin()

    async def close(self) -> None:
        """End all loops; what they were doing is not kept half."""
        self._inquiry.close()
        async with self._editing:
            self._running = False
            await self._end()
        if self._house is not None:
            self._house.cancel()
            with suppress(asyncio.CancelledError):
                await self._house
            self._house = None

    @whole
    async def start(self) -> bool:
        """Monitor from now on and after every restart; False when it does already."""
        async with self._editing:
            if self._running:
                return False
            await self._store.save_setting(RUNNING, "yes")
            self._begin()
            return True

    @whole
    async def stop(self) -> bool:
        """Monitor no more, not after a restart either, until `start`; False when it does not already."""
        async with self._editing:
            if not self._running:
                return False
            await self._store.save_setting(RUNNING, "no")
            self._running, self._since = False, None
            await self._end()
            return True

    @property
    def running(self) -> bool:
        """Whether monitoring runs."""
        return self._running

    @property
    def since(self) -> datetime | None:
        """Since when it runs."""
        return self._since

    # targets

    def views(self) -> Sequence[TargetView]:
        """All targets with their states, by name."""
        return [self.view(name) for name in sorted(self._watches)]

    def view(self, name: str) -> TargetView:
        """One target; raises `NotFound`."""
        watch = self._watch(name)
        lag_s = lag_of(watch, self._clock.now(), running=self._running)
        return TargetView(watch.target, replace(watch.status, lag_s=lag_s, dial=self._fleet.dial_of(watch)))

    @whole
    async def create_target(self, target: Target) -> TargetView:
        """Keep and watch a new target; raises `Invalid`, `Conflict`, `StoreError`."""
        async with self._editing:
            self._gates.accept(target)
            if target.name in self._watches:
                raise Conflict(f"a target named {target.name!r} exists already")
            if len(self._watches) >= MAX_TARGETS:
                raise Conflict(f"there are {MAX_TARGETS} targets already, which is the limit")
            saved = await self._store.create_target(self._stamped(target, created=True))
            self._watches[saved.name] = self._fresh(saved)
            self._schedule(saved.name)
            return self.view(saved.name)

    @whole
    async def update_target(self, target: Target, expected_version: int | None) -> TargetView:
        """Keep and use a changed target; raises `Invalid`, `NotFound`, `Conflict`, `StoreError`."""
        async with self._editing:
            old = self._watch(target.name).target
            self._owned_by_api(old)
            if expected_version is not None and expected_version != old.version:
                raise Conflict(f"target {old.name!r} is at version {old.version}, not {expected_version}")
            self._gates.accept(target)
            changed = replace(target, created_at=old.created_at, owner=old.owner, version=old.version)
            if replace(changed, updated_at=old.updated_at) == old:
                return self.view(old.name)
            saved = await self._store.update_target(self._stamped(changed, created=False), old.version)
            await self._replace(saved)
            return self.view(saved.name)

    @whole
    async def delete_target(self, name: str) -> None:
        """Forget a target; its history stays, its active alerts end as expired."""
        async with self._editing:
            watch = self._watch(name)
            self._owned_by_api(watch.target)
            await self.feedback.target_gone(name)
            await self.proposals.target_gone(name)
            await self._store.delete_target(name)
            await self._scheduler.end(name)
            await self._conclude(watch, Reason.TARGET_DELETED)
            del self._watches[name]
            await self._unasked(watch.target.datasource_uid, Reason.TARGET_DELETED)

    @whole
    async def replace_file_targets(self, targets: Sequence[Target]) -> None:
        """Take over a reloaded file: its targets come, change and go."""
        async with self._editing:
            new = {target.name: target for target in targets}
            for name, watch in list(self._watches.items()):
                if watch.target.owner is Owner.FILE and name not in new:
                    await self._scheduler.end(name)
                    await self._conclude(watch, Reason.TARGET_DELETED)
                    del self._watches[name]
                    if name in self._shadowed:
                        self._watches[name] = self._fresh(self._shadowed.pop(name))
                        self._schedule(name)
                    await self._unasked(watch.target.datasource_uid, Reason.TARGET_DELETED)
            for name, target in new.items():
                if name not in self._watches:
                    self._watches[name] = self._fresh(target)
                    self._schedule(name)
                elif self._watches[name].target != target:
                    if self._watches[name].target.owner is Owner.API:
                        self._shadowed[name] = self._watches[name].target
                    await self._replace(target)

    # datasources and status

    def replace_source(self, source: MetricSource, concurrency: int) -> None:
        """Ask `source` from the next evaluation on, in the place of the one with the same uid, if any."""
        self._gates.put(source, concurrency)

    def source(self, uid: str) -> MetricSource | None:
        """The datasource of this uid, None when there is none."""
        gate = self._gates.find(uid)
        return None if gate is None else gate.source

    async def remove_source(self, uid: str, *, comes_again: bool = False) -> None:
        """Ask a datasource no more; its targets say so, the alert about it ends, or waits where it may come again."""
        telling = self._gates.pop(uid, comes_again=comes_again)
        if telling is not None and not comes_again:
            await telling.forget(self._committer, self._clock, Reason.TARGET_DELETED)

    def datasources(self) -> Sequence[DatasourceStatus]:
        """All datasources, by uid."""
        return self.sources.status()

    async def status(self) -> MonitorStatus:
        """How all of it is doing. Where the store cannot be read the counts of alerts are None, not zero."""
        try:
            counts = await self._store.counts()
        except StoreError as error:
            self._committer.failed(error)
            counts = None
        return self._overview.status(
            since=self._since, running=self._running, counts=counts, store=self._committer.health
        )

    def exposition(self) -> bytes:
        """Tocsin's own metrics in Prometheus' text format."""
        return self._overview.exposition(running=self._running, store=self._committer.health)

    # acknowledgements

    async def acknowledge(self, alert_or_target: str, who: str, note: str) -> Sequence[str]:
        """Take note of an alert, or of all active alerts of a target; the ids. Raises `NotFound`, `StoreError`."""
        return await self._people.acknowledge(alert_or_target, who, note)

    async def unacknowledge(self, alert_or_target: str) -> Sequence[str]:
        """Take acknowledgements back; the ids that were acknowledged. Raises `NotFound`, `StoreError`."""
        return await self._people.unacknowledge(alert_or_target)

    # inside

    async def _evaluate(self, watch: Watch) -> bool:
        gate = self._gates.find(watch.target.datasource_uid)
        if gate is None:
            # A saved target outlives the flag or file entry that named its datasource; one of a Grafana may come yet.
            watch.fail(self._gates.unknown(watch.target.datasource_uid), self._clock.now())
            return not self._gates.connections
        # A target of the settings file may be known before its datasource is found, which may be replaced too.
        if watch.cursor is None or gate.source.query_type is not watch.target.query_type:
            try:
                fits(gate, watch.target)
            except Invalid as error:
                watch.fail(str(error), self._clock.now())
                return True
        return await self._evaluator.evaluate(watch, gate, self._clock.now())

    def _begin(self) -> None:
        self._running, self._since = True, self._clock.now()
        self.connections.begin()
        for name in self._watches:
            self._schedule(name)

    async def _end(self) -> None:
        await self.connections.end()
        await self._scheduler.end_all()

    def _schedule(self, name: str) -> None:
        watch = self._watches[name]
        if self._running and watch.target.enabled:
            self._scheduler.begin(watch)

    def _fresh(self, target: Target) -> Watch:
        return Watch(target, not_evaluated(target, self._clock.now()), marked=self.feedback.marked(target.name))

    async def _replace(self, target: Target) -> None:
        """Put a changed target in the place of the old one; the memory goes on where the change lets it."""
        old = self._watches[target.name]
        await self._scheduler.end(target.name)
        watch = self._fresh(target)
        same = all(getattr(old.target, name) == getattr(target, name) for name in SAME_SERIES)
        reason = Reason.TARGET_CHANGED if target.enabled else Reason.TARGET_DISABLED
        if not same or not target.enabled:
            await self._conclude(old, reason)
        await self._committer.save_or_owe(moved_in_shadow(old.active.values(), target, self._clock.now()))
        watch.active = {key: replace(alert, shadow=target.shadow) for key, alert in old.active.items()}
        watch.last_over, watch.episodes = (old.last_over, old.episodes) if same else ({}, {})
        if all(getattr(old.target, name) == getattr(target, name) for name in SAME_MEMORY) and target.enabled:
            # What is possible may be another now: a bound is believed again until a sample lies beyond it.
            watch.memory, watch.cursor = replace(old.memory, refuted=(False, False)), old.cursor
            watch.backlog, watch.left_out = old.backlog, old.left_out
            if old.target.enabled:
                watch.status = replace(old.status)
        self._watches[target.name] = watch
        self._schedule(target.name)
        await self._unasked(old.target.datasource_uid, reason)

    @asynccontextmanager
    async def _paused(self, name: str) -> AsyncIterator[Watch]:
        """A watch that is neither edited nor evaluated meanwhile; raises `NotFound`."""
        async with self._editing:
            watch = self._watch(name)
            await self._scheduler.end(name)
            try:
                yield watch
            finally:
                self._schedule(name)

    async def _conclude(self, watch: Watch, reason: Reason) -> None:
        await self._committer.end(watch.active.values(), reason, watch.target.name, self._clock.now())
        watch.active = {}

    async def _unasked(self, uid: str, reason: Reason) -> None:
        """End the alert about a datasource that no target asks any more: nobody would see it answer again."""
        targets = (watch.target for watch in self._watches.values())
        telling = self._gates.of_datasource(uid)
        if telling is not None and not any(one.enabled and one.datasource_uid == uid for one in targets):
            await telling.forget(self._committer, self._clock, reason)

    @staticmethod
    def _owned_by_api(target: Target) -> None:
        if target.owner is Owner.FILE:
            raise Conflict(f"target {target.name!r} belongs to the configuration file: change it there")

    def _stamped(self, target: Target, *, created: bool) -> Target:
        now = self._clock.now()
        return replace(target, updated_at=now, created_at=now if created else target.created_at)
