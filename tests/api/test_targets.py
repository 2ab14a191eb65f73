import asyncio
from dataclasses import replace

import pytest

from tests.api.fakes import T0, file_target
from tests.api.scene import EXAMPLE, JSON, is_problem
from tocsin.domain.errors import SourceError, SourceFailure, StoreError

TARGETS = "/monitoring/targets"
SHORT = {"name": "short", "query": "up", "datasource_uid": "prometheus-uid"}


async def test_the_example_of_the_mission_creates_a_target(client):
    answer = await client.post(TARGETS, json=EXAMPLE)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{TARGETS}/custom_metric"
    assert answer.headers["etag"] == '"1"'
    made = answer.json()
    assert {name: made[name] for name in EXAMPLE} == EXAMPLE
    assert (made["step"], made["lookback"], made["offset"]) == (60, 3600, 0)
    assert (made["pending_for"], made["keep_firing_for"], made["direction"]) == (0, 300, "both")
    assert made["owner"] == "api"
    assert made["created_at"] == "2026-03-01T12:00:00Z"
    assert made["state"]["state"] == "waiting"
    assert made["state"]["reason"] == "not evaluated yet"
    assert (await client.get(answer.headers["location"])).json() == made


async def test_three_fields_are_enough(client):
    made = (await client.post(TARGETS, json=SHORT)).json()
    assert made["detection_methods"] == ["auto"]
    assert made["query_type"] == "prometheus"
    assert made["severity_threshold"] == "medium"
    assert made["enabled"] is True
    assert made["check_interval"] == 60


async def test_what_a_target_asks_by_default_is_in_its_answer(client):
    ratio = "sum(rate(errors_total[5m])) / sum(rate(requests_total[5m]))"
    made = (await client.post(TARGETS, json={**SHORT, "query": ratio, "direction": "above"})).json()
    assert made["asked"] == [
        "only above what is expected",
        "possible is nothing below 0",
        "not judged where there were fewer than 10 events within 300 s",
    ]
    plain = (await client.post(TARGETS, json={**SHORT, "name": "plain", "query": "node_load1"})).json()
    assert plain["asked"] == []


@pytest.mark.parametrize(
    ("interval", "step", "lookback"), [(5, 5, 3600), (60, 60, 3600), (900, 60, 3600), (86400, 60, 86400)]
)
async def test_step_and_lookback_follow_the_interval(client, interval, step, lookback):
    made = (await client.post(TARGETS, json={**SHORT, "check_interval": interval})).json()
    assert (made["step"], made["lookback"]) == (step, lookback)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": "alert:0123456789abcdef"}, "name"),
        ({"name": ""}, "name"),
        ({"name": 3}, "name"),
        ({"query": ""}, "query"),
        ({"query": " "}, "query"),
        ({"query": "up\0"}, "query"),
        ({"query": "\ud800"}, "query"),
        ({"datasource_uid": "other"}, "datasource_uid"),
        ({"query_type": "loki"}, "query_type"),
        ({"query_type": "host"}, "query_type"),
        ({"log_signal": "volume"}, "log_signal"),
        ({"log_signal": "loudness"}, "log_signal"),
        ({"query_type": "sql"}, "query_type"),
        ({"check_interval": 0}, "check_interval"),
        ({"check_interval": 0.5}, "check_interval"),
        ({"check_interval": 10**9}, "check_interval"),
        ({"check_interval": 10**400}, "check_interval"),
        ({"check_interval": "60"}, "check_interval"),
        ({"check_interval": True}, "check_interval"),
        ({"check_interval": 10, "step": 60}, "step"),
        ({"step": -1}, "step"),
        ({"lookback": 1}, "lookback"),
        ({"lookback": 1e9}, "lookback"),
        ({"pending_for": 1e9}, "pending_for"),
        ({"detection_methods": ["oracle"]}, "detection_methods"),
        ({"detection_methods": []}, "detection_methods"),
        ({"detection_methods": "auto"}, "detection_methods"),
        ({"severity_threshold": "worst"}, "severity_threshold"),
        ({"direction": "sideways"}, "direction"),
        ({"enabled": "yes"}, "enabled"),
        ({"min_effect": -1}, "min_effect"),
        ({"lower_bound": 5, "upper_bound": 1}, "lower_bound"),
        ({"alert_above": 90, "alert_below": 10}, "alert_above"),
        ({"alert_above": 5, "alert_below": 5}, "alert_above"),
        ({"labels": {"team": 3}}, "labels.team"),
        ({"interval": 60}, "interval"),
        ({"version": 3}, "version"),
    ],
)
async def test_a_field_that_cannot_be_is_named(client, change, field):
    import json

    answer = await client.post(TARGETS, content=json.dumps({**SHORT, **change}), headers=JSON)
    is_problem(answer, 422, field)


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_numbers_that_are_none_are_refused(client, literal):
    body = '{"name": "a", "query": "up", "datasource_uid": "prometheus-uid", "alert_above": %s}' % literal
    is_problem(await client.post(TARGETS, content=body, headers=JSON), 422, "alert_above")


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "3", "null", '"x"', b"\xff\xfe", "[" * 100_000, '{"check_interval": ' + "9" * 5000 + "}"]
)
async def test_a_body_that_is_no_target_is_refused(client, body):
    is_problem(await client.post(TARGETS, content=body, headers=JSON), 422, *(["body"] if body != "" else []))


