"""From the file, the environment and the flags to one `Config`, or to the list of all that is wrong with them."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from tocsin.config.datasources import check_url, read_datasources
from tocsin.config.document import Document, Entry, parse, read
from tocsin.config.environment import FILE, Environment, read_environment
from tocsin.config.model import (
    GRAFANA,
    HOST,
    LOKI,
    PROMETHEUS,
    Config,
    ConfigError,
    DatasourceConfig,
    Overrides,
    Problem,
)
from tocsin.config.safety import Complain
from tocsin.config.section import Section
from tocsin.config.server import FLAGS, read_host, read_monitoring, read_server, read_store
from tocsin.config.targets import Known, read_targets
from tocsin.domain.target import QueryType

EXTENSION = "x-"
"""A top-level key that begins like this is not looked at: a place for YAML anchors."""


def load(path: Path | None, env: Mapping[str, str], overrides: Overrides) -> Config:
    """All settings: flags beat the environment, which beats the file. Raises `ConfigError` with every problem.

    `path` None means the file that TOCSIN_CONFIG names, or none. `env` is normally `os.environ`. Whole datasources
    are replaced by their uid, never mixed: credentials meant for one URL must not go to another.
    """
    environment, wrong = read_environment(env)
    path = path or environment.config
    document = Document(str(path or ""), path.parent if path else Path(), env)
    variable = Document(f"{FILE} TOCSIN_DATASOURCES", Path(), env)
    extra: list[Problem] = list(wrong)
    root = _root(None if path is None else read(path, document))
    host = read_host(_inner(root, "host"), overrides)
    listed, named = _listed(root), _named(environment, variable)
    datasources = _merged(
        read_datasources(listed), read_datasources(named), _single(environment, overrides, extra.append)
    )
    # A datasource with an error is still known: its targets are not to blame.
    known = dict.fromkeys(_uids([*listed, *named]), Known())
    known.update({each.uid: Known(_language(each), timedelta(seconds=each.offset_s)) for each in datasources})
    if host.enabled:
        known[HOST] = Known(QueryType.HOST)
    grafanas = frozenset(each.uid for each in datasources if each.kind == GRAFANA)
    targets = read_targets([] if root is None else root.sections("targets"), known, grafanas)
    server = read_server(_inner(root, "server"), environment, overrides, extra.append)
    store = read_store(_inner(root, "store"), environment)
    monitoring = read_monitoring(_inner(root, "monitoring"))
    if root is not None:
        root.finish(ignore=EXTENSION)
    problems = [*sorted([*document.problems, *_from(document, extra)], key=_line), *variable.problems]
    problems += [problem for problem in extra if problem.file != document.file]
    if problems:
        raise ConfigError(problems)
    state_dir = overrides.state_dir or environment.state_dir or default_state_dir(env)
    files = tuple(document.secret_files)
    return Config(path, datasources, targets, server, store, host, state_dir.expanduser(), monitoring, files)


def default_state_dir(env: Mapping[str, str]) -> Path:
    """$XDG_STATE_HOME/tocsin, else ~/.local/state/tocsin."""
    base = Path(env.get("XDG_STATE_HOME", ""))
    # The XDG specification has a relative path ignored.
    if base.is_absolute():
        return base / "tocsin"
    home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    return home / ".local" / "state" / "tocsin"


def _language(datasource: DatasourceConfig) -> QueryType | None:
    """That of its queries; None of a Grafana, whose datasources have each their own."""
    return None if datasource.kind == GRAFANA else QueryType(datasource.kind)


def _root(entry: Entry | None) -> Section | None:
    return None if entry is None else Section.of(entry)


def _inner(root: Section | None, key: str) -> Section | None:
    return None if root is None else root.section(key)


def _listed(root: Section | None) -> list[Section]:
    return [] if root is None else root.sections("datasources")


def _named(environment: Environment, document: Document) -> list[Section]:
    """The datasources of TOCSIN_DATASOURCES, a YAML or JSON list."""
    root = None if environment.datasources is None else parse(environment.datasources, document)
    entries = [] if root is None else root.entries() or []
    return [section for section in map(Section.of, entries) if section is not None]


def _uids(sections: Iterable[Section]) -> list[str]:
    entries = (section.get("uid") for section in sections)
    return [entry.written for entry in entries if entry is not None]


def _single(environment: Environment, overrides: Overrides, complain: Complain) -> tuple[DatasourceConfig, ...]:
    """The datasources `prometheus` and `loki`, where an option or a variable gives the URL of one."""
    found = []
    for kind, option, variable in (
        (PROMETHEUS, overrides.prometheus, environment.prometheus_url),
        (LOKI, overrides.loki, environment.loki_url),
    ):
        url, file, field = option, FLAGS, f"--{kind}"
        if url is None:
            url, file, field = variable, FILE, f"TOCSIN_{kind.upper()}_URL"
        if url is None:
            continue
        try:
            found.append(DatasourceConfig(uid=kind, url=check_url(url), kind=kind))
        except ValueError as error:
            complain(Problem(file, None, field, str(error)))
    return tuple(found)


def _merged(*layers: tuple[DatasourceConfig, ...]) -> tuple[DatasourceConfig, ...]:
    """All of them in the order of first mention, a later layer in the place of the same uid in an earlier one."""
    merged: dict[str, DatasourceConfig] = {}
    for layer in layers:
        merged.update({each.uid: each for each in layer})
    return tuple(merged.values())


def _from(document: Document, problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.file == document.file]


def _line(problem: Problem) -> int:
    return problem.line or 0
