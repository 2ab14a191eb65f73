"""Deployments: seen beside alerts, and what they do to thresholds where a target says so."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, START, Scene, noise, target
from tocsin.domain.errors import Invalid, NotFound, StoreError
from tocsin.domain.events import SAME_WITHIN, AfterDeploy, Event, EventKind
from tocsin.domain.labels import Labels
from tocsin.monitor.deploys import factors
from tocsin.sources.grafana_deployments import AGAIN, FIRST
from tocsin.store import MemoryStore, open_store

AT = START + 20 * MINUTE
DEPLOY = Event("event:1", EventKind.DEPLOY, AT, "checkout 1.42")


def jolt(size, lasts=2 * MINUTE):
    """Noise of size one, and a jolt of so many of it that begins a minute after the deployment."""
    begin = (AT + MINUTE).timestamp()

    def curve(grid):
        return noise(grid) + size * ((grid >= begin) & (grid < begin + lasts.total_seconds()))

    return curve


async def alerts_of(size, lasts=2 * MINUTE, deploy=DEPLOY, **fields):
    watched = target(detection_methods=("zscore",), sigma_threshold=5.0, min_effect_ratio=0.0, **fields)
    scene = Scene(watched)
    scene.source.play("q", jolt(size, lasts), {"instance": "a"})
    monitor = await scene.open()
    if deploy is not None:
        await monitor.events.add(deploy)
    await scene.run_for(timedelta(hours=1))
    alerts = await scene.alerts()
    past = await monitor.backtest(watched, START, START + timedelta(hours=1))
    told = [(one.active_at, one.sigma) for one in past.alerts]
    story = await scene.store.alert(alerts[0].id) if alerts else None
    await monitor.close()
    return alerts, told, story


async def test_an_alert_tells_the_deployment_before_it_and_nothing_else_changes():
    alerts, _, story = await alerts_of(12.0)
    (one,) = alerts
    assert one.active_at == AT + MINUTE
    assert "deploy 1 min 0 s before, at 12:20:00 UTC: checkout 1.42" in story.evidence[0].context


@pytest.mark.parametrize(
    ("mode", "size", "comes"),
    [
        (AfterDeploy.NOTHING, 4.5, True),
        (AfterDeploy.WIDEN, 4.5, False),
        (AfterDeploy.WIDEN, 30.0, True),
        (AfterDeploy.HOLD, 30.0, False),
        (AfterDeploy.NOTHING, 2.4, False),
        (AfterDeploy.TIGHTEN, 2.4, True),
    ],
)
async def test_thresholds_after_a_deployment_in_monitoring_and_back_test(mode, size, comes):
    alerts, told, _ = await alerts_of(size, after_deploy=mode)
    assert bool(alerts) is comes
    assert told == [(one.active_at, one.sigma) for one in alerts]


@pytest.mark.parametrize(
    ("mode", "size", "words"),
    [
        (AfterDeploy.NOTHING, 4.5, "where 5 are needed"),
        (AfterDeploy.WIDEN, 30.0, "where 7.5 are needed"),
        (AfterDeploy.TIGHTEN, 2.4, "where 3.33 are needed"),
    ],
)
async def test_an_alert_says_how_many_sigma_it_took_after_a_deployment(mode, size, words):
    (one,), _, _ = await alerts_of(size, after_deploy=mode)
    assert words in one.explanation


async def test_what_is_still_wrong_after_the_hold_alerts_then():
    alerts, told, _ = await alerts_of(30.0, lasts=timedelta(minutes=30), after_deploy=AfterDeploy.HOLD)
    (one,) = alerts
    assert one.active_at == AT + 15 * MINUTE
    assert [at for at, _ in told] == [one.active_at]


@pytest.mark.parametrize(
    "deploy",
    [
        replace(DEPLOY, labels=Labels({"instance": "b"})),
        replace(DEPLOY, kind=EventKind.NOTE),
        replace(DEPLOY, at=AT - 15 * MINUTE),
        replace(DEPLOY, at=AT + 2 * MINUTE),
    ],
)
async def test_other_series_notes_and_other_times_hold_nothing_back(deploy):
    alerts, _, _ = await alerts_of(30.0, deploy=deploy, after_deploy=AfterDeploy.HOLD)
    assert [one.active_at for one in alerts] == [AT + MINUTE]


async def test_events_are_refused_kept_replaced_and_there_after_a_restart():
    scene = Scene(target())
    monitor = await scene.open()
    with pytest.raises(Invalid, match="target: there is no target named 'none'"):
        await monitor.events.add(replace(DEPLOY, target_name="none"))
    with pytest.raises(Invalid, match="title"):
        await monitor.events.add(replace(DEPLOY, title=""))
    scene.store.failing = StoreError("disk full")
    with pytest.raises(StoreError):
        await monitor.events.add(DEPLOY)
    scene.store.failing = None
    assert list(monitor.events.between()) == [], "what was not kept is not there"
    await monitor.events.add(DEPLOY)
    await monitor.events.add(replace(DEPLOY, id="event:2", at=AT + MINUTE, target_name="errors"))
    moved = replace(DEPLOY, at=AT + 2 * MINUTE)
    await monitor.events.add(moved)
    await monitor.close()
    again = scene.build()
    await again.open()
    assert [one.id for one in again.events.between()] == ["event:1", "event:2"]
    assert [one.id for one in again.events.between(target_name="other")] == ["event:1"]
    assert [one.id for one in again.events.between(AT, AT + MINUTE)] == ["event:2"]
    await again.events.remove("event:1")
    with pytest.raises(NotFound):
        await again.events.remove("event:1")
    assert [one.id for one in again._watches["errors"].marked.events] == ["event:2"]
    await again.close()


def test_the_nearest_factor_is_that_of_the_series_and_time():
    watched = target(after_deploy=AfterDeploy.TIGHTEN, deploy_factor=2.0, deploy_for=2 * MINUTE)
    times = AT.timestamp() + 60.0 * np.arange(-1, 4)
    labels = (Labels({"instance": "a"}), Labels({"instance": "b"}))
    some = replace(DEPLOY, labels=labels[1])
    assert factors(watched, (some,), labels, times).tolist() == [[1.0] * 5, [1.0, 0.5, 0.5, 1.0, 1.0]]
    assert factors(watched, (replace(some, target_name="other"),), labels, times) is None
    assert factors(target(), (some,), labels, times) is None
    assert factors(watched, (), labels, times) is None


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path):
    made = MemoryStore() if request.param == "memory" else await open_store(tmp_path / "state")
    yield made
    await made.close()


async def test_an_event_of_a_datasource_that_was_deleted_stays_away_also_after_a_restart(store):
    scene = Scene(target(), store=store)
    monitor = await scene.open()
    told = replace(DEPLOY, id="event:grafana:1", source="grafana")
    await monitor.events.observe(told)
    await monitor.events.observe(replace(told, id="event:grafana:2"))
    await monitor.events.add(DEPLOY)
    for gone in (told, DEPLOY):
        await monitor.events.remove(gone.id)
    again = await scene.restart()
    await again.events.observe(replace(told, title="changed since"))
    await again.events.observe(replace(told, id="event:grafana:2"))
    await again.events.add(DEPLOY)
    kept = [one.id for one in again.events.between()]
    assert kept == ["event:1", "event:grafana:2"], "what people say comes back when they say it again"
    await again.events.observe(replace(told, at=AT - timedelta(days=3)))
    assert len(again.events.between()) == 3, "another Grafana may count from one anew"
    await again.close()


async def test_deleted_events_that_are_remembered_are_bounded(monkeypatch):
    monkeypatch.setattr("tocsin.monitor.events.MAX_FORGOTTEN", 2)
    monitor = await Scene(target()).open()
    every = [replace(DEPLOY, id=f"event:grafana:{n}", source="grafana") for n in range(3)]
    for one in every:
        await monitor.events.observe(one)
        await monitor.events.remove(one.id)
    for one in every:
        await monitor.events.observe(one)
    assert [one.id for one in monitor.events.between()] == ["event:grafana:0"]
    await monitor.close()


def test_what_is_remembered_reaches_further_than_a_grafana_is_read_back():
    assert FIRST + AGAIN < SAME_WITHIN


async def test_events_of_a_target_that_is_none_are_not_those_of_all():
    monitor = await Scene(target()).open()
    await monitor.events.add(DEPLOY)
    with pytest.raises(NotFound, match="there is no target named 'none', and no event of one"):
        monitor.events.listed(None, None, "none")
    named = replace(DEPLOY, id="event:2", target_name="errors")
    await monitor.events.add(named)
    assert [one.id for one in monitor.events.listed(None, None, "errors")] == ["event:1", "event:2"]
    await monitor.delete_target("errors")
    assert [one.id for one in monitor.events.listed(None, None, "errors")] == ["event:2"], "it is gone, its story not"
    assert len(monitor.events.listed(None, None, None)) == 2
    await monitor.close()


async def test_whoever_tells_of_an_event_its_title_has_no_token():
    scene = Scene(target())
    monitor = await scene.open()
    told = Event("event:grafana:9", EventKind.DEPLOY, scene.clock.now(), "deploy with token=abcdefgh", source="grafana")
    await monitor.events.observe(told)
    assert [one.title for one in monitor.events.between()] == ["deploy with token=***"]
    assert [one.title for one in await scene.store.events()] == ["deploy with token=***"]
    await monitor.close()
