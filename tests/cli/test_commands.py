"""Targets, alerts, back-tests and the status, as the API has them."""

import json

import pytest

TARGET = {
    "name": "error_rate",
    "query": "rate(errors_total[5m])",
    "datasource_uid": "prom",
    "query_type": "prometheus",
    "check_interval": 300,
    "detection_methods": ["auto"],
    "severity_threshold": "medium",
    "enabled": True,
    "step": 60,
    "lookback": 3600,
    "offset": 0,
    "pending_for": 90,
    "keep_firing_for": 300,
    "sigma_threshold": None,
    "false_alerts_per_week": 0.35,
    "direction": "above",
    "min_effect": 0.01,
    "alert_above": None,
    "labels": {"team": "a"},
    "description": "Errors [bold]matter[/bold].",
    "owner": "file",
    "asked": ["possible are 0 to 1", "not judged where there were fewer than 10 events within 300 s"],
    "state": {
        "state": "ready",
        "reason": "all series are judged",
        "series": 3,
        "series_ready": 3,
        "dial": {
            "sigma_least": 3.5,
            "sigma_median": 3.5,
            "sigma_most": 6.0,
            "raised": 2,
            "capped": 1,
            "expected_per_week": 1.25,
            "weeks": 2.0,
            "over": False,
        },
        "warnings": ["slow"],
    },
}
ALERT = {
    "id": "alert:0123456789abcdef",
    "target_name": "error_rate",
    "severity": "high",
    "state": "firing",
    "labels": {"instance": "web-1.example.org:9100", "job": "\x1b[2Jevil [red]"},
    "timestamp": "2026-01-31T12:00:00Z",
    "active_at": "2026-01-31T11:59:00Z",
    "starts_at": "2026-01-31T12:00:00Z",
    "ends_at": None,
    "value": 0.15,
    "expected_value": 0.02,
    "sigma": 5.2,
    "methods": ["mad", "iqr"],
    "anomaly_count": 7,
    "summary": "🔥 error_rate",
    "explanation": "0.15 is far above.",
    "acknowledged": True,
    "acknowledgement": {"who": "ann", "note": "looking", "at": "2026-01-31T12:05:00Z"},
}
ANOMALY = {
    "timestamp": "2026-01-31T12:00:00Z",
    "labels": {"a": "b"},
    "value": 1,
    "expected_value": 0.5,
    "sigma": 4,
    "severity": "high",
}
STORY = {
    **ALERT,
    "transitions": [
        {
            "at": "2026-01-31T12:00:00Z",
            "after": "firing",
            "reason": "lasted_for_pending_for",
            "severity": "high",
            "value": 0.15,
            "sigma": 5.2,
        }
    ],
    "evidence": [
        {
            "query": "rate(errors_total[5m])",
            "datasource_uid": "prom",
            "context": ["pid 7 burn"],
            "notes": [],
            "timestamps": [1.0, 2.0],
            "values": [0.02, None],
            "expected": [0.02, 0.02],
            "lower": [0.0, 0.0],
            "upper": [0.1, 0.1],
            "sigma": [0.0, None],
        }
    ],
}
BACKTEST = {
    "target": "error_rate",
    "window": {"start": "2026-01-30T12:00:00Z", "end": "2026-01-31T12:00:00Z", "step": 60},
    "series": 3,
    "samples": 4320,
    "evaluations": 288,
    "alerts": [ALERT],
    "alerts_total": 1,
    "anomalies": [ANOMALY],
    "anomalies_total": 9,
    "by_severity": {"high": 1, "low": 0},
    "warnings": ["partial"],
}
STATUS = {
    "running": True,
    "since": "2026-01-31T12:00:00Z",
    "targets": {"total": 4, "enabled": 3, "by_state": {"ready": 2, "no_data": 1, "disabled": 1, "error": 0}},
    "alerts": {"by_state": {"firing": 1}, "by_severity": {"high": 1}, "unacknowledged": 1},
    "datasources": [
        {
            "uid": "prom",
            "type": "prometheus",
            "health": "failing",
            "queries": 12345,
            "failures": 3,
            "last_error": "refused " * 12,
        }
    ],
    "evaluations": 1000,
    "lag_s": 0.5,
    "store": {"ok": False, "detail": "disk full"},
}


