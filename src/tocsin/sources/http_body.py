"""Reading an answer's body within a limit, compressed or not."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from typing import Protocol

import aiohttp

from tocsin.domain.errors import LimitExceeded, SourceError, SourceFailure

CHUNK_BYTES = 64 * 1024


class _Inflater(Protocol):
    @property
    def unconsumed_tail(self) -> bytes: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


async def read_body(
    response: aiohttp.ClientResponse, limit_bytes: int, *, stall_s: float, heard: Callable[[int], None]
) -> bytearray:
    """The body, inflated. Raises LimitExceeded when more than `limit_bytes` would come out, however little came in.

    A body of which nothing comes for `stall_s` is given up, however much time its question has left. `heard` is told
    how many bytes have come out so far.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise SourceError(
            f"the answer is compressed as {encoding[:40]!r}, which was not asked for",
            failure=SourceFailure.BAD_ANSWER,
            transient=False,
        )
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced[:20]) > limit_bytes:
        # Before anything of it takes memory.
        raise _too_large(limit_bytes)
    body = bytearray()
    with ExitStack() as failed:
        # An error's traceback holds on to it, for as long as anybody holds on to the error.
        failed.callback(body.clear)
        compressed = None if encoding in ("identity", "") else _Compressed(encoding, limit_bytes)
        async for chunk in _chunks(response, stall_s):
            if compressed is None:
                _append(body, chunk, limit_bytes)
            else:
                compressed.inflate(chunk, body)
            heard(len(body))
        if compressed is not None:
            compressed.must_be_whole()
        failed.pop_all()
    return body


async def _chunks(response: aiohttp.ClientResponse, stall_s: float) -> AsyncIterator[bytes]:
    """The parts as they come; raises SourceError when none comes any more."""
    while True:
        if response.content.is_eof():
            # All of it is here: nothing is waited for.
            chunk = await response.content.readany()
            if chunk:
                yield chunk
            return
        try:
            async with asyncio.timeout(stall_s):
                chunk = await response.content.readany()
        except TimeoutError:
            raise SourceError(
                f"the answer stopped in its middle: nothing came for {stall_s:g} s",
                failure=SourceFailure.TIMEOUT,
                transient=True,
            ) from None
        if not chunk:
            return
        yield chunk


def _inflater(encoding: str, first: bytes) -> _Inflater:
    if encoding != "deflate":
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    # Servers disagree whether `deflate` has zlib's header (RFC 9110 says yes): its first nibble tells.
    return zlib.decompressobj(zlib.MAX_WBITS if first[0] & 0x0F == 8 else -zlib.MAX_WBITS)


def _another(encoding: str, rest: bytes) -> bytes:
    """What follows the end of a compressed part: zeros are padding, gzip may have another part (RFC 1952, 2.2)."""
    rest = rest.lstrip(b"\0")
    if rest and (encoding == "deflate" or not rest.startswith(b"\x1f")):
        raise SourceError(
            "something follows the end of the compressed answer", failure=SourceFailure.BAD_ANSWER, transient=False
        )
    return rest


class _Compressed:
    """An answer that is inflated as it comes; gzip may have several parts."""

    def __init__(self, encoding: str, limit_bytes: int) -> None:
        self._encoding, self._limit_bytes = encoding, limit_bytes
        self._inflater: _Inflater | None = None

    def must_be_whole(self) -> None:
        """Raise SourceError where the end is missing."""
        if self._inflater is not None and not self._inflater.eof:
            raise SourceError("the compressed answer is cut", failure=SourceFailure.BAD_ANSWER, transient=True)

    def inflate(self, chunk: bytes, body: bytearray) -> None:
        """Append what a chunk holds to the body."""
        try:
            while chunk:
                if self._inflater is not None and self._inflater.eof:
                    chunk = _another(self._encoding, chunk)
                    self._inflater = None if chunk else self._inflater
                elif self._inflater is None:
                    self._inflater = _inflater(self._encoding, chunk)
                else:
                    # In steps: a bomb is noticed one step over the limit.
                    _append(body, self._inflater.decompress(chunk, CHUNK_BYTES * 4), self._limit_bytes)
                    chunk = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
        except zlib.error as error:
            raise SourceError(
                "the compressed answer cannot be read", failure=SourceFailure.BAD_ANSWER, transient=True
            ) from error


def _append(body: bytearray, chunk: bytes, limit_bytes: int) -> None:
    if len(body) + len(chunk) > limit_bytes:
        raise _too_large(limit_bytes)
    body += chunk


def _too_large(limit_bytes: int) -> LimitExceeded:
    return LimitExceeded(
        f"the answer is larger than {limit_bytes:,} bytes; ask for less, or raise max_bytes of the datasource"
    )
