"""The one alert about a datasource: while it comes and goes, and while its target is edited in the middle of it."""

import asyncio
from dataclasses import replace

import pytest

from tests.monitor.scene import MINUTE, Scene, noise, target
from tocsin.domain.alert import AlertKind, AlertState, Reason
from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.monitor.breaker import Circuit
from tocsin.store.memory import MemoryStore

UNREACHABLE = SourceError("connection refused", failure=SourceFailure.UNREACHABLE, transient=True)
TOO_LATE = SourceError("did not answer in time", failure=SourceFailure.TIMEOUT, transient=True)


async def test_a_datasource_that_comes_and_goes_is_two_alerts_at_most():
    scene = Scene(target("one"))
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    for _ in range(12):
        scene.source.fail(UNREACHABLE)
        await scene.run_for(2 * MINUTE)
        scene.source.recover()
        await scene.run_for(3 * MINUTE)
    begun = [each for each in await scene.transitions() if each.reason is Reason.SOURCE_FAILING]
    (firing,) = await scene.alerts(states=(AlertState.FIRING,))
    assert (len(begun), firing.id) == (2, begun[-1].alert_id)
    await scene.run_for(6 * MINUTE)
    assert await scene.alerts(states=(AlertState.FIRING,)) == []
    await scene.run_for(10 * MINUTE)
    scene.source.fail(UNREACHABLE)
    await scene.run_for(5 * MINUTE)
    scene.source.recover()
    await scene.run_for(3 * MINUTE)
    assert await scene.alerts(states=(AlertState.FIRING,)) == [], "this one came alone: it ends when it answers"
    await monitor.close()


async def test_one_query_that_never_answers_does_not_hold_it():
    heavy = target("heavy", query="heavy", check_interval=2 * MINUTE)
    scene = Scene(*(target(f"t{n}") for n in range(4)), heavy)
    scene.source.play("q", noise)
    scene.source.fail(TOO_LATE, query="heavy")
    monitor = await scene.open()
    for _ in range(2):
        scene.source.fail(UNREACHABLE)
        await scene.run_for(2 * MINUTE)
        scene.source.recover()
        scene.source.fail(TOO_LATE, query="heavy")
        await scene.run_for(2 * MINUTE)
    await scene.run_for(60 * MINUTE)
    assert len([each for each in await scene.transitions() if each.reason is Reason.SOURCE_FAILING]) == 2
    assert [one for one in await scene.alerts(states=(AlertState.FIRING,)) if one.kind is AlertKind.DATASOURCE] == []
    await monitor.close()


class SlowStore(MemoryStore):
    """Takes its time over what is told of datasources, when it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.slow, self.begun, self.go_on = False, asyncio.Event(), asyncio.Event()

    async def save_evaluations(self, evaluations):
        if self.slow and any(alert.kind is AlertKind.DATASOURCE for one in evaluations for alert in one.alerts):
            self.begun.set()
            await self.go_on.wait()
        return await super().save_evaluations(evaluations)


@pytest.mark.parametrize("edit", ["delete", "disable", "change", "reload"])
async def test_what_is_edited_while_it_is_kept_leaves_none_behind(edit):
    store = SlowStore()
    scene = Scene(target("one"), store=store)
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(2 * MINUTE)
    store.slow = True
    scene.source.fail(UNREACHABLE)
    running = asyncio.create_task(scene.run_for(3 * MINUTE))
    await store.begun.wait()
    one = monitor.view("one").target
    edits = {
        "delete": lambda: monitor.delete_target("one"),
        "disable": lambda: monitor.update_target(replace(one, enabled=False), one.version),
        "change": lambda: monitor.update_target(replace(one, min_effect=1.0), one.version),
    }
    work = asyncio.create_task(edits[edit]()) if edit in edits else None
    if work is None:
        monitor.replace_source(scene.source, 4)
    await asyncio.sleep(0)
    store.slow = False
    store.go_on.set()
    if work is not None:
        await work
    await running
    await scene.run_for(5 * MINUTE)
    firing = await scene.alerts(states=(AlertState.FIRING,))
    assert len(firing) == (0 if edit in ("delete", "disable") else 1)
    scene.source.recover()
    await scene.run_for(10 * MINUTE)
    assert await scene.alerts(states=(AlertState.FIRING,)) == []
    await monitor.close()


async def test_one_heavy_query_does_not_take_the_others_with_it():
    heavy = target("heavy", query="heavy")
    scene = Scene(*(target(f"t{n}", query=f"q{n}") for n in range(3)), heavy)
    for n in range(3):
        scene.source.play(f"q{n}", noise)
    scene.source.fail(TOO_LATE, query="heavy")
    monitor = await scene.open()
    await scene.run_for(5 * MINUTE)
    before = [monitor.view(f"t{n}").status for n in range(3)]
    await scene.run_for(60 * MINUTE)
    after = [monitor.view(f"t{n}").status for n in range(3)]
    assert [one.evaluations - old.evaluations for one, old in zip(after, before, strict=True)] == [60, 60, 60]
    assert monitor.view("heavy").status.reason == "did not answer in time"
    assert await scene.alerts(states=(AlertState.FIRING,)) == []
    scene.source.fail(TOO_LATE)
    await scene.run_for(5 * MINUTE)
    (alert,) = await scene.alerts(states=(AlertState.FIRING,))
    assert alert.kind is AlertKind.DATASOURCE, "when all of them fail it is the datasource"
    await monitor.close()


async def test_a_refused_query_says_nothing_of_the_datasource():
    scene = Scene(target("bad", query="bad"), target("good"))
    scene.source.play("q", noise)
    scene.source.fail(SourceError("too much", failure=SourceFailure.LIMIT, transient=False), query="bad")
    monitor = await scene.open()
    await scene.run_for(3 * MINUTE)
    (seen,) = monitor.sources.status()
    assert seen.circuit is Circuit.CLOSED
    scene.source.fail(UNREACHABLE, query="q")
    await scene.run_for(3 * MINUTE)
    (seen,) = monitor.sources.status()
    assert seen.circuit is not Circuit.CLOSED
    await monitor.close()
