"""The tables as they are now. How they came to be stands in `migrations/`; a test compares the two.

Each index names the query that it serves. Instants are whole microseconds since the epoch (`columns.Instant`),
durations seconds, severities a text beside its rank (0 low to 3 critical), so that "at least high" is a comparison.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from tocsin.store.columns import Instant, Words

VERSION = "0006"
"""The newest migration, and so the version of the schema that this code reads and writes."""

VERSION_TABLE = "tocsin_schema"
"""Where Alembic keeps the version; a name of our own, since a PostgreSQL database may be shared."""

metadata = MetaData()

settings = Table(
    "settings",
    metadata,
    Column("key", Words, primary_key=True),
    Column("value", Words, nullable=False),
)

# `definition` is versioned JSON: a target is always read whole, and gains fields with nearly every release.
targets = Table(
    "targets",
    metadata,
    Column("name", Words, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("definition", Text, nullable=False),
    Column("created_at", Instant),
    Column("updated_at", Instant),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Words, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("target_name", Words, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("severity_rank", SmallInteger, nullable=False),
    Column("active_at", Instant, nullable=False),
    Column("starts_at", Instant),
    Column("ends_at", Instant),
    Column("last_anomalous_at", Instant, nullable=False),
    Column("last_seen_at", Instant),
    Column("updated_at", Instant, nullable=False),
    Column("value", Double),
    Column("expected_value", Double),
    Column("sigma", Double),
    Column("confidence", Double),
    Column("methods", Text, nullable=False),
    Column("summary", Words, nullable=False),
    Column("explanation", Words, nullable=False),
    Column("anomaly_count", Integer, nullable=False),
    Column("evidence_id", Words),
    Column("shadow", Boolean, nullable=False, server_default=false()),
    Column("unit", Text),
    # History.alerts: newest change first, a page at a time.
    Index("ix_alerts_updated_at", "updated_at", "id"),
    # History.alerts of one target, newest change first.
    Index("ix_alerts_target_name", "target_name", "updated_at"),
    # AlertLog.active_alerts; History.counts by state, severity and shadow, from the index alone.
    Index("ix_alerts_state", "state", "severity", "shadow"),
    # Housekeeping.prune: those over longest go first.
    Index("ix_alerts_ends_at", "ends_at"),
    # History.alerts by labels; Housekeeping.prune: whether a series is still named.
    Index("ix_alerts_fingerprint", "fingerprint"),
    # Housekeeping.prune: whether a piece of evidence is still named.
    Index("ix_alerts_evidence_id", "evidence_id"),
)

# Rows of their own, so that no evaluation can overwrite what a person said.
acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("alert_id", Words, ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("who", Words, nullable=False),
    Column("note", Words, nullable=False),
    Column("at", Instant, nullable=False),
)

# As with acknowledgements: what a person said of an alert, which no evaluation writes.
marks = Table(
    "marks",
    metadata,
    Column("alert_id", Words, ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("who", Words, nullable=False),
    Column("note", Words, nullable=False),
    Column("at", Instant, nullable=False),
)

marked_windows = Table(
    "marked_windows",
    metadata,
    Column("id", Words, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("target_name", Words),
    Column("labels", Text, nullable=False),
    Column("begins_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("who", Words, nullable=False),
    Column("note", Words, nullable=False),
    Column("created_at", Instant, nullable=False),
)

# `body` is a document of `feedback_documents.py` in the form `format`: both are few, always read whole, and will gain
# fields.
acceptances = Table(
    "acceptances",
    metadata,
    Column("id", Words, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("over_at", Instant),
    Column("format", SmallInteger, nullable=False),
    Column("body", Text, nullable=False),
)

proposals = Table(
    "proposals",
    metadata,
    Column("id", Words, primary_key=True),
    Column("updated_at", Instant, nullable=False),
    Column("format", SmallInteger, nullable=False),
    Column("body", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", Words, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("format", SmallInteger, nullable=False),
    Column("body", Text, nullable=False),
    # `events`: the newest first. `prune`: the old ones, and the excess.
    Index("ix_events_at", "at"),
)

transitions = Table(
    "transitions",
    metadata,
    # SQLite counts up by itself only in a column of exactly the type INTEGER.
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("alert_id", Words, ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("before", Text),
    Column("after", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("value", Double),
    Column("sigma", Double),
    Column("detail", Words, nullable=False),
    Column("evidence_id", Words),
    # AlertLog.save_evaluations: saving the same again changes nothing. History.alert: the transitions of one alert.
    UniqueConstraint("alert_id", "at", "after", "reason", name="uq_transitions_alert_id"),
    # Housekeeping.prune: whether a piece of evidence is still named.
    Index("ix_transitions_evidence_id", "evidence_id"),
    # Without AUTOINCREMENT SQLite would give the number of a pruned last row again.
    sqlite_autoincrement=True,
)

evidence = Table(
    "evidence",
    metadata,
    Column("id", Words, primary_key=True),
    Column("format", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

anomalies = Table(
    "anomalies",
    metadata,
    Column("id", Words, primary_key=True),
    Column("target_name", Words, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("timestamp", Instant, nullable=False),
    # NULL here is NaN: SQLite has no NaN, and an anomaly always has these numbers.
    Column("value", Double),
    Column("expected_value", Double),
    Column("lower", Double),
    Column("upper", Double),
    Column("sigma", Double),
    Column("severity", Text, nullable=False),
    Column("severity_rank", SmallInteger, nullable=False),
    Column("confidence", Double),
    Column("method", Words, nullable=False),
    Column("methods", Text, nullable=False),
    Column("explanation", Words, nullable=False),
    Column("query", Words, nullable=False),
    Column("window_start", Instant, nullable=False),
    Column("window_end", Instant, nullable=False),
    Column("window_step_s", Double, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("alert_id", Words),
    Column("evidence_id", Words),
    # What it rests on, as JSON (`documents.facts_text`); NULL for those of an older version.
    Column("facts", Text),
    # History.anomalies: newest first, a page at a time. Housekeeping.prune: the oldest.
    Index("ix_anomalies_timestamp", "timestamp", "id"),
    # History.anomalies of one target, newest first.
    Index("ix_anomalies_target_name", "target_name", "timestamp"),
    # History.anomalies of one alert.
    Index("ix_anomalies_alert_id", "alert_id"),
    # History.anomalies by labels; Housekeeping.prune: whether a series is still named.
    Index("ix_anomalies_fingerprint", "fingerprint"),
    # Housekeeping.prune: whether a piece of evidence is still named.
    Index("ix_anomalies_evidence_id", "evidence_id"),
)

# One row for each label of each *series*, not of each alert: series repeat, so this stays small and a quiet batch
# writes nothing here. `pair` is the BLAKE2b digest of name and value (`codec.pair`): a label may be longer than a
# PostgreSQL index entry can be, and 16 bytes compare exactly enough for ever.
series_labels = Table(
    "series_labels",
    metadata,
    # History.alerts and .anomalies by labels: the series that carry a pair.
    Column("pair", LargeBinary, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    # Housekeeping.prune: the labels of a series that nothing names any more.
    Index("ix_series_labels_fingerprint", "fingerprint"),
    sqlite_with_rowid=False,
)
