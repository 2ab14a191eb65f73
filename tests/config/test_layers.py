"""Flags beat the environment, which beats the file; and what is refused as unsafe."""

from pathlib import Path

import pytest

from tocsin.config.load import load
from tocsin.config.model import ConfigError, Overrides
from tocsin.config.safety import is_loopback
from tocsin.config.secret import Secret

HOME = {"HOME": "/home/ann"}
TOKEN = "0123456789abcdef"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tocsin.yaml"
    path.write_text(
        """datasources:
  - {uid: first, type: prometheus, url: "http://first"}
  - {uid: prometheus, type: prometheus, url: "http://file", bearer_token: secret-of-the-file}
server: {host: localhost, port: 1}
store: {url: "sqlite:////file"}
"""
    )
    return path


def test_flags_beat_environment_beats_file(file):
    assert load(file, HOME, Overrides()).server.port == 1
    env = {**HOME, "TOCSIN_PORT": "2", "TOCSIN_HOST": "::1", "TOCSIN_DATABASE_URL": "sqlite:////env"}
    config = load(file, env, Overrides())
    assert (config.server.port, config.server.host) == (2, "::1")
    assert config.store.url == Secret("sqlite:////env")
    assert load(file, env, Overrides(port=3, host="127.0.0.2")).server.port == 3


def test_a_replaced_datasource_takes_no_credentials_along_and_keeps_its_place(file):
    for env, flag, url in [
        ({"TOCSIN_PROMETHEUS_URL": "http://env"}, None, "http://env"),
        ({"TOCSIN_PROMETHEUS_URL": "http://env"}, "http://flag/", "http://flag"),
        (
            {"TOCSIN_DATASOURCES": '[{"uid": "prometheus", "type": "prometheus", "url": "http://json"}]'},
            None,
            "http://json",
        ),
    ]:
        first, second = load(file, {**HOME, **env}, Overrides(prometheus=flag)).datasources
        assert (first.uid, second.uid, second.url) == ("first", "prometheus", url)
        assert second.bearer_token is None


def test_the_environment_names_the_file_and_the_folder(file):
    config = load(None, {**HOME, "TOCSIN_CONFIG": str(file), "TOCSIN_STATE_DIR": "/state"}, Overrides())
    assert config.path == file
    assert config.state_dir == Path("/state")
    assert load(None, {**HOME, "TOCSIN_STATE_DIR": "/s"}, Overrides(state_dir=Path("/flag"))).state_dir == Path("/flag")
    assert load(None, {**HOME, "XDG_STATE_HOME": "/xdg"}, Overrides()).state_dir == Path("/xdg/tocsin")
    assert load(None, {**HOME, "XDG_STATE_HOME": "relative"}, Overrides()).state_dir.is_relative_to("/home/ann")


def test_empty_variables_are_unset():
    env = dict.fromkeys(
        (
            "TOCSIN_PORT",
            "TOCSIN_HOST",
            "TOCSIN_API_TOKEN",
            "TOCSIN_CONFIG",
            "TOCSIN_PROMETHEUS_URL",
            "TOCSIN_STATE_DIR",
        ),
        "",
    )
    config = load(None, {**HOME, **env}, Overrides())
    assert (config.server.port, config.server.token, config.datasources) == (8000, None, ())


@pytest.mark.parametrize(
    ("env", "field"),
    [
        ({"TOCSIN_PORT": "x"}, "TOCSIN_PORT"),
        ({"TOCSIN_PORT": "70000"}, "TOCSIN_PORT"),
        ({"TOCSIN_PROMETHEUS_URL": "prom:9090"}, "TOCSIN_PROMETHEUS_URL"),
        ({"TOCSIN_API_TOKEN_FILE": "/nowhere"}, "TOCSIN_API_TOKEN_FILE"),
        ({"TOCSIN_DATASOURCES": "[{uid: a, type: prometheus}]"}, "[0].url"),
        ({"TOCSIN_DATASOURCES": "{"}, ""),
    ],
)
def test_a_wrong_variable_is_named(env, field):
    with pytest.raises(ConfigError) as caught:
        load(None, {**HOME, **env}, Overrides())
    (problem,) = caught.value.problems
    assert problem.field == field
    assert problem.file.startswith("environment")


def test_the_token_comes_from_the_environment_or_a_file(tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "t.yaml").write_text("server: {token_file: token}\n")
    assert load(tmp_path / "t.yaml", HOME, Overrides()).server.token == Secret(TOKEN)
    env = {**HOME, "TOCSIN_API_TOKEN_FILE": str(tmp_path / "token")}
    assert load(None, env, Overrides()).server.token == Secret(TOKEN)
    env["TOCSIN_API_TOKEN"] = "another-0123456789"
    assert load(tmp_path / "t.yaml", env, Overrides()).server.token == Secret("another-0123456789")


@pytest.mark.parametrize("token", ["with space 0123456789", "umlaut-ü-0123456789"])
def test_a_token_that_no_header_can_carry_is_refused(token):
    with pytest.raises(ConfigError, match="secrets.token_urlsafe") as caught:
        load(None, {**HOME, "TOCSIN_API_TOKEN": token}, Overrides())
    assert token not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "LOCALHOST"])
def test_loopback(host):
    assert is_loopback(host)
    assert load(None, HOME, Overrides(host=host)).server.host == host


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "::",
        "",
        "10.0.0.1",
        "example.org",
        "127.0.0.1.example.org",
        "localhost.example.org",
        "::ffff:10.0.0.1",
    ],
)
def test_another_address_needs_a_token_and_tls_or_a_proxy(host, tmp_path):
    cert = tmp_path / "cert.pem"
    cert.write_text("x")
    token = {**HOME, "TOCSIN_API_TOKEN": TOKEN}
    with pytest.raises(ConfigError) as caught:
        load(None, HOME, Overrides(host=host))
    assert "TOCSIN_API_TOKEN" in str(caught.value)
    assert "--tls-cert" in str(caught.value)
    assert "--behind-proxy" in str(caught.value)
    with pytest.raises(ConfigError):
        load(None, token, Overrides(host=host))
    with pytest.raises(ConfigError):
        load(None, HOME, Overrides(host=host, behind_proxy=True))
    with pytest.raises(ConfigError, match="--tls-key"):
        load(None, token, Overrides(host=host, tls_cert=cert))
    load(None, token, Overrides(host=host, behind_proxy=True))
    load(None, token, Overrides(host=host, tls_cert=cert, tls_key=cert))


def test_an_unsafe_host_in_the_file_is_named_with_its_line(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("server:\n  host: 0.0.0.0\n  behind_proxy: true\n")
    with pytest.raises(ConfigError) as caught:
        load(path, HOME, Overrides())
    (problem,) = caught.value.problems
    assert (problem.line, problem.field) == (2, "server.host")
