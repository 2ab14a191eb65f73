"""What the settings come to: frozen, checked, complete. Whoever holds a `Config` need not look at a file again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tocsin.config.secret import Secret
from tocsin.domain.errors import TocsinError
from tocsin.domain.target import Target

MIB = 1024 * 1024
PROMETHEUS = "prometheus"
LOKI = "loki"
GRAFANA = "grafana_mcp"
HOST = "host"
"""The uid of the embedded datasource; also the kind that no file may declare."""


@dataclass(frozen=True)
class DatasourceConfig:
    """One declared datasource. `max_…` bound one answer; `offset_s` is the default of its targets' `offset`.

    Of the kind `grafana_mcp`: `grafana_url` is a Grafana to spawn mcp-grafana for (else one runs at `url`), `token`
    what it asks for, `command` the program, `deploy_tags` mark the annotations that are deployments.
    """

    uid: str
    url: str
    kind: str = PROMETHEUS
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure_skip_verify: bool = False
    username: str | None = None
    password: Secret | None = None
    bearer_token: Secret | None = None
    headers: tuple[tuple[str, Secret | str], ...] = ()
    timeout_s: float = 30.0
    concurrency: int = 4
    max_series: int = 10_000
    max_samples: int = 20_000_000
    max_bytes: int = 64 * MIB
    max_range_s: float = 400 * 86400.0
    offset_s: float = 0.0
    grafana_url: str = ""
    token: Secret | None = None
    command: Path | None = None
    deploy_tags: tuple[str, ...] = ("deploy", "deployment", "release")


@dataclass(frozen=True)
class ServerConfig:
    """Where the API listens and who may speak to it. `host` is loopback, or `token` and TLS (or a proxy) are there."""

    host: str = "127.0.0.1"
    port: int = 8000
    token: Secret | None = None
    allowed_hosts: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False


@dataclass(frozen=True)
class StoreConfig:
    """Where history is kept (`url` None: SQLite in the state folder), how long and how many rows."""

    url: Secret | None = None
    retention_days: float = 90.0
    max_anomalies: int = 200_000
    max_alerts: int = 50_000


@dataclass(frozen=True)
class HostConfig:
    """Whether this machine is watched, and every how many seconds it is sampled."""

    enabled: bool = True
    period_s: float = 2.0


@dataclass(frozen=True)
class MonitoringConfig:
    """How many false alerts a week are tolerated of everything that is watched."""

    false_alerts_per_week: float = 35.0


@dataclass(frozen=True)
class Config:
    """All settings of a server. `path` is the file they came from, which a reload reads again; `secret_files` are those
    that it names for secrets.
    """

    path: Path | None
    datasources: tuple[DatasourceConfig, ...]
    targets: tuple[Target, ...]
    server: ServerConfig
    store: StoreConfig
    host: HostConfig
    state_dir: Path
    monitoring: MonitoringConfig = MonitoringConfig()
    secret_files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Overrides:
    """What was said on the command line; None or empty leaves it to the environment and the file."""

    host: str | None = None
    port: int | None = None
    prometheus: str | None = None
    loki: str | None = None
    no_host: bool = False
    state_dir: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    allowed_hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: in which file (or flag, or variable), on which line, in which field, and why."""

    file: str
    line: int | None
    field: str
    reason: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (where, self.field, self.reason) if part)


class ConfigError(TocsinError):
    """The settings cannot be used; `problems` holds everything that is wrong with them, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
