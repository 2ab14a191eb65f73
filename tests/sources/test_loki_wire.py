"""What Loki was recorded to say, and answers that are none."""

import json

import pytest

from tests.loki import SAMPLES, sample
from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.domain.labels import Labels
from tocsin.sources.loki_wire import (
    decode_count,
    decode_loki_error,
    decode_names,
    decode_streams,
    decode_version,
    entries_limit,
)

F = SourceFailure
ERRORS = {
    "err_404": (F.NOT_FOUND, "path prefix"),
    "err_bad_logql": (F.BAD_QUERY, "unexpected $end"),
    "err_bad_logql_empty_matcher": (F.BAD_QUERY, "at least one regexp"),
    "err_bad_time": (F.BAD_QUERY, "could not parse 'start'"),
    "err_end_before_start": (F.BAD_QUERY, "must not be before"),
    "err_limit_too_big": (F.LIMIT, "100000 > 5000"),
    "err_max_series": (F.LIMIT, "maximum number of series (3)"),
    "err_no_query": (F.BAD_QUERY, "parse error"),
    "err_parse_pipeline": (F.BAD_QUERY, "SampleExtractionErr"),
    "err_too_long_range": (F.LIMIT, "limit: 30d"),
    "err_too_many_points": (F.LIMIT, "11,000 points"),
    "err_unknown_function": (F.BAD_QUERY, "unexpected IDENTIFIER"),
    "instant_log_query_error": (F.BAD_QUERY, "not supported as an instant query"),
    "tenant_invalid_name": (F.UNAUTHORIZED, "X-Scope-OrgID"),
    "tenant_missing_header": (F.UNAUTHORIZED, "X-Scope-OrgID"),
    "tenant_multi": (F.UNAUTHORIZED, "several tenants"),
}


def body(name: str) -> bytes:
    text = sample(name)["response"]["body"]
    return text.encode() if isinstance(text, str) else json.dumps(text).encode()


def stream(line: str) -> bytes:
    result = '[{"stream":{},"values":[%s]}]' % line
    return ('{"status":"success","data":{"resultType":"streams","result":%s}}' % result).encode()


def test_every_recorded_error_is_listed() -> None:
    recorded = {path.stem for path in SAMPLES.glob("*.json") if sample(path.stem)["response"]["status"] >= 400}
    assert recorded == set(ERRORS)


@pytest.mark.parametrize("name", ERRORS)
def test_plain_text_errors(name: str) -> None:
    response, (failure, words) = sample(name)["response"], ERRORS[name]
    error = decode_loki_error(response["status"], response["content_type"], body(name))
    assert error.failure is failure
    assert words in str(error)
    assert "\n" not in str(error)
    assert not error.transient


@pytest.mark.parametrize(
    ("status", "content_type", "text", "failure", "transient"),
    [
        (429, "text/plain", b"too many outstanding requests", F.RATE_LIMITED, True),
        (500, "text/plain", b"context canceled", F.SERVER_ERROR, True),
        (503, "text/plain", b"", F.SERVER_ERROR, True),
        (504, "text/html", b"<html>Gateway</html>", F.TIMEOUT, True),
        (401, "application/json", b'{"message": "Unauthorized"}', F.UNAUTHORIZED, False),
        (400, "application/json", b'{"code": 400, "status": "error", "message": "parse error"}', F.BAD_QUERY, False),
    ],
)
def test_other_errors(status, content_type, text, failure, transient) -> None:
    error = decode_loki_error(status, content_type, text)
    assert (error.failure, error.transient) == (failure, transient)


def test_the_limit_of_lines_is_read_out_of_the_error() -> None:
    assert entries_limit(sample("err_limit_too_big")["response"]["body"]) == 5000
    assert entries_limit("maximum number of series (3) reached") is None


@pytest.mark.parametrize(
    ("name", "count", "first"),
    [
        ("range_streams", 3, "level=error method=GET path=/api/item/173 status=500 duration=24ms"),
        ("range_streams_forward", 2, "level=info method=GET path=/api/item/279 status=200 duration=17ms"),
        ("range_streams_logfmt", 2, None),
        ("range_empty_streams", 0, None),
        ("tenant_right", 1, "x"),
        ("tenant_unknown", 0, None),
    ],
)
def test_lines(name, count, first) -> None:
    lines = decode_streams(body(name)).lines
    assert len(lines) == count
    if first is not None:
        assert lines[0].text == first


def test_what_was_attached_to_a_line() -> None:
    [merged] = decode_streams(body("range_structured_metadata")).lines
    assert dict(merged.labels).items() >= {"trace_id": "abc123", "app": "sm"}.items()
    [apart] = decode_streams(body("range_categorize_labels")).lines
    assert apart.labels == Labels({"app": "sm", "service_name": "sm"})
    assert apart.metadata == Labels({"detected_level": "unknown", "trace_id": "abc123", "user": "7"})
    assert merged.timestamp_ns == apart.timestamp_ns == 1795433955662110583


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"status": "success"}', "not that of a range query"),
        (b'{"status":"success","data":{"resultType":"matrix","result":[]}}', "series where lines"),
        (b"<html>login</html>", "HTML"),
        (b'{"status":"success","data":{"resultType":"streams","re', "cut"),
        (b"", "empty"),
        (
            stream('["1"]'),
            "a line is",
        ),
        (stream('["x","y"]'), "nano"),
        (
            stream('["9999999999999999999","y"]'),
            "nano",
        ),
    ],
)
def test_answers_that_are_no_lines(text, says) -> None:
    with pytest.raises(SourceError, match=says) as caught:
        decode_streams(text)
    assert caught.value.failure is F.BAD_ANSWER


def test_counts_in_seconds_and_in_milliseconds() -> None:
    assert decode_count(body("instant_scalar")) == 2
    assert decode_count(body("instant_empty_vector")) == 0
    assert decode_count(body("absent_over_time")) == 1
    for name in ("instant_vector", "division_by_zero", "label_values_unknown"):
        with pytest.raises(SourceError):
            decode_count(body(name))


def test_names_also_where_data_is_missing() -> None:
    assert decode_names(body("labels")) == {"app", "env", "service_name"}
    assert decode_names(body("label_values_unknown")) == frozenset()
    with pytest.raises(SourceError):
        decode_names(b'{"status": "error", "error": "no"}')


def test_version() -> None:
    assert decode_version(body("buildinfo")) == "main-65e30f8488"
    assert decode_version(b"<html>") == ""
