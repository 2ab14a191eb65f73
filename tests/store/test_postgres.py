"""What only PostgreSQL has: a server, a password, an advisory lock."""

import asyncio
import os
from pathlib import Path

import psycopg
import pytest

from tests.store.builders import alert, begun
from tests.store.postgres import PASSWORD, Cluster, new_cluster
from tocsin.domain.errors import StoreError, StoreLocked
from tocsin.store import open_store


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
async def test_each_spelling_of_the_url_opens(tmp_path: Path, postgres: str, scheme: str) -> None:
    store = await open_store(tmp_path, url=postgres.replace("postgresql", scheme, 1))
    health = await store.probe()
    await store.close()
    assert health.ok
    assert health.size_bytes is not None
    assert health.size_bytes > 0
    assert PASSWORD not in health.detail
    assert not (tmp_path / "tocsin.db").exists()


async def test_a_second_process_on_the_same_database_is_refused_by_name(tmp_path: Path, postgres: str) -> None:
    first = await open_store(tmp_path / "one", url=postgres)
    with pytest.raises(StoreLocked) as refused:
        await open_store(tmp_path / "two", url=postgres)
    assert f"tocsin process {os.getpid()} on" in str(refused.value)
    assert PASSWORD not in str(refused.value)
    await first.close()
    await (await open_store(tmp_path / "two", url=postgres)).close()


async def test_no_failure_shows_the_password(tmp_path: Path, cluster: Cluster) -> None:
    wrong = cluster.url("postgres", password="wrong-hunter2")
    with pytest.raises(StoreError) as refused:
        await open_store(tmp_path, url=wrong)
    texts = [str(refused.value)]
    with pytest.raises(StoreError) as missing:
        await open_store(tmp_path, url=cluster.url("nowhere"))
    with pytest.raises(StoreError) as unreachable:
        await open_store(tmp_path, url=f"postgresql://tocsin:{PASSWORD}@127.0.0.1:1/x")
    texts += [str(missing.value), str(unreachable.value)]
    for error in (refused, missing, unreachable):
        chain, cause = "", error.value.__cause__
        while cause is not None:
            chain, cause = chain + str(cause), cause.__cause__
        texts.append(chain)
    assert not any(PASSWORD in one or "hunter2" in one for one in texts)
    assert "cannot be reached" in str(unreachable.value)


async def test_it_goes_on_when_the_server_comes_back(tmp_path: Path) -> None:
    server = await asyncio.to_thread(new_cluster)
    try:
        store = await open_store(tmp_path, url=server.database())
        await store.save_evaluations([begun(alert())])
        await asyncio.to_thread(server.stop)
        for _ in range(2):
            with pytest.raises(StoreError):
                await store.save_evaluations([begun(alert("b"))])
        assert not (await store.probe()).ok
        await asyncio.to_thread(server.start)
        await store.save_evaluations([begun(alert("c"))])
        assert len(await store.active_alerts()) == 2
        assert (await store.probe()).ok
        await store.close()
    finally:
        await asyncio.to_thread(server.remove)
        server.folder.parent.rmdir()


async def test_who_lost_the_lock_to_another_writes_no_more(tmp_path: Path, postgres: str) -> None:
    first = await open_store(tmp_path / "one", url=postgres)
    await first.save_setting("a", "1")
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    second = await open_store(tmp_path / "two", url=postgres)
    with pytest.raises(StoreLocked):
        await first.save_setting("a", "2")
    assert await second.setting("a") == "1"
    await second.close()
    await first.save_setting("a", "3")
    assert await first.setting("a") == "3"
    await first.close()
