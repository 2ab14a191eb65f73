"""From file, environment and flags to one Config, or to everything that is wrong."""

from datetime import timedelta
from pathlib import Path

import pytest

from tocsin.config.load import load
from tocsin.config.model import ConfigError, Overrides, StoreConfig
from tocsin.config.secret import Secret
from tocsin.detect import Direction, Severity
from tocsin.domain.log_signal import LogSignal
from tocsin.domain.target import Owner, QueryType

HOME = {"HOME": "/home/ann"}
PROM = "datasources: [{uid: prom, type: prometheus, url: 'http://prom:9090'}]\n"


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "tocsin.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def problems(path, env=HOME, overrides=Overrides()) -> list[tuple[int | None, str, str]]:
    with pytest.raises(ConfigError) as caught:
        load(path, env, overrides)
    return [(each.line, each.field, each.reason) for each in caught.value.problems]


def test_without_anything_this_machine_is_watched():
    config = load(None, HOME, Overrides())
    assert config.path is None
    assert config.datasources == ()
    assert config.targets == ()
    assert config.host.enabled
    assert (config.server.host, config.server.port, config.server.token) == ("127.0.0.1", 8000, None)
    assert config.store == StoreConfig()
    assert config.state_dir == Path("/home/ann/.local/state/tocsin")


def test_a_whole_file(write, tmp_path):
    (tmp_path / "pw").write_text("hunter2\n")
    (tmp_path / "ca.pem").write_text("x")
    path = write(
        """
datasources:
  - uid: prom
    type: prometheus
    url: https://prom.example/prefix/
    tls: {ca_file: ca.pem, insecure_skip_verify: false}
    basic_auth: {username: ann, password_file: pw}
    headers: {X-Scope-OrgID: "team-a", X-Api-Key: plain, X-Other: "${SECRET}"}
    timeout: 10s
    concurrency: 2
    max_series: 5_000
    offset: 30s
targets:
  - name: errors
    query: rate(errors_total[5m])
    datasource_uid: prom
    check_interval: 5m
    detection_methods: [mad, iqr]
    severity_threshold: high
    enabled: no
    step: 30
    lookback: 6h
    pending_for: 2m
    keep_firing_for: 1h30m
    direction: above
    min_effect: 0.01
    lower_bound: 0
    labels: {team: a, version: 1.10}
    description: Errors.
  - {name: load, query: host_load1_per_core, datasource_uid: host, check_interval: 10, offset: 0}
server: {port: 9000, allowed_hosts: [tocsin.example]}
store: {url_file: pw, retention: {days: 30, anomalies: 1000, alerts: 500}}
host: {period: 5s}
"""
    )
    config = load(path, {**HOME, "SECRET": "shh"}, Overrides())
    (source,) = config.datasources
    assert source.url == "https://prom.example/prefix"
    assert source.password == Secret("hunter2")
    assert source.ca_file == tmp_path / "ca.pem"
    assert source.headers == (("X-Scope-OrgID", "team-a"), ("X-Api-Key", Secret("plain")), ("X-Other", Secret("shh")))
    assert (source.timeout_s, source.concurrency, source.max_series, source.offset_s) == (10.0, 2, 5000, 30.0)
    errors, machine = config.targets
    assert errors.owner is Owner.FILE
    assert not errors.enabled
    assert errors.detection_methods == ("mad", "iqr")
    assert (errors.severity_threshold, errors.direction) == (Severity.HIGH, Direction.ABOVE)
    assert (errors.check_interval, errors.step) == (timedelta(minutes=5), timedelta(seconds=30))
    assert (errors.lookback, errors.offset) == (timedelta(hours=6), timedelta(seconds=30))
    assert (errors.pending_for, errors.keep_firing_for) == (timedelta(minutes=2), timedelta(minutes=90))
    assert dict(errors.labels) == {"team": "a", "version": "1.10"}
    assert (machine.query_type, machine.step) == (QueryType.HOST, timedelta(seconds=10))
    assert (config.server.port, config.server.allowed_hosts) == (9000, ("tocsin.example",))
    assert config.store == StoreConfig(Secret("hunter2"), 30, 1000, 500)
    assert config.host.period_s == 5


