import asyncio

from tests.api.scene import client_of
from tests.monitor.scene import Scene as Monitored
from tocsin.api import Readiness, Services, create_app
from tocsin.domain.alert import Alert
from tocsin.domain.ports import AlertFilter, Page


class Whole:
    """The API over a real monitor in scenario time."""

    def __init__(self, *targets, days=0) -> None:
        self.world = Monitored(*targets)
        self.days = days

    async def __aenter__(self):
        monitor = await self.world.open()
        services = Services(
            monitor=monitor,
            history=self.world.store,
            log=self.world.store,
            clock=self.world.clock,
            metrics=monitor.exposition,
            ready=self._ready,
            stopping=asyncio.Event(),
            version="0.0.test",
        )
        self.client = client_of(create_app(services))
        return self

    async def __aexit__(self, *_):
        await self.world.monitor.close()

    @staticmethod
    async def _ready() -> Readiness:
        return Readiness(ready=True)

    async def alerts(self) -> list[Alert]:
        listed = await self.world.store.alerts(AlertFilter(since=None), Page(1000))
        return sorted((one.alert for one in listed.items), key=lambda one: one.active_at)
