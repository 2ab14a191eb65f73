"""The alert log and its history: what every store must do."""

import asyncio
from dataclasses import replace

import pytest

from tests.store.builders import MINUTE, T0, acknowledgement, alert, anomaly, begun, ended, evidence, move, over
from tocsin.detect import Severity
from tocsin.domain.alert import Alert, AlertKind, AlertState, Reason
from tocsin.domain.errors import NotFound, StoreError
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.facts import Facts
from tocsin.domain.labels import Labels
from tocsin.domain.ports import AlertFilter, AnomalyFilter, Page, Store

ALL = Page(limit=1000)


async def ids(store: Store, which: AlertFilter, page: Page = ALL) -> list[str]:
    return [record.alert.id for record in (await store.alerts(which, page)).items]


async def everything(store: Store) -> object:
    return (
        await store.alerts(AlertFilter(states=tuple(AlertState)), ALL),
        await store.anomalies(AnomalyFilter(), ALL),
        await store.transitions_after(0, 1000),
    )


async def test_what_is_saved_comes_back_whole(store: Store) -> None:
    labels = Labels({"instance": 'we"b\\1', "job": "ünï\n\x00\x1a\x07", "path": "/a b", "empty": ""})
    evaluation = begun(alert(labels=labels, unit="bytes"))
    await store.save_evaluations([evaluation])
    (kept,) = evaluation.alerts
    assert await store.active_alerts() == [kept]
    story = await store.alert(kept.id)
    assert (story.alert, story.acknowledgement) == (kept, None)
    assert list(story.transitions) == list(evaluation.transitions)
    assert list(story.evidence) == list(evaluation.evidence)
    assert await store.evidence(evaluation.evidence[0].id) == evaluation.evidence[0]
    assert list((await store.anomalies(AnomalyFilter(), ALL)).items) == list(evaluation.anomalies)
    assert kept.updated_at.microsecond == (await store.active_alerts())[0].updated_at.microsecond == 123_457


async def test_a_datasource_alert_has_no_numbers(store: Store) -> None:
    bare = alert(
        target_name="datasource:prometheus", kind=AlertKind.DATASOURCE, value=None, expected_value=None, sigma=None,
        confidence=None, methods=(), last_seen_at=None,
    )  # fmt: skip
    await store.save_evaluations([Evaluation(bare.target_name, T0, (), (bare,), (move(bare),))])
    assert await store.active_alerts() == [bare]


async def test_saving_the_same_again_changes_nothing(store: Store) -> None:
    first, last = begun(alert()), ended(alert(), T0 + MINUTE)
    await store.save_evaluations([first, last])
    before = await everything(store)
    await store.save_evaluations([first])
    await store.save_evaluations([first, last])
    assert await everything(store) == before


async def test_an_ended_alert_never_comes_back(store: Store) -> None:
    living = alert()
    await store.save_evaluations([begun(living), ended(living, T0 + MINUTE)])
    later = replace(living, updated_at=T0 + 5 * MINUTE, anomaly_count=9)
    await store.save_evaluations([Evaluation(living.target_name, later.updated_at, (), (later,))])
    assert await store.active_alerts() == []
    again = over(living, T0 + 9 * MINUTE, AlertState.EXPIRED)
    await store.save_evaluations([Evaluation(living.target_name, again.updated_at, (), (again,))])
    assert (await store.alert(living.id)).alert.state is AlertState.RESOLVED


async def test_an_older_form_does_not_replace_a_newer_one_but_an_end_always_does(store: Store) -> None:
    living = alert()
    newer = replace(living, updated_at=T0 + 5 * MINUTE, anomaly_count=5)
    await store.save_evaluations([Evaluation(living.target_name, T0, (), (newer,))])
    await store.save_evaluations([Evaluation(living.target_name, T0, (), (living,))])
    assert await store.active_alerts() == [newer]
    await store.save_evaluations([ended(living, T0 + MINUTE)])
    assert await store.active_alerts() == []


async def test_all_evaluations_are_kept_or_none(store: Store) -> None:
    stray = replace(move(alert("z")), alert_id="alert:unknown")
    with pytest.raises(StoreError):
        await store.save_evaluations([begun(alert()), Evaluation("cpu_usage", T0, transitions=(stray,))])
    assert await store.active_alerts() == []
    assert await store.last_sequence() == 0
    assert (await store.anomalies(AnomalyFilter(), ALL)).total == 0
    await store.save_evaluations([begun(alert())])
    assert len(await store.active_alerts()) == 1


async def test_saving_nothing_is_allowed(store: Store) -> None:
    await store.save_evaluations([])
    await store.save_evaluations([Evaluation("cpu_usage", T0)])
    await store.acknowledge([])
    assert await store.unacknowledge([]) == []


