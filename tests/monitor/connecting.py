"""A monitor over datasources that a connection brings."""

from datetime import timedelta

from tests.monitor.scene import Scene, noise
from tocsin.domain.alert import AlertKind, AlertState
from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.monitor.metrics import Metrics
from tocsin.monitor.monitor import Monitor
from tocsin.sources.fake import ScriptedConnection, ScriptedSource
from tocsin.store.memory import MemoryStore

REFUSED = SourceError("connection refused", failure=SourceFailure.UNREACHABLE, transient=True)
SECOND = timedelta(seconds=1)


class Connecting(Scene):
    """Datasources that a connection brings: `prom` and as many more as are asked for."""

    def __init__(self, *targets, more: int = 0, found: bool = True, **given) -> None:
        self.connection = ScriptedConnection("grafana")
        super().__init__(*targets, **given)
        self.others = [ScriptedSource(f"ds{n}") for n in range(more)]
        if found:
            self.find()

    def build(self):
        monitor = super().build()
        monitor.connections.put(self.connection)
        return monitor

    def find(self) -> None:
        self.connection.datasources = ("prom", *(one.uid for one in self.others))
        for source in self.others:
            source.play("q", noise)
            self.monitor.replace_source(source, 4)

    def fail(self, *, hidden: bool = False) -> None:
        self.connection.fail("HTTP 503, Grafana failed: away", hidden=hidden)
        for source in (self.source, *self.others):
            source.fail(REFUSED)

    def recover(self) -> None:
        self.connection.recover()
        for source in (self.source, *self.others):
            source.recover()

    async def firing(self):
        return [one for one in await self.alerts(states=(AlertState.FIRING,)) if one.kind is AlertKind.DATASOURCE]


class Brought(Connecting):
    """All datasources are brought, `prom` too: after a restart there is none before the connection was asked."""

    def build(self):
        monitor = Monitor(store=self.store, sources=[], clock=self.clock, metrics=Metrics())
        monitor.connections.put(self.connection)
        return monitor

    def find(self) -> None:
        super().find()
        self.monitor.replace_source(self.source, 4)


class Counting(MemoryStore):
    """Counts how often an alert about a datasource is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    async def save_evaluations(self, evaluations):
        self.written += sum(one.target_name.startswith("datasource:") for one in evaluations)
        return await super().save_evaluations(evaluations)