def test_everything_that_is_wrong_is_said_at_once_in_order(write):
    path = write(
        """datasources:
  - uid: prom
    type: prometheus
    url: ftp://x
    concurency: 3
  - uid: graphite
    type: graphite
    url: http://graphite
targets:
  - name: a/b
    query: up
    datasource_uid: prom
  - name: x
    query: up
    datasource_uid: pron
    severity_threshold: awful
    labels: [a]
server:
  port: 99999
stor: {}
"""
    )
    found = problems(path)
    assert [(line, field) for line, field, _ in found] == [
        (4, "datasources[0].url"),
        (5, "datasources[0].concurency"),
        (7, "datasources[1].type"),
        (10, "targets[0].name"),
        (15, "targets[1].datasource_uid"),
        (16, "targets[1].severity_threshold"),
        (17, "targets[1].labels"),
        (19, "server.port"),
        (20, "stor"),
    ]
    reasons = {field: reason for _, field, reason in found}
    assert "did you mean concurrency?" in reasons["datasources[0].concurency"]
    assert "must be one of prometheus, loki, grafana_mcp" in reasons["datasources[1].type"]
    assert "did you mean prom?" in reasons["targets[1].datasource_uid"]
    assert "did you mean store?" in reasons["stor"]


def test_the_text_of_the_error_has_file_line_field_and_reason(write):
    path = write("host:\n  periot: 5\n")
    with pytest.raises(ConfigError) as caught:
        load(path, HOME, Overrides())
    assert str(caught.value) == f"{path}:2: host.periot: is unknown; did you mean period?"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: [1\n", 2, "is no valid YAML"),
        ("a: 1\n\tb: 2\n", 2, "is no valid YAML"),
        ("a: \x07\n", 1, "U+0007"),
        ("- 1\n", 1, "must be a mapping"),
        ("host: {period: 1}\nhost: {period: 2}\n", 2, "given twice; first on line 1"),
        ("host: 5\n", 1, "must be a mapping"),
        ("targets: {a: 1}\n", 1, "must be a list"),
        ("? [a]\n: 1\n", 1, "a key must be a word"),
        ("server: {port: !!python/object:os.system 1}\n", 1, "which means nothing here"),
        ("[" * 5000, None, "nested too deeply"),
        ("---\nhost: {}\n---\nhost: {}\n", 3, "is no valid YAML"),
    ],
)
def test_a_broken_file_is_a_problem_with_its_line(write, text, line, said):
    found = problems(write(text))
    assert any(said in reason and where == line for where, _, reason in found), found


