"""A proxy that breaks what passes through it: in front of a real Prometheus, a scripted one, or anything over HTTP."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

import aiohttp

SLOW_S = 20.0
"""How long what is slow takes: longer than any deadline of a test."""

TRICKLE_S = 0.02
GIGABYTE = 1 << 30
ELSEWHERE = "http://elsewhere.invalid/"
_STREAMED = b" " * 65536


class Fault(StrEnum):
    """What becomes of one question."""

    RESET_AT_ONCE = "reset at once"
    RESET_MID_BODY = "reset in the middle of the body"
    SLOW_HEADERS = "slow headers"
    SLOW_BODY = "slow body"
    STATUS_500 = "500"
    STATUS_502 = "502"
    STATUS_503 = "503"
    STATUS_429 = "429"
    STATUS_401 = "401"
    HTML = "HTML instead of JSON"
    EMPTY = "an empty answer"
    NO_HTTP = "no HTTP"
    TRUNCATED = "JSON that is cut"
    STATUS_ERROR = "200 that says error"
    CONTENT_TYPE = "another content type"
    GIGABYTE = "a gigabyte"
    ODD_VALUES = "NaN and Inf"
    TWICE = "a series twice"
    OUT_OF_ORDER = "samples out of order"
    TIME_JUMP = "a time of an hour later"
    REDIRECT = "a redirect to another host"


STATUSES = {
    Fault.STATUS_500: 500,
    Fault.STATUS_502: 502,
    Fault.STATUS_503: 503,
    Fault.STATUS_429: 429,
    Fault.STATUS_401: 401,
}
HARMLESS = frozenset({Fault.CONTENT_TYPE})
"""What changes nothing of an answer."""

ALTERING = frozenset({Fault.ODD_VALUES})
"""What leaves an answer, with less in it."""


@dataclass(slots=True)
class FaultProxy:
    """Answers at `url` with what `upstream` (host:port) says, and with the fault that `choose` names for a path.

    `counts` what was done, `sent` how many bytes of gigabytes went out.
    """

    upstream: str
    choose: Callable[[str], Fault | None] = lambda _path: None
    port: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    _server: asyncio.Server | None = None
    _session: aiohttp.ClientSession | None = None
    _talks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it listens, the same after every `down` and `up`."""
        return f"http://127.0.0.1:{self.port}"

    async def up(self) -> None:
        """Listen; nothing happens when it does."""
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse connections, and break those that are there."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def close(self) -> None:
        """Let go of everything."""
        await self.down()
        if self._session is not None:
            await self._session.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, aiohttp.ClientError):
            pass  # Who asked is gone, or the server behind is.
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._talks.discard(talk)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one question; whether another may follow on the same connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(" ", 2)
        fields = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head.split("\r\n"))
        }
        form = await reader.readexactly(int(fields.get("content-length", "0")))
        fault = self.choose(path)
        self.counts[fault.value if fault else "none"] += 1
        if fault is Fault.RESET_AT_ONCE:
            writer.transport.abort()
            return False
        if fault is Fault.SLOW_HEADERS:
            await self._until_gone(reader)
            return False
        if fault is Fault.GIGABYTE:
            await self._flood(writer)
            return False
        if fault is Fault.NO_HTTP:
            writer.write(b"220 mail.example ESMTP\r\n\r\n")
            return False
        if fault in STATUSES:
            _reply(writer, STATUSES[fault], b"out of order", "text/plain")
            return True
        if fault is Fault.REDIRECT:
            _reply(writer, 302, b"", "text/plain", f"Location: {ELSEWHERE}\r\n")
            return True
        status, kind, body = await self._ask(method, path, form, fields.get("content-type", ""))
        kind, body = _altered(fault, kind, body)
        if fault in (Fault.RESET_MID_BODY, Fault.SLOW_BODY):
            _reply(writer, status, body[: len(body) // 2], kind, length=len(body))
            await writer.drain()
            if fault is Fault.SLOW_BODY:
                await self._trickle(writer, body[len(body) // 2 :])
            writer.transport.abort()
            return False
        _reply(writer, status, body, kind)
        await writer.drain()
        return True

    async def _ask(self, method: str, path: str, form: bytes, kind: str) -> tuple[int, str, bytes]:
        if self._session is None:
            # No connection is kept: what is counted afterwards is Tocsin's.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        headers = {"Content-Type": kind} if kind else {}
        url = f"http://{self.upstream}{path}"
        async with self._session.request(method, url, data=form or None, headers=headers) as answer:
            return answer.status, answer.headers.get("Content-Type", ""), await answer.read()

    @staticmethod
    async def _until_gone(reader: asyncio.StreamReader) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(SLOW_S):
                await reader.read(1)

    @staticmethod
    async def _trickle(writer: asyncio.StreamWriter, rest: bytes) -> None:
        for at in range(len(rest)):
            writer.write(rest[at : at + 1])
            await writer.drain()
            await asyncio.sleep(max(TRICKLE_S, SLOW_S / len(rest)))

    async def _flood(self, writer: asyncio.StreamWriter) -> None:
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        for _ in range(GIGABYTE // len(_STREAMED)):
            writer.write(_STREAMED)
            await writer.drain()
            self.sent += len(_STREAMED)


def _reply(
    writer: asyncio.StreamWriter, status: int, body: bytes, kind: str, more: str = "", *, length: int | None = None
) -> None:
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n{more}\r\n"
    writer.write(head.encode() + body)


def _altered(fault: Fault | None, kind: str, body: bytes) -> tuple[str, bytes]:
    match fault:
        case Fault.HTML:
            return "text/html", b"<!DOCTYPE html><title>Sign in</title>"
        case Fault.EMPTY:
            return kind, b""
        case Fault.CONTENT_TYPE:
            return "application/octet-stream", body
        case Fault.TRUNCATED:
            return kind, body[: len(body) * 2 // 3]
        case Fault.STATUS_ERROR:
            return kind, b'{"status":"error","errorType":"internal","error":"the disk is gone"}'
        case Fault.ODD_VALUES | Fault.TWICE | Fault.OUT_OF_ORDER | Fault.TIME_JUMP:
            return kind, _altered_matrix(fault, body)
    return kind, body


def _altered_matrix(fault: Fault, body: bytes) -> bytes:
    answer = json.loads(body)
    result = answer["data"]["result"]
    if fault is Fault.TWICE:
        result += result[:1]
    for series in result[:1]:
        values = series.get("values", [])
        if fault is Fault.OUT_OF_ORDER:
            # Of one sample there is no other order: it comes twice.
            series["values"] = values[::-1] if len(values) > 1 else values * 2
        elif fault is Fault.TIME_JUMP:
            series["values"] = [[at + 3600, value] for at, value in values]
        elif fault is Fault.ODD_VALUES:
            series["values"] = [[at, ("NaN", "+Inf", "-Inf")[n % 3]] for n, (at, _) in enumerate(values)]
    return json.dumps(answer).encode()


def at_random(
    seed: int, share: float, faults: frozenset[Fault] = frozenset(Fault) - ALTERING
) -> Callable[[str], Fault | None]:
    """A choice that breaks this share of all questions."""
    chance = random.Random(seed)
    known = sorted(faults)

    def choose(_path: str) -> Fault | None:
        return chance.choice(known) if chance.random() < share else None

    return choose


@asynccontextmanager
async def faulty(upstream: str) -> AsyncIterator[FaultProxy]:
    """A proxy in front of `upstream`, host:port or its URL."""
    proxy = FaultProxy(upstream.removeprefix("http://").rstrip("/"))
    await proxy.up()
    try:
        yield proxy
    finally:
        await proxy.close()
