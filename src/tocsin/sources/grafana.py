"""The datasources of a Grafana, each as a source of its own: Prometheus and Loki, asked through mcp-grafana."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tocsin.domain.datasource import Description, Skew
from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.logql import check_metric
from tocsin.domain.logs import LogPage
from tocsin.domain.target import QueryType
from tocsin.sources import up
from tocsin.sources.grafana_deployments import Deployments
from tocsin.sources.grafana_link import GrafanaLink
from tocsin.sources.grafana_operations import answered
from tocsin.sources.grafana_settings import GrafanaSettings
from tocsin.sources.grafana_tools import Argument
from tocsin.sources.grafana_wire import Lines, label_names, log_lines, loki_frame, prometheus_frame
from tocsin.sources.log_pages import MAX_LINES, Bounds, Span, newest_lines
from tocsin.sources.log_zeros import SeriesSeen, counted
from tocsin.sources.loki_wire import Answered
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
        self._seen = SeriesSeen(link.settings.max_series)

    async def query_range(self, query: str, window: Window) -> Frame:
        """The series of a LogQL metric query, with its zeros (`log_zeros.py`); raises SourceError."""
        frame = await self._frame(query, window)
        return await counted(query, frame, window, self._seen, (self._frame, self._stream_names))

    async def _frame(self, query: str, window: Window) -> Frame:
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
        span = Span.of(start, end)

        async def ask(_first: int, stop: int, lines: int) -> Answered:
            page, size_bytes = await self._page(query, start, stop, lines)
            return Answered(page.lines, (), size_bytes, more=page.truncated)

        bounds = Bounds(MAX_LINES + 1, self._link.settings.max_bytes, MAX_LOG_PAGES)
        return await newest_lines(span, limit, bounds, ask, None)

    async def context(self, query: str, labels: Labels, at: datetime) -> tuple[str, ...]:  # noqa: ARG002 the port's shape
        """Whether deployments are known."""
        return self._deployments.unknown()

    def check_query(self, query: str) -> None:
        """Raise `Invalid("query", why)` for text that is no LogQL metric query."""
        check_text(query)
        check_metric(query)

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

    async def _stream_names(self, window: Window) -> frozenset[str]:
        asked: dict[str, Argument] = {
            "datasourceUid": self.uid,
            "startRfc3339": rfc3339(min(window.start, window.end - timedelta(hours=1))),
            "endRfc3339": rfc3339(window.end),
        }
        return label_names(await answered(self._link, "list_loki_label_names", asked))

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