def test_bytes_that_are_no_text_and_files_that_are_not_there(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_bytes(b"host:\n  period: \xff\n")
    assert problems(path) == [(2, "", "is not UTF-8")]
    assert problems(tmp_path / "none.yaml") == [(None, "", "cannot be read: No such file or directory")]


def test_an_empty_file_is_no_file(write):
    assert load(write("# nothing\n"), HOME, Overrides()).datasources == ()


def test_an_unset_variable_is_named_where_it_stands(write):
    path = write(PROM + 'targets:\n  - name: a\n    query: up{x="${NOPE}"}\n    datasource_uid: prom\n')
    ((line, field, reason),) = problems(path)
    assert (line, field) == (4, "targets[0].query")
    assert "NOPE is not set" in reason


def test_no_secret_is_ever_repeated(write, tmp_path):
    (tmp_path / "empty").write_text("\n")
    path = write(
        """datasources:
  - {uid: a, type: prometheus, url: "http://ann:hunter2@x", bearer_token_file: empty}
  - {uid: b, type: prometheus, url: "http://x", timeout: "${SECRET}", concurrency: "${SECRET}"}
  - {uid: c, type: prometheus, url: "http://x", bearer_token: hunter2, headers: {Authorization: hunter2}}
  - {uid: d, type: prometheus, url: "http://x?token=hunter2", headers: {X-A: "hunter2\\n"}}
"""
    )
    found = problems(
        path, {**HOME, "SECRET": "hunter2", "TOCSIN_PORT": "hunter2"}, Overrides(prometheus="http://a:hunter2@b")
    )
    assert len(found) == 9
    assert "hunter2" not in str(found)


def test_duplicates_name_the_first(write):
    path = write(
        """datasources:
  - {uid: p, type: prometheus, url: http://a}
  - {uid: p, type: prometheus, url: http://b}
targets:
  - {name: t, query: up, datasource_uid: p}
  - {name: t, query: up, datasource_uid: p}
"""
    )
    assert [(line, reason) for line, _, reason in problems(path)] == [
        (3, "is taken: 'p' is declared on line 2"),
        (6, "is taken: 't' is declared on line 5"),
    ]


def test_anchors_and_merges_carry_common_fields(write):
    path = write(
        PROM
        + """x-common: &common {datasource_uid: prom, check_interval: 5m, step: 60}
targets:
  - {<<: *common, name: a, query: up}
  - {<<: *common, name: b, query: up, check_interval: 10m}
"""
    )
    a, b = load(path, HOME, Overrides()).targets
    assert (a.check_interval, b.check_interval) == (timedelta(minutes=5), timedelta(minutes=10))


def test_a_mapping_that_merges_itself_ends(write):
    assert "is unknown" in str(problems(write("host: &a\n  <<: *a\n  z: 1\n")))


def test_a_merged_key_that_is_wrong_is_found_where_it_stands(write):
    path = write(PROM + "x-c: &c\n  stepp: 5\ntargets:\n  - {<<: *c, name: a, query: up, datasource_uid: prom}\n")
    ((line, _, reason),) = problems(path)
    assert (line, reason) == (3, "is unknown; did you mean step?")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ("check_interval: 0.1", "check_interval"),
        ("step: 5m, check_interval: 60", "step"),
        ("detection_methods: [nope]", "detection_methods"),
        ("query_type: host", "query_type"),
        ("query_type: loki", "query_type"),
        ("min_effect: .nan", "min_effect"),
        ("min_effect: -1", "min_effect"),
        ("lower_bound: 2, upper_bound: 1", "lower_bound"),
        ("alert_above: 90, alert_below: 10", "alert_above"),
        ("enabled: maybe", "enabled"),
        ("lookback: [1]", "lookback"),
        ("pending_for: 30d", "pending_for"),
    ],
)
def test_the_rules_of_a_target_hold_in_the_file_too(write, fields, field):
    path = write(PROM + f"targets:\n  - {{name: a, query: up, datasource_uid: prom, {fields}}}\n")
    ((line, name, _),) = problems(path)
    assert (line, name) == (3, f"targets[0].{field}")


def test_a_loki_and_its_targets(write):
    path = write(
        """datasources:
  - {uid: logs, type: loki, url: "http://loki:3100", headers: {X-Scope-OrgID: acme}, offset: 30s}
targets:
  - {name: a, query: 'sum(rate({app="web"}[5m]))', datasource_uid: logs}
  - {name: b, query: '{app="web"}', datasource_uid: logs, query_type: loki, log_signal: error_ratio}
  - {name: c, query: '{app="web"}', datasource_uid: logs, log_signal: templates}
"""
    )
    config = load(path, HOME, Overrides(loki="http://other:3100"))
    assert [(one.uid, one.kind, one.url) for one in config.datasources] == [
        ("logs", "loki", "http://loki:3100"),
        ("loki", "loki", "http://other:3100"),
    ]
    a, b, c = config.targets
    assert (a.query_type, a.log_signal, a.offset) == (QueryType.LOKI, None, timedelta(seconds=30))
    assert (b.query_type, b.log_signal) == (QueryType.LOKI, LogSignal.ERROR_RATIO)
    assert (c.query_type, c.log_signal) == (QueryType.LOKI, LogSignal.TEMPLATES)
    (named,) = load(write(""), HOME | {"TOCSIN_LOKI_URL": "http://env:3100"}, Overrides()).datasources
    assert (named.uid, named.kind, named.url) == ("loki", "loki", "http://env:3100")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ("query_type: prometheus", "query_type"),
        ("log_signal: loudness", "log_signal"),
        ("log_signal: volume, query: 'vector(1)'", "query"),
        ("query: '{app=\"web\"}'", "query"),
        ("query: 'rate({app=\"web\"[5m])'", "query"),
    ],
)
def test_the_rules_of_a_loki_target(write, fields, field):
    text = "datasources: [{uid: l, type: loki, url: http://l}]\ntargets:\n  - {name: a, datasource_uid: l, %s}\n"
    if "query:" not in fields:
        fields += ", query: '{app=\"web\"}'"
    ((line, name, _),) = problems(write(text % fields))
    assert (line, name) == (3, f"targets[0].{field}")


