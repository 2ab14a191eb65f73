# ruff: noqa: INP001  (a folder of programs, not a package)
"""Writes the pages of docs/reference that can be read off the code: `python -m scripts.reference`.

With `--check` nothing is written: a stale page is shown as a diff, and the exit code is 1. What the code cannot say
(what a setting means, what happens at a limit) stands here, beside names that are looked up in the code: a name without
words, or words without a name, ends the run.
"""

import asyncio
import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import timedelta
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer.main
from scripts.more_methods import more_methods

from tocsin.api.factory import create_app
from tocsin.api.services import Services
from tocsin.cli.application import app as cli
from tocsin.config.defaults import host_targets, prometheus_targets
from tocsin.config.duration import format_duration
from tocsin.config.environment import Environment
from tocsin.config.load import load
from tocsin.config.model import (
    ConfigError,
    DatasourceConfig,
    HostConfig,
    MonitoringConfig,
    Overrides,
    ServerConfig,
    StoreConfig,
)
from tocsin.detect import METHODS, MIN_LEARN, Severity
from tocsin.detect.retrospective import FEWEST
from tocsin.domain.target import Target
from tocsin.monitor.metrics import Metrics
from tocsin.sources.host_metrics import METRICS

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
WORDS = FOLDER / "words"
NOTICE = "<!-- Written by `make docs` from the code. Edit scripts/reference.py or the code, not this page. -->"

Json = Any


def words(kind: str, names: Iterable[str]) -> dict[str, str]:
    """What docs/reference/words/KIND.txt says of each name: `name: words` a line. Raises ValueError."""
    lines = (WORDS / f"{kind}.txt").read_text().splitlines()
    pairs = (line.split(": ", 1) for line in lines if line and not line.startswith("#"))
    said = dict(pairs)
    wanted = list(names)
    missing, needless = [name for name in wanted if name not in said], sorted(set(said) - set(wanted))
    if missing or needless:
        raise ValueError(f"docs/reference/words/{kind}.txt lacks {missing or 'nothing'}; needless {needless or 'none'}")
    return said


def table(head: str, rows: Iterable[Iterable[str]]) -> list[str]:
    """A table; `head` holds the names of its columns with `|` between."""
    columns = [name.strip() for name in head.split("|")]
    cells = [[each.replace("|", "\\|").replace("\n", " ") for each in row] for row in rows]
    return ["| " + " | ".join(row) + " |" for row in [columns, ["---"] * len(columns), *cells]] + [""]


def code(text: object) -> str:
    """As code, where there is something."""
    return f"`{text}`" if str(text) else ""


def shown(value: object) -> str:
    """A default as a person writes it; nothing for nothing."""
    if isinstance(value, timedelta):
        days = value / timedelta(days=1)
        return code(f"{days:g}d" if days >= 1 and days.is_integer() else format_duration(value))
    if isinstance(value, bool | Enum):
        return code(str(value).lower())
    if isinstance(value, tuple) and value:
        return code(f"[{', '.join(map(str, value))}]")
    if isinstance(value, int | float):
        return code(f"{value:g}" if value < 1e4 else f"{value:,.0f}")
    return code(value or "")


def page(title: str, lines: Iterable[str]) -> str:
    """A whole page, one line break at its end."""
    text = "\n".join([f"# {title}", "", NOTICE, "", *lines])
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


SECTIONS = ("", "datasources[]", "datasources[].tls", "datasources[].basic_auth", "targets[]", "server", "store")
SECTIONS += ("store.retention", "host", "monitoring")


def known_settings() -> dict[str, list[str]]:
    """The keys that the loader knows, by section: its complaint about one that it does not know names them."""
    found: dict[str, list[str]] = {}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "tocsin.yaml"
        for section, inside in [(section, "") for section in SECTIONS] + [("datasources[]", ", type: grafana_mcp")]:
            text = f"{{q0q0q0q0: 1{inside}}}"
            for part in reversed(section.split(".") if section else []):
                text = f"{{{part[:-2]}: [{text}]}}" if part.endswith("[]") else f"{{{part}: {text}}}"
            file.write_text(text)
            try:
                load(file, {"HOME": folder}, Overrides())
            except ConfigError as error:
                said = next(each.reason for each in error.problems if each.field.endswith("q0q0q0q0"))
                known = said.partition("known: ")[2].split(", ")
                found[section] = list(dict.fromkeys([*found.get(section, []), *known]))
    return found


