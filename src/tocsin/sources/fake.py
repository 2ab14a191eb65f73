"""A metric source that answers from a script: for tests, demonstrations and whole-process runs in scenario time."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from tocsin.domain.connection import Standing
from tocsin.domain.datasource import Description, Skew
from tocsin.domain.errors import Invalid, LimitExceeded, SourceError, SourceFailure
from tocsin.domain.frame import Floats, Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.target import QueryType

Curve = Callable[[Floats], Floats]
"""Instants (T,), unix seconds, to values (T,); NaN = no sample."""

KEPT_REQUESTS = 10_000


@dataclass(frozen=True, slots=True)
class Request:
    """One query that the source was asked."""

    query: str
    window: Window


@dataclass(slots=True)
class _Script:
    curves: dict[Labels, Curve] = field(default_factory=dict)
    error: SourceError | None = None
    errors_left: int | None = None
    dropped: frozenset[Labels] = frozenset()


class ScriptedSource:
    """Implements `MetricSource` without a server.

    A query that nobody scripted answers no series, as a real server does. With a `now` (unix seconds) it answers no
    sample from the future, and none younger than `late_s`. `requests` holds the last 10,000 questions.
    """

    def __init__(
        self,
        uid: str = "scripted",
        query_type: QueryType = QueryType.PROMETHEUS,
        *,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.uid = uid
        self.query_type, self.whole_seconds = query_type, False
        self.late_s = 0.0
        self.delay_s = 0.0
        self.warnings: tuple[str, ...] = ()
        self.partial = False
        self.requests: deque[Request] = deque(maxlen=KEPT_REQUESTS)
        self.closed = False
        self.skew: Skew | None = None
        self._now = now
        self._scripts: dict[str, _Script] = {}
        self._everywhere = _Script()
        self._contexts: dict[str, tuple[str, ...]] = {}
        self._open = asyncio.Event()
        self._open.set()

    def play(self, query: str, curve: Curve, labels: Mapping[str, str] | None = None) -> None:
        """Answer `query` with one more series (or another curve of the same labels)."""
        self._script(query).curves[Labels(labels)] = curve

    def play_array(
        self, query: str, timestamps: Floats, values: Floats, labels: Mapping[str, str] | None = None
    ) -> None:
        """The same from samples: `timestamps` and `values` (N,). An instant between two samples is a gap."""
        at, sampled = np.asarray(timestamps, dtype=np.float64), np.asarray(values, dtype=np.float64)
        if at.shape != sampled.shape or at.ndim != 1 or np.any(np.diff(at) <= 0):
            raise ValueError("timestamps and values must be as many, timestamps ascending")

        def curve(grid: Floats) -> Floats:
            answer = np.full(len(grid), np.nan)
            if len(at):
                nearest = np.minimum(np.searchsorted(at, grid - 1e-3), len(at) - 1)
                hit = np.abs(at[nearest] - grid) <= 1e-3
                answer[hit] = sampled[nearest[hit]]
            return answer

        self.play(query, curve, labels)

    def forget(self, query: str) -> None:
        """Answer no series for `query` from now on."""
        self._scripts.pop(query, None)

    def drop(self, query: str, labels: Mapping[str, str]) -> None:
        """Leave one series out of the answers, as when its exporter is gone."""
        script = self._script(query)
        script.dropped |= {Labels(labels)}

    def undrop(self, query: str) -> None:
        """All series of `query` answer again."""
        self._script(query).dropped = frozenset()

    def fail(self, error: SourceError, *, query: str | None = None, times: int | None = None) -> None:
        """Raise `error` for one query or all, the next `times` times or until `recover`."""
        script = self._everywhere if query is None else self._script(query)
        script.error, script.errors_left = error, times

    def recover(self) -> None:
        """No more errors, and what hung goes on."""
        for script in (self._everywhere, *self._scripts.values()):
            script.error = None
        self._open.set()

    def hang(self) -> None:
        """Answer nothing at all until `recover`."""
        self._open.clear()

    def tell(self, query: str, *lines: str) -> None:
        """What `context` says beside the numbers of `query`."""
        self._contexts[query] = lines

    async def query_range(self, query: str, window: Window) -> Frame:
        """The scripted series on the window's grid; series without a sample in it are left out, as Prometheus does."""
        if self.closed:
            raise SourceError(f"{self.uid} is closed", failure=SourceFailure.UNREACHABLE, transient=False)
        self.requests.append(Request(query, window))
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._open.wait()
        script = self._scripts.get(query, _Script())
        _raise_scripted(self._everywhere)
        _raise_scripted(script)
        return self._frame(script, window)

    async def context(self, query: str, labels: Labels, at: datetime) -> tuple[str, ...]:  # noqa: ARG002 the port's shape
        """The lines given to `tell`."""
        return self._contexts.get(query, ())

    def check_query(self, query: str) -> None:
        """Refuse empty text only."""
        if not query.strip():
            raise Invalid("query", "must not be empty")

    async def probe(self) -> str:
        """What answers here; raises the error that is scripted for all queries."""
        await self._open.wait()
        _raise_scripted(self._everywhere)
        return "scripted"

    async def describe(self) -> Description:
        """Its `skew`, which tests set; raises the error that is scripted for all queries."""
        return Description(await self.probe(), ("scripted queries",), 0.0, self.skew)

    async def close(self) -> None:
        """Answer no more."""
        self.closed = True
        self._open.set()

    def _script(self, query: str) -> _Script:
        return self._scripts.setdefault(query, _Script())

    def _frame(self, script: _Script, window: Window) -> Frame:
        grid = window.grid()
        unseen = np.zeros(len(grid), dtype=bool) if self._now is None else grid > self._now() - self.late_s
        labels: list[Labels] = []
        rows: list[Floats] = []
        dropped = {"nan": 0, "+inf": 0, "-inf": 0}
        for label, curve in script.curves.items():
            if label in script.dropped:
                continue
            row = np.array(curve(grid), dtype=np.float64)
            row[unseen] = np.nan
            for kind, where in (("+inf", row == np.inf), ("-inf", row == -np.inf)):
                dropped[kind] += int(np.count_nonzero(where))
            has_sample = not np.isnan(row).all()
            row[np.isinf(row)] = np.nan
            if has_sample:
                labels.append(label)
                rows.append(row)
        values = np.array(rows, dtype=np.float64).reshape(len(rows), len(grid))
        counted = {kind: count for kind, count in dropped.items() if count}
        return Frame(grid, values, tuple(labels), self.warnings, counted, partial=self.partial)


