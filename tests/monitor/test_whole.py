"""What is edited while something fails or somebody gives up is edited whole, or not at all."""

import asyncio
from dataclasses import replace

import pytest

from tests.monitor.scene import MINUTE, START, Scene, noise, spike, target
from tocsin.domain.alert import AlertState, Reason
from tocsin.domain.errors import SourceError, SourceFailure, StoreError
from tocsin.domain.source_alert import datasource_alert, words_of
from tocsin.monitor.commit import Committer
from tocsin.store.memory import MemoryStore

UNREACHABLE = SourceError("connection refused", failure=SourceFailure.UNREACHABLE, transient=True)


class MoodyStore(MemoryStore):
    """A store that writes only while `free`, as a slow disk does, and in which saving evaluations raises `error`."""

    def __init__(self) -> None:
        super().__init__()
        self.free = asyncio.Event()
        self.free.set()
        self.error: Exception | None = None

    async def save_evaluations(self, evaluations):
        if self.error is not None:
            # A new one each time: raising the same object again and again would grow its traceback.
            raise type(self.error)(*self.error.args)
        await self._in_time(super().save_evaluations(evaluations))

    async def create_target(self, target):
        return await self._in_time(super().create_target(target))

    async def update_target(self, target, expected_version):
        return await self._in_time(super().update_target(target, expected_version))

    async def _in_time(self, work):
        async def wait():
            await self.free.wait()
            return await work

        return await asyncio.shield(asyncio.ensure_future(wait()))


def opening(name):
    """An evaluation that begins an alert."""
    made = datasource_alert(name, words_of(name, "refused"), None, START)
    return replace(made, target_name=name)


async def burning(*targets) -> Scene:
    scene = Scene(*targets, store=MoodyStore())
    scene.source.play("q", spike(START + 5 * MINUTE, START + 90 * MINUTE))
    scene.source.play("p", noise)
    await scene.open()
    return scene


async def test_a_target_is_deleted_whole_although_the_end_of_its_alert_is_not_kept_yet():
    scene = await burning(target())
    await scene.run_for(10 * MINUTE)
    scene.store.error = StoreError("disk full")
    await scene.monitor.delete_target("errors")
    assert await scene.store.targets() == []
    assert scene.monitor.views() == []
    scene.store.error = None
    await scene.run_for(MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.EXPIRED, "what was owed is kept as soon as the store does"
    assert (await scene.transitions())[-1].reason is Reason.TARGET_DELETED
    await scene.monitor.close()


async def test_a_target_that_was_changed_while_the_store_failed_is_still_watched_and_changeable():
    scene = await burning(target())
    await scene.run_for(10 * MINUTE)
    scene.store.error = StoreError("disk full")
    changed = await scene.monitor.update_target(replace(scene.monitor.view("errors").target, query="p"), None)
    scene.store.error = None
    before = changed.status.evaluations
    await scene.run_for(5 * MINUTE)
    assert scene.monitor.view("errors").status.evaluations >= before + 4
    assert [alert.state for alert in await scene.alerts()] == [AlertState.EXPIRED]
    await scene.monitor.update_target(replace(changed.target, pending_for=MINUTE), 2)
    await scene.monitor.close()


async def test_a_failure_that_nobody_foresaw_hangs_no_target():
    scene = await burning(target())
    scene.store.error = OverflowError("too large a number")
    await scene.run_for(6 * MINUTE)
    assert "too large a number" in scene.monitor.view("errors").status.reason
    scene.store.error = None
    await scene.run_for(3 * MINUTE)
    assert [alert.state for alert in await scene.alerts()] == [AlertState.FIRING]
    await scene.monitor.close()


class PickyStore(MemoryStore):
    """A store that can never keep an evaluation of the target `poison`."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error, self.tries = error, 0

    async def save_evaluations(self, evaluations):
        self.tries += 1
        await asyncio.sleep(0)
        if any(one.target_name == "poison" for one in evaluations):
            raise type(self.error)(*self.error.args)
        await super().save_evaluations(evaluations)


class Refused(StoreError):
    def __init__(self) -> None:
        super().__init__("refuses a row that contradicts another", transient=False)


@pytest.mark.parametrize("error", [Refused(), OverflowError("too large a number")])
async def test_what_can_never_be_kept_fails_alone(error):
    store = PickyStore(error)
    committer = Committer(store, lambda: None)
    first = asyncio.create_task(committer.save(opening("first")))
    await asyncio.sleep(0)
    names = ["a", "poison", "b"]
    told = await asyncio.gather(*(committer.save(opening(name)) for name in names), return_exceptions=True)
    await first
    assert [type(one) for one in told][::2] == [type(None)] * 2
    assert isinstance(told[1], StoreError)
    assert {alert.target_name for alert in await store.active_alerts()} == {
        "datasource:first",
        "datasource:a",
        "datasource:b",
    }
    assert committer.health.ok, "the store does keep what it can"


async def test_while_the_disk_is_full_a_batch_is_tried_once():
    store = PickyStore(StoreError("disk full"))
    committer = Committer(store, lambda: None)
    told = await asyncio.gather(
        *(committer.save(opening(name)) for name in ("a", "poison", "b")), return_exceptions=True
    )
    assert [type(one) for one in told] == [StoreError] * 3
    assert store.tries == 1
    assert not committer.health.ok


async def test_an_alert_that_is_being_kept_when_its_target_is_deleted_ends_with_it():
    scene = await burning(target())
    await scene.run_for(3 * MINUTE)
    scene.store.free.clear()
    await scene.run_for(4 * MINUTE)
    deleting = asyncio.create_task(scene.monitor.delete_target("errors"))
    await asyncio.sleep(0.01)
    scene.store.free.set()
    await asyncio.wait_for(deleting, 5)
    assert [alert.state for alert in await scene.alerts()] == [AlertState.EXPIRED]
    await scene.monitor.close()


async def test_a_caller_that_gives_up_leaves_no_half_edit():
    scene = await burning()
    monitor = scene.monitor
    scene.store.free.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(monitor.create_target(target()), 0.01)
    scene.store.free.set()
    await asyncio.sleep(0.01)
    assert [view.target.name for view in monitor.views()] == ["errors"], "the store has it, so it is watched"
    scene.store.free.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(monitor.update_target(target(pending_for=MINUTE), None), 0.01)
    scene.store.free.set()
    await asyncio.sleep(0.01)
    assert monitor.view("errors").target.version == (await scene.store.targets())[0].version == 2
    await monitor.close()


async def test_the_alert_about_a_datasource_ends_when_no_target_asks_it_any_more():
    scene = await burning(target(query="p"), target("other", query="p"))
    await scene.run_for(3 * MINUTE)
    scene.source.fail(UNREACHABLE)
    await scene.run_for(5 * MINUTE)
    await scene.monitor.delete_target("errors")
    await scene.monitor.update_target(replace(scene.monitor.view("other").target, query="q"), None)
    assert [alert.state for alert in await scene.alerts()] == [AlertState.FIRING], "one still asks"
    await scene.monitor.update_target(scene.monitor.view("other").target.enabled_as(enabled=False), None)
    assert [alert.state for alert in await scene.alerts()] == [AlertState.EXPIRED]
    await scene.monitor.close()
