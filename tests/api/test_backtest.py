"""Back-tests over HTTP: what is asked, what comes back, progress, and giving up."""

import asyncio
import json
from datetime import timedelta

import httpx
import pytest

from tests.api.fakes import CPU, T0
from tests.api.scene import EXAMPLE, JSON, OpenRequest, client_of, is_problem
from tocsin.api import Limits
from tocsin.api.stream import Slots
from tocsin.api.wanted import ProgressStream
from tocsin.detect import Severity
from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.domain.incidents import Incident
from tocsin.domain.target import Target
from tocsin.monitor.status import Drawing

BACKTEST = "/monitoring/backtest"
NDJSON = {"Accept": "application/x-ndjson"}


async def test_backtest_of_a_saved_target(scene, client):
    scene.monitor.add(Target("cpu", "up", "prometheus-uid"))
    answer = await client.post(BACKTEST, json={"target": "cpu", "days": 2})
    assert answer.status_code == 200, answer.text
    result = answer.json()
    assert (result["target"], result["samples"], result["alerts_total"]) == ("cpu", 60, 1)
    assert result["window"] == {"start": "2026-02-27T12:00:00Z", "end": "2026-03-01T12:00:00Z", "step": 60}
    assert result["by_severity"] == {"high": 0}


async def test_backtest_of_an_unsaved_target(scene, client):
    body = {"target": EXAMPLE, "start": "2026-03-01T10:00:00Z", "end": "2026-03-01T11:00:00Z"}
    assert (await client.post(BACKTEST, json=body)).status_code == 200
    target, start, end = scene.monitor.last_backtest
    assert target.name == "custom_metric"
    assert (start, end) == (T0 - timedelta(hours=2), T0 - timedelta(hours=1))


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"target": "nothing", "hours": 1}, 404, None),
        ({"target": EXAMPLE}, 422, "start"),
        ({"target": EXAMPLE, "hours": 1, "days": 1}, 422, "start"),
        ({"target": EXAMPLE, "hours": 0}, 422, "hours"),
        ({"target": EXAMPLE, "days": 1000}, 422, "days"),
        ({"target": EXAMPLE, "start": "2026-03-02T00:00:00Z"}, 422, "start"),
        ({"target": EXAMPLE, "start": "2026-03-01T00:00:00"}, 422, "start"),
        ({"target": {**EXAMPLE, "check_interval": 0}, "hours": 1}, 422, "target.check_interval"),
        ({"target": {"name": "x"}, "hours": 1}, 422, "target.query"),
        ({"target": 3, "hours": 1}, 422, "target"),
        ({"target": {**EXAMPLE, "query_type": "loki"}, "hours": 1}, 422, "target.query_type"),
        ({"target": {**EXAMPLE, "datasource_uid": "nowhere"}, "hours": 1}, 422, "target.datasource_uid"),
    ],
)
async def test_backtests_that_cannot_be(client, body, status, field):
    is_problem(await client.post(BACKTEST, json=body), status, *([field] if field else []))


async def test_a_backtest_whose_datasource_fails(scene, client):
    scene.monitor.failing = SourceError("too slow", failure=SourceFailure.TIMEOUT, transient=True)
    is_problem(await client.post(BACKTEST, json={"target": EXAMPLE, "hours": 1}), 504)


async def test_a_change_is_held_against_the_target_as_it_is(scene, client):
    scene.monitor.add(Target("cpu", "up", "prometheus-uid"))
    body = {"target": "cpu", "hours": 1, "change": {"severity_threshold": "high", "check_interval": 30}}
    answer = (await client.post(BACKTEST, json=body)).json()
    changed, *_ = scene.monitor.last_backtest
    assert (changed.name, changed.severity_threshold) == ("cpu", Severity.HIGH)
    assert changed.step == timedelta(seconds=30), "a step that was a default follows, as in PATCH"
    assert scene.monitor.last_question.against == scene.monitor.targets["cpu"]
    assert scene.monitor.targets["cpu"].severity_threshold is Severity.MEDIUM, "nothing is saved"
    assert answer["against"]["messages_total"] == 1
    difference = answer["difference"]
    assert (difference["alerts"], difference["messages"], difference["alerts_kept"]) == (0, 0, 1)


async def test_what_switches_a_target_on_or_off_cannot_be_tried_but_may_stand_there(scene, client):
    scene.monitor.add(Target("cpu", "up", "prometheus-uid", enabled=False))
    body = {"target": "cpu", "hours": 1}
    answer = await client.post(BACKTEST, json={**body, "change": {"enabled": True}})
    assert "as if it were enabled" in is_problem(answer, 422, "change.enabled")
    same = {"enabled": False, "severity_threshold": "high"}
    assert (await client.post(BACKTEST, json={**body, "change": same})).status_code == 200


