"""The `datasources:` section: where telemetry comes from, and what is needed to be let in."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tocsin.config.document import Entry
from tocsin.config.model import GRAFANA, HOST, LOKI, MIB, PROMETHEUS, DatasourceConfig
from tocsin.config.secret import Secret
from tocsin.config.section import Section

KINDS = (PROMETHEUS, LOKI, GRAFANA)

_UID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8192}")
_OWN_HEADERS = ("host", "content-length", "content-type", "transfer-encoding", "connection")
_SENSITIVE = re.compile(r"auth|cookie|key|token|secret|passw", re.IGNORECASE)
_MOST = 2**53
_DEFAULT = DatasourceConfig(uid="", url="")


class _Tls(NamedTuple):
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure_skip_verify: bool = False


class _Login(NamedTuple):
    username: str | None = None
    password: Secret | None = None
    bearer_token: Secret | None = None


def read_datasources(sections: list[Section]) -> tuple[DatasourceConfig, ...]:
    """The declared datasources, those with an error left out; no two have the same uid."""
    found: dict[str, DatasourceConfig] = {}
    lines: dict[str, int] = {}
    for section in sections:
        datasource = _datasource(section)
        uid = section.get("uid")
        name = None if uid is None else uid.written
        if uid is not None and name in lines:
            uid.complain(f"is taken: {name!r} is declared on line {lines[name]}")
            continue
        if uid is not None and name:
            lines[name] = uid.line
        if datasource is not None:
            found[datasource.uid] = datasource
    return tuple(found.values())


def check_url(text: str, instead: str = "basic_auth with password_file") -> str:
    """A base URL without its last slash; raises ValueError that never quotes it (it may hold a password) and names
    what takes credentials `instead`.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise ValueError("must be a URL like http://prometheus:9090/prefix") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("must be a URL like http://prometheus:9090/prefix")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"must not hold a user name or password; use {instead}")
    if parts.query or parts.fragment:
        raise ValueError("must not hold ?… or #…; it is the base that paths are appended to")
    if re.search(r"[\x00-\x20\x7f\\]", text.strip()):
        raise ValueError("must not hold spaces or control characters")
    return text.strip().rstrip("/")


def _datasource(section: Section) -> DatasourceConfig | None:
    before = len(section.document.problems)
    uid = section.read("uid", _uid) if section.required("uid") is not None else None
    kind = _kind(section)
    if kind == GRAFANA:
        grafana = _grafana(section, uid or "")
        section.finish()
        return grafana if len(section.document.problems) == before else None
    url = section.read("url", check_url, quiet=True) if section.get("url") is not None else section.required("url")
    tls, login = _tls(section), _login(section)
    result = DatasourceConfig(
        uid=uid or "",
        url=url or "",
        kind=kind,
        ca_file=tls.ca_file,
        cert_file=tls.cert_file,
        key_file=tls.key_file,
        insecure_skip_verify=tls.insecure_skip_verify,
        username=login.username,
        password=login.password,
        bearer_token=login.bearer_token,
        headers=_headers(section, authorized=login.username is not None or login.bearer_token is not None),
    )
    result = _bounded(section, result)
    section.finish()
    return result if len(section.document.problems) == before else None


def _bounded(section: Section, datasource: DatasourceConfig) -> DatasourceConfig:
    """The same with what every kind has: time, places, limits of one answer."""
    timeout = section.duration("timeout", timedelta(seconds=_DEFAULT.timeout_s))
    if not timedelta(milliseconds=100) <= timeout <= timedelta(minutes=10):
        section.place("timeout").complain("must be between 100ms and 10m")
    return replace(
        datasource,
        timeout_s=timeout.total_seconds(),
        concurrency=section.integer("concurrency", _DEFAULT.concurrency, least=1, most=1000),
        max_series=section.integer("max_series", _DEFAULT.max_series, least=1, most=_MOST),
        max_samples=section.integer("max_samples", _DEFAULT.max_samples, least=1, most=_MOST),
        max_bytes=section.integer("max_bytes", _DEFAULT.max_bytes, least=1024, most=1024 * 1024 * MIB),
        max_range_s=_range(section),
        offset_s=section.duration("offset", timedelta(0)).total_seconds(),
    )


