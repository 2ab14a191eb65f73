"""How commands speak to a server, and what they say when it does not answer as wished."""

import socket

import pytest


def test_no_server_is_exit_code_3(run, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        result = run("status", "--url", f"http://127.0.0.1:{free.getsockname()[1]}")
    assert result.exit_code == 3
    assert "cannot reach Tocsin at http://127.0.0.1" in result.stderr
    assert "TOCSIN_URL" in result.stderr
    assert "Connect call failed" in result.stderr
    assert "ssl" not in result.stderr


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://", "http://a:b@c", "http://a:b:c"])
def test_what_is_no_url_is_exit_code_2(run, url):
    result = run("status", "--url", url)
    assert result.exit_code == 2
    assert "--url" in result.stderr


def test_a_refusal_is_exit_code_4_with_its_detail(run, server):
    server.answer("GET", "/monitoring/targets/x", {"title": "Not Found", "detail": "no \x1b[31mtarget [red]x"}, 404)
    result = run("targets", "show", "x")
    assert result.exit_code == 4
    assert "the server refused (404): no  [31mtarget [red]x" in result.stderr


def test_what_is_no_tocsin_is_said(run, server):
    server.answer("GET", "/monitoring/targets/x", {"status": "error"}, 404)
    result = run("targets", "show", "x")
    assert result.exit_code == 4
    assert "does not answer like Tocsin: HTTP 404" in result.stderr


def test_fields_are_named_once(run, server):
    errors = [{"field": "step", "reason": "too long"}, {"field": "name", "reason": "taken"}]
    server.answer("GET", "/monitoring/status", {"detail": "step: too long", "errors": errors}, 422)
    result = run("status")
    assert "name: taken" in result.stderr
    assert result.stderr.count("too long") == 1


def test_the_token_is_sent_from_environment_or_file(run, server, monkeypatch, tmp_path):
    server.answer("GET", "/monitoring/status", {})
    run("status")
    monkeypatch.setenv("TOCSIN_API_TOKEN_FILE", str(tmp_path / "token"))
    assert run("status").exit_code == 2
    (tmp_path / "token").write_text("from-file\n")
    run("status")
    monkeypatch.setenv("TOCSIN_API_TOKEN", "from-environment")
    run("status")
    assert [each["authorization"] for each in server.asked] == [None, "Bearer from-file", "Bearer from-environment"]


def test_without_the_right_token_it_says_where_to_put_it(run, server):
    server.answer("GET", "/monitoring/status", {"detail": "a token is needed"}, 401)
    assert "TOCSIN_API_TOKEN" in run("status").stderr


def test_redirects_are_not_followed(run, server, monkeypatch):
    monkeypatch.setenv("TOCSIN_API_TOKEN", "t")
    server.answer("GET", "/monitoring/status", f"{server.url}/elsewhere", 302)
    assert run("status").exit_code == 4
    assert [each["path"] for each in server.asked] == ["/monitoring/status"]


@pytest.mark.parametrize("body", [b"<html>", b"{", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_is_refused(run, server, body):
    server.answer("GET", "/monitoring/status", body)
    result = run("status")
    assert result.exit_code == 4
    assert "does not answer like Tocsin" in result.stderr


@pytest.mark.parametrize("body", [[], {}, 5, None, {"targets": 3, "alerts": [1], "datasources": {"a": 1}}])
def test_odd_answers_do_not_crash(run, server, body):
    for path in ("status", "targets", "alerts", "targets/x", "alerts/x"):
        server.answer("GET", f"/monitoring/{path}", body)
    for command in (
        ["status"],
        ["targets", "list"],
        ["alerts", "list"],
        ["targets", "show", "x"],
        ["alerts", "show", "x"],
    ):
        assert run(*command).exit_code == 0


def test_names_cannot_leave_their_place_in_the_path(run, server):
    run("targets", "delete", "../../x?y#z")
    assert server.asked[-1]["path"] == "/monitoring/targets/..%2F..%2Fx%3Fy%23z"
    assert run("targets", "delete", "..").exit_code == 2
