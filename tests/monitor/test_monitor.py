"""Control: start and stop, targets that change while running, schedules that do not wait for one another."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, START, Scene, noise, spike, target
from tocsin.domain.alert import AlertState, Reason
from tocsin.domain.errors import Conflict, Invalid, NotFound, SourceError, SourceFailure, StoreError
from tocsin.domain.ports import AnomalyFilter, Page
from tocsin.domain.target import Owner, QueryType, TargetState
from tocsin.monitor.pace import next_due, phase


async def test_start_and_stop_are_idempotent_and_outlive_a_restart():
    scene = Scene(target())
    scene.source.play("q", noise)
    monitor = await scene.open()
    assert monitor.running, "monitoring runs on the first start"
    assert await monitor.start() is False
    assert await monitor.stop() is True
    assert await monitor.stop() is False
    asked = len(scene.source.requests)
    await scene.run_for(10 * MINUTE)
    assert len(scene.source.requests) == asked
    monitor = await scene.restart()
    assert not monitor.running, "later as it was left"
    assert await monitor.start() is True
    monitor = await scene.restart()
    assert monitor.running
    await monitor.close()


async def test_start_that_was_not_kept_is_not_acknowledged():
    scene = Scene(target())
    monitor = await scene.open()
    await monitor.stop()
    scene.store.failing = StoreError("disk full")
    with pytest.raises(StoreError):
        await monitor.start()
    assert not monitor.running
    await monitor.close()


async def test_a_hung_datasource_does_not_delay_another_target():
    scene = Scene(target("slow"), target("other", datasource_uid="second"))
    second = type(scene.source)("second", now=lambda: scene.clock.now().timestamp())
    second.play("q", noise)
    scene.source.hang()
    scene.monitor.replace_source(second, 4)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    assert monitor.view("other").status.evaluations >= 10
    assert monitor.view("slow").status.evaluations == 0
    scene.source.recover()
    await scene.run_for(2 * MINUTE)
    slow = monitor.view("slow").status
    assert slow.overruns >= 9, "what was left out is counted"
    assert slow.evaluations >= 1
    await monitor.close()


async def test_stop_ends_a_hung_query_at_once():
    scene = Scene(target())
    scene.source.hang()
    monitor = await scene.open()
    await scene.run_for(MINUTE)
    await asyncio.wait_for(monitor.stop(), 5)
    await monitor.close()


async def test_targets_come_change_and_go_while_running():
    scene = Scene()
    scene.source.play("q", spike(START + 5 * MINUTE, START + 90 * MINUTE))
    monitor = await scene.open()
    made = await monitor.create_target(target())
    assert (made.target.version, made.target.created_at) == (1, START)
    with pytest.raises(Conflict):
        await monitor.create_target(target())
    await scene.run_for(10 * MINUTE)
    changed = await monitor.update_target(replace(made.target, pending_for=MINUTE), 1)
    assert changed.target.version == 2
    with pytest.raises(Conflict, match="version 2, not 1"):
        await monitor.update_target(made.target, 1)
    await scene.run_for(5 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.FIRING, "a milder change goes on with the same alert"
    await monitor.delete_target("errors")
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.EXPIRED
    assert (await scene.transitions())[-1].reason is Reason.TARGET_DELETED
    with pytest.raises(NotFound):
        monitor.view("errors")
    with pytest.raises(NotFound):
        await monitor.delete_target("errors")
    await monitor.close()


async def test_another_query_ends_the_alerts_of_the_old_one():
    scene = Scene(target())
    scene.source.play("q", spike(START + 5 * MINUTE, START + 90 * MINUTE))
    scene.source.play("p", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    await monitor.update_target(replace(monitor.view("errors").target, query="p"), None)
    await scene.run_for(10 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.EXPIRED
    assert (await scene.transitions())[-1].reason is Reason.TARGET_CHANGED
    await monitor.close()


async def test_disabling_ends_its_alerts_and_enabling_starts_afresh():
    scene = Scene(target())
    scene.source.play("q", spike(START + 5 * MINUTE, START + 90 * MINUTE))
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    off = await monitor.update_target(monitor.view("errors").target.enabled_as(enabled=False), None)
    assert off.status.state is TargetState.DISABLED
    asked = len(scene.source.requests)
    await scene.run_for(10 * MINUTE)
    assert len(scene.source.requests) == asked
    assert [a.state for a in await scene.alerts()] == [AlertState.EXPIRED]
    on = await monitor.update_target(off.target.enabled_as(enabled=True), None)
    assert on.status.state is TargetState.WAITING
    await scene.run_for(2 * MINUTE)
    assert monitor.view("errors").status.state is TargetState.READY
    await monitor.close()


async def test_file_targets_are_read_only_and_follow_the_file():
    scene = Scene(target("mine"))
    scene.source.play("q", noise)
    monitor = await scene.open()
    from_file = target("theirs", owner=Owner.FILE)
    await monitor.replace_file_targets([from_file])
    with pytest.raises(Conflict, match="configuration file"):
        await monitor.delete_target("theirs")
    with pytest.raises(Conflict, match="configuration file"):
        await monitor.update_target(replace(from_file, query="p"), None)
    await monitor.replace_file_targets([target("mine", query="file", owner=Owner.FILE)])
    assert [v.target.name for v in monitor.views()] == ["mine"]
    assert monitor.view("mine").target.query == "file"
    await monitor.replace_file_targets([])
    assert monitor.view("mine").target.query == "q", "what the file shadowed comes back"
    await monitor.close()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"datasource_uid": "nowhere"}, "datasource_uid"),
        ({"query_type": QueryType.HOST}, "query_type"),
        ({"query": "  "}, "query"),
        ({"check_interval": timedelta(0)}, "check_interval"),
        ({"detection_methods": ("zscores",)}, "detection_methods"),
        ({"lookback": timedelta(seconds=61)}, "lookback"),
        ({"name": "a/b"}, "name"),
        ({"name": "alert:0123456789abcdef"}, "name"),
        ({"name": "datasource:prom"}, "name"),
        ({"min_effect": float("nan")}, "min_effect"),
        ({"lower_bound": 2.0, "upper_bound": 1.0}, "lower_bound"),
    ],
)
async def test_what_cannot_be_watched_is_refused_by_field(changes, field):
    scene = Scene()
    monitor = await scene.open()
    with pytest.raises(Invalid) as refused:
        await monitor.create_target(replace(target(), **changes))
    assert refused.value.field == field
    assert monitor.views() == []
    await monitor.close()


async def test_a_target_whose_datasource_is_gone_says_so():
    scene = Scene(target(datasource_uid="gone"))
    monitor = await scene.open()
    await scene.run_for(5 * MINUTE)
    assert monitor.view("errors").status.state is TargetState.ERROR
    assert "'gone' is not configured" in monitor.view("errors").status.reason
    with pytest.raises(NotFound):
        await monitor.check("errors")
    await monitor.close()


async def test_a_check_now_shows_what_would_happen_and_keeps_nothing():
    scene = Scene(target(enabled=False))
    scene.source.play("q", spike(START - MINUTE, START + 90 * MINUTE))
    monitor = await scene.open()
    result = await monitor.check("errors")
    assert [a.state for a in result.alerts] == [AlertState.FIRING]
    assert result.state is TargetState.READY
    assert await scene.alerts() == []
    assert scene.store.saves == 0
    assert result.warnings == ()
    await monitor.close()


async def test_a_check_says_by_what_it_judged_where_an_evaluation_has_more():
    scene = Scene(target(history=timedelta(days=1)))
    scene.source.play("q", noise)
    monitor = await scene.open()
    (note,) = (await monitor.check("errors")).warnings
    assert "an evaluation reads back first" in note
    await scene.run_for(2 * MINUTE)
    due = monitor.view("errors").status.next_evaluation_at
    await scene.run_for(due - scene.clock.now())
    (note,) = (await monitor.check("errors")).warnings
    assert "nothing is new since the last evaluation" in note
    scene.clock.jump_to(scene.clock.now() + MINUTE)
    assert (await monitor.check("errors")).warnings == ()
    await monitor.close()


async def test_a_plot_has_band_and_anomalies_on_one_grid():
    scene = Scene(target(lower_bound=0.0))
    scene.source.play("q", spike(START - 10 * MINUTE, START - 5 * MINUTE), {"instance": "a"})
    scene.source.play("q", lambda grid: noise(grid, seed=5), {"instance": "b"})
    monitor = await scene.open()
    plot = await monitor.plot("errors", None, None, 1)
    assert plot.series_total == 2
    (series,) = plot.series
    assert len(plot.timestamps) == len(series.values) == len(series.expected) == 61
    assert series.anomalies == (50, 51, 52, 53, 54)
    assert (series.lower[~(series.lower != series.lower)] >= 0).all()
    await monitor.close()


async def test_a_plot_ends_now_at_the_latest():
    scene = Scene(target())
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(5 * MINUTE)
    plot = await monitor.plot("errors", START - 10 * MINUTE, START + timedelta(days=1), 1)
    assert plot.window.end == scene.clock.now()
    with pytest.raises(Invalid, match="start: must be earlier than end, and than now"):
        await monitor.plot("errors", START + timedelta(hours=1), START + timedelta(days=1), 1)
    await monitor.close()


async def test_a_plot_of_an_incident_says_what_was_said_while_it_lasted():
    """What is expected then is what the series left, and the anomalies are those that were kept."""
    begin, end = START + 30 * MINUTE, START + 90 * MINUTE
    scene = Scene(target(history=timedelta(days=3)))
    scene.source.play("q", spike(begin, end, height=20.0), {"instance": "a"})
    monitor = await scene.open()
    await scene.read()
    await scene.run_for(timedelta(minutes=110))
    plot = await monitor.plot("errors", START, START + 100 * MINUTE, 1)
    assert [words for words in plot.warnings if "2,880 samples" in words], "less than monitoring has"
    (series,) = plot.series
    marked = set(series.anomalies)
    assert set(range(31, 60)) <= marked
    assert max(marked) < 90, "what comes back is no anomaly"
    assert series.expected[31:90] == pytest.approx(np.full(59, 10.0), abs=2.5)
    kept = (await scene.store.anomalies(AnomalyFilter(), Page(limit=1000))).items
    told = {round((one.timestamp - START) / MINUTE): one for one in kept}
    assert set(told) == marked
    assert [told[at].sigma for at in sorted(marked)] == pytest.approx(series.sigma[sorted(marked)], abs=0.3)
    await monitor.close()


async def test_evaluations_are_scattered_over_the_interval():
    shifts = [phase(target(query=f"q{n}")) for n in range(200)]
    assert min(shifts) < 6
    assert max(shifts) > 54
    assert len(set(shifts)) == 200
    due = next_due(target(), START)
    assert START < due <= START + MINUTE
    assert next_due(target(), due) == due + MINUTE


@pytest.mark.parametrize("seconds", [1, 2, 10, 60, 300, 86_400])
def test_a_due_time_is_followed_by_one_an_interval_later_and_never_by_itself(seconds):
    interval = timedelta(seconds=seconds)
    for n in range(100):
        one = target(f"t{n}", check_interval=interval)
        due = next_due(one, START)
        for _ in range(10):
            assert next_due(one, due) - due == interval, f"{one.name} after {due}"
            due += interval


async def test_what_is_evaluated_in_time_is_no_overrun():
    scene = Scene(*(target(f"t{n}", check_interval=timedelta(seconds=10)) for n in range(50)))
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(2 * MINUTE)
    assert {view.target.name: view.status.overruns for view in monitor.views() if view.status.overruns} == {}
    await monitor.close()


async def test_what_a_target_costs_its_datasource_is_counted():
    scene = Scene(target(), target("other", query="p"))
    scene.source.play("q", noise, {"pod": "x"})
    scene.source.play("q", noise, {"pod": "y"})
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    cost = monitor.view("errors").status.cost
    asked = [one for one in scene.source.requests if one.query == "q"]
    assert cost.queries == len(asked) >= 10
    assert cost.samples == 2 * sum(one.window.count for one in asked)
    before, shown = len(scene.source.requests), monitor.exposition().decode()
    assert f'tocsin_datasource_queries_total{{datasource="prom"}} {before:.1f}' in shown
    assert f'tocsin_datasource_samples_total{{datasource="prom"}} {cost.samples:.1f}' in shown
    scene.source.fail(SourceError("refused", failure=SourceFailure.UNREACHABLE, transient=True))
    await scene.run_for(MINUTE)
    assert monitor.view("errors").status.cost.queries > cost.queries, "a query that fails costs as well"
    await monitor.remove_source("prom")
    assert 'datasource="prom"' not in monitor.exposition().decode(), "as many labels as there are datasources"
    await monitor.close()


async def test_the_lag_is_how_far_back_judging_lies_also_while_a_query_hangs():
    scene = Scene(
        target(check_interval=timedelta(seconds=10), step=timedelta(seconds=10)), target("off", enabled=False)
    )
    scene.source.play("q", noise)
    monitor = await scene.open()
    for _ in range(7):
        await scene.run_for(timedelta(seconds=7))
        assert (await monitor.status()).lag_s == 0.0, "what the interval and the grid explain is no lag"
    scene.source.hang()
    await scene.run_for(5 * MINUTE)
    status = await monitor.status()
    assert 280 <= status.lag_s <= 300
    assert monitor.view("errors").status.lag_s == status.lag_s
    assert f"tocsin_lag_seconds {status.lag_s}" in monitor.exposition().decode()
    assert monitor.view("off").status.lag_s is None
    scene.source.recover()
    await scene.run_for(MINUTE)
    assert (await monitor.status()).lag_s == 0.0
    await monitor.stop()
    assert monitor.view("errors").status.lag_s is None
    await monitor.close()


async def test_a_target_without_its_datasource_says_since_when_and_counts():
    scene = Scene(target())
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(5 * MINUTE)
    await monitor.remove_source("prom")
    await scene.run_for(3 * MINUTE)
    status = monitor.view("errors").status
    assert status.state is TargetState.ERROR
    assert "not configured" in status.reason
    assert START + 5 * MINUTE < status.since <= START + 6 * MINUTE
    assert status.failures == 3
    await monitor.close()


async def test_alerts_of_a_target_switched_off_meanwhile_end_with_that_reason():
    scene = Scene(target(), target("gone"))
    scene.source.play("q", spike(START + 5 * MINUTE, START + 60 * MINUTE))
    await scene.open()
    await scene.run_for(8 * MINUTE)
    await scene.monitor.close()
    saved = {one.name: one for one in await scene.store.targets()}
    await scene.store.update_target(saved["errors"].enabled_as(enabled=False), 1)
    await scene.store.delete_target("gone")
    scene.monitor = scene.build()
    await scene.monitor.open()
    over = {alert.id: alert.target_name for alert in await scene.alerts(states=(AlertState.EXPIRED,))}
    reasons = {over[one.alert_id]: one.reason for one in await scene.transitions() if one.after is AlertState.EXPIRED}
    assert reasons == {"errors": Reason.TARGET_DISABLED, "gone": Reason.TARGET_DELETED}
    await scene.monitor.close()
