"""Alerts about datasources that a connection brings, in a process that has not asked the connection yet."""

import pytest

from tests.monitor.connecting import REFUSED, SECOND, Brought
from tests.monitor.scene import MINUTE, noise, target
from tocsin.domain.alert import Reason
from tocsin.domain.errors import NotFound, SourceError


async def broken_and_restarted(scene: Brought):
    """The alert of `prom`, which a connection brought, in a process that has not asked the connection yet."""
    scene.source.play("q", noise)
    await scene.open()
    await scene.run_for(10 * MINUTE)
    scene.source.fail(REFUSED)
    await scene.run_for(5 * MINUTE)
    (own,) = await scene.firing()
    assert own.target_name == "datasource:prom"
    scene.connection.datasources = ()
    scene.connection.fail("its datasources were not asked for yet")
    scene.connection.failures = 0
    monitor = await scene.restart()
    await scene.run_for(SECOND)
    return monitor, own


async def test_the_alert_of_a_brought_datasource_outlives_a_restart():
    scene = Brought(target("one"), target("two", datasource_uid="ds0"), more=1)
    monitor, own = await broken_and_restarted(scene)
    assert [one.id for one in await scene.firing()] == [own.id]
    assert await monitor.acknowledge("datasource:prom", "ann", "on it") == [own.id]
    scene.find()
    scene.connection.recover()
    await scene.run_for(10 * MINUTE)
    assert [one.id for one in await scene.firing()] == [own.id]
    scene.source.recover()
    await scene.run_for(2 * MINUTE)
    assert [one.reason for one in await scene.transitions()] == [Reason.SOURCE_FAILING, Reason.SOURCE_ANSWERS]
    await monitor.close()


async def test_it_waits_as_long_as_the_connection_fails():
    scene = Brought(target("one"), target("two", datasource_uid="ds0"), more=1)
    monitor, own = await broken_and_restarted(scene)
    scene.connection.fail("HTTP 503, away")
    scene.connection.failures = 2
    await scene.run_for(60 * MINUTE)
    assert {one.target_name for one in await scene.firing()} == {"datasource:prom", "datasource:grafana"}
    scene.find()
    scene.recover()
    await scene.run_for(2 * MINUTE)
    assert await scene.firing() == []
    ends = [one.reason for one in await scene.transitions() if one.alert_id == own.id]
    assert ends == [Reason.SOURCE_FAILING, Reason.SOURCE_ANSWERS]
    await monitor.close()


async def test_it_expires_when_the_connection_does_not_bring_it_any_more():
    scene = Brought(target("one"), target("two", datasource_uid="ds0"), more=1)
    monitor, own = await broken_and_restarted(scene)
    scene.connection.datasources = ("ds0",)
    scene.connection.recover()
    await scene.run_for(10 * SECOND)
    assert await scene.firing() == []
    assert [(one.alert_id, one.reason) for one in await scene.transitions()][-1] == (own.id, Reason.TARGET_DELETED)
    await monitor.close()


async def test_it_expires_when_its_last_target_goes_meanwhile():
    scene = Brought(target("one"), target("two", datasource_uid="ds0"), more=1)
    monitor, _ = await broken_and_restarted(scene)
    await monitor.delete_target("one")
    assert await scene.firing() == []
    await monitor.close()


async def test_changed_settings_of_a_connection_leave_the_alerts_of_its_datasources():
    scene = Brought(target("one"))
    scene.source.play("q", noise)
    monitor = await scene.open()
    scene.source.fail(REFUSED)
    await scene.run_for(5 * MINUTE)
    (own,) = await scene.firing()
    await monitor.remove_source("prom", comes_again=True)
    scene.connection.fail("its datasources were not asked for yet")
    monitor.connections.put(scene.connection)
    await scene.run_for(SECOND)
    scene.find()
    scene.connection.recover()
    await scene.run_for(5 * MINUTE)
    assert [one.id for one in await scene.firing()] == [own.id]
    await monitor.close()


async def test_a_datasource_of_a_connection_that_fails_is_not_called_unknown():
    scene = Brought(found=False)
    monitor = await scene.open()
    with pytest.raises(NotFound, match="there is no datasource 'prom'"):
        await monitor.sources.test("prom")
    scene.connection.fail("HTTP 503, away")
    with pytest.raises(SourceError) as caught:
        await monitor.sources.test("prom")
    assert str(caught.value) == (
        "whether there is a datasource 'prom' is not known now: the datasources of 'grafana' are not known: "
        "HTTP 503, away"
    )
    await monitor.close()