@pytest.fixture
def full(server):
    server.answer("GET", "/monitoring/status", STATUS)
    server.answer("GET", "/monitoring/targets", {"items": [TARGET], "total": 1, "next": None})
    server.answer("GET", "/monitoring/targets/error_rate", TARGET)
    server.answer("POST", "/monitoring/targets", TARGET, 201)
    for verb in ("enable", "disable"):
        server.answer("PATCH", f"/monitoring/targets/error_rate/{verb}", TARGET)
    server.answer("DELETE", "/monitoring/targets/error_rate", None, 204)
    check = {"state": "ready", "reason": "ok", "series": 3, "samples": 15, "anomalies": [ANOMALY], "alerts": [ALERT]}
    server.answer("POST", "/monitoring/targets/error_rate/check", check)
    server.answer("GET", "/monitoring/alerts", {"items": [ALERT], "total": 5, "next": "x"})
    server.answer("GET", f"/monitoring/alerts/{ALERT['id']}", STORY)
    server.answer("POST", "/monitoring/alerts/error_rate/acknowledge", {"acknowledged": [ALERT["id"]], "who": "ann"})
    server.answer("DELETE", "/monitoring/alerts/error_rate/acknowledge", {"unacknowledged": []})
    server.answer("POST", "/monitoring/backtest", BACKTEST)
    return server


READS = [
    ["status"],
    ["targets", "list"],
    ["targets", "show", "error_rate"],
    ["targets", "check", "error_rate"],
    ["alerts", "list"],
    ["alerts", "show", ALERT["id"]],
    ["backtest", "error_rate", "--days", "1"],
]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("command", READS, ids=" ".join)
def test_every_table_fits_and_is_safe(run, full, command, width):
    result = run(*command, width=width)
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= width
    assert "\x1b" not in result.output


@pytest.mark.parametrize("command", READS, ids=" ".join)
def test_json_is_exactly_the_answer(run, full, command):
    result = run(*command, "--json")
    (asked,) = full.asked
    assert json.loads(result.stdout) == full.answers[asked["method"], asked["path"]][1]
    assert result.stdout.isascii()


def test_the_status(run, full):
    text = run("status").output
    for word in ("running", "4, 3 enabled (2 ready, 1 no data, 1 disabled)", "1 firing; 1 unacknowledged", "1 high"):
        assert word in text
    assert "failing: disk full" in text
    assert "12,345" in text


def test_targets_are_listed_with_their_state(run, full):
    text = run("targets", "list").output
    assert all(word in text for word in ("error_rate", "ready", "5m", "medium", "prom", "3", "1 target"))


def test_a_target_is_shown_whole(run, full):
    text = run("targets", "show", "error_rate").output
    for word in (
        "rate(errors_total[5m])",
        "1m30s",
        "all series are judged",
        "file, read-only here",
        "slow",
        "of all 1.25",
        "[bold]matter",
        "asks",
        "possible are 0 to 1",
        "fewer than 10 events",
    ):
        assert word in text


def test_no_rate_is_told_of_an_hour(run, server):
    watched = {**TARGET, "state": {**TARGET["state"], "dial": {**TARGET["state"]["dial"], "weeks": 0.1}}}
    server.answer("GET", "/monitoring/targets/error_rate", watched)
    text = " ".join(run("targets", "show", "error_rate").output.split())
    assert "what is to be expected is known after a day" in text
    assert "of all" not in text


@pytest.mark.parametrize("options", [["--days", "5"], ["--at", "2026-01-31T12:00:00Z", "--around", "02:10"]])
def test_what_does_not_go_together_is_refused(run, server, options):
    assert run("targets", "accept", "error_rate", *options).exit_code == 2
    assert server.asked == []


@pytest.mark.parametrize("state", ["open", "reverted"])
def test_a_proposal_that_cannot_be_compared_now_is_shown_all_the_same(run, server, state):
    kept = {"id": "proposal:1", "target": "error_rate", "summary": "min_effect from 0 to 1", "state": state}
    server.answer("GET", "/monitoring/proposals/proposal:1", kept)
    server.answer("POST", "/monitoring/proposals/proposal:1/compare", {"detail": "no connection to a"}, 502)
    result = run("proposals", "show", "proposal:1")
    assert result.exit_code == 4
    assert "no connection to a" in result.stderr
    assert "min_effect from 0 to 1" in result.stdout


def test_a_target_is_created_with_seconds(run, full):
    result = run(
        "targets",
        "create",
        "x",
        "--query",
        "up",
        "--datasource",
        "host",
        "--check-interval",
        "5m",
        "--lookback",
        "1h30m",
        "--pending-for",
        "90",
        "--method",
        "mad",
        "--method",
        "iqr",
        "--alert-above",
        "0.5",
        "--label",
        "a=b=c",
        "--disabled",
    )
    assert result.exit_code == 0
    assert full.asked[0]["body"] == {
        "name": "x",
        "query": "up",
        "datasource_uid": "host",
        "check_interval": 300.0,
        "lookback": 5400.0,
        "pending_for": 90.0,
        "detection_methods": ["mad", "iqr"],
        "alert_above": 0.5,
        "severity_threshold": "medium",
        "direction": "both",
        "labels": {"a": "b=c"},
        "description": "",
        "enabled": False,
    }


