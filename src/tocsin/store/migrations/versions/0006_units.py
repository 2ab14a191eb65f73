"""What the values of an alert are, so that lists write them as its sentence does."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("alerts", sa.Column("unit", sa.Text))
