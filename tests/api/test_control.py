import re
from base64 import b64encode
from hashlib import sha256

import pytest

from tests.api.scene import Scene, alert, is_problem
from tocsin.api import Readiness
from tocsin.domain.errors import StoreError


async def test_start_and_stop_can_be_pressed_twice(client):
    started = [(await client.post("/monitoring/start")).json() for _ in range(2)]
    assert started[0] == {"running": True, "since": "2026-03-01T12:00:00Z", "changed": True}
    assert started[1] == {"running": True, "since": "2026-03-01T12:00:00Z", "changed": False}
    stopped = [(await client.post("/monitoring/stop")).json() for _ in range(2)]
    assert [one["changed"] for one in stopped] == [True, False]
    assert stopped[0]["running"] is False


async def test_starting_without_a_store_is_not_acknowledged(scene, client):
    scene.store.failing = StoreError("disk full")
    assert "not kept" in is_problem(await client.post("/monitoring/start"), 503)


async def test_status_says_exactly_this(scene, client):
    await scene.happen(alert())
    status = (await client.get("/monitoring/status")).json()
    assert set(status) == {
        "running", "since", "targets", "alerts", "datasources", "evaluations", "lag_s", "false_alerts", "store"
    }  # fmt: skip
    assert set(status["targets"]) == {"total", "enabled", "by_state"}
    assert set(status["targets"]["by_state"]) == {
        "disabled", "waiting", "warming_up", "ready", "stale", "no_data", "error"
    }  # fmt: skip
    assert status["alerts"]["by_state"] == {"pending": 0, "firing": 1, "resolved": 0, "expired": 0}
    assert status["alerts"]["by_severity"]["high"] == 1
    assert status["alerts"]["unacknowledged"] == 1
    assert (status["evaluations"], status["lag_s"], status["store"]["ok"]) == (7, 0.25, True)
    assert status["false_alerts"] == {"expected_per_week": 1.5, "tolerated_per_week": 35.0, "floor_sigma": 0.0}


async def test_datasources(client):
    page = (await client.get("/monitoring/datasources")).json()
    assert page["total"] == 3
    assert page["next"] is None
    failing = page["items"][-1]
    assert (failing["uid"], failing["type"], failing["health"]) == ("prometheus-uid", "prometheus", "failing")
    assert failing["last_error"] == "refused"


async def test_health(scene, client):
    assert (await client.get("/health/live")).json() == {"status": "alive", "version": "0.0.test"}
    assert (await client.get("/health/ready")).json() == {"ready": True, "reasons": []}
    scene.readiness = Readiness(ready=False, reasons=("the store is read-only", "no datasource answers"))
    answer = await client.get("/health/ready")
    assert "read-only" in is_problem(answer, 503)
    assert answer.json()["reasons"] == ["the store is read-only", "no datasource answers"]
    assert answer.json()["ready"] is False


async def test_metrics(client):
    answer = await client.get("/metrics")
    assert answer.text == "tocsin_up 1\n"
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_the_documentation_needs_nothing_from_elsewhere(client):
    page = await client.get("/docs")
    assert page.status_code == 200
    assert not re.search(r"(src|href)=\"(https?:)?//", page.text)
    for path in re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text):
        assert (await client.get(path)).status_code == 200, path
    policy = page.headers["content-security-policy"]
    [script] = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    assert b64encode(sha256(script.encode()).digest()).decode() in policy
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]


async def test_the_schema_is_complete(client):
    schema = (await client.get("/openapi.json")).json()
    operations = [(method, path, one) for path, methods in schema["paths"].items() for method, one in methods.items()]
    assert len(operations) >= 24
    for method, path, one in operations:
        assert one["summary"], (method, path)
        assert one["tags"], (method, path)
        for status, response in one["responses"].items():
            if int(status) >= 400:
                assert set(response["content"]) == {"application/problem+json"}, (method, path, status)
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    assert "default" not in schema["components"]["schemas"]["TargetPatch"]["properties"]["check_interval"]
    assert "security" not in schema


async def test_the_schema_names_the_token_where_there_is_one():
    client = Scene(token="t").client
    schema = (await client.get("/openapi.json", headers={"Authorization": "Bearer t"})).json()
    assert schema["security"] == [{"token": []}]
    assert schema["paths"]["/health/live"]["get"]["security"] == []


async def test_paths_and_methods_that_are_not(client):
    is_problem(await client.get("/nothing"), 404)
    is_problem(await client.get("/monitoring/targets/"), 404)
    is_problem(await client.get("/monitoring/targets/a%2Fb"), 404)
    assert "slash at its end" in is_problem(await client.get("/monitoring/targets/"), 404)
    assert "/docs" in is_problem(await client.get("/nothing/"), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/monitoring/status", "GET, HEAD"),
        ("OPTIONS", "/monitoring/targets", "GET, POST, HEAD"),
        ("PUT", "/monitoring/targets/x", "GET, PATCH, DELETE, HEAD"),
        ("GET", "/monitoring/alerts/x/acknowledge", "POST, DELETE"),
        ("GET", "/monitoring/start", "POST"),
        ("POST", "/docs", "GET, HEAD"),
        ("POST", "/docs-assets/swagger-ui.css", "GET, HEAD"),
        ("HEAD", "/monitoring/stream", "GET"),
    ],
)
async def test_a_wrong_method_is_answered_with_all_the_right_ones(client, method, path, allowed):
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert method == "HEAD" or allowed in is_problem(answer, 405)


@pytest.mark.parametrize("path", ["/health/live", "/monitoring/status", "/monitoring/alerts", "/metrics", "/docs"])
async def test_head_is_answered_like_get(client, path):
    head, get = await client.head(path), await client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == get.headers


@pytest.mark.parametrize("path", ["/monitoring/status", "/monitoring/alerts", "/health/live", "/nothing"])
async def test_every_answer_is_guarded(client, path):
    headers = (await client.get(path)).headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


async def test_an_error_of_our_own_is_a_problem_without_its_text(scene, client):
    scene.services.monitor.views = lambda: 1 / 0
    assert "division" not in is_problem(await client.get("/monitoring/targets"), 500)
