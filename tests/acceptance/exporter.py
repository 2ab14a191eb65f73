"""What Tocsin and Prometheus are pointed at: an exporter that misbehaves on command, and a scripted Prometheus."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

Body = Callable[[str], tuple[str, str]]
"""The path with its query, or the form of a POST, to content type and body."""

_JSON = "application/json"


@contextmanager
def http_server(answer: Body) -> Iterator[str]:
    """A loopback server in threads; host:port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 60

        def do_GET(self) -> None:
            self._answer(self.path)

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            self._answer(f"{urlsplit(self.path).path}?{form}")

        def _answer(self, asked: str) -> None:
            kind, body = answer(asked)
            data = body.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the library's name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # A client that went away in the middle is no news.

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class Shop:
    """The exporter of a small shop: two queues and a counter. `burden` is added to the queue `mail`."""

    def __init__(self) -> None:
        self.burden = 0.0
        self.scrapes = 0
        self._requests = {"200": 0.0, "500": 0.0}
        self._random = random.Random(7)

    def __call__(self, _: str) -> tuple[str, str]:
        self.scrapes += 1
        self._requests["200"] += self._random.uniform(90, 110)
        self._requests["500"] += self._random.uniform(0, 1)
        mail, billing = (20 + self._random.uniform(-2, 2) for _ in range(2))
        lines = [
            "# TYPE shop_queue_depth gauge",
            f'shop_queue_depth{{queue="mail"}} {mail + self.burden}',
            f'shop_queue_depth{{queue="billing"}} {billing}',
            "# TYPE shop_requests_total counter",
            *(f'shop_requests_total{{status="{status}"}} {count}' for status, count in self._requests.items()),
        ]
        return "text/plain; version=0.0.4", "\n".join(lines) + "\n"


class Rhythm:
    """Series that misbehave again and again, as a pure function of time: whoever asks again gets the same answer.

    In each `period` seconds a series is `height` above its level for `bad` of them, each series at a time of its own.
    """

    def __init__(self, *, series: int, period: int, bad: int, height: float = 500.0) -> None:
        self.series, self.period, self.bad, self.height = series, period, bad, height

    def value(self, query: str, row: int, at: float) -> float:
        # The sum of four bytes of a checksum is noise enough, and a fiftieth of the cost of a generator.
        noise = sum(crc32(f"{query} {row} {at:.0f}".encode()).to_bytes(4, "big")) / 150.0
        phase = crc32(f"{query} {row}".encode()) % self.period
        return 20.0 + noise + self.height * ((at + phase) % self.period < self.bad)


class ScriptedPrometheus:
    """Answers range queries by a rhythm; any text is a query."""

    def __init__(self, rhythm: Rhythm, now: Callable[[], float] = time.time) -> None:
        self._rhythm, self._now = rhythm, now
        self.queries = 0

    def __call__(self, asked: str) -> tuple[str, str]:
        parts = urlsplit(asked)
        given = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path != "/api/v1/query_range":
            return _JSON, json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}})
        self.queries += 1
        result = list(self._rows(given))
        return _JSON, json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})

    def _rows(self, given: Mapping[str, str]) -> Iterator[dict[str, object]]:
        start, end, step = (float(given[name]) for name in ("start", "end", "step"))
        times: Sequence[float] = [start + n * step for n in range(int((end - start) / step + 1e-6) + 1)]
        times = [at for at in times if at <= self._now()]
        for row in range(self._rhythm.series) if times else ():
            values = [[at, f"{self._rhythm.value(given['query'], row, at):.3f}"] for at in times]
            yield {
                "metric": {"__name__": given["query"], "instance": f"host-{row}", "job": "scripted"},
                "values": values,
            }
