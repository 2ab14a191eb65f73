"""`TargetStore` over SQL."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin.domain.errors import Conflict, NotFound
from tocsin.domain.target import Target
from tocsin.store.documents import definition_text, target_of
from tocsin.store.part import Part, reads
from tocsin.store.schema import targets


class SqlTargets(Part):
    """Targets, each a name, a version and a definition. Timestamps are the caller's."""

    @reads
    async def targets(self, connection: AsyncConnection) -> Sequence[Target]:
        """All saved targets, by name."""
        rows = await connection.execute(select(targets))
        # Sorted here: PostgreSQL would sort by the rules of its locale.
        return sorted((_target(row) for row in rows.mappings()), key=lambda target: target.name)

    async def create_target(self, target: Target) -> Target:
        """Save a new one (version 1); raises `Conflict` when the name is taken."""
        created = replace(target, version=1)
        insert = self._database.insert(targets).on_conflict_do_nothing().returning(targets.c.name)

        async def work(connection: AsyncConnection) -> bool:
            result = await connection.execute(
                insert,
                {
                    "name": created.name,
                    "version": created.version,
                    "definition": definition_text(created),
                    "created_at": created.created_at,
                    "updated_at": created.updated_at,
                },
            )
            return result.first() is not None

        if not await self._database.write(work):
            raise Conflict(f"a target named {target.name!r} exists already")
        return created

    async def update_target(self, target: Target, expected_version: int) -> Target:
        """Save with the next version, keeping `created_at`; raises `Conflict` when the stored version differs,
        `NotFound` when it is gone.
        """
        mine = targets.c.name == target.name

        async def work(connection: AsyncConnection) -> Target:
            row = (await connection.execute(select(targets).where(mine))).mappings().first()
            if row is None:
                raise NotFound(f"there is no target named {target.name!r}")
            if row["version"] != expected_version:
                raise Conflict(
                    f"target {target.name!r} was changed meanwhile: it is at version {row['version']}, "
                    f"not {expected_version}"
                )
            changed = replace(target, version=expected_version + 1, created_at=row["created_at"] or target.created_at)
            await connection.execute(
                update(targets)
                .where(mine)
                .values(
                    version=changed.version,
                    definition=definition_text(changed),
                    created_at=changed.created_at,
                    updated_at=changed.updated_at,
                )
            )
            return changed

        return await self._database.write(work)

    async def delete_target(self, name: str) -> None:
        """Forget it; its alerts and anomalies stay in history. Raises `NotFound`."""

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(delete(targets).where(targets.c.name == name))).rowcount

        if not await self._database.write(work):
            raise NotFound(f"there is no target named {name!r}")


def _target(row: RowMapping) -> Target:
    return target_of(
        row["name"], row["version"], row["definition"], created_at=row["created_at"], updated_at=row["updated_at"]
    )
