"""The sections `server:`, `store:` and `host:`, laid under what the environment and the flags say."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Generic, TypeVar

from tocsin.config.environment import FILE, Environment
from tocsin.config.model import HostConfig, MonitoringConfig, Overrides, Problem, ServerConfig, StoreConfig
from tocsin.config.safety import Complain, check_server
from tocsin.config.secret import Secret
from tocsin.config.section import Section, read_secret

T = TypeVar("T")
FLAGS = "command line"
_STORE = StoreConfig()
_SERVER = ServerConfig()
_HOST = HostConfig()
_MOST_ROWS = 10**9


@dataclass(frozen=True)
class Said(Generic[T]):
    """A value and who said it, so that a complaint names the right place."""

    value: T
    place: Problem


def first(*said: Said[T] | None) -> Said[T] | None:
    """What the strongest says: the first that says anything."""
    return next((each for each in said if each is not None), None)


def read_server(
    section: Section | None, environment: Environment, overrides: Overrides, complain: Complain
) -> ServerConfig:
    """Flags before environment before file; then the rules of safety over what came out."""
    host = first(
        _flag("--host", overrides.host), _variable("HOST", environment.host), _written(section, "host", _texts)
    )
    port = first(
        _flag("--port", overrides.port),
        _variable("PORT", environment.port),
        _written(section, "port", lambda part, key: part.integer(key, None, least=0, most=65535)),
    )
    cert = first(_existing("--tls-cert", overrides.tls_cert, complain), _written(section, "tls_cert", Section.path))
    key = first(_existing("--tls-key", overrides.tls_key, complain), _written(section, "tls_key", Section.path))
    from_file = None if section is None else section.secret("token")
    server = ServerConfig(
        host=_SERVER.host if host is None else host.value,
        port=_SERVER.port if port is None else port.value,
        token=_token(environment, complain) or from_file,
        allowed_hosts=overrides.allowed_hosts or (section.texts("allowed_hosts") if section else None) or (),
        tls_cert=None if cert is None else cert.value,
        tls_key=None if key is None else key.value,
        behind_proxy=(section.boolean("behind_proxy", default=False) if section else False) or overrides.behind_proxy,
    )
    if section is not None:
        section.finish()
    check_server(server, Problem(FLAGS, None, "--host", "") if host is None else host.place, complain)
    return server


def read_store(section: Section | None, environment: Environment) -> StoreConfig:
    """The store; its URL may come from the environment."""
    url = None if environment.database_url is None else Secret(environment.database_url.get_secret_value())
    if section is None:
        return StoreConfig(url=url)
    written = section.secret("url")
    inner = section.section("retention")
    section.finish()
    if inner is None:
        return StoreConfig(url=url or written)
    age = inner.read("days", _days)
    store = StoreConfig(
        url=url or written,
        retention_days=_STORE.retention_days if age is None else age,
        max_anomalies=inner.integer("anomalies", _STORE.max_anomalies, least=100, most=_MOST_ROWS),
        max_alerts=inner.integer("alerts", _STORE.max_alerts, least=100, most=_MOST_ROWS),
    )
    inner.finish()
    return store


def read_host(section: Section | None, overrides: Overrides) -> HostConfig:
    """Whether and how often this machine is looked at."""
    if section is None:
        return HostConfig(enabled=not overrides.no_host)
    enabled = section.boolean("enabled", default=True)
    period = section.duration("period", timedelta(seconds=_HOST.period_s))
    if not timedelta(seconds=1) <= period <= timedelta(seconds=60):
        section.place("period").complain("must be between 1s and 60s")
    section.finish()
    return HostConfig(enabled=enabled and not overrides.no_host, period_s=period.total_seconds())


def _flag(name: str, value: T | None) -> Said[T] | None:
    return None if value is None else Said(value, Problem(FLAGS, None, name, ""))


def _variable(name: str, value: T | None) -> Said[T] | None:
    return None if value is None else Said(value, Problem(FILE, None, f"TOCSIN_{name}", ""))


def _written(section: Section | None, key: str, read: Callable[[Section, str], T | None]) -> Said[T] | None:
    value = None if section is None else read(section, key)
    if section is None or value is None:
        return None
    place = section.place(key)
    return Said(value, Problem(place.document.file, place.line, place.name, ""))


def _texts(section: Section, key: str) -> str | None:
    return section.text(key)


def _existing(flag: str, path: Path | None, complain: Complain) -> Said[Path] | None:
    if path is not None and not path.is_file():
        complain(Problem(FLAGS, None, flag, f"names a file that does not exist: {path}"))
    return _flag(flag, path)


def _token(environment: Environment, complain: Complain) -> Secret | None:
    if environment.api_token is not None:
        return Secret(environment.api_token.get_secret_value())
    if environment.api_token_file is None:
        return None
    try:
        return read_secret(environment.api_token_file)
    except ValueError as error:
        complain(Problem(FILE, None, "TOCSIN_API_TOKEN_FILE", str(error)))
        return None


def read_monitoring(section: Section | None) -> MonitoringConfig:
    """What holds for all targets together."""
    if section is None:
        return MonitoringConfig()
    tolerated = section.number("false_alerts_per_week", MonitoringConfig().false_alerts_per_week)
    if not 0 < tolerated < float("inf"):
        section.place("false_alerts_per_week").complain("must be a number above zero")
    section.finish()
    return MonitoringConfig(tolerated)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 1 <= days <= 36_500:
        raise ValueError("must be a number of days between 1 and 36500")
    return days
