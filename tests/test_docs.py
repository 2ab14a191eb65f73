"""The documentation is held against the code: nothing undocumented, nothing stale, no example that does not work."""

import ast
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from scripts import reference

from tocsin.config.load import load
from tocsin.config.model import ConfigError, Overrides
from tocsin.detect import AUTO, METHODS
from tocsin.domain.target import Target
from tocsin.monitor.metrics import Metrics
from tocsin.sources.host_metrics import METRICS

ROOT = reference.ROOT
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PAGES = [path for path in PAGES if "words" not in path.parts]
NOT_A_SETTING = {"owner", "version", "created_at", "updated_at"}
"""Fields of a target that nobody sets."""

INNER = {
    "cli.picture:MOST_TICKS": "how dense an axis is",
    "config.server:_MOST_ROWS": "bounds a setting whose own words say so",
    "detect.found:MOST_NOTES": "said by a last note",
    "detect.patterns:MOST_BLOCKS": "the resolution of a test, nothing is cut",
    "detect.season:_MOST_CANDIDATES": "the effort of a test, nothing is cut",
    "sources.host_file:MAX_CELLS": "a damaged file's header, told as damage",
    "sources.host_sampler:MAX_LABEL_CACHE": "a cache",
    "sources.wire:MAX_SERIES": "the default of a function; the setting max_series comes before it",
    "store.history:_MOST_ROWS": "what a database can count to",
    "store.history:_MOST_TRANSITIONS": "a part of the log; the reader asks for the next one",
    "sources.wire:MAX_SAMPLES": "the default of a function; the setting max_samples comes before it",
}
"""Constants named like limits that need no row in the table of limits, and why."""


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def text(page: str) -> str:
    return (REFERENCE / f"{page}.md").read_text()


def blocks(path: Path, *languages: str) -> Iterator[tuple[int, str]]:
    """The fenced blocks in some languages: line and content."""
    whole = path.read_text()
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", whole, re.MULTILINE | re.DOTALL):
        if found[1] in languages:
            yield whole.count("\n", 0, found.start()) + 1, found[2]


def examples(*languages: str) -> list:
    return [pytest.param(code, id=f"{named(path)}:{line}") for path in PAGES for line, code in blocks(path, *languages)]


def none(missing: list, what: str) -> None:
    assert not missing, f"{what}:\n  " + "\n  ".join(map(str, missing))


# Everything of the code is documented.


def test_every_setting_is_documented():
    keys = reference.known_settings()
    assert len(reference.settings_names(keys)) > 40
    parts = dict(_sections(text("configuration")))
    missing = [name for name in reference.settings_names(keys) if not _has(parts, *_split(name))]
    none(missing, "docs/reference/configuration.md lacks")


def _sections(page: str) -> Iterator[tuple[str, str]]:
    for part in page.split("\n## ")[1:]:
        title, _, inner = part.partition("\n")
        yield title.strip("`"), inner


def _split(name: str) -> tuple[str, str]:
    section, _, key = name.rpartition(".")
    return section, key


def _has(parts: dict[str, str], section: str, key: str) -> bool:
    return f"| `{key}` |" in parts.get(section, "")


def test_every_field_of_a_target_is_documented():
    fields = set(Target.__dataclass_fields__) - NOT_A_SETTING
    parts = dict(_sections(text("configuration")))
    none([name for name in fields if not _has(parts, "targets[]", name)], "the target's fields lack")


def test_every_environment_variable_is_documented():
    used = set()
    for path in (ROOT / "src").rglob("*.py"):
        used |= set(re.findall(r"TOCSIN_[A-Z]+(?:_[A-Z]+)*", path.read_text()))
    used = {name for name in used | set(reference.variables()) if name != "TOCSIN_API_TOKEN_"}
    assert "TOCSIN_STATE_DIR" in used
    none(sorted(name for name in used if f"| `{name}` |" not in text("configuration")), "undocumented variables")


def test_no_page_names_a_variable_that_is_not_read():
    known = set(reference.variables())
    said = [(named(path), name) for path in PAGES for name in re.findall(r"TOCSIN_[A-Z_]*[A-Z]", path.read_text())]
    none([each for each in said if each[1] not in known], "nothing reads")


