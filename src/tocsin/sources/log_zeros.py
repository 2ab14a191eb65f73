"""Where a window without lines is zero lines, and where it is a gap: the rule, for every source of log metrics.

Loki leaves out the points of windows without lines. That is zero where the stream is alive: where it had lines within
the window before as well (as long as the window itself, at least `ALIVE_S`). Where it had none, nobody knows whether
there was nothing to say or nobody to say it: a gap. Queries that do not count lines (unwrap) are not touched.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from tocsin.domain.errors import Invalid, LimitExceeded
from tocsin.domain.frame import Floats, Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.logql import Counting, counting, duration
from tocsin.domain.shared import NamesKey, Shared, StreamsKey

ALIVE_S = 900.0
REMEMBERED_S = 7 * 86400.0
"""How long a series without lines goes on as zeros, while its stream is alive."""

MAX_QUERIES = 2000

NAMES_OF_AT_LEAST = timedelta(hours=1)
MAX_NAMES_SPAN = timedelta(days=29)
"""The names of labels are those of so long a time at most: Loki refuses more than 30 days."""

_MINUTE = timedelta(minutes=1)

AskRange = Callable[[str, Window], Awaitable[Frame]]
"""A metric query as the server answers it, with its gaps."""

AskNames = Callable[[datetime, datetime], Awaitable[frozenset[str]]]
"""The names of the labels that make streams between two instants; those of single lines are not among them."""


class SeriesSeen:
    """Which series a query has had, so that one without lines in a window is known to be missing. Bounded.

    At most `MAX_QUERIES` queries of `max_series` each: the query that was asked the longest ago is forgotten, and a
    series of which the last line is older than `REMEMBERED_S`.
    """

    def __init__(self, max_series: int) -> None:
        self._max_series = max_series
        self._seen: OrderedDict[str, dict[Labels, float]] = OrderedDict()

    def known(self, query: str, frame: Frame) -> tuple[Labels, ...]:
        """The series of the frame, and those that the query had before."""
        seen = self._seen.setdefault(query, {})
        self._seen.move_to_end(query)
        if len(self._seen) > MAX_QUERIES:
            self._seen.popitem(last=False)
        if len(frame.labels):
            last = np.where(np.isnan(frame.values), -np.inf, frame.timestamps).max(axis=1)
            for labels, at in zip(frame.labels, last.tolist(), strict=True):
                seen[labels] = max(at, seen.get(labels, at))
        began, ended = float(frame.timestamps[0]), float(frame.timestamps[-1])
        # By the time of the data, so that reading the past forgets nothing.
        for labels in [each for each, at in seen.items() if at < began - REMEMBERED_S]:
            del seen[labels]
        known = dict.fromkeys(frame.labels)
        known.update(dict.fromkeys(each for each, at in seen.items() if at <= ended))
        if len(known) > self._max_series:
            raise LimitExceeded(
                f"the query has had {len(known):,} series in {REMEMBERED_S / 86400:g} days, more than "
                f"{self._max_series:,}; aggregate it, or raise max_series"
            )
        return tuple(known)


class Zeros:
    """Puts the zeros into the answers of one datasource. `ask_range` and `ask_names` ask the server; what several
    questions need of that is `shared`.
    """

    def __init__(self, uid: str, max_series: int, shared: Shared, ask: tuple[AskRange, AskNames]) -> None:
        self._uid, self._shared = uid, shared
        self._seen = SeriesSeen(max_series)
        self._ask_range, self._ask_names = ask

    async def counted(self, query: str, frame: Frame, window: Window) -> Frame:
        """The server's answer to `query` with the zeros that belong into it; raises SourceError."""
        try:
            found = counting(query)
        except Invalid:
            # The server took it: then it is a form of LogQL that is newer than this, and none that is known to count.
            return frame
        return frame if found is None else await self._with_zeros(frame, window, found, self._seen.known(query, frame))

    async def _with_zeros(self, frame: Frame, window: Window, counting: Counting, known: Sequence[Labels]) -> Frame:
        """The frame of a counting query, with the series of `known` too, zero where the stream was alive.

        Asks only where a point is missing: once for the names of labels where the series differ by some, and once for
        the lines of the streams. Raises SourceError when that is not answered: a gap that nobody could look into is no
        zero.
        """
        rows = known or ((Labels(),) if counting.whole else ())
        values: Floats = np.full((len(rows), len(frame.timestamps)), np.nan)
        row_of = {labels: row for row, labels in enumerate(rows)}
        if frame.labels:
            values[[row_of[labels] for labels in frame.labels]] = frame.values
        if not np.isnan(values).any():
            return frame
        names, asked = await self._of_streams(sorted({name for labels in rows for name in labels}), window)
        alive = await self._alive(alive_query(counting, names), window)
        streams = _Streams(alive)
        for row, labels in enumerate(rows):
            there = (alive.values[streams.of(labels)] > 0).any(axis=0)
            values[row, np.isnan(values[row]) & there] = 0.0
        kept = [row for row in range(len(rows)) if not np.isnan(values[row]).all()]
        return replace(
            frame,
            values=values[kept],
            labels=tuple(rows[row] for row in kept),
            warnings=tuple(dict.fromkeys((*frame.warnings, *alive.warnings))),
            size_bytes=frame.size_bytes + alive.size_bytes,
            queries=frame.queries + alive.queries + asked,
        )

    async def _of_streams(self, names: list[str], window: Window) -> tuple[list[str], bool]:
        """Those of the names that make streams, and whether the server was asked for it.

        Asked over whole minutes, so that all who judge within one ask the same. Whether a stream had lines is no part
        of the answer: a label that a stream has lost since is found missing in the answer about its lines.
        """
        if not names:
            return names, False
        start, end = _whole_minutes(window)
        key = NamesKey(self._uid, tuple(names), start, end)
        found, asked = await self._shared.names(key, lambda: self._ask_names(start, end))
        return [name for name in names if name in found], asked

    async def _alive(self, query: str, window: Window) -> Frame:
        """The lines of the streams: of this very window, as it judges the present."""
        key = StreamsKey(self._uid, query, window)
        alive, asked = await self._shared.streams(key, lambda: self._ask_range(query, window))
        return alive if asked else replace(alive, queries=0, size_bytes=0)


