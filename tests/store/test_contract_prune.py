"""Retention: what every store must do."""

from datetime import timedelta

from tests.store.builders import MINUTE, T0, acknowledgement, alert, anomaly, begun, ended, evidence
from tocsin.domain.alert import AlertState
from tocsin.domain.errors import NotFound
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.labels import Labels
from tocsin.domain.ports import AlertFilter, AnomalyFilter, Page, Retention, Store

ALL = Page(limit=5000)
HOUR = Retention(max_age_s=3600.0)


async def remaining(store: Store) -> tuple[list[str], list[str]]:
    alerts = await store.alerts(AlertFilter(states=tuple(AlertState)), ALL)
    anomalies = await store.anomalies(AnomalyFilter(), ALL)
    return (
        sorted(one.alert.labels["instance"] for one in alerts.items),
        sorted(one.labels["instance"] for one in anomalies.items),
    )


async def missing(store: Store, evidence_id: str) -> bool:
    try:
        await store.evidence(evidence_id)
    except NotFound:
        return True
    return False


async def test_nothing_goes_while_all_is_within_the_limits(store: Store) -> None:
    await store.save_evaluations([begun(alert()), ended(alert(), T0 + MINUTE)])
    assert await store.prune(HOUR, T0 + timedelta(minutes=61)) == 1, "only the anomaly is over an hour old"
    assert await remaining(store) == (["a"], [])


async def test_what_is_too_old_goes_with_all_that_belongs_to_it(store: Store) -> None:
    old, living = alert("old"), alert("living")
    await store.save_evaluations([begun(old), begun(living), ended(old, T0 + MINUTE)])
    await store.acknowledge([acknowledgement(old), acknowledgement(living)])
    last = await store.last_sequence()
    gone = await store.prune(HOUR, T0 + timedelta(days=1))
    # Two anomalies; of the old alert: itself, two transitions, its acknowledgement, its evidence.
    assert gone == 2 + 5
    assert await remaining(store) == (["living"], [])
    assert await missing(store, begun(old).evidence[0].id)
    story = await store.alert(living.id)
    assert (len(story.transitions), len(story.evidence)) == (1, 1)
    assert story.acknowledgement == acknowledgement(living)
    assert await store.prune(HOUR, T0 + timedelta(days=1)) == 0
    assert [one.transition.alert_id for one in await store.transitions_after(0, 10)] == [living.id]
    await store.save_evaluations([begun(alert("new"))])
    assert await store.last_sequence() > last, "a sequence number is never given again"


async def test_the_last_sequence_number_is_not_given_again_when_its_row_went(store: Store) -> None:
    await store.save_evaluations([begun(alert()), ended(alert(), T0 + MINUTE)])
    last = await store.last_sequence()
    await store.prune(HOUR, T0 + timedelta(days=1))
    await store.save_evaluations([begun(alert("b"))])
    assert [one.sequence > last for one in await store.transitions_after(0, 10)] == [True]


async def test_beyond_the_number_the_oldest_ended_go_and_active_ones_never(store: Store) -> None:
    made = [alert(str(number)) for number in range(6)]
    await store.save_evaluations([begun(one) for one in made])
    await store.save_evaluations([ended(one, T0 + (9 - place) * MINUTE) for place, one in enumerate(made[:4])])
    await store.prune(Retention(max_alerts=4), T0 + timedelta(hours=1))
    assert (await remaining(store))[0] == ["0", "1", "4", "5"]
    await store.prune(Retention(max_alerts=0), T0 + timedelta(hours=1))
    assert (await remaining(store))[0] == ["4", "5"]


async def test_beyond_the_number_the_oldest_anomalies_go(store: Store) -> None:
    rows = tuple(anomaly(alert(str(number)), at=T0 - number * MINUTE) for number in range(5))
    await store.save_evaluations([Evaluation("cpu_usage", T0, rows)])
    assert await store.prune(Retention(max_anomalies=2), T0) == 3
    assert (await remaining(store))[1] == ["0", "1"]


async def test_evidence_stays_while_an_anomaly_names_it(store: Store) -> None:
    evaluation = begun(alert())
    await store.save_evaluations([evaluation, ended(evaluation.alerts[0], T0 + MINUTE)])
    await store.prune(Retention(max_alerts=0), T0 + MINUTE)
    assert not await missing(store, evaluation.evidence[0].id)
    await store.prune(Retention(max_alerts=0, max_anomalies=0), T0 + MINUTE)
    assert await missing(store, evaluation.evidence[0].id)


async def test_more_than_one_chunk_goes_in_one_call(store: Store) -> None:
    rows = tuple(anomaly(alert(str(number)), at=T0 - number * MINUTE) for number in range(1100))
    await store.save_evaluations([Evaluation("cpu_usage", T0, rows)])
    assert await store.prune(Retention(max_anomalies=10), T0) == 1090
    assert (await store.anomalies(AnomalyFilter(), ALL)).total == 10


async def test_labels_are_found_again_after_their_series_was_pruned(store: Store) -> None:
    which = AnomalyFilter(labels=Labels({"instance": "a"}))
    seen = anomaly(alert("a"))
    await store.save_evaluations([Evaluation("cpu_usage", T0, (seen,))])
    await store.prune(Retention(max_anomalies=0), T0)
    assert (await store.anomalies(which, ALL)).total == 0
    await store.save_evaluations([Evaluation("cpu_usage", T0, (seen,))])
    assert list((await store.anomalies(which, ALL)).items) == [seen]


async def test_only_the_newest_anomalies_without_an_alert_keep_their_evidence(store: Store) -> None:
    told = alert("told")
    weak = [alert("weak", at=T0 + n * MINUTE) for n in range(4)]
    pieces = [evidence(one, one.updated_at) for one in weak[:3]]
    of = [pieces[0], pieces[1], pieces[1], pieces[2]]
    found = tuple(anomaly(one, alert_id=None, evidence_id=of[n].id) for n, one in enumerate(weak))
    await store.save_evaluations([begun(told), Evaluation("cpu_usage", T0, found, evidence=tuple(pieces))])
    assert await store.prune(Retention(max_pictures=2), T0 + MINUTE) == 1, "the evidence that nobody names any more"
    kept = sorted((await store.anomalies(AnomalyFilter(), Page())).items, key=lambda one: one.timestamp)
    mine = [one for one in kept if one.alert_id is None]
    assert [one.evidence_id for one in mine] == [None, None, pieces[1].id, pieces[2].id]
    assert [one.evidence_id for one in kept if one.alert_id is not None] == [evidence(told, told.updated_at).id]
    assert await missing(store, pieces[0].id)
    assert await store.evidence(pieces[1].id) == pieces[1]
    assert await store.prune(Retention(max_pictures=2), T0 + MINUTE) == 0
