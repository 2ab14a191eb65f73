"""`History` over SQL: the read side of alerts and anomalies."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, RowMapping, Table, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin.detect import Severity
from tocsin.domain.alert import Acknowledgement, Alert, AlertState, Transition
from tocsin.domain.anomaly import Anomaly, Evidence
from tocsin.domain.errors import NotFound
from tocsin.domain.labels import Labels
from tocsin.domain.ports import (
    AlertCounts,
    AlertFilter,
    AlertRecord,
    AlertStory,
    AnomalyFilter,
    Listing,
    Page,
    SequencedTransition,
)
from tocsin.store import codec
from tocsin.store.documents import anomaly_of, evidence_of
from tocsin.store.part import Part, reads
from tocsin.store.schema import acknowledgements, alerts, anomalies, evidence, marks, series_labels, transitions

Condition = ColumnElement[bool]

_MOST_ROWS: Final = 2**63 - 1
"""The largest number that either database can count to; a caller may name a larger one."""

_MOST_TRANSITIONS: Final = 5_000
"""What `transitions_after` gives at once, whatever is asked: its alerts are looked up by as many bound ids."""

_ALERTS_WITH_WORDS: Final = select(
    alerts,
    acknowledgements.c.who.label("acknowledged_who"),
    acknowledgements.c.note.label("acknowledged_note"),
    acknowledgements.c.at.label("acknowledged_at"),
    marks.c.verdict.label("mark_verdict"),
    marks.c.who.label("mark_who"),
    marks.c.note.label("mark_note"),
    marks.c.at.label("mark_at"),
).select_from(
    alerts.outerjoin(acknowledgements, acknowledgements.c.alert_id == alerts.c.id).outerjoin(
        marks, marks.c.alert_id == alerts.c.id
    )
)


class SqlHistory(Part):
    """What was kept; every answer is one consistent moment on SQLite, one committed state a statement on PostgreSQL."""

    @reads
    async def alerts(self, connection: AsyncConnection, which: AlertFilter, page: Page) -> Listing[AlertRecord]:
        """Alerts, those that changed last first; without `states` those that ever fired."""
        conditions = _alert_conditions(which)
        asked = (
            _ALERTS_WITH_WORDS.where(*conditions)
            .order_by(alerts.c.updated_at.desc(), alerts.c.id)
            .limit(min(page.limit, _MOST_ROWS))
            .offset(min(page.offset, _MOST_ROWS))
        )
        total = await _count(connection, alerts, conditions)
        rows = (await connection.execute(asked)).mappings()
        return Listing([_record(row) for row in rows], total)

    @reads
    async def alert(self, connection: AsyncConnection, alert_id: str) -> AlertStory:
        """One alert whole; raises `NotFound`."""
        asked = _ALERTS_WITH_WORDS.where(alerts.c.id == alert_id)
        row = (await connection.execute(asked)).mappings().first()
        if row is None:
            raise NotFound(f"there is no alert {alert_id!r}")
        record = _record(row)
        moves = await connection.execute(
            select(transitions).where(transitions.c.alert_id == alert_id).order_by(transitions.c.sequence)
        )
        told = [codec.transition_of(move) for move in moves.mappings()]
        pieces = await _evidence_of(connection, record.alert, told)
        return AlertStory(record.alert, record.acknowledgement, told, pieces, record.mark)

    @reads
    async def evidence(self, connection: AsyncConnection, evidence_id: str) -> Evidence:
        """One piece of evidence; raises `NotFound`."""
        asked = select(evidence.c.format, evidence.c.body).where(evidence.c.id == evidence_id)
        row = (await connection.execute(asked)).first()
        if row is None:
            raise NotFound(f"there is no evidence {evidence_id!r}")
        return evidence_of(evidence_id, row.format, row.body)

    @reads
    async def anomalies(self, connection: AsyncConnection, which: AnomalyFilter, page: Page) -> Listing[Anomaly]:
        """Anomalies, newest first. `since` and `until` belong to the range; `method` is any of those that agreed."""
        conditions = _anomaly_conditions(which)
        asked = (
            select(anomalies)
            .where(*conditions)
            .order_by(anomalies.c.timestamp.desc(), anomalies.c.id)
            .limit(min(page.limit, _MOST_ROWS))
            .offset(min(page.offset, _MOST_ROWS))
        )
        total = await _count(connection, anomalies, conditions)
        rows = (await connection.execute(asked)).mappings()
        return Listing([anomaly_of(row) for row in rows], total)

    @reads
    async def transitions_after(
        self, connection: AsyncConnection, sequence: int, limit: int
    ) -> Sequence[SequencedTransition]:
        """Transitions with a higher sequence number, ascending, each with its alert as it is now; at most `limit`."""
        asked = (
            select(transitions)
            .where(transitions.c.sequence > min(sequence, _MOST_ROWS))
            .order_by(transitions.c.sequence)
            .limit(min(limit, _MOST_TRANSITIONS))
        )
        moves = (await connection.execute(asked)).mappings().all()
        ids = {move["alert_id"] for move in moves}
        rows = await connection.execute(select(alerts).where(alerts.c.id.in_(ids))) if ids else None
        named = {row["id"]: codec.alert_of(row) for row in rows.mappings()} if rows is not None else {}
        # On PostgreSQL an alert may be pruned between the two questions; its transitions are then gone as well.
        return [
            SequencedTransition(move["sequence"], codec.transition_of(move), named[move["alert_id"]])
            for move in moves
            if move["alert_id"] in named
        ]

    @reads
    async def last_sequence(self, connection: AsyncConnection) -> int:
        """The highest sequence number of any transition, 0 when there is none."""
        return (await connection.scalar(select(func.max(transitions.c.sequence)))) or 0

    @reads
    async def counts(self, connection: AsyncConnection) -> AlertCounts:
        """How many alerts there are now; every state and severity is named, also with 0."""
        by_state = dict.fromkeys(AlertState, 0)
        by_severity = dict.fromkeys(Severity, 0)
        firing = (alerts.c.state == AlertState.FIRING.value) & ~alerts.c.shadow
        unanswered = firing & alerts.c.id.not_in(select(acknowledgements.c.alert_id))
        of = (alerts.c.state, alerts.c.severity, alerts.c.shadow)
        in_shadow = 0
        for state, severity, shadow, count in await connection.execute(select(*of, func.count()).group_by(*of)):
            if shadow:
                in_shadow += count if state == AlertState.FIRING else 0
                continue
            by_state[AlertState(state)] += count
            if state == AlertState.FIRING:
                by_severity[Severity(severity)] += count
        unacknowledged = await _count(connection, alerts, [unanswered])
        return AlertCounts(by_state, by_severity, unacknowledged, in_shadow)


def _alert_conditions(which: AlertFilter) -> list[Condition]:
    conditions = _label_conditions(alerts, which.labels)
    if which.states:
        conditions.append(alerts.c.state.in_([state.value for state in which.states]))
    else:
        conditions.append(alerts.c.starts_at.is_not(None))
    if which.target_name is not None:
        conditions.append(alerts.c.target_name == which.target_name)
    if which.min_severity is not None:
        conditions.append(alerts.c.severity_rank >= which.min_severity.rank)
    if which.since is not None:
        conditions.append(or_(alerts.c.ends_at.is_(None), alerts.c.ends_at >= which.since))
    if which.shadow is not None:
        conditions.append(alerts.c.shadow == which.shadow)
    if not which.include_acknowledged:
        conditions.append(alerts.c.id.not_in(select(acknowledgements.c.alert_id)))
    return conditions


def _anomaly_conditions(which: AnomalyFilter) -> list[Condition]:
    conditions = _label_conditions(anomalies, which.labels)
    if which.target_name is not None:
        conditions.append(anomalies.c.target_name == which.target_name)
    if which.min_severity is not None:
        conditions.append(anomalies.c.severity_rank >= which.min_severity.rank)
    if which.since is not None:
        conditions.append(anomalies.c.timestamp >= which.since)
    if which.until is not None:
        conditions.append(anomalies.c.timestamp <= which.until)
    if which.alert_id is not None:
        conditions.append(anomalies.c.alert_id == which.alert_id)
    if which.method is not None:
        # The JSON form of the name, quotes and all, occurs exactly when the name does; SQLite's LIKE ignores case.
        quoted = codec.methods_text([which.method])[1:-1]
        agreed = func.replace(anomalies.c.methods, quoted, "") != anomalies.c.methods
        conditions.append(or_(anomalies.c.method == which.method, agreed))
    return conditions


def _label_conditions(table: Table, labels: Labels) -> list[Condition]:
    """The series that carry every wanted pair. A label that is wanted empty is one that is there and empty."""
    return [
        table.c.fingerprint.in_(
            select(series_labels.c.fingerprint).where(series_labels.c.pair == codec.pair(name, value))
        )
        for name, value in labels.items()
    ]


async def _count(connection: AsyncConnection, table: Table, conditions: Sequence[Condition]) -> int:
    asked = select(func.count()).select_from(table).where(*conditions)
    return (await connection.execute(asked)).scalar_one()


async def _evidence_of(connection: AsyncConnection, alert: Alert, told: Sequence[Transition]) -> list[Evidence]:
    """The pieces that the transitions name, in their order, and then the one the alert names."""
    names = [
        name for name in dict.fromkeys([*(one.evidence_id for one in told), alert.evidence_id]) if name is not None
    ]
    rows = await connection.execute(select(evidence).where(evidence.c.id.in_(names)))
    found = {row.id: evidence_of(row.id, row.format, row.body) for row in rows}
    return [found[name] for name in names if name in found]


def _record(row: RowMapping) -> AlertRecord:
    acknowledgement = mark = None
    if row["acknowledged_at"] is not None:
        acknowledgement = Acknowledgement(
            row["id"], who=row["acknowledged_who"], note=row["acknowledged_note"], at=row["acknowledged_at"]
        )
    if row["mark_at"] is not None:
        mark = codec.mark_of(row["id"], row["mark_verdict"], row["mark_who"], row["mark_note"], row["mark_at"])
    return AlertRecord(codec.alert_of(row), acknowledgement, mark)
