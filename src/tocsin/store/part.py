"""What the parts of the store share."""

from tocsin.store.engine import Database


class Part:
    """One port over a database that it shares with the others."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known_series: set[str] = set()
        """Fingerprints whose labels are surely in `series_labels`: most batches then write none.

        Filled by the alert log after a commit, emptied by housekeeping while nobody writes.
        """
