"""Grafana Loki as a datasource: what its lines count, and the lines themselves."""

import asyncio
import time
from dataclasses import replace
from datetime import datetime, timedelta

from tocsin.domain.datasource import Description, Skew
from tocsin.domain.errors import Invalid, LimitExceeded, SourceError, SourceFailure
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.log_signal import templates_of
from tocsin.domain.logql import check_metric, duration, lines_within, parse
from tocsin.domain.logql_tree import Binary, Call, LinesWithin, Node
from tocsin.domain.logs import LogPage
from tocsin.domain.ports import SettingStore
from tocsin.domain.shared import Shared, Unshared
from tocsin.domain.target import QueryType
from tocsin.domain.turns import Places
from tocsin.domain.words import many
from tocsin.sources.http import HttpClient
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.log_pages import Bounds, Span, nanoseconds, newest_lines
from tocsin.sources.log_templates import EVERYWHERE, MAX_INSTANTS, TemplateCounts
from tocsin.sources.log_zeros import Zeros
from tocsin.sources.loki_http import body_of
from tocsin.sources.loki_wire import (
    Answered,
    decode_count,
    decode_names,
    decode_streams,
    decode_version,
    entries_limit,
)
from tocsin.sources.parts import QueryLimits, in_parts
from tocsin.sources.query_text import check_text
from tocsin.sources.template_miner import missing
from tocsin.sources.template_shelf import Shelf
from tocsin.sources.wire import LabelCache, decode_matrix

UNKNOWN = "version unknown"
ABILITIES = ("range queries in LogQL", "log lines", "how many lines a stream had lately")

MAX_ENTRIES = 5000
"""Loki gives no more lines at once, unless it is told to; one that gives fewer says so, and is asked for fewer."""

MAX_RANGE = timedelta(days=30)
"""Loki's own limit of one query; a longer window is asked for in parts."""

CONTEXT = timedelta(minutes=10)
CONTEXT_WITHIN_S = 3.0


