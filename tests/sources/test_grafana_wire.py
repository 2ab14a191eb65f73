"""What a real mcp-grafana 2.1.1 answered, as recorded: decoded, or refused with the reason."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tocsin.domain.errors import LimitExceeded, SourceError, SourceFailure
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.sources.grafana_errors import tool_error
from tocsin.sources.grafana_tools import KNOWN, Tool, refused, schema_hash
from tocsin.sources.grafana_wire import datasources, log_lines, loki_frame, prometheus_frame
from tocsin.sources.wire import LabelCache

SAMPLES = Path(__file__).with_name("samples") / "mcp"


def text(name: str) -> str:
    """The text of a recorded answer."""
    [content] = json.loads((SAMPLES / f"{name}.json").read_text())["result"]["content"]
    return content["text"]


def window(first: float, last: float, step_s: float) -> Window:
    start, end = (datetime.fromtimestamp(0, UTC) + timedelta(seconds=each) for each in (first, last))
    return Window(start, end, timedelta(seconds=step_s))


def series(name: str, over: Window) -> Frame:
    return prometheus_frame(text(name), over, cache=LabelCache(), max_series=100, max_samples=10_000)


def test_series() -> None:
    frame = series("prom_range", window(1795426509.744, 1795433709.744, 1800))
    assert frame.labels == (Labels({"__name__": "lab_cpu", "instance": "b", "job": "lab"}),)
    assert frame.values.tolist() == [[50.51, 46.199, 45.765, 86.268, 40.029]]


def test_a_gap_and_odd_values() -> None:
    assert series("prom_range_gap", window(1795426509.75, 1795433709.75, 600)).samples == 10
    odd = series("prom_odd_range", window(1795426509.763, 1795433709.763, 3600))
    assert (odd.samples, odd.dropped) == (0, {"nan": 3, "+inf": 3, "-inf": 3})


def test_nothing_and_its_warnings() -> None:
    assert series("prom_empty_range", window(0, 60, 60)).labels == ()
    empty = series("prom_warnings_empty", window(0, 60, 60))
    assert empty.labels == ()
    assert "connection refused" in empty.warnings[0]


@pytest.mark.parametrize("name", ["prom_instant", "prom_scalar", "prom_histogram", "list_datasources"])
def test_another_shape_is_no_series(name: str) -> None:
    with pytest.raises(SourceError) as caught:
        series(name, window(0, 60, 60))
    assert caught.value.failure is SourceFailure.BAD_ANSWER


def test_loki_series() -> None:
    frame = loki_frame(
        text("loki_metric_range"), window(1795431000, 1795434000, 300), max_series=100, max_samples=10_000
    )
    assert frame.labels == (Labels(),)
    assert frame.samples == 5
    assert [frame.values[0, n] for n in (0, 6, 7, 8, 9)] == [1, 20, 23, 1, 1]
    assert loki_frame(text("loki_metric_empty_range"), window(0, 60, 60), max_series=1, max_samples=9).labels == ()


def test_loki_series_that_cannot_be_used() -> None:
    over = window(1795431000, 1795434000, 300)
    with pytest.raises(SourceError, match="not on the grid"):
        loki_frame(text("loki_metric_range"), window(1795431000, 1795432000, 300), max_series=9, max_samples=999)
    with pytest.raises(LimitExceeded):
        loki_frame(text("loki_metric_range"), over, max_series=9, max_samples=3)
    with pytest.raises(SourceError, match="log lines where series"):
        loki_frame(text("loki_logs"), over, max_series=9, max_samples=999)
    with pytest.raises(LimitExceeded, match="cut"):
        loki_frame(
            text("loki_metric_range").replace('resultsTruncated":false', 'resultsTruncated":true'),
            over,
            max_series=9,
            max_samples=999,
        )
    answer = json.loads(text("loki_metric_range"))
    answer["data"][0]["values"].append(answer["data"][0]["values"][0])
    with pytest.raises(SourceError, match="twice or out of order"):
        loki_frame(json.dumps(answer), over, max_series=9, max_samples=999)
    for broken in ("null", '{"data":null}', "no JSON", '{"metadata":{}}'):
        with pytest.raises(SourceError):
            loki_frame(broken, over, max_series=9, max_samples=999)


def test_lines_and_what_was_cut() -> None:
    lines = log_lines(text("loki_logs"))
    assert (len(lines.lines), lines.truncated, lines.allowed) == (2, True, 2)
    assert lines.lines[0].timestamp_ns == 1795433697621904721
    assert lines.lines[0].labels["app"] == "web"
    many = log_lines(text("loki_logs_limit_1000"))
    assert (len(many.lines), many.truncated, many.allowed) == (100, True, 100)
    assert log_lines(text("loki_empty")).lines == ()
    with pytest.raises(SourceError, match="metric query"):
        log_lines(text("loki_metric_range"))


def test_listed_datasources() -> None:
    found, more = datasources(text("list_datasources"))
    assert ([(each.uid, each.kind) for each in found], more) == (
        [("prom", "prometheus"), ("loki", "loki"), ("am", "alertmanager")],
        False,
    )
    with pytest.raises(SourceError):
        datasources('{"datasources":null}')


@pytest.mark.parametrize(
    ("name", "failure", "transient"),
    [
        ("fail_401_list", SourceFailure.UNAUTHORIZED, False),
        ("fail_401_prom", SourceFailure.UNAUTHORIZED, False),
        ("fail_401_loki", SourceFailure.UNAUTHORIZED, False),
        ("fail_429_prom", SourceFailure.RATE_LIMITED, True),
        ("fail_502_loki", SourceFailure.SERVER_ERROR, True),
        ("fail_503_prom", SourceFailure.SERVER_ERROR, True),
        ("fail_conn_refused", SourceFailure.UNREACHABLE, True),
        ("fail_conn_refused_list", SourceFailure.UNREACHABLE, True),
        ("prom_bad_ds", SourceFailure.NOT_FOUND, False),
        ("prom_bad_promql", SourceFailure.BAD_QUERY, False),
        ("prom_ds_is_loki", SourceFailure.NOT_FOUND, False),
        ("prom_too_many_points", SourceFailure.LIMIT, False),
        ("prom_unknown_arg", SourceFailure.BAD_ANSWER, False),
        ("prom_string", SourceFailure.BAD_ANSWER, False),
        ("prom_missing_endtime", SourceFailure.BAD_ANSWER, False),
        ("loki_bad_logql", SourceFailure.BAD_QUERY, False),
        ("loki_too_long_range", SourceFailure.BAD_QUERY, False),
    ],
)
def test_errors(name: str, failure: SourceFailure, transient: bool) -> None:
    error = tool_error(text(name))
    assert (error.failure, error.transient) == (failure, transient), str(error)


def test_errors_that_were_not_recorded() -> None:
    late = tool_error('querying Prometheus range: Post "http://g/": context deadline exceeded')
    assert (late.failure, late.transient) == (SourceFailure.TIMEOUT, True)
    odd = tool_error("something that nobody has seen before")
    assert (odd.failure, odd.transient) == (SourceFailure.SERVER_ERROR, True)
    assert "nobody has seen" in str(odd)


@pytest.mark.parametrize("way", ["querying Prometheus range: bad_response: ", "list datasources: "])
def test_an_answer_that_is_no_json_is_not_blamed_on_the_query(way: str) -> None:
    html = tool_error(f"{way}invalid character '<' looking for beginning of value")
    assert (html.failure, html.transient) == (SourceFailure.BAD_ANSWER, False)
    assert "is this a login page" in str(html)


def test_an_answer_that_is_cut_is_asked_for_again() -> None:
    cut = tool_error("querying Prometheus range: bad_response: unexpected end of JSON input")
    assert (cut.failure, cut.transient) == (SourceFailure.BAD_ANSWER, True)
    assert "cut or damaged" in str(cut)


def test_a_redirect_of_grafana_is_one() -> None:
    assert "is this its own URL" in str(tool_error("list datasources: [GET /datasources][302] getDatasources  {}"))


def listed() -> list[Tool]:
    tools = json.loads((SAMPLES / "tools_list.json").read_text())
    return [
        Tool(each["name"], msgspec.json.encode(each["inputSchema"]), each["annotations"]["readOnlyHint"])
        for each in tools
    ]


def test_the_tools_of_the_pinned_version() -> None:
    assert {each.name for each in listed()} == set(KNOWN)
    assert refused(listed()) == {}
    assert set(refused([])) == set(KNOWN)


def test_a_schema_is_known_by_its_form_and_not_by_its_words() -> None:
    one = {"type": "object", "properties": {"description": {"type": "string", "description": "old words"}}}
    words = {"type": "object", "properties": {"description": {"type": "string", "description": "new words"}}}
    another = {"type": "object", "properties": {"description": {"type": "integer", "description": "old words"}}}
    gone = {"type": "object", "properties": {}}
    hashes = [schema_hash(msgspec.json.encode(each)) for each in (one, words, another, gone)]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3
