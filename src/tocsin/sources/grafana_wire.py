"""The texts that mcp-grafana's tools answer, decoded once: series, log lines, datasources. Pure.

Values come as text or as numbers, both exact; the same key holds nanoseconds for lines and seconds for series.
"""

from dataclasses import dataclass

import msgspec
import numpy as np

from tocsin.domain.errors import LimitExceeded, SourceError
from tocsin.domain.frame import Floats, Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.logs import LogLine
from tocsin.sources.wire import GRID_TOLERANCE_S, LabelCache, WireSeries, lacks_data, matrix_frame
from tocsin.sources.wire_errors import bad_answer, said


class _Prometheus(msgspec.Struct):
    data: list[WireSeries]
    warnings: list[str] | None = None


class _Sample(msgspec.Struct):
    timestamp: str
    value: float


class _LokiSeries(msgspec.Struct):
    values: list[_Sample]
    labels: dict[str, str] = {}


class _Line(msgspec.Struct):
    timestamp: str
    line: str
    labels: dict[str, str] = {}


class _Accounting(msgspec.Struct):
    truncated: bool = msgspec.field(name="resultsTruncated")
    allowed: int = msgspec.field(name="maxLinesAllowed")


class _LokiMetric(msgspec.Struct):
    data: list[_LokiSeries]
    metadata: _Accounting


class _LokiLines(msgspec.Struct):
    data: list[_Line]
    metadata: _Accounting


class _Datasource(msgspec.Struct):
    uid: str
    name: str
    type: str


class _Datasources(msgspec.Struct):
    datasources: list[_Datasource]
    has_more: bool = msgspec.field(name="hasMore")


_PROMETHEUS = msgspec.json.Decoder(_Prometheus)
_LOKI_METRIC = msgspec.json.Decoder(_LokiMetric)
_LOKI_LINES = msgspec.json.Decoder(_LokiLines)
_NAMES = msgspec.json.Decoder(list[str])
_DATASOURCES = msgspec.json.Decoder(_Datasources)


@dataclass(frozen=True, slots=True)
class Listed:
    """A datasource as Grafana lists it: `kind` is Grafana's word for its type."""

    uid: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one answer, and whether there are more in the window; `allowed` is the server's limit."""

    lines: tuple[LogLine, ...]
    truncated: bool
    allowed: int


def prometheus_frame(text: str, window: Window, *, cache: LabelCache, max_series: int, max_samples: int) -> Frame:
    """The answer of `query_prometheus` to a range query; raises SourceError as `decode_matrix` does."""
    body = text.encode()
    try:
        answer = _PROMETHEUS.decode(body)
    except msgspec.MsgspecError:
        raise _not(text, "that of query_prometheus") from None
    return matrix_frame(
        answer.data,
        window,
        notes=answer.warnings or (),
        partial=lacks_data(answer.warnings or ()),
        size_bytes=len(body),
        cache=cache,
        max_series=max_series,
        max_samples=max_samples,
    )


def loki_frame(text: str, window: Window, *, max_series: int, max_samples: int) -> Frame:
    """The answer of `query_loki_logs` to a metric query; raises SourceError, for log lines too."""
    try:
        answer = _LOKI_METRIC.decode(text)
    except msgspec.MsgspecError:
        try:
            _LOKI_LINES.decode(text)
        except msgspec.MsgspecError:
            raise _not(text, "that of query_loki_logs") from None
        raise bad_answer("log lines where series were asked for; a target needs a metric query") from None
    if answer.metadata.truncated:
        raise LimitExceeded(f"mcp-grafana cut the answer at {answer.metadata.allowed:,}; aggregate the query")
    grid = window.grid()
    if len(answer.data) > max_series or len(answer.data) * len(grid) > max_samples:
        raise LimitExceeded(
            f"the query gives {len(answer.data):,} series of {len(grid):,} instants, more than {max_series:,} "
            f"series or {max_samples:,} samples; aggregate it, or raise max_series or max_samples"
        )
    labels = tuple(Labels(each.labels) for each in answer.data)
    if len(set(labels)) != len(labels):
        raise bad_answer("a series comes twice")
    values: Floats = np.full((len(labels), len(grid)), np.nan)
    start, step = grid[0], window.step_s
    for row, series in enumerate(answer.data):
        at = _instants(series.values)
        index = np.rint((at - start) / step)
        fits = (np.abs(index * step + start - at) <= GRID_TOLERANCE_S) & (index >= 0) & (index < len(grid))
        name = said(str(labels[row]))
        if not fits.all():
            wrong = float(at[int(np.argmin(fits))])
            raise bad_answer(f"the series {name} has a sample at {wrong:.3f}, which is not on the grid")
        if (np.diff(index) <= 0).any():
            raise bad_answer(f"the series {name} has a sample twice or out of order")
        values[row, index.astype(np.int64)] = [each.value for each in series.values]
    return Frame(grid, values, labels, size_bytes=len(text))


def log_lines(text: str) -> Lines:
    """The answer of `query_loki_logs` to a log query; raises SourceError."""
    try:
        answer = _LOKI_LINES.decode(text)
        lines = tuple(LogLine(int(each.timestamp), Labels(each.labels), each.line) for each in answer.data)
    except (msgspec.MsgspecError, ValueError):
        raise _not(text, "log lines; is this a metric query?") from None
    return Lines(lines, answer.metadata.truncated, answer.metadata.allowed)


def label_names(text: str) -> frozenset[str]:
    """The answer of `list_loki_label_names`; raises SourceError."""
    try:
        return frozenset(_NAMES.decode(text))
    except msgspec.MsgspecError:
        raise _not(text, "a list of names of labels") from None


def datasources(text: str) -> tuple[tuple[Listed, ...], bool]:
    """The answer of `list_datasources`, and whether there are more; raises SourceError."""
    try:
        answer = _DATASOURCES.decode(text)
    except msgspec.MsgspecError:
        raise _not(text, "a list of datasources") from None
    return tuple(Listed(each.uid, each.name, each.type) for each in answer.datasources), answer.has_more


def _instants(samples: list[_Sample]) -> Floats:
    try:
        return np.array([float(each.timestamp) for each in samples], dtype=np.float64)
    except ValueError:
        raise bad_answer("a timestamp is no number") from None


def _not(text: str, what: str) -> SourceError:
    return bad_answer(f"it is not {what}: {said(text[:200])}")
