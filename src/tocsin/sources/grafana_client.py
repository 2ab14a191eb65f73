"""The official MCP client, joined to a child process or to an HTTP server. Imported when the first Grafana is reached.

The client's own stdio transport takes lines of any length and makes Python objects of every number twice. This one
bounds a line, and hands on of a tool's answer the text alone: the numbers in it are decoded once, by our decoders.
"""

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import anyio
import httpx2
import mcp_types as types
import msgspec
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

from tocsin.domain.errors import LimitExceeded, SourceError, SourceFailure
from tocsin.sources.grafana_process import Child, TooLong
from tocsin.sources.grafana_settings import GrafanaSettings, Way
from tocsin.sources.grafana_tools import Answer, Argument, Tool
from tocsin.sources.wire_errors import bad_answer, said

CONNECT_WITHIN_S = 10.0
MAX_TOOLS = 500
TOO_LARGE = -32099
"""The code by which our transport says to the client that an answer was over the limit."""

IDLE_S = 86_400.0

# What it logs with a traceback reaches us as an exception too, and is said once, in one line.
logging.getLogger("mcp").setLevel(logging.CRITICAL + 1)


class _Text(msgspec.Struct):
    type: str
    text: str


class _ToolResult(msgspec.Struct):
    content: list[_Text]
    is_error: bool = msgspec.field(name="isError", default=False)


class _Spoken(msgspec.Struct):
    id: int
    result: _ToolResult


class _Begun(msgspec.Struct):
    id: int


_ANSWER = msgspec.json.Decoder(_Spoken)


@dataclass(slots=True)
class _Seen:
    """What the transport saw and the client does not tell."""

    status: int = 200
    """Of the last HTTP answer."""
    too_large: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when nothing comes any more."""


class Session:
    """One open connection. `ended` is set when nothing comes over it any more."""

    def __init__(self, settings: GrafanaSettings, client: Client, seen: _Seen, child: Child | None) -> None:
        self._settings, self._client, self._seen, self._child = settings, client, seen, child
        self.ended = seen.ended

    @property
    def version(self) -> str:
        """What the server calls itself."""
        about = self._client.session.server_info
        return said(f"{about.name} {about.version}") if about is not None else "mcp-grafana of unknown version"

    @property
    def pid(self) -> int | None:
        """The child's process id, None for a server that was not spawned here."""
        return None if self._child is None else self._child.pid

    async def tools(self) -> tuple[Tool, ...]:
        """What it offers; raises SourceError."""
        found: list[Tool] = []
        cursor = None
        while True:
            with self._explained():
                listed = await self._client.list_tools(cursor=cursor)
            for each in listed.tools:
                reads = each.annotations is not None and bool(each.annotations.read_only_hint)
                found.append(Tool(each.name, msgspec.json.encode(each.input_schema), reads))
            cursor = listed.next_cursor
            if not cursor:
                return tuple(found)
            if len(found) > MAX_TOOLS:
                raise bad_answer(f"mcp-grafana lists more than {MAX_TOOLS} tools")

    async def call(self, name: str, arguments: Mapping[str, Argument], timeout_s: float) -> Answer:
        """What a tool answers; raises SourceError. After `timeout_s` the server is told to give up."""
        with self._explained(f"{name} did not answer within {timeout_s:g} s"):
            async with asyncio.timeout(timeout_s + 1.0):
                result = await self._client.call_tool(name, dict(arguments), read_timeout_seconds=timeout_s)
        texts = [each.text for each in result.content if isinstance(each, types.TextContent)]
        if len(texts) != 1:
            raise bad_answer(f"{name} answers {len(texts)} texts where one was expected")
        return Answer(texts[0], failed=bool(result.is_error))

    def _explained(self, late: str = "mcp-grafana did not answer in time") -> "_Explained":
        return _Explained(self, late)

    def explain(self, error: BaseException, late: str) -> SourceError:
        """Why a request came to nothing."""
        if isinstance(error, TimeoutError) or (isinstance(error, MCPError) and error.code == types.REQUEST_TIMEOUT):
            return SourceError(late, failure=SourceFailure.TIMEOUT, transient=True)
        if self._seen.too_large or (isinstance(error, MCPError) and error.code == TOO_LARGE):
            self._seen.too_large = False
            return LimitExceeded(
                f"the answer is larger than {self._settings.max_bytes:,} bytes; aggregate the query, or raise max_bytes"
            )
        if self._seen.status >= 400:
            status, self._seen.status = self._seen.status, 200
            return by_status(status)
        if isinstance(error, MCPError) and error.code != types.CONNECTION_CLOSED:
            text = said(self._settings.redact(str(error)))
            return bad_answer(f"mcp-grafana refuses the request: {text}")
        if isinstance(error, RuntimeError | ValueError):
            return bad_answer("what mcp-grafana writes is no MCP answer")
        self.ended.set()
        return self.end()

    def end(self) -> SourceError:
        """Why the connection ended."""
        why = "the connection to mcp-grafana ended" if self._child is None else self._child.last_words()
        return SourceError(why, failure=SourceFailure.UNREACHABLE, transient=True)


