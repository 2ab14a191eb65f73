"""Whether a failure speaks of the datasource or of the one question: what others heard lately tells. Pure."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

LATELY = timedelta(minutes=5)
"""For so long an answer to another question speaks for the datasource."""


@dataclass(slots=True)
class Witnesses:
    """When the last two queries that were answered were, and the last two that failed: so one besides any is known."""

    answered: dict[str, datetime] = field(default_factory=dict)
    failed: dict[str, datetime] = field(default_factory=dict)

    def heard(self, query: str, at: datetime) -> None:
        """A query was answered."""
        _note(self.answered, query, at)

    def missed(self, query: str, at: datetime) -> None:
        """A query has failed."""
        _note(self.failed, query, at)

    def fails_alone(self, query: str, now: datetime) -> bool:
        """Whether another query was answered lately, and none but this one has failed since."""
        answered, failed = (_other(known, query) for known in (self.answered, self.failed))
        return answered is not None and now - answered < LATELY and (failed is None or failed < answered)


def _note(known: dict[str, datetime], query: str, at: datetime) -> None:
    known.pop(query, None)
    known[query] = at
    if len(known) > 2:
        del known[next(iter(known))]


def _other(known: dict[str, datetime], query: str) -> datetime | None:
    return max((at for other, at in known.items() if other != query), default=None)
