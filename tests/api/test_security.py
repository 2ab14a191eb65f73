import asyncio

import pytest
from starlette.datastructures import Headers

from tests.api.scene import EXAMPLE, JSON, Scene, client_of, is_problem, opened
from tocsin.api import Limits, Security
from tocsin.api.guard import RateLimit
from tocsin.api.security import wrong_host

STATUS, TARGETS = "/monitoring/status", "/monitoring/targets"


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000", "LOCALHOST", "localhost.", "127.0.0.1:8000", "127.9.9.9", "[::1]", "[::1]:8000"],
)
async def test_loopback_names_are_ours(client, host):
    assert (await client.get(STATUS, headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "evil.example:8000", "192.168.1.1", "0.0.0.0", "[::]", "[fe80::1]:80"],
)
async def test_a_name_that_was_pointed_here_is_refused(client, host):
    for method, path in (("GET", STATUS), ("POST", "/monitoring/start"), ("GET", "/health/live"), ("GET", "/docs")):
        is_problem(await client.request(method, path, headers={"Host": host}), 421, "Host")


@pytest.mark.parametrize("host", ["", "localhost@evil.example", "localhost/", "a b", "localhost:x", "[::1"])
async def test_a_host_that_is_no_name_is_refused(client, host):
    is_problem(await client.get(STATUS, headers={"Host": host}), 400, "Host")


def test_two_hosts_are_no_host():
    assert wrong_host(Security(), Headers(raw=[(b"host", b"localhost"), (b"host", b"localhost")])).status == 400


async def test_configured_names_are_ours():
    client = Scene(allowed_hosts=("tocsin.example", "10.0.0.1")).client
    for host in ("tocsin.example", "Tocsin.Example:443", "10.0.0.1:8000", "localhost"):
        assert (await client.get(STATUS, headers={"Host": host})).status_code == 200
    is_problem(await client.get(STATUS, headers={"Host": "other.example"}), 421)