async def test_a_query_type_is_that_of_the_datasource(client):
    assert "answers prometheus" in is_problem(
        await client.post(TARGETS, json={**SHORT, "query_type": "loki"}), 422, "query_type"
    )


@pytest.mark.parametrize(
    ("change", "language"),
    [
        ({"datasource_uid": "host"}, "host"),
        ({"datasource_uid": "logs", "query": '{app="web"}', "log_signal": "volume"}, "loki"),
        ({"datasource_uid": "logs", "query_type": None}, "loki"),
        ({"datasource_uid": "logs", "query_type": "loki"}, "loki"),
    ],
)
async def test_a_language_that_is_not_said_is_that_of_the_datasource(client, change, language):
    answer = await client.post(TARGETS, json={**SHORT, **change})
    assert (answer.status_code, answer.json()["query_type"]) == (201, language)


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        ({"datasource_uid": "logs", "query_type": "prometheus"}, "query_type", "the datasource 'logs' answers loki"),
        ({"datasource_uid": "logs", "query": "vector(1)"}, "query", "must be a log query"),
        ({"datasource_uid": "logz"}, "datasource_uid", "there is no datasource of that uid"),
        ({"query_type": None}, "log_signal", "not of prometheus"),
    ],
)
async def test_a_signal_is_refused_for_what_is_wrong(client, change, field, why):
    body = {**SHORT, "query": '{app="web"}', "log_signal": "volume", **change}
    assert why in is_problem(await client.post(TARGETS, json=body), 422, field)


async def test_a_target_that_goes_to_another_datasource_takes_its_language(client):
    await client.post(TARGETS, json=SHORT)
    moved = await client.patch(f"{TARGETS}/short", json={"datasource_uid": "logs"})
    assert moved.json()["query_type"] == "loki"
    wrong = await client.patch(f"{TARGETS}/short", json={"datasource_uid": "host", "query_type": "loki"})
    is_problem(wrong, 422, "query_type")
    kept = await client.patch(f"{TARGETS}/short", json={"description": "x", "datasource_uid": "logs"})
    assert kept.json()["query_type"] == "loki"


async def test_missing_fields_are_all_named(client):
    is_problem(await client.post(TARGETS, json={}), 422, "name", "query", "datasource_uid")


async def test_a_refusal_does_not_repeat_what_was_sent(client):
    answer = await client.post(TARGETS, json={**SHORT, "enabled": "s3cret", "check_interval": "s3cret"})
    assert "s3cret" not in answer.text


async def test_a_name_is_taken_once(client):
    await client.post(TARGETS, json=SHORT)
    assert "short" in is_problem(await client.post(TARGETS, json=SHORT), 409)


async def test_lists_have_parts(client):
    for name in "abc":
        await client.post(TARGETS, json={**SHORT, "name": name})
    first = (await client.get(TARGETS, params={"limit": 2})).json()
    assert [one["name"] for one in first["items"]] == ["a", "b"]
    assert first["total"] == 3
    assert first["next"] == f"{TARGETS}?limit=2&offset=2"
    rest = (await client.get(first["next"])).json()
    assert [one["name"] for one in rest["items"]] == ["c"]
    assert rest["next"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "offset=-1", "offset=99999999999", "page=2"])
async def test_parts_that_cannot_be_are_named(client, query):
    is_problem(await client.get(f"{TARGETS}?{query}"), 422, query.split("=")[0])


