"""Bringing a database to the schema of this code."""

from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin.domain.errors import SchemaTooNew, StoreError
from tocsin.store.engine import Database
from tocsin.store.schema import VERSION, VERSION_TABLE, metadata

MIGRATIONS: Final = Path(__file__).parent / "migrations"


async def bring_up_to_date(database: Database, *, version: str = VERSION) -> None:
    """Run the migrations that are due up to `version`, all in one transaction.

    Raises `SchemaTooNew` for a database that a newer Tocsin has written, `StoreError` when it cannot be read or
    changed.
    """
    present = await database.read(lambda connection: connection.run_sync(schema_version))
    if present == version:
        return
    if present is not None and not present.isdigit():
        raise StoreError(f"{database.place} has the unknown schema version {present!r}", transient=False)
    if present is not None and int(present) > int(version):
        raise SchemaTooNew(
            f"{database.place} has schema version {present}, this Tocsin knows {version}: it was written by a newer "
            "Tocsin; install that version, or use another state folder"
        )

    if present is None and version == VERSION:
        # A new database needs no history of changes: the schema as it is now, which a test holds against the
        # migrations. Alembic costs 0.2 s and 10 MiB.
        await database.write(_create)
        return
    try:
        await database.write(partial(_migrate, version))
    except ValueError as error:
        # A migration that reads what is there met something that was never written like that.
        raise StoreError(
            f"{database.place} cannot be brought to version {version}, it stays as it was: {error}", transient=False
        ) from error


def schema_version(connection: Connection) -> str | None:
    """The version of the schema in the database, None when there is none yet. Reads one row and needs no Alembic."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 -- a constant


async def _create(connection: AsyncConnection) -> None:
    await connection.run_sync(metadata.create_all)
    await connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    await connection.execute(text(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES ('{VERSION}')"))  # noqa: S608 -- constants


async def _migrate(version: str, connection: AsyncConnection) -> None:
    await connection.run_sync(_upgrade, version)


def _upgrade(connection: Connection, version: str) -> None:
    # Imported here: nearly every start needs none of it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, version)
