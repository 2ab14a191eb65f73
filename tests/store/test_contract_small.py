"""Targets, settings, health: what every store must do."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.store.builders import MINUTE, T0, target
from tocsin.detect import Direction, Severity
from tocsin.domain.errors import Conflict, NotFound
from tocsin.domain.labels import Labels
from tocsin.domain.ports import Store
from tocsin.domain.target import Owner, QueryType


async def test_a_target_comes_back_as_it_was_made(store: Store) -> None:
    full = target(
        "error_rate",
        query='sum(rate(http_requests_total{status=~"5.."}[5m]))',
        query_type=QueryType.HOST,
        check_interval=timedelta(seconds=1, microseconds=1),
        detection_methods=("mad", "zscore"),
        severity_threshold=Severity.CRITICAL,
        enabled=False,
        direction=Direction.BELOW,
        min_effect=0.1,
        alert_above=float("inf"),
        lower_bound=-0.5,
        labels=Labels({"team": "søre", "": ""}),
        description="zwei\nZeilen \x00",
        owner=Owner.FILE,
    )
    created = await store.create_target(full)
    assert created == full
    assert await store.targets() == [full]


async def test_targets_are_listed_by_name(store: Store) -> None:
    for name in ("b", "a", "B", "a_b", "a b"):
        await store.create_target(target(name))
    assert [one.name for one in await store.targets()] == ["B", "a", "a b", "a_b", "b"]


async def test_a_taken_name_is_a_conflict_and_changes_nothing(store: Store) -> None:
    first = await store.create_target(target(query="one"))
    with pytest.raises(Conflict, match="cpu_usage"):
        await store.create_target(target(query="two"))
    assert await store.targets() == [first]


async def test_an_update_needs_the_version_it_was_made_from(store: Store) -> None:
    first = await store.create_target(target(version=7))
    assert first.version == 1
    second = await store.update_target(replace(first, query="two", updated_at=T0 + MINUTE, created_at=None), 1)
    assert (second.version, second.query, second.created_at, second.updated_at) == (2, "two", T0, T0 + MINUTE)
    with pytest.raises(Conflict, match="version 2"):
        await store.update_target(replace(first, query="three"), 1)
    assert await store.targets() == [second]


async def test_of_many_updates_at_once_one_wins(store: Store) -> None:
    first = await store.create_target(target())
    outcomes = await asyncio.gather(
        *(store.update_target(replace(first, query=str(number)), 1) for number in range(8)), return_exceptions=True
    )
    assert sum(isinstance(one, Conflict) for one in outcomes) == 7
    assert (await store.targets())[0].version == 2


async def test_what_is_gone_is_not_found(store: Store) -> None:
    made = await store.create_target(target())
    await store.delete_target(made.name)
    assert await store.targets() == []
    with pytest.raises(NotFound, match="cpu_usage"):
        await store.delete_target(made.name)
    with pytest.raises(NotFound, match="cpu_usage"):
        await store.update_target(made, 1)


async def test_settings_are_kept_and_replaced(store: Store) -> None:
    assert await store.setting("monitor.running") is None
    await store.save_setting("monitor.running", "true")
    await store.save_setting("monitor.running", "fal\x00se")
    await store.save_setting("other\x00", "")
    assert await store.setting("monitor.running") == "fal\x00se"
    assert await store.setting("other\x00") == ""


async def test_a_probe_says_that_all_is_well(store: Store) -> None:
    health = await store.probe()
    assert health.ok
    assert health.detail


async def test_close_can_be_repeated(store: Store) -> None:
    await store.close()
    await store.close()