async def test_evaluations_saved_side_by_side_all_last(store: Store) -> None:
    await asyncio.gather(*(store.save_evaluations([begun(alert(str(number)))]) for number in range(20)))
    assert len(await store.active_alerts()) == 20
    sequences = [one.sequence for one in await store.transitions_after(0, 100)]
    assert sequences == sorted(set(sequences))
    assert len(sequences) == 20


async def test_an_acknowledgement_outlives_every_later_evaluation(store: Store) -> None:
    living = alert()
    await store.save_evaluations([begun(living)])
    await store.acknowledge([acknowledgement(living, "ann", "looking")])
    worse = replace(living, severity=Severity.CRITICAL, updated_at=T0 + MINUTE)
    await store.save_evaluations([Evaluation(living.target_name, T0, (), (worse,)), ended(worse, T0 + 2 * MINUTE)])
    said = (await store.alert(living.id)).acknowledgement
    assert said == acknowledgement(living, "ann", "looking")
    assert (await store.alerts(AlertFilter(), ALL)).items[0].acknowledgement == said
    await store.acknowledge([acknowledgement(living, "bob", "", T0 + MINUTE)])
    assert (await store.alert(living.id)).acknowledgement == acknowledgement(living, "bob", "", T0 + MINUTE)


async def test_an_acknowledgement_can_be_taken_back(store: Store) -> None:
    first, second = alert("a"), alert("b")
    await store.save_evaluations([begun(first), begun(second)])
    await store.acknowledge([acknowledgement(first), acknowledgement(second)])
    assert await store.unacknowledge([second.id, "alert:unknown", first.id, second.id]) == [second.id, first.id]
    assert await store.unacknowledge([first.id]) == []
    assert (await store.alert(first.id)).acknowledgement is None


async def test_an_unknown_alert_cannot_be_acknowledged_and_then_none_is(store: Store) -> None:
    known = alert()
    await store.save_evaluations([begun(known)])
    with pytest.raises(NotFound, match="alert:unknown"):
        await store.acknowledge([acknowledgement(known), acknowledgement(alert(), "x"), _unknown()])
    assert (await store.alert(known.id)).acknowledgement is None


def _unknown():
    return replace(acknowledgement(alert()), alert_id="alert:unknown")


async def test_what_is_unknown_is_not_found(store: Store) -> None:
    for name in ("alert:unknown", "\x00", "\ud800", ""):
        with pytest.raises(NotFound):
            await store.alert(name)
        with pytest.raises(NotFound):
            await store.evidence(name)


def _variety() -> dict[str, Alert]:
    """One alert for each thing a filter may ask."""
    pending = alert("pending", state=AlertState.PENDING, starts_at=None, severity=Severity.LOW)
    return {
        "pending": pending,
        "firing": alert("firing", severity=Severity.CRITICAL, updated_at=T0 + 3 * MINUTE),
        "medium": alert("medium", severity=Severity.MEDIUM, target_name="memory_usage", updated_at=T0 + 2 * MINUTE),
        "resolved": over(alert("resolved"), T0 + 4 * MINUTE),
        "expired": over(alert("expired", severity=Severity.LOW), T0 + 1 * MINUTE, AlertState.EXPIRED),
        "never": over(alert("never", state=AlertState.PENDING, starts_at=None), T0 + MINUTE, AlertState.EXPIRED),
    }


FILTERS = [
    (AlertFilter(), "resolved firing medium expired"),
    (AlertFilter(states=(AlertState.PENDING,)), "pending"),
    (AlertFilter(states=(AlertState.PENDING, AlertState.FIRING)), "firing medium pending"),
    (AlertFilter(states=(AlertState.EXPIRED,)), "expired never"),
    (AlertFilter(target_name="memory_usage"), "medium"),
    (AlertFilter(target_name="memory_usag_"), ""),
    (AlertFilter(min_severity=Severity.MEDIUM), "resolved firing medium"),
    (AlertFilter(min_severity=Severity.CRITICAL), "firing"),
    (AlertFilter(since=T0 + 4 * MINUTE), "resolved firing medium"),
    (AlertFilter(since=T0 + 5 * MINUTE), "firing medium"),
    (AlertFilter(include_acknowledged=False), "resolved medium expired"),
    (AlertFilter(labels=Labels({"instance": "medium"})), "medium"),
    (AlertFilter(labels=Labels({"instance": "medium", "job": "node"})), "medium"),
    (AlertFilter(labels=Labels({"instance": "medium", "job": "other"})), ""),
    (AlertFilter(labels=Labels({"instance": "%"})), ""),
    (AlertFilter(labels=Labels({"Job": "node"})), ""),
    (AlertFilter(labels=Labels({"job": "node"}), min_severity=Severity.HIGH, since=T0 + 5 * MINUTE), "firing"),
]


