"""`Housekeeping` over SQL: retention and health."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

from sqlalchemy import Column, ColumnElement, Table, and_, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin.domain.alert import ACTIVE
from tocsin.domain.errors import StoreError
from tocsin.domain.feedback import REMEMBERED
from tocsin.domain.ports import Retention, StoreHealth
from tocsin.store.part import Part, reads
from tocsin.store.schema import (
    acceptances,
    acknowledgements,
    alerts,
    anomalies,
    events,
    evidence,
    marked_windows,
    marks,
    proposals,
    series_labels,
    transitions,
)
from tocsin.store.settings import SqlSettings

CHUNK: Final = 500
"""Rows of one table that one transaction deletes: an evaluation that waits to be kept waits a few milliseconds."""

SWEEP: Final = 2_000
"""Rows that are looked at for an owner in one go."""

VACUUM_PAGES: Final = 2_000
"""Free pages given back to the disk at once, 8 MB."""

PROBE_KEY: Final = "store.probe"


class SqlHousekeeping(SqlSettings, Part):
    """Care of the store itself."""

    async def prune(self, retention: Retention, now: datetime) -> int:
        """Delete ended alerts (with transitions, evidence, acknowledgements, marks), anomalies and evidence of those
        without an alert beyond the limits, the oldest first, and what people said so long ago that nothing reaches back
        to it; how many rows went. Active alerts never go. Many small transactions: one that fails leaves the earlier
        ones done, and the next call goes on.
        """
        cutoff = now - timedelta(seconds=retention.max_age_s)
        gone = await self._prune_anomalies(cutoff, retention.max_anomalies)
        gone += await self._prune_alerts(cutoff, retention.max_alerts)
        await self._prune_pictures(retention.max_pictures)
        gone += await self._prune_feedback(cutoff, now - REMEMBERED)
        gone += await self._sweep(evidence.c.id, _unnamed_evidence())
        await self._sweep(series_labels.c.fingerprint, _unnamed_series())
        if gone and self._database.sqlite:
            await self._give_back()
        return gone

    async def _prune_anomalies(self, cutoff: datetime, most: int) -> int:
        async def work(connection: AsyncConnection) -> int:
            excess = await _rows(connection, anomalies) - most
            oldest = select(anomalies.c.id, anomalies.c.timestamp).order_by(anomalies.c.timestamp, anomalies.c.id)
            rows = (await connection.execute(oldest.limit(CHUNK))).all()
            ids = [row.id for place, row in enumerate(rows) if place < excess or row.timestamp < cutoff]
            return await _delete(connection, anomalies.c.id, ids)

        return await self._repeat(work)

    async def _prune_alerts(self, cutoff: datetime, most: int) -> int:
        over = alerts.c.state.not_in([state.value for state in ACTIVE]) & alerts.c.ends_at.is_not(None)
        oldest = select(alerts.c.id, alerts.c.ends_at).where(over).order_by(alerts.c.ends_at, alerts.c.id)

        async def work(connection: AsyncConnection) -> int:
            excess = await _rows(connection, alerts) - most
            rows = (await connection.execute(oldest.limit(CHUNK))).all()
            ids = [row.id for place, row in enumerate(rows) if place < excess or row.ends_at < cutoff]
            gone = 0
            for column in (transitions.c.alert_id, acknowledgements.c.alert_id, marks.c.alert_id, alerts.c.id):
                gone += await _delete(connection, column, ids)
            return gone

        return await self._repeat(work)

    async def _prune_pictures(self, most: int) -> None:
        """Only the newest anomalies without an alert go on naming evidence; what nobody names is swept away."""
        pictured = anomalies.c.alert_id.is_(None) & anomalies.c.evidence_id.is_not(None)
        newest = (anomalies.c.timestamp.desc(), anomalies.c.id.desc())
        beyond = select(anomalies.c.id).where(pictured).order_by(*newest).offset(most).limit(CHUNK)

        async def work(connection: AsyncConnection) -> int:
            ids = (await connection.scalars(beyond)).all()
            if ids:
                await connection.execute(update(anomalies).where(anomalies.c.id.in_(ids)).values(evidence_id=None))
            return len(ids)

        await self._repeat(work)

    async def _prune_feedback(self, cutoff: datetime, reach: datetime) -> int:
        async def work(connection: AsyncConnection) -> int:
            gone = 0
            for table, old in (
                (marked_windows, marked_windows.c.ends_at < reach),
                (acceptances, acceptances.c.over_at < min(cutoff, reach)),
                (proposals, proposals.c.updated_at < cutoff),
                (events, events.c.at < reach),
            ):
                gone += int((await connection.execute(delete(table).where(old))).rowcount)
            return gone

        return await self._database.write(work)

    async def _repeat(self, work: Callable[[AsyncConnection], Awaitable[int]]) -> int:
        total = 0
        while gone := await self._database.write(work):
            total += gone
        return total

    async def _sweep(self, key: Column[str], unnamed: ColumnElement[bool]) -> int:
        """Delete the rows of `key`'s table that nothing names, looking at a stretch of keys in each transaction."""
        total, after = 0, ""
        while True:
            gone, last = await self._database.write(partial(self._sweep_stretch, key, unnamed, after))
            total += gone
            if last is None:
                return total
            after = last

    async def _sweep_stretch(
        self, key: Column[str], unnamed: ColumnElement[bool], after: str, connection: AsyncConnection
    ) -> tuple[int, str | None]:
        """How many rows went, and the last key looked at; None when there were no more."""
        stretch = select(key).where(key > after).distinct().order_by(key).limit(SWEEP)
        keys = (await connection.scalars(stretch)).all()
        if not keys:
            return 0, None
        lost = (await connection.scalars(select(key).where(key.in_(keys), unnamed).distinct())).all()
        if lost and key.table is series_labels:
            # Before the commit, while nobody else writes: forgetting too much costs nothing, too little a label.
            self._known_series.clear()
        return await _delete(connection, key, lost), keys[-1]

    async def _give_back(self) -> None:
        async def work(connection: AsyncConnection) -> None:
            # The statement takes one step a page, and only `executescript` takes them all: `execute` stops after the
            # first. It ends the transaction before, which holds nothing.
            raw = await connection.get_raw_connection()
            driver = raw.driver_connection
            if driver is not None:
                await driver.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")

        await self._database.write(work)

    async def probe(self) -> StoreHealth:
        """Write and read back a row; never raises `StoreError`, but says it."""
        mark = uuid4().hex
        try:
            await self.save_setting(PROBE_KEY, mark)
            if await self.setting(PROBE_KEY) != mark:
                return StoreHealth(ok=False, detail=f"{self._database.place} did not give back what was written")
            return StoreHealth(ok=True, detail=self._database.place, size_bytes=await self._size())
        except StoreError as error:
            return StoreHealth(ok=False, detail=str(error))

    async def _size(self) -> int:
        if not self._database.sqlite:
            return await self._size_on_server()
        return await asyncio.to_thread(_files_size, Path(str(self._database.engine.url.database)))

    @reads
    async def _size_on_server(self, connection: AsyncConnection) -> int:
        size = await connection.execute(select(func.pg_database_size(func.current_database())))
        return int(size.scalar_one())


def _unnamed_evidence() -> ColumnElement[bool]:
    mine = evidence.c.id
    return and_(*(~exists().where(table.c.evidence_id == mine) for table in (transitions, alerts, anomalies)))


def _unnamed_series() -> ColumnElement[bool]:
    mine = series_labels.c.fingerprint
    return and_(*(~exists().where(table.c.fingerprint == mine) for table in (alerts, anomalies)))


async def _rows(connection: AsyncConnection, table: Table) -> int:
    return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


async def _delete(connection: AsyncConnection, column: Column[str], keys: Sequence[str]) -> int:
    if not keys:
        return 0
    result = await connection.execute(delete(column.table).where(column.in_(keys)))
    return int(result.rowcount)


def _files_size(path: Path) -> int:
    """Bytes of the database and its journal; either may be missing."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(one.stat().st_size for one in files if one.exists())
