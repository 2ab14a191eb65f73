"""Events: what every store must do."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.store.builders import MINUTE, T0
from tocsin.domain.errors import NotFound
from tocsin.domain.events import REMEMBERED, Event, EventKind
from tocsin.domain.labels import Labels
from tocsin.domain.ports import Retention, Store

EVENT = Event(
    "event:1",
    EventKind.DEPLOY,
    T0,
    "a\x00b \ud800",
    "cpu_usage",
    Labels({"path": "a\x00b\x1a\ud800", "": "ü"}),
    "grafana",
    "https://ci.example/1",
)


async def test_events_are_kept_replaced_and_forgotten(store: Store) -> None:
    assert not await store.events()
    later = replace(EVENT, id="event:0", at=T0 + MINUTE, target_name=None, labels=Labels())
    await store.save_event(EVENT)
    await store.save_event(later)
    assert list(await store.events()) == [later, EVENT]
    moved = replace(EVENT, at=T0 + 2 * MINUTE, title="again")
    await store.save_event(moved)
    assert list(await store.events()) == [moved, later]
    await store.delete_event(moved.id)
    assert list(await store.events()) == [later]
    with pytest.raises(NotFound):
        await store.delete_event(moved.id)


async def test_events_go_when_nothing_reaches_back_to_them(store: Store) -> None:
    old = replace(EVENT, at=T0 - REMEMBERED - timedelta(days=1))
    await store.save_event(old)
    await store.save_event(replace(EVENT, id="event:2"))
    assert await store.prune(Retention(), T0) == 1
    assert [one.id for one in await store.events()] == ["event:2"]
