"""Targets whose query is a log query: what is asked, judged and shown of it."""

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, START, Scene, noise, spike, target
from tocsin.domain.denominator import guard_of
from tocsin.domain.errors import Invalid, StoreError
from tocsin.domain.log_signal import LogSignal, asked
from tocsin.domain.target import QueryType, TargetState
from tocsin.monitor.status import Health
from tocsin.sources.fake import ScriptedSource
from tocsin.sources.template_shelf import Shelf

WEB = '{app="web"}'
VOLUME = asked(WEB, LogSignal.VOLUME, 60)


def lines(**more):
    given = {"query": WEB, "query_type": QueryType.LOKI, "log_signal": LogSignal.VOLUME, **more}
    return target(detection_methods=("zscore",), **given)


async def test_a_level_that_surges_is_told_with_the_query_that_was_asked():
    scene = Scene(lines())
    scene.source.query_type = QueryType.LOKI
    scene.source.play(VOLUME, spike(START + 3 * MINUTE, START + 9 * MINUTE, 500.0), {"detected_level": "error"})
    await scene.open()
    await scene.run_for(6 * MINUTE)
    [alert] = await scene.alerts()
    assert dict(alert.labels) == {"detected_level": "error"}
    assert {request.query for request in scene.source.requests} == {VOLUME}
    story = await scene.store.alert(alert.id)
    assert {piece.query for piece in story.evidence} == {VOLUME}
    await scene.monitor.close()


async def test_an_error_ratio_of_few_lines_is_a_gap():
    watched = lines(log_signal=LogSignal.ERROR_RATIO)
    scene = Scene(watched)
    scene.source.query_type = QueryType.LOKI
    guard = guard_of(watched)
    scene.source.play(watched.asked, spike(START, START + 9 * MINUTE, 0.9, 0.01, 0.001))
    scene.source.play(guard.query, lambda grid: np.where(grid < START.timestamp(), 100.0, 9.0))
    await scene.open()
    await scene.run_for(6 * MINUTE)
    assert await scene.alerts() == []
    scene.source.play(guard.query, lambda grid: np.full(len(grid), 100.0))
    await scene.run_for(2 * MINUTE)
    assert len(await scene.alerts()) == 1
    await scene.monitor.close()


async def test_a_signal_of_what_is_no_log_query_is_refused():
    scene = Scene()
    scene.source.query_type = QueryType.LOKI
    monitor = await scene.open()
    for change, field in (
        ({"query": "vector(1)"}, "query"),
        ({"query_type": QueryType.PROMETHEUS}, "log_signal"),
        ({"query_type": QueryType.PROMETHEUS, "log_signal": None}, "query_type"),
    ):
        with pytest.raises(Invalid) as caught:
            await monitor.create_target(lines(**change))
        assert caught.value.field == field
    await monitor.close()


class Learnt(ScriptedSource):
    """Knows something of before, which the store has."""

    def __init__(self, inner: ScriptedSource, shelf: Shelf) -> None:
        super().__init__("prom", QueryType.LOKI)
        self._inner, self._shelf = inner, shelf

    async def query_range(self, query, window):
        await self._shelf.kept(query)
        return await self._inner.query_range(query, window)


async def test_a_store_that_cannot_be_read_is_the_targets_error_until_it_can():
    watched = lines(log_signal=LogSignal.TEMPLATES, check_interval=10 * MINUTE)
    scene = Scene(watched)
    scene.source.play(watched.asked, noise, {"template": "GET"})
    scene.monitor.replace_source(Learnt(scene.source, Shelf("prom", scene.store)), 4)
    monitor = await scene.open()
    scene.store.failing = StoreError("disk I/O error")
    await scene.run_for(MINUTE)
    status = monitor.view("errors").status
    assert status.state is TargetState.ERROR
    assert status.reason == "the templates that are known cannot be read from the store: disk I/O error"
    assert status.failures >= 5, "it tries again within ten seconds, whatever its interval"
    scene.store.failing = None
    await scene.run_for(MINUTE)
    assert monitor.view("errors").status.state is TargetState.READY
    assert {one.health for one in monitor.datasources()} == {Health.OK}
    await monitor.close()
