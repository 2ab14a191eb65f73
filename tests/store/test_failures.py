"""A database that cannot: what is said, and that it is over when its cause is."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError

from tests.store.builders import T0, alert, anomaly, begun
from tocsin.domain.errors import StoreError
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.ports import AnomalyFilter, Page, Retention
from tocsin.store import MemoryStore, SqlStore, open_store
from tocsin.store.failures import store_error


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    made = await open_store(tmp_path)
    yield made
    await made.close()


def many(count: int, text: str = "x" * 2000) -> Evaluation:
    return Evaluation("t", T0, tuple(anomaly(alert(str(one)), explanation=text) for one in range(count)))


class Pragma:
    """A PRAGMA that every connection gets before its transaction, until it is lifted."""

    def __init__(self, store: SqlStore, set_it: str, lift_it: str) -> None:
        self.wanted, self.lift_it = set_it, lift_it
        event.listen(store._database.engine.sync_engine.pool, "checkout", self._apply)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.wanted = self.lift_it

    def _apply(self, connection, record, proxy) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA {self.wanted}")
        cursor.close()


async def test_a_full_disk_is_said_and_when_there_is_space_it_works_again(store: SqlStore) -> None:
    await store.save_evaluations([begun(alert())])
    with Pragma(store, "max_page_count = 1", "max_page_count = 1000000000"):
        with pytest.raises(StoreError, match="the disk is full") as full:
            await store.save_evaluations([many(200)])
        assert full.value.transient
        assert [one.id for one in await store.active_alerts()] == [alert().id], "reading goes on"
        assert (await store.anomalies(AnomalyFilter(), Page())).total == 1, "nothing of it was kept"
    await store.save_evaluations([many(200)])
    assert (await store.anomalies(AnomalyFilter(), Page())).total == 201
    assert (await store.probe()).ok


async def test_a_read_only_database_is_said_and_when_it_may_be_written_it_works_again(store: SqlStore) -> None:
    with Pragma(store, "query_only = ON", "query_only = OFF"):
        with pytest.raises(StoreError, match="is read-only"):
            await store.save_evaluations([begun(alert())])
        health = await store.probe()
        assert not health.ok
        assert "is read-only" in health.detail
        assert await store.active_alerts() == []
    await store.save_evaluations([begun(alert())])
    assert (await store.probe()).ok


async def test_labels_are_kept_although_the_batch_that_brought_them_first_failed(store: SqlStore) -> None:
    with Pragma(store, "query_only = ON", "query_only = OFF"), pytest.raises(StoreError):
        await store.save_evaluations([begun(alert())])
    await store.save_evaluations([begun(alert())])
    assert (await store.anomalies(AnomalyFilter(labels=alert().labels), Page())).total == 1


async def test_a_database_that_another_holds_is_said(store: SqlStore, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "tocsin.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with (
        Pragma(store, "busy_timeout = 50", "busy_timeout = 5000"),
        pytest.raises(StoreError, match="is locked") as busy,
    ):
        await store.save_setting("a", "b")
    assert busy.value.transient
    other.execute("ROLLBACK")
    other.close()
    await store.save_setting("a", "b")


async def test_a_file_that_is_no_database_is_told_from_a_new_one_and_left_alone(tmp_path: Path) -> None:
    content = b"this is no database, " * 100
    (tmp_path / "tocsin.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"is damaged .file is not a database.*restore a backup") as damaged:
        await open_store(tmp_path)
    assert not damaged.value.transient
    assert (tmp_path / "tocsin.db").read_bytes() == content


async def test_damage_inside_is_said(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    await store.save_evaluations([many(300)])
    await store.close()
    path = tmp_path / "tocsin.db"
    with path.open("r+b") as file:
        # The schema and its version lie near the beginning: opening works, and rows cannot be read.
        half = path.stat().st_size // 2
        file.seek(half)
        file.write(os.urandom(half))
    store = await open_store(tmp_path)
    with pytest.raises(StoreError, match="database disk image is malformed"):
        await store.anomalies(AnomalyFilter(), Page(1000))
    await store.close()


async def test_a_folder_that_went_away_is_said(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "state")
    await store._database.engine.dispose()
    (tmp_path / "state").rename(tmp_path / "moved")
    with pytest.raises(StoreError, match="cannot be opened"):
        await store.save_setting("a", "b")
    (tmp_path / "moved").rename(tmp_path / "state")
    await store.save_setting("a", "b")
    await store.close()


async def test_pruned_space_goes_back_to_the_disk(store: SqlStore, tmp_path: Path) -> None:
    await store.save_evaluations([many(1000)])
    await _checkpoint(store)
    before = (tmp_path / "tocsin.db").stat().st_size
    await store.prune(Retention(max_anomalies=0), T0)
    await _checkpoint(store)
    assert (tmp_path / "tocsin.db").stat().st_size < before / 2


async def _checkpoint(store: SqlStore) -> None:
    async with store._database.engine.connect() as connection:
        await connection.rollback()
    raw = sqlite3.connect(str(store._database.engine.url.database))
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()


async def test_readers_go_on_beside_each_other_and_a_writer(store: SqlStore) -> None:
    await store.save_evaluations([many(50)])
    answers = await asyncio.gather(
        *(store.anomalies(AnomalyFilter(), Page()) for _ in range(40)),
        *(store.save_evaluations([many(60)]) for _ in range(5)),
    )  # fmt: skip
    assert all(one is None or one.total in (50, 60) for one in answers)


class _Told(Exception):
    """What psycopg raises, as far as it is looked at."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("connection to host=db password=hunter2 failed")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("state", "words", "transient"),
    [
        ("53100", "the disk of the server is full", True),
        ("53300", "no connection left", True),
        ("53200", "short of resources", True),
        ("25006", "is read-only", True),
        ("28P01", "refuses the user or the password", False),
        ("3D000", "does not exist", False),
        ("08006", "cannot be reached", True),
        ("57P01", "is shutting down", True),
        ("57014", "took too long", True),
        ("XX001", "is damaged", False),
        ("23503", "contradicts another", False),
        ("42P01", "SQLSTATE 42P01", False),
        (None, "failed with _Told", False),
    ],
)
def test_what_postgresql_says_is_told_in_words_and_without_secrets(
    state: str | None, words: str, transient: bool
) -> None:
    error = store_error("the database", DBAPIError("SELECT 'hunter2'", {"a": "hunter2"}, _Told(state)))
    assert words in str(error)
    assert "hunter2" not in str(error)
    assert error.transient is transient


def test_a_disk_with_errors_is_told() -> None:
    broken = sqlite3.OperationalError("disk I/O error")
    broken.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    assert "the disk answers with errors" in str(store_error("it", OperationalError("", {}, broken)))


async def test_the_fake_fails_when_told_and_recovers() -> None:
    fake = MemoryStore()
    await fake.save_evaluations([begun(alert())])
    fake.failing = StoreError("the disk is full")
    with pytest.raises(StoreError, match="the disk is full"):
        await fake.save_evaluations([begun(alert("b"))])
    assert not (await fake.probe()).ok
    fake.failing = None
    assert len(await fake.active_alerts()) == 1
    assert fake.saves == 1
