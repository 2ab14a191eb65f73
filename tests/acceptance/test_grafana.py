"""Tocsin as people run it, with the datasources of a Grafana: it starts without them, finds and loses them."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.acceptance.process import Tocsin, until
from tests.grafana import TOKEN, FakeGrafana, fake_grafana
from tests.servers import free_port, prometheus

pytestmark = pytest.mark.xdist_group("grafana")

FILE = """
datasources:
  - {{uid: taken, type: prometheus, url: 'http://127.0.0.1:9'}}
  - {{uid: grafana, type: grafana_mcp, grafana_url: '{url}', token_file: token}}
targets:
  - {{name: scrapes, query: up, datasource_uid: prom, check_interval: 1, lookback: 1m}}
  - {{name: lines, query: 'rate({{app="web"}}[1m])', datasource_uid: loki, query_type: loki, check_interval: 1}}
  - {{name: wrong, query: up, datasource_uid: loki, check_interval: 1}}
"""


LISTED = [
    {"id": 1, "uid": "prom", "name": "P", "type": "prometheus"},
    {"id": 2, "uid": "loki", "name": "L", "type": "loki"},
    {"id": 3, "uid": "taken", "name": "T", "type": "loki"},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[FakeGrafana]:
    """A Grafana before a Prometheus that scrapes itself."""
    folder = tmp_path_factory.mktemp("servers")
    port = free_port()
    with (
        prometheus(folder / "prometheus", scrape=[f"127.0.0.1:{port}"], port=port) as behind,
        fake_grafana(folder / "grafana", behind.url) as grafana,
    ):
        yield grafana


@pytest.fixture
def grafana(server) -> FakeGrafana:
    server.set(reset=True)
    server.set(listed=LISTED)
    return server


@pytest.fixture
def tocsin(grafana, tmp_path) -> Tocsin:
    """Not started yet."""
    (tmp_path / "token").write_text(TOKEN)
    config = tmp_path / "tocsin.yaml"
    config.write_text(FILE.format(url=grafana.url))
    return Tocsin(tmp_path / "state", "--no-host", "--config", str(config))


def connection(tocsin: Tocsin) -> dict:
    [found] = tocsin.get("/monitoring/datasources")["connections"]
    return found


def child_of(tocsin: Tocsin) -> int | None:
    """The process id of the mcp-grafana that Tocsin spawned."""
    for folder in Path("/proc").iterdir():
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == tocsin.process.pid and b"mcp-grafana" in (folder / "cmdline").read_bytes():
                return int(folder.name)
        except (OSError, IndexError, ValueError):
            continue
    return None


def test_a_grafana_that_is_not_there_yet(grafana, tocsin) -> None:
    grafana.set(status=503, body="not yet", where="/api/datasources")
    with tocsin:
        comes_later(grafana, tocsin)


def comes_later(grafana: FakeGrafana, tocsin: Tocsin) -> None:
    # Grafana does not list its datasources yet: Tocsin runs, and says what is missing.
    until("the reason is known", lambda: "503" in (connection(tocsin)["failure"] or ""))
    reason = until(
        "the target says so", lambda: (seen := tocsin.target("scrapes")["state"])["state"] == "error" and seen["reason"]
    )
    assert "'prom' is not configured" in reason
    assert "datasources of 'grafana' are not known" in reason
    body = {"name": "mine", "query": "up", "datasource_uid": "prom"}
    refused = tocsin.request("POST", "/monitoring/targets", body)
    assert refused.status == 422
    assert "datasources of 'grafana' are not known" in refused.text
    assert tocsin.request("GET", "/health/ready").status == 200

    grafana.set(status=None)
    until("they are found", lambda: connection(tocsin)["ok"])
    assert connection(tocsin)["datasources"] == ["loki", "prom"]
    assert "'taken' of this Grafana is not used" in connection(tocsin)["notes"][0]
    by_uid = {one["uid"]: one["type"] for one in tocsin.get("/monitoring/datasources")["items"]}
    assert by_uid == {"prom": "prometheus", "loki": "loki", "taken": "prometheus"}
    until("it is judged", lambda: tocsin.target("scrapes")["state"]["series"] == 1)
    assert tocsin.target("scrapes")["state"]["state"] in ("warming_up", "ready")
    until("no lines, no series", lambda: tocsin.target("lines")["state"]["state"] == "no_data")
    until("its language is another", lambda: "answers loki" in tocsin.target("wrong")["state"]["reason"])
    assert tocsin.request("POST", "/monitoring/targets", body).status == 201


def judged(tocsin: Tocsin) -> None:
    until("it is judged", lambda: tocsin.target("scrapes")["state"]["series"] == 1)


def test_mcp_grafana_ends_and_is_spawned_again(tocsin) -> None:
    with tocsin:
        judged(tocsin)
        before = child_of(tocsin)
        assert before is not None
        failures = tocsin.target("scrapes")["state"]["failures"]
        os.kill(before, signal.SIGKILL)
        until("it is spawned again", lambda: child_of(tocsin) not in (None, before))
        until("and works", lambda: connection(tocsin)["ok"])
        begun = tocsin.target("scrapes")["state"]
        until("it goes on", lambda: tocsin.target("scrapes")["state"]["evaluations"] > begun["evaluations"] + 2)
        assert tocsin.target("scrapes")["state"]["failures"] <= failures + 1
        assert TOKEN not in tocsin.log()
        last = child_of(tocsin)
        tocsin.kill()
        until("it ends with Tocsin, also by SIGKILL", lambda: not Path(f"/proc/{last}").exists())
        tocsin.start()
        judged(tocsin)
        last = child_of(tocsin)
        tocsin.end()
        until("and in order", lambda: not Path(f"/proc/{last}").exists())


def test_a_deployment_noted_in_grafana_is_an_event(grafana, tocsin) -> None:
    at = int(time.time()) - 600
    grafana.set(annotations=[{"id": 7, "tags": ["deploy"], "text": "checkout 1.42", "time": at * 1000}])
    with tocsin:
        [event] = until("it is an event", lambda: tocsin.get("/events")["items"])
    assert (event["title"], event["kind"], event["source"]) == ("checkout 1.42", "deploy", "grafana")
    assert event["at"].startswith(f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}")


def test_the_file_takes_a_grafana_away_and_brings_it_back(grafana, tocsin, tmp_path) -> None:
    config = tmp_path / "tocsin.yaml"
    whole = config.read_text()

    def uids() -> list[str]:
        return [one["uid"] for one in tocsin.get("/monitoring/datasources")["items"]]

    with tocsin:
        judged(tocsin)
        child = child_of(tocsin)
        config.write_text("datasources:\n  - {uid: taken, type: prometheus, url: 'http://127.0.0.1:9'}\n")
        until("it is gone", lambda: uids() == ["taken"])
        assert tocsin.get("/monitoring/datasources")["connections"] == []
        until("its process too", lambda: not Path(f"/proc/{child}").exists())
        # The uid of one of its datasources is declared now, and stays so.
        config.write_text(whole.replace("uid: taken", "uid: prom").replace("lookback: 1m", "lookback: 2m"))
        until("it is back", lambda: uids() == ["loki", "prom", "taken"])
        assert ["'prom'" in note for note in connection(tocsin)["notes"]] == [True]
        until("the declared one is asked", lambda: "127.0.0.1:9" in tocsin.target("scrapes")["state"]["reason"])


def test_a_grafana_that_fails_is_one_alert_at_the_start_and_later(grafana, tocsin) -> None:
    def firing() -> list[dict]:
        return tocsin.get("/monitoring/alerts?state=firing")["items"]

    def explained(alert: dict) -> str:
        return tocsin.get(f"/monitoring/alerts/{alert['id']}")["explanation"]

    grafana.set(status=503, body="not yet")
    with tocsin:
        [alert] = until("it is told", firing)
        assert alert["target_name"] == "datasource:grafana"
        begins = f"🔥 the connection grafana (Grafana at {grafana.url} through mcp-grafana) fails: HTTP 503"
        assert alert["summary"].startswith(begins)
        assert "Its datasources cannot be found; 3 targets name a datasource that is not known" in explained(alert)
        asked = tocsin.post("/monitoring/datasources/grafana/test")
        assert (asked["ok"], "HTTP 503" in asked["error"]) == (False, True)
        grafana.set(status=None)
        asked = tocsin.post("/monitoring/datasources/grafana/test")
        assert (asked["ok"], asked["type"], asked["version"]) == (True, "grafana_mcp", "mcp-grafana v2.1.1")
        assert (asked["abilities"][0], asked["abilities"][1].endswith(" tools")) == ("brings loki, prom", True)
        assert asked["latency_s"] > 0
        until("it answers", lambda: not firing(), within_s=10)
        judged(tocsin)
        # mcp-grafana goes on: that Grafana is gone shows in its datasources first.
        grafana.set(status=502, body="away")
        [alert] = until("it is told", firing)
        assert alert["target_name"] == "datasource:grafana"
        assert "2 datasources with it: HTTP 502" in alert["summary"]
        assert "(loki, prom)" in explained(alert)
        time.sleep(5)
        assert len(firing()) == 1


def test_alerts_follow_what_is_wrong_and_outlive_a_kill(grafana, tocsin) -> None:
    def firing() -> dict[str, dict]:
        found = tocsin.get("/monitoring/alerts?state=firing")["items"]
        return {one["target_name"]: one for one in found if one["target_name"].startswith("datasource:")}

    def says(name: str, words: str) -> dict | None:
        return one if (one := firing().get(name)) and words in one["summary"] else None

    def break_prom(status: int) -> None:
        grafana.set(status=status, body="away", where="uid/prom/")

    break_prom(500)
    with tocsin:
        own = until("it is told", lambda: says("datasource:prom", "HTTP 500"))
        break_prom(403)
        changed = until("it says what is wrong now", lambda: says("datasource:prom", "HTTP 403"))
        assert [changed[one] for one in ("id", "starts_at")] == [own[one] for one in ("id", "starts_at")]
        # Its Grafana is gone too.
        grafana.set(status=502, body="away", where="")
        whole = until("the connection is told", lambda: says("datasource:grafana", "2 datasources with it: HTTP 502"))
        until("the other says so", lambda: says("datasource:prom", "before the connection grafana failed too"))
        tocsin.kill()
        tocsin.start()
        until("another process has asked", lambda: "HTTP 502" in (connection(tocsin)["failure"] or ""))
        refused = tocsin.request("POST", "/monitoring/datasources/prom/test")
        assert (refused.status, "the datasources of 'grafana' are not known: HTTP 502" in refused.text) == (502, True)
        assert {one["id"] for one in firing().values()} == {own["id"], whole["id"]}
        until("it knows none of them", lambda: says("datasource:grafana", "mcp-grafana) fails: HTTP 502"))
        # Grafana is back, the datasource is not.
        break_prom(403)
        until("Grafana is seen", lambda: "datasource:grafana" not in firing())
        until("the datasource fails still", lambda: says("datasource:prom", "does not answer: HTTP 403"))
        grafana.set(reset=True)
        grafana.set(listed=LISTED)
        until("it answers", lambda: not firing())
        told = tocsin.get(f"/monitoring/alerts/{own['id']}")
        assert [one["reason"] for one in told["transitions"]] == ["datasource_failing", "datasource_answers_again"]