@pytest.mark.parametrize(
    ("source", "target", "wrong"),
    [
        ("url: 'http://u:pw@l'", "l, query: '{a=\"b\"}'", {"datasources[0].url": "basic_auth"}),
        (
            "url: 'http://u:pw@l'",
            "l, query: 'vector(1)'",
            {"datasources[0].url": "basic_auth", "targets[0].query": "must be a log query"},
        ),
        ("url: http://l", "loky, query: '{a=\"b\"}'", {"targets[0].datasource_uid": "names no datasource"}),
    ],
)
def test_a_signal_is_not_blamed_for_what_is_wrong_with_its_loki(write, source, target, wrong):
    text = f"datasources: [{{uid: l, type: loki, {source}}}]\ntargets:\n"
    text += f"  - {{name: a, log_signal: volume, datasource_uid: {target}}}\n"
    found = {name: reason for _, name, reason in problems(write(text))}
    assert found.keys() == wrong.keys()
    assert all(wrong[name] in reason for name, reason in found.items())


def test_a_signal_needs_a_loki(write):
    path = write(PROM + "targets:\n  - {name: a, query: '{a=\"b\"}', datasource_uid: prom, log_signal: volume}\n")
    ((_, name, reason),) = problems(path)
    assert name == "targets[0].log_signal"
    assert "loki" in reason


def test_targets_of_a_broken_datasource_are_not_blamed_and_host_only_while_it_is_on(write):
    path = write(
        "datasources: [{uid: p, type: prometheus, url: nope}]\ntargets: [{name: a, query: up, datasource_uid: p}]\n"
    )
    assert [field for _, field, _ in problems(path)] == ["datasources[0].url"]
    path = write("targets: [{name: a, query: host_cpu_ratio, datasource_uid: host}]\n")
    assert load(path, HOME, Overrides()).targets[0].datasource_uid == "host"
    ((_, _, reason),) = problems(path, overrides=Overrides(no_host=True))
    assert "switched off" in reason


def test_a_bare_target_has_the_defaults_of_the_api(write):
    path = write(PROM + "targets: [{name: a, query: up, datasource_uid: prom, check_interval: 2h}]\n")
    (target,) = load(path, HOME, Overrides()).targets
    assert target.detection_methods == ("auto",)
    assert target.enabled
    assert (target.step, target.lookback) == (timedelta(seconds=60), timedelta(hours=2))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ("basic_auth: {username: a}", "basic_auth.password"),
        ("basic_auth: {password: a}", "basic_auth.username"),
        ("basic_auth: {username: a, password: b, password_file: c}", "basic_auth.password_file"),
        ("basic_auth: {username: a, password: b}, bearer_token: c", "basic_auth"),
        ("bearer_token_file: missing", "bearer_token_file"),
        ("tls: {cert_file: tocsin.yaml}", "tls.key_file"),
        ("tls: {ca_file: missing}", "tls.ca_file"),
        ("headers: {Host: a}", "headers.Host"),
        ("headers: {'a b': a}", "headers.a b"),
        ("timeout: 0", "timeout"),
        ("concurrency: 0", "concurrency"),
        ("concurrency: 1.5", "concurrency"),
        ("concurrency: --5", "concurrency"),
    ],
)
def test_the_rules_of_a_datasource(write, fields, field):
    path = write(f"datasources:\n  - {{uid: a, type: prometheus, url: 'http://a', {fields}}}\n")
    ((line, name, _),) = problems(path)
    assert (line, name) == (2, f"datasources[0].{field}")


@pytest.mark.parametrize("uid", ["host", "a/b", "''", "' '"])
def test_uids_that_cannot_be(write, uid):
    ((_, field, _),) = problems(write(f"datasources: [{{uid: {uid}, type: prometheus, url: 'http://a'}}]\n"))
    assert field == "datasources[0].uid"
