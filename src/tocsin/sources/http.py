"""One client policy for every datasource behind HTTP: limits, time, trust, retries, errors that say what happened."""

import asyncio
import os
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus

import aiohttp
from yarl import URL

from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.sources.http_body import read_body
from tocsin.sources.http_settings import HttpSettings

RETRIED_STATUS = frozenset({429, 502, 503, 504})
REDIRECTS = frozenset({301, 302, 307, 308})
MAX_REDIRECTS = 3
BACKOFF_S = 0.25


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer. `body` is decompressed and within the limit."""

    status: int
    content_type: str
    body: bytes | bytearray
    retry_after_s: float | None = None


class HttpClient:
    """Asks one server. The connections are made with the first question and given back by `close`.

    `sleep` waits between tries and `jitter` gives numbers in [0, 1); tests give their own.
    """

    def __init__(
        self,
        settings: HttpSettings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self._sleep = sleep
        self._jitter = jitter
        self._session: aiohttp.ClientSession | None = None
        self._base = URL(settings.base_url)
        self._closed = False

    async def get(self, path: str, parameters: Mapping[str, str]) -> HttpAnswer:
        """GET base URL + `path`. Answers any status; raises SourceError when there was no whole answer."""
        # Encoded here, strictly: yarl leaves semicolons as they are, and Go drops a parameter that has one.
        asked = "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in parameters.items()])
        url = URL(f"{self._url(path)}?{asked}", encoded=True)
        return await self._ask("GET", url, None)

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
        return self._base.joinpath(path.lstrip("/"))

    async def _ask(self, method: str, url: URL, form: Mapping[str, str] | None) -> HttpAnswer:
        settings = self.settings
        try:
            async with asyncio.timeout(settings.timeout_s):
                return await self._try(method, url, form)
        except TimeoutError as error:
            raise SourceError(
                f"{self._base.host} did not answer within {settings.timeout_s:g} s",
                failure=SourceFailure.TIMEOUT,
                transient=True,
            ) from error

    async def _try(self, method: str, url: URL, form: Mapping[str, str] | None) -> HttpAnswer:
        """Again while there are tries left and another may help; all within one deadline."""
        tries_left = self.settings.retries
        while True:
            asked_to_wait: float | None = None
            try:
                answer = await self._follow(method, url, form)
                if tries_left <= 0 or not _worth_retrying(answer):
                    return answer
                asked_to_wait = answer.retry_after_s
                if asked_to_wait is not None and asked_to_wait > self.settings.retry_after_cap_s:
                    return answer
            except SourceError as error:
                # A server that took too long gets no second helping of the same work.
                if tries_left <= 0 or not error.transient or error.failure is SourceFailure.TIMEOUT:
                    raise
            attempt = self.settings.retries - tries_left
            tries_left -= 1
            backoff = BACKOFF_S * 2**attempt * (0.5 + self._jitter())
            await self._sleep(max(backoff, asked_to_wait or 0.0))

    async def _follow(self, method: str, url: URL, form: Mapping[str, str] | None) -> HttpAnswer:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._once(method, url, form)
            if isinstance(answer, HttpAnswer):
                return answer
            url = answer
        raise SourceError(f"{self._base.host} redirects in circles", failure=SourceFailure.BAD_ANSWER, transient=False)

    async def _once(self, method: str, url: URL, form: Mapping[str, str] | None) -> HttpAnswer | URL:
        session = self._connected()
        try:
            async with session.request(method, url, data=form, allow_redirects=False) as response:
                if response.status in REDIRECTS:
                    return self._redirect(url, response.headers.get("Location", ""))
                body = await read_body(response, self.settings.max_response_bytes)
                retry_after = _seconds(response.headers.get("Retry-After", ""))
                return HttpAnswer(response.status, response.headers.get("Content-Type", ""), body, retry_after)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
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
    return text if text.isascii() and text.isalnum() else quote_plus(text)


def _worth_retrying(answer: HttpAnswer) -> bool:
    # A 503 in JSON is the query engine's own word (it took too long, it was cancelled): asking again doubles its load.
    return answer.status in RETRIED_STATUS and not (answer.status == 503 and "json" in answer.content_type)


def _seconds(retry_after: str) -> float | None:
    # The other form, a date, would need a clock; waiting the ordinary time serves as well.
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None
