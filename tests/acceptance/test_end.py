"""How a server ends, and why one does not begin."""

import http.client
import json
import os
import pty
import signal
import socket
import sqlite3
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.acceptance.process import TOKEN, Tocsin, ask, run, until
from tests.servers import Series, prometheus

GONE_WITHIN_S = 15.0
"""On a busy machine too it is gone long before what hangs would have given up, which is after 30 s or never."""


@contextmanager
def hung_datasource() -> Iterator[str]:
    """A server that takes every connection and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def open_stream(server: Tocsin) -> Iterator[http.client.HTTPResponse]:
    """The event stream, its first line read."""
    connection = http.client.HTTPConnection(server.address, timeout=30)
    try:
        connection.request("GET", "/monitoring/stream")
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.readline().startswith(b"retry:")
        yield answer
    finally:
        connection.close()


def test_sigterm_ends_streams_and_does_not_wait_for_a_hung_datasource(tmp_path):
    with ExitStack() as stack:
        url = stack.enter_context(hung_datasource())
        server = stack.enter_context(Tocsin(tmp_path / "state", "--prometheus", url))
        for n in range(4):
            body = {"name": f"hung_{n}", "query": f"up + {n}", "datasource_uid": "prometheus", "check_interval": 1}
            server.post("/monitoring/targets", body, 201)
        streams = [stack.enter_context(open_stream(server)) for _ in range(5)]

        def hanging() -> bool:
            listed = server.get("/monitoring/datasources")["items"]
            return any(one["uid"] == "prometheus" and one["in_flight"] >= 4 for one in listed)

        until("four queries hang", hanging, within_s=30)
        # A request under way at that moment must not hold it up either.
        asking = stack.enter_context(socket.create_connection(("127.0.0.1", int(server.address.partition(":")[2]))))
        asking.sendall(
            b"POST /monitoring/targets/hung_0/check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
        )
        # Nor a stream whose client takes nothing.
        idle = stack.enter_context(socket.socket())
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        idle.connect(("127.0.0.1", int(server.address.partition(":")[2])))
        idle.sendall(b"GET /monitoring/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert idle.recv(16).startswith(b"HTTP/1.1 200")
        took = server.end()
        print(f"gone {took:.2f} s after SIGTERM")
        assert took <= GONE_WITHIN_S
        for stream in streams:
            assert b"event: transition" not in stream.read(), "the streams ended, and told nothing that did not happen"
    ours = [one for one in server.events() if str(one.get("logger")).startswith("tocsin")]
    assert [one for one in ours if one["level"] in ("error", "critical")] == []


def test_sigterm_does_not_wait_for_a_database_that_does_not_answer(tmp_path):
    with ExitStack() as stack:
        server = stack.enter_context(Tocsin(tmp_path / "state", "--no-host", "--prometheus", "http://127.0.0.1:9"))
        other = stack.enter_context(closing(sqlite3.connect(server.state / "tocsin.db", isolation_level=None)))
        other.execute("BEGIN IMMEDIATE")
        for n in range(4):
            body = json.dumps({"name": f"late_{n}", "query": "up", "datasource_uid": "prometheus"})
            connection = stack.enter_context(closing(http.client.HTTPConnection(server.address, timeout=30)))
            connection.request("POST", "/monitoring/targets", body, {"Content-Type": "application/json"})
        # All of them have come in before the signal does.
        until("it answers", lambda: server.get("/monitoring/status"))
        took = server.end()
        print(f"gone {took:.2f} s after SIGTERM")
        assert took <= GONE_WITHIN_S
        other.execute("ROLLBACK")
        server.start()
        names = {one["name"] for one in server.get("/monitoring/targets")["items"]}
        assert not any(name.startswith("late_") for name in names), "what was not kept was never told"


def test_sigterm_does_not_wait_for_a_back_test(tmp_path):
    # Eight series, never quiet, and judged each second over most of a day: far more than five seconds of work.
    until_now = time.time() // 1 - 1
    history = [(until_now - n, float(n * 7919 % 1000)) for n in range(60_000, 0, -1)]
    with (
        prometheus(tmp_path / "prometheus", [Series({"__name__": "restless"}, history)]) as real,
        Tocsin(tmp_path / "state", "--no-host", "--prometheus", real.url) as server,
    ):
        query = " or ".join(f'label_replace(restless, "copy", "{n}", "", "")' for n in range(8))
        target = {"name": "t", "query": query, "datasource_uid": "prometheus", "check_interval": 1, "step": 1}
        # Alerts that come and go all the time: each costs judging anew.
        target |= {"severity_threshold": "low", "keep_firing_for": 0, "detection_methods": ["rate_change"]}
        body = json.dumps({"target": target, "hours": 16}).encode()
        with socket.create_connection(("127.0.0.1", int(server.address.partition(":")[2]))) as asking:
            head = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
            asking.sendall(f"POST /monitoring/backtest HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n\r\n".encode() + body)

            def read() -> bool:
                (source,) = server.get("/monitoring/datasources")["items"]
                return bool(source["queries"] and source["last_success_at"] and not source["in_flight"])

            until("the past is read, and being replayed", read)
            took = server.end()
            print(f"gone {took:.2f} s after SIGTERM")
            assert took <= GONE_WITHIN_S
            answer = asking.recv(65_536).decode()
        assert answer.startswith("HTTP/1.1 503 "), answer
        assert "Tocsin is ending" in answer
        assert "Traceback" not in server.log()


def test_a_second_process_is_refused_by_the_folder_and_by_the_port(tmp_path):
    state = tmp_path / "state"
    with Tocsin(state, "--no-host") as first:
        second = run("serve", "--port", "0", "--no-host", "--state-dir", str(state))
        assert second.returncode == 2
        assert str(state) in second.stderr
        assert str(first.process.pid) in second.stderr
        assert "Traceback" not in second.stderr

        other, port = tmp_path / "other", first.address.partition(":")[2]
        second = run("serve", "--port", port, "--no-host", "--state-dir", str(other))
        assert second.returncode == 2
        (line,) = second.stderr.splitlines()
        assert f"127.0.0.1:{port}" in line
        assert "in use" in line
        assert not other.exists(), "a start that fails makes nothing"

        assert first.get("/health/ready"), "the first one never noticed"
        first.end()
        # The folder is free again, without anybody cleaning up.
        first.start()
        assert first.get("/health/ready")


def test_a_hangup_without_a_settings_file_takes_no_service_down(tmp_path):
    with Tocsin(tmp_path / "state", "--no-host") as server:
        server.signal(signal.SIGHUP)
        until("it says why nothing happens", lambda: [one for one in server.events() if "SIGHUP" in one["event"]])
        assert server.get("/health/ready")


def test_the_end_of_its_terminal_is_a_clean_end(tmp_path):
    terminal, inside = pty.openpty()
    try:
        server = Tocsin(tmp_path / "state", "--no-host", stdin=inside).start()
        server.signal(signal.SIGHUP)
        assert server.process.wait(GONE_WITHIN_S * 2) == 0
        server.kill()
    finally:
        os.close(terminal)
        os.close(inside)


def test_the_state_folder_is_nobody_elses_business(tmp_path):
    state = tmp_path / "deep" / "state"
    state.parent.mkdir()
    before = os.umask(0o022)
    try:
        with Tocsin(state) as server:
            until("something was evaluated", lambda: server.get("/monitoring/status")["evaluations"], within_s=60)
    finally:
        os.umask(before)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for path in state.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"{path.name} can be read by others"


def test_listening_everywhere_needs_a_token(tmp_path):
    done = run("serve", "--host", "0.0.0.0", "--port", "0", "--state-dir", str(tmp_path / "state"))
    assert done.returncode != 0
    assert "token" in done.stderr
    assert "TOCSIN_API_TOKEN" in done.stderr
    assert not (tmp_path / "state").exists()


def test_a_token_needs_tls_or_a_proxy(tmp_path):
    env = {"TOCSIN_API_TOKEN": TOKEN}
    done = run("serve", "--host", "0.0.0.0", "--port", "0", "--state-dir", str(tmp_path / "state"), env=env)
    assert done.returncode != 0
    assert "TLS" in done.stderr
    assert "--behind-proxy" in done.stderr
    assert TOKEN not in done.stderr + done.stdout


def test_with_token_and_proxy_everything_but_liveness_asks_for_the_token(tmp_path):
    env = {"TOCSIN_API_TOKEN": TOKEN}
    mine = {"Authorization": f"Bearer {TOKEN}"}
    with Tocsin(tmp_path / "state", "--no-host", "--host", "0.0.0.0", "--behind-proxy", env=env) as server:
        assert server.request("GET", "/health/live").status == 200
        schema = server.request("GET", "/openapi.json", headers=mine)
        assert schema.status == 200
        paths = schema.json["paths"]
        assert len(paths) > 15
        wrong = {"Authorization": "Bearer of-something-else-entirely"}
        for path, methods in paths.items():
            url = path.replace("{name}", "x").replace("{alert_id}", "alert:x").replace("{alert_or_target}", "x")
            for method in methods:
                if path == "/health/live":
                    continue
                for headers in ({}, wrong):
                    answer = server.request(method.upper(), url, headers=headers)
                    assert answer.status == 401, f"{method} {path} answers {answer.status} without the token"
        for path in ("/docs", "/openapi.json", "/metrics", "/health/ready", "/", "/nowhere"):
            assert server.request("GET", path).status == 401, path
        assert server.request("GET", "/monitoring/status", headers=mine).status == 200
        assert server.request("GET", "/metrics", headers=mine).status == 200
    assert TOKEN not in server.log()


def certificate(folder: Path, *secured: str) -> None:
    """`cert.pem` and `key.pem`, made by openssl."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", *secured, "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(
        [*command, "-subj", "/CN=localhost", "-days", "2"], cwd=folder, check=True, capture_output=True, timeout=60
    )