async def test_incidents_and_a_plot_are_passed_on_and_answered(scene, client):
    incidents = [{"start": "2026-03-01T11:30:00Z", "end": "2026-03-01T11:40:00Z", "labels": {"instance": "web-1"}}]
    body = {"target": EXAMPLE, "hours": 1, "incidents": incidents, "plot": True, "plot_series": 3, "plot_points": 50}
    answer = (await client.post(BACKTEST, json=body)).json()
    question = scene.monitor.last_question
    assert question.incidents == (Incident(T0 - timedelta(minutes=30), T0 - timedelta(minutes=20), CPU),)
    assert question.drawing == Drawing(series=3, points=50)
    assert (answer["incidents"]["caught"], answer["incidents"]["missed"]) == (1, 0)
    assert answer["incidents"]["items"][0]["delay_s"] == 60
    (group,) = answer["groups"]
    assert [one["occasion"] for one in group["messages"]] == ["first"]
    (one,) = answer["plot"]["series"]
    assert one["min"] == [None, 1.0]
    assert one["spans"][0]["severity"] == "high"
    assert answer["plot"]["timestamps"] == [0.0, 60.0]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"change": {"name": "other"}}, "change.name"),
        ({"change": {"step": 0.5}}, "change.step"),
        ({"change": {"alert_above": 90, "alert_below": 10}}, "change.alert_above"),
        ({"change": {"nonsense": 1}}, "change.nonsense"),
        ({"change": {"enabled": False}}, "change.enabled"),
        ({"change": {"datasource_uid": "nowhere"}}, "change.datasource_uid"),
        ({"incidents": [{"start": "2026-03-01T11:30:00Z"}]}, "incidents[0].end"),
        (
            {"incidents": [{"start": "2026-03-01T11:30:00Z", "end": "2026-03-01T11:20:00Z"}]},
            "incidents[0].end",
        ),
        ({"plot_series": 0}, "plot_series"),
        ({"plot_points": 10_000}, "plot_points"),
        ({"plot": "yes"}, "plot"),
    ],
)
async def test_questions_that_cannot_be(client, more, field):
    is_problem(await client.post(BACKTEST, json={"target": EXAMPLE, "hours": 1, **more}), 422, field)


async def test_too_many_incidents_are_refused(client):
    one = {"start": "2026-03-01T11:30:00Z", "end": "2026-03-01T11:40:00Z"}
    answer = await client.post(BACKTEST, json={"target": EXAMPLE, "hours": 1, "incidents": [one] * 1001})
    assert "1,000" in is_problem(answer, 422, "incidents")


def lines(answer: httpx.Response) -> list[dict]:
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_lines_tell_the_progress_and_the_last_one_the_result(scene, client):
    body = {"target": EXAMPLE, "hours": 1}
    answer = await client.post(BACKTEST, json=body, headers=NDJSON)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["x-content-type-options"] == "nosniff"
    *progress, last = lines(answer)
    assert progress
    assert all(0 <= line["progress"] <= 1 for line in progress)
    assert last["result"] == (await client.post(BACKTEST, json=body)).json()


async def test_what_cannot_be_asked_is_refused_before_lines_begin(client):
    is_problem(await client.post(BACKTEST, json={"target": "none", "hours": 1}, headers=NDJSON), 404)
    is_problem(await client.post(BACKTEST, json={"target": EXAMPLE}, headers=NDJSON), 422, "start")


async def test_a_problem_on_the_way_is_the_last_line(scene, client):
    scene.monitor.failing = SourceError("too slow", failure=SourceFailure.TIMEOUT, transient=True)
    answer = await client.post(BACKTEST, json={"target": EXAMPLE, "hours": 1}, headers=NDJSON)
    problem = lines(answer)[-1]["problem"]
    assert (problem["status"], problem["detail"]) == (504, "too slow")


async def test_one_that_takes_too_long_ends_with_a_problem(make_scene):
    scene = make_scene(limits=Limits(slow_request_s=0.05))
    given_up = asyncio.Event()

    async def work(_heard):
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    stream = ProgressStream(work, scene.services, Slots(1))  # without the guard, whose own limit is the same
    *progress, last = lines(await client_of(stream).get(BACKTEST))
    assert progress
    assert (last["problem"]["status"], "0.05 s" in last["problem"]["detail"]) == (503, True)
    assert given_up.is_set()


async def test_the_end_of_the_process_is_told(scene, client):
    scene.monitor.holding.clear()
    asked = asyncio.create_task(client.post(BACKTEST, json={"target": EXAMPLE, "hours": 1}, headers=NDJSON))
    while scene.monitor.last_question is None:
        await asyncio.sleep(0.001)
    scene.stopping.set()
    assert "ending" in lines(await asked)[-1]["problem"]["detail"]
    assert scene.monitor.given_up.is_set()


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
async def test_it_is_given_up_when_the_client_goes(scene, accept):
    scene.monitor.holding.clear()
    body = json.dumps({"target": EXAMPLE, "hours": 1}).encode()
    headers = {"accept": accept, "content-type": JSON["Content-Type"], "content-length": str(len(body))}
    request = OpenRequest(scene.app, BACKTEST, method="POST", headers=headers)
    running = asyncio.create_task(request.run())
    request.incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
    while scene.monitor.last_question is None:
        await asyncio.sleep(0.001)
    assert not scene.monitor.given_up.is_set()
    request.incoming.put_nowait({"type": "http.disconnect"})
    await asyncio.wait_for(scene.monitor.given_up.wait(), 10)
    await asyncio.wait_for(running, 10)
