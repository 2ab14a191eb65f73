"""A Loki for the tests: it computes its answers from lines, or replays recorded ones, and it checks what it is asked.

No package carries a Loki. Its answers are in the shape of the recorded ones (`tests/sources/samples/loki`).
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tocsin.domain import logql, logql_tree
from tocsin.domain.errors import Invalid

SAMPLES = Path(__file__).parent / "sources" / "samples" / "loki"
SECOND = 1_000_000_000
NANOSECONDS = re.compile(r"\d{19}")
STAGE = re.compile(
    r"""\s*(?:(?P<line>\|=|!=|\|~|!~)\s*(?P<text>"(?:\\.|[^"\\])*")
    |\|\s*logfmt\b
    |\|\s*unwrap\s+(?P<unwrap>\w+)
    |\|\s*(?P<label>\w+)\s*(?P<operator>=~|=|!=)\s*(?P<value>"(?:\\.|[^"\\])*"))""",
    re.VERBOSE,
)
PAIR = re.compile(r'(\w+)=("[^"]*"|\S+)')
MATCHES: dict[str, Callable[[str, str], bool]] = {
    "=": lambda value, wanted: value == wanted,
    "!=": lambda value, wanted: value != wanted,
    "=~": lambda value, wanted: re.fullmatch(wanted, value) is not None,
    "!~": lambda value, wanted: re.fullmatch(wanted, value) is None,
}

VECTOR = logql.parse("vector(1)")
Key = frozenset[tuple[str, str]]
Vector = dict[Key, float]


def sample(name: str) -> dict:
    """A recorded request and its answer."""
    return json.loads((SAMPLES / f"{name}.json").read_text())