@pytest.mark.parametrize("option", [["--check-interval", "soon"], ["--step", "-5"], ["--label", "nothing"]])
def test_wrong_values_are_refused_before_anything_is_sent(run, full, option):
    result = run("targets", "create", "x", "--query", "up", "--datasource", "p", *option)
    assert result.exit_code == 2
    assert option[0] in result.stderr
    assert full.asked == []


def test_targets_are_switched_and_deleted(run, full):
    assert "error_rate is enabled" in run("targets", "enable", "error_rate").output
    assert "error_rate is disabled" in run("targets", "disable", "error_rate").output
    assert "error_rate is deleted" in run("targets", "delete", "error_rate").output
    assert [each["method"] for each in full.asked] == ["PATCH", "PATCH", "DELETE"]
    assert run("targets", "delete", "error_rate", "--json").stdout == "null\n"


def test_a_check_can_fail(run, full):
    assert run("targets", "check", "error_rate").exit_code == 0
    assert run("targets", "check", "error_rate", "--fail-on-anomaly").exit_code == 1


def test_alerts_are_listed_and_filtered(run, full):
    result = run(
        "alerts",
        "list",
        "--state",
        "firing",
        "--state",
        "pending",
        "--target",
        "error_rate",
        "--min-severity",
        "high",
        "--minutes",
        "60",
        "--label",
        "a=b",
        "--hide-acknowledged",
        "--no-shadow",
        "--limit",
        "7",
    )
    assert sorted(full.asked[0]["query"]) == sorted(
        [
            ("limit", "7"),
            ("include_acknowledged", "false"),
            ("state", "firing"),
            ("state", "pending"),
            ("target", "error_rate"),
            ("min_severity", "high"),
            ("minutes", "60"),
            ("shadow", "false"),
            ("label", "a=b"),
        ]
    )
    for word in (ALERT["id"], "high", "firing", "0.15 (expected 0.02, +5.2 sigma)", "acknowledged", "1 of 5 alerts"):
        assert word in result.output


@pytest.mark.parametrize("expected", [True, False, None])
def test_an_alert_that_was_to_come_is_noted_in_the_list(run, server, expected):
    listed = {"items": [{**ALERT, "acknowledged": False, "expected": expected}], "total": 1, "next": None}
    server.answer("GET", "/monitoring/alerts", listed)
    text = run("alerts", "list").output
    assert ("12:00:00Z · expected" in text) is (expected is True)


def test_an_alert_is_shown_with_its_story(run, full):
    text = run("alerts", "show", ALERT["id"]).output
    for word in ("lasted for pending for", "pid 7 burn", "ann at 2026-01-31 12:05:00Z: looking", "0.15 is far above."):
        assert word in text


@pytest.mark.parametrize(
    ("kind", "words"), [("calibrated", "so many of such alerts are real"), ("tail", "how improbable by chance")]
)
def test_the_confidence_of_an_alert_says_which_it_is(run, server, kind, words):
    path = f"/monitoring/alerts/{ALERT['id']}"
    server.answer("GET", path, {**ALERT, "confidence": 0.953, "confidence_kind": kind})
    (line,) = [one for one in run("alerts", "show", ALERT["id"]).output.splitlines() if "confidence" in one]
    assert "0.95" in line
    assert words in line


def test_acknowledgements(run, full):
    result = run("alerts", "ack", "error_rate", "--who", "ann", "--note", "looking")
    assert full.asked[0]["body"] == {"who": "ann", "note": "looking"}
    assert f"acknowledged: {ALERT['id']}" in result.output
    assert "nothing to be unacknowledged" in run("alerts", "unack", "error_rate").output
    run("alerts", "ack", "error_rate")
    assert full.asked[-1]["body"]["who"]


@pytest.mark.parametrize(
    ("options", "past"), [([], {"days": 1.0}), (["--days", "14"], {"days": 14.0}), (["--hours", "6"], {"hours": 6.0})]
)
def test_a_backtest_names_its_past(run, full, options, past):
    result = run("backtest", "error_rate", *options)
    assert full.asked[0]["body"] == {"target": "error_rate", **past}
    for word in ("288", "1 (1 high)", "4,320 samples", "partial", ALERT["id"]):
        assert word in result.output


def test_a_backtest_can_fail_and_refuses_nonsense(run, full):
    assert run("backtest", "error_rate", "--fail-on-alert").exit_code == 1
    assert run("backtest", "error_rate", "--days", "1", "--hours", "2").exit_code == 2
    assert run("backtest", "error_rate", "--days", "0").exit_code == 2
    assert run("backtest", "error_rate", "--days", "-1").exit_code == 2
