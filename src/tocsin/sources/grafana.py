"""The datasources of a Grafana, each as a source of its own: Prometheus and Loki, asked through mcp-grafana."""

import asyncio
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tocsin.domain.datasource import Description, Skew
from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.logs import LogLine, LogPage
from tocsin.domain.target import QueryType
from tocsin.sources import up
from tocsin.sources.grafana_deployments import Deployments
from tocsin.sources.grafana_link import GrafanaLink
from tocsin.sources.grafana_operations import answered
from tocsin.sources.grafana_settings import GrafanaSettings
from tocsin.sources.grafana_tools import Argument
from tocsin.sources.grafana_wire import Lines, log_lines, loki_frame, prometheus_frame
from tocsin.sources.parts import join, split
from tocsin.sources.prometheus import QueryLimits
from tocsin.sources.query_text import check_text
from tocsin.sources.wire import LabelCache

MAX_POINTS = 11_000
"""Prometheus and Loki refuse more points a series in one query."""

MAX_LOKI_SPAN = timedelta(days=29)
"""Loki refuses a longer window by default (30 days)."""

MAX_LOG_PAGES = 50


class GrafanaPrometheus:
    """Implements `MetricSource` over the tool `query_prometheus`; `uid` is Grafana's."""

    def __init__(self, uid: str, link: GrafanaLink, deployments: Deployments, *, max_points: int = MAX_POINTS) -> None:
        self.uid = uid
        self.query_type = QueryType.PROMETHEUS
        self._link, self._deployments = link, deployments
        self._limits = _limits(link.settings, max_points)
        self._cache = LabelCache(2 * link.settings.max_series)

    async def query_range(self, query: str, window: Window) -> Frame:
        """The series of a PromQL query on the window's grid, a long window in parts; raises SourceError."""
        settings = self._link.settings
        _check_window(window, self._limits)
        parts = [await self._part(query, part) for part in split(window, self._limits.max_points)]
        return join(parts, max_series=settings.max_series, max_samples=settings.max_samples)

    async def context(self, query: str, labels: Labels, at: datetime) -> tuple[str, ...]:  # noqa: ARG002 the port's shape
        """Whether the series' exporter was scraped lately, and whether deployments are known; raises SourceError."""
        asked = up.selector(labels)
        scraped: tuple[str, ...] = ()
        if asked is not None:
            window = up.window(at)
            try:
                async with asyncio.timeout(up.WITHIN_S):
                    scraped = (up.words(asked, await self._part(f"avg({asked})", window), window),)
            except TimeoutError as error:
                raise SourceError(
                    f"no answer about {asked} within {up.WITHIN_S:g} s", failure=SourceFailure.TIMEOUT, transient=True
                ) from error
        return (*scraped, *self._deployments.unknown())

    def check_query(self, query: str) -> None:
        """Raise `Invalid("query", why)` for text that no server can take."""
        check_text(query)

    async def probe(self) -> str:
        """What answers; raises SourceError when queries are not answered."""
        await answered(
            self._link,
            "query_prometheus",
            {"datasourceUid": self.uid, "expr": "1", "queryType": "instant", "endTime": "now"},
        )
        return f"Prometheus through {self._link.version}"

    @property
    def skew(self) -> Skew | None:
        """mcp-grafana tells no clock."""
        return None

    async def describe(self) -> Description:
        """What answers, and how long one cheap question took; raises SourceError when queries are not answered."""
        began = time.monotonic()
        version = await self.probe()
        return Description(
            version,
            ("range queries in PromQL, through Grafana", "whether the exporter of a series was scraped (up)"),
            time.monotonic() - began,
        )

    async def close(self) -> None:
        """Nothing of its own to give back: the connection is Grafana's."""

    async def _part(self, query: str, window: Window) -> Frame:
        settings = self._link.settings
        asked: dict[str, Argument] = {
            "datasourceUid": self.uid,
            "expr": query,
            "queryType": "range",
            "startTime": rfc3339(window.start),
            "endTime": rfc3339(window.end),
            "stepSeconds": round(window.step_s),
        }
        text = await answered(self._link, "query_prometheus", asked)
        frame = prometheus_frame(
            text, window, cache=self._cache, max_series=settings.max_series, max_samples=settings.max_samples
        )
        return replace(frame, warnings=tuple(map(settings.redact, frame.warnings))) if frame.warnings else frame


