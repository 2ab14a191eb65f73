"""Deployments and other events, over HTTP."""

from datetime import timedelta

import pytest

from tests.api.fakes import T0
from tests.api.scene import Scene, is_problem


@pytest.fixture
def scene():
    return Scene()


async def test_an_event_is_kept_listed_replaced_by_its_key_and_forgotten(scene):
    body = {"title": "checkout 1.42", "labels": {"service": "checkout"}, "url": "https://ci.example/1", "key": "c-1"}
    answer = await scene.client.post("/events", json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert made["at"] == T0.isoformat().replace("+00:00", "Z")
    assert (made["kind"], made["target"], made["source"]) == ("deploy", None, "api")
    later = (T0 + timedelta(minutes=1)).isoformat()
    again = (await scene.client.post("/events", json={**body, "at": later})).json()
    assert again["id"] == made["id"]
    note = (await scene.client.post("/events", json={"title": "x", "kind": "note"})).json()
    listed = (await scene.client.get("/events")).json()
    assert [one["id"] for one in listed["items"]] == [made["id"], note["id"]]
    assert listed["items"][0] == again
    since = (await scene.client.get("/events", params={"since": later, "limit": 1})).json()
    assert (since["total"], since["next"]) == (1, None)
    assert (await scene.client.delete(f"/events/{made['id']}")).status_code == 204
    is_problem(await scene.client.delete(f"/events/{made['id']}"), 404)
    assert (await scene.client.get("/events")).json()["total"] == 1


async def test_what_is_told_again_without_an_instant_stays_where_it_was(scene):
    body = {"title": "checkout 1.42", "key": "c-1"}
    made = (await scene.client.post("/events", json=body)).json()
    scene.clock.jump_to(T0 + timedelta(hours=3))
    again = (await scene.client.post("/events", json={**body, "title": "checkout 1.42 is out"})).json()
    assert (again["id"], again["at"], again["title"]) == (made["id"], made["at"], "checkout 1.42 is out")
    assert (await scene.client.get("/events")).json()["items"] == [again]
    moved = (T0 + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert (await scene.client.post("/events", json={**body, "at": moved})).json()["at"] == moved
    assert (await scene.client.post("/events", json=body)).json()["at"] == moved
    other = (await scene.client.post("/events", json={**body, "key": "c-2"})).json()
    assert other["at"] == (T0 + timedelta(hours=3)).isoformat().replace("+00:00", "Z")


async def test_a_title_is_kept_without_what_looks_like_a_password(scene):
    made = (await scene.client.post("/events", json={"title": "v2 with password=hunter22"})).json()
    assert made["title"] == "v2 with password=***"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "title"),
        ({"title": ""}, "title"),
        ({"title": "x" * 501}, "title"),
        ({"title": "a\x00"}, "title"),
        ({"title": "x", "kind": "outage"}, "kind"),
        ({"title": "x", "at": "2026-01-01T00:00:00"}, "at"),
        ({"title": "x", "at": "2190-01-01T00:00:00Z"}, "at"),
        ({"title": "x", "url": "javascript:alert(1)"}, "url"),
        ({"title": "x", "who": "ann"}, "who"),
    ],
)
async def test_what_is_no_event_names_the_field(scene, body, field):
    is_problem(await scene.client.post("/events", json=body), 422, field)


async def test_an_event_of_a_target_that_is_not_there_is_refused(scene):
    why = is_problem(await scene.client.post("/events", json={"title": "x", "target": "none"}), 422, "target")
    assert "there is no target named 'none'" in why


async def test_events_of_a_target_that_is_not_there_are_not_those_of_all(scene):
    await scene.client.post("/events", json={"title": "x"})
    why = is_problem(await scene.client.get("/events", params={"target": "none"}), 404)
    assert "there is no target named 'none'" in why
