"""Tocsin as people run it, with the datasources of a Grafana: it starts without them, finds and loses them."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.process import Tocsin, until
from tests.grafana import TOKEN, FakeGrafana, fake_grafana
from tests.servers import Server, prometheus

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


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[tuple[FakeGrafana, Tocsin]]:
    folder = tmp_path_factory.mktemp("world")
    with prometheus(folder / "prometheus") as first:
        pass
    address = first.url.removeprefix("http://")
    with (
        prometheus(folder / "watching", scrape=[address], port=int(address.split(":")[1])) as server,
        fake_grafana(folder / "grafana", server.url) as grafana,
    ):
        yield from started(folder, server, grafana)


def started(folder: Path, server: Server, grafana: FakeGrafana) -> Iterator[tuple[FakeGrafana, Tocsin]]:
    (folder / "token").write_text(TOKEN)
    config = folder / "tocsin.yaml"
    config.write_text(FILE.format(url=grafana.url))
    listed = [{"id": 1, "uid": "prom", "name": "P", "type": "prometheus"}]
    listed += [
        {"id": 2, "uid": "loki", "name": "L", "type": "loki"},
        {"id": 3, "uid": "taken", "type": "loki", "name": "T"},
    ]
    grafana.set(listed=listed, status=503, body="not yet", where="/api/datasources")
    with Tocsin(folder / "state", "--no-host", "--config", str(config)) as tocsin:
        yield grafana, tocsin


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


def test_the_life_of_a_connection(world) -> None:
    grafana, tocsin = world
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

    before = child_of(tocsin)
    assert before is not None
    os.kill(before, signal.SIGKILL)
    until("it is spawned again", lambda: child_of(tocsin) not in (None, before))
    until("and works", lambda: connection(tocsin)["ok"])
    failures = tocsin.target("scrapes")["state"]["failures"]
    until("it goes on", lambda: tocsin.target("scrapes")["state"]["evaluations"] > 5)
    assert tocsin.target("scrapes")["state"]["failures"] <= failures + 1
    assert TOKEN not in tocsin.log()

    last = child_of(tocsin)
    tocsin.kill()
    until("it ends with Tocsin, also by SIGKILL", lambda: not Path(f"/proc/{last}").exists())
    tocsin.start()
    until("after the restart too", lambda: tocsin.target("scrapes")["state"]["state"] in ("warming_up", "ready"))
    last = child_of(tocsin)
    tocsin.end()
    until("and in order", lambda: not Path(f"/proc/{last}").exists())