@pytest.mark.parametrize(("which", "expected"), FILTERS)
async def test_alerts_are_filtered(store: Store, which: AlertFilter, expected: str) -> None:
    made = _variety()
    await store.save_evaluations([Evaluation(one.target_name, T0, (), (one,)) for one in made.values()])
    await store.acknowledge([acknowledgement(made["firing"])])
    by_id = {one.id: name for name, one in made.items()}
    listing = await store.alerts(which, ALL)
    names = [by_id[record.alert.id] for record in listing.items]
    assert sorted(names) == sorted(expected.split())
    keys = [(-record.alert.updated_at.timestamp(), record.alert.id) for record in listing.items]
    assert keys == sorted(keys)
    assert listing.total == len(names)


async def test_pages_join_without_gap_or_overlap_and_name_the_total(store: Store) -> None:
    made = [alert(str(number), updated_at=T0 + (number % 3) * MINUTE) for number in range(25)]
    await store.save_evaluations([Evaluation("cpu_usage", T0, (), tuple(made))])
    which = AlertFilter(labels=Labels({"job": "node"}))
    whole = await ids(store, which)
    parts = [await ids(store, which, Page(10, offset)) for offset in (0, 10, 20, 30)]
    assert [one for part in parts for one in part] == whole
    assert [len(part) for part in parts] == [10, 10, 5, 0]
    assert (await store.alerts(which, Page(3, 2))).total == 25


async def test_counts(store: Store) -> None:
    made = _variety()
    await store.save_evaluations([Evaluation(one.target_name, T0, (), (one,)) for one in made.values()])
    await store.acknowledge([acknowledgement(made["firing"]), acknowledgement(made["resolved"])])
    counts = await store.counts()
    assert {state.value: count for state, count in counts.by_state.items()} == {
        "pending": 1, "firing": 2, "resolved": 1, "expired": 2,
    }  # fmt: skip
    assert {severity.value: count for severity, count in counts.by_severity.items()} == {
        "low": 0, "medium": 1, "high": 0, "critical": 1,
    }  # fmt: skip
    assert counts.unacknowledged == 1
    assert counts.shadow == 0


async def test_alerts_in_shadow_are_kept_found_and_counted_apart(store: Store) -> None:
    told, hidden, over_now = alert("a"), alert("b", shadow=True), over(alert("c", shadow=True), T0 + MINUTE)
    await store.save_evaluations([Evaluation("cpu_usage", T0, (), (told, hidden, over_now))])
    assert await ids(store, AlertFilter(shadow=True)) == [over_now.id, hidden.id]
    assert await ids(store, AlertFilter(shadow=False)) == [told.id]
    assert len(await ids(store, AlertFilter())) == 3
    counts = await store.counts()
    assert (counts.by_state[AlertState.FIRING], counts.by_state[AlertState.RESOLVED]) == (1, 0)
    assert (sum(counts.by_severity.values()), counts.unacknowledged, counts.shadow) == (1, 1, 1)
    out = replace(hidden, shadow=False)
    await store.save_evaluations([Evaluation("cpu_usage", T0, (), (out,), (move(out, reason=Reason.TOLD),))])
    assert (await store.counts()).shadow == 0
    assert (await store.alert(hidden.id)).alert == out


async def test_a_story_tells_the_evidence_in_the_order_of_the_transitions(store: Store) -> None:
    first = begun(alert())
    later = replace(first.alerts[0], severity=Severity.CRITICAL, updated_at=T0 + MINUTE)
    piece = evidence(later, T0 + MINUTE)
    later = replace(later, evidence_id=piece.id)
    worse = Evaluation("cpu_usage", T0, (), (later,), (move(later, reason=Reason.WORSE),), (piece,))
    await store.save_evaluations([first])
    await store.save_evaluations([worse])
    story = await store.alert(later.id)
    assert [one.reason for one in story.transitions] == [Reason.ANOMALOUS, Reason.WORSE]
    assert list(story.evidence) == [*first.evidence, piece]


async def test_the_log_of_transitions_is_read_from_where_one_stopped(store: Store) -> None:
    assert await store.last_sequence() == 0
    assert await store.transitions_after(0, 10) == []
    living = alert()
    await store.save_evaluations([begun(living), begun(alert("b"))])
    await store.save_evaluations([ended(living, T0 + MINUTE)])
    read = await store.transitions_after(0, 2)
    assert [one.transition.reason for one in read] == [Reason.ANOMALOUS, Reason.ANOMALOUS]
    assert read[0].alert.state is AlertState.RESOLVED, "the alert is as it is now"
    rest = await store.transitions_after(read[-1].sequence, 10)
    assert [one.transition.reason for one in rest] == [Reason.RECOVERED]
    assert rest[-1].sequence == await store.last_sequence()
    assert await store.transitions_after(rest[-1].sequence, 10) == []


