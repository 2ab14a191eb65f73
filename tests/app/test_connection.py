"""A connection that asks nothing is closed, and there are never too many."""

import asyncio
import contextlib
import socket
from contextlib import asynccontextmanager

import pytest
import uvicorn

from tocsin.app import connection
from tocsin.app.connection import Connection

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


class Quiet(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield


async def answer(scope, receive, send):
    await asyncio.sleep(0.6)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@asynccontextmanager
async def served():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = Quiet(uvicorn.Config(answer, http=Connection, lifespan="off", ws="none", log_config=None))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def connected(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def closed(reader, within_s):
    """Whether the server closes it within that time, having said nothing."""
    try:
        return await asyncio.wait_for(reader.read(), within_s) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(connection, "HEAD_WITHIN_S", 0.3)


@pytest.mark.parametrize("begun", [b"", HEAD])
async def test_a_connection_that_asks_nothing_is_closed(begun):
    async with served() as port, connected(port) as (reader, writer):
        writer.write(begun)
        assert await closed(reader, 5)


async def test_dripping_a_head_wins_no_time():
    async with served() as port, connected(port) as (reader, writer):

        async def drip():
            for byte in HEAD * 100:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await closed(reader, 3)
        dripping.cancel()


async def test_a_request_may_take_longer_and_the_next_head_is_awaited_anew():
    async with served() as port, connected(port) as (reader, writer):
        for _ in range(2):
            writer.write(HEAD + b"\r\n")
            assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 204")
        writer.write(HEAD)
        assert await closed(reader, 3), "the head of a later request is awaited no longer"


async def test_there_are_never_too_many(monkeypatch):
    monkeypatch.setattr(connection, "HEAD_WITHIN_S", 30)
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 3)
    async with served() as port, contextlib.AsyncExitStack() as stack:
        kept = [await stack.enter_async_context(connected(port)) for _ in range(3)]
        async with connected(port) as (reader, _):
            assert await closed(reader, 5)
        reader, writer = kept[0]
        writer.write(HEAD + b"\r\n")
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 204")
