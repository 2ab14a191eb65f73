"""Opening: folder, lock, versions, lazy imports."""

import asyncio
import os
import random
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.store.builders import T0, alert, begun
from tocsin.domain.errors import SchemaTooNew, StoreError, StoreLocked
from tocsin.domain.ports import Store
from tocsin.store import open_store
from tocsin.store.engine import sqlite_database
from tocsin.store.migrate import bring_up_to_date
from tocsin.store.schema import VERSION


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_folder_and_files_are_for_the_owner_only(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        store: Store = await open_store(tmp_path / "deep" / "state")
        await store.save_evaluations([begun(alert())])
        assert mode(tmp_path / "deep" / "state") == 0o700
        modes = {path.name: mode(path) for path in (tmp_path / "deep" / "state").iterdir()}
        assert modes == dict.fromkeys(("tocsin.db", "tocsin.db-wal", "tocsin.db-shm", "tocsin.lock"), 0o600)
        await store.close()
    finally:
        os.umask(before)


async def test_what_was_kept_is_there_after_closing(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    await store.save_evaluations([begun(alert())])
    await store.close()
    store = await open_store(tmp_path)
    assert [one.id for one in await store.active_alerts()] == [alert().id]
    await store.close()


async def test_the_journal_is_on_the_disk_before_anything_is_told(tmp_path: Path) -> None:
    store = await open_store(tmp_path)

    async def pragmas(connection: AsyncConnection) -> dict[str, object]:
        return {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "auto_vacuum", "busy_timeout")
        }

    found = await store._database.read(pragmas)
    await store.close()
    assert found == {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "auto_vacuum": 2, "busy_timeout": 5000,
    }  # fmt: skip


async def test_a_second_process_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from tocsin.store import open_store\n"
        "async def main():\n await open_store(Path(sys.argv[1])); print('open', flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(main())"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"open\n"
        with pytest.raises(StoreLocked) as refused:
            await open_store(tmp_path)
        for part in (str(owner.pid), socket.gethostname(), str(tmp_path)):
            assert part in str(refused.value)
        assert not refused.value.transient
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    await (await open_store(tmp_path)).close()


async def test_a_store_that_is_closed_keeps_and_tells_nothing(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    await store.close()
    with pytest.raises(StoreError, match="is closed"):
        await store.save_setting("a", "b")
    with pytest.raises(StoreError, match="is closed"):
        await store.setting("a")
    assert not (await store.probe()).ok


async def test_the_lock_is_free_after_a_failed_opening(tmp_path: Path) -> None:
    (tmp_path / "tocsin.db").write_bytes(b"this is no database, " * 100)
    with pytest.raises(StoreError):
        await open_store(tmp_path)
    (tmp_path / "tocsin.db").unlink()
    await (await open_store(tmp_path)).close()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=str(tmp_path / "file" / "state")):
        await open_store(tmp_path / "file" / "state")


async def test_a_database_of_a_newer_tocsin_is_refused_with_both_versions(tmp_path: Path) -> None:
    await (await open_store(tmp_path)).close()
    connection = sqlite3.connect(tmp_path / "tocsin.db")
    connection.execute("UPDATE tocsin_schema SET version_num = '0417'")
    connection.commit()
    with pytest.raises(SchemaTooNew) as refused:
        await open_store(tmp_path)
    assert "0417" in str(refused.value)
    assert VERSION in str(refused.value)
    connection.execute("UPDATE tocsin_schema SET version_num = 'abc'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="unknown schema version 'abc'"):
        await open_store(tmp_path)


async def test_alembic_is_imported_only_when_a_migration_is_due(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; import tocsin.store\n"
        "print('alembic' in sys.modules)\n"
        "async def main(): await (await tocsin.store.open_store(Path(sys.argv[1]))).close()\n"
        "asyncio.run(main()); print('alembic' in sys.modules)"
    )

    def imported() -> list[str]:
        command = [sys.executable, "-c", code, str(tmp_path)]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()

    assert imported() == ["False", "False"], "a new database is made as it is now"
    assert imported() == ["False", "False"]
    old = tmp_path / "old"
    old.mkdir()
    database = sqlite_database(old / "tocsin.db")
    await bring_up_to_date(database, version="0001")
    await database.close()
    tmp_path = old
    assert imported() == ["False", "True"]


@pytest.mark.parametrize(
    "url", ["mysql://a:hunter2@b/c", "sqlite:///x?p=hunter2", "hunter2", "postgres://a:hunter2@b:x/c"]
)
async def test_a_url_that_cannot_be_used_is_refused_without_its_secrets(tmp_path: Path, url: str) -> None:
    with pytest.raises(StoreError) as refused:
        await open_store(tmp_path, url=url)
    assert "hunter2" not in str(refused.value)


async def test_a_cancelled_caller_does_not_tear_what_is_being_kept(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    for number in range(30):
        task = asyncio.ensure_future(store.save_evaluations([begun(alert(str(number)))]))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await store.save_evaluations([begun(alert("last"))])
    # Those whose task had begun are whole; those cancelled before their first step are not there at all.
    for one in await store.active_alerts():
        story = await store.alert(one.id)
        assert (len(story.transitions), len(story.evidence)) == (1, 1)
    await store.save_setting("at", str(T0))
    await store.close()


async def test_closing_waits_for_a_reader_and_leaves_no_file_open(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path / "tocsin.db")
    reading = asyncio.Event()

    async def slow(connection: AsyncConnection) -> None:
        await connection.exec_driver_sql("select 1")
        reading.set()
        await asyncio.sleep(0.05)
        await connection.exec_driver_sql("select 1")

    reader = asyncio.create_task(database.read(slow))
    await reading.wait()
    await database.close()
    await asyncio.wait_for(reader, 0.001)
    with pytest.raises(StoreError, match="is closed"):
        await database.read(slow)


async def test_readers_that_are_cancelled_leave_no_connection_behind(tmp_path: Path) -> None:
    chance = random.Random(20_261_125)
    for attempt in range(25):
        folder = tmp_path / str(attempt)
        store = await open_store(folder)
        readers = [asyncio.create_task(store.counts()) for _ in range(8)]
        for reader in readers:
            await asyncio.sleep(chance.random() * 0.002)
            if chance.random() < 0.7:
                reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        await store.close()
        assert await _none_open_in(folder), f"attempt {attempt} left a connection open"


async def _none_open_in(folder: Path) -> bool:
    for _ in range(100):
        if not any(str(folder) in path for path in _open_files()):
            return True
        await asyncio.sleep(0.05)  # a connection is closed by its thread
    return False


def _open_files() -> Iterator[str]:
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them is gone by then
            yield str(descriptor.readlink())
