"""What a reader sees in a terminal of 80 columns."""

import re

import pytest
from tests.cli.test_commands import ALERT, ANOMALY, TARGET

from tocsin.cli.terminal import number

LONG = "kubernetes_checkout_service_request_duration_p95"
UID = "prometheus-production-eu-central-1"
ERROR = "cannot connect to prometheus.example.org:9090: [Errno 111] Connect call failed"
DEPLOY = {"after_deploy": "widen", "deploy_for": 900, "deploy_factor": 1.5}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"log_signal": "error_ratio"}, "log signal: error_ratio"),
        ({"unit": "bytes"}, "unit: bytes"),
        ({"denominator": "sum(x)", "min_denominator": 10.0}, "denominator: sum(x); a gap below 10"),
        ({"shadow": True}, "shadow: yes: recorded, not told"),
        ({"timezone": "Europe/Berlin"}, "timezone: Europe/Berlin"),
        ({"capacity_limit": 5, "capacity_horizon": 345600}, "capacity limit: 5, looked ahead to for 4d"),
        (DEPLOY, "after deploy: widen for 15m, 1.5 times the sigma"),
        ({**DEPLOY, "after_deploy": "tighten"}, "after deploy: tighten for 15m, the sigma divided by 1.5"),
        ({**DEPLOY, "after_deploy": "hold"}, "after deploy: hold for 15m, no alert begins"),
    ],
)
def test_a_target_shows_what_is_set_and_nothing_of_what_is_not(run, server, change, line):
    server.answer("GET", "/monitoring/targets/error_rate", {**TARGET, **change})
    lines = [re.sub("  +", ": ", each.strip()) for each in run("targets", "show", "error_rate").output.splitlines()]
    assert line in lines
    server.answer("GET", "/monitoring/targets/error_rate", {**TARGET, "after_deploy": "nothing", "deploy_for": 900})
    plain = run("targets", "show", "error_rate").output
    assert line.split(":", maxsplit=1)[0] not in plain


def listed(*items):
    return {"items": list(items), "total": len(items), "next": None, "connections": []}


