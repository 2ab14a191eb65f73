"""One client policy for every datasource behind HTTP: limits, time, trust, retries, errors that say what happened."""

import asyncio
import os
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote_plus, urlencode

import aiohttp
from yarl import URL

from tocsin.domain.datasource import Skew
from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.sources.http_body import read_body
from tocsin.sources.http_retry import backoff_s, http_date_s, may_be_asked_again, retry_after_s, worth_retrying
from tocsin.sources.http_settings import HttpSettings

REDIRECTS = frozenset({301, 302, 307, 308})
MAX_REDIRECTS = 3
MAX_GET_CHARACTERS = 2000
SKEW_FOR_S = 60.0
"""How long the most exact reading of a server's clock is believed before a newer one takes its place."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer. `body` is decompressed and within the limit."""

    status: int
    content_type: str
    body: bytes | bytearray
    retry_after_s: float | None = None
    of_victoria: bool = False
    """Whether it has the header with which a VictoriaMetrics names its machine."""


@dataclass(slots=True)
class _Asking:
    """How far one question has come: what is said when its time is over. `until` is the event loop's time."""

    until: float
    heard: str = "no answer has begun"
    tries: int = 0


class HttpClient:
    """Asks one server. The connections are made with the first question and given back by `close`.

    `sleep` waits between tries, `jitter` gives numbers in [0, 1) and `now` unix seconds; tests give their own.
    """

    def __init__(
        self,
        settings: HttpSettings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._sleep = sleep
        self._jitter = jitter
        self._now = now
        self._session: aiohttp.ClientSession | None = None
        self._base = URL(settings.base_url)
        self._closed = False
        self.skew: Skew | None = None
        self._skew_at = 0.0

    async def get(self, path: str, parameters: Mapping[str, str]) -> HttpAnswer:
        """GET base URL + `path`. Answers any status; raises SourceError when there was no whole answer."""
        # Encoded here, strictly: yarl leaves semicolons as they are, and Go drops a parameter that has one.
        asked = "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in parameters.items()])
        url = URL(f"{self._url(path)}?{asked}", encoded=True)
        return await self._ask("GET", url, None)

    async def ask(self, path: str, parameters: Mapping[str, str]) -> HttpAnswer:
        """The same question by GET, or by POST where it is long."""
        # A byte becomes three characters at most; only a long query needs to be encoded to know its length.
        short = len(parameters.get("query", "")) <= MAX_GET_CHARACTERS // 16
        if short or len(urlencode(parameters)) <= MAX_GET_CHARACTERS:
            return await self.get(path, parameters)
        return await self.post_form(path, parameters)

    def redacted(self, error: SourceError, retry_after_s: float | None = None) -> SourceError:
        """The same error, fit to be shown: some servers repeat what they were sent, credentials included."""
        text = self.settings.redact(str(error))
        return SourceError(text, failure=error.failure, transient=error.transient, retry_after_s=retry_after_s)

    async def post_form(self, path: str, form: Mapping[str, str]) -> HttpAnswer:
        """POST a form that only asks: it may be sent again on a transient error."""
        return await self._ask("POST", self._url(path), form)

    async def close(self) -> None:
        """Give back the connections; idempotent."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _url(self, path: str) -> URL:
        return _joined(self._base, path)

    async def _ask(self, method: str, url: URL, form: Mapping[str, str] | None) -> HttpAnswer:
        timeout_s = self.settings.timeout_s
        asking = _Asking(asyncio.get_running_loop().time() + timeout_s)
        try:
            async with asyncio.timeout_at(asking.until):
                return await self._try(method, url, form, asking)
        except TimeoutError as error:
            raise SourceError(
                f"{self._base.host}:{self._base.port} did not answer within {timeout_s:g} s: {asking.heard}",
                failure=SourceFailure.TIMEOUT,
                transient=True,
            ) from error

    async def _try(self, method: str, url: URL, form: Mapping[str, str] | None, asking: _Asking) -> HttpAnswer:
        """Again while there are tries left, another may help, and there is time for it before the deadline."""
        while True:
            asked_to_wait, failed, answer = 0.0, None, None
            asking.tries += 1
            try:
                answer = await self._follow(method, url, form, asking)
                if not worth_retrying(answer.status, answer.content_type):
                    return answer
                asked_to_wait = answer.retry_after_s or 0.0
            except SourceError as error:
                if not may_be_asked_again(error):
                    raise
                failed = error
            wait_s = max(backoff_s(asking.tries - 1, self._jitter()), asked_to_wait)
            # What cannot come in time is not waited for: the reason is known, "too late" would hide it.
            late = wait_s >= asking.until - asyncio.get_running_loop().time()
            if asking.tries > self.settings.retries or asked_to_wait > self.settings.retry_after_cap_s or late:
                if failed is not None:
                    raise failed
                if answer is not None:
                    return answer
            await self._sleep(wait_s)

    async def _follow(self, method: str, url: URL, form: Mapping[str, str] | None, asking: _Asking) -> HttpAnswer:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._once(method, url, form, asking)
            if isinstance(answer, HttpAnswer):
                return answer
            url = answer
        raise SourceError(f"{self._base.host} redirects in circles", failure=SourceFailure.BAD_ANSWER, transient=False)

    async def _once(self, method: str, url: URL, form: Mapping[str, str] | None, asking: _Asking) -> HttpAnswer | URL:
        session, settings = self._connected(), self.settings
        asking.heard, asked_s = "no answer has begun", self._now()
        try:
            async with session.request(method, url, data=form, allow_redirects=False) as response:
                self._hear_clock(asked_s, response.headers.get("Date", ""))
                if response.status in REDIRECTS:
                    return self._redirect(url, response.headers.get("Location", ""))

                def heard(size: int) -> None:
                    asking.heard = f"of the answer {size:,} bytes had come"

                heard(0)
                body = await read_body(response, settings.max_response_bytes, stall_s=settings.stall_s, heard=heard)
                again = retry_after_s(response.headers.get("Retry-After", ""), self._now())
                kind, of_victoria = response.headers.get("Content-Type", ""), "X-Server-Hostname" in response.headers
                return HttpAnswer(response.status, kind, body, again, of_victoria)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._explain(error) from None

    def _redirect(self, url: URL, location: str) -> URL:
        """Where to go on; raises unless it is the same server: credentials go nowhere else."""
        try:
            target = url.join(URL(location, encoded=True))
            same = bool(location) and target.origin() == url.origin()
        except ValueError:
            target, same = URL(), False
        if not same:
            raise SourceError(
                f"{self._base.host} redirects to another server ({target.scheme}://{target.host}); "
                "redirects are not followed with credentials: configure that URL itself",
                failure=SourceFailure.BAD_ANSWER,
                transient=False,
            )
        return target

    def _hear_clock(self, asked_s: float, date: str) -> None:
        """Take note of the server's clock, where this reading of it is more exact or the other is old."""
        now_s, old = self._now(), self.skew
        aged = not 0.0 <= now_s - self._skew_at < SKEW_FOR_S
        if old is not None and not aged and old.within_s <= 0.5 + (now_s - asked_s) / 2:
            return
        told_s = http_date_s(date)
        if told_s is not None:
            self.skew, self._skew_at = Skew.between(asked_s, told_s, now_s, resolution_s=1.0), now_s

    def _connected(self) -> aiohttp.ClientSession:
        if self._closed:
            raise SourceError("the connection is closed", failure=SourceFailure.UNREACHABLE, transient=False)
        if self._session is None:
            settings = self.settings
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=settings.max_connections, ssl=self._trust()),
                timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=settings.connect_timeout_s),
                headers=settings.request_headers(),
                cookie_jar=aiohttp.DummyCookieJar(),
                # Decompressed in read_body, which bounds what comes out.
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _trust(self) -> ssl.SSLContext | bool:
        if self._base.scheme != "https":
            return True
        settings = self.settings
        try:
            context = ssl.create_default_context(cafile=settings.ca_file)
            if settings.client_cert_file is not None:
                context.load_cert_chain(settings.client_cert_file, settings.client_key_file)
        except (OSError, ssl.SSLError) as error:
            raise SourceError(
                f"the TLS files cannot be read (ca_file {settings.ca_file}, client_cert_file "
                f"{settings.client_cert_file}): {error.strerror or type(error).__name__}",
                failure=SourceFailure.UNREACHABLE,
                transient=False,
            ) from error
        if settings.tls_insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _explain(self, error: Exception) -> SourceError:
        """What went wrong in words of our own: the library's may hold whole URLs."""
        where = f"{self._base.host}:{self._base.port}"
        failure, transient = SourceFailure.UNREACHABLE, True
        match error:
            case aiohttp.ClientConnectorDNSError():
                said = f"the name {self._base.host} cannot be resolved"
            case aiohttp.ClientConnectorCertificateError():
                reason = getattr(error.certificate_error, "verify_message", "") or "certificate refused"
                said, transient = f"{where}: TLS certificate not trusted: {reason} (ca_file, tls_insecure)", False
            case aiohttp.ClientSSLError():
                said, transient = f"{where}: TLS failed: {error.os_error.strerror or 'no handshake'}", False
            case aiohttp.ServerTimeoutError():
                failure = SourceFailure.TIMEOUT
                said = f"{where}: no connection within {self.settings.connect_timeout_s:g} s"
            case aiohttp.ClientConnectorError():
                # asyncio puts the address where the reason should be; the number tells.
                said = f"{where}: {_reason(error.os_error)}"
            case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
                said = f"{where}: the connection ended before the whole answer had come"
            case aiohttp.ClientResponseError():
                failure, transient = SourceFailure.BAD_ANSWER, False
                said = f"{where}: the answer is not HTTP that can be understood"
            case aiohttp.ClientOSError() | OSError():
                said = f"{where}: {_reason(error)}"
            case _:
                failure, transient = SourceFailure.BAD_ANSWER, False
                said = f"{where}: {type(error).__name__}"
        return SourceError(self.settings.redact(said), failure=failure, transient=transient)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else "no connection"


def _quoted(text: str) -> str:
    # Most are numbers: asking costs a tenth of quoting.
    return text if text.isascii() and text.isalnum() else _encoded(text)


@lru_cache(maxsize=1024)
def _encoded(text: str) -> str:
    return quote_plus(text)


@lru_cache(maxsize=256)
def _joined(base: URL, path: str) -> URL:
    return base.joinpath(path.lstrip("/"))
