"""Labels can be searched: one row for each label of each series, filled from the alerts and anomalies there are."""

import json
import re
from hashlib import blake2b

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_BATCH = 1_000


def upgrade() -> None:
    series_labels = op.create_table(
        "series_labels",
        sa.Column("pair", sa.LargeBinary, primary_key=True),
        sa.Column("fingerprint", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_series_labels_fingerprint", "series_labels", ["fingerprint"])
    op.create_index("ix_alerts_fingerprint", "alerts", ["fingerprint"])
    op.create_index("ix_anomalies_fingerprint", "anomalies", ["fingerprint"])
    connection = op.get_bind()
    query = "SELECT fingerprint, labels FROM alerts UNION SELECT fingerprint, labels FROM anomalies"
    series = {row.fingerprint: row.labels for row in connection.execute(sa.text(query))}
    rows = [
        {"pair": _pair(_plain(name), _plain(value)), "fingerprint": fingerprint}
        for fingerprint, labels in series.items()
        for name, value in json.loads(labels).items()
    ]
    for start in range(0, len(rows), _BATCH):
        connection.execute(series_labels.insert(), rows[start : start + _BATCH])


def _pair(name: str, value: str) -> bytes:
    return blake2b(f"{name}\xff{value}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _plain(text: str) -> str:
    """U+001A and four hex digits stand for a character that a database cannot hold."""
    return re.sub("\x1a([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)
