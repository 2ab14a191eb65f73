"""The one alert about a connection that brings datasources, in the place of one for each of them."""

import pytest

from tests.monitor.connecting import REFUSED, SECOND, Connecting
from tests.monitor.scene import MINUTE, noise, target
from tocsin.domain.alert import Reason
from tocsin.domain.errors import Invalid, StoreError
from tocsin.monitor.status import Health
from tocsin.sources.fake import ScriptedConnection


async def test_a_grafana_that_is_down_at_the_start_is_one_alert_until_it_answers():
    names = [f"t{n}" for n in range(7)]
    scene = Connecting(*(target(name, datasource_uid="prom-main") for name in names), target("off", enabled=False))
    scene.connection.datasources = ()
    scene.connection.fail("no connection to mcp-grafana: it ended (exit code 1)")
    monitor = await scene.open()
    await scene.run_for(9 * SECOND)
    assert await scene.firing() == [], "not before a datasource's own alert would be"
    await scene.run_for(10 * SECOND)
    (alert,) = await scene.firing()
    assert (alert.target_name, alert.labels["datasource_uid"]) == ("datasource:grafana", "grafana")
    assert alert.summary == (
        "🔥 the connection grafana (a script) fails: no connection to mcp-grafana: it ended (exit code 1)"
    )
    assert alert.explanation == (
        "The connection grafana (a script) fails: no connection to mcp-grafana: it ended (exit code 1). Its "
        "datasources cannot be found; 7 targets name a datasource that is not known and are not watched (t0, t1, t2, "
        "t3, t4 and 2 more)"
    )
    assert await monitor.acknowledge("datasource:grafana", "ann", "on it") == [alert.id]
    await scene.run_for(30 * MINUTE)
    monitor = await scene.restart()
    await scene.run_for(5 * MINUTE)
    assert [one.id for one in await scene.firing()] == [alert.id], "a start does not tell it again"
    scene.connection.recover()
    await scene.run_for(10 * SECOND)
    assert await scene.firing() == []
    assert [one.reason for one in await scene.transitions()] == [Reason.SOURCE_FAILING, Reason.SOURCE_ANSWERS]
    await monitor.close()


@pytest.mark.parametrize("hidden", [False, True])
async def test_a_connection_that_dies_is_one_alert_and_not_one_for_each_datasource(hidden):
    targets = [target(f"t{n}", datasource_uid=f"ds{n}") for n in range(7)]
    scene = Connecting(target("one"), *targets, more=7)
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    scene.fail(hidden=hidden)
    await scene.run_for(60 * MINUTE)
    (alert,) = await scene.firing()
    assert alert.target_name == "datasource:grafana"
    assert alert.summary == (
        "🔥 the connection grafana (a script) fails, and 8 datasources with it: HTTP 503, Grafana failed: away"
    )
    assert alert.explanation == (
        "The connection grafana (a script) fails: HTTP 503, Grafana failed: away. 8 datasources that it brought cannot "
        "be asked (ds0, ds1, ds2, ds3, ds4 and 3 more): 8 targets of theirs are frozen as they were"
    )
    assert {one.health for one in monitor.datasources()} == {Health.FAILING}
    # Once more before it is told, and not for each datasource.
    assert scene.connection.asked == hidden + 1
    scene.recover()
    await scene.run_for(20 * SECOND)
    assert await scene.firing() == []
    await scene.run_for(30 * MINUTE)
    assert len([one for one in await scene.transitions() if one.reason is Reason.SOURCE_FAILING]) == 1
    assert {one.health for one in monitor.datasources()} == {Health.OK}
    await monitor.close()


async def test_a_datasource_that_breaks_by_itself_is_its_own_alert():
    scene = Connecting(target("one"), target("other", datasource_uid="ds0"), more=1)
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    scene.source.fail(REFUSED)
    await scene.run_for(10 * MINUTE)
    assert [one.target_name for one in await scene.firing()] == ["datasource:prom"]
    assert scene.connection.asked == 1
    # And the connection afterwards.
    scene.fail()
    await scene.run_for(10 * MINUTE)
    assert {one.target_name for one in await scene.firing()} == {"datasource:prom", "datasource:grafana"}
    scene.recover()
    await scene.run_for(10 * MINUTE)
    assert await scene.firing() == []
    await monitor.close()


async def test_datasources_that_answer_still_are_not_called_frozen():
    scene = Connecting(target("one"))
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    scene.connection.fail("HTTP 403, the token does not allow this in Grafana")
    scene.connection.failures = 1
    await scene.run_for(2 * MINUTE)
    scene.connection.failures = 2
    await scene.run_for(MINUTE)
    (alert,) = await scene.firing()
    assert "The datasources that it brought answer still, and new ones cannot be found" in alert.explanation
    assert "frozen" not in alert.explanation
    await monitor.close()


async def test_a_connection_that_comes_and_goes_is_two_alerts_at_most():
    scene = Connecting(target("one"))
    scene.source.play("q", noise)
    monitor = await scene.open()
    for _ in range(12):
        scene.fail()
        await scene.run_for(2 * MINUTE)
        scene.recover()
        await scene.run_for(3 * MINUTE)
    assert len([one for one in await scene.transitions() if one.reason is Reason.SOURCE_FAILING]) == 2
    await scene.run_for(6 * MINUTE)
    assert await scene.firing() == []
    await monitor.close()


async def test_one_that_is_taken_out_of_the_settings_takes_its_alert_along():
    scene = Connecting(target("one"))
    scene.source.play("q", noise)
    monitor = await scene.open()
    scene.fail()
    await scene.run_for(MINUTE)
    (alert,) = await scene.firing()
    changed = ScriptedConnection("grafana", scene.connection.datasources)
    changed.fail("another token is wrong too")
    monitor.connections.put(changed)
    await scene.run_for(MINUTE)
    assert [one.id for one in await scene.firing()] == [alert.id], "changed settings go on with it"
    await monitor.connections.pop("grafana")
    assert await scene.firing() == []
    await monitor.close()


async def test_nothing_is_told_while_monitoring_is_stopped():
    scene = Connecting(target("one"))
    monitor = await scene.open()
    await monitor.stop()
    scene.fail()
    await scene.run_for(10 * MINUTE)
    assert await scene.firing() == []
    await monitor.start()
    await scene.run_for(MINUTE)
    assert len(await scene.firing()) == 1
    await monitor.close()


async def test_what_the_store_does_not_keep_is_told_when_it_can():
    scene = Connecting(target("one"))
    monitor = await scene.open()
    scene.fail()
    scene.store.failing = StoreError("disk full")
    await scene.run_for(2 * MINUTE)
    scene.store.failing = None
    assert await scene.firing() == []
    await scene.run_for(10 * SECOND)
    assert len(await scene.firing()) == 1
    await monitor.close()


async def test_a_test_of_the_connection_names_what_the_targets_of_its_datasources_cost():
    scene = Connecting(target("one"), target("other", datasource_uid="ds0"), more=1)
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    test = await monitor.sources.test("grafana")
    assert (test.query_type, test.error, test.description.abilities) == (None, None, ("brings prom, ds0",))
    assert [(cost.target_name, cost.queries) for cost in test.costs] == [("one", 60.0), ("other", 60.0)]
    await monitor.close()


async def test_a_target_that_names_the_connection_itself_is_told_so():
    scene = Connecting(target())
    monitor = await scene.open()
    with pytest.raises(Invalid, match="'grafana' brings datasources and is none itself"):
        await monitor.create_target(target("other", datasource_uid="grafana"))
    await monitor.close()