async def test_a_patch_changes_what_it_names(client):
    await client.post(TARGETS, json={**EXAMPLE, "alert_above": 5})
    answer = await client.patch(f"{TARGETS}/custom_metric", json={"query": "up", "alert_above": None})
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    changed = answer.json()
    assert (changed["query"], changed["alert_above"], changed["version"]) == ("up", None, 2)
    assert changed["detection_methods"] == ["zscore", "iqr"]


async def test_a_default_step_follows_a_changed_interval_and_a_chosen_one_stays(client):
    await client.post(TARGETS, json=SHORT)
    assert (await client.patch(f"{TARGETS}/short", json={"check_interval": 10})).json()["step"] == 10
    assert (await client.patch(f"{TARGETS}/short", json={"check_interval": 300, "step": 30})).json()["step"] == 30
    assert (await client.patch(f"{TARGETS}/short", json={"check_interval": 600})).json()["step"] == 30
    is_problem(await client.patch(f"{TARGETS}/short", json={"check_interval": 10}), 422, "step")
    assert (await client.patch(f"{TARGETS}/short", json={"check_interval": 600, "step": None})).json()["step"] == 60


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"name": "other"}, "name"),
        ({"query": None}, "query"),
        ({"enabled": None}, "enabled"),
        ({"query_type": "loki"}, "query_type"),
        ({"datasource_uid": "nowhere"}, "datasource_uid"),
        ({"owner": "file"}, "owner"),
        ({"alert_below": 0}, "alert_above"),
        ({"unit": "percent", "lower_bound": 150}, "lower_bound"),
        ({"unit": "ratio", "upper_bound": -5}, "upper_bound"),
    ],
)
async def test_a_patch_that_cannot_be_is_refused(client, patch, field):
    await client.post(TARGETS, json={**SHORT, "alert_above": 0})
    is_problem(await client.patch(f"{TARGETS}/short", json=patch), 422, field)
    assert (await client.get(f"{TARGETS}/short")).json()["version"] == 1


async def test_a_stale_edit_is_refused(client):
    await client.post(TARGETS, json=SHORT)
    edit = {"description": "mine"}
    assert (await client.patch(f"{TARGETS}/short", json=edit, headers={"If-Match": '"1"'})).status_code == 200
    is_problem(await client.patch(f"{TARGETS}/short", json=edit, headers={"If-Match": '"1"'}), 412)
    is_problem(await client.delete(f"{TARGETS}/short", headers={"If-Match": "rubbish"}), 412)
    assert (await client.patch(f"{TARGETS}/short", json=edit, headers={"If-Match": '"7", W/"2"'})).status_code == 200
    assert (await client.patch(f"{TARGETS}/short", json=edit, headers={"If-Match": "*"})).status_code == 200


async def test_two_changes_at_once_are_both_made(scene, client):
    await client.post(TARGETS, json=SHORT)
    save, waiting = scene.monitor.update_target, asyncio.Event()

    async def slow(target, expected_version):
        if not waiting.is_set():
            waiting.set()
            await asyncio.sleep(0.05)
        return await save(target, expected_version)

    scene.monitor.update_target = slow
    first = asyncio.create_task(client.patch(f"{TARGETS}/short/disable"))
    await waiting.wait()
    assert (await client.patch(f"{TARGETS}/short", json={"query": "down"})).json()["enabled"] is True
    made = (await first).json()
    assert (made["query"], made["enabled"], made["version"]) == ("down", False, 3)


async def test_a_change_that_comes_in_between_is_told_to_who_asked_for_it(scene, client):
    await client.post(TARGETS, json=SHORT)
    save = scene.monitor.update_target

    async def late(target, expected_version):
        scene.monitor.update_target = save
        await client.patch(f"{TARGETS}/short", json={"query": "down"})
        return await save(target, expected_version)

    scene.monitor.update_target = late
    is_problem(await client.patch(f"{TARGETS}/short", json={"enabled": False}, headers={"If-Match": '"1"'}), 412)


async def test_a_target_that_never_rests_is_told(scene, client):
    await client.post(TARGETS, json=SHORT)
    save = scene.monitor.update_target

    async def always(target, expected_version):
        old = scene.monitor.view("short").target
        await save(replace(old, description=f"{old.version}"), None)
        return await save(target, expected_version)

    scene.monitor.update_target = always
    assert "again and again" in is_problem(await client.patch(f"{TARGETS}/short", json={"enabled": False}), 409)


