"""What people say afterwards, over HTTP and the command line, with a process that is killed in between."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

import pytest

from tests.acceptance.exporter import http_server
from tests.acceptance.process import Tocsin, ask, run, until

INCIDENT_S = 600


class Queue:
    """Noise; in the first minutes that are read back every tenth second was 6.5 higher. Those in `repeats` are by 12:
    whatever the noise of that second is, it stands out. From `lifted` on all are higher.
    """

    def __init__(self) -> None:
        self.incident = time.time() // 60 * 60 - 7560.0
        self.repeats: set[int] = set()
        self.lifted = float("inf")

    def value(self, at: float) -> float:
        noise = sum(crc32(f"{at:.0f}".encode()).to_bytes(4, "big")) / 147.0  # the deviation of it is 1
        old = self.incident <= at < self.incident + INCIDENT_S and at % 10 == 0
        return noise + 6.5 * old + 12.0 * (at in self.repeats) + 50.0 * (at >= self.lifted)

    def __call__(self, asked: str) -> tuple[str, str]:
        parts = urlsplit(asked)
        given = {name: values[0] for name, values in parse_qs(parts.query).items()}
        result = []
        if parts.path == "/api/v1/query_range":
            start, end, step = (float(given[name]) for name in ("start", "end", "step"))
            times = [start + n * step for n in range(int((end - start) / step + 1e-6) + 1)]
            values = [[at, f"{self.value(at):.4f}"] for at in times if at <= time.time()]
            result = [{"metric": {"queue": "mail"}, "values": values}] if values else []
        kind = "matrix" if parts.path == "/api/v1/query_range" else "vector"
        return "application/json", json.dumps({"status": "success", "data": {"resultType": kind, "result": result}})


@pytest.fixture
def queue() -> Iterator[tuple[Queue, str]]:
    made = Queue()
    with http_server(made) as address:
        yield made, f"http://{address}"


TARGET = {
    "name": "queue",
    "query": "queue",
    "datasource_uid": "prometheus",
    "check_interval": 1,
    "step": 1,
    "lookback": 300,
    "history": 7200,
    "keep_firing_for": 2,
}


def bump(queue: Queue) -> int:
    """One second like the incident, only higher, soon."""
    at = int(time.time()) + 3
    queue.repeats.add(at)
    return at


def begun(server: Tocsin) -> dict[str, dict]:
    found = server.get("/monitoring/alerts?limit=1000&target=queue&state=pending,firing,resolved,expired")["items"]
    return {one["active_at"][:19]: one for one in found}


def spelled(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def test_what_was_said_over_the_command_line_survives_death(tmp_path: Path, queue: tuple[Queue, str]) -> None:
    source, prometheus = queue
    server = Tocsin(tmp_path / "state", "--prometheus", prometheus, "--no-host")
    with server:
        server.post("/monitoring/targets", TARGET, expect=201)
        until("it is judged", lambda: server.get("/monitoring/targets/queue")["state"]["evaluations"] > 3)
        add = ("windows", "add", "incident", "--target", "queue", "--note", "disk full", "--who", "ann")
        times = ("--start", spelled(source.incident) + "Z", "--end", spelled(source.incident + INCIDENT_S) + "Z")
        said = run(*add, *times, "--url", server.url)
        assert said.returncode == 0, said.stderr
        assert "of 1 band compared changed" in said.stdout
        time.sleep(2)
        assert server.target("queue")["state"]["failures"] == 0
        at = bump(source)
        alert = until("it is found", lambda: begun(server).get(spelled(at)))
        marked = run("alerts", "mark", alert["id"], "false", "--note", "a test", "--who", "ann", "--url", server.url)
        assert marked.returncode == 0, marked.stderr
        proposals = server.get("/monitoring/proposals?target=queue&state=open")["items"]
        floor = next(one for one in proposals if one["change"]["field"] == "min_effect")
        assert floor["evidence"] == [alert["id"]]
        applied = run("proposals", "apply", floor["id"], "--who", "ann", "--url", server.url)
        assert applied.returncode == 0, applied.stderr
        server.kill()
        server.start()
        (window,) = server.get("/monitoring/windows")["items"]
        assert (window["note"], window["who"]) == ("disk full", "ann")
        told = server.get(f"/monitoring/alerts/{alert['id']}")
        assert (told["verdict"]["verdict"], told["verdict"]["note"]) == ("false", "a test")
        assert server.get("/monitoring/targets/queue")["min_effect"] == floor["change"]["value"]
        assert server.get(f"/monitoring/proposals/{floor['id']}")["state"] == "applied"
        reverted = run("proposals", "revert", floor["id"], "--url", server.url, "--json")
        assert [one["state"] for one in json.loads(reverted.stdout)["history"]] == ["applied", "reverted"]
        assert server.get("/monitoring/targets/queue")["min_effect"] == 0


def test_a_new_normal_is_accepted_and_stays_accepted(tmp_path: Path, queue: tuple[Queue, str]) -> None:
    source, prometheus = queue
    server = Tocsin(tmp_path / "state", "--prometheus", prometheus, "--no-host")
    with server:
        server.post("/monitoring/targets", TARGET, expect=201)
        until("it is judged", lambda: server.get("/monitoring/targets/queue")["state"]["evaluations"] > 3)
        source.lifted = time.time() + 2
        (alert,) = until("it alerts", lambda: [one for one in begun(server).values() if one["state"] == "firing"])
        time.sleep(5)
        accepted = run("targets", "accept", "queue", "--note", "new release", "--who", "ann", "--url", server.url)
        assert accepted.returncode == 0, accepted.stderr
        assert alert["id"] in accepted.stdout
        story = server.get(f"/monitoring/alerts/{alert['id']}")
        assert (story["state"], story["transitions"][-1]["reason"]) == ("expired", "accepted_as_normal")
        server.kill()
        server.start()
        time.sleep(10)
        assert list(begun(server)) == [alert["active_at"][:19]], "neither then nor after a restart it alerts again"
        (one,) = server.get("/monitoring/acceptances")["items"]
        assert (one["kind"], one["who"], one["note"]) == ("level", "ann", "new release")
        again = ask(f"{server.url}/monitoring/targets/queue/accept", "POST", {"labels": {"queue": "none"}})
        assert again.status == 422
        assert again.json["errors"][0]["field"] == "labels"