def _range(section: Section) -> float:
    span = section.duration("max_range", timedelta(seconds=_DEFAULT.max_range_s))
    if not timedelta(minutes=1) <= span <= timedelta(days=36_500):
        section.place("max_range").complain("must be between 1m and 36500d")
    return span.total_seconds()


def _grafana(section: Section, uid: str) -> DatasourceConfig:
    """A Grafana through mcp-grafana, spawned for `grafana_url` or running at `url`; its own datasources are found."""
    spawned, running = section.get("grafana_url"), section.get("url")
    if spawned is None and running is None:
        section.place("grafana_url").complain("is missing (or url, where an mcp-grafana runs already)")
    if spawned is not None and running is not None:
        running.complain("cannot stand beside grafana_url: mcp-grafana is either spawned or runs at url")
    if spawned is None and section.get("command") is not None:
        section.place("command").complain("is of use only beside grafana_url")
    tls = _tls(section)
    result = DatasourceConfig(
        uid=uid,
        url=section.read("url", _grafana_url, quiet=True) or "",
        kind=GRAFANA,
        grafana_url=section.read("grafana_url", _grafana_url, quiet=True) or "",
        token=section.secret("token"),
        command=section.path("command"),
        deploy_tags=section.texts("deploy_tags", alone=False) or _DEFAULT.deploy_tags,
        ca_file=tls.ca_file,
        cert_file=tls.cert_file,
        key_file=tls.key_file,
        insecure_skip_verify=tls.insecure_skip_verify,
    )
    return _bounded(section, result)


def _grafana_url(text: str) -> str:
    return check_url(text, instead="token_file")


def _uid(text: str) -> str:
    if not _UID.fullmatch(text):
        raise ValueError("must be 1 to 128 letters, digits or any of _ . : - and begin with a letter or digit")
    if text == HOST:
        raise ValueError(f"must not be {HOST}: that is this machine; see the section host:")
    return text


def _kind(section: Section) -> str:
    kind = section.required("type")
    if kind is not None and kind not in KINDS:
        section.place("type").complain(f"must be one of {', '.join(KINDS)}")
    return kind or PROMETHEUS


def _tls(section: Section) -> _Tls:
    inner = section.section("tls")
    if inner is None:
        return _Tls()
    skip = inner.boolean("insecure_skip_verify", default=False)
    tls = _Tls(inner.path("ca_file"), inner.path("cert_file"), inner.path("key_file"), skip)
    if inner.get("cert_file") is None and inner.get("key_file") is not None:
        inner.place("cert_file").complain("is missing beside key_file")
    if inner.get("key_file") is None and inner.get("cert_file") is not None:
        inner.place("key_file").complain("is missing beside cert_file")
    inner.finish()
    return tls


def _login(section: Section) -> _Login:
    token = section.secret("bearer_token")
    inner = section.section("basic_auth")
    if inner is None:
        return _Login(bearer_token=token)
    username, password = inner.required("username"), inner.secret("password")
    if inner.get("password") is None and inner.get("password_file") is None:
        inner.place("password").complain("is missing (or password_file)")
    if section.get("bearer_token") is not None or section.get("bearer_token_file") is not None:
        inner.entry.complain("cannot stand beside bearer_token: a request carries one Authorization header")
    inner.finish()
    return _Login(username, password)


def _headers(section: Section, *, authorized: bool) -> tuple[tuple[str, Secret | str], ...]:
    found: list[tuple[str, Secret | str]] = []
    for name, (value, entry) in section.pairs("headers").items():
        lower = name.lower()
        if not _HEADER_NAME.fullmatch(name) or lower in _OWN_HEADERS:
            entry.complain("cannot be the name of an extra header")
        elif lower == "authorization" and authorized:
            entry.complain("cannot stand beside basic_auth or bearer_token")
        elif not _HEADER_VALUE.fullmatch(value):
            entry.complain("must be one line of at most 8192 characters")
        else:
            found.append((name, Secret(value) if _secret_header(name, entry) else value))
    return tuple(found)


def _secret_header(name: str, entry: Entry) -> bool:
    """A header is shown only when its name is harmless and its value stands in the file for all to read."""
    return entry.expanded or _SENSITIVE.search(name) is not None
