"""What the targets of one Loki ask beside their series: which labels make streams, once for all of them."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.loki import SECOND, FakeLoki, serving
from tocsin.app.build import source_of
from tocsin.config.model import LOKI, DatasourceConfig
from tocsin.domain.frame import Window
from tocsin.monitor.caches import METADATA_TTL, Caches
from tocsin.monitor.clock import ManualClock
from tocsin.monitor.gate import Gate

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NAMES, RANGE = "/loki/api/v1/labels", "/loki/api/v1/query_range"
LAST = Window(START + 9 * MINUTE, START + 10 * MINUTE, MINUTE)
SERVICES = [f"service-{number}" for number in range(10)]


def count_of(service: str, within: str = "1m", word: str = "boom") -> str:
    return f'sum by (app) (count_over_time({{app="{service}"}} |= "{word}" [{within}]))'


class Scene:
    """A Loki whose services write a line a minute, with something to find in the first minutes alone."""

    def __init__(self) -> None:
        self.loki, self.clock = FakeLoki(), ManualClock(START + 10 * MINUTE)
        self.caches = Caches.empty(self.clock.now)
        for minute in range(30):
            for service in SERVICES:
                text = "level=error boom" if minute < 3 else "level=info"
                self.loki.write(int((START + minute * MINUTE).timestamp() + 30) * SECOND, text, app=service)

    @asynccontextmanager
    async def gate(self):
        """The gate of that Loki, whose targets have seen their series before; what follows is counted from here."""
        async with serving(self.loki) as url:
            source = source_of(DatasourceConfig(uid="loki", url=url, kind=LOKI), shared=self.caches)
            gate = Gate(source, self.clock, caches=self.caches)
            for service in SERVICES:
                await gate.query(count_of(service), Window(START + MINUTE, START + 3 * MINUTE, MINUTE))
            self.caches.clear()
            self.loki.asked.clear()
            yield gate
            await source.close()

    def asked(self) -> Counter[str]:
        return Counter(path for path, _ in self.loki.asked)

    def metadata(self):
        return next(kind for kind in self.caches.stats() if kind.name == "metadata")


@pytest.fixture
def scene():
    return Scene()


async def test_ten_targets_of_one_loki_ask_once_which_labels_make_streams(scene):
    async with scene.gate() as gate:
        before = scene.metadata()
        frames = await asyncio.gather(*(gate.query(count_of(service), LAST) for service in SERVICES))
    assert [frame.values.tolist() for frame in frames] == [[[0.0, 0.0]]] * 10
    assert scene.asked() == {RANGE: 20, NAMES: 1}, "series and whether the stream lives are each target's own"
    assert sum(frame.queries for frame in frames) == 21, "who has asked pays for it"
    now = scene.metadata()
    assert now.missed - before.missed == 1
    assert now.hits + now.joined - before.hits - before.joined == 9


async def test_it_is_asked_for_again_after_its_time_and_when_it_was_cleared(scene):
    async with scene.gate() as gate:
        for later, times in ((timedelta(0), 1), (METADATA_TTL / 2, 1), (METADATA_TTL, 2)):
            scene.clock.jump_to(START + 10 * MINUTE + later)
            await gate.query(count_of(SERVICES[0], word=f"boom{later}"), LAST)
            await gate.query(count_of(SERVICES[0]), Window(LAST.start, LAST.end, MINUTE / 4))
            assert scene.asked()[NAMES] == times
        assert scene.metadata().entries == 1
        assert scene.caches.clear("another") == (0, 0)
        entries, _ = scene.caches.clear("loki")
        assert entries > 1
        assert scene.metadata().entries == 0
        await gate.query(count_of(SERVICES[0]), LAST)
        assert scene.asked()[NAMES] == 3


async def test_a_label_that_nobody_looked_for_is_asked_for_at_once(scene):
    """What was known of one label says nothing of another, which may have begun to make streams since."""
    now = Window(START + 27 * MINUTE, START + 27 * MINUTE, MINUTE)
    both = 'sum by (app, zone) (count_over_time({app="late"} |= "boom" [1m]))'
    async with scene.gate() as gate:
        await gate.query(count_of(SERVICES[0]), now)
        for minute, zone in ((8, "a"), (26, "b")):
            at = int((START + minute * MINUTE).timestamp() + 30) * SECOND
            scene.loki.write(at, "level=error boom", app="late", zone=zone)
        await gate.query(both, LAST)
        frame = await gate.query(both, now)
    # The zone "a" is silent for longer than a stream is taken to live, which the other zone says nothing of.
    assert [labels["zone"] for labels in frame.labels] == ["b"]


async def test_whether_a_stream_lives_is_asked_for_each_window_and_once_for_the_same(scene):
    async with scene.gate() as gate:
        queries = [count_of(SERVICES[0], word=word) for word in ("boom", "bang", "crash")]
        for query in queries:
            await gate.query(query, Window(START + MINUTE, START + 3 * MINUTE, MINUTE))
        scene.loki.asked.clear()
        one = [await gate.query(f'sum(count_over_time({{app="service-1"}} |= "{n}" [1m]))', LAST) for n in "ab"]
        assert scene.asked() == {RANGE: 3}, "two counts, and the lines of the one stream"
        assert [frame.queries for frame in one] == [2, 1]
        assert [frame.values.tolist() for frame in one] == [[[0.0, 0.0]]] * 2
        # Nothing of a window is known by that of a minute ago.
        later = Window(LAST.start + MINUTE, LAST.end + MINUTE, MINUTE)
        await gate.query('sum(count_over_time({app="service-1"} |= "a" [1m]))', later)
        assert scene.asked() == {RANGE: 5}


async def test_an_answer_about_streams_is_never_taken_for_that_of_a_target(scene):
    """The lines of a stream come with their gaps; a target that counts the same lines gets its zeros."""
    async with scene.gate() as gate:
        silent = Window(START + 31 * MINUTE, START + 60 * MINUTE, MINUTE)
        await gate.query('sum(count_over_time({app="service-1"} |= "x" [1m]))', silent)
        [beside] = [asked["query"] for _, asked in scene.loki.asked if "|=" not in asked["query"]]
        [row] = (await gate.query(beside, silent)).values
    # The last line is in its sixteen minutes until the forty-fifth; then its own zeros begin.
    assert row[14:].tolist() == [1.0, *[0.0] * 15]
