"""What is told of a datasource or of a connection: one alert while it fails, however often it comes and goes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from tocsin.domain.alert import Alert, Reason
from tocsin.domain.errors import StoreError
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.ports import Clock
from tocsin.domain.source_alert import SourceWords
from tocsin.monitor.commit import Committer

log = structlog.get_logger(__name__)

FAILURES_BEFORE_ALERT = 2
FAILING_FOR_BEFORE_ALERT = timedelta(seconds=10)
FLAPPING_WITHIN = timedelta(minutes=5)
"""An alert that begins so soon after the last one's end stays until there were answers for as long."""

WORDS_STAY_FOR = timedelta(seconds=15)
"""What an alert says is not replaced sooner, however often what is wrong changes."""


class News(NamedTuple):
    """What is to be kept of an alert, and what it says then; `words` None: it has ended."""

    evaluation: Evaluation
    words: SourceWords | None


@dataclass(slots=True, eq=False)
class Telling:
    """The one active `alert` about a datasource, if any, `flapping` where it began soon after the last one's end.
    `words` is what it says since `said_at`; None where an earlier process has told it.

    It goes on when a reload puts another source in the place; `lock` is held while it is begun, changed or ended.
    """

    alert: Alert | None = None
    flapping: bool = False
    ended_at: datetime | None = None
    words: SourceWords | None = None
    said_at: datetime | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def tell(self, committer: Committer, clock: Clock, news: Callable[[], News | None]) -> None:
        """Keep the news, if there is any still, and take it over; what is not kept is said and told the next time."""
        async with self.lock:
            # Asked once more: another evaluation may have told it meanwhile.
            told = news()
            if told is None:
                return
            evaluation = told.evaluation
            if not evaluation.quiet:
                try:
                    await committer.save(evaluation)
                except StoreError as error:
                    log.error("datasource alert not kept", alert=evaluation.target_name, error=str(error))
                    return
                alert = evaluation.alerts[0]
                self._take(alert, clock.now())
                log.warning(alert.target_name, state=alert.state.value, reason=alert.summary)
            self.words, self.said_at = told.words, clock.now()

    async def forget(self, committer: Committer, clock: Clock, reason: Reason) -> None:
        """End the alert without a word of recovery: what it is about is asked no more."""
        async with self.lock:
            alert, self.alert = self.alert, None
            if alert is not None:
                await committer.end([alert], reason, alert.target_name, clock.now())

    def failing_long(self, failures: int, since: datetime | None, now: datetime) -> bool:
        """Whether so many failures in a row since then are to be told."""
        return failures >= FAILURES_BEFORE_ALERT and since is not None and now - since >= FAILING_FOR_BEFORE_ALERT

    @property
    def failing(self) -> str:
        """The failure that the alert tells of; "" where that is not known."""
        return self.words.failing if self.words else ""

    def outdated(self, kind: str, now: datetime) -> bool:
        """Whether the alert goes on and tells of something else than `kind`, which is wrong now."""
        if self.alert is None or (self.words is not None and self.words.kind == kind):
            return False
        return self.said_at is None or now - self.said_at >= WORDS_STAY_FOR

    def answers_long(self, since: datetime | None, now: datetime) -> bool:
        """Whether answers since then are an end of it."""
        return since is not None and (not self.flapping or now - since >= FLAPPING_WITHIN)

    def _take(self, alert: Alert, now: datetime) -> None:
        """Take over the alert that was begun, changed or ended, once it is kept."""
        if alert.active and self.alert is not None:
            self.alert = alert
        elif alert.active:
            self.alert, self.flapping = alert, self.ended_at is not None and now - self.ended_at < FLAPPING_WITHIN
        else:
            self.alert, self.ended_at = None, now
