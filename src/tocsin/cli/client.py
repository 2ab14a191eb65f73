"""Talking to a running server: one request, one answer, or a sentence that says why not."""

import asyncio
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlsplit

import typer

from tocsin.cli.answer import Answer, Json
from tocsin.cli.exits import Exit, fail

if TYPE_CHECKING:
    import aiohttp

DEFAULT_URL = "http://127.0.0.1:8000"
MAX_ANSWER_BYTES = 256 * 1024 * 1024
CONNECT_S = 10.0
LINES = "application/x-ndjson"
_SSL = re.compile(r" ssl:\S+")
"""What aiohttp says of TLS, also of a server that speaks none."""

Url = Annotated[
    str, typer.Option("--url", envvar="TOCSIN_URL", help="The server; its token is taken from TOCSIN_API_TOKEN(_FILE).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print what the server answers, as JSON.")]


def call(
    url: str,
    method: str,
    path: str,
    *,
    params: Sequence[tuple[str, str]] = (),
    body: Json = None,
    timeout_s: float = 60.0,
) -> Answer:
    """The JSON a server answers; ends the command when it does not (exit codes 2, 3 and 4)."""
    return asyncio.run(_call(_Asked(method, _address(url, path), list(params), body, timeout_s)))


def watch(url: str, path: str, body: Json, *, heard: Callable[[float], None], timeout_s: float) -> Answer:
    """The same of something that takes long: `heard` is told the share that is done, from 0 to 1."""
    asked = _Asked("POST", _address(url, path), [], body, timeout_s, heard)
    answer = asyncio.run(_call(asked))
    if answer["problem"]:
        fail(_refusal(answer["problem"]["status"].count(), answer["problem"]), Exit.REFUSED)
    if not answer["result"]:
        fail(f"{_origin(asked.address)} broke off before the result", Exit.REFUSED)
    return answer["result"]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request; with `heard` the answer comes in lines, of which the last one counts."""

    method: str
    address: str
    params: list[tuple[str, str]]
    body: Json
    timeout_s: float
    heard: Callable[[float], None] | None = None


def _address(url: str, path: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        fail("--url must be like http://127.0.0.1:8000, without user name or password", Exit.INPUT)
    return url.rstrip("/") + path


def segment(name: str) -> str:
    """A name as one segment of a path: slashes and dots cannot lead elsewhere."""
    if name in ("", ".", ".."):
        fail(f"{name!r} is no name", Exit.INPUT)
    return quote(name, safe=":")


def token() -> str | None:
    """The token of TOCSIN_API_TOKEN or TOCSIN_API_TOKEN_FILE; never from the command line, which others can see."""
    given = os.environ.get("TOCSIN_API_TOKEN")
    file = os.environ.get("TOCSIN_API_TOKEN_FILE")
    if given or not file:
        return given or None
    try:
        return Path(file).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        fail(f"TOCSIN_API_TOKEN_FILE cannot be read: {error}", Exit.INPUT)


async def _call(asked: _Asked) -> Answer:
    # Only the commands that talk to a server pay for this import.
    import aiohttp  # noqa: PLC0415

    bearer, address = token(), asked.address
    accept = "application/json" if asked.heard is None else LINES
    headers = {"Accept": accept, **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
    timeout = aiohttp.ClientTimeout(total=asked.timeout_s, sock_connect=CONNECT_S)
    # A redirect is not followed: it would carry the token to another place.
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.request(
                asked.method, address, params=asked.params, json=asked.body, allow_redirects=False
            ) as response,
        ):
            in_lines = asked.heard is not None and response.content_type == LINES
            data = await _read(response, asked.heard if in_lines else None)
            status, refused = response.status, response.status >= 300
    except aiohttp.InvalidURL:
        fail(f"--url: {_origin(address)} is no URL", Exit.INPUT)
    except TimeoutError:
        fail(f"no answer from {_origin(address)} within {asked.timeout_s:g} s", Exit.UNREACHABLE)
    except (aiohttp.ClientError, OSError) as error:
        fail(
            f"cannot reach Tocsin at {_origin(address)}: {_SSL.sub('', str(error))}\n"
            "Is it running (tocsin serve)? Another server: --url or TOCSIN_URL.",
            Exit.UNREACHABLE,
        )
    parsed = _parsed(data)
    if parsed is not None and asked.heard is not None and not in_lines and not refused:
        # A server of an earlier version knows no lines: what it says is the result.
        return Answer({"result": parsed.json})
    if refused:
        if not any((parsed or Answer(None))[name] for name in ("detail", "title")):
            fail(f"{_origin(address)} does not answer like Tocsin: HTTP {status}, no reason given", Exit.REFUSED)
        fail(_refusal(status, parsed), Exit.REFUSED)
    if data and parsed is None:
        fail(f"{_origin(address)} does not answer like Tocsin: no JSON", Exit.REFUSED)
    return parsed or Answer(None)


async def _read(response: "aiohttp.ClientResponse", heard: Callable[[float], None] | None) -> bytes:
    """The body; of one in lines only the last line, while `heard` is told what those before it say."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            fail(f"the answer is larger than {MAX_ANSWER_BYTES:,} bytes", Exit.REFUSED)
        parts.append(part)
        if heard is not None and b"\n" in part:
            *lines, rest = b"".join(parts).split(b"\n")
            done = [(_parsed(line) or Answer(None))["progress"].number() for line in lines]
            told = [share for share in done if share is not None]
            if told:
                heard(told[-1])
            # A line that tells no progress is the last one.
            parts = [line for line, share in zip(lines, done, strict=True) if share is None and line] + [rest]
    return b"".join(parts)


def _parsed(data: bytes) -> Answer | None:
    try:
        decoded: Json = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return Answer(decoded)


def _refusal(status: int, parsed: Answer | None) -> str:
    """The problem document in words: its detail, and each field with its reason."""
    problem = parsed or Answer(None)
    detail = problem["detail"].text() or problem["title"].text() or "no reason given"
    lines = [f"the server refused ({status}): {detail}"]
    # `errors` says each field apart; a detail that names the field already is enough by itself.
    for each in problem["errors"]:
        where = each["field"].text() or each["loc"].text()
        reason = each["reason"].text() or each["msg"].text() or each["detail"].text()
        if reason and reason not in detail:
            lines.append(f"  {where}: {reason}" if where else f"  {reason}")
    if status == 401:
        lines.append("Give the token in TOCSIN_API_TOKEN or TOCSIN_API_TOKEN_FILE.")
    return "\n".join(lines)


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