def test_every_command_and_option_is_documented():
    parts = dict(_sections(text("cli")))
    assert {"tocsin serve", "tocsin analyze", "tocsin backtest", "tocsin check-config"} <= set(parts)
    missing = []
    for name, command in reference.commands():
        options = [option for each in command.params for option in each.opts if option.startswith("--")]
        missing += [f"{name} {each}" for each in options if each != "--help" and f"`{each}" not in parts.get(name, "")]
    none(missing, "docs/reference/cli.md lacks")


def test_every_endpoint_is_documented():
    found = reference.operations(reference.openapi())
    assert len(found) >= 20
    none([f"{verb} {path}" for verb, path, _ in found if f"### `{verb} {path}`" not in text("api")], "api.md lacks")


def test_every_endpoint_that_a_page_names_exists():
    known = {(verb, re.sub(r"\{\w+\}", "{}", path)) for verb, path, _ in reference.operations(reference.openapi())}
    known |= {("GET", path) for path in ("/docs", "/openapi.json")}
    wrong = []
    for page in PAGES:
        for verb, path in re.findall(r"\b(GET|POST|PATCH|DELETE|PUT) (/[\w/{}-]+)", page.read_text()):
            general = re.sub(r"\{\w+\}|(?<=targets/)NAME", "{}", path)
            wrong += [f"{named(page)}: {verb} {path}"] if (verb, general) not in known else []
    none(wrong, "there is no")


def test_readme_lists_every_endpoint():
    readme = re.sub(r"\{\w+\}", "{}", (ROOT / "README.md").read_text())
    found = [(verb, re.sub(r"\{\w+\}", "{}", path)) for verb, path, _ in reference.operations(reference.openapi())]
    none([f"{verb} {path}" for verb, path in found if f"`{verb} {path}`" not in readme], "the table in README.md lacks")


def test_every_method_is_documented():
    none([name for name in (*METHODS, AUTO) if f"`{name}`" not in text("methods")], "docs/reference/methods.md lacks")


def test_every_own_metric_is_documented():
    names = [sample.name for family in Metrics().registry.collect() for sample in family.samples]
    plain = {re.sub(r"_(bucket|count|sum)$", "", name) for name in names if not name.endswith("_created")}
    assert "tocsin_evaluations_total" in plain
    none(sorted(name for name in plain if f"| `{name}` |" not in text("metrics")), "docs/reference/metrics.md lacks")


def test_every_own_metric_that_a_page_names_exists():
    names = {sample.name for family in Metrics().registry.collect() for sample in family.samples}
    names |= {family.name for family in Metrics().registry.collect()}
    # A counter with labels has no sample before the first of them is known.
    names |= {f"{family.name}_total" for family in Metrics().registry.collect() if family.type == "counter"}
    said = [(named(page), name) for page in PAGES for name in re.findall(r"\btocsin_[a-z_]+\b", page.read_text())]
    none([each for each in said if each[1] not in names], "there is no metric")


def test_every_host_metric_is_documented():
    none([each.name for each in METRICS if f"| `{each.name}` |" not in text("host-metrics")], "host-metrics.md lacks")


def test_every_limit_is_in_the_table_of_limits():
    missing = []
    for path in (ROOT / "src" / "tocsin").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT / "src" / "tocsin").with_suffix("").parts)
        for node in ast.parse(path.read_text()).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names = [each.id for each in targets if isinstance(each, ast.Name)]
            missing += [f"{module}:{name}" for name in names if re.match(r"_?(MAX|MOST)_", name)]
    assert len(missing) > 20
    none(sorted(each for each in missing if f"`{each}`" not in text("limits") and each not in INNER), "limits.md lacks")
    stale = [each for each in INNER if each not in missing]
    none(stale, "INNER names what is not there any more")


# The pages are fresh, and hold together.


def test_generated_pages_are_fresh():
    none([named(path) for path in reference.stale()], "stale: run `make docs`")


