"""Targets as code: the file owns them, a change is taken over, a mistake changes nothing."""

import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.acceptance.process import Tocsin, until

pytestmark = pytest.mark.xdist_group("reload")
"""One worker, so one server; each test begins with the same file."""

RELOADED = "configuration reloaded"
FIRST = ("name: checkout, query: up, check_interval: 60", "name: stock, query: stock_level")
HEAD = "datasources:\n  - {uid: prom, type: prometheus, url: 'http://127.0.0.1:9'}\ntargets:\n"


def write(config: Path, *targets: str) -> None:
    """Put the whole file in place at once, as an editor or a deployment does."""
    fresh = config.with_suffix(".new")
    fresh.write_text(HEAD + "".join(f"  - {{{target}, datasource_uid: prom}}\n" for target in targets))
    fresh.replace(config)


def said(server: Tocsin, event: str, after: int) -> dict:
    """Wait until the log tells an event, behind so many bytes."""
    found = until(
        f"{event!r} is logged", lambda: [one for one in server.events(after) if one.get("event") == event], within_s=30
    )
    return found[0]


def reloaded(server: Tocsin, config: Path, *targets: str, hang_up: bool = True, event: str = RELOADED) -> dict:
    """Change the file, and wait until the log says what became of it."""
    after = server.log_path.stat().st_size
    write(config, *targets)
    if hang_up:
        server.signal(signal.SIGHUP)
    return said(server, event, after)


def mine(server: Tocsin) -> dict[str, dict]:
    return {one["name"]: one for one in server.get("/monitoring/targets?limit=1000")["items"] if one["owner"] == "file"}


@pytest.fixture(scope="module")
def started(tmp_path_factory) -> Iterator[tuple[Tocsin, Path]]:
    folder = tmp_path_factory.mktemp("reload")
    config = folder / "tocsin.yaml"
    write(config, *FIRST)
    with Tocsin(folder / "state", "--no-host", "--config", str(config)) as running:
        assert set(mine(running)) == {"checkout", "stock"}
        yield running, config


@pytest.fixture
def server(started) -> Tocsin:
    """The server with the file as it was at first."""
    reloaded(*started, *FIRST)
    return started[0]


@pytest.fixture
def config(started) -> Path:
    return started[1]


def test_targets_of_the_file_are_read_only_over_the_api(server):
    assert set(mine(server)) == {"checkout", "stock"}
    before = server.target("checkout")
    for method, path, body in (
        ("PATCH", "/monitoring/targets/checkout", {"check_interval": 30}),
        ("PATCH", "/monitoring/targets/checkout/disable", None),
        ("DELETE", "/monitoring/targets/checkout", None),
    ):
        answer = server.request(method, path, body)
        assert answer.status == 409, f"{method} {path}: {answer}"
        assert "file" in answer.json["detail"], answer.text
    assert server.target("checkout")["version"] == before["version"]
    assert server.target("checkout")["enabled"] is True
    taken = {"name": "stock", "query": "up", "datasource_uid": "prom"}
    assert server.request("POST", "/monitoring/targets", taken).status == 409


def test_a_hangup_takes_over_a_changed_file(server, config):
    server.post("/monitoring/targets", {"name": "by_hand", "query": "up", "datasource_uid": "prom"}, 201)
    event = reloaded(server, config, "name: checkout, query: up, check_interval: 90", "name: payments, query: paid")
    assert event["targets"] == 2
    now = mine(server)
    assert set(now) == {"checkout", "payments"}
    assert now["checkout"]["check_interval"] == 90
    assert server.request("GET", "/monitoring/targets/stock").status == 404
    assert server.target("by_hand")["owner"] == "api", "a reload leaves what people made over the API"
    server.delete("/monitoring/targets/by_hand")


def test_a_first_prometheus_brings_its_default_targets_without_a_restart(tmp_path):
    state, config = tmp_path / "state", tmp_path / "tocsin.yaml"
    state.mkdir(mode=0o755)
    config.write_text("datasources: []\n")
    with Tocsin(state, "--no-host", "--config", str(config)) as server:
        assert [one["mode"] for one in server.events() if "open to other users" in one["event"]] == ["055"]
        assert server.get("/monitoring/targets")["items"] == []
        config.write_text("datasources: [{uid: prom, type: prometheus, url: 'http://127.0.0.1:9'}]\n")
        made = until("the defaults are there", lambda: server.get("/monitoring/targets")["items"], within_s=20)
        until("all of them", lambda: len(server.get("/monitoring/targets")["items"]) == 4, within_s=20)
        assert {one["datasource_uid"] for one in made} == {"prom"}
        server.delete("/monitoring/targets/error_rate")
        config.write_text("datasources: [{uid: prom, type: prometheus, url: 'http://127.0.0.1:10'}]\n")
        until("reloaded", lambda: sum(one["event"] == "configuration reloaded" for one in server.events()) == 2)
        assert len(server.get("/monitoring/targets")["items"]) == 3, "once: what was deleted stays away"


def test_a_rotated_token_is_used_without_being_told(tmp_path):
    heard: list[str] = []

    class Gate(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers.get("Authorization", ""))
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            pass

    token, config = tmp_path / "token", tmp_path / "tocsin.yaml"
    token.write_text("first-token")
    with ThreadingHTTPServer(("127.0.0.1", 0), Gate) as gate:
        threading.Thread(target=gate.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        url = f"http://127.0.0.1:{gate.server_port}"
        config.write_text(f"datasources: [{{uid: prom, type: prometheus, url: '{url}', bearer_token_file: token}}]\n")
        with Tocsin(tmp_path / "state", "--no-host", "--config", str(config)) as server:
            server.post("/monitoring/datasources/prom/test", None, 200)
            assert set(heard) == {"Bearer first-token"}
            after = server.log_path.stat().st_size
            token.write_text("second-token")
            said(server, RELOADED, after)
            server.post("/monitoring/datasources/prom/test", None, 200)
            assert heard[-1] == "Bearer second-token"
            assert "-token" not in server.log_path.read_text()
        gate.shutdown()


def test_a_changed_file_is_noticed_without_being_told(server, config):
    reloaded(server, config, "name: checkout, query: up, check_interval: 120", hang_up=False)
    assert {name: one["check_interval"] for name, one in mine(server).items()} == {"checkout": 120}


def test_what_needs_a_restart_is_said(server, config):
    after = server.log_path.stat().st_size
    config.write_text(f"{HEAD}  - {{{FIRST[0]}, datasource_uid: prom}}\nmonitoring: {{false_alerts_per_week: 7}}\n")
    server.signal(signal.SIGHUP)
    assert said(server, "a change of this part needs a restart", after)["part"] == "monitoring"
    assert server.get("/monitoring/status")["false_alerts"]["tolerated_per_week"] == 35.0


def test_a_broken_file_changes_nothing_and_is_said_with_its_line(server, config):
    before = {name: one["query"] for name, one in mine(server).items()}
    broken = ("name: checkout, query: up, check_interval: 60", "name: stock, query: s, check_intervall: 5")
    problem = reloaded(server, config, *broken, event="configuration not reloaded")
    assert problem["level"] == "error"
    assert f"{config}:5" in problem["problem"], problem
    assert "check_intervall" in problem["problem"], problem
    assert {name: one["query"] for name, one in mine(server).items()} == before
    assert server.get("/monitoring/status")["running"] is True

    reloaded(server, config, "name: repaired, query: up")
    assert set(mine(server)) == {"repaired"}
