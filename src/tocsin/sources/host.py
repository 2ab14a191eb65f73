"""This machine as a datasource: the embedded default that needs no server."""

import asyncio
import logging
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil

from tocsin.domain.datasource import Description, Skew
from tocsin.domain.errors import Invalid, LimitExceeded, SourceError, SourceFailure
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.target import QueryType
from tocsin.sources.host_file import load_past, save_past
from tocsin.sources.host_history import History, Past
from tocsin.sources.host_metrics import BY_NAME, Kind, Metric, parse_query
from tocsin.sources.host_processes import Busiest, Share
from tocsin.sources.host_readings import Readings, SystemReadings
from tocsin.sources.host_sampler import Sampler

log = logging.getLogger(__name__)

BUSIEST_KEPT_S = 900.0
MAX_INSTANTS = 100_000
_EARLY = 0.25
"""A sample taken up to a quarter of a period before a grid instant belongs to it: sleeps may end a little early."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """How this machine is watched. Without a `state_dir` the history ends with the process."""

    uid: str = "host"
    state_dir: Path | None = None
    period_s: float = 2.0
    history_s: float = 7200.0
    max_series: int = 512
    save_every_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0.1 <= self.period_s <= 60.0:
            raise Invalid("period_s", "must be between 0.1 and 60 seconds")
        if not self.period_s <= self.history_s <= 7 * 86400.0 or self.history_s / self.period_s > MAX_INSTANTS:
            raise Invalid("history_s", f"must hold between 1 and {MAX_INSTANTS:,} samples, at most seven days")
        if not 1 <= self.max_series <= 10_000:
            raise Invalid("max_series", "must be between 1 and 10,000")
        if not self.save_every_s > 0:
            raise Invalid("save_every_s", "must be more than nothing")


class HostSource:
    """Implements `MetricSource` over readings of this machine, taken every `period_s` while it is started.

    `now` gives unix seconds and `sleep` waits; tests give their own.
    """

    def __init__(
        self,
        settings: HostSettings | None = None,
        *,
        readings: Readings | None = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings or HostSettings()
        self.uid = self._settings.uid
        self.query_type, self.whole_seconds = QueryType.HOST, False
        self.failures = 0
        """How often taking a sample or saving the history failed since the start."""
        self._readings = readings or SystemReadings()
        self._now = now
        self._sleep = sleep
        self._sampler = Sampler()
        capacity = max(1, round(self._settings.history_s / self._settings.period_s))
        self._history = History(self._settings.period_s, capacity, self._settings.max_series)
        self._busiest: deque[tuple[float, Busiest]] = deque(
            maxlen=max(1, round(BUSIEST_KEPT_S / self._settings.period_s))
        )
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._saving = threading.Lock()
        # A thread of its own: the shared ones may all be waiting for the names of other datasources.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix=f"{self.uid}-reader")

    async def start(self) -> None:
        """Take up the kept history and begin to sample; idempotent."""
        if self._task is not None or self._closed:
            return
        self._task = asyncio.create_task(self._run(), name=f"{self.uid}-sampler")

    async def sample(self) -> None:
        """Take one sample now, as the started task does by itself."""
        reading = await asyncio.get_running_loop().run_in_executor(self._reader, self._readings.read)
        at = self._now()
        sample = self._sampler.observe(reading)
        self._history.append(int(at / self._settings.period_s + _EARLY), sample.values)
        if self._busiest and self._busiest[-1][0] >= at:
            self._busiest.clear()  # The clock was set back: the order would be lost.
        self._busiest.append((at, sample.busiest))

    async def load(self) -> None:
        """Take up the history that an earlier process kept; the started task does so first."""
        folder = self._settings.state_dir
        past = await asyncio.to_thread(load_past, folder) if folder is not None else None
        if past is not None:
            self._take_up(past)

    async def save(self) -> None:
        """Keep the history in the state folder; raises OSError."""
        folder, past = self._settings.state_dir, self._history.past()
        if folder is not None and past is not None:
            await asyncio.to_thread(self._save_in_turn, folder, past)

    async def query_range(self, query: str, window: Window) -> Frame:
        """At each instant t the mean of the samples in (t - step, t]; NaN where there are none.

        Series without any sample in the window are left out. Raises SourceError for a query that cannot be, a step
        shorter than the sampling period, and more than 100,000 instants.
        """
        try:
            selector = parse_query(query)
        except Invalid as error:
            raise SourceError(str(error), failure=SourceFailure.BAD_QUERY, transient=False) from error
        if window.step_s < self._settings.period_s:
            raise SourceError(
                f"step: {window.step_s:g} s is shorter than the sampling period of {self._settings.period_s:g} s",
                failure=SourceFailure.BAD_QUERY,
                transient=False,
            )
        if (window.end - window.start) / window.step >= MAX_INSTANTS:
            raise LimitExceeded(f"a window of more than {MAX_INSTANTS:,} instants; ask for a longer step", asked=False)
        grid = window.grid()
        labels = [each for each in self._history.series(selector.metric.name) if selector.matches(each)]
        values = self._history.means(labels, grid, window.step_s)
        seen = np.flatnonzero(~np.isnan(values).all(axis=1))
        warnings = self._warnings(selector.metric)
        return Frame(grid, values[seen], tuple(labels[row] for row in seen), warnings)

    async def context(self, query: str, labels: Labels, at: datetime) -> tuple[str, ...]:
        """Which processes were busiest (CPU metrics) or largest (memory metrics) then; () for others or when forgotten.

        Names and pids only, as the last sample up to `at` saw them.
        """
        metric = BY_NAME.get(labels.get("__name__", "")) or _metric_of(query)
        seen = self._busiest_at(at.timestamp())
        if metric is None or metric.kind is Kind.OTHER or seen is None:
            return ()
        moment, busiest = seen
        clock = f"{datetime.fromtimestamp(moment, UTC):%H:%M:%S} UTC"
        if metric.kind is Kind.MEMORY:
            return _line(f"largest processes at {clock}", busiest.by_memory, lambda amount: f"{amount / 2**20:.0f} MiB")
        return _line(f"busiest processes at {clock}", busiest.by_cpu or (), lambda amount: f"{amount:.2f} cores")

    def check_query(self, query: str) -> None:
        """Raise `Invalid("query", why)`; an unknown metric is answered with the known ones."""
        parse_query(query)

    async def probe(self) -> str:
        """What is watched here; raises SourceError when no sample could be taken lately."""
        newest = self._history.newest_tick
        age = None if newest is None else self._now() - newest * self._settings.period_s
        if age is None or age > 10 * self._settings.period_s + 10.0:
            said = "no sample was taken yet" if age is None else f"the last sample is {age:.0f} s old"
            raise SourceError(f"{self.uid}: {said}", failure=SourceFailure.UNREACHABLE, transient=True)
        return "this machine"

    @property
    def skew(self) -> Skew | None:
        """There is no other clock."""
        return None

    async def describe(self) -> Description:
        """What samples this machine; raises SourceError when no sample could be taken lately."""
        await self.probe()
        abilities = ("queries of host metrics by label", "the busiest processes of a moment")
        return Description(f"psutil {psutil.__version__}", abilities, 0.0)

    async def close(self) -> None:
        """End sampling and keep the history; idempotent. A history that cannot be kept is logged."""
        if self._closed:
            return
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._reader.shutdown(wait=False)
        await self._save_or_log()

    async def _run(self) -> None:
        await self.load()
        saved_at = time.monotonic()
        while True:
            try:
                await self.sample()
            except Exception:
                # The top of a loop: whatever one reading raises, the next one is tried.
                self.failures += 1
                log.exception("host: a sample failed (%d so far)", self.failures)
            if time.monotonic() - saved_at >= self._settings.save_every_s:
                await self._save_or_log()
                saved_at = time.monotonic()
            period = self._settings.period_s
            now = self._now()
            await self._sleep((int(now / period + _EARLY) + 1) * period - now)

    async def _save_or_log(self) -> None:
        try:
            await self.save()
        except OSError as error:
            self.failures += 1
            log.warning("host: the history cannot be kept in %s: %s", self._settings.state_dir, error)

    def _save_in_turn(self, folder: Path, past: Past) -> None:
        # A save that was under way when the task was cancelled goes on in its thread: the later one must come last.
        with self._saving:
            save_past(folder, past)

    def _take_up(self, past: Past) -> None:
        age_s = self._now() - past.newest_tick * past.period_s
        if age_s < -past.period_s or age_s > self._settings.history_s:
            log.info("host: the kept history is not of the last %g s and is left", self._settings.history_s)
        elif past.period_s != self._settings.period_s:
            log.info("host: the kept history has a period of %g s and is left", past.period_s)
        else:
            self._history.restore(past)

    def _busiest_at(self, at: float) -> tuple[float, Busiest] | None:
        position = bisect_right(self._busiest, at, key=lambda each: each[0])
        if position:
            found = self._busiest[position - 1]
            # What was said long before `at` says nothing about it.
            return found if at - found[0] <= 60.0 else None
        nearest = self._busiest[0] if self._busiest else None
        return nearest if nearest is not None and nearest[0] - at <= self._settings.period_s else None

    def _warnings(self, metric: Metric) -> tuple[str, ...]:
        if not self._history.refused:
            return ()
        said = (
            f"{self._history.refused} series of this machine are not kept: the limit of {self._history.max_series} "
            f"(max_series) is reached; {metric.name} may be incomplete"
        )
        return (said,)


def _metric_of(query: str) -> Metric | None:
    try:
        return parse_query(query).metric
    except Invalid:
        return None


def _line(title: str, shares: Sequence[Share], form: Callable[[float], str]) -> tuple[str, ...]:
    said = ", ".join(f"{each.name} (pid {each.pid}) {form(each.amount)}" for each in shares if each.amount >= 0.005)
    return (f"{title}: {said}",) if said else ()
