"""Datasources and what is kept of their answers, over HTTP."""

import pytest

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


async def test_a_connection_is_tested_in_the_same_form(scene, client):
    answer = await client.post("/monitoring/datasources/grafana/test")
    told = answer.json()
    assert (answer.status_code, told["uid"], told["type"]) == (200, "grafana", "grafana_mcp")
    assert (told["ok"], told["error"], told["version"], told["abilities"]) == (True, None, "scripted", ["brings prom"])
    assert (told["latency_s"], told["skew"], told["warnings"], told["targets"]) == (0.0, None, ["a note"], [])
    scene.monitor.connection.fail("HTTP 401, Grafana refuses the token")
    told = (await client.post("/monitoring/datasources/grafana/test")).json()
    assert (told["ok"], told["error"], told["version"]) == (False, "HTTP 401, Grafana refuses the token", None)


async def test_an_unknown_datasource_is_not_found(client):
    assert "nowhere" in is_problem(await client.post("/monitoring/datasources/nowhere/test"), 404)
    assert "nowhere" in is_problem(await client.post("/cache/clear", json={"datasource_uid": "nowhere"}), 404)


async def test_one_that_a_connection_may_bring_which_fails_is_not_called_unknown(scene, client):
    scene.monitor.connection.fail("HTTP 503, Grafana failed")
    told = is_problem(await client.post("/monitoring/datasources/nowhere/test"), 502)
    assert "whether there is a datasource 'nowhere' is not known now" in told
    assert "the datasources of 'grafana' are not known: HTTP 503, Grafana failed" in told


async def test_datasources_show_circuit_and_clock(client):
    for one in (await client.get("/monitoring/datasources")).json()["items"]:
        assert one["circuit"] == "closed"
        assert {"circuit_since", "retry_at", "failing_in_a_row", "version", "skew", "warnings"} <= set(one)


async def test_the_cache_is_shown_and_cleared(client):
    kinds = (await client.get("/cache/stats")).json()["items"]
    assert [kind["name"] for kind in kinds] == ["series", "context", "metadata"]
    assert all(kind["size_bytes"] == 0 < kind["max_bytes"] for kind in kinds)
    for body in (None, {}, {"datasource_uid": "prometheus-uid"}):
        answer = await client.post("/cache/clear", json=body)
        assert (answer.status_code, answer.json()) == (200, {"entries": 0, "size_bytes": 0})
    refused = await client.post("/cache/clear", json={"uid": "prometheus-uid"})
    assert "uid" in is_problem(refused, 422)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/monitoring/datasources/prometheus-uid/test"), ("GET", "/cache/stats"), ("POST", "/cache/clear")],
)
async def test_parameters_that_nobody_knows_are_refused_and_named(client, method, path):
    assert (await client.request(method, path)).status_code == 200
    assert "is not a known field" in is_problem(await client.request(method, f"{path}?uid=x"), 422, "uid")
