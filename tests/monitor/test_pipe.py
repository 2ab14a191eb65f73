"""From samples to alerts, in scenario time: the whole engine but for real datasources and a real disk."""

from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, START, Scene, noise, spike, target
from tocsin.detect import Severity
from tocsin.domain.alert import AlertState, Reason
from tocsin.domain.errors import SourceError, SourceFailure, StoreError
from tocsin.domain.ports import AnomalyFilter, Page
from tocsin.domain.target import QueryType, TargetState
from tocsin.monitor.evidence import MAX_CONTEXTS
from tocsin.sources.fake import ScriptedSource

UNREACHABLE = SourceError("connection refused", failure=SourceFailure.UNREACHABLE, transient=True)


async def test_a_spike_is_one_alert_however_many_checks_see_it_and_it_resolves():
    scene = Scene(target())
    scene.source.play("q", spike(START + 10 * MINUTE, START + 23 * MINUTE), {"instance": "a"})
    monitor = await scene.open()
    await scene.run_for(12 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.FIRING
    assert alert.active_at == START + 10 * MINUTE
    assert alert.value > 100
    assert alert.expected_value == pytest.approx(10, abs=2)
    await scene.run_for(40 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.RESOLVED
    assert alert.anomaly_count == 13
    assert START + 25 * MINUTE <= alert.ends_at <= START + 28 * MINUTE
    assert [t.reason for t in await scene.transitions()] == [Reason.ANOMALOUS, Reason.RECOVERED]
    await monitor.close()


async def test_a_sustained_outage_keeps_firing_and_never_becomes_normal_within_its_own_alert():
    scene = Scene(target())
    scene.source.play("q", spike(START + 5 * MINUTE, START + 600 * MINUTE))
    monitor = await scene.open()
    await scene.run_for(500 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.FIRING
    assert alert.anomaly_count > 480
    await monitor.close()


async def test_an_outage_longer_than_the_lookback_survives_a_restart_without_becoming_normal():
    scene = Scene(target())
    scene.source.play("q", spike(START + 5 * MINUTE, START + 600 * MINUTE))
    await scene.open()
    await scene.run_for(200 * MINUTE)
    monitor = await scene.restart()
    await scene.run_for(100 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.FIRING
    assert alert.anomaly_count == 295
    assert [t.reason for t in await scene.transitions()] == [Reason.ANOMALOUS]
    await scene.run_for(320 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.RESOLVED
    await monitor.close()


async def test_pending_alerts_that_do_not_last_never_fire():
    scene = Scene(target(pending_for=5 * MINUTE))
    scene.source.play("q", spike(START + 10 * MINUTE, START + 13 * MINUTE))
    monitor = await scene.open()
    await scene.run_for(12 * MINUTE)
    assert await scene.alerts() == []
    assert [a.state for a in await scene.alerts(states=(AlertState.PENDING,))] == [AlertState.PENDING]
    await scene.run_for(20 * MINUTE)
    assert await scene.alerts() == []
    assert [t.reason for t in await scene.transitions()] == [Reason.ANOMALOUS, Reason.DID_NOT_LAST]
    await monitor.close()


async def test_a_vanished_series_expires_and_is_never_called_resolved():
    scene = Scene(target())
    scene.source.play("q", spike(START + 5 * MINUTE, START + 600 * MINUTE), {"pod": "x"})
    scene.source.play("q", lambda grid: noise(grid, seed=3), {"pod": "y"})
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    scene.source.drop("q", {"pod": "x"})
    await scene.run_for(30 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.EXPIRED
    assert [t.reason for t in await scene.transitions()][-1] is Reason.VANISHED
    await monitor.close()


async def test_a_gap_neither_resolves_nor_is_learnt():
    scene = Scene(target())

    def curve(grid):
        values = spike(START + 5 * MINUTE, START + 60 * MINUTE)(grid)
        hole = (grid >= (START + 8 * MINUTE).timestamp()) & (grid < (START + 11 * MINUTE).timestamp())
        return np.where(hole, np.nan, values)

    scene.source.play("q", curve)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    status = monitor.view("errors").status
    assert status.state is TargetState.READY
    assert "the newest sample is" in status.reason
    await scene.run_for(10 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.FIRING
    assert len(await scene.transitions()) == 1
    await monitor.close()


async def test_a_broken_datasource_is_one_alert_and_freezes_its_targets():
    scene = Scene(target("one"), target("two"))
    scene.source.play("q", spike(START + 5 * MINUTE, START + 100 * MINUTE))
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    scene.source.fail(UNREACHABLE)
    await scene.run_for(20 * MINUTE)
    alerts = {alert.target_name: alert for alert in await scene.alerts(states=(AlertState.FIRING,))}
    assert set(alerts) == {"one", "two", "datasource:prom"}
    assert "connection refused" in alerts["datasource:prom"].summary
    assert monitor.view("one").status.state is TargetState.ERROR
    assert monitor.view("one").status.reason.startswith("connection refused; not asked again before ")
    scene.source.recover()
    await scene.run_for(3 * MINUTE)
    assert {a.target_name for a in await scene.alerts(states=(AlertState.FIRING,))} == {"one", "two"}
    assert len([t for t in await scene.transitions() if t.reason is Reason.SOURCE_FAILING]) == 1
    await monitor.close()


async def test_a_target_that_its_datasource_cannot_take_says_so_and_asks_nothing():
    # As one of the settings file may be, whose datasource is found later.
    scene = Scene(target("lines", query_type=QueryType.LOKI))
    monitor = await scene.open()
    await scene.run_for(5 * MINUTE)
    status = monitor.view("lines").status
    assert (status.state, status.cost.queries) == (TargetState.ERROR, 0)
    assert status.reason == "query_type: the datasource 'prom' answers prometheus"
    assert await scene.alerts() == []
    await monitor.close()


async def test_a_bad_query_is_the_targets_error_and_no_alert_about_the_datasource():
    scene = Scene(target("good"), target("bad", query="bad"))
    scene.source.play("q", noise)
    bad = SourceError("parse error", failure=SourceFailure.BAD_QUERY, transient=False)
    scene.source.fail(bad, query="bad")
    monitor = await scene.open()
    await scene.run_for(20 * MINUTE)
    assert await scene.alerts() == []
    assert monitor.view("bad").status.state is TargetState.ERROR
    assert monitor.view("good").status.state is TargetState.READY
    await monitor.close()


async def test_after_the_first_fetch_only_new_samples_are_asked_for():
    scene = Scene(target())
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    first, *later = scene.source.requests
    assert first.window.end - first.window.start >= timedelta(hours=1)
    assert all(request.window.start == request.window.end for request in later)
    assert len({request.window.start for request in later}) == len(later)
    await monitor.close()


async def test_what_the_store_did_not_keep_is_judged_again_and_never_shown_before():
    scene = Scene(target())
    scene.source.play("q", spike(START + 10 * MINUTE, START + 60 * MINUTE))
    monitor = await scene.open()
    await scene.run_for(8 * MINUTE)
    scene.store.failing = StoreError("disk full")
    await scene.run_for(10 * MINUTE)
    status = await monitor.status()
    assert not status.store.ok
    assert "disk full" in status.store.detail
    assert status.alerts is None
    scene.store.failing = None
    assert await scene.alerts() == []
    await scene.run_for(3 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.active_at == START + 10 * MINUTE
    assert alert.state is AlertState.FIRING
    await monitor.close()


async def test_what_the_probe_found_out_about_the_store_outlasts_a_commit():
    scene = Scene(target())
    scene.source.play("q", spike(START + 10 * MINUTE, START + 60 * MINUTE))
    scene.store.size_bytes = 4096
    monitor = await scene.open()
    await scene.run_for(5 * MINUTE)
    probed = (await monitor.status()).store
    assert probed.size_bytes == 4096
    await scene.run_for(10 * MINUTE)
    saves = scene.store.saves
    await scene.clock.advance_to(monitor.view("errors").status.next_evaluation_at)
    assert scene.store.saves == saves + 1, "it is looked at after a commit and before the next probe"
    assert (await monitor.status()).store == probed
    scene.store.failing = StoreError("disk full")
    await scene.clock.advance_to(monitor.view("errors").status.next_evaluation_at)
    broken = (await monitor.status()).store
    assert (broken.ok, broken.size_bytes) == (False, 4096)
    await monitor.close()


async def test_a_quiet_evaluation_writes_nothing():
    scene = Scene(target(severity_threshold=Severity.CRITICAL))
    scene.source.play("q", lambda grid: 10.0 + np.sin(grid))
    monitor = await scene.open()
    await scene.run_for(60 * MINUTE)
    assert monitor.view("errors").status.evaluations >= 60
    assert scene.store.saves == 0
    await monitor.close()


async def test_acknowledgement_survives_the_next_evaluation_and_a_restart():
    scene = Scene(target())
    scene.source.play("q", spike(START + 5 * MINUTE, START + 60 * MINUTE))
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    ids = await monitor.acknowledge("errors", "ann", "looking")
    await scene.run_for(10 * MINUTE)
    monitor = await scene.restart()
    await scene.run_for(10 * MINUTE)
    story = await scene.store.alert(ids[0])
    assert story.acknowledgement.who == "ann"
    assert story.alert.anomaly_count > 20
    await monitor.close()


async def test_an_incident_that_ended_just_before_a_restart_is_not_told_again():
    scene = Scene(target(check_interval=10 * MINUTE, keep_firing_for=MINUTE))
    scene.source.play("q", spike(START + 15 * MINUTE, START + 18 * MINUTE))
    monitor = await scene.open()
    while not (found := await scene.alerts(states=(AlertState.RESOLVED,))):
        await scene.run_for(MINUTE)
    monitor = await scene.restart()
    await scene.run_for(20 * MINUTE)
    assert [a.id for a in await scene.alerts()] == [found[0].id]
    await monitor.close()


async def test_evidence_says_how_many_of_the_samples_were_there():
    scene = Scene(target())
    curve = spike(START + 10 * MINUTE, START + 60 * MINUTE)

    def gapped(grid):
        out = curve(grid)
        minutes = (grid - START.timestamp()) / 60
        out[(minutes >= 4) & (minutes < 9)] = np.nan
        return out

    scene.source.play("q", gapped)
    monitor = await scene.open()
    await scene.run_for(12 * MINUTE)
    (alert,) = await scene.alerts()
    (evidence,) = (await scene.store.alert(alert.id)).evidence
    (note,) = evidence.notes
    assert note.startswith(f"{len(evidence.values) - 5} of {len(evidence.values)} samples expected from 2026-03-02 ")
    assert note.endswith("12:10:00 UTC were there: 5 are gaps")
    await monitor.close()


class Tacit(ScriptedSource):
    """A source that does not say anything beside the numbers."""

    asked = 0

    async def context(self, query, labels, at):
        self.asked += 1
        raise SourceError("no answer about up", failure=SourceFailure.TIMEOUT, transient=True)


async def test_a_datasource_that_does_not_say_more_is_asked_once_and_fails_no_evaluation():
    scene = Scene(target())
    scene.source = Tacit("prom", now=lambda: scene.clock.now().timestamp())
    scene.monitor = scene.build()
    for name in "abc":
        scene.source.play("q", spike(START + 10 * MINUTE, START + 60 * MINUTE), {"instance": name})
    monitor = await scene.open()
    await scene.run_for(12 * MINUTE)
    alerts = await scene.alerts()
    assert len(alerts) == 3
    for alert in alerts:
        (evidence,) = (await scene.store.alert(alert.id)).evidence
        assert evidence.context == ("the datasource did not say more: no answer about up",)
    assert scene.source.asked == 1
    assert monitor.view("errors").status.state is TargetState.READY
    await monitor.close()


async def test_of_many_alerts_at_once_the_datasource_is_asked_about_a_few():
    scene = Scene(target())
    scene.source.tell("q", "a line")
    for n in range(MAX_CONTEXTS + 2):
        scene.source.play("q", spike(START + 10 * MINUTE, START + 60 * MINUTE), {"instance": str(n)})
    monitor = await scene.open()
    await scene.run_for(12 * MINUTE)
    lines = [(await scene.store.alert(one.id)).evidence[0].context[0] for one in await scene.alerts()]
    assert lines.count("a line") == MAX_CONTEXTS
    assert sum("the limit" in line for line in lines) == 2
    await monitor.close()


async def test_evidence_is_frozen_with_the_samples_that_led_to_it():
    scene = Scene(target())
    scene.source.play("q", spike(START + 10 * MINUTE, START + 60 * MINUTE), {"instance": "a"})
    scene.source.tell("q", "busiest processes: stress (pid 7) 1.00 cores")
    monitor = await scene.open()
    await scene.run_for(12 * MINUTE)
    (alert,) = await scene.alerts()
    (evidence,) = (await scene.store.alert(alert.id)).evidence
    assert evidence.values[-1] == alert.value
    assert evidence.timestamps[-1] == (START + 10 * MINUTE).timestamp()
    assert len(evidence.values) == 61
    assert evidence.query == "q"
    assert evidence.context == ("busiest processes: stress (pid 7) 1.00 cores",)
    assert evidence.lower[-1] < evidence.expected[-1] < evidence.upper[-1] < evidence.values[-1]
    await monitor.close()


async def test_every_anomaly_tells_what_it_rests_on_and_when_the_last_one_was():
    scene = Scene(target())

    def curve(grid):
        second = (grid >= (START + 40 * MINUTE).timestamp()) & (grid < (START + 45 * MINUTE).timestamp())
        return spike(START + 5 * MINUTE, START + 10 * MINUTE)(grid) + 100.0 * second

    scene.source.play("q", curve)
    monitor = await scene.open()
    await scene.run_for(7 * MINUTE)
    monitor = await scene.restart()
    await scene.run_for(43 * MINUTE)
    kept = (await scene.store.anomalies(AnomalyFilter(), Page(limit=100))).items
    assert all(one.facts is not None and one.explanation == one.facts.sentence for one in kept)
    first, last = kept[-1].facts, kept[0].facts
    assert (first.threshold, first.last_at, first.season) == (3.5, None, "")
    assert first.floor == pytest.approx(0.05 * first.expected)
    assert 50 <= first.samples <= 60
    assert last.last_at == START + 9 * MINUTE
    story = await scene.store.alert(kept[0].alert_id)
    assert story.evidence[0].facts.last_at == START + 9 * MINUTE
    assert story.evidence[0].text.startswith(story.evidence[0].facts.sentence)
    await monitor.close()
