"""The one connection to mcp-grafana that all datasources of a Grafana share: made, watched, and made anew."""

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol, cast

import structlog

from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.sources.grafana_settings import GrafanaSettings
from tocsin.sources.grafana_tools import KNOWN, Answer, Argument, Tool, not_callable, refused

log = structlog.get_logger(__name__)

FIRST_DELAY_S = 0.5
MAX_DELAY_S = 8.0
STEADY_AFTER_S = 60.0
"""A connection that held so long ended by chance: the next try comes soon again."""

REAPED_WITHIN_S = 0.05
WAIT_FOR_CONNECTION_S = 5.0
"""How long a question waits while the connection is being made."""

LONG_REST_S = 2.0
"""Where the next try is further off than this, questions do not wait for it."""


def pause_s(failures: int, first_s: float, chance: float) -> float:
    """How long to wait after so many failures in a row: twice as long each time, with a chance (0..1) in it."""
    return min(first_s * 2.0 ** min(failures - 1, 16), MAX_DELAY_S) * (0.5 + chance)


class Session(Protocol):
    """One open connection, as the client's module makes it."""

    ended: asyncio.Event

    @property
    def version(self) -> str: ...  # noqa: D102 as in the client

    @property
    def pid(self) -> int | None: ...  # noqa: D102

    async def tools(self) -> tuple[Tool, ...]: ...  # noqa: D102

    async def call(self, name: str, arguments: Mapping[str, Argument], timeout_s: float) -> Answer: ...  # noqa: D102

    def end(self) -> SourceError: ...  # noqa: D102


class _Client(Protocol):
    def opened(self, settings: GrafanaSettings) -> AbstractAsyncContextManager[Session]: ...

    def reason_of(self, error: Exception, settings: GrafanaSettings) -> SourceError: ...


class GrafanaLink:
    """Keeps one connection open from `start` to `close`; `call` uses it.

    A connection that ends is made again after a delay that doubles from half a second to eight, with chance in it,
    so that many that lost the same server do not come back at once.
    """

    def __init__(self, settings: GrafanaSettings, *, chance: Callable[[], float] = random.random) -> None:
        self.settings = settings
        self.connections = 0
        """How many were made so far."""
        self.changed = asyncio.Event()
        """Set whenever a connection was made or lost."""
        self._chance = chance
        self._session: Session | None = None
        self._ready = asyncio.Event()
        self._refused: Mapping[str, str] = {}
        self.tools = 0
        """How many the server listed when it was connected last."""
        self._failure = SourceError("not connected yet", failure=SourceFailure.UNREACHABLE, transient=True)
        self._said_at = -1
        self._resting = False
        self._keeping: asyncio.Task[None] | None = None

    @property
    def version(self) -> str | None:
        """What the server calls itself; None while there is no connection."""
        return None if self._session is None else self._session.version

    @property
    def pid(self) -> int | None:
        """The process id of a spawned mcp-grafana, None while there is none."""
        return None if self._session is None else self._session.pid

    @property
    def failure(self) -> str | None:
        """Why there is no connection, None while there is one."""
        return None if self._session is not None else str(self._failure)

    @property
    def tried(self) -> bool:
        """Whether a connection was made or has failed; before that there is nothing to say of it."""
        return self.connections > 0 or self._said_at >= 0

    @property
    def complaints(self) -> tuple[str, ...]:
        """What is wrong with the tools of the connected server."""
        return tuple(self._refused.values())

    def start(self) -> None:
        """Begin to connect; returns at once."""
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(), name=f"grafana {self.settings.uid}")

    async def close(self) -> None:
        """End the connection, and mcp-grafana where it was spawned; idempotent."""
        keeping, self._keeping = self._keeping, None
        self._failure = SourceError("closed", failure=SourceFailure.UNREACHABLE, transient=False)
        if keeping is not None:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping

    async def call(self, name: str, arguments: Mapping[str, Argument], *, timeout_s: float | None = None) -> Answer:
        """What a known tool answers; raises SourceError, also for an answer that is the text of an error of MCP itself.

        An answer whose `failed` is set is the tool's own error: see `grafana_errors`.
        """
        if name not in KNOWN:
            raise ValueError(f"{name} is not on the list of tools")
        within_s = timeout_s or self.settings.timeout_s
        session = self._open
        if session is None and not self._resting:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(WAIT_FOR_CONNECTION_S, within_s)):
                    await self._ready.wait()
            session = self._open
        if session is None:
            failure = self._failure
            raise SourceError(
                f"no connection to mcp-grafana: {failure}", failure=failure.failure, transient=failure.transient
            )
        if name in self._refused:
            raise not_callable(self._refused[name])
        return await session.call(name, arguments, within_s)

    @property
    def _open(self) -> Session | None:
        session = self._session
        if session is not None and session.ended.is_set():
            # Its keeper learns of it at its next turn; until then nobody else is to fail with it.
            self._session = None
            self._ready.clear()
        return self._session

    async def _keep(self) -> None:
        loop, failures = asyncio.get_running_loop(), 0
        try:
            client = await _client()
        except SourceError as error:
            self._lost(error)
            return
        while True:
            began = loop.time()
            try:
                await self._connected(client)
            except Exception as error:  # noqa: BLE001 the transports raise groups of anything
                if _is_cancelled():
                    # A transport that fails in the same moment makes an error of its own of it.
                    raise asyncio.CancelledError from None
                self._lost(client.reason_of(error, self.settings))
            failures = 1 if loop.time() - began > STEADY_AFTER_S else failures + 1
            rest_s = pause_s(failures, FIRST_DELAY_S, self._chance())
            self._resting = rest_s > LONG_REST_S
            await asyncio.sleep(rest_s)
            self._resting = False

    async def _connected(self, client: _Client) -> None:
        """One connection, from its making to its end, which is always raised."""
        try:
            async with client.opened(self.settings) as session:
                listed = await session.tools()
                self.tools, self._refused = len(listed), refused(listed)
                for complaint in self._refused.values():
                    log.warning("a tool cannot be used", grafana=self.settings.uid, why=complaint)
                self.connections += 1
                self._session = session
                self._ready.set()
                self.changed.set()
                log.info("connected", grafana=self.settings.uid, server=session.version)
                await session.ended.wait()
                # A moment, so that the system tells how a child ended.
                await asyncio.sleep(REAPED_WITHIN_S)
                raise session.end()
        finally:
            self._session = None
            self._ready.clear()
            self.changed.set()

    def _lost(self, error: SourceError) -> None:
        text = self.settings.redact(str(error))
        if text != str(self._failure) or self._said_at != self.connections:
            log.warning("no connection to mcp-grafana", grafana=self.settings.uid, why=text)
        self._said_at = self.connections
        self._failure = SourceError(text, failure=error.failure, transient=error.transient)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _client() -> _Client:
    """The module with the client; raises SourceError that says what to install. It takes a second to load."""
    if find_spec("mcp") is None:
        raise SourceError(
            "grafana_mcp needs the package mcp, which is not installed: pip install 'tocsin[grafana]'",
            failure=SourceFailure.UNREACHABLE,
            transient=False,
        )
    return cast("_Client", await asyncio.to_thread(import_module, "tocsin.sources.grafana_client"))
