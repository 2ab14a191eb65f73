"""What a Tocsin that has nothing to do costs: resident memory at start, and CPU with the mission's kind of targets."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from tests.servers import node_exporter, prometheus

QUERIES = (
    "rate(node_cpu_seconds_total{mode='idle'}[1m])",
    "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    "node_load1",
    "node_filesystem_avail_bytes",
)
TARGETS = 20
WATCHED_S = 60


def settings(url):
    lines = [f"datasources: [{{uid: prometheus, type: prometheus, url: '{url}'}}]", "targets:"]
    for n in range(TARGETS):
        interval = (60, 180, 300)[n % 3]
        lines.append(
            f'  - {{name: t{n}, query: "{QUERIES[n % 4]}", datasource_uid: prometheus, check_interval: {interval}}}'
        )
    return "\n".join(lines) + "\n"


def watch(folder, arguments):
    command = [sys.executable, "-m", "tocsin", "serve", "--port", "0", "--state-dir", str(folder), *arguments]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            time.sleep(10)
            of = psutil.Process(process.pid)
            memory, before = of.memory_info().rss / 2**20, sum(of.cpu_times()[:2])
            time.sleep(WATCHED_S)
            return memory, 100 * (sum(of.cpu_times()[:2]) - before) / WATCHED_S
        finally:
            process.terminate()


def main(argv=None):  # noqa: ARG001 the shape that benchmarks share
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with node_exporter(folder / "node") as node:
            scrape = [node.url.removeprefix("http://")]
            with prometheus(folder / "prometheus", scrape=scrape, scrape_interval="5s") as server:
                file = folder / "tocsin.yaml"
                file.write_text(settings(server.url))
                for title, arguments in (
                    ("20 targets on a Prometheus", ["--no-host", "--config", str(file)]),
                    ("20 targets and this machine", ["--config", str(file)]),
                ):
                    memory, cpu = watch(folder / title.replace(" ", "-"), arguments)
                    print(f"{title:30}  resident {memory:6.1f} MB (under 120)   idle CPU {cpu:5.2f} % (under 1)")


if __name__ == "__main__":
    main()
