"""`FeedbackStore` over SQL: what people say afterwards."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Final

from sqlalchemy import BigInteger, RowMapping, delete, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin.detect import Severity
from tocsin.domain.alert import AlertKind
from tocsin.domain.errors import NotFound
from tocsin.domain.feedback import OCCASION, Acceptance, Firing, Mark, MarkedAlert, MarkedWindow
from tocsin.domain.labels import Labels
from tocsin.domain.proposal import Proposal
from tocsin.store import codec
from tocsin.store.columns import MICROSECOND
from tocsin.store.feedback_documents import FORMAT, document, read
from tocsin.store.part import Part, reads
from tocsin.store.schema import acceptances, alerts, anomalies, marked_windows, marks, proposals

_MOST_MARKS: Final = 10_000
_IN_PARTS: Final = {"yield_per": 500}
"""So many rows at a time: of tens of thousands only what is made of them is held at once."""


class SqlFeedback(Part):
    """Verdicts, marked windows, what was accepted, and the proposals."""

    async def mark(self, mark: Mark) -> None:
        """Keep it, in the place of an earlier one of the same alert; raises `NotFound` for an unknown alert."""
        insert = self._database.insert(marks)
        changed = {name: insert.excluded[name] for name in ("verdict", "who", "note", "at")}
        upsert = insert.on_conflict_do_update(index_elements=[marks.c.alert_id], set_=changed)

        async def work(connection: AsyncConnection) -> None:
            known = await connection.scalar(select(alerts.c.id).where(alerts.c.id == mark.alert_id))
            if known is None:
                raise NotFound(f"there is no alert {mark.alert_id!r}")
            await connection.execute(upsert, codec.mark_row(mark))

        await self._database.write(work)

    async def unmark(self, alert_id: str) -> bool:
        """Take it back; False when there was none."""

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(delete(marks).where(marks.c.alert_id == alert_id))).rowcount

        return bool(await self._database.write(work))

    @reads
    async def marks(
        self, connection: AsyncConnection, target_name: str | None, since: datetime
    ) -> Sequence[MarkedAlert]:
        """The marked alerts of a target, or of all, that were active at or after an instant, the newest mark first."""
        asked = (
            select(
                alerts,
                marks.c.verdict.label("mark_verdict"),
                marks.c.who.label("mark_who"),
                marks.c.note.label("mark_note"),
                marks.c.at.label("mark_at"),
            )
            .select_from(alerts.join(marks, marks.c.alert_id == alerts.c.id))
            .where(alerts.c.ends_at.is_(None) | (alerts.c.ends_at >= since))
            .order_by(marks.c.at.desc(), alerts.c.id)
            .limit(_MOST_MARKS)
        )
        if target_name is not None:
            asked = asked.where(alerts.c.target_name == target_name)
        rows = (await connection.execute(asked)).mappings()
        return [MarkedAlert(codec.alert_of(row), _mark(row)) for row in rows]

    async def save_window(self, window: MarkedWindow) -> None:
        """Keep a marked window."""
        insert = self._database.insert(marked_windows)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert, codec.window_row(window))

        await self._database.write(work)

    async def delete_window(self, window_id: str) -> None:
        """Forget it; raises `NotFound`."""

        async def work(connection: AsyncConnection) -> int:
            mine = marked_windows.c.id == window_id
            return (await connection.execute(delete(marked_windows).where(mine))).rowcount

        if not await self._database.write(work):
            raise NotFound(f"there is no marked window {window_id!r}")

    @reads
    async def windows(self, connection: AsyncConnection) -> Sequence[MarkedWindow]:
        """All marked windows, by when they begin, the newest first."""
        asked = select(marked_windows).order_by(marked_windows.c.begins_at.desc(), marked_windows.c.id)
        return [codec.window_of(row) for row in (await connection.execute(asked)).mappings()]

    async def save_acceptances(self, keep: Sequence[Acceptance]) -> None:
        """Keep some, each in the place of an earlier form of the same id; all or nothing."""
        insert = self._database.insert(acceptances)
        changed = {name: insert.excluded[name] for name in ("at", "over_at", "format", "body")}
        upsert = insert.on_conflict_do_update(index_elements=[acceptances.c.id], set_=changed)
        rows = [
            {"id": one.id, "at": one.at, "over_at": one.over_at, "format": FORMAT, "body": document(one)}
            for one in keep
        ]

        async def work(connection: AsyncConnection) -> None:
            if rows:
                await connection.execute(upsert, rows)

        await self._database.write(work)

    @reads
    async def acceptances(self, connection: AsyncConnection) -> Sequence[Acceptance]:
        """All of them, also those that are over, the newest first."""
        asked = select(acceptances).order_by(acceptances.c.at.desc(), acceptances.c.id)
        rows = await connection.execute(asked)
        return [read(Acceptance, row.id, row.format, row.body) for row in rows]

    async def save_proposals(self, keep: Sequence[Proposal], drop: Sequence[str] = ()) -> None:
        """Keep some, each in the place of an earlier form of the same id, and forget `drop`; all or nothing."""
        insert = self._database.insert(proposals)
        changed = {name: insert.excluded[name] for name in ("updated_at", "format", "body")}
        upsert = insert.on_conflict_do_update(index_elements=[proposals.c.id], set_=changed)
        rows = [{"id": one.id, "updated_at": one.updated_at, "format": FORMAT, "body": document(one)} for one in keep]

        async def work(connection: AsyncConnection) -> None:
            if drop:
                await connection.execute(delete(proposals).where(proposals.c.id.in_(drop)))
            if rows:
                await connection.execute(upsert, rows)

        await self._database.write(work)

    @reads
    async def proposals(self, connection: AsyncConnection) -> Sequence[Proposal]:
        """All of them, those that changed last first."""
        asked = select(proposals).order_by(proposals.c.updated_at.desc(), proposals.c.id)
        rows = await connection.execute(asked)
        return [read(Proposal, row.id, row.format, row.body) for row in rows]

    @reads
    async def firings(self, connection: AsyncConnection, since: datetime, limit: int) -> Sequence[Firing]:
        """The anomaly alerts that began to fire at or after an instant, the newest first."""
        table = alerts.c
        asked = (
            select(table.id, table.target_name, table.labels, table.starts_at, table.value, table.expected_value)
            .where(table.starts_at >= since, table.kind == AlertKind.ANOMALY.value)
            .order_by(table.starts_at.desc(), table.id)
            .limit(limit)
        )
        rows, labels_of = await connection.stream(asked, execution_options=_IN_PARTS), _shared_labels()
        return [
            Firing(
                row.id,
                row.target_name,
                labels_of(row.labels),
                row.starts_at,
                (row.value or 0.0) - (row.expected_value or 0.0),
            )
            async for row in rows
        ]

    @reads
    async def held_back(self, connection: AsyncConnection, since: datetime, limit: int) -> Sequence[Firing]:
        """When series stood out at or after an instant of which no alert fired, by occasion, the most severe first."""
        table = anomalies.c
        first, rank = func.min(table.timestamp).label("first"), func.max(table.severity_rank).label("rank")
        deviation = table.value - table.expected_value
        asked = (
            select(
                table.target_name,
                func.min(table.labels).label("labels"),
                first,
                rank,
                func.max(deviation).label("above"),
                func.min(deviation).label("below"),
            )
            .select_from(anomalies.outerjoin(alerts, alerts.c.id == table.alert_id))
            .where(table.timestamp >= since, alerts.c.starts_at.is_(None))
            .group_by(
                table.target_name,
                table.fingerprint,
                type_coerce(table.timestamp, BigInteger) // (OCCASION // MICROSECOND),
            )
            .order_by(rank.desc(), first.desc(), table.target_name, table.fingerprint)
            .limit(limit)
        )
        rows = await connection.stream(asked, execution_options=_IN_PARTS)
        labels_of, ranked = _shared_labels(), list(Severity)
        return [
            Firing(
                None,
                row.target_name,
                labels_of(row.labels),
                row.first,
                max(row.above or 0.0, row.below or 0.0, key=abs),
                ranked[row.rank],
            )
            async for row in rows
        ]


def _shared_labels() -> Callable[[str], Labels]:
    """Reads labels; a series has one object for all its rows, of which there are thousands."""
    return cache(codec.labels_of)


def _mark(row: RowMapping) -> Mark:
    return codec.mark_of(row["id"], row["mark_verdict"], row["mark_who"], row["mark_note"], row["mark_at"])