def settings_names(keys: Mapping[str, list[str]]) -> list[str]:
    """The whole paths of all settings that hold a value; sections are left out."""
    paths = [f"{section}.{key}".lstrip(".") for section, inner in keys.items() for key in inner]
    return [path for path in paths if path not in keys and f"{path}[]" not in keys]


RENAMED = {"days": "retention_days", "anomalies": "max_anomalies", "alerts": "max_alerts"}
IN_SECONDS = ("timeout", "offset", "period")
FOLLOWING = {
    "targets[].query_type": "that of the datasource",
    "targets[].offset": "that of the datasource",
    "targets[].step": "`1m`, or `check_interval` when that is shorter",
    "targets[].lookback": "`1h`, or 60 steps or `check_interval` when those are longer",
}
"""Defaults that follow another setting."""


def default_of(path: str) -> str:
    """The default of a setting, read off the value that holds it."""
    if path in FOLLOWING:
        return FOLLOWING[path]
    section, _, key = path.rpartition(".")
    owners = {"targets[]": Target("", "", ""), "server": ServerConfig(), "store.retention": StoreConfig()}
    owners |= {"host": HostConfig(), "monitoring": MonitoringConfig(), "datasources[].tls": DatasourceConfig("", "")}
    owner = DatasourceConfig("", "") if section == "datasources[]" else owners.get(section)
    if key in IN_SECONDS and not isinstance(owner, Target):
        return shown(timedelta(seconds=getattr(owner, f"{key}_s")))
    return shown(getattr(owner, RENAMED.get(key, key), None))


def configuration() -> str:
    """Settings, environment variables, and what beats what."""
    keys = known_settings()
    said = words("settings", settings_names(keys))
    lines = [(WORDS / "configuration.md").read_text(), "## Environment variables", ""]
    lines += table(
        "variable | meaning", ([code(name), text] for name, text in words("environment", variables()).items())
    )
    for section in keys:
        mine = [name for name in settings_names(keys) if name.rpartition(".")[0] == section]
        if not mine:
            continue
        lines += [f"## `{section}`", ""]
        rows = ([code(name.rpartition(".")[2]), default_of(name), said[name]] for name in mine)
        lines += table("setting | default | meaning", rows)
    return page("Configuration", lines)


def variables() -> list[str]:
    """Every environment variable that Tocsin reads under a name of its own."""
    names = [f"TOCSIN_{name.upper()}" for name in Environment.model_fields]
    names += [each.envvar for _, command in commands() for each in command.params if isinstance(each.envvar, str)]
    return list(dict.fromkeys(names))


def default_targets() -> str:
    """The targets of a new state folder."""
    lines = ["Made once, in a new state folder; afterwards they are like any other target: change or delete them.", ""]
    names = ("check_interval", "step", "lookback", "pending_for", "keep_firing_for", "severity_threshold")
    names += ("alert_above", "min_effect", "min_effect_ratio")
    titles = ("For this machine (enabled)", "For the first Prometheus datasource (disabled)")
    for title, targets in zip(titles, (host_targets(), prometheus_targets("prometheus")), strict=True):
        lines += [f"## {title}", ""]
        for each in targets:
            facts = [f"{name} {shown(getattr(each, name))}" for name in names if getattr(each, name)]
            lines += [f"### `{each.name}`", "", each.description, "", "```promql", each.query, "```", ""]
            lines += [f"{', '.join(facts)}.", ""]
    return page("Default targets", lines)


