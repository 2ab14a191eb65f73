"""What people say afterwards, over HTTP."""

from datetime import timedelta

import pytest

from tests.api.fakes import T0
from tests.api.scene import Scene, alert, is_problem
from tests.api.whole import Whole
from tests.monitor.scene import MINUTE, START, noise, target


@pytest.fixture
def scene():
    return Scene()


async def test_a_verdict_is_shown_with_its_alert_until_it_is_taken_back(scene):
    one = alert()
    await scene.happen(one)
    path = f"/monitoring/alerts/{one.id}/verdict"
    said = {"verdict": "false", "who": "ann", "note": "a test"}
    answer = await scene.client.put(path, json=said)
    assert answer.status_code == 200
    expected = {**said, "at": T0.isoformat().replace("+00:00", "Z")}
    assert answer.json() == {"alert_id": one.id, **expected}
    for place in (f"/monitoring/alerts/{one.id}", "/monitoring/alerts"):
        told = (await scene.client.get(place)).json()
        told = told["items"][0] if "items" in told else told
        assert told["verdict"] == expected
        assert (told["in_window"], told["recurring"], told["expected"], told["expected_by"]) == (
            None,
            None,
            False,
            None,
        )
    assert (await scene.client.delete(path)).json() == {"alert_id": one.id, "unmarked": True}
    assert (await scene.client.delete(path)).json()["unmarked"] is False
    assert (await scene.client.get(f"/monitoring/alerts/{one.id}")).json()["verdict"] is None


@pytest.mark.parametrize("body", [{}, {"verdict": "maybe"}, {"verdict": False}])
async def test_a_verdict_that_is_none_names_the_field(scene, body):
    await scene.happen(alert())
    is_problem(await scene.client.put(f"/monitoring/alerts/{alert().id}/verdict", json=body), 422, "verdict")


async def test_what_is_not_there_is_not_found(scene):
    client = scene.client
    is_problem(await client.put("/monitoring/alerts/alert:none/verdict", json={"verdict": "real"}), 404)
    is_problem(await client.delete("/monitoring/alerts/alert:none/verdict"), 404)
    is_problem(await client.delete("/monitoring/windows/window:none"), 404)
    is_problem(await client.post("/monitoring/targets/none/accept"), 404)
    is_problem(await client.get("/monitoring/targets/none/recurring"), 404)
    is_problem(await client.post("/monitoring/targets/none/recurring/accept", json={"around": "02:10"}), 404)
    is_problem(await client.post("/monitoring/acceptances/accepted:none/end"), 404)
    is_problem(await client.get("/monitoring/proposals/proposal:none"), 404)
    for verb in ("compare", "apply", "revert", "dismiss"):
        is_problem(await client.post(f"/monitoring/proposals/proposal:none/{verb}"), 404)


async def test_a_window_is_marked_listed_shown_with_its_alerts_and_forgotten(scene):
    await scene.happen(alert())
    body = {"kind": "incident", "start": "2026-03-01T11:00:00Z", "end": "2026-03-01T13:00:00Z", "who": "ann"}
    answer = await scene.client.post("/monitoring/windows", json=body)
    assert answer.status_code == 201
    marked = answer.json()
    assert (marked["bands"], marked["bands_changed"], marked["bands_compared"]) == ([], 0, 0)
    assert marked["window"] | body == marked["window"]
    told = (await scene.client.get("/monitoring/alerts")).json()["items"][0]
    assert told["in_window"] == marked["window"]["id"]
    listed = (await scene.client.get("/monitoring/windows")).json()
    assert (listed["items"], listed["total"]) == ([marked["window"]], 1)
    gone = await scene.client.delete(f"/monitoring/windows/{marked['window']['id']}")
    assert gone.json()["window"] == marked["window"]
    assert (await scene.client.get("/monitoring/windows")).json()["total"] == 0