async def test_delete(client):
    await client.post(TARGETS, json=SHORT)
    answer = await client.delete(f"{TARGETS}/short")
    assert (answer.status_code, answer.content) == (204, b"")
    is_problem(await client.delete(f"{TARGETS}/short"), 404)
    is_problem(await client.get(f"{TARGETS}/short"), 404)


async def test_switches_can_be_pressed_twice(client):
    await client.post(TARGETS, json=SHORT)
    off = [(await client.patch(f"{TARGETS}/short/disable")).json() for _ in range(2)]
    assert [one["enabled"] for one in off] == [False, False]
    assert [one["version"] for one in off] == [2, 2]
    assert (await client.patch(f"{TARGETS}/short/enable")).json()["enabled"] is True
    is_problem(await client.patch(f"{TARGETS}/nothing/enable"), 404)


async def test_a_target_of_the_file_is_read_only(scene, client):
    scene.monitor.add(file_target("fixed"))
    assert (await client.get(f"{TARGETS}/fixed")).json()["owner"] == "file"
    for method, path, body in (
        ("PATCH", "fixed", {"description": "x"}),
        ("PATCH", "fixed/enable", None),
        ("PATCH", "fixed/disable", None),
        ("DELETE", "fixed", None),
    ):
        assert "file" in is_problem(await client.request(method, f"{TARGETS}/{path}", json=body), 409)


async def test_check(client):
    await client.post(TARGETS, json=SHORT)
    result = (await client.post(f"{TARGETS}/short/check")).json()
    assert (result["target"], result["state"], result["samples"]) == ("short", "ready", 60)
    is_problem(await client.post(f"{TARGETS}/nothing/check"), 404)


async def test_series_are_columns_with_null_for_a_gap(client):
    await client.post(TARGETS, json=SHORT)
    plot = (await client.get(f"{TARGETS}/short/series")).json()
    assert plot["target"] == "short"
    assert plot["step"] == 60
    assert plot["timestamps"][-1] == T0.timestamp()
    [one] = plot["series"]
    assert one["labels"] == {"instance": "web-1"}
    assert one["values"] == [None, 1.0, 1.0]
    assert one["sigma"] == [None, None, None]
    assert one["anomalies"] == [2]
    assert plot["series_total"] == 3


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("start=2026-03-01T11:00:00", "start"),
        ("start=1772362800", "start"),
        ("start=soon", "start"),
        ("end=9999-12-31T23:59:59-14:00", "end"),
        ("start=2026-03-01T11:00:00Z&end=2026-03-01T10:00:00Z", "end"),
        ("max_series=0", "max_series"),
    ],
)
async def test_times_of_a_plot_that_cannot_be(client, query, field):
    await client.post(TARGETS, json=SHORT)
    is_problem(await client.get(f"{TARGETS}/short/series?{query}"), 422, field)


async def test_an_unescaped_plus_of_a_zone_is_understood(client):
    await client.post(TARGETS, json=SHORT)
    query = "start=2026-03-01T12:00:00+01:00&end=2026-03-01T11:01:00Z"
    plot = (await client.get(f"{TARGETS}/short/series?{query}")).json()
    assert len(plot["timestamps"]) == 2


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (SourceFailure.UNREACHABLE, 502),
        (SourceFailure.SERVER_ERROR, 502),
        (SourceFailure.RATE_LIMITED, 502),
        (SourceFailure.TIMEOUT, 504),
        (SourceFailure.BAD_QUERY, 422),
        (SourceFailure.LIMIT, 422),
    ],
)
async def test_a_datasource_that_fails_is_not_our_error(scene, client, failure, status):
    await client.post(TARGETS, json=SHORT)
    scene.monitor.failing = SourceError("prometheus said no", failure=failure, transient=True)
    for method, path in (("POST", "check"), ("GET", "series")):
        answer = await client.request(method, f"{TARGETS}/short/{path}")
        assert "prometheus said no" in is_problem(answer, status)
    scene.monitor.failing.datasource = "prom"
    answer = await client.get(f"{TARGETS}/short/series")
    assert "prometheus said no" in is_problem(answer, status)
    assert ("datasource 'prom': " in answer.json()["detail"]) == (failure is not SourceFailure.BAD_QUERY)


async def test_a_store_that_fails_keeps_nothing_and_says_so(scene, client):
    scene.store.failing = StoreError("disk full")
    answer = await client.post(TARGETS, json=SHORT)
    assert "not kept: disk full" in is_problem(answer, 503)
    assert answer.headers["retry-after"]