def _whole_minutes(window: Window) -> tuple[datetime, datetime]:
    """The minutes that a window touches, an hour of them at least: streams of which no line falls into it count."""
    start, end = min(window.start, window.end - NAMES_OF_AT_LEAST), window.end
    start = start - timedelta(seconds=start.second, microseconds=start.microsecond)
    end = end + (-timedelta(seconds=end.second, microseconds=end.microsecond)) % _MINUTE
    return max(start, end - MAX_NAMES_SPAN), end


class _Streams:
    """The streams by their labels. Few sets of names go for many of them, so that finding one is a look-up or two."""

    def __init__(self, alive: Frame) -> None:
        self._rows = {labels: row for row, labels in enumerate(alive.labels)}
        self._names = {tuple(labels) for labels in alive.labels}

    def of(self, labels: Labels) -> list[int]:
        """The rows of the streams whose labels are all among these."""
        own = [Labels({name: labels[name] for name in names}) for names in self._names if labels.keys() >= set(names)]
        return [self._rows[each] for each in own if each in self._rows]


def alive_query(counting: Counting, names: Sequence[str]) -> str:
    """How many lines the streams had in the window and the one before."""
    reach = duration(counting.range_s + max(counting.range_s, ALIVE_S))
    grouping = f" by ({', '.join(names)})" if names else ""
    within = f"{counting.selector}[{reach}] {counting.offset}".strip()
    return f"sum{grouping} (count_over_time({within}))"
