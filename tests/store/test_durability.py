"""Killed at any moment: what was told is there, once."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tocsin.domain.ports import AlertFilter, AnomalyFilter, Page, SequencedTransition, Store
from tocsin.store import open_store

KILLS = 20
# One process imports everything and forks the writers, which it kills: twenty starts would cost half a minute. A killed
# writer's lines are all in the pipe, since each is one small write.
DRIVER = """
import asyncio, os, random, signal, sys, time
from pathlib import Path
import alembic.command, psycopg, sqlalchemy.dialects.sqlite.aiosqlite
from tests.store.builders import T0, MINUTE, acknowledgement, alert, begun, ended, mark
from tocsin.store import open_store

def say(*words):
    os.write(1, (" ".join(words) + "\\n").encode())

async def write(folder, url, run, written):
    store = await open_store(Path(folder), url=url or None)
    number = 0
    while True:
        number += 1
        one = alert(f"{run}-{number}")
        await store.save_evaluations([begun(one)])
        say("saved", one.id)
        await store.acknowledge([acknowledgement(one, "ann", f"{run}-{number}")])
        say("acknowledged", one.id)
        await store.mark(mark(one))
        say("marked", one.id)
        if number == 1:
            os.write(written, b"!")
        if number % 2:
            await store.save_evaluations([begun(one), ended(one, T0 + MINUTE)])
            say("ended", one.id)

folder, url, kills = sys.argv[1:]
chance = random.Random(4711)
for run in range(int(kills)):
    reading, written = os.pipe()
    child = os.fork()
    if child == 0:
        asyncio.run(write(folder, url, run, written))
    os.close(written)
    # Every fifth dies while it opens; the others once they have written something.
    if run % 5 != 4 and not os.read(reading, 1):
        raise SystemExit(f"writer {run} ended by itself")
    time.sleep(chance.uniform(0.0, 0.2))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    if url:
        time.sleep(0.3)  # PostgreSQL notices a killed client only after a moment
"""


def kill_many(folder: Path, url: str, kills: int) -> list[tuple[str, str]]:
    """What the writers had said by the time they were killed."""
    command = [sys.executable, "-c", DRIVER, str(folder), url, str(kills)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    return [(line.split()[0], line.split()[1]) for line in run.stdout.splitlines()]


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_everything_that_was_told_survives_sigkill_and_nothing_is_doubled(
    tmp_path: Path, request: pytest.FixtureRequest, database: str
) -> None:
    url = request.getfixturevalue("postgres") if database == "postgres" else ""
    kills = KILLS if database == "sqlite" else 5
    told = await asyncio.to_thread(kill_many, tmp_path, url, kills)
    store = await open_store(tmp_path, url=url or None)
    listing = await store.alerts(AlertFilter(), Page(100_000))
    records = {record.alert.id: record for record in listing.items}
    anomalies = await store.anomalies(AnomalyFilter(), Page(100_000))
    transitions = await _log(store)
    await store.close()
    assert len(told) > kills, "the writer was killed before it said enough"
    for what, alert_id in told:
        record = records[alert_id]
        assert what != "acknowledged" or record.acknowledgement is not None
        assert what != "marked" or record.mark is not None
        assert what != "ended" or not record.alert.active
    assert len(records) == len(listing.items) == len(anomalies.items)
    moves = [(one.transition.alert_id, one.transition.after) for one in transitions]
    assert len(moves) == len(set(moves))
    if database == "sqlite":
        with sqlite3.connect(tmp_path / "tocsin.db") as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()


async def _log(store: Store) -> list[SequencedTransition]:
    read: list[SequencedTransition] = []
    while part := await store.transitions_after(read[-1].sequence if read else 0, 1000):
        read += part
    return read
