"""Templates of lines as series, over any source of lines: how many lines of each there were within each step."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tocsin.domain.errors import SourceError, SourceFailure, StoreError
from tocsin.domain.frame import Floats, Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.logql import lines_within
from tocsin.domain.logs import LogLine, LogPage
from tocsin.domain.ports import LogSource
from tocsin.domain.turns import Places
from tocsin.sources.log_pages import nanoseconds
from tocsin.sources.template_miner import MAX_TEMPLATES, NEW, Miner, missing
from tocsin.sources.template_shelf import Shelf
from tocsin.sources.wire import MAX_NOTES
from tocsin.whole import to_the_end

LABEL = "template"
EVERYWHERE: Places = nullcontext()
"""A place for whoever asks for himself."""

MAX_INSTANTS = 1500
"""Steps whose lines are read in one go; a longer window is read in parts."""

MAX_READ = 150_000
"""Lines that are read in one go; where there are more, fewer are read of each step."""

MAX_OF_A_STEP = 2000
AT_ONCE = 5000
SEED_HOURS = 24
SEED_LINES = 1000
MAX_EXAMPLES = 5
_HOUR = timedelta(hours=1)
_TICK = timedelta(microseconds=1)


class CountedLines(LogSource, Protocol):
    """What is asked of the datasource: lines, and how many there are."""

    async def query_range(self, query: str, window: Window) -> Frame:
        """The counts of a metric query, zero and gap told apart; raises SourceError."""
        ...


class TemplateCounts:
    """Answers for the templates of log queries."""

    def __init__(self, source: CountedLines, shelf: Shelf) -> None:
        self._source, self._shelf = source, shelf
        self._one_at_a_time = asyncio.Lock()
        self._past: Miner | None = None

    async def frame(self, query: str, window: Window, places: Places = EVERYWHERE) -> Frame:
        """One series for each template with one of its own, one for new ones and one for all others. Each page takes
        a place of its own.

        Where it is not known whether the stream lives, all are gaps. Raises SourceError, and StoreError when what was
        learnt before cannot be read; what cannot be kept is a warning.
        """
        lacking = missing()
        if lacking is not None:
            raise SourceError(lacking, failure=SourceFailure.BAD_QUERY, transient=False)
        async with self._one_at_a_time:
            miner = await self._miner(query, window)
            async with places:
                totals = await self._source.query_range(lines_within(query, window.step_s), window)
            count = totals.values[0] if totals.labels else np.full(window.count, np.nan)
            tally = _Tally(miner, window, count, totals)
            if not miner.seeded and totals.labels:
                await self._seed(miner, query, tally, places)
            for first, last, limit in _parts(count):
                # A step ends with its instant, which belongs to it; the end of a question does not.
                end = tally.before(last + 1) + _TICK
                async with places:
                    page = await self._source.query_logs(query, tally.before(first), end, limit)
                # To its end: whoever gives up must not leave a thread behind in what others go on with.
                await to_the_end(asyncio.to_thread(tally.take, page, first, last))
            frame = tally.frame()
            miner.seeded = miner.seeded or bool(totals.labels)
            miner.asked = nanoseconds(window.end)
            return await self._kept(miner, frame)

    def context(self, query: str, labels: Labels, at: datetime) -> tuple[str, ...]:
        """Examples of a series: what was never seen before, or a line of the template."""
        miner = self._shelf.known(query)
        return () if miner is None else miner.says(labels.get(LABEL, ""), nanoseconds(at), MAX_EXAMPLES)

    async def _miner(self, query: str, window: Window) -> Miner:
        """The miner to ask. One that has gone on beyond the window answers through a copy: a look at the past changes
        nothing of what is known now. The copy goes on with the part that follows.
        """
        start, end = nanoseconds(window.start), nanoseconds(window.end)
        known = await self._shelf.kept(query)
        if known is None or end >= known.asked:
            return await self._shelf.miner(query, end)
        past = self._past
        if past is None or past.query != query or not 0 < start - past.asked <= 2 * window.step // _TICK * 1000:
            past = self._past = known.copy()
        return past

    async def _kept(self, miner: Miner, frame: Frame) -> Frame:
        """The same answer once what was learnt is kept; without that it is as good, until the next start."""
        try:
            await self._shelf.keep(miner)
        except StoreError as error:
            return replace(frame, warnings=(*frame.warnings, f"templates are not kept, a restart learns anew: {error}"))
        return frame

    async def _seed(self, miner: Miner, query: str, tally: "_Tally", places: Places) -> None:
        """A look at the day before, so that what comes every few hours is no news."""
        for back in range(SEED_HOURS, 0, -1):
            start = tally.before(0) - back * _HOUR
            async with places:
                page = await self._source.query_logs(query, start, start + _HOUR, SEED_LINES)
            tally.asked(page)
            lines = [(line.timestamp_ns, line.text) for line in page.lines]
            await to_the_end(asyncio.to_thread(miner.mine, lines))


class _Tally:
    """Counts lines by template and step."""

    def __init__(self, miner: Miner, window: Window, totals: Floats, answer: Frame) -> None:
        self._miner, self._window, self._totals = miner, window, totals
        self._start, self._step = nanoseconds(window.start), window.step // _TICK * 1000
        self._known = ~np.isnan(totals)
        self._counts: dict[tuple[int, bool], Floats] = {}
        self._lines: Counter[int] = Counter()
        self._seen = self._unseen = 0
        self._queries, self._bytes, self._warnings = answer.queries, answer.size_bytes, answer.warnings
        self._partial = answer.partial

    def before(self, index: int) -> datetime:
        """Where a step begins: the instant itself belongs to the step before."""
        return self._window.start + (index - 1) * self._window.step

    def asked(self, page: LogPage) -> None:
        """Take note of what a page costs."""
        self._queries += page.queries
        self._bytes += page.size_bytes
        self._warnings = tuple(dict.fromkeys((*self._warnings, *page.warnings)))[:MAX_NOTES]

    def take(self, page: LogPage, first: int, last: int) -> None:
        """Count the lines of a page over the steps from `first` to `last`; a sample stands for all of them."""
        self.asked(page)
        lines = [(line, index) for line in page.lines if first <= (index := self._index(line)) <= last]
        keys = self._miner.mine([(line.timestamp_ns, line.text) for line, _ in lines])
        total = float(np.nansum(self._totals[first : last + 1]))
        weight = 1.0 if page.complete or not keys else max(1.0, total / len(keys))
        self._seen += len(keys)
        self._unseen += 0 if page.complete else max(0, round(total) - len(keys))
        for (line, index), key in zip(lines, keys, strict=True):
            self._lines[key] += 1
            new = self._miner.is_new(key, line.timestamp_ns)
            row = self._counts.setdefault((key, new), np.zeros(len(self._totals)))
            row[index] += weight

    def frame(self) -> Frame:
        """The counts as series."""
        forgotten = self._miner.settle(self._lines)
        grid, warnings = self._window.grid(), self._warnings
        if forgotten:
            warnings = (
                *warnings,
                f"more than {MAX_TEMPLATES} templates: {forgotten} of the longest unseen are forgotten",
            )
        if self._unseen > 0:
            seen, of = self._seen, self._seen + self._unseen
            warnings = (*warnings, f"templates are counted from {seen:,} of {of:,} lines: the rest is estimated")
        rows: dict[str, Floats] = {}
        if self._known.any():
            rows = {name: np.zeros(len(grid)) for name in self._miner.names()}
            for (key, new), counted in self._counts.items():
                rows[self._miner.name(key)] += counted
                if new:
                    rows[NEW] += counted
        values: Floats = np.round(np.array(list(rows.values()))).reshape(len(rows), len(grid))
        values[:, ~self._known] = np.nan
        for row, name in zip(values, rows, strict=True):
            # What is news is told once, by the series of new ones: its own begins afterwards, with a gap before and no
            # zero, so that its beginning is no anomaly either.
            row[grid * 1e9 < self._miner.new_until(name)] = np.nan
        begun = [self._miner.new_until(name) <= nanoseconds(self._window.end) for name in rows]
        return Frame(
            grid,
            values[np.array(begun, dtype=bool)],
            tuple(Labels({LABEL: name}) for name, there in zip(rows, begun, strict=True) if there),
            warnings,
            size_bytes=self._bytes,
            queries=self._queries,
            partial=self._partial or self._unseen > 0,
        )

    def _index(self, line: LogLine) -> int:
        """The step that a line belongs to."""
        return -(-(line.timestamp_ns - self._start) // self._step)


def _parts(totals: Floats) -> Iterator[tuple[int, int, int]]:
    """Steps whose lines are asked for together (first, last) and how many of them; none where there are none."""
    most = max(20, min(MAX_OF_A_STEP, MAX_READ // max(1, len(totals))))
    there: NDArray[np.intp] = np.flatnonzero(np.nan_to_num(totals) > 0)
    group: list[int] = []
    for index in map(int, there):
        alone = totals[index] > most
        if group and (alone or totals[group].sum() + totals[index] > AT_ONCE):
            yield group[0], group[-1], AT_ONCE
            group = []
        if alone:
            yield index, index, most
        else:
            group.append(index)
    if group:
        yield group[0], group[-1], AT_ONCE
