"""The body of a request as it comes: counted, and taken to its end before the answer."""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from tocsin.api.problems import TooLarge
from tocsin.api.security import too_large

DRAINED_TIMES_LIMIT = 4
DRAINED_S = 5.0


class Body:
    """Stands in for `receive`. `awaited` says whether the application waits for more of the body right now."""

    def __init__(self, scope: Scope, receive: Receive, limit: int) -> None:
        headers = Headers(scope=scope)
        self._receive, self._limit, self._size = receive, limit, 0
        self._ended = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        self._held_back = "expect" in headers
        self.awaited = False

    async def receive(self) -> Message:
        """The next message; raises `TooLarge` once the body is over the limit, whatever its head said."""
        message = await self._next()
        if self._size > self._limit:
            raise TooLarge(too_large(self._limit))
        return message

    async def drain(self) -> None:
        """Take what is still coming, within bounds: many clients read no answer before they have sent everything, and
        see a broken connection when it is closed on them. One that asks before it sends needs none of that.
        """
        if self._held_back:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAINED_S):
                while not self._ended and self._size < DRAINED_TIMES_LIMIT * self._limit:
                    await self._next()

    async def _next(self) -> Message:
        self._held_back = False
        self.awaited = not self._ended
        message = await self._receive()
        self._size += len(message.get("body", b""))
        self._ended = self._ended or not message.get("more_body", False)
        self.awaited = False
        return message