def commands() -> list[tuple[str, Any]]:
    """Every command with its whole name, groups left out."""

    def walk(name: str, command: Any) -> Iterable[tuple[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
            return
        for key, each in inner.items():
            yield from walk(f"{name} {key}", each)

    return list(walk("tocsin", typer.main.get_command(cli)))


def command_line() -> str:
    """All commands with their arguments and options."""
    lines = [(WORDS / "cli.md").read_text()]
    for name, command in commands():
        lines += [f"## `{name}`", "", inspect.cleandoc(command.help or ""), ""]
        rows = []
        for each in command.params:
            option = each.param_type_name == "option"
            if option and "--help" in each.opts:
                continue
            title = ", ".join(each.opts) if option else (each.metavar or each.name or "").upper()
            default = None if callable(each.default) or each.default is False else each.default
            said = getattr(each, "help", "") or ""
            rows.append([code(title), "required" if each.required else shown(default), said])
        lines += table("argument or option | default | meaning", rows) if rows else []
    return page("Command line", lines)


def openapi() -> Json:
    """The OpenAPI document, from an application over nothing."""
    nothing: dict[str, Any] = dict.fromkeys(("monitor", "history", "log", "clock", "ready"))
    services = Services(**nothing, metrics=bytes, stopping=asyncio.Event(), version="0")
    return create_app(services).openapi()


def operations(document: Json) -> list[tuple[str, str, Json]]:
    """Every method and path."""
    return [(verb.upper(), path, each) for path, verbs in document["paths"].items() for verb, each in verbs.items()]


def kind(schema: Json) -> str:
    """A schema in a few words; named ones as links to their section."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{re.sub(r'[^a-z0-9_-]', '', name.lower())})"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(kind(each) for each in schema[key]))
    if "enum" in schema or "const" in schema:
        return " or ".join(code(each) for each in schema.get("enum") or [schema["const"]])
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}))}"
    inner = schema.get("additionalProperties")
    if schema.get("type") == "object" and isinstance(inner, dict):
        return f"mapping of {kind(inner)}"
    return " ".join(str(part) for part in (schema.get("type", "anything"), schema.get("format", "")) if part)


def bounds(schema: Json) -> str:
    """Default and limits of a field."""
    parts = [] if schema.get("default") in (None, "") else [f"default `{schema['default']}`"]
    names = {"minimum": "at least {:,}", "exclusiveMinimum": "more than {:,}", "maximum": "at most {:,}"}
    names |= {"maxLength": "at most {:,} characters", "maxItems": "at most {:,} items"}
    for each in (schema, *schema.get("anyOf", ())):
        parts += [text.format(each[name]) for name, text in names.items() if name in each]
    return ", ".join(parts)


def http_api() -> str:
    """All endpoints, and the shapes that they take and give."""
    document = openapi()
    every = [set(each["responses"]) for _, _, each in operations(document)]
    common = {status for status in set.intersection(*every) if status >= "4"}
    lines = [(WORDS / "api.md").read_text().rstrip(), f"- Problems of every request: {', '.join(sorted(common))}.", ""]
    lines += ["## Endpoints", ""]
    for verb, path, each in operations(document):
        lines += [f"### `{verb} {path}`", "", inspect.cleandoc(each.get("description") or each["summary"]), ""]
        rows = []
        for one in each.get("parameters", ()):
            schema = one["schema"]
            rows.append([code(one["name"]), one["in"], kind(schema), bounds(schema), one.get("description", "")])
        lines += table("parameter | in | type | bounds | meaning", rows) if rows else []
        body = each.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        lines += [f"Body: {kind(body)}.", ""] if body else []
        mine = [f"{code(status)} {content(one)}".strip() for status, one in each["responses"].items() if status < "4"]
        own = [code(status) for status in each["responses"] if status >= "4" and status not in common]
        lines += [f"Answers {', '.join(mine)}." + (f" Problems of its own: {', '.join(own)}." if own else ""), ""]
    lines += ["## Shapes", ""]
    for name, schema in sorted(document.get("components", {}).get("schemas", {}).items()):
        lines += [f"### {name}", "", " ".join(schema.get("description", "").split()), ""]
        needed = schema.get("required", ())
        rows = []
        for field, each in schema.get("properties", {}).items():
            said = kind(each) + ("" if field in needed else ", optional")
            rows.append([code(field), said, bounds(each), each.get("description", "")])
        lines += table("field | type | bounds | meaning", rows) if rows else [f"{kind(schema)}.", ""]
    return page("HTTP API", lines)


def content(answer: Json) -> str:
    """The media type and shape of an answer."""
    return ", ".join(
        f"{kind(each['schema'])} ({name})" if each.get("schema") else name
        for name, each in answer.get("content", {}).items()
    )


def methods() -> str:
    """The detection methods and the scale that they share."""
    lines = [(WORDS / "methods.md").read_text()]
    lines += table("severity | from, sigma", ([each.value, f"{each.sigma:g}"] for each in Severity))
    lines += [f"In monitoring a series needs {MIN_LEARN} samples to learn from before the first opinion.", ""]
    for name in METHODS:
        module = importlib.import_module(f"tocsin.detect.{name}")
        lines += [f"## `{name}`", "", inspect.getdoc(module) or "", "", inspect.getdoc(module.predict) or "", ""]
        lines += [f"Retrospectively it needs {FEWEST[name]} other samples beside each one.", ""]
    lines += more_methods()
    return page("Detection methods", lines)


def own_metrics() -> str:
    """What `GET /metrics` says."""
    metrics = Metrics()
    labels = {getattr(each, "_name", ""): getattr(each, "_labelnames", ()) for each in vars(metrics).values()}
    rows = []
    for family in metrics.registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        rows.append([code(name), family.type, ", ".join(map(code, labels[family.name])), family.documentation])
    lines = [(WORDS / "metrics.md").read_text(), *table("metric | type | labels | meaning", rows)]
    return page("Tocsin's own metrics", lines)


def host_metrics() -> str:
    """What the host datasource can be asked."""
    rows = ([code(each.name), each.unit, ", ".join(map(code, each.labels)), each.help] for each in METRICS)
    lines = [(WORDS / "host-metrics.md").read_text(), *table("metric | unit | labels | meaning", rows)]
    return page("Host metrics", lines)


def limit(reference: str) -> str:
    """The value of `module:NAME` or `module:Class.field` as it is in the code."""
    place, _, name = reference.partition(":")
    holder, _, field = name.partition(".")
    value: Any = getattr(importlib.import_module(f"tocsin.{place}"), holder)
    if field:
        value = next(each.default for each in fields(value) if each.name == field)
    if name.lower().endswith("bytes"):
        return f"{value / 2**20:g} MiB" if value >= 2**20 else f"{value / 1024:g} KiB"
    return shown(value).strip("`")


def limits() -> str:
    """Every limit, its value, and what happens there."""
    lines = [(WORDS / "limits.md").read_text()]
    text = (WORDS / "limits.txt").read_text()
    for part in text.strip().split("\n\n"):
        title, *rest = part.splitlines()
        rows = []
        for line in rest:
            reference, what, then = line.split(" | ")
            rows.append([what, limit(reference), then, code(reference)])
        lines += [f"## {title}", "", *table("limit | value | what happens there | in the code, under `tocsin.`", rows)]
    return page("Limits", lines)


PAGES = {
    "api": http_api,
    "cli": command_line,
    "configuration": configuration,
    "default-targets": default_targets,
    "host-metrics": host_metrics,
    "limits": limits,
    "methods": methods,
    "metrics": own_metrics,
}


def stale() -> dict[Path, tuple[str, str]]:
    """The pages that are not as the code has them: their file, its text, and what it should be."""
    found = {}
    for name, make in PAGES.items():
        file = FOLDER / f"{name}.md"
        before, after = file.read_text() if file.exists() else "", make()
        if before != after:
            found[file] = (before, after)
    return found


def main(arguments: list[str]) -> int:
    """The command; the exit code."""
    different = stale()
    if arguments == ["--check"]:
        for file, (before, after) in different.items():
            lines = difflib.unified_diff(before.split("\n"), after.split("\n"), file.name, "anew", n=1, lineterm="")
            sys.stdout.write("\n".join(lines) + "\n")
        return 1 if different else 0
    for file, (_, after) in different.items():
        file.write_text(after)
        sys.stdout.write(f"{file.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
