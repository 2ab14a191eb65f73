import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.api.fakes import T0
from tests.api.scene import Scene, alert, is_problem, opened
from tocsin.api import Limits, Wake
from tocsin.domain.alert import Reason, Transition
from tocsin.domain.errors import StoreError
from tocsin.domain.evaluation import Evaluation

STREAM = "/monitoring/stream"


def later(n):
    return alert(at=T0 + timedelta(minutes=n))


async def test_a_transition_is_told_when_it_happens(scene):
    await scene.happen(later(0))
    async with opened(scene.app, STREAM) as stream:
        head = await stream.head()
        assert head["status"] == 200
        headers = {name.decode(): value.decode() for name, value in head["headers"]}
        assert headers["content-type"].startswith("text/event-stream")
        assert headers["cache-control"] == "no-store"
        assert "content-length" not in headers
        await stream.piece()
        await scene.happen(later(1))
        event = await stream.event()
    assert (event["id"], event["event"]) == ("2", "transition")
    data = json.loads(event["data"])
    assert data["transition"]["after"] == "firing"
    assert data["alert"]["id"] == later(1).id
    assert data["alert"]["timestamp"] == "2026-03-01T12:01:00Z"


async def test_it_goes_on_after_the_last_event_seen(scene):
    await scene.happen(*(later(n) for n in range(250)))
    async with opened(scene.app, STREAM, headers={"last-event-id": "3"}) as stream:
        await stream.head()
        assert [int((await stream.event())["id"]) for _ in range(247)] == list(range(4, 251))


async def test_a_number_from_another_database_does_not_silence_it(scene):
    await scene.happen(later(0))
    async with opened(scene.app, STREAM, headers={"last-event-id": "9" * 30}) as stream:
        await stream.head()
        await stream.piece()
        await scene.happen(later(1))
        assert (await stream.event())["id"] == "2"


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "", "\u0661"])
async def test_an_id_that_is_none_is_refused(client, given):
    is_problem(await client.get(STREAM, headers={"Last-Event-ID": given.encode()}), 422, "Last-Event-ID")


async def test_it_shows_that_it_lives(scene):
    async with opened(scene.app, STREAM) as stream:
        await stream.head()
        await stream.piece()
        assert await stream.piece() == ": alive\n\n"


async def test_it_ends_when_the_application_stops(scene):
    async with opened(scene.app, STREAM) as stream:
        await stream.head()
        await stream.piece()
        scene.stopping.set()
        while (message := await asyncio.wait_for(stream.sent.get(), 10))["more_body"]:
            pass
        assert message["body"] == b""


async def test_it_ends_even_when_the_client_takes_nothing(scene):
    async with opened(scene.app, STREAM) as stream:
        await stream.head()
        stream.taking.clear()
        scene.stopping.set()
        while scene.app.state.doors.streams.open:
            await asyncio.sleep(0.01)


async def test_a_client_that_left_leaves_nothing_behind(scene):
    before = len(asyncio.all_tasks())
    for _ in range(5):
        async with opened(scene.app, STREAM) as stream:
            await stream.head()
            assert scene.app.state.doors.streams.open == 1
    assert scene.app.state.doors.streams.open == 0
    assert len(asyncio.all_tasks()) == before


async def test_there_are_only_so_many(scene):
    scene = Scene(limits=Limits(streams=1))
    async with opened(scene.app, STREAM) as stream:
        await stream.head()
        answer = await scene.client.get(STREAM)
        assert "1 streams" in is_problem(answer, 503)
    scene.stopping.set()
    assert (await scene.client.get(STREAM)).status_code == 200


async def test_a_store_that_fails_for_a_while_loses_nothing(scene):
    async with opened(scene.app, STREAM) as stream:
        await stream.head()
        await stream.piece()
        await scene.happen(later(0))
        assert (await stream.event())["id"] == "1"
        scene.store.failing = StoreError("busy")
        scene.services.wake.ring()
        while "does not answer" not in await stream.piece():
            pass
        scene.store.failing = None
        await scene.happen(later(1))
        assert (await stream.event())["id"] == "2"


async def test_a_slow_reader_holds_up_only_itself(scene):
    async with opened(scene.app, STREAM, headers={"last-event-id": "0"}) as slow:
        await slow.head()
        slow.taking.clear()
        await scene.happen(*(later(n) for n in range(300)))
        async with opened(scene.app, STREAM, headers={"last-event-id": "0"}) as fast:
            await fast.head()
            assert [int((await fast.event())["id"]) for _ in range(300)][-1] == 300
        assert slow.sent.qsize() <= 2
        slow.taking.set()
        assert [int((await slow.event())["id"]) for _ in range(300)] == list(range(1, 301))


async def test_a_bell_that_rang_in_between_is_heard():
    wake = Wake()
    heard = wake.rings
    wake.ring()
    await asyncio.wait_for(wake.wait(heard, 60), 10)
    waiting = asyncio.create_task(wake.wait(wake.rings, 60))
    await asyncio.sleep(0)
    wake.ring()
    await asyncio.wait_for(waiting, 10)
    await wake.wait(wake.rings, 0.001)


async def test_alerts_in_shadow_are_told_only_when_asked_but_for_their_way_into_it(scene):
    hidden, known = alert(target="quiet", shadow=True), alert(at=T0 + timedelta(minutes=1))
    await scene.happen(hidden, known)
    moved = replace(known, shadow=True)
    into = Transition(known.id, T0, known.state, known.state, Reason.SHADOWED, known.severity)
    await scene.store.save_evaluations([Evaluation("cpu", T0, (), (moved,), (into,))])
    await scene.happen(later(2))
    told, all_of_it = [], []
    for query, heard, many in (("", told, 2), ("?shadow=true", all_of_it, 4)):
        async with opened(scene.app, STREAM + query, headers={"last-event-id": "0"}) as stream:
            await stream.head()
            for _ in range(many):
                event = json.loads((await stream.event())["data"])
                heard.append((event["alert"]["id"], event["transition"]["reason"]))
    assert told == [(known.id, "target_in_shadow"), (later(2).id, "anomalous")]
    assert all_of_it == [(hidden.id, "anomalous"), (known.id, "anomalous"), *told]
