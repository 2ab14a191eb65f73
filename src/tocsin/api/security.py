"""Who may reach the API and how: pure decisions over a request's head. Each answers a refusal, or None."""

import re
from hmac import compare_digest
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from tocsin.api.headers import SAFE_METHODS
from tocsin.api.paths import LIVE, STREAM
from tocsin.api.problems import Refusal
from tocsin.api.services import Security

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?")
_PORTS = {"http": 80, "https": 443}


def refusal_for(security: Security, method: str, path: str, headers: Headers) -> Refusal | None:
    """Why this request must not be answered; None when it may be."""
    return (
        wrong_host(security, headers)
        or wrong_token(security, path, headers)
        or foreign_page(method, path, headers)
        or wrong_body(security, method, headers)
    )


def wrong_host(security: Security, headers: Headers) -> Refusal | None:
    """A page elsewhere that lets its own name point here is told that this is no server of that name."""
    hosts = headers.getlist("host")
    parsed = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if parsed is None:
        return Refusal(400, "Host: exactly one Host header with a name is needed", [("Host", "is needed once")])
    name = _bare(parsed["name"])
    if _is_loopback(name) or "*" in security.allowed_hosts or name in map(_bare, security.allowed_hosts):
        return None
    why = "is not a name of this server; --allowed-host, or server.allowed_hosts in tocsin.yaml, adds one"
    return Refusal(421, f"Host: {name[:100]} {why}", [("Host", why)])


def wrong_token(security: Security, path: str, headers: Headers) -> Refusal | None:
    """With a token configured, everything but the liveness probe needs it."""
    if not security.token or path == LIVE:
        return None
    scheme, _, given = headers.get("authorization", "").partition(" ")
    # Compared as bytes and in constant time, so that its length and letters cannot be felt out.
    if scheme.lower() == "bearer" and compare_digest(given.strip().encode(), security.token.encode()):
        return None
    return Refusal(
        401,
        "Authorization: a bearer token is needed (the one Tocsin was started with)",
        [("Authorization", "a bearer token is needed")],
        {"WWW-Authenticate": 'Bearer realm="tocsin"'},
    )


def foreign_page(method: str, path: str, headers: Headers) -> Refusal | None:
    """A page of another origin must not write through a person's browser, nor hold streams open."""
    if method in SAFE_METHODS and path != STREAM:
        return None
    site = headers.get("sec-fetch-site", "none")
    if site not in ("none", "same-origin"):
        why = "the request comes from a page of another site"
        return Refusal(403, f"Sec-Fetch-Site: {why}", [("Sec-Fetch-Site", why)])
    origins = headers.getlist("origin")
    if origins and not (len(origins) == 1 and _same_origin(origins[0], headers.get("host", ""))):
        why = "the request comes from a page of another origin"
        return Refusal(403, f"Origin: {why}", [("Origin", why)])
    return None


def wrong_body(security: Security, method: str, headers: Headers) -> Refusal | None:
    """A body must be JSON, which no foreign form can send, and within the limit."""
    length = headers.get("content-length")
    if length is not None and not (length.isascii() and length.isdigit()):
        return Refusal(400, "Content-Length: is not a number", [("Content-Length", "is not a number")])
    size = int(length[:20]) if length else 0
    if size > security.limits.body_bytes:
        return too_large(security.limits.body_bytes)
    if method in SAFE_METHODS or not (size or "transfer-encoding" in headers):
        return None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return None
    why = "must be application/json; write -H 'Content-Type: application/json' with curl"
    return Refusal(415, f"Content-Type: {why}", [("Content-Type", why)], {"Accept": "application/json"})


def too_large(limit: int) -> Refusal:
    """The refusal of a body over the limit."""
    why = f"is larger than the limit of {limit:,} bytes"
    return Refusal(413, f"body: {why}", [("body", why)], {"Connection": "close"})


def _bare(name: str) -> str:
    return name.lower().strip("[]").rstrip(".")


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _same_origin(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    here = _HOST.fullmatch(host)
    if here is None or parts.scheme not in _PORTS or parts.hostname is None:
        return False
    default = _PORTS[parts.scheme]
    return (_bare(parts.hostname), port or default) == (_bare(here["name"]), int(here["port"] or default))
