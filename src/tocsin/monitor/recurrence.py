"""What recurs by the clock in the history of alerts, looked at anew at most once a minute."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from tocsin.domain.feedback import Firing, Recurring
from tocsin.domain.labels import Fingerprint
from tocsin.domain.ports import Clock, FeedbackStore
from tocsin.domain.recurring import LEAST_DAYS, recurring_of

SPAN = timedelta(days=14)
FRESH_FOR = timedelta(minutes=1)

MOST_FIRINGS = 20_000
"""Alerts of the last fortnight that are looked at, the newest ones."""

MOST_OF_A_SERIES = 200
"""Alerts of one series that are looked at, the newest ones."""

Found = Mapping[tuple[str, Fingerprint], Sequence[Recurring]]


class Recurrence:
    """Keeps the last answer; the history of a fortnight changes slowly."""

    def __init__(self, store: FeedbackStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._found: Found = {}
        self._looked_at: datetime | None = None
        self._looking = asyncio.Lock()

    async def now(self, timezones: Mapping[str, str]) -> Found:
        """What recurs, by target and series; `timezones` are those of the targets. Raises `StoreError`."""
        async with self._looking:
            now = self._clock.now()
            if self._looked_at is None or now - self._looked_at >= FRESH_FOR:
                firings = await self._store.firings(now - SPAN, MOST_FIRINGS)
                self._found = await asyncio.to_thread(_recurring, firings, timezones)
                self._looked_at = now
            return self._found


def _recurring(firings: Sequence[Firing], timezones: Mapping[str, str]) -> Found:
    series: dict[tuple[str, Fingerprint], list[Firing]] = defaultdict(list)
    for one in firings:
        series[one.target_name, one.labels.fingerprint].append(one)
    found: dict[tuple[str, Fingerprint], Sequence[Recurring]] = {}
    for key, mine in series.items():
        if len(mine) >= LEAST_DAYS:
            slots = recurring_of(mine[:MOST_OF_A_SERIES], timezones.get(key[0], "UTC"))
            if slots:
                found[key] = slots
    return found