def _raise_scripted(script: _Script) -> None:
    if script.error is None:
        return
    error = script.error
    if script.errors_left is not None:
        script.errors_left -= 1
        if script.errors_left <= 0:
            script.error = None
    # A new one each time: raising the same object again and again would grow its traceback.
    if isinstance(error, LimitExceeded):
        raise LimitExceeded(str(error), asked=error.asked)
    raise SourceError(str(error), failure=error.failure, transient=error.transient, retry_after_s=error.retry_after_s)


class ScriptedConnection:
    """Implements `Connection` without a server: it works until it is told to `fail`. `hidden` is a failure that only
    shows when it is asked, and so is a recovery.
    """

    def __init__(self, uid: str, datasources: tuple[str, ...] = (), *, notes: tuple[str, ...] = ()) -> None:
        self.uid = uid
        self.datasources, self.notes = datasources, notes
        self.failure: str | None = None
        self.hidden: str | None = None
        self.well = False
        """It works again, which only shows when it is asked."""
        self._open = asyncio.Event()
        self._open.set()
        self.failures = 2
        """In a row, while it fails."""
        self.asked = 0

    @property
    def what(self) -> str:
        """In words."""
        return "a script"

    def fail(self, failure: str, *, hidden: bool = False) -> None:
        """Fail from now on; while that is `hidden`, from when somebody asks."""
        self.failure, self.hidden = (self.failure, failure) if hidden else (failure, None)
        self.well = False

    def recover(self, *, hidden: bool = False) -> None:
        """Work again; while that is `hidden`, from when somebody asks."""
        self.failure, self.hidden, self.well = self.failure if hidden else None, None, hidden
        self._open.set()

    def hang(self) -> None:
        """Answer nothing at all until `recover`."""
        self._open.clear()

    def standing(self) -> Standing:
        """As it was told."""
        failures = 0 if self.failure is None else self.failures
        return Standing(
            self.failure, None if self.failure else "scripted", self.datasources, self.notes, failures=failures
        )

    async def describe(self) -> Description:
        """What a script says of itself; raises SourceError while it fails."""
        self.asked += 1
        await self._open.wait()
        self.failure, self.hidden = None if self.well else self.hidden or self.failure, None
        if self.failure is not None:
            raise SourceError(self.failure, failure=SourceFailure.UNREACHABLE, transient=True)
        return Description("scripted", (f"brings {', '.join(self.datasources)}",), 0.0)
