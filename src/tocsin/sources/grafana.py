"""The datasources of a Grafana, each as a source of its own: Prometheus and Loki, asked through mcp-grafana."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tocsin.domain.datasource import Description, Skew
from tocsin.domain.errors import Invalid, SourceError, SourceFailure
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.log_signal import templates_of
from tocsin.domain.logql import check_metric
from tocsin.domain.logs import LogPage
from tocsin.domain.shared import Shared, Unshared
from tocsin.domain.target import QueryType
from tocsin.sources import up
from tocsin.sources.grafana_deployments import Deployments
from tocsin.sources.grafana_link import GrafanaLink
from tocsin.sources.grafana_operations import answered
from tocsin.sources.grafana_settings import GrafanaSettings
from tocsin.sources.grafana_tools import Argument
from tocsin.sources.grafana_wire import Lines, label_names, log_lines, loki_frame, prometheus_frame
from tocsin.sources.log_pages import MAX_LINES, Bounds, Span, newest_lines
from tocsin.sources.log_zeros import Zeros
from tocsin.sources.loki_wire import Answered
from tocsin.sources.parts import MAX_POINTS, QueryLimits, in_parts
from tocsin.sources.query_text import check_text
from tocsin.sources.wire import LabelCache

MAX_LOKI_SPAN = timedelta(days=29)
"""Loki refuses a longer window by default (30 days)."""

MAX_LOG_PAGES = 50
_PROMQL = ("range queries in PromQL, through Grafana", "whether the exporter of a series was scraped (up)")
_LOGQL = ("metric queries in LogQL, through Grafana", "log lines")


class _OfGrafana:
    """What the datasources of a Grafana share: the connection is Grafana's, which tells no clock of theirs."""

    whole_seconds = True

    def __init__(self, uid: str, link: GrafanaLink, deployments: Deployments, *, max_points: int = MAX_POINTS) -> None:
        self.uid = uid
        self._link, self._deployments = link, deployments
        self._limits = _limits(link.settings, max_points)

    @property
    def skew(self) -> Skew | None:
        """mcp-grafana tells no clock."""
        return None

    async def _described(self, what: str, question: tuple[str, Mapping[str, Argument]], *abilities: str) -> Description:
        """What answers, and how long one cheap question took; raises SourceError when it is not answered."""
        began = time.monotonic()
        tool, arguments = question
        await answered(self._link, tool, {"datasourceUid": self.uid, **arguments})
        return Description(f"{what} through {self._link.version}", abilities, time.monotonic() - began)

    async def close(self) -> None:
        """Nothing of its own to give back: the connection is Grafana's."""


class GrafanaPrometheus(_OfGrafana):
    """Implements `MetricSource` over the tool `query_prometheus`; `uid` is Grafana's."""

    query_type = QueryType.PROMETHEUS

    def __init__(self, uid: str, link: GrafanaLink, deployments: Deployments, *, max_points: int = MAX_POINTS) -> None:
        super().__init__(uid, link, deployments, max_points=max_points)
        self._cache = LabelCache(2 * link.settings.max_series)

    async def query_range(self, query: str, window: Window) -> Frame:
        """The series of a PromQL query on the window's grid, a long window in parts; raises SourceError."""
        _check_step(window)
        return await in_parts(window, self._limits, lambda part: self._part(query, part))

    async def context(self, query: str, labels: Labels, at: datetime) -> tuple[str, ...]:  # noqa: ARG002 the port's shape
        """Whether the series' exporter was scraped lately, and whether deployments are known; raises SourceError."""
        return (*await up.scraped(labels, at, self._part), *self._deployments.unknown())

    def check_query(self, query: str) -> None:
        """Raise `Invalid("query", why)` for text that no server can take."""
        check_text(query)

    async def describe(self) -> Description:
        """What answers, and how long one cheap question took; raises SourceError when queries are not answered."""
        question = ("query_prometheus", {"expr": "1", "queryType": "instant", "endTime": "now"})
        return await self._described("Prometheus", question, *_PROMQL)

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


class GrafanaLoki(_OfGrafana):
    """Implements `MetricSource` and `LogSource` over the tool `query_loki_logs`; `uid` is Grafana's."""

    query_type = QueryType.LOKI

    def __init__(
        self,
        uid: str,
        link: GrafanaLink,
        deployments: Deployments,
        *,
        max_points: int = MAX_POINTS,
        shared: Shared | None = None,
    ) -> None:
        super().__init__(uid, link, deployments, max_points=max_points)
        ask = self._frame, self._stream_names
        self._zeros = Zeros(uid, link.settings.max_series, shared or Unshared(), ask)

    async def query_range(self, query: str, window: Window) -> Frame:
        """The series of a LogQL metric query, with its zeros (`log_zeros.py`); raises SourceError."""
        frame = await self._frame(query, window)
        return await self._zeros.counted(query, frame, window)

    async def _frame(self, query: str, window: Window) -> Frame:
        _check_step(window)
        at_most = int(MAX_LOKI_SPAN / window.step)
        return await in_parts(window, self._limits, lambda part: self._part(query, part), at_most=at_most)

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
        """Raise `Invalid("query", why)` for text that is no LogQL metric query, `Invalid("log_signal", why)` for
        templates: lines come through mcp-grafana in too many small pages.
        """
        check_text(query)
        if templates_of(query) is not None:
            raise Invalid(
                "log_signal", "templates needs a Loki that is asked directly, as a datasource of type loki of its own"
            )
        check_metric(query)

    async def describe(self) -> Description:
        """What answers, and how long one cheap question took; raises SourceError when queries are not answered."""
        question = ("query_loki_logs", {"logql": "vector(1)", "queryType": "instant"})
        return await self._described("Loki", question, *_LOGQL)

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

    async def _stream_names(self, start: datetime, end: datetime) -> frozenset[str]:
        asked: dict[str, Argument] = {
            "datasourceUid": self.uid,
            "startRfc3339": rfc3339(start),
            "endRfc3339": rfc3339(end),
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


def _check_step(window: Window) -> None:
    if window.step_s != round(window.step_s):
        raise SourceError(
            f"mcp-grafana takes steps of whole seconds, not {window.step_s:g} s; change the target's step",
            failure=SourceFailure.BAD_QUERY,
            transient=False,
        )