class _Explained:
    """Turns what the client raises into a `SourceError`."""

    def __init__(self, session: Session, late: str) -> None:
        self._session, self._late = session, late

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        known = (MCPError, TimeoutError, RuntimeError, ValueError, OSError, anyio.BrokenResourceError)
        if isinstance(error, (*known, anyio.ClosedResourceError, httpx2.HTTPError)):
            raise self._session.explain(error, self._late) from None


def by_status(status: int) -> SourceError:
    """What an HTTP status of the MCP server itself means."""
    if status in (401, 403):
        why, failure, transient = "mcp-grafana refuses the token", SourceFailure.UNAUTHORIZED, False
    elif status == 404:
        why, failure, transient = "there is no MCP at this URL", SourceFailure.NOT_FOUND, False
    elif status == 429:
        why, failure, transient = "mcp-grafana is asked too often", SourceFailure.RATE_LIMITED, True
    elif status >= 500:
        why, failure, transient = "mcp-grafana, or what stands before it, failed", SourceFailure.SERVER_ERROR, True
    else:
        why, failure, transient = "mcp-grafana refuses the request", SourceFailure.BAD_ANSWER, False
    return SourceError(f"HTTP {status}, {why}", failure=failure, transient=transient)


@asynccontextmanager
async def opened(settings: GrafanaSettings) -> AsyncIterator[Session]:
    """A connection with its handshake done; must be left by the task that entered it. Raises what the transports do,
    SourceError among it, also in groups: see `reason_of`.
    """
    seen = _Seen()
    async with AsyncExitStack() as stack:
        child = None
        if settings.way is Way.STDIO:
            child = await Child.start(settings)
            stack.push_async_callback(child.stop)
            transport = _over_pipes(child, settings.max_bytes, seen.ended)
        elif settings.way is Way.SSE:
            transport = sse_client(
                settings.url,
                timeout=CONNECT_WITHIN_S,
                sse_read_timeout=IDLE_S,
                httpx_client_factory=lambda **_: _http(settings, seen),
            )
        else:
            http = await stack.enter_async_context(_http(settings, seen))
            transport = streamable_http_client(settings.url, http_client=http, max_sse_event_size=settings.max_bytes)
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                client = await stack.enter_async_context(Client(transport, cache=None, raise_exceptions=True))
        except (MCPError, ExceptionGroup, TimeoutError) as error:
            if seen.status >= 400:
                raise by_status(seen.status) from None
            if child is None or (isinstance(error, TimeoutError) and not child.began):
                raise
            if isinstance(error, TimeoutError):
                # It says something, and no answer to the first question.
                child.said_nonsense(child.began)
            raise SourceError(child.last_words(), failure=SourceFailure.UNREACHABLE, transient=True) from None
        yield Session(settings, client, seen, child)


def reason_of(error: Exception, settings: GrafanaSettings) -> SourceError:
    """The first cause in what the transports raise, often a group within a group, as one error."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, SourceError):
        return error
    called = _called(settings)
    if isinstance(error, TimeoutError):
        return SourceError(f"{called} did not answer in time", failure=SourceFailure.TIMEOUT, transient=True)
    if isinstance(error, httpx2.HTTPStatusError):
        return by_status(error.response.status_code)
    return SourceError(f"{called} is not reached: {_why(error)}", failure=SourceFailure.UNREACHABLE, transient=True)


def _why(error: Exception) -> str:
    """What the system says, where it is among the causes; else the transport's own words."""
    cause: BaseException | None = error
    while cause is not None:
        inner = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else cause
        # The numbers of TLS are its own.
        if isinstance(inner, OSError) and not isinstance(inner, ssl.SSLError) and inner.errno and inner.strerror:
            return os.strerror(inner.errno).lower() if inner.errno > 0 else said(inner.strerror).lower()
        cause = inner.__cause__ or inner.__context__
    return said(str(error)) or type(error).__name__


