"""How one HTTP datasource is reached: plain typed values, and no secret in any text made from them."""

import re
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from tocsin.domain.errors import Invalid
from tocsin.domain.redact import without_credentials

MEBIBYTE = 1024 * 1024
_USERINFO = re.compile(r"(?<=//)[^/@\s]*@")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True, repr=False)
class HttpSettings:
    """Where a server is and how it is asked. Raises `Invalid` naming the field that cannot be.

    `url` may have a path prefix, and userinfo, which is used as basic auth. `timeout_s` bounds one question with all
    its tries, `stall_s` the time in which nothing more of an answer comes. A server that asks for a longer wait than
    `retry_after_cap_s` is not asked again within the same question. `headers` are sent with each request
    (`X-Scope-OrgID`). Files are paths to PEM.
    """

    url: str
    timeout_s: float = 30.0
    connect_timeout_s: float = 5.0
    max_response_bytes: int = 64 * MEBIBYTE
    username: str | None = None
    password: str | None = None
    bearer_token: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    tls_insecure: bool = False
    max_connections: int = 16
    retries: int = 2
    retry_after_cap_s: float = 5.0
    stall_s: float = 15.0

    def __post_init__(self) -> None:
        parts = _split(self.url)
        if self.bearer_token is not None and (self.username is not None or parts.username):
            raise Invalid("bearer_token", "cannot be used together with basic auth")
        for name in ("timeout_s", "connect_timeout_s", "stall_s"):
            if not 0 < getattr(self, name) <= 3600:
                raise Invalid(name, "must be more than 0 and at most 3600 seconds")
        if self.max_response_bytes < 1024:
            raise Invalid("max_response_bytes", "must be at least 1024")
        if not 1 <= self.max_connections <= 1000:
            raise Invalid("max_connections", "must be between 1 and 1000")
        if not 0 <= self.retries <= 10:
            raise Invalid("retries", "must be between 0 and 10")
        if self.client_key_file is not None and self.client_cert_file is None:
            raise Invalid("client_cert_file", "is needed with client_key_file")
        for name, value in (*self.headers, ("bearer_token", self.bearer_token or "")):
            if not _HEADER_NAME.fullmatch(name) or not value.isprintable():
                raise Invalid("headers", f"the header {name[:60]!r} has characters that no header may have")

    @property
    def base_url(self) -> str:
        """The URL without credentials."""
        parts = _split(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        netloc = host if parts.port is None else f"{host}:{parts.port}"
        return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/") or "/", "", ""))

    def request_headers(self) -> dict[str, str]:
        """What is sent with each request, credentials included."""
        # Compression saves the network, and costs both ends CPU: on the same machine there is nothing to save.
        near = _split(self.url).hostname in _LOOPBACK
        headers = {"Accept": "application/json", "Accept-Encoding": "identity" if near else "gzip, deflate"}
        username, password = self._basic()
        if username is not None:
            pair = f"{username}:{password}".encode()
            headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
        if self.bearer_token is not None:
            headers["Authorization"] = f"Bearer {self.bearer_token}"
        return headers | dict(self.headers)

    def redact(self, text: str) -> str:
        """The text without this datasource's secrets and without userinfo in URLs: fit to be stored and shown."""
        text = _USERINFO.sub("", text)
        for secret in self._secrets():
            text = text.replace(secret, "***")
        return without_credentials(text)

    def _basic(self) -> tuple[str | None, str]:
        if self.username is not None:
            return self.username, self.password or ""
        parts = _split(self.url)
        if parts.username is None:
            return None, ""
        return unquote(parts.username), unquote(parts.password or "")

    def _secrets(self) -> list[str]:
        username, password = self._basic()
        secrets = [password, self.bearer_token or "", *(value for _, value in self.headers)]
        if username is not None:
            secrets.append(b64encode(f"{username}:{password}".encode()).decode())
        # Longest first: one secret may be a part of another. The shortest would only garble ordinary words.
        return sorted((each for each in secrets if len(each) >= _SHORTEST_SECRET), key=len, reverse=True)

    def __repr__(self) -> str:
        return f"HttpSettings(url={self.base_url!r}, …)"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Invalid("url", "is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise Invalid("url", "must be http://host[:port][/prefix] or https://…")
    if parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise Invalid("url", "must have no query, fragment, spaces or control characters")
    return parts