def test_every_name_is_ours_only_with_a_token():
    with pytest.raises(ValueError, match="token"):
        Security(allowed_hosts=("*",))
    assert wrong_host(Security(token="t", allowed_hosts=("*",)), Headers({"host": "any.example"})) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Origin": "https://localhost.evil.example:8000"},
        {"Origin": "null"},
        {"Origin": "http://localhost:99999"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_foreign_pages_write_nothing(scene, client, headers):
    for method, path in (
        ("POST", TARGETS),
        ("POST", "/monitoring/stop"),
        ("DELETE", f"{TARGETS}/x"),
        ("PATCH", f"{TARGETS}/x"),
    ):
        is_problem(await client.request(method, path, json=EXAMPLE, headers=headers), 403, next(iter(headers)))
    is_problem(await client.get("/monitoring/stream", headers=headers), 403)
    assert not scene.monitor.targets
    assert (await client.get(STATUS, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://localhost:8000"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}],
)
async def test_own_pages_and_programs_write(client, headers):
    assert (await client.post(TARGETS, json=EXAMPLE, headers=headers)).status_code == 201


async def test_default_ports_need_not_be_written(client):
    headers = {"Host": "localhost", "Origin": "http://localhost"}
    assert (await client.post("/monitoring/start", headers=headers)).status_code == 200
    headers = {"Host": "localhost:443", "Origin": "https://localhost"}
    assert (await client.post("/monitoring/start", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "given", [None, "Bearer wrong", "Bearer ", "Bearer", "Basic s3cret", "s3cret", "Bearer \u00e9"]
)
async def test_without_the_token_nothing_but_liveness(given):
    client = Scene(token="s3cret").client
    headers = {"Authorization": given.encode()} if given else {}
    for path in (
        STATUS,
        TARGETS,
        "/metrics",
        "/docs",
        "/openapi.json",
        "/health/ready",
        "/nothing",
        "/monitoring/stream",
    ):
        answer = await client.get(path, headers=headers)
        assert "s3cret" not in is_problem(answer, 401, "Authorization")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert (await client.get("/health/live", headers=headers)).status_code == 200


async def test_with_the_token_everything():
    client = Scene(token="s3cret").client
    for scheme in ("Bearer", "bearer"):
        assert (await client.get(STATUS, headers={"Authorization": f"{scheme} s3cret"})).status_code == 200


def test_the_token_is_not_shown():
    assert "s3cret" not in repr(Security(token="s3cret"))


async def test_a_body_over_the_limit_is_refused_by_its_head():
    client = Scene(limits=Limits(body_bytes=100)).client
    assert "100 bytes" in is_problem(await client.post(TARGETS, json={"name": "x" * 100}), 413, "body")
    is_problem(await client.post(TARGETS, content=b"{}", headers={**JSON, "Content-Length": "9" * 5000}), 413)
    is_problem(await client.post(TARGETS, content=b"{}", headers={**JSON, "Content-Length": "-1"}), 400)


async def test_a_body_over_the_limit_is_refused_while_it_comes():
    scene = Scene(limits=Limits(body_bytes=100))
    headers = {"content-type": "application/json", "transfer-encoding": "chunked"}
    async with opened(scene.app, TARGETS, method="POST", headers=headers) as request:
        for n in range(3):
            request.incoming.put_nowait({"type": "http.request", "body": b" " * 40, "more_body": n < 2})
        assert (await request.head())["status"] == 413
        assert "100 bytes" in (problem := await request.piece())
        assert '"field": "body"' in problem


async def test_a_form_is_no_body(client):
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", ""):
        answer = await client.post(TARGETS, content='{"name": "x"}', headers={"Content-Type": kind})
        is_problem(answer, 415, "Content-Type")
    answer = await client.post(TARGETS, json=EXAMPLE, headers={"Content-Type": "application/json; charset=utf-8"})
    assert answer.status_code == 201


async def test_who_asks_too_often_waits():
    scene = Scene(limits=Limits(requests_per_s=0.001, burst=3))
    for _ in range(3):
        assert (await scene.client.get(STATUS)).status_code == 200
    answer = await scene.client.get(STATUS)
    is_problem(answer, 429)
    assert int(answer.headers["retry-after"]) > 0
    assert (await client_of(scene.app, client=("10.0.0.9", 1)).get(STATUS)).status_code == 200


def test_a_bucket_fills_again_and_the_table_is_bounded():
    limit = RateLimit(per_s=2.0, burst=2, clients=2)
    assert [limit.wait_for("a", 0.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert limit.wait_for("a", 0.5) == 0.0
    assert limit.wait_for("a", 100.0) == 0.0
    assert limit.wait_for("a", 100.0) == 0.0
    assert limit.wait_for("a", 100.0) > 0
    limit.wait_for("b", 100.0)
    limit.wait_for("c", 100.0)
    assert limit.wait_for("a", 100.0) == 0.0


async def test_a_request_that_takes_too_long_is_given_up():
    scene = Scene(limits=Limits(request_s=0.05))

    async def never():
        await asyncio.Event().wait()

    scene.monitor.status = never
    assert "0.05 s" in is_problem(await scene.client.get(STATUS), 503)


async def test_a_body_that_never_ends_is_given_up():
    scene = Scene(limits=Limits(request_s=0.05))
    headers = {"content-type": "application/json", "transfer-encoding": "chunked"}
    async with opened(scene.app, TARGETS, method="POST", headers=headers) as request:
        request.incoming.put_nowait({"type": "http.request", "body": b" ", "more_body": True})
        assert (await request.head())["status"] == 408
        assert "did not arrive within 0.05 s" in await request.piece()


async def test_a_client_that_only_reads_after_it_has_sent_everything_is_heard_out(scene):
    headers = {"content-type": "text/plain", "content-length": "30"}
    async with opened(scene.app, TARGETS, method="POST", headers=headers) as request:
        for more in (True, True, False):
            assert request.sent.empty()
            request.incoming.put_nowait({"type": "http.request", "body": b" " * 10, "more_body": more})
            await asyncio.sleep(0.01)
        assert (await request.head())["status"] == 415
        assert request.incoming.empty()


async def test_a_client_that_asks_before_it_sends_is_answered_at_once():
    scene = Scene(limits=Limits(body_bytes=100))
    headers = {"content-type": "application/json", "content-length": "200", "expect": "100-continue"}
    async with opened(scene.app, TARGETS, method="POST", headers=headers) as request:
        assert (await request.head())["status"] == 413


async def test_nobody_is_heard_out_for_ever(scene, monkeypatch):
    monkeypatch.setattr("tocsin.api.body.DRAINED_S", 0.05)
    headers = {"content-type": "text/plain", "content-length": "30"}
    async with opened(scene.app, TARGETS, method="POST", headers=headers) as request:
        assert (await request.head())["status"] == 415
