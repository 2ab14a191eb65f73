"""Reading lines in pages, the newest first, until there are enough, and the account of what is not among them."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tocsin.domain.errors import Invalid, LimitExceeded, SourceError
from tocsin.domain.logs import LogLine, LogPage
from tocsin.sources.loki_wire import Answered
from tocsin.sources.wire import MAX_NOTES
from tocsin.sources.wire_errors import bad_answer

MAX_LINES = 50_000
"""Lines that one question may bring."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Ask = Callable[[int, int, int], Awaitable[Answered]]
"""The newest lines, at most so many, from one unix nanosecond up to another that is not among them."""

Count = Callable[[], Awaitable[int]]
"""How many lines there are in the whole window."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many lines one question may ask for, how many bytes all answers may come to, and how many there may be."""

    page_lines: int
    max_bytes: int
    max_pages: int = 500


@dataclass(frozen=True, slots=True)
class Span:
    """A window in unix nanoseconds, `end` not among them."""

    start: int
    end: int

    @classmethod
    def of(cls, start: datetime, end: datetime) -> "Span":
        """Raises `Invalid` for an empty window or naive instants."""
        if start.tzinfo is None or end.tzinfo is None:
            raise Invalid("start", "needs a time zone, and so does end")
        if end <= start:
            raise Invalid("end", "must be after start")
        return cls(nanoseconds(start), nanoseconds(end))


def nanoseconds(at: datetime) -> int:
    """Unix nanoseconds of an aware instant, exact."""
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000


async def newest_lines(span: Span, limit: int, bounds: Bounds, ask: Ask, count: Count | None) -> LogPage:
    """At most `limit` lines of the window, the newest; raises SourceError, LimitExceeded above `MAX_LINES` or `bounds`.

    One line more than `limit` is asked for, so that what is complete is known and not guessed; `count` is asked only
    where it is not, and None where nobody can tell.
    """
    if limit < 1:
        raise Invalid("limit", "must be at least 1")
    if limit > MAX_LINES:
        raise LimitExceeded(f"{limit:,} lines at once, more than {MAX_LINES:,}; ask for less, or in shorter windows")
    reading = _Reading(span, limit + 1)
    while reading.goes_on:
        wanted = reading.wanted(bounds.page_lines)
        reading.take(await ask(span.start, reading.end, wanted), wanted)
        if reading.size_bytes > bounds.max_bytes:
            raise LimitExceeded(
                f"the lines come to more than {bounds.max_bytes:,} bytes; ask for fewer lines, or raise max_bytes"
            )
        if reading.queries >= bounds.max_pages:
            break
    total: int | None
    complete = reading.reached_start and len(reading.lines) <= limit
    kept = tuple(reversed(reading.lines[:limit]))
    total, why = (len(kept), []) if complete else await _counted(count, len(kept))
    warnings = [*reading.warnings, *why]
    if not complete and len(kept) < limit and reading.goes_on:
        warnings.append(f"more lines than {reading.queries} questions bring; the oldest are missing")
    return LogPage(
        lines=kept,
        complete=complete,
        total=total,
        warnings=tuple(dict.fromkeys(warnings))[:MAX_NOTES],
        queries=reading.queries + (count is not None and not complete),
        size_bytes=reading.size_bytes,
    )


async def _counted(count: Count | None, read: int) -> tuple[int | None, list[str]]:
    """How many lines there are in all. That nobody knows is said beside the lines, which are there."""
    if count is None:
        return None, []
    try:
        total = await count()
    except SourceError as error:
        return None, [f"how many lines there are in all is not known: {error}"]
    if total <= read:
        return None, [f"the server counts {total:,} lines in all, and has given {read:,} and has more"]
    return total, []


class _Reading:
    """Lines so far, the newest first. Pages overlap by one instant, whose lines are taken once each."""

    def __init__(self, span: Span, enough: int) -> None:
        self._span, self._enough = span, enough
        self._border: Counter[LogLine] = Counter()
        self.end = span.end
        self.lines: list[LogLine] = []
        self.warnings: list[str] = []
        self.queries = self.size_bytes = 0
        self.reached_start = self._stuck = False

    @property
    def goes_on(self) -> bool:
        return not (self.reached_start or self._stuck or len(self.lines) >= self._enough)

    def wanted(self, page_lines: int) -> int:
        """Lines of the next page: what is missing, and those at the border that come again."""
        return min(page_lines, self._enough - len(self.lines) + self._border.total())

    def take(self, answer: Answered, wanted: int) -> None:
        page = _descending(answer.lines)
        if page and not self._span.start <= page[-1].timestamp_ns <= page[0].timestamp_ns < self.end:
            raise bad_answer("lines from outside the window that was asked for")
        if len(page) > wanted:
            raise bad_answer(f"{len(page)} lines where at most {wanted} were asked for")
        self.queries += 1
        self.size_bytes += answer.size_bytes
        self.warnings += answer.warnings
        again, before = self._border.copy(), len(self.lines)
        for line in page:
            if again[line] > 0:
                again[line] -= 1
            else:
                self.lines.append(line)
        self.reached_start = len(page) < wanted if answer.more is None else not answer.more
        if self.reached_start or not page:
            return
        oldest = page[-1].timestamp_ns
        self._border = Counter(line for line in page if line.timestamp_ns == oldest)
        # A page within one instant, all of which was known: asking again would bring the same lines.
        self._stuck = len(self.lines) == before
        if self._stuck:
            self.warnings.append(f"{len(page):,} lines or more carry the same nanosecond: others cannot be reached")
        self.end = oldest + 1


def _descending(lines: tuple[LogLine, ...]) -> list[LogLine]:
    """The newest first; lines of one instant by their labels, those of one stream as they came."""
    streams = {labels: str(labels) for labels in {line.labels for line in lines}}
    return sorted(lines, key=lambda line: (-line.timestamp_ns, streams[line.labels]))
