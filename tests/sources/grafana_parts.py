"""A Grafana of Tocsin's, connected to the one of the tests through a real mcp-grafana."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import MappingProxyType

from tests.grafana import TOKEN, FakeGrafana
from tests.servers import free_port
from tocsin.domain.operations import Annotation
from tocsin.domain.ports import MetricSource
from tocsin.domain.shared import Shared
from tocsin.sources.grafana import GrafanaLoki, GrafanaPrometheus
from tocsin.sources.grafana_discovery import Grafana
from tocsin.sources.grafana_process import program
from tocsin.sources.grafana_settings import GrafanaSettings

WITHIN_S = 30.0


class Book:
    """Keeps what a Grafana finds."""

    def __init__(self, taken: Mapping[str, str] = MappingProxyType({})) -> None:
        self.sources: dict[str, MetricSource] = {}
        self.times = 0
        self.taken = taken
        self.deployed: list[Annotation] = []

    async def found(self, sources: Sequence[MetricSource]) -> Mapping[str, str]:
        self.sources = {source.uid: source for source in sources}
        self.times += 1
        return self.taken

    async def take_deployments(self, annotations: Sequence[Annotation]) -> None:
        self.deployed += annotations


async def until(holds, what: str) -> None:
    """Wait until something holds, or fail."""
    for _ in range(int(WITHIN_S / 0.02)):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {WITHIN_S:g} s: {what}")


@asynccontextmanager
async def running(settings: GrafanaSettings, book: Book, **more) -> AsyncIterator[Grafana]:
    """A Grafana that was started, whether it finds anything or not."""
    made = Grafana(settings, book.found, book.take_deployments, **more)
    made.start()
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def connected(
    server: FakeGrafana, shared: Shared | None = None, **settings
) -> AsyncIterator[tuple[Grafana, dict[str, GrafanaPrometheus | GrafanaLoki]]]:
    """A Grafana that has found its datasources, and these by uid."""
    given = {"grafana_url": server.url, "token": TOKEN} | settings
    book = Book()
    async with running(GrafanaSettings("grafana", **given), book, shared=shared) as grafana:
        await until(lambda: book.times > 0, f"found: {grafana.standing()}")
        await until(lambda: "not asked for yet" not in str(grafana.standing().notes), "deployments were asked for")
        yield grafana, book.sources


@contextmanager
def served(grafana, way: str, path: str, port: int | None = None):
    """A real mcp-grafana that was started by somebody else, with a token for its callers."""
    port = port or free_port()
    env = {
        "GRAFANA_URL": grafana.url,
        "GRAFANA_SERVICE_ACCOUNT_TOKEN": TOKEN,
        "MCP_GRAFANA_SERVER_TOKEN": "caller-token",
    }
    command = [
        program(GrafanaSettings("g", grafana_url="http://unused")),
        "-t",
        way,
        "-address",
        f"127.0.0.1:{port}",
        "-disable-write",
        "-usage-stats",
        "disabled",
    ]
    process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}{path}", process
    finally:
        process.kill()
        process.wait()
