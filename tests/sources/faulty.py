"""Web servers that misbehave on purpose."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.domain.frame import Window
from tocsin.sources.http import HttpClient
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.prometheus import PrometheusSource

F = SourceFailure
SECRET = "hunter2-very-secret"
START = datetime(2026, 11, 23, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(seconds=15), timedelta(seconds=15))
EMPTY = b'{"status":"success","data":{"resultType":"matrix","result":[]}}'


@asynccontextmanager
async def serve(answer, **site):
    """A web server that answers everything with `answer(request)`; gives its port."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, **site).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serve_raw(talk):
    """A socket server; `talk(writer)` is called once the request's head was read."""

    async def connected(reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Waits:
    """A sleep that only writes down how long it was asked for."""

    def __init__(self):
        self.asked = []

    async def __call__(self, seconds):
        self.asked.append(seconds)


def settings(port, **more):
    more = {"timeout_s": 5.0, "bearer_token": SECRET, **more}
    return HttpSettings(f"http://127.0.0.1:{port}/prefix/", **more)


async def failure(port, waits=None, **more):
    """The error of one range query."""
    client = HttpClient(settings(port, **more), sleep=waits or Waits(), jitter=lambda: 0.5)
    source = PrometheusSource("p", client)
    try:
        with pytest.raises(SourceError) as caught:
            await source.query_range("up", WINDOW)
    finally:
        await source.close()
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(client.settings)
    return caught.value


def saying(status, body, content_type="application/json", **headers):
    async def answer(_request):
        return web.Response(status=status, body=body, headers={"Content-Type": content_type, **headers})

    return answer