async def test_the_same_window_is_marked_once(scene):
    body = {"kind": "incident", "start": "2026-03-01T11:00:00Z", "end": "2026-03-01T13:00:00Z", "labels": {"a": "b"}}
    known = (await scene.client.post("/monitoring/windows", json=body)).json()["window"]["id"]
    again = {**body, "start": "2026-03-01T12:00:00+01:00", "who": "bob", "note": "again"}
    assert known in is_problem(await scene.client.post("/monitoring/windows", json=again), 409)
    other = (
        {"kind": "maintenance"},
        {"start": "2026-03-01T11:00:01Z"},
        {"end": "2026-03-01T13:00:01Z"},
        {"labels": {"a": "c"}},
    )
    for more in other:
        assert (await scene.client.post("/monitoring/windows", json=body | more)).status_code == 201
    assert (await scene.client.get("/monitoring/windows")).json()["total"] == 1 + len(other)
    assert (await scene.client.delete(f"/monitoring/windows/{known}")).status_code == 200
    assert (await scene.client.post("/monitoring/windows", json=body)).status_code == 201


async def test_windows_of_a_target_are_those_that_concern_it_and_of_one_that_is_none_not_found():
    span = {"kind": "incident", "start": "2026-03-02T11:00:00Z", "end": "2026-03-02T11:30:00Z"}
    async with Whole(target(), target("queue")) as whole:
        whole.world.source.play("q", noise)
        every, mine = [
            (await whole.client.post("/monitoring/windows", json=span | more)).json()["window"]["id"]
            for more in ({}, {"target": "errors"})
        ]

        async def of(name):
            answer = await whole.client.get("/monitoring/windows", params={"target": name})
            return {one["id"] for one in answer.json()["items"]} if answer.status_code == 200 else answer

        assert (await of("errors"), await of("queue")) == ({every, mine}, {every})
        assert "there is no target named 'none'" in is_problem(await of("none"), 404)
        assert (await whole.client.delete("/monitoring/targets/errors")).status_code == 204
        assert await of("errors") == {mine}, "it stays known by what names it"


async def test_what_was_accepted_or_proposed_of_a_target_that_is_none_is_not_found():
    at = START + 10 * MINUTE
    async with Whole(target(detection_methods=("zscore",)), target("queue", query="none")) as whole:
        whole.world.source.play("q", lambda grid: noise(grid) + 30.0 * (abs(grid - at.timestamp()) < 100))
        await whole.world.run_for(20 * MINUTE)
        (one,) = await whole.alerts()
        await whole.client.put(f"/monitoring/alerts/{one.id}/verdict", json={"verdict": "false", "who": "ann"})
        level = {"at": (START + 15 * MINUTE).isoformat()}
        assert (await whole.client.post("/monitoring/targets/errors/accept", json=level)).status_code == 200
        proposed = (await whole.client.get("/monitoring/proposals?target=errors")).json()["items"]
        dismissed = await whole.client.post(f"/monitoring/proposals/{proposed[0]['id']}/dismiss", json={"who": "ann"})
        assert dismissed.status_code == 200
        assert (await whole.client.delete("/monitoring/targets/errors")).status_code == 204
        for path in ("/monitoring/acceptances", "/monitoring/proposals"):
            assert "there is no target named 'none'" in is_problem(await whole.client.get(f"{path}?target=none"), 404)
            assert (await whole.client.get(f"{path}?target=queue")).json()["total"] == 0
            assert (await whole.client.get(f"{path}?target=errors")).json()["total"] > 0, "known by what names it"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"end": "2026-03-01T11:00:00Z"}, "end"),
        ({"start": "2026-03-01T11:00:00"}, "start"),
        ({"kind": "party"}, "kind"),
        ({"end": "2027-03-01T11:00:00Z"}, "end"),
        ({"labels": {"a": 1}}, "labels.a"),
        ({"more": 1}, "more"),
    ],
)
async def test_a_window_that_cannot_be_names_the_field(scene, changes, field):
    body = {"kind": "incident", "start": "2026-03-01T11:00:00Z", "end": "2026-03-01T13:00:00Z", **changes}
    is_problem(await scene.client.post("/monitoring/windows", json=body), 422, field)


@pytest.mark.parametrize("around", ["2:10", "24:00", "02:60", "0210", "ab:cd", 130])
async def test_a_time_of_day_that_is_none_names_the_field(scene, around):
    answer = await scene.client.post("/monitoring/targets/cpu/recurring/accept", json={"around": around})
    is_problem(answer, 422, "around")