SOURCE = {
    "uid": UID,
    "type": "prometheus",
    "health": "failing",
    "circuit": "open",
    "retry_at": "2026-01-31T12:00:30Z",
    "queries": 1234567,
    "failures": 7654,
    "skew": {"ahead_s": 95.04, "within_s": 0.5},
    "last_error": ERROR,
    "warnings": [],
}
EVENT = {
    "id": "event:0123456789abcdef",
    "kind": "deploy",
    "at": "2026-01-31T12:00:00Z",
    "title": "checkout 1.42: the new basket, and payments by invoice in all countries",
    "target": LONG,
    "labels": {"service": "checkout", "cluster": "production-eu-central-1"},
    "source": "grafana-production",
}
WINDOW = {
    "id": "window:0123456789abcdef",
    "kind": "maintenance",
    "target": LONG,
    "labels": {"service": "checkout"},
    "start": "2026-01-31T12:00:00Z",
    "end": "2026-01-31T13:00:00Z",
    "who": "somebody@example.org",
    "note": "the database moves to another region",
}
PROPOSAL = {
    "id": "proposal:0123456789abcdef",
    "state": "open",
    "target": LONG,
    "summary": "min_effect from 0 to 0.25",
    "why": "four of five alerts below a deviation of 0.25 were called false in the last four weeks",
}
ACCEPTANCE = {
    "id": "accepted:0123456789abcdef",
    "kind": "recurring",
    "target": LONG,
    "labels": {"service": "checkout"},
    "at": "2026-01-31T12:00:00Z",
    "who": "somebody@example.org",
    "note": "the nightly backup",
    "slot": {"begin": "01:50", "end": "02:30", "timezone": "Europe/Berlin", "weekdays": []},
    "expires_at": "2026-05-01T12:00:00Z",
    "ended_at": None,
    "ended_by": "",
}
RECURRING = {
    "around": "06:00",
    "timezone": "Europe/Berlin",
    "labels": {"service": "checkout", "cluster": "production-eu-central-1"},
    "times": 12,
    "alerts": 11,
    "days": 13,
    "last": "2026-01-31T05:00:00Z",
    "accepted_by": "somebody@example.org",
}
WATCHED = {**TARGET, "name": LONG, "datasource_uid": UID, "state": {**TARGET["state"], "state": "warming_up"}}


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize(
    ("command", "path", "item", "whole"),
    [
        (["datasources", "list"], "/monitoring/datasources", SOURCE, [UID, "failing", "1,234,567", "+95.0 s (±0.5)"]),
        (["events", "list"], "/events", EVENT, [EVENT["id"], "2026-01-31 12:00:00Z", "grafana-production"]),
        (["windows", "list"], "/monitoring/windows", WINDOW, [WINDOW["id"], "2026-01-31 13:00:00Z"]),
        (
            ["acceptances", "list"],
            "/monitoring/acceptances",
            ACCEPTANCE,
            [ACCEPTANCE["id"], "2026-05-01 12:00:00Z", "2026-01-31 12:00:00Z"],
        ),
        (["proposals", "list"], "/monitoring/proposals", PROPOSAL, [PROPOSAL["id"], "min_effect from 0 to 0.25"]),
        (
            ["targets", "recurring", "x"],
            "/monitoring/targets/x/recurring",
            RECURRING,
            ["06:00 Europe/Berlin", "12", "11", "13", "2026-01-31 05:00:00Z"],
        ),
        (["targets", "list"], "/monitoring/targets", WATCHED, [LONG, UID, "warming_up", "medium"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) and "list" in value else "",
)
def test_no_name_is_broken_and_no_line_is_too_long(run, server, command, path, item, whole, width):
    server.answer("GET", path, listed(item))
    lines = run(*command, width=width).output.splitlines()
    assert max(map(len, lines)) <= width
    for word in whole:
        assert any(word in line for line in lines), f"{word} is broken"
    # What is said of it is there, folded between words at most.
    said = " ".join(" ".join(lines).split())
    for name in ("last_error", "title", "note", "why", "summary", "who", "target"):
        for word in str(item.get(name) or "").split():
            assert word in said
    slivers = [line for line in lines if 0 < len(line.strip()) <= 3]
    assert slivers == []


def test_what_fits_stays_a_table_and_what_does_not_is_said_under_it(run, server):
    short = {**SOURCE, "uid": "prom", "queries": 12, "failures": 3, "circuit": "closed", "last_error": "refused"}
    server.answer("GET", "/monitoring/datasources", listed(short))
    wide = run("datasources", "list", width=120).output
    assert "Last error" in wide
    assert "prom: last error" not in wide
    narrow = run("datasources", "list", width=80).output
    assert "Last error" not in narrow
    assert "prom: last error: refused" in narrow
    assert "Failures" in narrow


def test_an_alert_of_a_datasource_has_no_value_and_no_sigma(run, server):
    silent = {**ALERT, "value": None, "expected_value": None, "sigma": None, "explanation": "it does not answer"}
    server.answer("GET", f"/monitoring/alerts/{ALERT['id']}", silent)
    text = run("alerts", "show", ALERT["id"]).output
    assert "it does not answer" in text
    assert "worst value" not in text
    assert "- sigma" not in text
    server.answer("GET", f"/monitoring/alerts/{ALERT['id']}", ALERT)
    assert "0.15 (expected 0.02, +5.2 sigma)" in run("alerts", "show", ALERT["id"]).output


def test_values_are_written_as_the_sentence_writes_them(run, server):
    large = {**ALERT, "value": 15_748_239_847.0, "expected_value": 1.2e9, "unit": "bytes"}
    server.answer("GET", "/monitoring/alerts", {"items": [large], "total": 1})
    assert "14.67 GiB (expected 1.118 GiB, +5.2 sigma)" in run("alerts", "list").output
    seen = {**ANOMALY, "value": 15_748_239_847.0, "expected_value": 1.2e9, "facts": {"unit": "bytes"}}
    check = {"state": "ready", "reason": "ok", "series": 3, "samples": 15, "anomalies": [seen], "alerts": []}
    server.answer("POST", "/monitoring/targets/error_rate/check", check)
    output = run("targets", "check", "error_rate").output
    assert "14.67 GiB" in output
    assert "1.118 GiB" in output


@pytest.mark.parametrize(("value", "shown"), [(-0.0, "0"), (3e-290, "0"), (-1e-5, "-1e-05"), (0.25, "0.25")])
def test_what_is_left_of_a_computation_is_zero(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("command", "path", "item", "said"),
    [
        (["windows", "list"], "/monitoring/windows", WINDOW, "1 window"),
        (["acceptances", "list", "--all"], "/monitoring/acceptances", ACCEPTANCE, "1 acceptance"),
        (["proposals", "list"], "/monitoring/proposals", PROPOSAL, "1 proposal"),
        (["targets", "recurring", "x"], "/monitoring/targets/x/recurring", RECURRING, "1 recurrence"),
    ],
)
def test_one_is_not_many(run, server, command, path, item, said):
    server.answer("GET", path, listed(item))
    assert run(*command).output.splitlines()[-1] == said
    server.answer("GET", path, listed(item, item))
    assert run(*command).output.splitlines()[-1] == said.replace("1", "2") + "s"
