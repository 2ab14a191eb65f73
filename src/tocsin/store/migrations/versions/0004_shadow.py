"""Alerts in shadow, which are recorded and not told; what an anomaly rests on, beside it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("alerts", sa.Column("shadow", sa.Boolean, nullable=False, server_default=sa.false()))
    op.drop_index("ix_alerts_state", "alerts")
    op.create_index("ix_alerts_state", "alerts", ["state", "severity", "shadow"])
    op.add_column("anomalies", sa.Column("facts", sa.Text))
