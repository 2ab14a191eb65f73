"""How one Grafana is reached through mcp-grafana: spawned here, or running elsewhere. No secret in any text of it."""

import re
from dataclasses import dataclass
from enum import StrEnum

from tocsin.domain.errors import Invalid

MEBIBYTE = 1024 * 1024
_USERINFO = re.compile(r"(?<=//)[^/@\s]*@")
_SHORTEST_SECRET = 4


class Way(StrEnum):
    """How messages pass: over the pipes of a child process, or over HTTP in one of its two forms."""

    STDIO = "stdio"
    HTTP = "streamable-http"
    SSE = "sse"


@dataclass(frozen=True, slots=True, repr=False)
class GrafanaSettings:
    """`grafana_url`: mcp-grafana is spawned and reaches Grafana there, `token` is Grafana's. Else `url` is where one
    runs, and `token` is what it asks of its callers; a path that ends in `/sse` speaks the older form.

    `timeout_s` bounds one question. `command` is the program; without it that of the wheel `mcp-grafana`, or the one
    on the PATH. `deploy_tags` mark the annotations that are deployments. Raises `Invalid` naming the field.
    """

    uid: str
    grafana_url: str = ""
    url: str = ""
    token: str | None = None
    command: str | None = None
    timeout_s: float = 30.0
    max_bytes: int = 64 * MEBIBYTE
    max_series: int = 10_000
    max_samples: int = 20_000_000
    max_range_s: float = 400 * 86400.0
    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    tls_insecure: bool = False
    deploy_tags: tuple[str, ...] = ("deploy", "deployment", "release")

    def __post_init__(self) -> None:
        if bool(self.grafana_url) == bool(self.url):
            raise Invalid("grafana_url", "either this or url is needed, not both")
        if not 0 < self.timeout_s <= 3600:
            raise Invalid("timeout_s", "must be more than 0 and at most 3600 seconds")
        if self.max_bytes < 1024:
            raise Invalid("max_bytes", "must be at least 1024")
        if self.token is not None and not self.token.isprintable():
            raise Invalid("token", "has characters that no header may have")

    @property
    def way(self) -> Way:
        """How messages pass."""
        if self.grafana_url:
            return Way.STDIO
        return Way.SSE if self.url.rstrip("/").endswith("/sse") else Way.HTTP

    def redact(self, text: str) -> str:
        """The text without the token and without userinfo in URLs: fit to be stored and shown."""
        text = _USERINFO.sub("", text)
        if self.token is not None and len(self.token) >= _SHORTEST_SECRET:
            text = text.replace(self.token, "***")
        return text

    def __repr__(self) -> str:
        return f"GrafanaSettings(uid={self.uid!r}, way={self.way}, …)"
