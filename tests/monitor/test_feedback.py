"""What people say changes what is learnt: marked windows leave every baseline, an accepted level is the new normal."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, START, Scene, noise, spike, target
from tocsin.domain.alert import AlertState, Reason
from tocsin.domain.errors import Conflict, Invalid, NotFound, SourceError, SourceFailure, StoreError
from tocsin.domain.feedback import (
    MAX_WINDOWS,
    AcceptanceKind,
    MarkedWindow,
    Verdict,
    WindowKind,
)
from tocsin.domain.labels import Labels
from tocsin.domain.target import Owner

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
INCIDENT = (START - 40 * HOUR, START - 30 * HOUR)


def window(start, end, name="errors", labels=None, kind=WindowKind.INCIDENT) -> MarkedWindow:
    return MarkedWindow("", kind, name, Labels(labels), start, end, "ann", "disk full", start)


def troubled(height, *repeats):
    """Noise; every tenth minute of an incident of ten hours in the past is higher, and so are some minutes later on."""

    def curve(grid):
        inside = (grid >= INCIDENT[0].timestamp()) & (grid < INCIDENT[1].timestamp()) & (grid // 60 % 10 == 0)
        for at in repeats:
            inside |= grid == at.timestamp()
        return noise(grid) + height * inside

    return curve


def shifted(at, height=20.0):
    return lambda grid: noise(grid) + height * (grid >= at.timestamp())


async def told(scene, verb, *given, **named):
    return await getattr(scene.monitor.feedback, verb)(*given, **named)


def learnt(scene, name="errors"):
    """All that `auto` knows of a target, but for what it judges with no learning: the state as bytes."""
    return scene.monitor._watches[name].memory.learnt.auto.to_bytes()


async def test_an_incident_that_is_marked_leaves_the_baseline_and_its_repeat_is_found():
    repeat = START + 50 * MINUTE
    found = {}
    for marked in (False, True):
        scene = Scene(target(history=3 * DAY))
        scene.source.play("q", troubled(6.5, START + 20 * MINUTE, repeat))
        monitor = await scene.open()
        await scene.run_for(30 * MINUTE)
        assert await scene.alerts() == [], "the incident has taught it that such samples are ordinary"
        if marked:
            marking = await monitor.feedback.mark_window(window(*INCIDENT))
            (band,) = marking.bands.bands
            assert (band.target_name, band.labels, marking.bands.changed) == ("errors", Labels(), 1)
            assert band.before.upper > 16.5 > band.after.upper, "the band is narrower without it"
        await scene.run_for(HOUR)
        found[marked] = [alert.active_at for alert in await scene.alerts()]
        await monitor.close()
    assert found == {False: [], True: [repeat]}


async def test_marking_afterwards_is_as_if_it_had_been_known_from_the_beginning():
    known, late = (Scene(target(history=3 * DAY)) for _ in range(2))
    for scene in (known, late):
        scene.source.play("q", troubled(6.5, START + 50 * MINUTE))
        await scene.open()
    await told(known, "mark_window", window(*INCIDENT))
    known.monitor = await known.restart()
    for scene in (known, late):
        await scene.run_for(30 * MINUTE)
    assert learnt(known) != learnt(late)
    await told(late, "mark_window", window(*INCIDENT))
    await scene.run_for(2 * MINUTE)
    await known.run_for(2 * MINUTE)
    mine, theirs = (scene.monitor._watches["errors"].memory.learnt.auto for scene in (known, late))
    # Both read back to a midnight, the one from where it began and the other from where it stands.
    assert np.array_equal(mine.counts, theirs.counts)
    assert np.array_equal(mine.scale, theirs.scale)
    for scene in (known, late):
        await scene.monitor.close()


async def test_a_window_that_is_forgotten_teaches_again():
    scene = Scene(target(history=3 * DAY))
    scene.source.play("q", troubled(6.5))
    monitor = await scene.open()
    await scene.run_for(5 * MINUTE)
    before = monitor._watches["errors"].memory.learnt.auto.counts
    marking = await monitor.feedback.mark_window(window(*INCIDENT))
    await scene.run_for(MINUTE)
    assert not np.array_equal(monitor._watches["errors"].memory.learnt.auto.counts, before)
    forgotten = await monitor.feedback.forget_window(marking.window.id)
    assert forgotten.bands.changed == 1
    await scene.run_for(MINUTE)
    assert np.array_equal(monitor._watches["errors"].memory.learnt.auto.counts, before)
    with pytest.raises(NotFound):
        await monitor.feedback.forget_window(marking.window.id)
    await monitor.close()


async def test_the_band_of_other_series_and_targets_stays():
    scene = Scene(target(history=3 * DAY), target("other", query="q", history=3 * DAY))
    for instance in ("a", "b"):
        scene.source.play("q", troubled(6.5), {"instance": instance})
    monitor = await scene.open()
    await scene.run_for(3 * MINUTE)
    await scene.read()
    await scene.run_for(2 * MINUTE)
    other, asked = learnt(scene, "other"), len(scene.source.requests)
    marking = await monitor.feedback.mark_window(window(*INCIDENT, labels={"instance": "a"}))
    assert [band.labels["instance"] for band in marking.bands.bands] == ["a"]
    assert (marking.bands.changed, marking.bands.compared) == (1, 2)
    assert learnt(scene, "other") == other
    assert all(request.query == "q" for request in list(scene.source.requests)[asked:])
    marking = await monitor.feedback.mark_window(window(*INCIDENT, name=None, kind=WindowKind.MAINTENANCE))
    assert {(band.target_name, band.labels["instance"]) for band in marking.bands.bands} >= {
        ("other", "a"),
        ("other", "b"),
        ("errors", "b"),
    }
    await monitor.close()


async def test_what_an_earlier_window_changes_is_not_counted_again_and_labels_of_no_series_are_said():
    scene = Scene(target(history=3 * DAY))
    for instance in ("a", "b"):
        scene.source.play("q", troubled(6.5), {"instance": instance})
    monitor = await scene.open()
    await scene.run_for(3 * MINUTE)
    await scene.read()
    await scene.run_for(2 * MINUTE)
    marked = [
        await monitor.feedback.mark_window(window(*INCIDENT, labels={"instance": instance})) for instance in ("a", "b")
    ]
    assert [[band.labels["instance"] for band in one.bands.bands] for one in marked] == [["a"], ["b"]]
    forgotten = await monitor.feedback.forget_window(marked[0].window.id)
    assert [band.labels["instance"] for band in forgotten.bands.bands] == ["a"]
    assert not any("carries" in note for one in (*marked, forgotten) for note in one.bands.notes)
    nobody = await monitor.feedback.mark_window(window(*INCIDENT, labels={"instance": "c"}))
    assert nobody.bands.changed == 0
    assert nobody.bands.notes[0].startswith('no series that is known now carries {instance="c"}')
    await monitor.close()


async def test_what_lies_before_all_that_was_learnt_changes_nothing_and_asks_nothing():
    scene = Scene(target())
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(5 * MINUTE)
    asked = len(scene.source.requests)
    marking = await monitor.feedback.mark_window(window(START - 40 * DAY, START - 39 * DAY))
    assert (marking.bands.bands, marking.bands.compared) == ((), 0)
    assert marking.bands.notes == ("1 target has learnt nothing from it",)
    assert len(scene.source.requests) == asked
    await scene.run_for(MINUTE)
    assert len(scene.source.requests) == asked + 1
    await monitor.close()


async def test_a_datasource_that_fails_is_said_and_learning_anew_is_tried_again():
    scene = Scene(target(history=3 * DAY))
    scene.source.play("q", troubled(6.5))
    monitor = await scene.open()
    await scene.run_for(5 * MINUTE)
    scene.source.fail(SourceError("no route", failure=SourceFailure.UNREACHABLE, transient=True))
    marking = await monitor.feedback.mark_window(window(*INCIDENT))
    assert marking.bands.bands == ()
    assert "no route" in marking.bands.notes[0]
    old = learnt(scene)
    await scene.run_for(2 * MINUTE)
    assert learnt(scene) == old
    scene.source.recover()
    await scene.run_for(2 * MINUTE)
    assert learnt(scene) != old
    assert monitor._watches["errors"].memory.marked.windows == (marking.window,)
    await monitor.close()


async def test_what_happens_in_a_maintenance_alerts_and_teaches_nothing():
    begin = START + 10 * MINUTE
    scene = Scene(target(detection_methods=("zscore",)))
    scene.source.play("q", spike(begin, begin + 3 * HOUR, height=30.0))
    monitor = await scene.open()
    await monitor.feedback.mark_window(window(begin, begin + 3 * HOUR, kind=WindowKind.MAINTENANCE))
    await scene.run_for(2 * HOUR)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.FIRING
    remarks = await monitor.feedback.remarks([alert, replace(alert, id="x", active_at=begin + 4 * HOUR)])
    assert remarks[alert.id].in_window == monitor.feedback.windows()[0]
    assert remarks["x"].in_window is None
    memory = monitor._watches["errors"].memory
    assert not memory.learn[:, memory.timestamps >= begin.timestamp()].any()
    assert memory.learnt.baseline.level[0] == pytest.approx(10.0, abs=1.0), "an hour of it is no new normal"
    await monitor.close()


async def test_windows_survive_a_restart_and_are_known_from_the_first_sample_on():
    scene = Scene(target(history=3 * DAY))
    scene.source.play("q", troubled(6.5, START + 50 * MINUTE))
    monitor = await scene.open()
    await scene.run_for(5 * MINUTE)
    marking = await monitor.feedback.mark_window(window(*INCIDENT))
    monitor = await scene.restart()
    assert list(monitor.feedback.windows()) == [marking.window]
    await scene.run_for(HOUR)
    assert [alert.active_at for alert in await scene.alerts()] == [START + 50 * MINUTE]
    await monitor.close()


@pytest.mark.parametrize(
    ("made", "error", "why"),
    [
        (window(START, START), Invalid, "end"),
        (window(START, START + 91 * DAY), Invalid, "90 days"),
        (window(START - 402 * DAY, START - 401 * DAY), Invalid, "400 days ago"),
        (window(START + 401 * DAY, START + 402 * DAY), Invalid, "ahead"),
        (window(START - HOUR, START, name="none"), Invalid, "target: there is no target named 'none'"),
    ],
)
async def test_windows_that_cannot_be_are_refused(made, error, why):
    scene = Scene(target())
    monitor = await scene.open()
    with pytest.raises(error, match=why):
        await monitor.feedback.mark_window(made)
    assert not monitor.feedback.windows()
    await monitor.close()


async def test_there_are_only_so_many_windows_and_what_is_not_kept_is_not_in_force():
    scene = Scene(target())
    monitor = await scene.open()
    scene.store.failing = StoreError("disk full")
    with pytest.raises(StoreError):
        await monitor.feedback.mark_window(window(START - HOUR, START))
    scene.store.failing = None
    assert not monitor.feedback.windows()
    assert not monitor._watches["errors"].marked.windows
    for number in range(MAX_WINDOWS):
        await scene.store.save_window(replace(window(START - HOUR, START), id=str(number)))
    monitor = await scene.restart()
    with pytest.raises(Conflict, match="1000"):
        await monitor.feedback.mark_window(window(START - 2 * HOUR, START))
    await monitor.close()


@pytest.mark.parametrize(("methods", "history"), [(("zscore", "iqr"), 0), (("auto",), 0), (("auto",), 2)])
async def test_a_new_normal_ends_its_alert_and_is_judged_from_there(methods, history):
    at, again = START + 10 * MINUTE, START + 80 * MINUTE

    def curve(grid):
        return shifted(at)(grid) + 20.0 * (grid == again.timestamp())

    scene = Scene(target(detection_methods=methods, history=history * DAY))
    scene.source.play("q", curve)
    monitor = await scene.open()
    await scene.run_for(30 * MINUTE)
    (alert,) = await scene.alerts()
    accepted = await monitor.feedback.accept_level("errors", Labels(), None, who="ann", note="a new release")
    assert (accepted.ended, accepted.acceptances[0].since) == ([alert.id], at)
    await scene.run_for(2 * HOUR)
    newest, oldest = await scene.alerts()
    assert (oldest.id, oldest.state) == (alert.id, AlertState.EXPIRED)
    assert [one.reason for one in await scene.transitions() if one.alert_id == alert.id][-1] is Reason.ACCEPTED
    assert newest.active_at == again, "what leaves the new level is found"
    assert newest.expected_value == pytest.approx(30.0, abs=3.0)
    monitor = await scene.restart()
    await scene.run_for(5 * MINUTE)
    assert len(await scene.alerts()) == 2, "a restart does not forget it"
    assert monitor.feedback.acceptances("errors") == accepted.acceptances
    await monitor.close()


async def test_only_the_series_that_are_named_are_accepted():
    scene = Scene(target(detection_methods=("zscore",)))
    for instance in ("a", "b"):
        scene.source.play("q", shifted(START + 10 * MINUTE), {"instance": instance})
    monitor = await scene.open()
    await scene.run_for(30 * MINUTE)
    accepted = await monitor.feedback.accept_level("errors", Labels({"instance": "b"}), None, who="ann", note="")
    await scene.run_for(HOUR)
    states = {alert.labels["instance"]: alert.state for alert in await scene.alerts()}
    assert states == {"a": AlertState.FIRING, "b": AlertState.EXPIRED}
    assert len(accepted.ended) == 1
    await monitor.close()


async def test_an_acceptance_that_is_taken_back_was_never_made_for_what_is_learnt():
    scene = Scene(target(detection_methods=("zscore",)))
    scene.source.play("q", shifted(START + 10 * MINUTE))
    monitor = await scene.open()
    await scene.run_for(30 * MINUTE)
    accepted = await monitor.feedback.accept_level("errors", Labels(), None, who="ann", note="")
    await scene.run_for(10 * MINUTE)
    assert monitor._watches["errors"].memory.learnt.baseline.level[0] == pytest.approx(30.0, abs=1.0)
    over = await monitor.feedback.end_acceptance(accepted.acceptances[0].id, "bob")
    assert (over.ended_by, over.ended_at) == ("bob", scene.clock.now())
    await scene.run_for(2 * MINUTE)
    assert monitor._watches["errors"].memory.learnt.baseline.level[0] == pytest.approx(10.0, abs=1.0)
    assert [one.ended_by for one in monitor.feedback.acceptances("errors")] == ["bob"], "it stays in the history"
    with pytest.raises(Conflict, match="already"):
        await monitor.feedback.end_acceptance(over.id, "ann")
    with pytest.raises(NotFound):
        await monitor.feedback.end_acceptance("accepted:none", "ann")
    await monitor.close()


async def test_what_cannot_be_accepted_says_why():
    scene = Scene(target(), target("new", enabled=False))
    scene.source.play("q", noise)
    monitor = await scene.open()
    accept = monitor.feedback.accept_level
    with pytest.raises(Conflict, match="is disabled"):
        await accept("new", Labels(), None, who="ann", note="")
    with pytest.raises(Conflict, match="not evaluated"):
        await accept("errors", Labels(), None, who="ann", note="")
    await scene.run_for(20 * MINUTE)
    with pytest.raises(NotFound):
        await accept("none", Labels(), None, who="ann", note="")
    with pytest.raises(Conflict, match="since when"):
        await accept("errors", Labels(), None, who="ann", note="")
    with pytest.raises(Invalid, match="labels"):
        await accept("errors", Labels({"a": "b"}), START, who="ann", note="")
    for at, why in ((scene.clock.now() + HOUR, "later than the newest"), (START - 401 * DAY, "400 days ago")):
        with pytest.raises(Invalid, match=f"at: .*{why}"):
            await accept("errors", Labels(), at, who="ann", note="")
    accepted = await accept("errors", Labels(), START, who="ann", note="")
    assert accepted.ended == []
    await scene.run_for(5 * MINUTE)
    assert monitor.view("errors").status.evaluations >= 24, "it goes on after each of these"
    await monitor.close()


async def test_a_verdict_stands_beside_an_alert_and_is_found_by_its_target():
    scene = Scene(target())
    scene.source.play("q", spike(START + 5 * MINUTE, START + 9 * MINUTE))
    monitor = await scene.open()
    await scene.run_for(20 * MINUTE)
    (alert,) = await scene.alerts()
    mark = await monitor.feedback.mark(alert.id, Verdict.FALSE, "ann", "a test")
    verdicts = await monitor.feedback.verdicts("errors", START)
    assert verdicts[alert.id].mark == mark
    assert verdicts[alert.id].alert == alert
    assert await monitor.feedback.verdicts("other", START) == {}
    monitor = await scene.restart()
    assert (await scene.store.alert(alert.id)).mark == mark
    assert await monitor.feedback.unmark(alert.id)
    assert not await monitor.feedback.unmark(alert.id)
    for verb in (monitor.feedback.unmark, lambda one: monitor.feedback.mark(one, Verdict.REAL, "ann", "")):
        with pytest.raises(NotFound):
            await verb("alert:none")
    await monitor.close()


async def test_what_was_accepted_for_a_target_that_is_deleted_is_over():
    scene = Scene(target(owner=Owner.API))
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(20 * MINUTE)
    await monitor.feedback.accept_level("errors", Labels(), START, who="ann", note="")
    await monitor.delete_target("errors")
    (one,) = monitor.feedback.acceptances("errors")
    assert (one.kind, one.ended_by) == (AcceptanceKind.LEVEL, "the target was deleted")
    assert not monitor.feedback.marked("errors").levels
    await monitor.close()


@pytest.mark.parametrize("stride", [1, 7])
async def test_a_back_test_knows_what_people_said(stride):
    watched = target(check_interval=stride * MINUTE, history=2 * DAY)
    scene = Scene(watched)
    scene.source.play("q", shifted(START + 10 * MINUTE))
    monitor = await scene.open()
    await scene.run_for(timedelta(minutes=35))
    await monitor.feedback.accept_level("errors", Labels(), None, who="ann", note="")
    await scene.run_for(2 * HOUR)
    last = scene.source.requests[-1].window.end
    result = await monitor.backtest(watched, START - 30 * MINUTE, last)
    (replayed,) = result.alerts
    (alert,) = await scene.alerts()
    assert replayed.id == alert.id
    assert replayed.ends_at is not None, "the accepted level holds it no more"
    newest = monitor._watches["errors"].memory.learnt.auto
    assert np.isnan(newest.anchor[:, 0]).all()
    await monitor.close()
