"""A Grafana in the settings: what it may say, and targets of datasources that are not known yet."""

from datetime import timedelta
from pathlib import Path

import pytest

from tocsin.config.load import load
from tocsin.config.model import Config, ConfigError, Overrides
from tocsin.domain.target import QueryType

HOME = {"HOME": "/home/ann"}


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "tocsin.yaml"
        path.write_text(text)
        return path

    return write


def read(path: Path) -> Config:
    return load(path, HOME, Overrides())


def problems(path: Path) -> list[tuple[int | None, str, str]]:
    with pytest.raises(ConfigError) as caught:
        read(path)
    return [(each.line, each.field, each.reason) for each in caught.value.problems]


def test_both_forms(write, tmp_path) -> None:
    (tmp_path / "token").write_text("glsa_secret\n")
    config = read(
        write(
            "datasources:\n"
            "  - {uid: g, type: grafana_mcp, grafana_url: 'https://grafana.example/', token_file: token, timeout: 5s}\n"
            "  - {uid: h, type: grafana_mcp, url: 'http://mcp.example/sse', token: abc, deploy_tags: [ship]}\n"
        )
    )
    spawned, running = config.datasources
    assert (spawned.kind, spawned.grafana_url, spawned.url) == ("grafana_mcp", "https://grafana.example", "")
    assert (spawned.token.reveal(), spawned.timeout_s) == ("glsa_secret", 5.0)
    assert "glsa_secret" not in repr(config)
    assert (running.url, running.deploy_tags) == ("http://mcp.example/sse", ("ship",))


@pytest.mark.parametrize(("held", "why"), [("a\nb\n", "more than one line"), ("a\x07", "no header may have")])
def test_a_secret_that_no_header_can_carry_is_refused_where_it_stands(write, tmp_path, held, why) -> None:
    (tmp_path / "token").write_text(held)
    for kind, key in (("grafana_mcp, grafana_url: 'http://g', token_file", "token_file"),
                      ("prometheus, url: 'http://g', bearer_token_file", "bearer_token_file")):  # fmt: skip
        [(number, name, reason)] = problems(write(f"datasources:\n  - {{uid: g, type: {kind}: token}}\n"))
        assert (number, name) == (2, f"datasources[0].{key}")
        assert why in reason
    (tmp_path / "folder").mkdir()
    [found] = problems(
        write("datasources:\n  - {uid: g, type: grafana_mcp, grafana_url: 'http://g', token_file: folder}\n")
    )
    assert found[2] == "names a folder"


@pytest.mark.parametrize(
    ("line", "field", "why"),
    [
        ("{uid: g, type: grafana_mcp}", "grafana_url", "missing"),
        ("{uid: g, type: grafana_mcp, grafana_url: 'http://g', url: 'http://m/mcp'}", "url", "beside"),
        ("{uid: g, type: grafana_mcp, url: 'http://m/mcp', command: /bin/sh}", "command", "grafana_url"),
        ("{uid: g, type: grafana_mcp, grafana_url: 'http://g', deploy_tags: nope}", "deploy_tags", "must be a list"),
        (
            "{uid: g, type: grafana_mcp, grafana_url: 'http://u:pw@g'}",
            "grafana_url",
            "user name or password; use token_file",
        ),
        ("{uid: g, type: grafana_mcp, url: 'http://u:pw@g/mcp'}", "url", "user name or password; use token_file"),
        ("{uid: g, type: prometheus, url: 'http://u:pw@g'}", "url", "use basic_auth with password_file"),
        ("{uid: g, type: grafana_mcp, grafana_url: 'http://g', basic_auth: {username: a}}", "basic_auth", "known"),
        ("{uid: g, type: prometheus, url: 'http://g', grafana_url: 'http://g'}", "grafana_url", "known"),
    ],
)
def test_what_is_refused(write, line, field, why) -> None:
    [(number, name, reason)] = problems(write(f"datasources:\n  - {line}\n"))
    assert (number, name) == (2, f"datasources[0].{field}")
    assert why in reason
    assert "pw" not in reason


TARGET = "targets:\n  - {name: t, query: up, datasource_uid: anything%s}\n"
GRAFANA = "datasources:\n  - {uid: g, type: grafana_mcp, grafana_url: 'http://g'}\n"


def test_a_target_of_a_datasource_that_is_found_later(write) -> None:
    [target] = read(write(GRAFANA + TARGET % "")).targets
    assert (target.datasource_uid, target.query_type) == ("anything", QueryType.PROMETHEUS)
    assert target.offset == timedelta(0)
    [target] = read(write(GRAFANA + TARGET.replace("query: up", "query: vector(1)") % ", query_type: loki")).targets
    assert target.query_type is QueryType.LOKI
    [(_, name, reason)] = problems(write(TARGET % ""))
    assert (name, "names no datasource" in reason) == ("targets[0].datasource_uid", True)
    [(_, name, reason)] = problems(write(GRAFANA + TARGET.replace("anything", "g") % ""))
    assert (name, "names a Grafana" in reason) == ("targets[0].datasource_uid", True)
