"""Long work for one request: given up when its client is gone, and told about while it goes on."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from tocsin.api.problems import Refusal, problem_response, refusal_of
from tocsin.api.services import Services
from tocsin.api.stream import EventStream, Slots
from tocsin.domain.errors import TocsinError

NDJSON = "application/x-ndjson"
EVERY_S = 0.25
"""How often progress is told."""

T = TypeVar("T")
Work = Callable[[Callable[[float], None]], Awaitable[bytes]]
"""Takes who is to hear shares from 0 to 1, and comes to an answer in JSON."""


async def while_wanted(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` comes to; None when the client is gone before, with which it is given up."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class ProgressStream(EventStream):
    """Lines of JSON while `work` goes on, the last one with its result or a problem."""

    media_type = NDJSON

    def __init__(self, work: Work, services: Services, slots: Slots) -> None:
        self._lines = _lines(work, services)
        super().__init__(self._lines, slots, services.stopping)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send lines until the work is done or the client gone, and then let go of the work."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._lines.aclose()


async def _lines(work: Work, services: Services) -> AsyncGenerator[str, None]:
    """`{"progress": …}` again and again, at last `{"result": …}` or `{"problem": …}`."""
    share = 0.0

    def heard(new: float) -> None:
        nonlocal share
        share = new

    loop, limit_s = asyncio.get_running_loop(), services.security.limits.slow_request_s
    until = loop.time() + limit_s
    working = asyncio.ensure_future(work(heard))
    try:
        while not working.done():
            yield f'{{"progress":{share:.4f}}}\n'
            if services.stopping.is_set():
                yield _problem(Refusal(503, "Tocsin is ending"))
                return
            if loop.time() > until:
                yield _problem(Refusal(503, f"this took longer than {limit_s:g} s and was given up"))
                return
            await asyncio.wait((working,), timeout=EVERY_S)
        try:
            yield f'{{"result":{working.result().decode()}}}\n'
        except TocsinError as error:
            yield _problem(refusal_of(error, writing=False))
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def _problem(refusal: Refusal) -> str:
    return f'{{"problem":{bytes(problem_response(refusal).body).decode()}}}\n'
