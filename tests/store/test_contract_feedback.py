"""What people say afterwards: what every store must do."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.store.builders import MINUTE, T0, acknowledgement, alert, anomaly, begun, ended, mark
from tocsin.detect import Severity
from tocsin.domain.alert import AlertState
from tocsin.domain.errors import NotFound
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.feedback import (
    OCCASION,
    REMEMBERED,
    Acceptance,
    AcceptanceKind,
    Firing,
    MarkedAlert,
    MarkedWindow,
    Slot,
    Verdict,
    WindowKind,
)
from tocsin.domain.labels import Labels
from tocsin.domain.ports import AlertFilter, Page, Retention, Store
from tocsin.domain.proposal import Change, Difference, Proposal, ProposalKind, ProposalState, Step
from tocsin.domain.source_alert import datasource_alert, words_of

ODD = Labels({"path": "a\x00b\x1a\ud800", "": "ü"})
WINDOW = MarkedWindow(
    "window:1", WindowKind.INCIDENT, "cpu_usage", ODD, T0, T0 + MINUTE, "ann\x00", "disk\x1a", T0 + MINUTE
)
ACCEPTED = Acceptance(
    "accepted:1",
    AcceptanceKind.RECURRING,
    "cpu_usage",
    ODD,
    T0,
    "ann",
    "\ud800",
    since=T0 - MINUTE,
    slot=Slot(110, 150, "Europe/Berlin", (0, 6)),
    most_above=1.5,
    expires_at=T0 + timedelta(days=90),
)
DIFFERENCE = Difference(T0, T0 + MINUTE, 6, 3, 2, 2, 1, 1, T0, ("cut",))
PROPOSED = Proposal(
    "proposal:1",
    "cpu_usage",
    Change(ProposalKind.EXCLUDE, 0.5, ODD, Slot(0, 1)),
    "because \ud800",
    ("alert:1",),
    T0,
    T0,
    ProposalState.APPLIED,
    DIFFERENCE,
    0.25,
    ("accepted:1",),
    (Step(ProposalState.APPLIED, "ann", "try\x00", T0),),
)


async def test_a_verdict_stands_beside_its_alert_until_it_is_taken_back(store: Store) -> None:
    one, other = alert("a"), alert("b")
    await store.save_evaluations([begun(one), begun(other)])
    await store.acknowledge([acknowledgement(one)])
    first, second = mark(one), mark(one, Verdict.REAL, T0 + MINUTE, "it was\x00")
    await store.mark(first)
    assert (await store.alert(one.id)).mark == first
    await store.mark(second)
    await store.save_evaluations([ended(one, T0 + MINUTE)])
    records = (await store.alerts(AlertFilter(states=tuple(AlertState)), Page())).items
    assert {record.alert.id: record.mark for record in records} == {one.id: second, other.id: None}
    story = await store.alert(one.id)
    assert (story.mark, story.acknowledgement) == (second, acknowledgement(one))
    assert await store.unmark(one.id)
    assert not await store.unmark(one.id)
    assert (await store.alert(one.id)).mark is None


async def test_an_unknown_alert_cannot_be_marked(store: Store) -> None:
    with pytest.raises(NotFound, match="alert:none"):
        await store.mark(replace(mark(alert()), alert_id="alert:none"))


async def test_marks_are_those_of_one_target_the_newest_first(store: Store) -> None:
    old, one, two, other = alert("old"), alert("a"), alert("b"), alert("c", target_name="other")
    await store.save_evaluations([begun(each) for each in (old, one, two, other)] + [ended(old, T0 + MINUTE)])
    for number, each in enumerate((old, two, one, other)):
        await store.mark(mark(each, at=T0 + number * MINUTE))
    kept = {each.id: each for each in await store.active_alerts()}
    found = await store.marks("cpu_usage", T0 + 2 * MINUTE)
    assert list(found) == [
        MarkedAlert(kept[one.id], mark(one, at=T0 + 2 * MINUTE)),
        MarkedAlert(kept[two.id], mark(two, at=T0 + MINUTE)),
    ]
    assert len(await store.marks("cpu_usage", T0)) == 3
    assert len(await store.marks(None, T0)) == 4


async def test_windows_are_kept_until_they_are_deleted(store: Store) -> None:
    everywhere = replace(WINDOW, id="window:2", target_name=None, kind=WindowKind.MAINTENANCE, start=T0 - MINUTE)
    await store.save_window(everywhere)
    await store.save_window(WINDOW)
    assert list(await store.windows()) == [WINDOW, everywhere]
    await store.delete_window(WINDOW.id)
    assert list(await store.windows()) == [everywhere]
    with pytest.raises(NotFound, match="window:1"):
        await store.delete_window(WINDOW.id)


async def test_what_was_accepted_comes_back_as_it_was_and_in_its_last_form(store: Store) -> None:
    later = replace(ACCEPTED, id="accepted:2", kind=AcceptanceKind.LEVEL, at=T0 + MINUTE, slot=None, since=None)
    await store.save_acceptances([])
    await store.save_acceptances([ACCEPTED, later])
    assert list(await store.acceptances()) == [later, ACCEPTED]
    over = replace(ACCEPTED, ended_at=T0 + MINUTE, ended_by="bob")
    await store.save_acceptances([over])
    assert list(await store.acceptances()) == [later, over]


async def test_proposals_come_back_as_they_were_and_some_replace_others_at_once(store: Store) -> None:
    second = replace(PROPOSED, id="proposal:2", updated_at=T0 + MINUTE, state=ProposalState.OPEN, difference=None)
    second = replace(second, aside=True)
    await store.save_proposals([PROPOSED, second])
    assert list(await store.proposals()) == [second, PROPOSED]
    third = replace(second, id="proposal:3", change=Change(ProposalKind.FLOOR, 1e-300), history=())
    reverted = replace(PROPOSED, state=ProposalState.REVERTED, updated_at=T0 + 2 * MINUTE)
    await store.save_proposals([third, reverted], drop=[second.id, "proposal:none"])
    assert list(await store.proposals()) == [reverted, third]


async def test_firings_are_those_that_began_to_fire(store: Store) -> None:
    old, new, pending = alert("a", at=T0 - MINUTE), alert("b"), alert("c", state=AlertState.PENDING, starts_at=None)
    broken = datasource_alert("prometheus", words_of("prometheus", "refused"), None, T0)
    await store.save_evaluations([begun(old), begun(new), begun(pending), broken])
    both = [Firing(each.id, "cpu_usage", each.labels, each.starts_at, 77.25) for each in (new, old)]
    assert list(await store.firings(T0 - MINUTE, 10)) == both
    assert list(await store.firings(T0 - MINUTE, 1)) == both[:1]
    assert list(await store.firings(T0, 10)) == both[:1]


async def test_what_is_held_back_is_what_stood_out_and_never_fired_by_occasion(store: Store) -> None:
    fired, waiting, other = alert("a"), alert("b", state=AlertState.PENDING, starts_at=None), alert("c")
    night = T0 - 10 * MINUTE
    weak = [
        anomaly(other, at=night + n * MINUTE, alert_id=None, evidence_id=None, value=20.25 + height, severity=severity)
        for n, (height, severity) in enumerate(((4.0, Severity.LOW), (-9.0, Severity.MEDIUM), (5.0, Severity.LOW)))
    ]
    later = anomaly(
        other, at=night + 2 * OCCASION, alert_id=None, evidence_id=None, value=math.nan, severity=Severity.HIGH
    )
    early = anomaly(other, at=night - 3 * OCCASION, alert_id=None, evidence_id=None)
    found = Evaluation("cpu_usage", T0, (*weak, later, early))
    await store.save_evaluations([begun(fired), begun(waiting), found])
    kept = list(await store.held_back(T0 - OCCASION, 10))
    pending = Firing(None, "cpu_usage", waiting.labels, T0, 77.25, waiting.severity)
    wanted = [Firing(None, "cpu_usage", other.labels, night + 2 * OCCASION, 0.0, Severity.HIGH), pending]
    assert kept[:2] == wanted, "that of an alert that fired is told elsewhere"
    runs = {one.starts_at: one.deviation for one in kept[2:]}
    assert min(runs) == night
    assert -9.0 in runs.values()
    assert Severity.MEDIUM in {one.severe for one in kept[2:]}
    assert list(await store.held_back(T0 - OCCASION, 1)) == wanted[:1]
    assert len(await store.held_back(T0 - 4 * OCCASION, 10)) == len(kept) + 1


async def test_what_people_said_goes_when_nothing_reaches_back_to_it(store: Store) -> None:
    gone, living = alert("gone"), alert("living")
    await store.save_evaluations([begun(gone), begun(living), ended(gone, T0 + MINUTE)])
    await store.mark(mark(gone))
    await store.mark(mark(living))
    await store.save_window(WINDOW)
    await store.save_acceptances([ACCEPTED])
    await store.save_proposals([PROPOSED])
    hour = Retention(max_age_s=3600.0)
    # Two anomalies; of the alert that ended: itself, two transitions, its evidence, its verdict; the proposal.
    assert await store.prune(hour, T0 + timedelta(days=1)) == 2 + 5 + 1
    assert [one.alert.id for one in await store.marks("cpu_usage", T0)] == [living.id]
    assert len(await store.windows()) == len(await store.acceptances()) == 1
    assert not await store.proposals()
    assert await store.prune(hour, WINDOW.end + REMEMBERED + MINUTE) == 1
    assert not await store.windows()
    assert await store.acceptances(), "it is over since the ninetieth day only"
    assert await store.prune(hour, T0 + timedelta(days=90) + REMEMBERED + MINUTE) == 1
    assert not await store.acceptances()


async def test_nothing_is_changed_by_an_evaluation_that_is_saved_again(store: Store) -> None:
    one = alert()
    whole: list[Evaluation] = [begun(one), ended(one, T0 + MINUTE)]
    await store.save_evaluations(whole)
    await store.mark(mark(one))
    await store.save_evaluations(whole)
    assert (await store.alert(one.id)).mark == mark(one)
