"""A real exporter, a real Prometheus, a real Tocsin: the alert comes, stays one, and resolves."""

import subprocess
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.exporter import Shop, http_server
from tests.acceptance.process import Tocsin, ask, until
from tests.servers import Server, binary, free_port, prometheus

BURDEN = 1000.0
DEPTH = {
    "name": "queue_depth",
    "query": "shop_queue_depth",
    "datasource_uid": "prometheus",
    "check_interval": 1,
    "step": 1,
    "lookback": 60,
    "keep_firing_for": 4,
    "severity_threshold": "critical",
    "min_effect": 100,
    "direction": "above",
}
FAILURES = {
    **DEPTH,
    "name": "failures",
    "query": 'rate(shop_requests_total{status="500"}[5s])',
    "check_interval": 2,
    "step": 2,
}


@contextmanager
def shop_and_prometheus(folder: Path) -> Iterator[tuple[Shop, str, Server]]:
    """The exporter, its address, and a Prometheus that scrapes it every second."""
    shop = Shop()
    with http_server(shop) as address, prometheus(folder / "prometheus", scrape=[address]) as server:
        yield shop, address, server


def query(url: str, promql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': promql})}").json["data"][
        "result"
    ]
    return found


def firing(server: Tocsin, target: str) -> list[dict[str, Any]]:
    return [one for one in server.alerts(target) if one["state"] == "firing"]


def story(server: Tocsin, alert: dict[str, Any]) -> list[tuple[str | None, str]]:
    """The moves of one alert from state to state."""
    told = server.get(f"/monitoring/alerts/{alert['id']}")["transitions"]
    return [(one["before"], one["after"]) for one in told if one["before"] != one["after"]]


def evaluated(server: Tocsin, name: str, more: int) -> None:
    """Wait until a target was evaluated so many times more."""

    def count() -> int:
        number: int = server.target(name)["state"]["evaluations"]
        return number

    goal = count() + more
    until(f"{more} more evaluations of {name}", lambda: count() >= goal, within_s=60)


@pytest.mark.timeout(300)
def test_one_alert_that_stays_one_and_resolves(tmp_path):
    with (
        shop_and_prometheus(tmp_path) as (shop, _, real),
        Tocsin(tmp_path / "state", "--no-host", "--prometheus", real.url) as server,
    ):
        server.post("/monitoring/targets", DEPTH, 201)
        server.post("/monitoring/targets", FAILURES, 201)
        server.ready("queue_depth")
        server.ready("failures")
        evaluated(server, "queue_depth", 8)
        assert server.alerts("queue_depth") == [], "nothing has happened yet"

        shop.burden = BURDEN
        until("the alert fires", lambda: firing(server, "queue_depth"), within_s=60)
        (alert,) = firing(server, "queue_depth")
        assert alert["labels"]["queue"] == "mail"
        assert alert["value"] > BURDEN
        assert alert["expected_value"] < 100
        evaluated(server, "queue_depth", 6)
        (still,) = server.alerts("queue_depth")
        assert (still["id"], still["state"]) == (alert["id"], "firing")
        assert still["anomaly_count"] > alert["anomaly_count"], "it lasts, and that is counted, not told again"

        shop.burden = 0.0
        until("it resolves", lambda: server.alerts("queue_depth", state="resolved"), within_s=60)
        evaluated(server, "queue_depth", 3)
        (over,) = server.alerts("queue_depth")
        assert (over["id"], over["state"]) == (alert["id"], "resolved")
        assert story(server, over) == [(None, "firing"), ("firing", "resolved")]
        evidence = server.get(f"/monitoring/alerts/{over['id']}")["evidence"]
        assert evidence[0]["query"] == "shop_queue_depth"
        assert evidence[0]["values"][-1] > BURDEN
        (line,) = evidence[0]["context"]
        assert line.startswith("up{job="), line
        assert line.endswith("it was scraped all the time"), line
        assert server.alerts("failures") == [], "the healthy counter says nothing"


@pytest.mark.timeout(300)
def test_prometheus_killed_and_restarted_while_an_alert_fires(tmp_path):
    # Not `auto`: to it what a series of seconds does for longer than all before is its normal.
    depth, name = {**DEPTH, "detection_methods": ["zscore", "iqr", "mad", "rate_change"]}, "datasource:prometheus"
    shop = Shop()
    with http_server(shop) as address:
        port = free_port()
        with (
            prometheus(tmp_path / "prometheus", scrape=[address], port=port) as real,
            Tocsin(tmp_path / "state", "--no-host", "--prometheus", real.url) as server,
        ):
            server.post("/monitoring/targets", depth, 201)
            server.ready("queue_depth")
            evaluated(server, "queue_depth", 5)
            shop.burden = BURDEN
            until("the alert fires", lambda: firing(server, "queue_depth"), within_s=60)
            (alert,) = firing(server, "queue_depth")

            real.process.kill()
            real.process.wait(10)
            until("the alert about the datasource fires", lambda: server.alerts(name), within_s=90)
            (about,) = server.alerts(name)
            assert (about["kind"], about["state"]) == ("datasource", "firing")
            frozen = server.target("queue_depth")["state"]
            assert frozen["state"] == "error"
            assert f"127.0.0.1:{port}" in frozen["reason"] or "refused" in frozen["reason"], frozen
            (same,) = server.alerts("queue_depth")
            assert (same["id"], same["state"]) == (alert["id"], "firing"), "a broken datasource freezes its alerts"
            (source,) = server.get("/monitoring/datasources")["items"]
            assert source["health"] == "failing"
            assert source["last_error"]
            assert server.get("/health/ready"), "a datasource that is down is an alert, not unreadiness"

            with prometheus(tmp_path / "prometheus", scrape=[address], port=port):
                until("it answers again", lambda: server.alerts(name, state="resolved"), within_s=90)
                server.ready("queue_depth")
                evaluated(server, "queue_depth", 3)
                (one,) = server.alerts("queue_depth")
                assert (one["id"], one["state"]) == (alert["id"], "firing"), "the outage goes on as the same alert"
                shop.burden = 0.0
                until("it resolves", lambda: server.alerts("queue_depth", state="resolved"), within_s=90)
                evaluated(server, "queue_depth", 3)
                (over,) = server.alerts("queue_depth")
                assert story(server, over) == [(None, "firing"), ("firing", "resolved")]
                (about,) = server.alerts(name)
                assert story(server, about) == [(None, "firing"), ("firing", "resolved")]


@pytest.mark.timeout(180)
def test_a_prometheus_scrapes_tocsin(tmp_path):
    with (
        Tocsin(tmp_path / "state") as server,
        prometheus(tmp_path / "prometheus", scrape=[server.address]) as real,
    ):
        until("it is up", lambda: [one for one in query(real.url, "up") if one["value"][1] == "1"])

        def evaluations() -> float:
            (one,) = query(real.url, "tocsin_evaluations_total")
            return float(one["value"][1])

        until("evaluations are scraped", lambda: query(real.url, "tocsin_evaluations_total"))
        first = evaluations()
        until("their number grows", lambda: evaluations() > first)
        (running,) = query(real.url, "tocsin_monitoring_running")
        assert running["value"][1] == "1"
        (state,) = query(real.url, 'tocsin_targets{state="error"}')
        assert state["value"][1] == "0"

        exposed = server.request("GET", "/metrics").text
        checked = subprocess.run(
            [binary("promtool"), "check", "metrics"], input=exposed, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert checked.returncode == 0, checked.stdout + checked.stderr
