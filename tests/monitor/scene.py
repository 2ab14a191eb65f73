"""A monitor over fakes in scenario time: what the tests of this folder play on."""

import asyncio
from datetime import UTC, datetime, timedelta

import numpy as np

from tocsin.domain.ports import AlertFilter, Page
from tocsin.domain.target import Target
from tocsin.monitor.clock import ManualClock
from tocsin.monitor.metrics import Metrics
from tocsin.monitor.monitor import Monitor
from tocsin.sources.fake import ScriptedSource
from tocsin.store.memory import MemoryStore

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def noise(timestamps, level=10.0, size=1.0, seed=0):
    """Gaussian noise that depends on the instant alone, so that every question gets the same answer."""
    out = np.empty(len(timestamps))
    for i, stamp in enumerate(timestamps):
        out[i] = level + size * np.random.default_rng((seed, int(stamp))).standard_normal()
    return out


def spike(begin: datetime, end: datetime, height=100.0, level=10.0, size=1.0, seed=0):
    """Noise, and `height` more within [begin, end)."""

    def curve(grid):
        inside = (grid >= begin.timestamp()) & (grid < end.timestamp())
        return noise(grid, level, size, seed) + height * inside

    return curve


class Scene:
    """A monitor with a scripted source, a store in memory and a clock that tests turn."""

    def __init__(self, *targets: Target, store: MemoryStore | None = None, start: datetime = START) -> None:
        self.clock = ManualClock(start)
        self.store = store or MemoryStore()
        self.source = ScriptedSource("prom", now=lambda: self.clock.now().timestamp())
        self.targets = targets
        self.monitor = self.build()

    def build(self) -> Monitor:
        return Monitor(store=self.store, sources=[self.source], clock=self.clock, metrics=Metrics())

    async def open(self) -> Monitor:
        have = {target.name for target in await self.store.targets()}
        for target in self.targets:
            if target.name not in have:
                await self.store.create_target(target)
        await self.monitor.open()
        return self.monitor

    async def read(self) -> None:
        """Wait until every target has read its history: threads learn from it, which the clock does not see."""
        async with asyncio.timeout(60):
            while any(view.status.reason.startswith("reading ") for view in self.monitor.views()):
                await asyncio.sleep(0.001)

    async def restart(self) -> Monitor:
        await self.monitor.close()
        self.monitor = self.build()
        await self.monitor.open()
        return self.monitor

    async def run_for(self, duration: timedelta) -> None:
        await self.clock.advance_to(self.clock.now() + duration)

    async def alerts(self, **which):
        return [record.alert for record in (await self.store.alerts(AlertFilter(**which), Page(limit=1000))).items]

    async def transitions(self):
        return [one.transition for one in await self.store.transitions_after(0, 10_000)]


def target(name="errors", **more) -> Target:
    given = {
        "query": "q",
        "datasource_uid": "prom",
        "check_interval": MINUTE,
        "step": MINUTE,
        "lookback": timedelta(hours=1),
        "keep_firing_for": timedelta(minutes=3),
        "history": timedelta(0),
        **more,
    }
    return Target(name=name, **given)
