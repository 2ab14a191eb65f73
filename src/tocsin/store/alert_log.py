"""`AlertLog` over SQL: the write side of alerts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin.domain.alert import ACTIVE, Acknowledgement, Alert
from tocsin.domain.errors import NotFound
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.labels import Labels
from tocsin.store import codec
from tocsin.store.documents import EVIDENCE_FORMAT, anomaly_row, evidence_body
from tocsin.store.engine import Database
from tocsin.store.part import Part, reads
from tocsin.store.schema import acknowledgements as acknowledgement_rows
from tocsin.store.schema import alerts, anomalies, evidence, series_labels, transitions

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import Insert as PostgresInsert

_ACTIVE: Final = tuple(state.value for state in ACTIVE)
_KNOWN_SERIES: Final = 100_000
_IDS_AT_ONCE: Final = 10_000
"""Fewer than the bound values that either database takes in one statement."""


class SqlAlertLog(Part):
    """Alerts, transitions, evidence and anomalies as the monitor keeps them, and what people said of alerts."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._upsert_alert = _alert_upsert(database)
        self._insert_series = database.insert(series_labels).on_conflict_do_nothing()
        self._insert_evidence = database.insert(evidence).on_conflict_do_nothing()
        self._insert_transition = database.insert(transitions).on_conflict_do_nothing()
        self._insert_anomaly = database.insert(anomalies).on_conflict_do_nothing()

    @reads
    async def active_alerts(self, connection: AsyncConnection) -> Sequence[Alert]:
        """All pending and firing alerts, of all targets and datasources."""
        rows = await connection.execute(select(alerts).where(alerts.c.state.in_(_ACTIVE)).order_by(alerts.c.id))
        return [codec.alert_of(row) for row in rows.mappings()]

    async def save_evaluations(self, evaluations: Sequence[Evaluation]) -> None:
        """Keep all of them or none, in one transaction; saving the same again changes nothing.

        An alert that has ended stays as it ended, and an active one is only replaced by what is as new, or by its end.
        """

        async def work(connection: AsyncConnection) -> list[Labels]:
            series = self._new_series(evaluations)
            for statement, rows in self._inserts(evaluations, series):
                if rows:
                    await connection.execute(statement, rows)
            return series

        series = await self._database.write(work)
        # Only what is committed is known. A set that is full is begun anew: some rows are then offered again.
        if len(self._known_series) + len(series) > _KNOWN_SERIES:
            self._known_series.clear()
        self._known_series.update(labels.fingerprint for labels in series)

    def _inserts(
        self, evaluations: Sequence[Evaluation], series: Sequence[Labels]
    ) -> list[tuple["SqliteInsert | PostgresInsert", list[codec.Parameters]]]:
        """One statement a table, in the order in which rows refer to each other."""
        bodies = [
            {"id": part.id, "format": EVIDENCE_FORMAT, "body": evidence_body(part)}
            for one in evaluations
            for part in one.evidence
        ]
        return [
            (self._insert_series, [row for labels in series for row in codec.pair_rows(labels)]),
            (self._insert_evidence, bodies),
            (self._upsert_alert, [codec.alert_row(alert) for one in evaluations for alert in one.alerts]),
            (self._insert_transition, [codec.transition_row(move) for one in evaluations for move in one.transitions]),
            (self._insert_anomaly, [anomaly_row(seen) for one in evaluations for seen in one.anomalies]),
        ]

    def _new_series(self, evaluations: Sequence[Evaluation]) -> list[Labels]:
        named = {alert.fingerprint: alert.labels for one in evaluations for alert in one.alerts}
        named |= {seen.labels.fingerprint: seen.labels for one in evaluations for seen in one.anomalies}
        return [labels for fingerprint, labels in named.items() if fingerprint not in self._known_series]

    async def acknowledge(self, acknowledgements: Sequence[Acknowledgement]) -> None:
        """Keep them, each in the place of an earlier one; raises `NotFound` for an unknown alert and keeps none."""
        rows = [codec.acknowledgement_row(one) for one in acknowledgements]
        if not rows:
            return
        insert = self._database.insert(acknowledgement_rows)
        upsert = insert.on_conflict_do_update(
            index_elements=[acknowledgement_rows.c.alert_id],
            set_={name: insert.excluded[name] for name in ("who", "note", "at")},
        )
        ids = list(dict.fromkeys(one.alert_id for one in acknowledgements))

        async def work(connection: AsyncConnection) -> None:
            known: set[str] = set()
            for part in _parts(ids):
                known.update(await connection.scalars(select(alerts.c.id).where(alerts.c.id.in_(part))))
            for alert_id in ids:
                if alert_id not in known:
                    raise NotFound(f"there is no alert {alert_id!r}")
            await connection.execute(upsert, rows)

        await self._database.write(work)

    async def unacknowledge(self, alert_ids: Sequence[str]) -> Sequence[str]:
        """Take them back; the ids that were acknowledged, in the order given."""
        ids = list(dict.fromkeys(alert_ids))
        if not ids:
            return []
        column = acknowledgement_rows.c.alert_id

        async def work(connection: AsyncConnection) -> set[str]:
            gone: set[str] = set()
            for part in _parts(ids):
                gone.update(
                    await connection.scalars(delete(acknowledgement_rows).where(column.in_(part)).returning(column))
                )
            return gone

        gone = await self._database.write(work)
        return [one for one in ids if one in gone]


def _parts(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _IDS_AT_ONCE] for start in range(0, len(ids), _IDS_AT_ONCE)]


def _alert_upsert(database: Database) -> "SqliteInsert | PostgresInsert":
    """Insert an alert or replace the older form of it; an ended one stays as it is."""
    insert = database.insert(alerts)
    new = insert.excluded
    fixed = ("id", "kind", "target_name", "fingerprint", "labels", "active_at")
    return insert.on_conflict_do_update(
        index_elements=[alerts.c.id],
        set_={column.name: new[column.name] for column in alerts.c if column.name not in fixed},
        # Not IN: its list cannot be bound when many rows are inserted at once.
        # The end of an alert may carry an earlier time than its last sample: a clock decides it, not a datasource.
        where=and_(
            or_(*(alerts.c.state == state for state in _ACTIVE)),
            or_(new["updated_at"] >= alerts.c.updated_at, and_(*(new["state"] != state for state in _ACTIVE))),
        ),
    )
