"""Real servers from Debian's packages, as plain processes on free loopback ports with folders of their own."""

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

APT_LINE = "apt-get install -y --no-install-recommends prometheus prometheus-node-exporter victoria-metrics"
READY_WITHIN_S = 20.0
START_TRIES = 3

Samples = Sequence[tuple[float, float]]
"""Unix seconds and value, ascending."""


@dataclass(frozen=True, slots=True)
class Series:
    """What a server is loaded with: labels with `__name__`, and samples."""

    labels: Mapping[str, str]
    samples: Samples


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path


def binary(name: str) -> str:
    """The path of an installed server; fails the test, never skips it, when there is none."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/bin:/usr/bin")
    if found is None:
        raise AssertionError(f"{name} is not installed; the tests need it:\n    {APT_LINE}")
    return found


def free_port() -> int:
    """A port that was free a moment ago; `_started` tries again when somebody else was faster."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def prometheus(
    folder: Path,
    series: Sequence[Series] = (),
    scrape: Sequence[str] = (),
    *,
    scrape_interval: str = "1s",
    arguments: Sequence[str] = (),
    port: int | None = None,
) -> Iterator[Server]:
    """Prometheus with `series` as its history and `scrape` (host:port) as its targets, job `test`."""
    folder.mkdir(parents=True, exist_ok=True)
    config, data = folder / "prometheus.yml", folder / "data"
    static = ", ".join(f"'{target}'" for target in scrape)
    jobs = f"\nscrape_configs:\n  - job_name: test\n    static_configs: [{{targets: [{static}]}}]\n" if scrape else "\n"
    config.write_text(f"global: {{scrape_interval: {scrape_interval}, scrape_timeout: {scrape_interval}}}{jobs}")
    if series and not data.exists():
        text = folder / "history.om"
        text.write_text(openmetrics(series))
        command = [binary("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
        subprocess.run(command, check=True, capture_output=True, timeout=300)

    def command_at(at: int) -> list[str]:
        return [
            binary("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=10y",
            f"--web.listen-address=127.0.0.1:{at}",
            *arguments,
        ]

    with _started(command_at, "/-/ready", folder, port) as server:
        yield server


@contextmanager
def victoria_metrics(folder: Path, series: Sequence[Series] = (), *, arguments: Sequence[str] = ()) -> Iterator[Server]:
    """VictoriaMetrics (single node) with `series` imported and visible."""
    folder.mkdir(parents=True, exist_ok=True)

    def command_at(at: int) -> list[str]:
        return [
            binary("victoria-metrics"),
            f"-storageDataPath={folder / 'data'}",
            "-retentionPeriod=100y",
            f"-httpListenAddr=127.0.0.1:{at}",
            "-loggerLevel=ERROR",
            *arguments,
        ]

    with _started(command_at, "/health", folder, None) as server:
        if series:
            import_into_victoria(server.url, series)
        yield server


@contextmanager
def node_exporter(folder: Path) -> Iterator[Server]:
    """The exporter of this machine's own metrics, on /metrics."""
    folder.mkdir(parents=True, exist_ok=True)

    def command_at(at: int) -> list[str]:
        return [binary("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{at}"]

    with _started(command_at, "/", folder, None) as server:
        yield server


def openmetrics(series: Sequence[Series]) -> str:
    """The text format that promtool loads; series of one metric must stand together."""
    lines: list[str] = []
    family = ""
    for each in sorted(series, key=lambda one: one.labels["__name__"]):
        name = each.labels["__name__"]
        if name != family:
            lines.append(f"# TYPE {name} gauge")
            family = name
        text = ",".join(f'{key}="{value}"' for key, value in each.labels.items() if key != "__name__")
        lines += [f"{name}{{{text}}} {_number(value)} {at:.3f}" for at, value in each.samples]
    return "\n".join([*lines, "# EOF", ""])


def import_into_victoria(url: str, series: Sequence[Series]) -> None:
    """Load samples through the text import and make them visible to queries."""
    lines = []
    for each in series:
        text = ",".join(f'{key}="{value}"' for key, value in each.labels.items() if key != "__name__")
        lines += [
            f"{each.labels['__name__']}{{{text}}} {_number(value)} {round(at * 1000)}" for at, value in each.samples
        ]
    body = "\n".join(lines).encode()
    urllib.request.urlopen(f"{url}/api/v1/import/prometheus", body, timeout=30).close()
    urllib.request.urlopen(f"{url}/internal/force_flush", timeout=30).close()


def _number(value: float) -> str:
    return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(str(value), repr(value))


@contextmanager
def _started(command_at, ready_path: str, folder: Path, port: int | None) -> Iterator[Server]:
    server = None
    for attempt in range(START_TRIES):
        at = port or free_port()
        log = (folder / "server.log").open("wb")
        process = subprocess.Popen(command_at(at), stdout=log, stderr=log, cwd=folder)
        log.close()
        if _ready(process, f"http://127.0.0.1:{at}{ready_path}"):
            server = Server(f"http://127.0.0.1:{at}", process, folder)
            break
        _stop(process)
        if attempt == START_TRIES - 1:
            raise AssertionError(f"the server did not start:\n{(folder / 'server.log').read_text()[-2000:]}")
    assert server is not None
    try:
        yield server
    finally:
        _stop(server.process)


def _ready(process: subprocess.Popen[bytes], url: str) -> bool:
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
        else:
            # Somebody else's server may have taken the port: then ours has ended, or will at once.
            time.sleep(0.05)
            return process.poll() is None
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait(10)
