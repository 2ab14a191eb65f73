"""The door of the HTTP server: how many connections, and how long one may take to ask something."""

import asyncio

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

log = structlog.get_logger(__name__)

MAX_CONNECTIONS = 500
HEAD_WITHIN_S = 10.0
"""How long a connection may take for the head of a request, counted from its opening or its first byte: uvicorn has a
limit of its own only between two requests."""


class Connection(H11Protocol):
    """Uvicorn's connection that is closed when it only waits, or when there are too many."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Expect a request, unless there is no room."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            log.warning("connection refused", open=MAX_CONNECTIONS, limit="MAX_CONNECTIONS")
            transport.abort()
            return
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._stop_expecting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The head is there, or the clock of its first byte goes on."""
        super().data_received(data)
        if not self._headless or self.transport.is_closing():
            self._stop_expecting()
        elif self._deadline is None:
            self._expect_head()

    @property
    def _headless(self) -> bool:
        return self.conn.their_state is h11.IDLE

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_WITHIN_S, self._too_late)

    def _stop_expecting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self._headless:
            self.transport.abort()
