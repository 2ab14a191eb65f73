"""`tocsin check-config` and what `tocsin serve` hands on."""

import json
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tocsin.config.model import Config


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("TOCSIN_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def served(monkeypatch):
    """What the command hands to the application, which is stood in for: its own tests run it."""
    seen: list[Config] = []
    stand_in = ModuleType("tocsin.app")

    def serve(config, reload):
        seen.extend([config, reload()])
        return 0

    stand_in.serve = serve
    monkeypatch.setitem(sys.modules, "tocsin.app", stand_in)
    return seen


def test_a_good_file(run, tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("datasources: [{uid: p, type: prometheus, url: 'http://p'}]\n")
    result = run("check-config", path)
    assert result.exit_code == 0
    assert "ok" in result.output
    assert "p, host" in result.output
    assert json.loads(run("check-config", path, "--json").stdout)["datasources"] == ["p"]


def test_problems_have_file_and_line_and_exit_code_1(run, tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("host:\n  periot: 5\nserver: {port: x}\n")
    result = run("check-config", path)
    assert result.exit_code == 1
    assert f"{path}:2: host.periot: is unknown; did you mean period?" in result.stderr
    assert f"{path}:3: server.port:" in result.stderr
    assert "2 problems" in result.stderr
    result = run("check-config", path, "--json")
    assert result.exit_code == 1
    assert [each["line"] for each in json.loads(result.stdout)["problems"]] == [2, 3]


def test_a_missing_file_is_an_input_error_and_the_environment_names_the_default(run, tmp_path, monkeypatch):
    assert run("check-config", tmp_path / "none.yaml").exit_code == 2
    monkeypatch.chdir(tmp_path)
    assert run("check-config").exit_code == 2
    (tmp_path / "tocsin.yaml").write_text("host: {}\n")
    assert run("check-config").exit_code == 0
    monkeypatch.setenv("TOCSIN_CONFIG", str(tmp_path / "other.yaml"))
    assert run("check-config").exit_code == 2


def test_serve_hands_on_what_was_said(run, served, tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("server: {port: 1}\n")
    result = run(
        "serve", "--config", path, "--port", "9000", "--prometheus", "http://p:9090", "--no-host",
        "--state-dir", tmp_path / "state", "--allowed-host", "a", "--allowed-host", "b",
    )  # fmt: skip
    assert result.exit_code == 0
    config, again = served
    assert config == again
    assert (config.path, config.server.port, config.server.allowed_hosts) == (path, 9000, ("a", "b"))
    assert [each.url for each in config.datasources] == ["http://p:9090"]
    assert not config.host.enabled
    assert config.state_dir == tmp_path / "state"


def test_serve_refuses_to_be_reached_unprotected(run, served):
    result = run("serve", "--host", "0.0.0.0")
    assert result.exit_code == 2
    assert "TOCSIN_API_TOKEN" in result.stderr
    assert "--behind-proxy" in result.stderr
    assert served == []


def test_serve_without_anything(run, served):
    assert run("serve").exit_code == 0
    assert (served[0].server.host, served[0].server.port, served[0].path) == ("127.0.0.1", 8000, None)
    assert isinstance(served[0].state_dir, Path)