def test_stale_pages_are_found(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    monkeypatch.setattr(reference, "PAGES", {"metrics": reference.own_metrics})
    assert reference.main(["--check"]) == 1
    assert "+# Tocsin's own metrics" in capsys.readouterr().out
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0


def test_words_must_fit_names():
    with pytest.raises(ValueError, match="lacks"):
        reference.words("environment", ["TOCSIN_NEW"])


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path):
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        place, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", place):
            continue
        target = (page.parent / place).resolve() if place else page
        if not target.exists():
            wrong.append(link)
        elif anchor and anchor not in anchors(target):
            wrong.append(f"{link} (no such heading)")
    none(wrong, f"{named(page)} links to nothing at")


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_page_is_linked_from_the_index():
    index = (ROOT / "docs" / "README.md").read_text() + (ROOT / "docs" / "adr" / "README.md").read_text()
    pages = [page for page in PAGES if page.is_relative_to(ROOT / "docs") and page.name != "README.md"]
    none([named(page) for page in pages if page.name not in index], "no index links to")


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_named_files_exist(page: str):
    named_files = set(re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|toml|txt))`", (ROOT / page).read_text()))
    assert len(named_files) > 15
    places = (ROOT, ROOT / "src" / "tocsin", ROOT / "docs" / "adr")
    none(sorted(name for name in named_files if not any((place / name).exists() for place in places)), "no such file")


def test_named_modules_of_the_docs_exist():
    said = {found for page in PAGES for found in re.findall(r"`src/tocsin/([\w/]+)\.py`", page.read_text())}
    assert said
    for name in said:
        importlib.import_module("tocsin." + name.replace("/", "."))


def test_changelog_has_unreleased():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert "keepachangelog.com" in changelog
    assert re.search(r"^## \[Unreleased\]$", changelog, re.MULTILINE)


def test_licence_is_apache():
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


# Examples work.


@pytest.mark.parametrize("code", examples("yaml"))
def test_yaml_is_accepted(code: str, tmp_path: Path):
    read = yaml.safe_load(code)
    assert isinstance(read, dict)
    if not set(read) & {"datasources", "targets", "server", "store", "host"}:
        assert set(read) <= {"scrape_configs", "groups"}, "neither Tocsin's settings nor Prometheus'"
        return
    check_settings(code, tmp_path)


def check_settings(code: str, folder: Path) -> None:
    """Read it as `tocsin check-config` does, with the files and variables that it names at hand."""
    secret = "0123456789abcdef0123456789abcdef"
    for name in re.findall(r"(?:_file|tls_cert|tls_key): (\S+)", code):
        assert not Path(name).is_absolute(), "an example names files beside it"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(secret)
    env = dict.fromkeys(re.findall(r"\$\{(\w+)\}", code), secret) | {"HOME": str(folder)}
    file = folder / "tocsin.yaml"
    file.write_text(code)
    overrides = Overrides() if "uid: prometheus\n" in code else Overrides(prometheus="http://127.0.0.1:9090")
    load(file, env, overrides)


def test_wrong_settings_would_be_noticed(tmp_path: Path):
    with pytest.raises(ConfigError):
        check_settings("targets: [{name: a, query: up, datasource_uid: prometheus, pending: 1m}]", tmp_path)


@pytest.mark.parametrize("code", examples("json"))
def test_json_parses(code: str):
    json.loads(code)


@pytest.mark.parametrize("code", examples("sh", "bash"))
def test_commands_exist(code: str):
    known = dict(reference.commands())
    for line in re.sub(r"\\\n", " ", code).splitlines():
        for found in re.findall(r"(?:^|[|;&] ?|[A-Z_]+=\S+ |watch -n 2 )(?:\.venv/bin/)?tocsin ([^|;&#]*)", line):
            words = shlex.split(found)
            names = [f"tocsin {' '.join(words[:count])}" for count in (2, 1)]
            command = next((known[name] for name in names if name in known), None)
            assert command is not None, f"there is no `tocsin {found}`"
            options = {option for each in command.params for option in each.opts} | {"--help"}
            wrong = [word for word in words if word.startswith("--") and word.partition("=")[0] not in options]
            assert not wrong, f"`{names[1]}` knows no {wrong}"


@pytest.mark.parametrize("code", examples("sh", "bash"))
def test_make_words_exist(code: str):
    words = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    none([word for word in re.findall(r"^make ([a-z]+)", code, re.MULTILINE) if word not in words], "make knows no")


def test_mission_page_has_the_commands():
    commands = [code for _, code in blocks(ROOT / "docs" / "mission.md", "bash")]
    assert len(commands) == 6
    assert sum(code.count("curl ") for code in commands) == 8