@pytest.mark.parametrize("wrong", ["no certificate", "no key", "a key with a password"])
def test_tls_files_that_cannot_be_used_are_said_in_one_line(tmp_path, wrong):
    certificate(tmp_path, *(["-passout", "pass:secret"] if "password" in wrong else ["-nodes"]))
    if wrong.startswith("no "):
        (tmp_path / ("key.pem" if "key" in wrong else "cert.pem")).write_text("nothing of the kind\n")
    pair = ["--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem")]
    done = run("serve", "--port", "0", "--no-host", "--state-dir", str(tmp_path / "state"), *pair)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"tocsin: the certificate {tmp_path / 'cert.pem'} and the key {tmp_path / 'key.pem'} cannot")
    assert not (tmp_path / "state").exists()


def test_with_token_and_tls_it_speaks_tls_only(tmp_path):
    certificate(tmp_path, "-nodes")
    pair = ["--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem")]
    env = {"TOCSIN_API_TOKEN": TOKEN}
    with Tocsin(tmp_path / "state", "--no-host", "--host", "0.0.0.0", *pair, env=env) as server:
        assert server.url.startswith("https://")
        curl = ["curl", "-sS", "--noproxy", "*", "--cacert", str(tmp_path / "cert.pem"), "-o", "/dev/null"]
        port = server.address.partition(":")[2]
        for path, headers, status in (
            ("/health/live", [], "200"),
            ("/monitoring/status", [], "401"),
            ("/monitoring/status", ["-H", f"Authorization: Bearer {TOKEN}"], "200"),
        ):
            asked = [*curl, "-w", "%{http_code}", *headers, f"https://localhost:{port}{path}"]
            done = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True)
            assert done.stdout == status, f"{path}: {done.stdout}"
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(f"http://127.0.0.1:{port}/health/live")
