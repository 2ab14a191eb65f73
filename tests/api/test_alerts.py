from dataclasses import replace
from datetime import timedelta

import pytest

from tests.api.fakes import T0, Target
from tests.api.scene import alert, is_problem, picture
from tocsin.detect import Severity
from tocsin.domain.alert import AlertState
from tocsin.domain.errors import SourceError, SourceFailure, StoreError
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.facts import Facts
from tocsin.domain.labels import Labels

ALERTS = "/monitoring/alerts"


async def names(client, **query):
    answer = await client.get(ALERTS, params=query)
    assert answer.status_code == 200, answer.text
    return [one["target_name"] for one in answer.json()["items"]]


async def test_an_alert_in_a_list_carries_what_the_mission_names(scene, client):
    await scene.happen(alert())
    page = (await client.get(ALERTS)).json()
    assert (page["total"], page["next"]) == (1, None)
    [one] = page["items"]
    assert one["timestamp"] == "2026-03-01T12:00:00Z"
    assert (one["target_name"], one["severity"], one["summary"]) == ("cpu", "high", "cpu: unusual")
    assert (one["acknowledged"], one["acknowledgement"], one["anomaly_count"]) == (False, None, 3)
    assert (one["state"], one["labels"]) == ("firing", {"instance": "web-1"})
    assert (one["value"], one["expected_value"], one["sigma"], one["confidence"]) == (250.0, 101.6, 4.9, 0.99)
    assert one["confidence_kind"] == "calibrated"
    assert one["ends_at"] is None


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"methods": ("level", "zscore")}, "calibrated"),
        ({"methods": ("zscore", "level")}, "calibrated"),
        ({"methods": ("seasonal", "level")}, "tail"),
        ({"methods": (), "confidence": None}, None),
    ],
)
async def test_a_confidence_says_which_it_is(scene, client, given, kind):
    await scene.happen(alert(**given))
    (one,) = (await client.get(ALERTS)).json()["items"]
    assert one["confidence_kind"] == kind


async def test_filters_narrow(scene, client):
    hour = timedelta(hours=1)
    over = {"state": AlertState.RESOLVED, "ends_at": T0 - 2 * hour, "updated_at": T0 - 2 * hour}
    await scene.happen(
        alert("mild", severity=Severity.LOW),
        alert("bad", severity=Severity.CRITICAL, labels=Labels({"team": "a,b", "zone": "x"})),
        alert("old", at=T0 - 3 * hour, **over),
        alert("new", state=AlertState.PENDING, starts_at=None),
    )
    assert sorted(await names(client)) == ["bad", "mild"]
    assert sorted(await names(client, minutes=180)) == ["bad", "mild", "old"]
    assert await names(client, min_severity="critical") == ["bad"]
    assert await names(client, state="pending") == ["new"]
    assert sorted(await names(client, state=["pending", "resolved"], minutes=180)) == ["new", "old"]
    assert sorted(await names(client, state="pending,resolved", minutes=180)) == ["new", "old"]
    assert await names(client, target="mild") == ["mild"]
    assert await names(client, label=["team=a,b", "zone=x"]) == ["bad"]
    assert await names(client, labels="team=a,b,zone=x") == ["bad"]
    assert await names(client, label="zone=y") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("min_severity=worst", "min_severity"),
        ("minutes=0", "minutes"),
        ("minutes=nan", "minutes"),
        ("minutes=1e12", "minutes"),
        ("state=open", "state"),
        ("state=", "state[0]"),
        ("label=zone", "label"),
        ("label=a=1&label=a=2", "label"),
        ("labels=zone", "labels"),
        ("include_acknowledged=maybe", "include_acknowledged"),
        ("severity=high", "severity"),
        ("target=%00", "target"),
    ],
)
async def test_a_filter_that_cannot_be_is_named(client, query, field):
    is_problem(await client.get(f"{ALERTS}?{query}"), 422, field)


async def test_the_next_part_keeps_the_filters(scene, client):
    await scene.happen(*(alert("cpu", at=T0 - timedelta(seconds=n)) for n in range(3)))
    page = (await client.get(ALERTS, params={"limit": 2, "min_severity": "low"})).json()
    assert page["next"] == f"{ALERTS}?limit=2&min_severity=low&offset=2"
    assert len((await client.get(page["next"])).json()["items"]) == 1


async def test_detail_has_transitions_and_evidence(scene, client):
    one = alert(evidence_id="picture-1")
    await scene.happen(one)
    detail = (await client.get(f"{ALERTS}/{one.id}")).json()
    assert detail["id"] == one.id
    assert detail["transitions"][0]["after"] == "firing"
    assert detail["transitions"][0]["reason"] == "anomalous"
    assert detail["evidence"][0]["values"] == [1.0, None]
    assert detail["evidence"][0]["sigma"] == [1.0, None]
    assert detail["evidence"][0]["window"]["step"] == 60
    is_problem(await client.get(f"{ALERTS}/alert:0000000000000000"), 404)


async def test_acknowledging_one_and_taking_it_back(scene, client):
    one = alert()
    await scene.happen(one)
    answer = await client.post(f"{ALERTS}/{one.id}/acknowledge", json={"who": "ada", "note": "on it"})
    assert answer.json() == {"acknowledged": [one.id], "who": "ada", "note": "on it", "at": "2026-03-01T12:00:00Z"}
    [shown] = (await client.get(ALERTS)).json()["items"]
    assert shown["acknowledged"] is True
    assert shown["acknowledgement"] == {"who": "ada", "note": "on it", "at": "2026-03-01T12:00:00Z"}
    assert await names(client, include_acknowledged=False) == []
    assert (await client.delete(f"{ALERTS}/{one.id}/acknowledge")).json() == {"unacknowledged": [one.id]}
    assert (await client.delete(f"{ALERTS}/{one.id}/acknowledge")).json() == {"unacknowledged": []}
    assert await names(client, include_acknowledged=False) == ["cpu"]


