"""A monitor that does what it is told: the API's port without loops, sources or detection."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from tocsin.detect import Pattern, Severity
from tocsin.domain.alert import Acknowledgement
from tocsin.domain.difference import compare
from tocsin.domain.errors import Conflict, Invalid, NotFound, TocsinError
from tocsin.domain.frame import Window
from tocsin.domain.grouping import Fired, groups_of
from tocsin.domain.incidents import reckon
from tocsin.domain.labels import Labels
from tocsin.domain.ports import Clock, Store
from tocsin.domain.target import Owner, QueryType, Target, TargetState
from tocsin.monitor.commit import Committer
from tocsin.monitor.connected import Connected
from tocsin.monitor.datasources import Datasources
from tocsin.monitor.events import Events
from tocsin.monitor.feedback import Feedback
from tocsin.monitor.gates import Gates
from tocsin.monitor.metrics import Metrics
from tocsin.monitor.proposals import Proposals
from tocsin.monitor.questions import look_up_kept
from tocsin.monitor.status import (
    BacktestResult,
    CheckResult,
    DatasourceStatus,
    FleetView,
    Health,
    MonitorStatus,
    Plot,
    PlotSeries,
    Question,
    SketchedSeries,
    SketchPlot,
    TargetStatus,
    TargetView,
)
from tocsin.sources.fake import ScriptedConnection, ScriptedSource

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CPU = Labels({"instance": "web-1"})


class FakeMonitor:
    """Targets in a dictionary; acknowledgements go to the store. `failing` is raised by whatever asks a source."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store, self.clock = store, clock
        self.failing: TocsinError | None = None
        self.running = False
        self.since: datetime | None = None
        self.targets: dict[str, Target] = {}
        self.last_backtest: tuple[Target, datetime, datetime] | None = None
        self.last_question: Question | None = None
        self.holding, self.given_up = asyncio.Event(), asyncio.Event()
        self.holding.set()
        # The real one, over no watches: what people say goes to the store.
        self.feedback = Feedback(
            store=store,
            clock=clock,
            gates=Gates([], clock, Metrics(), {}),
            watches={},
            committer=Committer(store, lambda: None),
            paused=self._paused,
        )
        self.events = Events(store=store, clock=clock, watches={}, feedback=self.feedback)
        self.asked = ScriptedSource("prometheus-uid")
        here = ScriptedSource("host", QueryType.HOST)
        logs = ScriptedSource("logs", QueryType.LOKI)
        gates = Gates([here, self.asked, logs], clock, Metrics(), {})
        self.connection = ScriptedConnection("grafana", ("prom",), notes=("a note",))
        gates.connections["grafana"] = Connected(self.connection)
        self.sources = Datasources(gates, {}, clock.now)
        self.proposals = Proposals(
            store=store,
            clock=clock,
            gates=Gates([], clock, Metrics(), {}),
            watches={},
            feedback=self.feedback,
            inquiry=self,
            update=self.update_target,
        )

    def _paused(self, name: str):
        raise NotFound(f"there is no target named {name!r}")

    def add(self, target: Target) -> None:
        self.targets[target.name] = target

    async def start(self) -> bool:
        return await self._run(running=True)

    async def stop(self) -> bool:
        return await self._run(running=False)

    async def _run(self, *, running: bool) -> bool:
        await self.store.save_setting("monitoring.running", str(running))
        changed = self.running is not running
        if changed:
            self.running, self.since = running, self.clock.now()
        return changed

    async def status(self) -> MonitorStatus:
        return MonitorStatus(
            running=self.running,
            since=self.since,
            targets_total=len(self.targets),
            targets_enabled=sum(target.enabled for target in self.targets.values()),
            targets_by_state={TargetState.WAITING: len(self.targets)},
            alerts=await self.store.counts(),
            datasources=self.datasources(),
            evaluations=7,
            failures=0,
            overruns=0,
            lag_s=0.25,
            false_alerts=FleetView(1.5, 35.0, 0.0),
            store=await self.store.probe(),
        )

    def views(self) -> Sequence[TargetView]:
        return [self.view(name) for name in sorted(self.targets)]

    def view(self, name: str) -> TargetView:
        if name not in self.targets:
            raise NotFound(f"there is no target named {name!r}")
        return TargetView(self.targets[name], TargetStatus(TargetState.WAITING, "not evaluated yet", T0))

    async def look_up(self, name: str) -> None:
        if name not in self.targets:
            await look_up_kept(self.store, name)

    async def create_target(self, target: Target) -> TargetView:
        if target.name in self.targets:
            raise Conflict(f"a target named {target.name!r} exists already")
        self._accept(target)
        self.targets[target.name] = await self.store.create_target(target)
        return self.view(target.name)

    async def update_target(self, target: Target, expected_version: int | None) -> TargetView:
        old = self.view(target.name).target
        if expected_version not in (None, old.version):
            raise Conflict("changed meanwhile")
        self._accept(target)
        self.targets[target.name] = replace(target, version=old.version + 1)
        return self.view(target.name)

    async def delete_target(self, name: str) -> None:
        del self.targets[self.view(name).target.name]

    def _accept(self, target: Target) -> None:
        types = {one.uid: one.query_type for one in self.datasources()}
        if target.datasource_uid not in types:
            raise Invalid("datasource_uid", f"there is no datasource of that uid; known: {', '.join(types)}")
        if types[target.datasource_uid] is not target.query_type:
            raise Invalid("query_type", f"the datasource answers {types[target.datasource_uid]}")

    async def check(self, name: str) -> CheckResult:
        self._ask(name)
        return CheckResult(name, T0, TargetState.READY, "fine", 1, 60, [], [], [], 0.01)

    async def plot(self, name: str, start: datetime | None, end: datetime | None, max_series: int) -> Plot:
        self._ask(name)
        window = Window(start or T0 - timedelta(minutes=2), end or T0, timedelta(minutes=1))
        times = window.grid()[:1000]
        values = np.ones(len(times))
        values[0] = np.nan
        blank = np.full(len(times), np.inf)
        one = PlotSeries(CPU, values, values, values, values, blank, (len(times) - 1,), (Severity.HIGH,))
        return Plot(name, window, times, [one], 3)

    async def patterns(self, name: str) -> tuple[Window, Sequence[tuple[Labels, tuple[Pattern, ...]]]]:
        self._ask(name)
        trend = Pattern("trend", "up", 0.0, 60.0, 5.0, 4.0, Severity.LOW, 0.99, None, 0, "rises")
        return Window(T0 - timedelta(hours=1), T0, timedelta(minutes=1)), [(CPU, (trend, trend))]

    async def backtest(
        self, target: Target, start: datetime, end: datetime, progress: Callable[[float], None], question: Question
    ) -> BacktestResult:
        self._accept(target)
        progress(0.5)
        self.last_question = question
        try:
            await self.holding.wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        if self.failing:
            raise self.failing
        self.last_backtest = (target, start, end)
        window = Window(start, end, target.step)
        result = _told(target, window, question)
        if question.against is None:
            return result
        against = replace(result, target_name=question.against.name)
        return replace(result, against=against, difference=compare(against.fired, result.fired))

    def _ask(self, name: str) -> None:
        self.view(name)
        if self.failing:
            raise self.failing

    def datasources(self) -> Sequence[DatasourceStatus]:
        return [
            DatasourceStatus("host", QueryType.HOST, Health.OK),
            DatasourceStatus("logs", QueryType.LOKI, Health.OK),
            DatasourceStatus("prometheus-uid", QueryType.PROMETHEUS, Health.FAILING, last_error="refused"),
        ]

    async def acknowledge(self, alert_or_target: str, who: str, note: str) -> Sequence[str]:
        ids = await self._meant(alert_or_target)
        await self.store.acknowledge([Acknowledgement(one, who, note, self.clock.now()) for one in ids])
        return ids

    async def unacknowledge(self, alert_or_target: str) -> Sequence[str]:
        return await self.store.unacknowledge(await self._meant(alert_or_target))

    async def _meant(self, alert_or_target: str) -> list[str]:
        if alert_or_target.startswith("alert:"):
            return [(await self.store.alert(alert_or_target)).alert.id]
        self.view(alert_or_target)
        return [one.id for one in await self.store.active_alerts() if one.target_name == alert_or_target]


def _told(target: Target, window: Window, question: Question) -> BacktestResult:
    """One alert, firing since 29 minutes ago; 60 samples."""
    since = T0 - timedelta(minutes=29)
    alert = Fired("alert:1", target.name, CPU, Severity.HIGH, since, since, since)
    two = np.array([np.nan, 1.0])
    sketched = SketchedSeries(CPU, two, two, two, two, two, 1, (alert,))
    return BacktestResult(
        target.name,
        window,
        1,
        60,
        60,
        [],
        1,
        [],
        [],
        0,
        {Severity.HIGH: 0},
        fired=[alert],
        groups=groups_of([alert], T0),
        reckoning=reckon(question.incidents, [alert], window, 1) if question.incidents else None,
        plot=SketchPlot(np.array([0.0, 60.0]), 60.0, [sketched], 1) if question.drawing else None,
    )


def file_target(name: str) -> Target:
    return Target(name, "up", "prometheus-uid", owner=Owner.FILE, created_at=T0, updated_at=T0)