class GrafanaLoki:
    """Implements `MetricSource` and `LogSource` over the tool `query_loki_logs`; `uid` is Grafana's."""

    def __init__(self, uid: str, link: GrafanaLink, deployments: Deployments, *, max_points: int = MAX_POINTS) -> None:
        self.uid = uid
        self.query_type = QueryType.LOKI
        self._link, self._deployments = link, deployments
        self._limits = _limits(link.settings, max_points)

    async def query_range(self, query: str, window: Window) -> Frame:
        """The series of a LogQL metric query on the window's grid; raises SourceError."""
        settings = self._link.settings
        _check_window(window, self._limits)
        at_once = min(self._limits.max_points, max(1, int(MAX_LOKI_SPAN / window.step)))
        parts = [await self._part(query, part) for part in split(window, at_once)]
        return join(parts, max_series=settings.max_series, max_samples=settings.max_samples)

    async def query_logs(self, query: str, start: datetime, end: datetime, limit: int) -> LogPage:
        """The newest `limit` lines in [start, end), the oldest first; raises SourceError.

        mcp-grafana cuts an answer (at 100 lines unless it is told otherwise) and says so: the rest is asked for page
        by page. Labels of a line and of its stream come together, and are all in `labels`.
        """
        found: list[LogLine] = []
        until_ns, queries, size_bytes = _nanoseconds(end), 0, 0
        warnings: tuple[str, ...] = ()
        while True:
            again = sum(line.timestamp_ns == until_ns - 1 for line in found)
            page, size = await self._page(query, start, until_ns, limit - len(found) + again)
            queries, size_bytes = queries + 1, size_bytes + size
            fresh = _not_yet(page.lines, found)
            found += fresh
            if not page.truncated or len(found) >= limit:
                break
            if not fresh or queries >= MAX_LOG_PAGES:
                warnings = (
                    f"more lines than {queries} questions of {page.allowed} lines bring; the oldest are missing",
                )
                break
            # One nanosecond later than the oldest: others of the same instant may have been cut off.
            until_ns = min(line.timestamp_ns for line in fresh) + 1
        found.sort(key=lambda line: line.timestamp_ns)
        complete = not page.truncated and not warnings and len(found) <= limit
        return LogPage(tuple(found[-limit:]), complete, warnings=warnings, queries=queries, size_bytes=size_bytes)

    async def context(self, query: str, labels: Labels, at: datetime) -> tuple[str, ...]:  # noqa: ARG002 the port's shape
        """Whether deployments are known."""
        return self._deployments.unknown()

    def check_query(self, query: str) -> None:
        """Raise `Invalid("query", why)` for text that no server can take."""
        check_text(query)

    async def probe(self) -> str:
        """What answers; raises SourceError when queries are not answered."""
        await answered(
            self._link,
            "query_loki_logs",
            {"datasourceUid": self.uid, "logql": "vector(1)", "queryType": "instant"},
        )
        return f"Loki through {self._link.version}"

    @property
    def skew(self) -> Skew | None:
        """mcp-grafana tells no clock."""
        return None

    async def describe(self) -> Description:
        """What answers, and how long one cheap question took; raises SourceError when queries are not answered."""
        began = time.monotonic()
        version = await self.probe()
        return Description(version, ("metric queries in LogQL, through Grafana", "log lines"), time.monotonic() - began)

    async def close(self) -> None:
        """Nothing of its own to give back: the connection is Grafana's."""

    async def _part(self, query: str, window: Window) -> Frame:
        settings = self._link.settings
        asked: dict[str, Argument] = {
            "datasourceUid": self.uid,
            "logql": query,
            "queryType": "range",
            "startRfc3339": rfc3339(window.start),
            "endRfc3339": rfc3339(window.end),
            "stepSeconds": round(window.step_s),
            "limit": 1,
        }
        text = await answered(self._link, "query_loki_logs", asked)
        return loki_frame(text, window, max_series=settings.max_series, max_samples=settings.max_samples)

    async def _page(self, query: str, start: datetime, until_ns: int, limit: int) -> tuple[Lines, int]:
        asked: dict[str, Argument] = {
            "datasourceUid": self.uid,
            "logql": query,
            "queryType": "range",
            "direction": "backward",
            "startRfc3339": rfc3339(start),
            "endRfc3339": rfc3339_ns(until_ns),
            "limit": limit,
        }
        text = await answered(self._link, "query_loki_logs", asked)
        return log_lines(text), len(text)


def rfc3339(at: datetime) -> str:
    """An instant as mcp-grafana takes it, in UTC, to the microsecond."""
    text = at.astimezone(UTC).isoformat()
    return text.removesuffix("+00:00") + "Z"


def rfc3339_ns(nanoseconds: int) -> str:
    """The same to the nanosecond."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _nanoseconds(at: datetime) -> int:
    return round((at - datetime.fromtimestamp(0, UTC)) / timedelta(microseconds=1)) * 1000


def _limits(settings: GrafanaSettings, max_points: int) -> QueryLimits:
    return QueryLimits(
        max_series=settings.max_series,
        max_samples=settings.max_samples,
        max_points=max_points,
        max_range_s=settings.max_range_s,
    )


def _check_window(window: Window, limits: QueryLimits) -> None:
    if window.step_s != round(window.step_s):
        raise SourceError(
            f"mcp-grafana takes steps of whole seconds, not {window.step_s:g} s; change the target's step",
            failure=SourceFailure.BAD_QUERY,
            transient=False,
        )
    limits.check(window)


def _not_yet(lines: tuple[LogLine, ...], found: list[LogLine]) -> list[LogLine]:
    """The lines of a page without those that the page before had too; equal lines count as often as they come."""
    oldest = min((line.timestamp_ns for line in found), default=0)
    seen = Counter((each.labels, each.text) for each in found if each.timestamp_ns == oldest)
    fresh = []
    for line in lines:
        key = (line.labels, line.text)
        if line.timestamp_ns == oldest and seen[key] > 0:
            seen[key] -= 1
        else:
            fresh.append(line)
    return fresh
