"""A log source that answers from a script: for tests and demonstrations without a server."""

from collections.abc import Mapping
from datetime import datetime

from tocsin.domain.errors import LimitExceeded, SourceError
from tocsin.domain.labels import Labels
from tocsin.domain.logs import LogLine, LogPage
from tocsin.sources.log_pages import MAX_LINES, Span


class ScriptedLogs:
    """Implements `LogSource`. A query that nobody scripted has no lines, as on a real server."""

    def __init__(self) -> None:
        self._lines: dict[str, list[LogLine]] = {}
        self._error: SourceError | None = None

    def write(self, query: str, timestamp_ns: int, text: str, labels: Mapping[str, str] | None = None) -> None:
        """One more line in the answer to `query`."""
        self._lines.setdefault(query, []).append(LogLine(timestamp_ns, Labels(labels), text))

    def fail(self, error: SourceError | None) -> None:
        """Raise `error` from now on; None answers again."""
        self._error = error

    async def query_logs(self, query: str, start: datetime, end: datetime, limit: int) -> LogPage:
        """At most `limit` of the scripted lines in [start, end), the newest where there are more."""
        span = Span.of(start, end)
        if limit > MAX_LINES:
            raise LimitExceeded(f"{limit:,} lines at once, more than {MAX_LINES:,}; ask for less")
        if self._error is not None:
            raise SourceError(str(self._error), failure=self._error.failure, transient=self._error.transient)
        lines = [each for each in self._lines.get(query, ()) if span.start <= each.timestamp_ns < span.end]
        lines.sort(key=lambda line: line.timestamp_ns)
        return LogPage(tuple(lines[-limit:]), complete=len(lines) <= limit, total=len(lines))