ANOMALY_FILTERS = [
    (AnomalyFilter(), "dcba"),
    (AnomalyFilter(target_name="memory_usage"), "d"),
    (AnomalyFilter(min_severity=Severity.HIGH), "ca"),
    (AnomalyFilter(since=T0 + MINUTE), "dcb"),
    (AnomalyFilter(until=T0 + MINUTE), "ba"),
    (AnomalyFilter(since=T0 + MINUTE, until=T0 + MINUTE), "b"),
    (AnomalyFilter(method="mad"), "dca"),
    (AnomalyFilter(method="rate_change"), "ca"),
    (AnomalyFilter(method="rateXchange"), ""),
    (AnomalyFilter(method="rate"), ""),
    (AnomalyFilter(method="MAD"), ""),
    (AnomalyFilter(method='mad","rate_change'), ""),
    (AnomalyFilter(labels=Labels({"instance": "c", "job": "node"})), "c"),
    (AnomalyFilter(labels=Labels({"job": "node"}), target_name="cpu_usage", min_severity=Severity.LOW), "cba"),
]


@pytest.mark.parametrize(("which", "expected"), ANOMALY_FILTERS)
async def test_anomalies_are_filtered_newest_first(store: Store, which: AnomalyFilter, expected: str) -> None:
    made = {
        "a": anomaly(alert("a")),
        "b": anomaly(alert("b"), at=T0 + MINUTE, severity=Severity.LOW, method="iqr", methods=("iqr",)),
        "c": anomaly(alert("c"), at=T0 + 2 * MINUTE, severity=Severity.CRITICAL),
        "d": replace(
            anomaly(alert("d", target_name="memory_usage"), at=T0 + 3 * MINUTE),
            severity=Severity.LOW,
            methods=("mad",),
        ),
    }
    await store.save_evaluations([Evaluation("cpu_usage", T0, tuple(made.values()))])
    listing = await store.anomalies(which, ALL)
    assert list(listing.items) == [made[name] for name in expected]
    assert listing.total == len(expected)
    assert list((await store.anomalies(which, Page(1, 1))).items) == [made[name] for name in expected[1:2]]


async def test_the_anomalies_of_one_alert(store: Store) -> None:
    await store.save_evaluations([begun(alert("a")), begun(alert("b"))])
    await store.save_evaluations([Evaluation("cpu_usage", T0, (anomaly(alert("c"), alert_id=None),))])
    found = await store.anomalies(AnomalyFilter(alert_id=alert("b").id), ALL)
    assert [one.labels["instance"] for one in found.items] == ["b"]


async def test_what_an_anomaly_rests_on_comes_back_whole(store: Store) -> None:
    facts = Facts(
        97.5, 20.25, 10.0, float("nan"), 7.125, ("mad", "we\x00ird"), "seconds", "week", 9, 3.5, 1.0125, T0,
        ("rising by 3 a day", "\x00"), ("only above what is expected", "\x00"),
    )  # fmt: skip
    made = begun(alert())
    piece, seen = replace(made.evidence[0], facts=facts), replace(made.anomalies[0], facts=facts)
    await store.save_evaluations([replace(made, evidence=(piece,), anomalies=(seen,))])
    told = (await store.evidence(piece.id)).facts
    (kept,) = (await store.anomalies(AnomalyFilter(), ALL)).items
    for read in (told, kept.facts):
        assert read is not None
        assert read.upper != read.upper, "NaN stays NaN"
        assert replace(read, upper=0.0) == replace(facts, upper=0.0)
    assert told is not None
    assert told.sentence == facts.sentence, "the same words, years later"


async def test_a_sample_that_is_missed_has_no_value_and_is_kept(store: Store) -> None:
    nothing = float("nan")
    facts = Facts(nothing, nothing, nothing, nothing, -4.1, ("absence",), told=("no sample for 5 min; they came",))
    made = begun(replace(alert(), value=None, expected_value=None))
    seen = replace(made.anomalies[0], value=nothing, expected_value=nothing, lower=nothing, upper=nothing, facts=facts)
    await store.save_evaluations([replace(made, anomalies=(seen,))])
    (kept,) = (await store.anomalies(AnomalyFilter(), ALL)).items
    assert all(part != part for part in (kept.value, kept.expected_value, kept.lower, kept.upper))
    assert kept.facts is not None
    assert kept.facts.sentence == facts.sentence == "No sample for 5 min; they came: 4.10 sigma; so says absence."
    (record,) = (await store.alerts(AlertFilter(), ALL)).items
    assert (record.alert.value, record.alert.expected_value) == (None, None)
