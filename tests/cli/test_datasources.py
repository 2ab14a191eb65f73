"""`tocsin datasources`."""

import json

LISTED = {
    "uid": "prom",
    "type": "prometheus",
    "health": "warning",
    "circuit": "open",
    "retry_at": "2026-01-31T12:00:30Z",
    "queries": 1200,
    "failures": 7,
    "skew": {"ahead_s": 95.04, "within_s": 0.5},
    "last_error": "connection \x1b[2Jrefused",
    "warnings": ["the clock of the datasource prom is 95.0 s ahead"],
}
TESTED = {
    "uid": "prom",
    "type": "prometheus",
    "ok": True,
    "error": None,
    "version": "2.45.0",
    "abilities": ["range queries in PromQL", "up"],
    "latency_s": 0.00123,
    "skew": {"ahead_s": -0.04, "within_s": 0.001},
    "warnings": [],
    "targets": [
        {
            "target": "errors",
            "enabled": True,
            "evaluations_per_hour": 60.0,
            "queries_per_hour": 60.0,
            "samples_per_hour": 240.0,
            "bytes_per_hour": 123456.0,
        },
        {"target": "late", "enabled": False, "evaluations_per_hour": 0.0, "queries_per_hour": None},
    ],
}


def test_list(server, run):
    server.answer("GET", "/monitoring/datasources", {"items": [LISTED], "total": 1, "next": None})
    shown = run("datasources", "list", width=200)
    assert shown.exit_code == 0
    for word in ("warning", "open until 2026-01-31 12:00:30Z", "1,200", "+95.0 s (±0.5)", "is 95.0 s ahead"):
        assert word in shown.stdout
    assert "\x1b" not in shown.stdout
    assert json.loads(run("datasources", "list", "--json").stdout)["total"] == 1


def test_connections_are_listed_whether_they_bring_anything_or_not(server, run):
    up = {"uid": "g", "server": "mcp-grafana 2.1.1", "failure": None, "datasources": ["prom", "logs"], "notes": ["odd"]}
    down = {"uid": "h", "server": None, "failure": "connection \x1b[2Jrefused", "datasources": [], "notes": []}
    server.answer("GET", "/monitoring/datasources", {"items": [], "total": 0, "connections": [up, down]})
    shown = run("datasources", "list", width=120).stdout
    assert "g: mcp-grafana 2.1.1, brings prom, logs\ng: odd\n" in shown
    assert "h: its datasources are not known now: connection  [2Jrefused" in shown.replace("\x1b", "ESC")
    assert "0 datasources" in shown


def test_test(server, run):
    server.answer("POST", "/monitoring/datasources/prom/test", TESTED)
    shown = run("datasources", "test", "prom", width=120)
    assert shown.exit_code == 0
    for word in ("yes", "2.45.0", "range queries in PromQL, up", "1.2 ms", "+0.0 s (±0.0)", "123,456", "late (off)"):
        assert word in shown.stdout
    assert json.loads(run("datasources", "test", "prom", "--json").stdout) == TESTED


def test_one_that_does_not_answer_ends_with_1(server, run):
    failing = {**TESTED, "ok": False, "error": "connection refused", "version": None, "targets": []}
    server.answer("POST", "/monitoring/datasources/prom/test", failing)
    shown = run("datasources", "test", "prom")
    assert shown.exit_code == 1
    assert "no: connection refused" in shown.stdout
    assert run("datasources", "test", "prom", "--json").exit_code == 1
    assert run("datasources", "test", "nowhere").exit_code == 4
