"""Every older schema becomes the present one and loses nothing."""

import json
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from tests.store.builders import MINUTE, T0, acknowledgement, alert, begun, ended, target
from tocsin.domain.alert import AlertState
from tocsin.domain.errors import StoreError
from tocsin.domain.labels import Labels
from tocsin.domain.ports import AlertFilter, AnomalyFilter, Page
from tocsin.store import codec, open_store
from tocsin.store.documents import definition_text, evidence_body
from tocsin.store.engine import Database, postgres_database, postgres_url, sqlite_database
from tocsin.store.migrate import MIGRATIONS, bring_up_to_date
from tocsin.store.schema import VERSION, VERSION_TABLE, metadata

LABELS = Labels({"instance": 'we"b\\1', "job": "ü\x00\x1a\ud800", "path": "x" * 5000})
FIRST, SECOND = alert(labels=LABELS), alert("b")
ADDED_LATER = {"shadow", "facts", "unit"}
EVALUATIONS = [begun(FIRST), begun(SECOND), ended(SECOND, T0 + MINUTE)]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("postgres") if request.param == "postgres" else None


def connect(folder: Path, url: str | None) -> Database:
    return sqlite_database(folder / "tocsin.db") if url is None else postgres_database(postgres_url(url))


async def populate_version_1(database: Database) -> None:
    """What version 1 of the code would have written. Plain SQL: the tables of today are not those of then."""
    await bring_up_to_date(database, version="0001")

    def fill(connection: Connection) -> None:
        def insert(table: str, row: dict[str, object]) -> None:
            row = {name: _plain(value) for name, value in row.items() if name not in ADDED_LATER}
            columns = ", ".join(f'"{name}"' for name in row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), row)

        made = target()
        insert("settings", {"key": "monitor.running", "value": "true"})
        insert(
            "targets",
            {
                "name": made.name, "version": 3, "definition": definition_text(made),
                "created_at": made.created_at, "updated_at": made.updated_at,
            },
        )  # fmt: skip
        last = {one.id: one for evaluation in EVALUATIONS for one in evaluation.alerts}
        for one in last.values():
            insert("alerts", codec.alert_row(one))
        for evaluation in EVALUATIONS:
            for move in evaluation.transitions:
                insert("transitions", codec.transition_row(move))
            for piece in evaluation.evidence:
                insert("evidence", {"id": piece.id, "format": 1, "body": evidence_body(piece)})
            for seen in evaluation.anomalies:
                insert("anomalies", codec.anomaly_row(seen))
        insert("acknowledgements", codec.acknowledgement_row(acknowledgement(FIRST)))

    async with database.engine.begin() as connection:
        await connection.run_sync(fill)


def _plain(value: object) -> object:
    from datetime import datetime

    from tocsin.store.columns import EPOCH, MICROSECOND, escape

    if isinstance(value, datetime):
        return (value - EPOCH) // MICROSECOND
    return escape(value) if isinstance(value, str) else value


async def test_version_1_becomes_the_present_one_with_all_its_data(tmp_path: Path, url: str | None) -> None:
    old = connect(tmp_path, url)
    await populate_version_1(old)
    await old.close()
    store = await open_store(tmp_path, url=url)
    assert [(one.query, one.version) for one in await store.targets()] == [("up", 3)]
    assert await store.setting("monitor.running") == "true"
    assert await store.active_alerts() == [EVALUATIONS[0].alerts[0]]
    story = await store.alert(FIRST.id)
    assert story.acknowledgement == acknowledgement(FIRST)
    assert list(story.transitions) == list(EVALUATIONS[0].transitions)
    assert list(story.evidence) == list(EVALUATIONS[0].evidence)
    over = (await store.alert(SECOND.id)).alert
    assert over == EVALUATIONS[2].alerts[0]
    assert await store.last_sequence() == 3
    anomalies = (await store.anomalies(AnomalyFilter(), Page())).items
    assert {one.id: one for one in anomalies} == {one.anomalies[0].id: one.anomalies[0] for one in EVALUATIONS[:2]}
    # What version 2 brought: each label can be searched, also those written before it.
    for name, value in LABELS.items():
        which = Labels({name: value})
        assert [one.id for one in (await store.anomalies(AnomalyFilter(labels=which), Page())).items] == [
            EVALUATIONS[0].anomalies[0].id
        ]
        listed = await store.alerts(AlertFilter(states=tuple(AlertState), labels=which), Page())
        assert [one.alert.id for one in listed.items] == [FIRST.id]
    await store.save_evaluations(EVALUATIONS)
    assert await store.last_sequence() == 3
    await store.close()


async def test_the_migrations_make_exactly_the_tables_of_the_schema(tmp_path: Path, url: str | None) -> None:
    await (await open_store(tmp_path, url=url)).close()
    database = connect(tmp_path, url)

    def differences(connection: Connection) -> list[object]:
        options = {
            "compare_type": True,
            "compare_server_default": True,
            "version_table": VERSION_TABLE,
        }
        context = MigrationContext.configure(connection, opts=options)
        assert context.get_current_revision() == VERSION
        return list(compare_metadata(context, metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()


def test_the_version_of_the_schema_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [VERSION]
    assert [one.revision for one in scripts.walk_revisions()] == ["0006", "0005", "0004", "0003", "0002", "0001"]


async def test_a_migration_that_fails_leaves_the_older_version_whole(tmp_path: Path) -> None:
    old = connect(tmp_path, None)
    await populate_version_1(old)
    await old.close()
    connection = sqlite3.connect(tmp_path / "tocsin.db")
    for table in ("alerts", "anomalies"):
        connection.execute(f"UPDATE {table} SET labels = '{{' WHERE fingerprint = ?", [SECOND.fingerprint])
    connection.commit()
    before = "\n".join(connection.iterdump())
    with pytest.raises(StoreError, match="cannot be brought to version 0006"):
        await open_store(tmp_path)
    assert "\n".join(connection.iterdump()) == before
    labels = json.dumps(dict(SECOND.labels))
    for table in ("alerts", "anomalies"):
        connection.execute(f"UPDATE {table} SET labels = ? WHERE labels = '{{'", [labels])
    connection.commit()
    connection.close()
    await (await open_store(tmp_path)).close()
