"""The guard around the application: pure ASGI, so that streams pass through it and bodies are counted as they come."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.api.body import Body
from tocsin.api.csv import MEDIA_TYPE as CSV
from tocsin.api.headers import SECURITY_HEADERS
from tocsin.api.paths import STREAM, slow
from tocsin.api.problems import Refusal, problem_response
from tocsin.api.security import refusal_for
from tocsin.api.services import Security
from tocsin.api.wanted import NDJSON

_UNENDING = ("text/event-stream", CSV, NDJSON)
"""Answers that keep their own time, or go on as long as somebody reads them."""


class RateLimit:
    """A token bucket for each client: `burst` at once, `per_s` sustained; the table is bounded."""

    def __init__(self, per_s: float, burst: int, clients: int) -> None:
        self._per_s, self._burst, self._clients = per_s, burst, clients
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_for(self, client: str, now: float) -> float:
        """Seconds until this client may ask again; 0 when it may now, which is then counted. `now` is monotonic."""
        tokens, at = self._buckets.pop(client, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - at) * self._per_s)
        wait = 0.0 if tokens >= 1.0 else (1.0 - tokens) / self._per_s
        self._buckets[client] = (tokens if wait else tokens - 1.0, now)
        if len(self._buckets) > self._clients:
            self._buckets.popitem(last=False)
        return wait


class Guard:
    """Refuses what must not pass, limits size, rate and time, and puts the security headers on every answer."""

    def __init__(
        self,
        app: ASGIApp,
        security: Security,
        stopping: asyncio.Event | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        limits = security.limits
        self._app, self._security, self._monotonic = app, security, monotonic
        self._stopping = stopping or asyncio.Event()
        self._rate = RateLimit(limits.requests_per_s, limits.burst, limits.clients)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with a problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = Body(scope, receive, self._security.limits.body_bytes)
        refusal = self._too_often(scope) or refusal_for(
            self._security, scope["method"], scope["path"], Headers(scope=scope)
        )
        if refusal is not None:
            await body.drain()
            await problem_response(refusal)(scope, receive, send)
            return
        if scope["method"] == "HEAD" and scope["path"] != STREAM:
            # Answered like GET; the server leaves the body out. The stream's would have no end to leave out.
            scope = {**scope, "method": "GET"}
        await self._timed(scope, body, send)

    def _too_often(self, scope: Scope) -> Refusal | None:
        address = scope.get("client")
        wait = self._rate.wait_for(address[0] if address else "", self._monotonic())
        if not wait:
            return None
        return Refusal(
            429,
            f"more than {self._security.limits.requests_per_s:g} requests a second; wait a little",
            headers={"Retry-After": str(int(wait) + 1)},
        )

    async def _timed(self, scope: Scope, body: Body, send: Send) -> None:
        limits = self._security.limits
        limit_s = limits.slow_request_s if slow(scope["path"]) else limits.request_s
        started = False

        async def tracked(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                await body.drain()
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if headers.get("content-type", "").startswith(_UNENDING):
                    deadline.reschedule(None)
            await send(message)

        try:
            async with asyncio.timeout(limit_s) as deadline:
                await self._app(scope, body.receive, tracked)
        except TimeoutError:
            # An answer under way can only be broken off: the server closes the connection, which the client sees.
            if started or not deadline.expired():
                raise
            await problem_response(_given_up(body, limit_s))(scope, body.receive, send)
        except asyncio.CancelledError:
            # At the end the server gives up what still runs: that is an answer too, not a failure to be traced.
            if not self._stopping.is_set():
                raise
            if not started:
                await problem_response(Refusal(503, "Tocsin is ending", headers={"Retry-After": "5"}))(
                    scope, body.receive, send
                )


def _given_up(body: Body, limit_s: float) -> Refusal:
    if body.awaited:
        why = f"did not arrive within {limit_s:g} s"
        return Refusal(408, f"body: {why}", [("body", why)], {"Connection": "close"})
    return Refusal(503, f"this took longer than {limit_s:g} s and was given up", headers={"Retry-After": "5"})