class Refused(Exception):
    """An answer that is plain text, as Loki's errors are."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Line:
    """A line of a stream with what was attached to it alone."""

    at_ns: int
    text: str
    labels: Mapping[str, str]
    metadata: Mapping[str, str]

    @property
    def all(self) -> dict[str, str]:
        return {**self.labels, **self.metadata}


@dataclass
class FakeLoki:
    """Lines by tenant ("" where there are none), and everything that was asked."""

    tenants: bool = False
    max_entries: int = 5000
    lines: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    replays: dict[tuple[str, str], dict] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What no Loki would be asked; a test ends with none."""
    failures: list[tuple[int, str]] = field(default_factory=list)
    """Statuses and texts of the next answers."""

    def write(self, at_ns: int, text: str, *, tenant: str = "", **labels: str) -> None:
        """A line comes in; its level is found as Loki does."""
        level = re.search(r"level=(\w+)", text)
        metadata = {"detected_level": level[1] if level else "unknown"}
        self.lines[tenant].append(Line(at_ns, text, labels, metadata))

    def replay(self, name: str) -> dict:
        """Answer that recorded question as it was answered then; the recorded request."""
        recorded = sample(name)
        self.replays[recorded["request"]["path"], recorded["request"]["params"]["query"]] = recorded
        return recorded["request"]["params"]

    async def answer(self, request: web.Request) -> web.Response:
        """One answer of the server."""
        parameters = dict(request.query if request.method == "GET" else await request.post())
        return self.respond(request.path, parameters, request.headers.get("X-Scope-OrgID"))

    def respond(self, path: str, parameters: dict[str, str], tenant: str | None = None) -> web.Response:
        """The same for a request that came in another way."""
        self.asked.append((path, parameters))
        try:
            self._fail()
            recorded = self.replays.get((path, parameters.get("query", parameters.get("match[]", ""))))
            if recorded is not None:
                return self._recorded(recorded, parameters)
            return web.json_response(self._answer(path, parameters, self._tenant(tenant)))
        except Refused as refused:
            return web.Response(status=refused.status, text=str(refused))

    def _fail(self) -> None:
        if self.failures:
            raise Refused(*self.failures.pop(0))

    def _tenant(self, tenant: str | None) -> str:
        if not self.tenants:
            return ""
        if tenant is None:
            raise Refused(401, "no org id\n")
        return tenant

    def _recorded(self, recorded: dict, parameters: dict[str, str]) -> web.Response:
        params = recorded["request"]["params"]
        for name in ("start", "end", "time"):
            near = 1000 * SECOND * 4 if "step" in params else 1000
            if name in params and abs(int(params[name]) - int(self._instant(parameters, name))) > near:
                self.wrong.append(f"{name} is {parameters[name]}, not {params[name]}")
        if "step" in params and self._step(parameters) != logql_tree.duration_s(params["step"]):
            self.wrong.append(f"step is {parameters['step']}, not {params['step']}")
        body, answer = recorded["response"]["body"], recorded["response"]
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=answer["status"], text=text, headers={"Content-Type": answer["content_type"]})

    def _instant(self, parameters: Mapping[str, str], name: str) -> int:
        text = parameters.get(name, "")
        if not NANOSECONDS.fullmatch(text):
            self.wrong.append(f"{name} is {text!r}, not nanoseconds")
            raise Refused(400, f"could not parse '{name}' parameter")
        return int(text)

    def _step(self, parameters: Mapping[str, str]) -> float:
        try:
            step_s = logql_tree.duration_s(parameters["step"]) or float(parameters["step"])
        except (KeyError, ValueError):
            self.wrong.append(f"step is {parameters.get('step')!r}")
            raise Refused(400, "bad step") from None
        return step_s

    def _allow(self, parameters: Mapping[str, str], *names: str) -> None:
        if set(parameters) != set(names):
            self.wrong.append(f"parameters {sorted(parameters)}, not {sorted(names)}")

    def _answer(self, path: str, parameters: dict[str, str], tenant: str) -> dict:
        lines = self.lines.get(tenant, [])
        if path == "/loki/api/v1/status/buildinfo":
            return sample("buildinfo")["response"]["body"]
        if path == "/loki/api/v1/labels":
            names = sorted({name for line in lines for name in line.labels})
            return {"status": "success", "data": names} if names else {"status": "success"}
        if path == "/loki/api/v1/series":
            return self._series(lines, parameters)
        if path not in ("/loki/api/v1/query_range", "/loki/api/v1/query"):
            raise Refused(404, "404 page not found\n")
        try:
            node = logql.parse(parameters.get("query", ""))
        except Invalid as error:
            raise Refused(400, f"parse error : {error.reason}") from error
        if path.endswith("/query"):
            self._allow(parameters, "query", "time")
            if node == VECTOR:
                # What mcp-grafana is asked to see whether there is an answer, at no instant of its own.
                one = [{"metric": {}, "value": [0, "1"]}]
                return {"status": "success", "data": {"resultType": "vector", "result": one}}
            return self._instant_answer(node, lines, self._instant(parameters, "time"))
        start, end = self._instant(parameters, "start"), self._instant(parameters, "end")
        if end < start or (end == start and isinstance(node, logql_tree.Lines)):
            raise Refused(400, "end timestamp must not be before or equal to start time")
        if end - start > 30 * 86400 * SECOND:
            raise Refused(400, "the query time range exceeds the limit (query length: 1440h0m0s, limit: 30d)")
        if isinstance(node, logql_tree.Lines):
            self._allow(parameters, "query", "start", "end", "limit", "direction")
            return self._streams(node, lines, (start, end), parameters)
        self._allow(parameters, "query", "start", "end", "step")
        return self._matrix(node, lines, (start, end), self._step(parameters))

    def _series(self, lines: list[Line], parameters: dict[str, str]) -> dict:
        self._allow(parameters, "match[]", "start", "end")
        start, end = self._instant(parameters, "start"), self._instant(parameters, "end")
        try:
            node = logql.parse(parameters["match[]"])
        except Invalid as error:
            raise Refused(400, f"parse error : {error.reason}") from error
        if not isinstance(node, logql_tree.Lines) or node.pipeline:
            raise Refused(400, "only label matchers are supported")
        near = [line for line in lines if start <= line.at_ns < end]
        streams = {frozenset(line.labels.items()) for line, _, _ in selected(node, near)}
        # As recorded: no data where there are none.
        found = [dict(each) for each in sorted(streams, key=sorted)]
        return {"status": "success", "data": found} if found else {"status": "success"}

    def _instant_answer(self, node: logql_tree.Node, lines: list[Line], at_ns: int) -> dict:
        if isinstance(node, logql_tree.Lines):
            raise Refused(400, "log queries are not supported as an instant query type")
        found = evaluate(node, lines, at_ns)
        result = [{"metric": dict(key), "value": [at_ns / SECOND, repr(value)]} for key, value in found.items()]
        return {"status": "success", "data": {"resultType": "vector", "result": result, "stats": {}}}

    def _matrix(self, node: logql_tree.Node, lines: list[Line], window: tuple[int, int], step_s: float) -> dict:
        step = round(step_s * SECOND)
        # As recorded: the start is moved down to a multiple of the step, the end up.
        first, last, series = window[0] // step * step, -(-window[1] // step) * step, defaultdict(list)
        if (last - first) // step >= 11_000:
            raise Refused(400, "exceeded maximum resolution of 11,000 points per time series.")
        for at_ns in range(first, last + 1, step):
            for key, value in evaluate(node, lines, at_ns).items():
                series[key].append([at_ns / SECOND, repr(value)])
        result = [{"metric": dict(key), "values": series[key]} for key in sorted(series, key=sorted)]
        return {"status": "success", "data": {"resultType": "matrix", "result": result, "stats": {}}}

    def _streams(
        self, node: logql_tree.Lines, lines: list[Line], window: tuple[int, int], parameters: dict[str, str]
    ) -> dict:
        limit = int(parameters["limit"])
        if limit > self.max_entries:
            raise Refused(
                400,
                "max entries limit per query exceeded, limit > max_entries_limit_per_query "
                f"({limit} > {self.max_entries})",
            )
        found = [(line, labels) for line, labels, _ in selected(node, lines) if window[0] <= line.at_ns < window[1]]
        found.sort(key=lambda each: each[0].at_ns)
        if parameters["direction"] == "backward":
            # Those of one instant too, as Loki does.
            found.reverse()
        streams = defaultdict(list)
        for line, labels in found[:limit]:
            streams[frozenset(labels.items())].append([str(line.at_ns), line.text])
        result = [{"stream": dict(key), "values": values} for key, values in streams.items()]
        return {"status": "success", "data": {"resultType": "streams", "result": result, "stats": {}}}