def _called(settings: GrafanaSettings) -> str:
    """mcp-grafana with the address where it runs, of which nothing else is shown."""
    if not settings.url:
        return "mcp-grafana"
    parts = urlsplit(settings.url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"mcp-grafana at {host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


@asynccontextmanager
async def _over_pipes(child: Child, max_bytes: int, ended: asyncio.Event) -> AsyncIterator[tuple[object, object]]:
    """A transport of the official client: lines of JSON over the pipes of a child."""
    to_client, from_child = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_child, from_client = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> None:
        async with to_client:
            try:
                async for line in child.lines(max_bytes):
                    try:
                        message = _message(line)
                    except ValueError:
                        # Whatever is waited for may never come. The end of the stream is told to all at once.
                        child.said_nonsense(line.head if isinstance(line, TooLong) else line)
                        return
                    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                        await to_client.send(SessionMessage(message))
            finally:
                ended.set()

    async def write() -> None:
        async with from_client:
            async for each in from_client:
                text = each.message.model_dump_json(by_alias=True, exclude_unset=True)
                try:
                    await child.write(text.encode() + b"\n")
                except OSError:
                    return

    tasks = [asyncio.create_task(one, name="mcp-grafana pipes") for one in (read(), write())]
    try:
        yield from_child, to_child
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for stream in (to_client, from_child, to_child, from_client):
            stream.close()


def _message(line: bytes | TooLong) -> types.JSONRPCMessage:
    """One line as a message; of a tool's answer only the text goes on. Raises ValueError when it is none."""
    if isinstance(line, TooLong):
        return types.JSONRPCError(
            jsonrpc="2.0", id=_id_of(line.head), error=types.ErrorData(code=TOO_LARGE, message="too large")
        )
    try:
        spoken = _ANSWER.decode(line)
    except msgspec.MsgspecError:
        message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        if isinstance(message, types.JSONRPCRequest) and message.method == "initialize":
            raise ValueError("it says what is said to it") from None
        return message
    content = [{"type": each.type, "text": each.text} for each in spoken.result.content]
    result = {"content": content, "isError": spoken.result.is_error, "resultType": "complete"}
    return types.JSONRPCResponse(jsonrpc="2.0", id=spoken.id, result=result)


def _id_of(head: bytes) -> int:
    """The id in the beginning of an answer, where the server writes it."""
    text = head.split(b'"result"', 1)[0].rstrip(b" ,")
    try:
        return msgspec.json.decode(text + b"}", type=_Begun).id
    except msgspec.MsgspecError:
        raise ValueError("no id") from None


def _http(settings: GrafanaSettings, seen: _Seen) -> httpx2.AsyncClient:
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.client_cert_file is not None:
        context.load_cert_chain(settings.client_cert_file, settings.client_key_file)
    if settings.tls_insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    async def look(response: httpx2.Response) -> None:
        seen.status = response.status_code
        if response.request.method == "POST":
            response.stream = _Bounded(response.stream, settings.max_bytes, seen)

    headers = {} if settings.token is None else {"Authorization": f"Bearer {settings.token}"}
    timeout = httpx2.Timeout(CONNECT_WITHIN_S, read=IDLE_S)
    return httpx2.AsyncClient(headers=headers, timeout=timeout, verify=context, event_hooks={"response": [look]})


class _Bounded(httpx2.AsyncByteStream):  # type: ignore[misc] # the extra has no types here
    """The body of an answer, which ends with an error where it is over the limit."""

    def __init__(self, inner: httpx2.AsyncByteStream, max_bytes: int, seen: _Seen) -> None:
        self._inner, self._left, self._seen = inner, max_bytes, seen

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            self._left -= len(chunk)
            if self._left < 0:
                self._seen.too_large = True
                # Of this kind the client ends one answer, of others the connection.
                raise httpx2.StreamError("the answer is over the limit")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
