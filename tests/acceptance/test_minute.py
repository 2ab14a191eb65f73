"""A minute under load: afterwards there are as many tasks, sockets and descriptors as before."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import uvicorn

from tests.acceptance.exporter import ScriptedPrometheus, http_server
from tests.acceptance.load import DATASOURCE, RHYTHM, Held, Load, comes_back
from tocsin.app.build import Application, build
from tocsin.config.model import Config, DatasourceConfig, HostConfig, ServerConfig, StoreConfig
from tocsin.store.engine import CONNECTIONS

LASTS_S = 60.0
COMES_BACK_WITHIN_S = 60.0
FILES_OF_A_CONNECTION = 3


class Quiet(uvicorn.Server):
    """Uvicorn that leaves the signals to pytest."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def tocsin_within(state: Path, prometheus: str, **more: float) -> AsyncIterator[tuple[Application, str]]:
    """All of Tocsin in this event loop, over a real store and a real socket; the application and its URL.

    `more` are settings of its datasource.
    """
    config = Config(
        path=None,
        datasources=(DatasourceConfig(DATASOURCE, prometheus, **more),),
        targets=(),
        server=ServerConfig(),
        store=StoreConfig(),
        host=HostConfig(enabled=False),
        state_dir=state,
    )
    application = await build(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = Quiet(uvicorn.Config(application.api, log_config=None, access_log=False, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await application.open()
            yield application, url
        finally:
            server.should_exit = True
            application.stopping.set()
            await serving
            await application.close()


async def fill_the_pool(url: str) -> None:
    """Let the store open all the connections that it may."""
    async with aiohttp.ClientSession(url) as session:

        async def ask() -> None:
            async with session.get("/monitoring/alerts") as answer:
                assert answer.status == 200

        await asyncio.gather(*(ask() for _ in range(30)))
    await asyncio.sleep(1.0)  # what ends with the last answers


async def test_the_load_leaves_no_target_behind_whenever_it_ends(tmp_path):
    scripted = ScriptedPrometheus(RHYTHM)
    asked, go_on = threading.Event(), threading.Event()

    def slow(question: str) -> tuple[str, str]:
        if "extra_0" in question:
            asked.set()
            go_on.wait(20)
        return scripted(question)

    with http_server(slow) as address:
        async with tocsin_within(tmp_path / "state", f"http://{address}") as (application, url):
            before = [view.target.name for view in application.monitor.views()]
            load = Load(url, targets=2, streams=1, askers=1)
            try:
                await load.begin()
                assert await asyncio.to_thread(asked.wait, 60), "an asker checks a target that it has made"
                ending = asyncio.create_task(load.end())
                await asyncio.sleep(0.2)
                go_on.set()
                await ending
            finally:
                go_on.set()
                await load.drop()
            assert [view.target.name for view in application.monitor.views()] == before


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("cpu")
async def test_tasks_sockets_and_descriptors_come_back(tmp_path):
    with http_server(ScriptedPrometheus(RHYTHM)) as address:
        at_first = Held.now()
        async with tocsin_within(tmp_path / "state", f"http://{address}") as (application, url):
            await fill_the_pool(url)
            before = Held.now()
            load = Load(url)
            try:
                await load.begin()
                loaded = Held.now()
                assert len(loaded.tasks) + loaded.unnamed > load.targets, (
                    "under load there is more: the counts count something"
                )
                for _ in range(int(LASTS_S)):
                    await asyncio.sleep(1.0)
                    load.check()
                status = await application.monitor.status()
                await load.end()
            finally:
                await load.drop()
            most = CONNECTIONS * FILES_OF_A_CONNECTION
            after = await comes_back(before, COMES_BACK_WITHIN_S, database=most)
            print(f"{status.evaluations} evaluations, {sum(load.answers.values())} answers {dict(load.answers)}")
            print(f"{load.opened} streams with {load.events} events; {loaded.sockets} sockets, then {after.sockets}")
            assert status.evaluations > load.targets
            assert load.events > 0, "no alert in a minute: the load shows nothing"
            assert load.opened > load.streams
            assert set(load.answers) <= {200, 201, 204}, load.answers
        await comes_back(at_first, COMES_BACK_WITHIN_S, database=0)