def selected(query: logql_tree.Lines, lines: list[Line]) -> list[tuple[Line, dict[str, str], float | None]]:
    """The lines that match, each with its labels after the pipeline and the number taken out of it."""
    found = []
    for line in lines:
        if all(MATCHES[each.operator](line.labels.get(each.label, ""), each.value) for each in query.matchers):
            passed = through(query.pipeline, line)
            if passed is not None:
                found.append((line, *passed))
    return found


def through(pipeline: str, line: Line) -> tuple[dict[str, str], float | None] | None:
    """What comes out of the pipeline for a line; None when it is filtered."""
    labels, value, at = line.all, None, 0
    while pipeline[at:].strip():
        stage = STAGE.match(pipeline, at)
        if stage is None:
            raise Refused(400, f"the fake does not understand {pipeline[at:]!r}")
        at = stage.end()
        if stage["line"]:
            wanted = json.loads(stage["text"])
            there = wanted in line.text if "~" not in stage["line"] else re.search(wanted, line.text) is not None
            if there is stage["line"].startswith("!"):
                return None
        elif stage["label"]:
            if not MATCHES[stage["operator"]](labels.get(stage["label"], ""), json.loads(stage["value"])):
                return None
        elif stage["unwrap"]:
            if stage["unwrap"] not in labels:
                return None
            value = float(labels.pop(stage["unwrap"]))
        else:
            labels.update({name: text.strip('"') for name, text in PAIR.findall(line.text)})
    return labels, value


def evaluate(node: logql_tree.Node, lines: list[Line], at_ns: int) -> Vector:
    """The value of a metric query at one instant."""
    if isinstance(node, logql_tree.Binary):
        return binary(node, lines, at_ns)
    if not isinstance(node, logql_tree.Call):
        raise Refused(400, f"the fake does not understand {node!r}")
    inner = node.arguments[-1]
    grouped: dict[Key, list[float]] = defaultdict(list)
    if isinstance(inner, logql_tree.LinesWithin):
        stop = at_ns - round(SECOND * (logql_tree.duration_s(inner.offset.removeprefix("offset ")) or 0))
        start = stop - round(SECOND * inner.range_s)
        near = [line for line in lines if start < line.at_ns <= stop]
        for line, labels, value in selected(inner.lines, near):
            grouped[group(labels, node.by)].append(float(len(line.text)) if value is None else value)
        return {key: over_time(node, inner.range_s, values) for key, values in grouped.items()}
    for key, value in evaluate(inner, lines, at_ns).items():
        grouped[group(dict(key), node.by or ())].append(value)
    over = {"sum": sum, "max": max, "min": min, "avg": lambda each: sum(each) / len(each)}
    return {key: float(over[node.function](values)) for key, values in grouped.items()}


def over_time(call: logql_tree.Call, range_s: float, values: list[float]) -> float:
    """One range aggregation of the numbers of one series."""
    if call.function == "quantile_over_time":
        share, ordered = call.arguments[0], sorted(values)
        assert isinstance(share, logql_tree.Number)
        place = share.value * (len(ordered) - 1)
        below, above = ordered[int(place)], ordered[min(int(place) + 1, len(ordered) - 1)]
        return below + (above - below) * (place - int(place))
    whole = {
        "count_over_time": float(len(values)),
        "rate": len(values) / range_s,
        "bytes_over_time": sum(values),
        "max_over_time": max(values),
    }
    if call.function not in whole:
        raise Refused(400, "parse error at line 1, col 1: syntax error: unexpected IDENTIFIER")
    return whole[call.function]


def group(labels: Mapping[str, str], by: tuple[str, ...] | None) -> Key:
    """The labels of the series that a line or a series goes into."""
    return frozenset((name, value) for name, value in labels.items() if by is None or name in by)


def binary(node: logql_tree.Binary, lines: list[Line], at_ns: int) -> Vector:
    """Two vectors of the same labels, or one and a number."""
    sides = [
        side.value if isinstance(side, logql_tree.Number) else evaluate(side, lines, at_ns)
        for side in (node.left, node.right)
    ]
    if node.operator == "or":
        return {**sides[1], **sides[0]}
    operate = {"*": lambda a, b: a * b, "/": lambda a, b: a / b if b else float("nan")}[node.operator]
    keys = [set(side) for side in sides if isinstance(side, dict)]
    return {
        key: operate(*(side[key] if isinstance(side, dict) else side for side in sides))
        for key in set.intersection(*keys)
    }


@asynccontextmanager
async def serving(loki: FakeLoki):
    """The server on loopback; gives its URL, and fails the test that asked what no Loki would be asked."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", loki.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
    assert loki.wrong == []