@pytest.mark.parametrize("days", [True, "30", 30.5, 0, 366, None])
async def test_a_number_of_days_that_is_none_names_the_field(scene, days):
    body = {"around": "02:17", "days": days}
    is_problem(await scene.client.post("/monitoring/targets/cpu/recurring/accept", json=body), 422, "days")


def nightly(grid):
    """Noise, and each day from 02:10 on three minutes that are higher."""
    return noise(grid) + 30.0 * ((grid % 86400 >= 7800) & (grid % 86400 < 7980))


async def test_what_recurs_is_shown_and_once_accepted_expected_unless_it_gets_worse():
    watched = target(detection_methods=("zscore",), check_interval=5 * MINUTE, sigma_threshold=5.5)
    async with Whole(watched) as whole:
        whole.world.source.play("q", nightly, {"instance": "a"})
        for _ in range(4):
            await whole.world.run_for(timedelta(days=1))
        alerts = await whole.alerts()
        assert len(alerts) == 4, "one a night; none is dropped"
        told = (await whole.client.get(f"/monitoring/alerts/{alerts[-1].id}")).json()
        assert (told["recurring"]["around"], told["recurring"]["times"], told["expected"]) == ("02:10", 4, False)
        path = "/monitoring/targets/errors/recurring"
        (item,) = (await whole.client.get(path)).json()["items"]
        assert (item["around"], item["days"], item["accepted_by"]) == ("02:10", 4, None)
        wrong = await whole.client.post(f"{path}/accept", json={"around": "05:00", "labels": item["labels"]})
        assert '{instance="a"} around 02:10 UTC' in is_problem(wrong, 404)
        body = {"around": "02:12", "who": "ann", "note": "backup", "days": 3}
        accepted = (await whole.client.post(f"{path}/accept", json=body)).json()["acceptances"][0]
        assert (accepted["kind"], accepted["slot"]["begin"], accepted["slot"]["end"]) == ("recurring", "01:50", "02:30")
        assert accepted["expires_at"] > accepted["at"]
        assert (await whole.client.get("/monitoring/acceptances?in_force=true")).json()["items"] == [accepted]
        assert (await whole.client.get(path)).json()["items"][0]["accepted_by"] == accepted["id"]

        await whole.world.run_for(timedelta(days=1))
        whole.world.source.play("q", lambda grid: noise(grid) + 3 * (nightly(grid) - noise(grid)), {"instance": "a"})
        await whole.world.run_for(timedelta(days=1))
        alerts = await whole.alerts()
        assert len(alerts) == 6, "they are begun as ever"
        listed = (await whole.client.get("/monitoring/alerts?minutes=100000")).json()["items"]
        flags = {one["id"]: (one["expected"], one["expected_by"]) for one in listed}
        assert flags[alerts[3].id] == (False, None), "what was before stays as it was"
        assert flags[alerts[4].id] == (True, accepted["id"])
        assert flags[alerts[5].id] == (False, None), "three times as high is not what was accepted"

        ended = await whole.client.post(f"/monitoring/acceptances/{accepted['id']}/end", json={"who": "bob"})
        assert ended.json()["ended_by"] == "bob"
        is_problem(await whole.client.post(f"/monitoring/acceptances/{accepted['id']}/end"), 409)
        whole.world.source.play("q", nightly, {"instance": "a"})
        await whole.world.run_for(timedelta(days=1))
        last = (await whole.client.get("/monitoring/alerts?minutes=1440")).json()["items"][0]
        assert last["expected"] is False
        totals = {
            in_force: (await whole.client.get(f"/monitoring/acceptances?target=errors&in_force={in_force}")).json()[
                "total"
            ]
            for in_force in ("false", "true")
        }
        assert totals == {"false": 1, "true": 0}


