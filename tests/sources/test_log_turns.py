"""Reading many pages of lines: each takes a place of its own at the datasource, and others come in between."""

import asyncio

import pytest

from tests.loki import FakeLoki, serving
from tests.sources.test_log_templates import ASKED, HOUR, QUERY, ManyLines, calm, push
from tocsin.domain.frame import Window
from tocsin.monitor.clock import SystemClock
from tocsin.monitor.gate import Gate
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.log_templates import TemplateCounts
from tocsin.sources.loki import LokiSource
from tocsin.sources.template_shelf import Shelf

COUNT = 'sum(count_over_time({app="web"} [1m]))'


@pytest.mark.parametrize("places", [1, 2])
async def test_another_query_does_not_wait_for_the_last_page(places):
    fake, ended = FakeLoki(), []
    push(fake, calm(-20, 60))
    async with serving(fake) as url:
        source = LokiSource("loki", HttpSettings(url))
        gate = Gate(source, SystemClock(), places)

        async def ask(name, query, window):
            await gate.query(query, window)
            ended.append(name)

        reading = [asyncio.create_task(ask(f"templates {n}", ASKED, HOUR)) for n in range(places)]
        while not gate.in_flight:
            await asyncio.sleep(0)
        await ask("count", COUNT, HOUR)
        await asyncio.gather(*reading)
        await source.close()
    assert ended[0] == "count"


class InPlaces(ManyLines):
    """Asked inside a place only, and by one at a time."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self.places, self.asked = places, 0

    async def query_range(self, query, window):
        self._check()
        return await super().query_range(query, window)

    async def query_logs(self, query, start, end, limit):
        self._check()
        return await super().query_logs(query, start, end, limit)

    def _check(self):
        self.asked += 1
        assert self.places.locked()


async def test_each_page_takes_a_place_and_learning_takes_none():
    places = asyncio.Semaphore(1)
    source = InPlaces(places)
    counts = TemplateCounts(source, Shelf("loki", None))
    reading = asyncio.create_task(counts.frame(QUERY, Window(HOUR.start, HOUR.start, HOUR.step), places))
    free = 0
    while not reading.done():
        free += not places.locked()
        await asyncio.sleep(0.001)
    await reading
    assert source.asked == 26, "the count, 24 hours before, and the lines"
    assert free > 1, "while what was read is learnt the place is another's"


async def test_who_gives_up_gives_his_place_back():
    fake = FakeLoki()
    push(fake, calm(-20, 60))
    async with serving(fake) as url:
        source = LokiSource("loki", HttpSettings(url))
        gate = Gate(source, SystemClock(), 1)
        for _ in range(3):
            reading = asyncio.create_task(gate.query(ASKED, HOUR))
            await asyncio.sleep(0.01)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        assert gate.in_flight == 0
        async with asyncio.timeout(10):
            await gate.query(COUNT, HOUR)
        await source.close()