class LokiSource:
    """Implements `MetricSource`, `AsksInTurns` and `LogSource` over the HTTP API. Connects with the first query."""

    def __init__(
        self,
        uid: str,
        http: HttpSettings | HttpClient,
        limits: QueryLimits | None = None,
        *,
        kept: SettingStore | None = None,
        shared: Shared | None = None,
    ) -> None:
        self.uid = uid
        self.query_type, self.whole_seconds = QueryType.LOKI, False
        self._client = http if isinstance(http, HttpClient) else HttpClient(http)
        self._limits = limits or QueryLimits()
        self._cache = LabelCache(2 * self._limits.max_series)
        ask = self._frame, self._stream_names
        self._zeros = Zeros(uid, self._limits.max_series, shared or Unshared(), ask)
        self._page_lines = MAX_ENTRIES
        self._templates = TemplateCounts(self, Shelf(uid, kept))

    async def query_range(self, query: str, window: Window) -> Frame:
        """The series of a LogQL metric query on the window's grid; raises SourceError.

        A window without lines is zero where the query counts lines and the stream is alive (`log_zeros.py`).
        Templates are counted from the lines themselves (`log_templates.py`).
        """
        if self.in_turns(query):
            return await self.query_in_turns(query, window, EVERYWHERE)
        frame = await self._frame(query, window)
        return await self._zeros.counted(query, frame, window)

    def in_turns(self, query: str) -> bool:
        """Templates are read in many pages."""
        return templates_of(query) is not None

    async def query_in_turns(self, query: str, window: Window, places: Places) -> Frame:
        """The counts of templates, each page read in a place of its own; raises SourceError."""
        lines = templates_of(query) or query
        return await in_parts(
            window, self._limits, lambda part: self._templates.frame(lines, part, places), at_most=MAX_INSTANTS
        )

    async def query_logs(self, query: str, start: datetime, end: datetime, limit: int) -> LogPage:
        """At most `limit` lines of `query` in [start, end), the newest where there are more; raises `SourceError`."""
        span = Span.of(start, end)

        async def ask(first: int, stop: int, lines: int) -> Answered:
            form = {"query": query, "start": str(first), "end": str(stop), "limit": str(lines), "direction": "backward"}
            answer = decode_streams(await body_of(self._client, "loki/api/v1/query_range", form))
            return replace(answer, warnings=tuple(map(self._client.settings.redact, answer.warnings)))

        async def count() -> int:
            # A range ends with its instant and begins behind its start: one nanosecond before both.
            try:
                within = lines_within(query, (end - start).total_seconds())
            except Invalid as error:
                raise SourceError(error.reason, failure=SourceFailure.BAD_QUERY, transient=False) from error
            return decode_count(
                await body_of(self._client, "loki/api/v1/query", {"query": within, "time": str(span.end - 1)})
            )

        while True:
            bounds = Bounds(self._page_lines, self._client.settings.max_response_bytes)
            try:
                return await newest_lines(span, limit, bounds, ask, count)
            except SourceError as error:
                gives = entries_limit(str(error))
                if gives is None or not 0 < gives < bounds.page_lines:
                    raise
                self._page_lines = gives

    async def context(self, query: str, labels: Labels, at: datetime) -> tuple[str, ...]:
        """How many lines the query's streams had lately, whatever it looks for in them; of templates, examples of
        lines. Raises SourceError.
        """
        templates = templates_of(query)
        if templates is not None:
            return self._templates.context(templates, labels, at)
        selector = _selector(parse(query))
        if selector is None:
            return ()
        asked = f"sum(count_over_time({selector}[{duration(CONTEXT.total_seconds())}]))"
        try:
            async with asyncio.timeout(CONTEXT_WITHIN_S):
                body = await body_of(self._client, "loki/api/v1/query", {"query": asked, "time": str(nanoseconds(at))})
        except TimeoutError as error:
            raise SourceError(
                f"no answer about {selector} within {CONTEXT_WITHIN_S:g} s",
                failure=SourceFailure.TIMEOUT,
                transient=True,
            ) from error
        lines, minutes = decode_count(body), CONTEXT / timedelta(minutes=1)
        when = f"in the {minutes:g} minutes before {at:%H:%M:%S} UTC"
        return (f"{selector} had {many(lines, 'line')} {when}" if lines else f"{selector} had no line at all {when}",)

    def check_query(self, query: str) -> None:
        """Raise `Invalid("query", why)` for text that is no LogQL metric query, as far as its structure tells."""
        check_text(query)
        if templates_of(query) is None:
            check_metric(query)
            return
        lacking = missing()
        if lacking is not None:
            raise Invalid("log_signal", lacking)

    async def probe(self) -> str:
        """The server's version, as far as it says one; raises SourceError when it does not answer queries."""
        answer = await self._client.get("loki/api/v1/status/buildinfo", {})
        version = decode_version(answer.body) if answer.status == 200 else ""
        # Anybody answers this; whether the credentials and the tenant do is told by a question about data.
        decode_names(await body_of(self._client, "loki/api/v1/labels", {}))
        return version or UNKNOWN

    @property
    def skew(self) -> Skew | None:
        """By the `Date` of its answers, which has no parts of a second."""
        return self._client.skew

    async def describe(self) -> Description:
        """Its version, and how long one question took; raises SourceError when it does not answer queries."""
        version, asked_s = await self.probe(), time.monotonic()
        await body_of(self._client, "loki/api/v1/labels", {})
        return Description("" if version == UNKNOWN else version, ABILITIES, time.monotonic() - asked_s, self.skew)

    async def close(self) -> None:
        """Give back the connections; idempotent."""
        await self._client.close()

    async def _frame(self, query: str, window: Window) -> Frame:
        """The series as the server answers them, in parts where it gives no more at once."""
        at_most = int(MAX_RANGE / window.step)
        return await in_parts(window, self._limits, lambda part: self._part(query, part), at_most=at_most)

    async def _part(self, query: str, window: Window) -> Frame:
        form = {
            "query": query,
            "start": str(nanoseconds(window.start)),
            "end": str(nanoseconds(window.end)),
            "step": duration(window.step_s),
        }
        body = await body_of(self._client, "loki/api/v1/query_range", form)
        limits = self._limits
        try:
            frame = decode_matrix(
                body, window, cache=self._cache, max_series=limits.max_series, max_samples=limits.max_samples
            )
        except LimitExceeded:
            raise
        except SourceError as error:
            raise self._client.redacted(error) from None
        return replace(frame, warnings=tuple(map(self._client.settings.redact, frame.warnings)))

    async def _stream_names(self, start: datetime, end: datetime) -> frozenset[str]:
        form = {"start": str(nanoseconds(start)), "end": str(nanoseconds(end))}
        return decode_names(await body_of(self._client, "loki/api/v1/labels", form))


def _selector(node: Node) -> str | None:
    """The first stream selector of a metric query."""
    if isinstance(node, LinesWithin):
        return node.lines.selector
    inner = node.arguments if isinstance(node, Call) else (node.left, node.right) if isinstance(node, Binary) else ()
    return next((found for found in map(_selector, inner) if found is not None), None)
