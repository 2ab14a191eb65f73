"""Proposals: they follow from verdicts, a back-test says what they change, people apply them and take them back."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, START, Scene, noise, target
from tocsin.domain.errors import Conflict, NotFound, StoreError
from tocsin.domain.feedback import Mark, MarkedWindow, Verdict, WindowKind
from tocsin.domain.labels import Labels
from tocsin.domain.proposal import Change, ProposalKind, ProposalState
from tocsin.domain.propose import hides
from tocsin.domain.target import Owner
from tocsin.monitor.proposals import Deed
from tocsin.monitor.weighing import greater

ANN = Deed("ann", "looks right")
FALSE_AT = (START + 20 * MINUTE, START + 100 * MINUTE)
REAL_AT = START + 160 * MINUTE


def curve(grid):
    values = noise(grid)
    for at in FALSE_AT:
        values = values + 8.0 * (np.abs(grid - at.timestamp()) < 100)
    return values + 40.0 * (np.abs(grid - REAL_AT.timestamp()) < 100)


async def judged(watched=None, series=("a",)):
    """A scene in which three alerts came and are marked: two false, one real."""
    watched = watched or target()
    scene = Scene()
    for name in series:
        scene.source.play("q", curve, {"instance": name})
    monitor = scene.monitor
    await monitor.open([watched] if watched.owner is Owner.FILE else [])
    if watched.owner is Owner.API:
        await monitor.create_target(watched)
    await scene.run_for(timedelta(hours=4))
    return scene, monitor


async def mark_all(scene, monitor):
    alerts = sorted(await scene.alerts(), key=lambda one: one.active_at)
    for one in alerts:
        small = abs(one.value - one.expected_value) < 20
        await monitor.proposals.mark(one.id, Verdict.FALSE if small else Verdict.REAL, "ann", "")
    return alerts


async def proposed(monitor, kind):
    return next(one for one in await monitor.proposals.proposals("errors") if one.change.kind is kind)


@pytest.fixture
async def scene():
    from tocsin.detect import Severity

    made, monitor = await judged(target(severity_threshold=Severity.HIGH))
    yield made
    await monitor.close()


async def test_a_change_follows_from_verdicts_is_compared_applied_and_taken_back(scene):
    monitor = scene.monitor
    assert await monitor.proposals.proposals() == []
    alerts = await mark_all(scene, monitor)
    assert len(alerts) == 3
    floor = await proposed(monitor, ProposalKind.FLOOR)
    assert (floor.state, floor.difference) == (ProposalState.OPEN, None)
    assert set(floor.evidence) == {one.id for one in alerts[:2]}
    compared = (await monitor.proposals.compared(floor.id)).difference
    assert (compared.alerts_before, compared.alerts_after) == (3, 1)
    assert (compared.false_seen, compared.false_removed, compared.real_seen, compared.real_kept) == (2, 2, 1, 1)
    assert monitor.view("errors").target.min_effect == 0.0, "nothing is changed before a person says so"

    applied = await monitor.proposals.apply(floor.id, ANN)
    assert (applied.state, applied.before) == (ProposalState.APPLIED, 0.0)
    assert monitor.view("errors").target.min_effect == floor.change.number
    with pytest.raises(Conflict, match="is applied"):
        await monitor.proposals.compared(floor.id)
    assert (await monitor.proposals.proposal(floor.id)).difference == compared, "what was promised is kept"
    assert {one.state for one in await monitor.proposals.proposals()} == {ProposalState.APPLIED}, (
        "those alerts are done"
    )
    monitor = await scene.restart()
    reverted = await monitor.proposals.revert(floor.id, Deed("bob"))
    assert monitor.view("errors").target.min_effect == 0.0
    assert [(step.state, step.who) for step in reverted.history] == [
        (ProposalState.APPLIED, "ann"),
        (ProposalState.REVERTED, "bob"),
    ]
    assert reverted.difference == compared
    assert ProposalKind.RATIO in {
        one.change.kind for one in await monitor.proposals.proposals() if one.state is ProposalState.OPEN
    }
    again = await monitor.proposals.apply(floor.id, ANN)
    assert (again.state, again.before) == (ProposalState.APPLIED, 0.0), "what was taken back can be made again"
    assert monitor.view("errors").target.min_effect == floor.change.number
    with pytest.raises(Conflict, match="is applied, not open or reverted"):
        await monitor.proposals.apply(floor.id, ANN)


async def test_incidents_that_it_would_miss_are_said(scene):
    monitor = scene.monitor
    await mark_all(scene, monitor)
    begin = FALSE_AT[0] - 5 * MINUTE
    incident = MarkedWindow("", WindowKind.INCIDENT, "errors", Labels(), begin, begin + 10 * MINUTE, "ann", "", START)
    await monitor.feedback.mark_window(incident)
    floor = await proposed(monitor, ProposalKind.FLOOR)
    compared = (await monitor.proposals.compared(floor.id)).difference
    assert "1 of 1 marked incident that alerts catch would be missed" in compared.notes


def test_a_number_is_raised_but_no_threshold_to_where_nothing_is_told():
    threshold, floor = Change(ProposalKind.THRESHOLD, 5.5), Change(ProposalKind.FLOOR, 5.5)
    assert [one.number for one in greater(threshold, 6.5)] == [5.5]
    assert [one.number for one in greater(threshold, 38.0)] == [5.5, 6.88, 8.8, 13.8]
    assert [one.number for one in greater(floor, 6.5)] == [5.5, 6.88, 8.8, 13.8]


async def test_a_number_that_changes_nothing_is_raised_until_it_does_and_both_are_said(scene):
    monitor = scene.monitor
    first, *_ = await mark_all(scene, monitor)
    floor = await proposed(monitor, ProposalKind.FLOOR)
    small = replace(floor.change, number=floor.change.number / 1.55)
    await scene.store.save_proposals([replace(floor, change=small)])
    raised = await monitor.proposals.compared(floor.id)
    assert (raised.state, raised.id) == (ProposalState.OPEN, floor.id)
    assert raised.change.number == pytest.approx(1.6 * small.number, rel=0.01)
    assert (raised.difference.false_removed, raised.difference.real_kept) == (2, 1)
    assert raised.why.endswith(
        f"with {small.number:g} what was marked comes as before, with {raised.change.number:g} not"
    )
    await monitor.proposals.mark(first.id, Verdict.FALSE, "ann", "again")
    again = await monitor.proposals.proposal(floor.id)
    assert (again.change, again.difference) == (raised.change, raised.difference)
    words = f"with {floor.change.number:g} what was marked comes as before, with {raised.change.number:g} not"
    assert again.why == f"{floor.why}; {words}"
    await monitor.proposals.apply(floor.id, ANN)
    assert monitor.view("errors").target.min_effect == raised.change.number


async def test_a_number_that_was_raised_stays_so_while_another_change_is_applied_and_taken_back(scene):
    monitor = scene.monitor
    await mark_all(scene, monitor)
    floor, ratio = await proposed(monitor, ProposalKind.FLOOR), await proposed(monitor, ProposalKind.RATIO)
    small = replace(ratio.change, number=ratio.change.number / 1.55)
    await scene.store.save_proposals([replace(ratio, change=small)])
    raised = await monitor.proposals.compared(ratio.id)
    assert raised.change.number > small.number
    await monitor.proposals.apply(floor.id, ANN)
    with pytest.raises(NotFound, match="another that is about the same alerts"):
        await monitor.proposals.proposal(ratio.id)
    monitor = await scene.restart()
    await monitor.proposals.revert(floor.id, ANN)
    again = await proposed(monitor, ProposalKind.RATIO)
    assert (again.change, again.difference) == (raised.change, raised.difference)


async def test_a_number_is_not_raised_over_an_alert_marked_real_nor_stays_so(scene):
    monitor = scene.monitor
    first, *_, last = await mark_all(scene, monitor)
    floor = await proposed(monitor, ProposalKind.FLOOR)
    # One that no back-test of the last fortnight finds again.
    ago = {key: START - timedelta(days=20) for key in ("active_at", "starts_at", "ends_at")}
    other = replace(first, id="alert:other", value=first.expected_value + 8.0, **ago)
    scene.store._alerts[other.id] = other
    await scene.store.mark(Mark(other.id, Verdict.REAL, "ann", "", START))
    await scene.store.save_proposals([replace(floor, change=replace(floor.change, number=floor.change.number / 1.55))])
    assert (await monitor.proposals.compared(floor.id)).state is ProposalState.DISMISSED
    await scene.store.unmark(other.id)
    over = replace(floor.change, number=100.0)
    await scene.store.save_proposals([replace(floor, change=over)])
    with pytest.raises(Conflict, match=f"keep away 1 alert marked real, such as {last.id}"):
        await monitor.proposals.apply(floor.id, ANN)
    await monitor.proposals.mark(last.id, Verdict.REAL, "ann", "again")
    assert (await monitor.proposals.proposal(floor.id)).change == floor.change


async def test_what_was_taken_back_is_held_against_the_verdicts_of_now(scene):
    monitor = scene.monitor
    first, second, _ = sorted(await scene.alerts(), key=lambda one: one.active_at)
    await monitor.proposals.mark(first.id, Verdict.FALSE, "ann", "")
    floor = await proposed(monitor, ProposalKind.FLOOR)
    await monitor.proposals.apply(floor.id, ANN)
    await monitor.proposals.revert(floor.id, ANN)
    assert (await monitor.proposals.proposal(floor.id)).why == floor.why
    await monitor.proposals.mark(first.id, Verdict.REAL, "ann", "it was the disk")
    stale = await monitor.proposals.proposal(floor.id)
    assert stale.state is ProposalState.REVERTED
    assert stale.why == "of the target and its verdicts as they are now it does not follow any more"
    with pytest.raises(Conflict, match=f"keep away 1 alert marked real, such as {first.id}"):
        await monitor.proposals.apply(floor.id, ANN)
    assert monitor.view("errors").target.min_effect == 0.0
    difference = (await monitor.proposals.compared(floor.id)).difference
    assert (difference.real_seen, difference.real_kept) == (1, 0)
    await monitor.proposals.mark(first.id, Verdict.FALSE, "ann", "no, a test")
    assert (await monitor.proposals.apply(floor.id, ANN)).state is ProposalState.APPLIED
    await monitor.proposals.mark(first.id, Verdict.REAL, "ann", "it was")
    await monitor.proposals.mark(second.id, Verdict.FALSE, "ann", "")
    left = [one for one in await monitor.proposals.proposals() if one.state is ProposalState.OPEN]
    assert not any(hides(monitor.view("errors").target, one.change, first) for one in left), "real is real"


async def test_what_changes_nothing_however_far_it_is_raised_is_no_longer_offered(scene):
    monitor = scene.monitor
    first, *_ = await mark_all(scene, monitor)
    floor = await proposed(monitor, ProposalKind.FLOOR)
    await scene.store.save_proposals([replace(floor, change=replace(floor.change, number=0.01))])
    withdrawn = await monitor.proposals.compared(floor.id)
    (step,) = withdrawn.history
    assert (withdrawn.state, step.who) == (ProposalState.DISMISSED, "tocsin")
    assert step.note == "no longer offered: with it what was marked comes as before in 14 days"
    assert withdrawn.difference.alerts_before == withdrawn.difference.alerts_after
    with pytest.raises(Conflict, match="dismissed"):
        await monitor.proposals.apply(floor.id, ANN)
    await monitor.proposals.mark(first.id, Verdict.FALSE, "ann", "again")
    assert (await monitor.proposals.proposal(floor.id)).state is ProposalState.DISMISSED


async def test_what_a_person_has_changed_since_is_not_overwritten(scene):
    monitor = scene.monitor
    await mark_all(scene, monitor)
    floor = await proposed(monitor, ProposalKind.FLOOR)
    await monitor.proposals.apply(floor.id, ANN)
    await monitor.update_target(replace(monitor.view("errors").target, min_effect=77.0), None)
    with pytest.raises(Conflict, match="77"):
        await monitor.proposals.revert(floor.id, ANN)
    assert (await monitor.proposals.proposal(floor.id)).state is ProposalState.APPLIED


async def test_what_was_applied_to_a_target_that_is_deleted_can_be_taken_back(scene):
    monitor = scene.monitor
    await mark_all(scene, monitor)
    floor = await proposed(monitor, ProposalKind.FLOOR)
    await monitor.proposals.apply(floor.id, ANN)
    await monitor.delete_target("errors")
    reverted = await monitor.proposals.revert(floor.id, ANN)
    assert reverted.state is ProposalState.REVERTED
    assert await monitor.proposals.proposals("errors") == [reverted]


async def test_what_is_about_a_deleted_target_is_not_done_to_another_of_its_name(scene):
    monitor = scene.monitor
    await mark_all(scene, monitor)
    floor = await proposed(monitor, ProposalKind.FLOOR)
    await monitor.proposals.apply(floor.id, ANN)
    await monitor.proposals.revert(floor.id, ANN)
    assert any(one.state is ProposalState.OPEN for one in await monitor.proposals.proposals("errors"))
    await monitor.delete_target("errors")
    assert [one.id for one in await monitor.proposals.proposals("errors")] == [floor.id], "what was done is history"
    await scene.run_for(timedelta(minutes=1))
    await monitor.create_target(target(query="another"))
    with pytest.raises(Conflict, match="deleted before this one was made"):
        await monitor.proposals.apply(floor.id, ANN)
    assert monitor.view("errors").target.min_effect == 0


async def test_at_steps_of_a_second_a_change_is_compared_over_less_and_it_is_said(scene, monkeypatch):
    monkeypatch.setattr("tocsin.monitor.proposals.MAX_COLUMNS", 121)
    await mark_all(scene, scene.monitor)
    floor = await proposed(scene.monitor, ProposalKind.FLOOR)
    difference = (await scene.monitor.proposals.compared(floor.id)).difference
    assert difference.end - difference.start == timedelta(hours=2)
    assert difference.notes[-1] == "compared over 2 h: a back-test has at most 121 steps"


async def test_a_verdict_that_is_taken_back_takes_its_proposals_along_and_dismissed_ones_do_not_come_again(scene):
    monitor = scene.monitor
    first, second, _ = await mark_all(scene, monitor)
    floor = await proposed(monitor, ProposalKind.FLOOR)
    await monitor.proposals.dismiss(floor.id, ANN)
    await monitor.proposals.mark(first.id, Verdict.FALSE, "ann", "again")
    assert (await monitor.proposals.proposal(floor.id)).state is ProposalState.DISMISSED
    for one in (first, second):
        await monitor.proposals.unmark(one.id)
    assert [one.id for one in await monitor.proposals.proposals()] == [floor.id]
    with pytest.raises(Conflict, match="dismissed"):
        await monitor.proposals.dismiss(floor.id, ANN)
    for verb in (monitor.proposals.apply, monitor.proposals.revert, monitor.proposals.dismiss):
        with pytest.raises(NotFound):
            await verb("proposal:none", ANN)


async def test_a_change_that_is_not_kept_is_not_made(scene):
    monitor = scene.monitor
    await mark_all(scene, monitor)
    floor = await proposed(monitor, ProposalKind.FLOOR)
    scene.store.failing = StoreError("disk full")
    with pytest.raises(StoreError):
        await monitor.proposals.apply(floor.id, ANN)
    scene.store.failing = None
    assert monitor.view("errors").target.min_effect == 0.0
    assert (await monitor.proposals.proposal(floor.id)).state is ProposalState.OPEN


async def test_series_that_are_excluded_are_found_and_do_not_alert_until_that_is_taken_back():
    scene, monitor = await judged(target(), series=("a", "b"))
    alerts = await scene.alerts()
    false = [one for one in alerts if one.labels["instance"] == "a"]
    for one in false:
        await monitor.proposals.mark(one.id, Verdict.FALSE, "ann", "")
    excluded = await proposed(monitor, ProposalKind.EXCLUDE)
    assert excluded.change.labels == Labels({"instance": "a"})
    difference = (await monitor.proposals.compared(excluded.id)).difference
    assert difference.alerts_after * 2 == difference.alerts_before, "those of b stay, those of a go, marked or not"
    assert difference.false_removed == difference.false_seen == len(false)
    assert await scene.alerts() == alerts, "a back-test changes nothing"
    applied = await monitor.proposals.apply(excluded.id, ANN)
    (one,) = monitor.feedback.acceptances("errors")
    assert applied.acceptance_ids == (one.id,)
    assert (one.who, one.expires_at) == ("ann", scene.clock.now() + timedelta(days=90))
    scene.source.play("q", lambda grid: 60.0 + noise(grid), {"instance": "a"})
    scene.source.play("q", lambda grid: 60.0 + noise(grid), {"instance": "b"})
    await scene.run_for(5 * MINUTE)
    new = [one for one in await scene.alerts() if one not in alerts]
    assert [one.labels["instance"] for one in new] == ["b"]
    said = f"of series with {Labels({'instance': 'a'})} nothing is told until {one.expires_at:%Y-%m-%d}: {one.id}"
    assert said in monitor.view("errors").status.warnings
    from tocsin.domain.ports import AnomalyFilter, Page

    which = AnomalyFilter(labels=Labels({"instance": "a"}), since=new[0].active_at)
    assert (await scene.store.anomalies(which, Page())).total > 0, "it is recorded, not dropped"
    await monitor.proposals.revert(excluded.id, ANN)
    await scene.run_for(5 * MINUTE)
    assert sum(one.active for one in await scene.alerts()) == 2
    assert said not in monitor.view("errors").status.warnings
    await monitor.close()


async def test_hours_of_their_own_raise_the_threshold_there_and_nowhere_else():
    scene, monitor = await judged(target(detection_methods=("zscore",), sigma_threshold=4.5))
    for n, one in enumerate(sorted(await scene.alerts(), key=lambda one: one.active_at)[:2]):
        # As if it had been a day apart, at the same time of day.
        at = START + timedelta(minutes=20, days=-n)
        moved = replace(one, id=f"alert:{n}", active_at=at, starts_at=at, ends_at=at + MINUTE, updated_at=at)
        scene.store._alerts[moved.id] = moved
        await monitor.proposals.mark(moved.id, Verdict.EXPECTED, "ann", "backup")
    hours = await proposed(monitor, ProposalKind.HOURS)
    assert (hours.change.slot.begin, hours.change.slot.end) == (12 * 60, 12 * 60 + 59)
    difference = (await monitor.proposals.compared(hours.id)).difference
    assert difference.alerts_before - difference.alerts_after == 1, "the one at 12:20; those at 13:40 and 14:40 stay"
    assert (difference.expected_seen, difference.expected_removed, difference.false_seen) == (1, 1, 0)
    await monitor.proposals.apply(hours.id, ANN)
    assert monitor._watches["errors"].marked.exempt == tuple(monitor.feedback.acceptances())
    await monitor.close()


async def test_the_file_s_targets_are_changed_in_the_file_and_it_is_said_how():
    scene, monitor = await judged(target(owner=Owner.FILE))
    await mark_all(scene, monitor)
    floor = await proposed(monitor, ProposalKind.FLOOR)
    with pytest.raises(Conflict, match=rf"targets:\n  - name: errors\n    min_effect: {floor.change.number:g}"):
        await monitor.proposals.apply(floor.id, ANN)
    assert (await monitor.proposals.proposal(floor.id)).state is ProposalState.OPEN
    assert (await monitor.proposals.compared(floor.id)).difference.false_removed == 2
    await monitor.close()


async def test_a_level_is_compared_as_if_accepted_when_it_was_proposed_and_is_accepted_from_now_on():
    scene = Scene(target(detection_methods=("zscore",)))
    scene.source.play("q", lambda grid: noise(grid) + 30.0 * (grid >= (START + 5 * MINUTE).timestamp()))
    monitor = await scene.open()
    await scene.run_for(timedelta(hours=2))
    (alert,) = await scene.alerts()
    await monitor.proposals.mark(alert.id, Verdict.EXPECTED, "ann", "more users")
    level = await proposed(monitor, ProposalKind.LEVEL)
    difference = (await monitor.proposals.compared(level.id)).difference
    assert difference.alerts_before == difference.alerts_after, "it begins all the same"
    (note,) = difference.notes
    assert "last 1.1 h in all; without that 1.9 h" in note
    assert (await scene.alerts())[0].active, "a comparison accepts nothing"
    applied = await monitor.proposals.apply(level.id, ANN)
    assert not (await scene.alerts())[0].active
    await scene.run_for(30 * MINUTE)
    assert len(await scene.alerts()) == 1
    await monitor.proposals.revert(level.id, ANN)
    assert monitor.feedback.acceptances()[0].ended_by == "ann"
    assert applied.acceptance_ids == (monitor.feedback.acceptances()[0].id,)
    await monitor.close()
