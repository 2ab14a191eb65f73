import asyncio
import csv
import io
import json
from datetime import timedelta

import pytest

from tests.api.fakes import Target
from tests.api.scene import JSON, anomaly, is_problem
from tocsin.api.csv import COLUMNS, cell
from tocsin.detect import Severity
from tocsin.domain.errors import StoreError
from tocsin.domain.labels import Labels

ANALYZE, BACKTEST, ANOMALIES = "/monitoring/analyze", "/monitoring/backtest", "/monitoring/anomalies"


def points(*values):
    return [{"timestamp": f"2025-12-18T19:{5 * n:02d}:00Z", "value": value} for n, value in enumerate(values)]


async def test_the_example_of_the_mission_finds_its_spike(client):
    body = {"metric_name": "test", "data_points": points(100, 105, 102, 500)}
    answer = (await client.post(ANALYZE, json=body)).json()
    [one] = answer["anomalies"]
    assert answer["metric_name"] == "test"
    assert answer["confidence_kind"] == "retrospective"
    assert answer["methods"] == ["zscore", "iqr", "mad", "rate_change"]
    assert (one["index"], one["timestamp"], one["value"]) == (3, "2025-12-18T19:15:00Z", 500)
    assert one["severity"] == "high"
    assert one["deviation"] == pytest.approx(500 - one["expected_value"])
    assert one["method"] in one["methods"]
    assert one["explanation"]


async def test_too_little_data_is_said(client):
    answer = (await client.post(ANALYZE, json={"data_points": points(100, 105, 250), "methods": ["zscore"]})).json()
    assert answer["anomalies"] == []
    assert answer["notes"][0].startswith("too little data for zscore"), "with one series there is none to be numbered"


async def test_patterns_are_told(client):
    answer = (await client.post(ANALYZE, json={"data_points": points(100, 110, 120, 130, 140, 150)})).json()
    assert [(one["kind"], one["direction"], one["severity"]) for one in answer["patterns"]] == [
        ("trend", "up", "medium")
    ]
    assert answer["patterns"][0]["start"] == "2025-12-18T19:00:00Z"


def shifted(index, stamp):
    made = points(1, 2, 3, 4)
    made[index]["timestamp"] = stamp
    return made


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"data_points": []}, "data_points"),
        ({}, "data_points"),
        ({"data_points": points(1, None)}, "data_points[1].value"),
        ({"data_points": points(1, "2")}, "data_points[1].value"),
        ({"data_points": points(1, True)}, "data_points[1].value"),
        ({"data_points": points(1, 10**400)}, "data_points[1].value"),
        ({"data_points": points(1, -9e307)}, "data_points[1].value"),
        ({"data_points": points(1, float("nan"))}, "data_points[1].value"),
        ({"data_points": points(1, float("inf"))}, "data_points[1].value"),
        ({"data_points": [{"value": 1}]}, "data_points[0].timestamp"),
        ({"data_points": [{"timestamp": "2025-12-18T19:00:00Z"}]}, "data_points[0].value"),
        ({"data_points": [3]}, "data_points[0]"),
        ({"data_points": shifted(2, "2025-12-18T19:10:00")}, "data_points[2].timestamp"),
        ({"data_points": shifted(2, "2025-12-18")}, "data_points[2].timestamp"),
        ({"data_points": shifted(2, "yesterday")}, "data_points[2].timestamp"),
        ({"data_points": shifted(2, "0001-01-01T00:00:00+14:00")}, "data_points[2].timestamp"),
        ({"data_points": shifted(2, 1766084400)}, "data_points[2].timestamp"),
        ({"data_points": shifted(2, "2025-12-18T19:05:00Z")}, "data_points[2].timestamp"),
        ({"data_points": shifted(2, "2025-12-18T20:05:00+01:00")}, "data_points[2].timestamp"),
        ({"data_points": shifted(2, "2025-12-18T18:00:00Z")}, "data_points[2].timestamp"),
        ({"data_points": points(1, 2), "methods": ["oracle"]}, "methods"),
        ({"data_points": points(1, 2), "methods": []}, "methods"),
        ({"data_points": points(1, 2), "method": ["mad"]}, "method"),
    ],
)
async def test_data_that_cannot_be_is_named(client, body, field):
    is_problem(await client.post(ANALYZE, content=json.dumps(body), headers=JSON), 422, field)


