"""Whether a datasource that fails is asked at all: a circuit breaker. Pure; the clock is an argument."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

FAILURES_BEFORE_OPEN = 5
"""Failures in a row after which a datasource is left alone for a while."""

OPEN_FOR = timedelta(seconds=5)
"""How long at first; twice as long each time that the try afterwards fails too."""

MAX_OPEN_FOR = timedelta(seconds=30)
MAX_RETRY_AFTER = timedelta(minutes=5)
"""The longest rest that a server is granted which asks for one with `Retry-After`."""


class Circuit(StrEnum):
    """Closed: asked as usual. Open: not asked. Half-open: one question is on its way, which decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """The circuit of one datasource. `failures` in a row, `rounds` how often in a row it was opened; `since` when it
    came to its state, `retry_at` from when on one question is let through while it is open.
    """

    state: Circuit = Circuit.CLOSED
    failures: int = 0
    rounds: int = 0
    since: datetime | None = None
    retry_at: datetime | None = None

    def admits(self, now: datetime) -> bool:
        """Whether a question may go out now."""
        if self.state is Circuit.OPEN:
            return self.retry_at is None or now >= self.retry_at
        return self.state is Circuit.CLOSED

    def asked(self, now: datetime) -> "Breaker":
        """A question that was admitted goes out."""
        return self if self.state is Circuit.CLOSED else replace(self, state=Circuit.HALF_OPEN, since=now)

    def succeeded(self, now: datetime) -> "Breaker":
        """The datasource has answered."""
        if self.state is Circuit.CLOSED:
            return self if not self.failures else replace(self, failures=0)
        return Breaker(since=now)

    def failed(self, now: datetime, retry_after_s: float | None = None) -> "Breaker":
        """It has not. A server that asks to be left alone for a while is, after the first time."""
        failures = self.failures + 1
        asked_for = min(timedelta(seconds=min(retry_after_s or 0.0, 1e6)), MAX_RETRY_AFTER)
        if self.state is Circuit.OPEN:
            # It was on its way when the others failed: that says nothing new.
            until = now + asked_for if self.retry_at is None else max(self.retry_at, now + asked_for)
            return replace(self, failures=failures, retry_at=until)
        if self.state is Circuit.CLOSED and failures < FAILURES_BEFORE_OPEN and not asked_for:
            return replace(self, failures=failures)
        # Not a power without a bound: an outage of days would overflow it.
        rest = max(min(MAX_OPEN_FOR, OPEN_FOR * 2 ** min(self.rounds, 8)), asked_for)
        return Breaker(Circuit.OPEN, failures, self.rounds + 1, now, now + rest)

    def given_up(self, now: datetime) -> "Breaker":
        """The question came to no end, because whoever asked it is gone: the next one may go out at once."""
        return replace(self, state=Circuit.OPEN, since=now, retry_at=now) if self.state is Circuit.HALF_OPEN else self
