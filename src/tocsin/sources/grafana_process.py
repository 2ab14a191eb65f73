"""mcp-grafana as a child process: its command, its environment, and the bytes on its three pipes.

It ends with Tocsin in every case: its standard input is closed then, by us or by the system.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.domain.redact import clean
from tocsin.sources.grafana_settings import GrafanaSettings
from tocsin.sources.wire_errors import said

CATEGORIES = "datasource,prometheus,loki,alerting,annotations,oncall,incident"
"""The groups of tools that are asked of mcp-grafana; those that write are off besides."""

MAX_LOG_LINES = 5000
"""Lines that a spawned mcp-grafana may answer at once; one that runs elsewhere has a limit of its own."""

MAX_STDERR_BYTES = 4096
HEAD_BYTES = 256
CHUNK_BYTES = 256 * 1024
END_WITHIN_S = 1.0
SHOWN_CHARACTERS = 80
"""Of what a program writes that is no mcp-grafana; it may be anything."""

_PASSED_ON = ("HOME", "PATH", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line that was thrown away because it is over the limit; `head` is how it began."""

    head: bytes


def program(settings: GrafanaSettings) -> str:
    """The path of mcp-grafana; raises SourceError that says how to get it."""
    if settings.command is not None:
        return settings.command
    spec = find_spec("mcp_grafana")
    inside = None if spec is None or spec.origin is None else Path(spec.origin).parent / "bin" / "mcp-grafana"
    if inside is not None and os.access(inside, os.X_OK):
        return str(inside)
    found = shutil.which("mcp-grafana")
    if found is None:
        raise SourceError(
            "mcp-grafana is not installed: pip install mcp-grafana, or name the program in the setting command",
            failure=SourceFailure.UNREACHABLE,
            transient=False,
        )
    return found


def arguments(settings: GrafanaSettings) -> list[str]:
    """The whole command line. It never holds the token: everybody on the machine can read it."""
    line = [program(settings), "-t", "stdio", "-disable-write", "-usage-stats", "disabled", "-log-level", "warn"]
    line += ["-enabled-tools", CATEGORIES, "-max-loki-log-limit", str(MAX_LOG_LINES)]
    line += ["-grafana-timeout", f"{settings.timeout_s:g}s"]
    for flag, value in (
        ("-tls-ca-file", settings.ca_file),
        ("-tls-cert-file", settings.client_cert_file),
        ("-tls-key-file", settings.client_key_file),
    ):
        line += [flag, value] if value else []
    return [*line, "-tls-skip-verify"] if settings.tls_insecure else line


def environment(settings: GrafanaSettings) -> dict[str, str]:
    """What the child sees: where Grafana is, the token, and of our own environment only what reaching it needs."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    passed |= {name.lower(): os.environ[name.lower()] for name in _PASSED_ON[3:6] if name.lower() in os.environ}
    passed["GRAFANA_URL"] = settings.grafana_url
    if settings.token is not None:
        passed["GRAFANA_SERVICE_ACCOUNT_TOKEN"] = settings.token
    return passed


class Child:
    """A running mcp-grafana. Its standard error is read all the time, and only its end is kept."""

    def __init__(self, process: asyncio.subprocess.Process, settings: GrafanaSettings) -> None:
        self._process, self._settings = process, settings
        self._heard = b""
        self._nonsense: str | None = None
        self.began = b""
        """How its output begins."""
        self._listening = asyncio.create_task(self._listen(), name="mcp-grafana standard error")

    @classmethod
    async def start(cls, settings: GrafanaSettings) -> "Child":
        """Spawn it; raises SourceError."""
        pipe = asyncio.subprocess.PIPE
        try:
            # A session of its own: Ctrl-C on the terminal is for Tocsin, which ends it in order.
            process = await asyncio.create_subprocess_exec(
                *arguments(settings),
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                env=environment(settings),
                start_new_session=True,
            )
        except OSError as error:
            raise SourceError(
                f"mcp-grafana cannot be started: {error.strerror or error}",
                failure=SourceFailure.UNREACHABLE,
                transient=True,
            ) from None
        return cls(process, settings)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def write(self, data: bytes) -> None:
        """One message with its line break; raises OSError when it reads no more."""
        pipe = self._process.stdin
        if pipe is None or pipe.is_closing():
            raise BrokenPipeError
        pipe.write(data)
        await pipe.drain()

    async def lines(self, max_bytes: int) -> AsyncIterator[bytes | TooLong]:
        """What it writes, line by line, until it ends. A line of more than `max_bytes` is never held whole."""
        pipe = self._process.stdout
        parts: list[bytes] = []
        size = 0
        while pipe is not None and (chunk := await pipe.read(CHUNK_BYTES)):
            self.began = self.began or chunk[:HEAD_BYTES]
            *ended, rest = chunk.split(b"\n")
            for end in ended:
                size += len(end)
                parts.append(end)
                line = b"".join(parts)
                yield line if size <= max_bytes else TooLong(line[:HEAD_BYTES])
                parts, size = [], 0
            size += len(rest)
            parts.append(rest)
            if size > max_bytes:
                parts = [b"".join(parts)[:HEAD_BYTES]]

    async def stop(self) -> None:
        """Close its input, wait, then insist."""
        process = self._process
        try:
            if process.stdin is not None:
                process.stdin.close()
            for insist in (process.terminate, process.kill, None):
                with suppress(TimeoutError):
                    async with asyncio.timeout(END_WITHIN_S):
                        await process.wait()
                    break
                if insist is not None:
                    with suppress(ProcessLookupError):
                        insist()
        finally:
            # Only when this itself is cancelled is it still there.
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
            self._listening.cancel()

    def said_nonsense(self, line: bytes) -> None:
        """Remember that it wrote something that is no MCP."""
        text = line[: 4 * HEAD_BYTES].decode("utf-8", "replace").replace("\ufffd", " ")
        self._nonsense = clean(self._settings.redact(text), SHOWN_CHARACTERS)

    def last_words(self) -> str:
        """How it ended and the last line it wrote to standard error, fit to be shown."""
        command = self._settings.command
        called = "mcp-grafana" if command is None else f"mcp-grafana ({command})"
        if self._nonsense is not None:
            wrote = repr(self._nonsense) if self._nonsense else "bytes that are no text"
            return f"{called} does not speak MCP: it wrote {wrote}"
        code = self._process.returncode
        how = f"{called} {how_it_ended(code)}"
        heard = self._heard.decode("utf-8", "replace").strip().splitlines()
        # Its warnings are of the ordinary day; an end is told as an error, or as plain text.
        lines = [line for line in heard if "level=WARN" not in line]
        return f"{how}; its last words: {said(self._settings.redact(lines[-1]))}" if lines else how

    async def _listen(self) -> None:
        pipe = self._process.stderr
        while pipe is not None and (chunk := await pipe.read(MAX_STDERR_BYTES)):
            self._heard = (self._heard + chunk)[-MAX_STDERR_BYTES:]


def how_it_ended(code: int | None) -> str:
    """How a process ended; what the system counts below zero is the signal that killed it."""
    if code is None or code >= 0:
        return "ended" if code is None else f"ended with code {code}"
    try:
        return f"was killed by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"was killed by signal {-code}"
