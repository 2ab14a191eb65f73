"""A Grafana-shaped server before a real Prometheus, for a real mcp-grafana: a process of its own, with faults on
demand.

It has Grafana's paths for datasources, annotations and rules, checks the token, passes Prometheus' queries on, and
plays a Loki whose samples and lines it was given. `python -m tests.grafana PORT PROMETHEUS` runs it.
"""

import asyncio
import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

from tests.loki import FakeLoki
from tests.servers import _started

TOKEN = "glsa_tests-only"
LISTED = [
    {"id": 1, "uid": "prom", "name": "Prometheus", "type": "prometheus", "isDefault": True},
    {"id": 2, "uid": "loki", "name": "Loki", "type": "loki"},
    {"id": 3, "uid": "am", "name": "Alertmanager", "type": "alertmanager"},
]


@dataclass(frozen=True, slots=True)
class FakeGrafana:
    """A running one."""

    url: str

    def set(self, **state: object) -> None:
        """Change what it does: `status` and `body` (for paths that hold `where`), `delay_s`, `listed`, `annotations`,
        `samples` and `lines` of its Loki, or `written` where that is to compute its answers, `warnings` beside series.
        """
        body = json.dumps(state).encode()
        urllib.request.urlopen(f"{self.url}/_test", body, timeout=5).close()

    def requests(self) -> list[dict[str, str]]:
        """What it was asked since it started or was reset: `path`, and the parameters."""
        with urllib.request.urlopen(f"{self.url}/_test", timeout=5) as answer:
            return json.load(answer)


@contextmanager
def fake_grafana(folder: Path, prometheus_url: str) -> Iterator[FakeGrafana]:
    """A Grafana with the datasources `prom`, `loki` and `am`."""
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).parent.parent

    def command_at(port: int) -> list[str]:
        start = f"import sys; sys.path.insert(0, {str(root)!r}); from tests.grafana import main; main()"
        return [sys.executable, "-c", start, str(port), prometheus_url]

    with _started(command_at, "/api/health", folder, None) as server:
        yield FakeGrafana(server.url)


FRESH = {
    "status": None,
    "body": "",
    "where": "",
    "delay_s": 0.0,
    "listed": LISTED,
    "annotations": [],
    "samples": [],
    "lines": [],
    "written": [],
    "warnings": [],
}


class _Server:
    def __init__(self, prometheus_url: str) -> None:
        self.prometheus_url = prometheus_url
        self.state = dict(FRESH)
        self.asked: list[dict[str, str]] = []
        self.client: ClientSession | None = None

    async def test(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response(self.asked)
        self.state.update(await request.json())
        if self.state.get("reset"):
            self.state, self.asked = dict(FRESH), []
        return web.Response()

    async def any(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        form = dict(await request.post()) if request.method == "POST" else {}
        asked = {"path": path, **dict(request.query), **{key: str(value) for key, value in form.items()}}
        if len(self.asked) < 10_000:
            self.asked.append(asked)
        if path == "/api/health":
            return web.json_response({"database": "ok"})
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"message": "Unauthorized"}, status=401)
        if self.state["where"] in path:
            await asyncio.sleep(self.state["delay_s"])
            if self.state["status"] is not None:
                return web.Response(status=self.state["status"], text=self.state["body"])
        if path == "/api/datasources":
            return web.json_response(self.state["listed"])
        if path == "/api/annotations":
            return web.json_response(self._annotations(request))
        if path == "/api/prometheus/grafana/api/v1/rules":
            return await self._pass_on("api/v1/rules", {})
        parts = path.strip("/").split("/")
        if path.startswith("/api/datasources/uid/"):
            return await self._datasource(parts[3], parts[4:], asked)
        if path.startswith("/api/datasources/proxy/uid/"):
            return await self._datasource(parts[4], ["resources", *parts[5:]], asked)
        return web.json_response({"message": "Not found"}, status=404)

    async def _datasource(self, uid: str, rest: list[str], asked: dict[str, str]) -> web.StreamResponse:
        found = next((each for each in self.state["listed"] if each["uid"] == uid), None)
        if found is None:
            return web.json_response({"message": "Data source not found"}, status=404)
        if not rest:
            return web.json_response({**found, "url": "http://behind", "access": "proxy", "jsonData": {}})
        parameters = {key: value for key, value in asked.items() if key != "path"}
        if found["type"] == "loki":
            return self._loki("/".join(rest[1:]), parameters)
        return await self._pass_on("/".join(rest[1:]), parameters)

    async def _pass_on(self, path: str, parameters: dict[str, str]) -> web.Response:
        if self.client is None:
            connector = TCPConnector(limit=100)
            self.client = ClientSession(connector=connector, timeout=ClientTimeout(60))
        async with self.client.post(f"{self.prometheus_url}/{path}", data=parameters) as answer:
            body = await answer.read()
        if answer.status == 405:
            async with self.client.get(f"{self.prometheus_url}/{path}", params=parameters) as answer:
                body = await answer.read()
        if self.state["warnings"] and answer.status == 200:
            body = json.dumps({**json.loads(body), "warnings": self.state["warnings"]}).encode()
        return web.Response(status=answer.status, body=body, content_type="application/json")

    def _annotations(self, request: web.Request) -> list[object]:
        start, end = int(request.query.get("from", "0")), int(request.query.get("to", "9" * 18))
        tags = set(request.query.getall("tags", []))
        found = [one for one in self.state["annotations"] if start <= one["time"] <= end]
        return [one for one in found if not tags or tags & set(one["tags"])]

    def _loki(self, path: str, asked: dict[str, str]) -> web.Response:
        if self.state["written"]:
            loki = FakeLoki()
            for at_ns, text, labels in self.state["written"]:
                loki.write(at_ns, text, **labels)
            return loki.respond(f"/loki/api/v1/{path.rsplit('/', 1)[-1]}", asked)
        if not path.endswith(("query_range", "query")):
            return web.Response(status=404, text="404 page not found")
        query = asked.get("query", "")
        if query.count("{") != query.count("}"):
            return web.Response(status=400, text="parse error at line 1, col 11: syntax error: unexpected $end")
        if "_over_time" in query or "rate(" in query or "vector(" in query:
            data = {"resultType": "matrix", "result": self._matrix(asked)}
        else:
            data = {"resultType": "streams", "result": self._streams(asked)}
        return web.json_response({"status": "success", "data": {**data, "stats": {}}})

    def _matrix(self, asked: dict[str, str]) -> list[object]:
        start, end = int(asked["start"]) / 1e9, int(asked["end"]) / 1e9
        found = []
        for labels, samples in self.state["samples"]:
            values = [[at, value] for at, value in samples if start <= at <= end]
            if values:
                found.append({"metric": labels, "values": values})
        return found

    def _streams(self, asked: dict[str, str]) -> list[object]:
        start, end, limit = int(asked["start"]), int(asked["end"]), int(asked["limit"])
        lines = [one for one in self.state["lines"] if start <= int(one[0]) < end]
        lines.sort(key=lambda one: int(one[0]))
        if asked.get("direction") != "forward":
            # Those of one instant too, as Loki does.
            lines.reverse()
        streams: dict[str, list[object]] = {}
        for at, labels, text in lines[:limit]:
            streams.setdefault(json.dumps(labels), []).append([at, text])
        return [{"stream": json.loads(key), "values": values} for key, values in streams.items()]


def main() -> None:
    """Serve until it is ended."""
    server = _Server(sys.argv[2])
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_route("*", "/_test", server.test)
    app.router.add_route("*", "/{path:.*}", server.any)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