async def test_a_point_far_behind_is_named_by_its_own_number(client):
    made = [{"timestamp": f"2025-12-18T{n // 60:02d}:{n % 60:02d}:00Z", "value": 1} for n in range(1200)]
    made[777] = {"timestamp": made[777]["timestamp"], "value": "1", "unit": "s"}
    answer = await client.post(ANALYZE, json={"data_points": made})
    is_problem(answer, 422, "data_points[777].value", "data_points[777].unit")
    made[777], made[900] = made[778], made[778]
    is_problem(await client.post(ANALYZE, json={"data_points": made}), 422, "data_points[778].timestamp")


async def test_a_hundred_thousand_bad_points_are_not_all_told(client):
    body = json.dumps({"data_points": [{"timestamp": 0, "value": "x"}] * 100_000})
    answer = await client.post(ANALYZE, content=body, headers=JSON)
    is_problem(answer, 422, "data_points[0].value")
    assert len(answer.json()["errors"]) == 50


async def test_a_large_analysis_leaves_the_event_loop_free(scene, client):
    from datetime import UTC, datetime

    begin = datetime(2025, 1, 1, tzinfo=UTC)
    made = [{"timestamp": (begin + timedelta(minutes=n)).isoformat(), "value": n % 7} for n in range(20_000)]
    analysis = asyncio.create_task(client.post(ANALYZE, json={"data_points": made, "methods": ["mad"]}))
    answers = 0
    while not analysis.done():
        assert (await client.get("/health/live")).status_code == 200
        answers += 1
    assert analysis.result().status_code == 200
    assert answers > 5


async def test_an_unknown_method_is_answered_with_the_known_ones(client):
    answer = await client.post(ANALYZE, json={"data_points": points(1, 2), "methods": ["oracle"]})
    detail = is_problem(answer, 422, "methods")
    assert all(name in detail for name in ("zscore", "iqr", "mad", "rate_change"))


async def test_too_many_points_are_refused_with_the_limit(client):
    body = json.dumps({"data_points": [{"timestamp": "2025-12-18T19:00:00Z", "value": 1}] * 100_001})
    assert "100,000" in is_problem(await client.post(ANALYZE, content=body, headers=JSON), 422, "data_points")


async def test_a_million_points_are_refused_with_the_limit(client):
    body = json.dumps({"data_points": [{"timestamp": "2025-12-18T19:00:00Z", "value": 1}]})[:-2]
    body += ',{"timestamp":"2025-12-18T19:00:00Z","value":1}' * 1_000_000 + "]}"
    assert "16,777,216 bytes" in is_problem(await client.post(ANALYZE, content=body, headers=JSON), 413, "body")


async def test_extreme_values_are_answered(client):
    answer = await client.post(ANALYZE, json={"data_points": points(8e307, -8e307, 5e-324, 0, 1e307, -1e307)})
    assert answer.status_code == 200


async def test_patterns_of_a_target(scene, client):
    scene.monitor.add(Target("cpu", "up", "prometheus-uid"))
    page = (await client.get("/monitoring/patterns", params={"target": "cpu", "limit": 1})).json()
    assert page["target"] == "cpu"
    assert page["items"][0]["kind"] == "trend"
    assert page["items"][0]["labels"] == {"instance": "web-1"}
    assert (page["total"], page["next"]) == (2, "/monitoring/patterns?target=cpu&limit=1&offset=1")
    is_problem(await client.get("/monitoring/patterns"), 422, "target")
    is_problem(await client.get("/monitoring/patterns?target=nothing"), 404)


