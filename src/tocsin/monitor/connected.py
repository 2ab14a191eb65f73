"""A connection that brings datasources as the monitor sees it: since when it fails, and what is told of it."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from tocsin.domain.connection import Connection
from tocsin.domain.source_alert import ANSWERS
from tocsin.monitor.telling import Telling


@dataclass(slots=True, eq=False)
class Connected:
    """One connection. `failing_since` and `answers_since` are when that was seen first, `blamed_since` is since when a
    datasource fails because of it; `silent` are those that it takes along; `found`: it has said which datasources there
    are; `asking` is held while it is asked whether it works, which was done last at `asked_at`.
    """

    connection: Connection
    telling: Telling = field(default_factory=Telling)
    failing_since: datetime | None = None
    answers_since: datetime | None = None
    blamed_since: datetime | None = None
    silent: frozenset[str] = frozenset()
    found: bool = False
    asked_at: datetime | None = None
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def works(self) -> bool:
        """Whether it works, as far as it knows itself."""
        return self.connection.standing().failure is None

    def observe(self, now: datetime) -> bool:
        """Take note of how it is doing; whether it works again after a failure."""
        if self.works:
            again, self.failing_since, self.blamed_since, self.found = self.failing_since is not None, None, None, True
            self.answers_since = self.answers_since or now
            return again
        self.failing_since, self.answers_since = self.failing_since or now, None
        return False

    def blame(self, since: datetime | None) -> None:
        """Take note that a datasource fails since then because this does."""
        if since is not None:
            self.blamed_since = min(since, self.blamed_since or since)

    def begins(self, now: datetime) -> bool:
        """Whether it has failed long and often enough to be told, as far as it knows itself."""
        if self.telling.alert is not None or self.failing_since is None:
            return False
        since = min(self.failing_since, self.blamed_since or self.failing_since)
        return self.telling.failing_long(self.connection.standing().failures, since, now)

    def goes_on(self, kind: str, now: datetime) -> bool:
        """Whether the alert about it goes on, and is to say something else: it fails with `kind`, or answers."""
        if self.works:
            return not self.ends(now) and self.telling.outdated(ANSWERS, now)
        return self.connection.standing().failures > 0 and self.telling.outdated(kind, now)

    def ends(self, now: datetime) -> bool:
        """Whether the alert about it ends now."""
        return self.telling.alert is not None and self.telling.answers_long(self.answers_since, now)
