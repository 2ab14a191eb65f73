"""Prometheus, and what speaks its API (VictoriaMetrics, Mimir, Thanos), as a datasource."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from math import ceil

import msgspec

from tocsin.domain.datasource import Description, Skew
from tocsin.domain.errors import LimitExceeded, SourceError
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.target import QueryType
from tocsin.sources import up
from tocsin.sources.http import HttpAnswer, HttpClient
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.parts import QueryLimits, in_parts
from tocsin.sources.query_text import check_text
from tocsin.sources.wire import LabelCache, decode_matrix
from tocsin.sources.wire_errors import decode_error, said

UNKNOWN = "version unknown"
REWRITTEN_STEP_S, REWRITTEN_FOR_S = 60.0, 60.0
"""A VictoriaMetrics repeats an older value in place of the newest where the step is shorter; it does for its
`-search.latencyOffset`, 30 s unless it is told otherwise.
"""


class _Build(msgspec.Struct):
    version: str


class _BuildAnswer(msgspec.Struct):
    data: _Build


class _Scalar(msgspec.Struct):
    result: tuple[float, str]


class _ScalarAnswer(msgspec.Struct):
    data: _Scalar


class _Sample(msgspec.Struct):
    value: tuple[float, str]


class _Vector(msgspec.Struct):
    result: tuple[_Sample]


class _VectorAnswer(msgspec.Struct):
    data: _Vector


ABILITIES = ("range queries in PromQL", "whether the exporter of a series was scraped (up)")


class PrometheusSource:
    """Implements `MetricSource` over the HTTP API. Makes its connections with the first query."""

    def __init__(
        self,
        uid: str,
        http: HttpSettings | HttpClient,
        limits: QueryLimits | None = None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.uid = uid
        self.query_type, self.whole_seconds = QueryType.PROMETHEUS, False
        self._client = http if isinstance(http, HttpClient) else HttpClient(http)
        self._limits = limits or QueryLimits()
        self._now = now
        self._cache = LabelCache(2 * self._limits.max_series)
        self._of_victoria = False

    async def query_range(self, query: str, window: Window) -> Frame:
        """The series of a PromQL query on the window's grid; raises SourceError.

        A window of more than `max_points` instants is asked for in consecutive parts and joined.
        """
        return await in_parts(window, self._limits, lambda part: self._query_part(query, part))

    async def context(self, query: str, labels: Labels, at: datetime) -> tuple[str, ...]:  # noqa: ARG002 the port's shape
        """Whether the series' exporter was scraped lately, where it names its job or instance; raises SourceError."""
        return await up.scraped(labels, at, self._query_part)

    def check_query(self, query: str) -> None:
        """Raise `Invalid("query", why)` for text that no server can take; whether it is PromQL the server knows."""
        check_text(query)

    async def probe(self) -> str:
        """The server's version, as far as it says one; raises SourceError when it does not answer queries."""
        answer = await self._client.get("api/v1/status/buildinfo", {})
        if answer.status == 200:
            try:
                return said(msgspec.json.decode(answer.body, type=_BuildAnswer).data.version) or UNKNOWN
            except msgspec.MsgspecError:
                pass
        # Proxies and tenants' gateways often let nothing but queries through.
        answer = await self._client.get("api/v1/query", {"query": "1"})
        if answer.status != 200 or not answer.body.startswith(b'{"status":"success"'):
            raise self._refused(answer)
        return UNKNOWN

    @property
    def skew(self) -> Skew | None:
        """By the `Date` of its answers, which has no parts of a second."""
        return self._client.skew

    async def describe(self) -> Description:
        """Its version, and its clock by the query `time()`; raises SourceError when it does not answer queries."""
        version = await self.probe()
        asked_s = self._now()
        answer = await self._client.get("api/v1/query", {"query": "time()", "nocache": "1", "latency_offset": "1ms"})
        heard_s = self._now()
        if answer.status != 200:
            raise self._refused(answer)
        told_s = self._time(answer)
        # VictoriaMetrics tells whole seconds.
        resolution_s = 1.0 if told_s == round(told_s) else 0.0
        exact, rough = Skew.between(asked_s, told_s, heard_s, resolution_s=resolution_s), self.skew
        # It may also answer for an earlier instant than the present: then its `Date` is the better clock.
        wrong = rough is not None and abs(exact.ahead_s - rough.ahead_s) > exact.within_s + rough.within_s + 0.5
        known = "" if version == UNKNOWN else version
        return Description(known, ABILITIES, heard_s - asked_s, rough if wrong else exact)

    async def close(self) -> None:
        """Give back the connections; idempotent."""
        await self._client.close()

    async def _query_part(self, query: str, window: Window) -> Frame:
        asked = self._beyond(window) if self._of_victoria else window
        answer = await self._answer(query, asked)
        if answer.of_victoria and not self._of_victoria:
            self._of_victoria = True
            asked = self._beyond(window)
            if asked != window:
                answer = await self._answer(query, asked)
        if answer.status != 200:
            raise self._refused(answer)
        limits = self._limits
        try:
            frame = decode_matrix(
                answer.body,
                asked,
                cache=self._cache,
                max_series=limits.max_series,
                max_samples=limits.max_samples * asked.count // window.count,
            )
        except LimitExceeded:
            raise
        except SourceError as error:
            raise self._client.redacted(error) from None
        if asked != window:
            frame = frame.until(window.count)
        if not frame.warnings:
            return frame
        warnings = tuple(self._client.settings.redact(each) for each in frame.warnings)
        return replace(frame, warnings=warnings)

    async def _answer(self, query: str, window: Window) -> HttpAnswer:
        parameters = {
            "query": query,
            "start": _seconds(window.start.timestamp()),
            "end": _seconds(window.end.timestamp()),
            "step": _seconds(window.step_s),
            "timeout": _duration(self._client.settings.timeout_s),
            # VictoriaMetrics only: without the first it moves the window to a grid of its own; without the second it
            # repeats an older value in place of the last 30 s (see `_beyond` for versions that do so anyway).
            # Prometheus ignores what it does not know.
            "nocache": "1",
            "latency_offset": "1ms",
        }
        return await self._client.ask("api/v1/query_range", parameters)

    def _beyond(self, window: Window) -> Window:
        """The window with as many instants of the future as a VictoriaMetrics needs to leave the newest values as they
        are: 1.79 rewrites them, whatever it is asked, in an answer that ends before a step from now.
        """
        now_s, step_s = self._now(), window.step_s
        missing_s = now_s - window.end.timestamp()
        if step_s >= REWRITTEN_STEP_S or missing_s > REWRITTEN_FOR_S:
            return window
        skew = self.skew
        ahead_s = 0.0 if skew is None else max(0.0, skew.ahead_s + skew.within_s)
        more = max(0, ceil((missing_s + ahead_s) / step_s)) + 2
        return replace(window, end=window.end + more * window.step)

    def _time(self, answer: HttpAnswer) -> float:
        """The one number of an answer: a scalar of Prometheus, a vector of VictoriaMetrics."""
        try:
            try:
                text = msgspec.json.decode(answer.body, type=_ScalarAnswer).data.result[1]
            except msgspec.ValidationError:
                text = msgspec.json.decode(answer.body, type=_VectorAnswer).data.result[0].value[1]
            return float(text)
        except (msgspec.MsgspecError, ValueError):
            raise self._refused(answer) from None

    def _refused(self, answer: HttpAnswer) -> SourceError:
        return self._client.redacted(
            decode_error(answer.status, answer.content_type, answer.body), answer.retry_after_s
        )


def _seconds(value: float) -> str:
    """Unix seconds or a step with milliseconds, as the API reads them; no exponent."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _duration(seconds: float) -> str:
    """A duration as the API reads it: it knows no parts of a second but milliseconds."""
    return f"{seconds:.0f}s" if seconds == round(seconds) else f"{max(1, round(seconds * 1000))}ms"
