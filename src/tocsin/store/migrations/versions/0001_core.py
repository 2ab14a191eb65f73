"""Targets, settings, alerts with all that belongs to them, anomalies.

A migration is frozen when it is released: it imports nothing of the store, whose tables move on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "settings",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "targets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger),
    )
    _alerts()
    _of_alerts()
    _anomalies()


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("target_name", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("severity_rank", sa.SmallInteger, nullable=False),
        sa.Column("active_at", sa.BigInteger, nullable=False),
        sa.Column("starts_at", sa.BigInteger),
        sa.Column("ends_at", sa.BigInteger),
        sa.Column("last_anomalous_at", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("expected_value", sa.Double),
        sa.Column("sigma", sa.Double),
        sa.Column("confidence", sa.Double),
        sa.Column("methods", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("explanation", sa.Text, nullable=False),
        sa.Column("anomaly_count", sa.Integer, nullable=False),
        sa.Column("evidence_id", sa.Text),
    )
    op.create_index("ix_alerts_updated_at", "alerts", ["updated_at", "id"])
    op.create_index("ix_alerts_target_name", "alerts", ["target_name", "updated_at"])
    op.create_index("ix_alerts_state", "alerts", ["state", "severity"])
    op.create_index("ix_alerts_ends_at", "alerts", ["ends_at"])
    op.create_index("ix_alerts_evidence_id", "alerts", ["evidence_id"])


def _of_alerts() -> None:
    op.create_table(
        "acknowledgements",
        sa.Column("alert_id", sa.Text, sa.ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "transitions",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("alert_id", sa.Text, sa.ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("sigma", sa.Double),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("evidence_id", sa.Text),
        sa.UniqueConstraint("alert_id", "at", "after", "reason", name="uq_transitions_alert_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_transitions_evidence_id", "transitions", ["evidence_id"])
    op.create_table(
        "evidence",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("format", sa.SmallInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def _anomalies() -> None:
    op.create_table(
        "anomalies",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("target_name", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("expected_value", sa.Double),
        sa.Column("lower", sa.Double),
        sa.Column("upper", sa.Double),
        sa.Column("sigma", sa.Double),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("severity_rank", sa.SmallInteger, nullable=False),
        sa.Column("confidence", sa.Double),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("methods", sa.Text, nullable=False),
        sa.Column("explanation", sa.Text, nullable=False),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("window_start", sa.BigInteger, nullable=False),
        sa.Column("window_end", sa.BigInteger, nullable=False),
        sa.Column("window_step_s", sa.Double, nullable=False),
        sa.Column("samples", sa.Integer, nullable=False),
        sa.Column("alert_id", sa.Text),
        sa.Column("evidence_id", sa.Text),
    )
    op.create_index("ix_anomalies_timestamp", "anomalies", ["timestamp", "id"])
    op.create_index("ix_anomalies_target_name", "anomalies", ["target_name", "timestamp"])
    op.create_index("ix_anomalies_alert_id", "anomalies", ["alert_id"])
    op.create_index("ix_anomalies_evidence_id", "anomalies", ["evidence_id"])
