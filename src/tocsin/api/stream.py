"""Transitions as server-sent events: the store is the truth, the bell only says when to look."""

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tocsin.api.models_alert import StreamEvent, alert_facts, transition_answer
from tocsin.api.problems import Refusal, problem_response
from tocsin.api.services import Services
from tocsin.domain.alert import Reason
from tocsin.domain.errors import StoreError
from tocsin.domain.ports import SequencedTransition

EVENTS_AT_ONCE = 100
RECONNECT_MS = 3000
LAST_WORDS_S = 1.0


class Slots:
    """How many streams are open, and how many may be."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.open = 0

    def take(self) -> bool:
        """Whether there was room; if so it is taken."""
        if self.open >= self.most:
            return False
        self.open += 1
        return True

    def give_back(self) -> None:
        """One stream ended."""
        self.open -= 1


class EventStream(Response):
    """An answer without end. It reads on only after the client took what was sent, so a slow one costs no memory."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[str], slots: Slots, stopping: asyncio.Event) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events, self._slots, self._stopping = events, slots, stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the client is gone or the application stops."""
        if not self._slots.take():
            refusal = Refusal(
                503, f"{self._slots.most} streams are open, which is the limit", headers={"Retry-After": "5"}
            )
            await problem_response(refusal)(scope, receive, send)
            return
        try:
            await self._until_gone(receive, send)
        finally:
            self._slots.give_back()

    async def _until_gone(self, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(send))
        listening = asyncio.create_task(_disconnected(receive))
        ending = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((sending, listening, ending), return_when=asyncio.FIRST_COMPLETED)
            # The events end by themselves when the application stops, unless the client takes nothing any more.
            await asyncio.wait((sending, listening), timeout=LAST_WORDS_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, listening, ending):
                task.cancel()
            await asyncio.gather(sending, listening, ending, return_exceptions=True)
        if not sending.cancelled() and (error := sending.exception()) is not None and not isinstance(error, OSError):
            raise error

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for event in self._events:
            await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def events(services: Services, after: int, *, shadow: bool = False) -> AsyncIterator[str]:
    """Every transition after the sequence number `after`, then each new one, until the application stops."""
    yield f"retry: {RECONNECT_MS}\n: Tocsin sends every change of an alert\n\n"
    while not services.stopping.is_set():
        heard = services.wake.rings
        try:
            batch = await services.history.transitions_after(after, EVENTS_AT_ONCE)
        except StoreError:
            # Nothing is skipped: it is asked for again from the same place.
            batch = ()
            yield ": the store does not answer\n\n"
        for one in batch:
            # Whoever was told of an alert must hear that it went into the shadow.
            if shadow or not one.alert.shadow or one.transition.reason is Reason.SHADOWED:
                yield _event(one)
            after = one.sequence
        if not batch and not await _woken(services, heard):
            yield ": alive\n\n"


def _event(one: SequencedTransition) -> str:
    data = StreamEvent(alert=alert_facts(one.alert), transition=transition_answer(one.transition))
    return f"id: {one.sequence}\nevent: transition\ndata: {data.model_dump_json()}\n\n"


async def _woken(services: Services, heard: int) -> bool:
    """Wait for the bell, the end or the time of a heartbeat; False when it was the last."""
    heartbeat_s = services.security.limits.heartbeat_s
    bell = asyncio.create_task(services.wake.wait(heard, heartbeat_s))
    end = asyncio.create_task(services.stopping.wait())
    try:
        await asyncio.wait((bell, end), return_when=asyncio.FIRST_COMPLETED)
    finally:
        bell.cancel()
        end.cancel()
    return services.wake.rings > heard or services.stopping.is_set()
