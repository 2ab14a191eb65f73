"""Steps that a datasource cannot take."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.monitor.scene import Scene, target
from tocsin.domain.errors import Invalid
from tocsin.sources.grafana import GrafanaLoki, GrafanaPrometheus

HALVES = {"step": timedelta(seconds=2.5), "check_interval": timedelta(seconds=10)}


async def test_a_step_of_parts_of_a_second_is_refused_where_whole_ones_are_taken():
    scene = Scene(target())
    monitor = await scene.open()
    scene.source.whole_seconds = True
    for change in (monitor.create_target, lambda one: monitor.update_target(replace(one, name="errors"), None)):
        with pytest.raises(Invalid, match=r"step: must be whole seconds for the datasource 'prom', .* not 2.5"):
            await change(replace(target(), name="x", **HALVES))
    await monitor.create_target(replace(target(), name="x", step=timedelta(seconds=2)))
    scene.source.whole_seconds = False
    await monitor.create_target(replace(target(), name="y", **HALVES))
    await monitor.close()


def test_what_is_reached_through_a_grafana_takes_whole_seconds():
    assert GrafanaPrometheus.whole_seconds
    assert GrafanaLoki.whole_seconds