async def test_a_targets_name_acknowledges_its_active_alerts_without_a_body(scene, client):
    scene.monitor.add(Target("cpu", "up", "prometheus-uid"))
    first, second = alert(), alert(labels=Labels({"instance": "web-2"}))
    over = replace(alert(at=T0 - timedelta(hours=1)), state=AlertState.RESOLVED, ends_at=T0)
    await scene.happen(first, second, over)
    answer = await client.post(f"{ALERTS}/cpu/acknowledge")
    assert sorted(answer.json()["acknowledged"]) == sorted([first.id, second.id])
    is_problem(await client.post(f"{ALERTS}/nothing/acknowledge"), 404)
    is_problem(await client.delete(f"{ALERTS}/nothing/acknowledge"), 404)


@pytest.mark.parametrize("kind", [None, "application/json", "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", ["/monitoring/start", "/monitoring/stop", f"{ALERTS}/cpu/acknowledge"])
async def test_no_body_is_needed_whatever_type_it_would_have(scene, client, path, kind):
    scene.monitor.add(Target("cpu", "up", "prometheus-uid"))
    headers = {"Content-Type": kind} if kind else {}
    for more in ({}, {"Content-Length": "0"}):
        assert (await client.post(path, headers={**headers, **more})).status_code == 200


async def test_an_id_that_no_database_could_look_for_is_refused(client):
    is_problem(await client.get(f"{ALERTS}/alert:%00"), 422, "alert_id")
    is_problem(await client.post(f"{ALERTS}/alert:%00/acknowledge"), 422, "alert_or_target")
    is_problem(await client.delete(f"{ALERTS}/alert:%00/acknowledge"), 422, "alert_or_target")
    is_problem(await client.get("/monitoring/targets/%00"), 422, "name")


@pytest.mark.parametrize(("body", "field"), [({"who": ""}, "who"), ({"note": 3}, "note"), ({"by": "me"}, "by")])
async def test_an_acknowledgement_that_cannot_be(scene, client, body, field):
    await scene.happen(alert())
    is_problem(await client.post(f"{ALERTS}/{alert().id}/acknowledge", json=body), 422, field)


async def test_nothing_is_acknowledged_that_is_not_kept(scene, client):
    await scene.happen(alert())
    scene.store.failing = StoreError("read-only file system", transient=False)
    detail = is_problem(await client.post(f"{ALERTS}/{alert().id}/acknowledge"), 503)
    assert "not kept" in detail
    is_problem(await client.get(ALERTS), 503)


async def test_alerts_in_shadow_carry_the_flag_and_can_be_asked_for(scene):
    told, hidden = alert(), alert(target="quiet", shadow=True)
    await scene.happen(told, hidden)
    for query, ids in (("", {told.id, hidden.id}), ("?shadow=true", {hidden.id}), ("?shadow=false", {told.id})):
        items = (await scene.client.get(f"/monitoring/alerts{query}")).json()["items"]
        assert {one["id"] for one in items} == ids
        assert all(one["shadow"] == (one["id"] == hidden.id) for one in items)
    counts = (await scene.client.get("/monitoring/status")).json()["alerts"]
    assert (counts["by_state"]["firing"], counts["unacknowledged"], counts["shadow"]) == (1, 1, 1)


async def test_a_sample_that_is_missed_is_null_and_told_in_words(scene):
    nan = float("nan")
    facts = Facts(nan, nan, nan, nan, -4.1, ("absence",), told=("no sample for 5 min",))
    made = replace(picture("alert:1@2.000"), facts=facts)
    one = alert(evidence_id=made.id, value=None, expected_value=None)
    await scene.store.save_evaluations([Evaluation("cpu", T0, (), (one,), (), (made,))])
    told = (await scene.client.get(f"/monitoring/evidence/{made.id}")).json()["facts"]
    assert [told[name] for name in ("value", "expected", "lower", "upper", "deviation", "deviation_ratio")] == [
        None
    ] * 6
    assert (told["told"], told["sigma"]) == (["no sample for 5 min"], -4.1)
    text = (await scene.client.get(f"/monitoring/evidence/{made.id}", headers={"Accept": "text/plain"})).text
    assert text.startswith("No sample for 5 min: 4.10 sigma; so says absence.")
    listed = (await scene.client.get("/monitoring/alerts")).json()
    assert "nan" not in str(listed).lower()


async def test_evidence_is_read_as_json_and_as_text_without_a_datasource(scene):
    scene.monitor.failing = SourceError("gone", failure=SourceFailure.UNREACHABLE, transient=True)
    facts = Facts(250.0, 101.6, 90.0, 110.0, 4.9, ("zscore",), "seconds", "", 60, 3.5, 5.08, None)
    made = replace(picture("alert:1@2.000"), facts=facts)
    await scene.store.save_evaluations([Evaluation("cpu", T0, (), (alert(evidence_id=made.id),), (), (made,))])
    told = (await scene.client.get(f"/monitoring/evidence/{made.id}")).json()
    assert told["facts"]["sentence"] == facts.sentence
    assert told["facts"]["deviation"] == pytest.approx(148.4)
    assert (told["facts"]["samples"], told["facts"]["floor"], told["facts"]["last_at"]) == (60, 5.08, None)
    answer = await scene.client.get(f"/monitoring/evidence/{made.id}", headers={"Accept": "text/plain"})
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == made.text
    is_problem(await scene.client.get("/monitoring/evidence/alert:2@3"), 404)