@pytest.mark.parametrize(
    "strict", [{"sigma_threshold": 30.0}, {"sigma_threshold": 5.5, "pending_for": timedelta(minutes=20)}]
)
async def test_what_is_held_back_every_night_recurs_too_and_is_expected_once_accepted(strict):
    watched = target(detection_methods=("zscore",), check_interval=5 * MINUTE, **strict)
    async with Whole(watched) as whole:
        whole.world.source.play("q", nightly, {"instance": "a"})
        for _ in range(4):
            await whole.world.run_for(timedelta(days=1))
        assert (await whole.client.get("/monitoring/alerts?minutes=100000")).json()["items"] == []
        path = "/monitoring/targets/errors/recurring"
        (item,) = (await whole.client.get(path)).json()["items"]
        assert (item["around"], item["times"], item["alerts"], item["alert_ids"]) == ("02:11", 4, 0, [])
        assert item["summary"].endswith("no alert came of any")
        shown = (await whole.client.get("/monitoring/anomalies?target=errors&min_severity=critical")).json()["items"]
        assert [one["recurring"]["around"] for one in shown] == ["02:11"] * len(shown)
        assert shown
        body = {"around": item["around"], "labels": item["labels"], "who": "ann"}
        accepted = (await whole.client.post(f"{path}/accept", json=body)).json()["acceptances"][0]
        easier = {"sigma_threshold": 5.5, "pending_for": 0}
        assert (await whole.client.patch("/monitoring/targets/errors", json=easier)).status_code == 200
        await whole.world.run_for(timedelta(days=1))
        (told,) = (await whole.client.get("/monitoring/alerts?minutes=100000")).json()["items"]
        assert (told["expected"], told["expected_by"]) == (True, accepted["id"])
        assert told["recurring"]["alerts"] == 1


async def test_a_proposal_is_listed_compared_applied_and_taken_back():
    at = START + 30 * MINUTE
    async with Whole(target()) as whole:
        whole.world.source.play("q", lambda grid: noise(grid) + 8.0 * (abs(grid - at.timestamp()) < 100))
        await whole.world.run_for(timedelta(hours=1))
        (one,) = await whole.alerts()
        await whole.client.put(f"/monitoring/alerts/{one.id}/verdict", json={"verdict": "false", "who": "ann"})
        listed = (await whole.client.get("/monitoring/proposals?target=errors&state=open")).json()
        floor = next(each for each in listed["items"] if each["change"]["field"] == "min_effect")
        assert (floor["evidence"], floor["state"], floor["difference"]) == ([one.id], "open", None)
        path = f"/monitoring/proposals/{floor['id']}"
        compared = (await whole.client.post(f"{path}/compare")).json()["difference"]
        assert compared["alerts_before"] >= 1, "a fortnight may have more than that hour"
        assert (compared["alerts_after"], compared["false_removed"]) == (0, 1)
        assert (await whole.client.get(path)).json()["difference"] == compared
        applied = (await whole.client.post(f"{path}/apply", json={"who": "ann"})).json()
        assert applied["history"][0]["who"] == "ann"
        changed = (await whole.client.get("/monitoring/targets/errors")).json()
        assert changed["min_effect"] == floor["change"]["value"]
        is_problem(await whole.client.post(f"{path}/apply"), 409)
        assert (await whole.client.post(f"{path}/revert")).json()["state"] == "reverted"
        assert (await whole.client.get("/monitoring/targets/errors")).json()["min_effect"] == 0
        other = next(each for each in listed["items"] if each["change"]["field"] != "min_effect")
        assert (await whole.client.post(f"/monitoring/proposals/{other['id']}/dismiss")).json()["state"] == "dismissed"


async def test_a_level_is_accepted_over_http():
    async with Whole(target(detection_methods=("zscore",))) as whole:
        whole.world.source.play("q", lambda grid: noise(grid) + 30.0 * (grid >= (START + 5 * MINUTE).timestamp()))
        await whole.world.run_for(30 * MINUTE)
        (one,) = await whole.alerts()
        answer = (await whole.client.post("/monitoring/targets/errors/accept", json={"who": "ann"})).json()
        assert answer["ended"] == [one.id]
        assert answer["acceptances"][0]["since"].startswith(one.active_at.isoformat()[:19])
        is_problem(await whole.client.post("/monitoring/targets/errors/accept"), 409)