async def test_the_history_of_anomalies(scene, client):
    scene.monitor.add(Target("other", "up", "prometheus-uid"))
    await scene.happen(anomalies=(anomaly(0), anomaly(1, severity=Severity.LOW, labels=Labels({"zone": "x"}))))
    page = (await client.get(ANOMALIES)).json()
    assert [one["id"] for one in page["items"]] == ["anomaly-0", "anomaly-1"]
    first = page["items"][0]
    assert first["deviation"] == -6.5
    assert first["confidence_kind"] == "calibrated"

    async def total(**query):
        return (await client.get(ANOMALIES, params=query)).json()["total"]

    assert await total(min_severity="high") == 1
    assert await total(label="zone=x") == 1
    assert await total(target="other") == 0
    assert await total(method="iqr") == 2
    assert await total(alert_id="alert:1") == 0
    assert await total(since="2026-03-01T12:00:00Z") == 1
    assert await total(until="2026-03-01T11:59:30Z") == 1
    first_part = (await client.get(ANOMALIES, params={"limit": 1})).json()
    assert first_part["next"] == f"{ANOMALIES}?limit=1&offset=1"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("method=oracle", "method"),
        ("since=2026-03-01T12:00:00", "since"),
        ("since=2026-03-01T12:00:00Z&until=2026-03-01T11:00:00Z", "until"),
        ("format=xml", "format"),
        ("min_severity=9", "min_severity"),
    ],
)
async def test_history_that_cannot_be_asked_for(client, query, field):
    is_problem(await client.get(f"{ANOMALIES}?{query}"), 422, field)


async def test_csv_has_all_rows_and_no_formula(scene, client):
    evil = "=cmd|' /C calc'!A0"
    await scene.happen(anomalies=(anomaly(0, explanation=evil), *(anomaly(n) for n in range(1, 2500))))
    for answer in (
        await client.get(ANOMALIES, params={"format": "csv", "limit": 1}),
        await client.get(ANOMALIES, headers={"Accept": "text/csv"}),
    ):
        assert answer.headers["content-type"].startswith("text/csv")
        assert "anomalies.csv" in answer.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert len(rows) == len({row["id"] for row in rows}) == 2500
        assert tuple(rows[0]) == COLUMNS
        assert rows[0]["explanation"] == f"'{evil}"
        assert rows[0]["query"] == "'-rate(up[1m])"
        assert rows[0]["value"] == "-5.5"
        assert rows[0]["labels"] == '{instance="web-1"}'


async def test_csv_with_rows_that_move_meanwhile_repeats_none(scene):
    from tocsin.api.csv import download
    from tocsin.domain.ports import AnomalyFilter, Page

    await scene.happen(anomalies=tuple(anomaly(n) for n in range(1, 1500)))
    first = await scene.store.anomalies(AnomalyFilter(), Page(limit=1000))
    pieces = download(scene.store, AnomalyFilter(), first.items)
    text = await anext(pieces) + await anext(pieces)
    await scene.happen(anomalies=(anomaly(0),))
    text += "".join([piece async for piece in pieces])
    ids = [row["id"] for row in csv.DictReader(io.StringIO(text))]
    assert ids == [f"anomaly-{n}" for n in range(1, 1500)]


async def test_csv_of_a_store_that_fails_is_a_problem(scene, client):
    scene.store.failing = StoreError("disk on fire")
    is_problem(await client.get(f"{ANOMALIES}?format=csv"), 503)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (-1.5, "-1.5"),
        (3, "3"),
        ("plain", "plain"),
        ("", ""),
        *((f"{sign}x", f"'{sign}x") for sign in ("=", "+", "-", "@", "\t", "\r")),
    ],
)
def test_cells(value, text):
    assert cell(value) == text
