"""Datasources and what is kept of their answers, over HTTP."""

from tests.api.scene import is_problem
from tocsin.domain.datasource import Skew
from tocsin.domain.errors import SourceError, SourceFailure


async def test_a_test_tells_version_abilities_clock_and_cost(scene, client):
    scene.monitor.asked.skew = Skew(1.5, 0.25)
    answer = await client.post("/monitoring/datasources/prometheus-uid/test")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["uid"], told["type"], told["ok"], told["error"]) == ("prometheus-uid", "prometheus", True, None)
    assert (told["version"], told["abilities"]) == ("scripted", ["scripted queries"])
    assert told["skew"] == {"ahead_s": 1.5, "within_s": 0.25}
    assert told["targets"] == []


async def test_one_that_does_not_answer_is_told_and_is_no_error_of_the_api(scene, client):
    scene.monitor.asked.fail(SourceError("refused", failure=SourceFailure.UNREACHABLE, transient=True))
    told = (await client.post("/monitoring/datasources/prometheus-uid/test")).json()
    assert (told["ok"], told["error"], told["version"], told["skew"]) == (False, "refused", None, None)


async def test_an_unknown_datasource_is_not_found(client):
    assert "nowhere" in is_problem(await client.post("/monitoring/datasources/nowhere/test"), 404)
    assert "nowhere" in is_problem(await client.post("/cache/clear", json={"datasource_uid": "nowhere"}), 404)


async def test_datasources_show_circuit_and_clock(client):
    for one in (await client.get("/monitoring/datasources")).json()["items"]:
        assert one["circuit"] == "closed"
        assert {"circuit_since", "retry_at", "failing_in_a_row", "version", "skew", "warnings"} <= set(one)


async def test_the_cache_is_shown_and_cleared(client):
    kinds = (await client.get("/cache/stats")).json()["items"]
    assert [kind["name"] for kind in kinds] == ["series", "context"]
    assert all(kind["size_bytes"] == 0 < kind["max_bytes"] for kind in kinds)
    for body in (None, {}, {"datasource_uid": "prometheus-uid"}):
        answer = await client.post("/cache/clear", json=body)
        assert (answer.status_code, answer.json()) == (200, {"entries": 0, "size_bytes": 0})
    refused = await client.post("/cache/clear", json={"uid": "prometheus-uid"})
    assert "uid" in is_problem(refused, 422)
