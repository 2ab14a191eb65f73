"""What recurs by the clock in the history of alerts and anomalies, looked at anew at most once a minute."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from tocsin.domain.feedback import Firing, Recurring
from tocsin.domain.labels import Fingerprint
from tocsin.domain.ports import Clock, FeedbackStore
from tocsin.domain.recurring import LEAST_DAYS, all_recurring

SPAN = timedelta(days=14)
FRESH_FOR = timedelta(minutes=1)

MOST_FIRINGS = 20_000
"""Alerts of the last fortnight that are looked at, the newest ones."""

MOST_HELD_BACK = 20_000
"""Occasions of the last fortnight without an alert that fired that are looked at, the most severe ones."""

MOST_OF_A_SERIES = 200
"""Alerts of one series that are looked at, the newest ones, and as many occasions without one, the most severe."""

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
                held_back = await self._store.held_back(now - SPAN, MOST_HELD_BACK)
                self._found = await asyncio.to_thread(_recurring, firings, held_back, timezones)
                self._looked_at = now
            return self._found


def _recurring(firings: Sequence[Firing], held_back: Sequence[Firing], timezones: Mapping[str, str]) -> Found:
    told, silent = _by_series(firings), _by_series(held_back)
    found: dict[tuple[str, Fingerprint], Sequence[Recurring]] = {}
    for key in told.keys() | silent.keys():
        alerts, others = told.get(key, [])[:MOST_OF_A_SERIES], silent.get(key, [])[:MOST_OF_A_SERIES]
        if len(alerts) + len(others) >= LEAST_DAYS:
            slots = all_recurring(alerts, others, timezones.get(key[0], "UTC"))
            if slots:
                found[key] = slots
    return found


def _by_series(firings: Sequence[Firing]) -> Mapping[tuple[str, Fingerprint], list[Firing]]:
    series: dict[tuple[str, Fingerprint], list[Firing]] = defaultdict(list)
    for one in firings:
        series[one.target_name, one.labels.fingerprint].append(one)
    return series
