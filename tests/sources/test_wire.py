"""The wire decoders against recorded answers, against a naive twin, and against answers that are none."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.domain.errors import LimitExceeded, SourceError, SourceFailure
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.sources.wire import PARTIAL, LabelCache, decode_matrix
from tocsin.sources.wire_errors import decode_error, said

SAMPLES = Path(__file__).parent / "samples"
F = SourceFailure

FRAMES = {
    # name: series, samples, dropped, notes
    "counter_reset": (1, 25, {}, 0),
    "empty_matrix": (0, 0, {}, 0),
    "gap_matrix": (1, 18, {}, 0),
    "matrix": (3, 15, {}, 0),
    "matrix_post": (3, 15, {}, 0),
    "matrix_rate": (3, 15, {}, 0),
    "odd_matrix": (3, 0, {"nan": 5, "+inf": 5, "-inf": 5}, 0),
    "stale_matrix": (1, 27, {}, 0),
    "warnings_range": (1, 1, {}, 1),
}
ERRORS = {
    # name: failure, transient, words
    "div_zero": (F.BAD_ANSWER, False, "a scalar where"),
    "empty_vector": (F.BAD_ANSWER, False, "a vector where"),
    "err_401_basic_auth": (F.UNAUTHORIZED, False, "credentials"),
    "err_404": (F.NOT_FOUND, False, "path prefix"),
    "err_bad_promql": (F.BAD_QUERY, False, "unclosed left parenthesis"),
    "err_bad_time": (F.BAD_QUERY, False, "cannot parse"),
    "err_dup_series": (F.BAD_QUERY, False, "same labelset"),
    "err_empty_query": (F.BAD_QUERY, False, "no expression"),
    "err_end_before_start": (F.BAD_QUERY, False, "before start"),
    "err_many_to_many": (F.BAD_QUERY, False, "many-to-many"),
    "err_no_query": (F.BAD_QUERY, False, "no expression"),
    "err_query_timeout": (F.TIMEOUT, True, "timed out"),
    "err_series_no_match": (F.BAD_QUERY, False, "match[]"),
    "err_timeout_param": (F.TIMEOUT, True, "timed out"),
    "err_too_many_points": (F.LIMIT, False, "11,000 points"),
    "err_too_many_samples": (F.LIMIT, False, "too many samples"),
    "err_type": (F.BAD_QUERY, False, "expected type range vector"),
    "err_unknown_function": (F.BAD_QUERY, False, "nofunc"),
    "err_zero_step": (F.BAD_QUERY, False, "zero or negative"),
    "matrix_instant": (F.BAD_ANSWER, False, "not on the grid"),
    "odd_vector": (F.BAD_ANSWER, False, "a vector where"),
    "query_stats": (F.BAD_ANSWER, False, "a vector where"),
    "scalar": (F.BAD_ANSWER, False, "a scalar where"),
    "stale_raw": (F.BAD_ANSWER, False, "not on the grid"),
    "string": (F.BAD_ANSWER, False, "a string where"),
    "vector": (F.BAD_ANSWER, False, "a vector where"),
    "warnings": (F.BAD_ANSWER, False, "a vector where"),
    "warnings_empty_and_partial": (F.BAD_ANSWER, False, "a vector where"),
    "warnings_labels": (F.BAD_ANSWER, False, "not that of a range query"),
    "zero_div_zero": (F.BAD_ANSWER, False, "a scalar where"),
}


def recorded(name: str) -> tuple[int, str, bytes, Window]:
    sample = json.loads((SAMPLES / f"{name}.json").read_text())
    response, asked = sample["response"], sample["request"]["params"] or {}
    body = response["body"]
    raw = body.encode() if isinstance(body, str) else json.dumps(body, separators=(",", ":")).encode()
    start, end, step = (asked.get(key) for key in ("start", "end", "step"))
    if not isinstance(start, int) or not step or end < start:
        start, end, step = 1795433787, 1795433787, 60
    window = Window(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC), timedelta(seconds=step))
    return response["status"], response["content_type"], raw, window


def ask(name: str) -> Frame:
    status, content_type, body, window = recorded(name)
    if status != 200:
        raise decode_error(status, content_type, body)
    return decode_matrix(body, window)


def test_every_recorded_answer_is_expected_here() -> None:
    assert {path.stem for path in SAMPLES.glob("*.json")} == FRAMES.keys() | ERRORS.keys()


@pytest.mark.parametrize("name", FRAMES)
def test_recorded_frames(name: str) -> None:
    frame = ask(name)
    series, samples, dropped, notes = FRAMES[name]
    assert (len(frame.labels), frame.samples, frame.dropped, len(frame.warnings)) == (series, samples, dropped, notes)
    _, _, body, window = recorded(name)
    assert np.array_equal(frame.timestamps, window.grid())
    for row, each in enumerate(json.loads(body)["data"]["result"]):
        assert frame.labels[row] == Labels(each["metric"])
        for at, value in each["values"]:
            found = frame.values[row, round((at - frame.timestamps[0]) / window.step_s)]
            assert found == float(value) or (np.isnan(found) and value in ("NaN", "+Inf", "-Inf"))


@pytest.mark.parametrize("name", ERRORS)
def test_recorded_errors(name: str) -> None:
    failure, transient, words = ERRORS[name]
    with pytest.raises(SourceError) as caught:
        ask(name)
    assert (caught.value.failure, caught.value.transient) == (failure, transient)
    assert words in str(caught.value)


START = datetime(2026, 11, 23, tzinfo=UTC)
T0 = int(START.timestamp())


def window(points: int, step_s: float = 15.0) -> Window:
    step = timedelta(seconds=step_s)
    return Window(START, START + (points - 1) * step, step)


def matrix(*series: tuple[dict[str, str], str], tail: str = "") -> bytes:
    result = ",".join(f'{{"metric":{json.dumps(labels)},"values":{values}}}' for labels, values in series)
    return f'{{"status":"success","data":{{"resultType":"matrix","result":[{result}]}}{tail}}}'.encode()


def naive(body: bytes, asked: Window) -> tuple[dict[Labels, list[float]], dict[str, int]]:
    """The obvious decoder."""
    rows, dropped = {}, {}
    for each in json.loads(body)["data"]["result"]:
        row = [float("nan")] * len(asked.grid())
        for at, value in each["values"]:
            number = float(value)
            if number - number != 0.0:
                kind = value.lower()
                dropped[kind] = dropped.get(kind, 0) + 1
                number = float("nan")
            row[round((at - T0) / asked.step_s)] = number
        rows[Labels(each["metric"])] = row
    return rows, dropped


def go_float(value: float) -> str:
    """As Go's strconv writes it for the API."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


one_series = st.dictionaries(st.integers(0, 29), st.floats(allow_nan=True), max_size=30)
label_sets = st.dictionaries(st.text(min_size=1, max_size=6), st.text(max_size=6), max_size=3)


@settings(max_examples=150)
@given(
    series=st.lists(st.tuples(label_sets, one_series), max_size=6, unique_by=lambda each: Labels(each[0])),
    spaced=st.booleans(),
)
def test_decoder_agrees_with_its_naive_twin(series, spaced) -> None:
    asked = window(30, 7.5)
    result = [
        {"metric": labels, "values": [[T0 + at * 7.5, go_float(values[at])] for at in sorted(values)]}
        for labels, values in series
    ]
    answer = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    body = json.dumps(answer, separators=None if spaced else (",", ":")).encode("utf-8", "surrogatepass")
    rows, dropped = naive(body, asked)
    frame = decode_matrix(body, asked, cache=LabelCache(2))
    assert frame.labels == tuple(rows)
    assert np.array_equal(frame.values, np.array(list(rows.values())).reshape(len(rows), 30), equal_nan=True)
    assert frame.dropped == dropped


def test_many_series_in_many_batches_stay_apart() -> None:
    asked = window(50)
    body = matrix(
        *(
            ({"n": str(n)}, "[" + ",".join(f'[{T0 + 15 * at},"{n}.{at}"]' for at in range(50) if (at + n) % 7) + "]")
            for n in range(300)
        )
    )
    assert len(body) > 4 * 64 * 1024
    frame = decode_matrix(body, asked)
    rows, _ = naive(body, asked)
    assert np.array_equal(frame.values, np.array(list(rows.values())), equal_nan=True)


def test_warnings_and_infos_are_kept_clean_and_bounded() -> None:
    notes = ["first", "remote http://user:secret@host/read\x1b[31m failed", *("more" for _ in range(50))]
    body = matrix(tail=f',"warnings":{json.dumps(notes)},"infos":["metric might not be a counter"]')
    frame = decode_matrix(body, window(3))
    assert frame.warnings[:2] == ("first", "remote http://host/read [31m failed")
    assert len(frame.warnings) == 20
    few = decode_matrix(matrix(tail=',"warnings":[],"infos":["an info"]'), window(3))
    assert few.warnings == ("an info",)
    assert few.values.shape == (0, 3)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (matrix(({"a": "b"}, f'[[{T0},"1"],[{T0},"2"]]')), "twice"),
        (matrix(({"a": "b"}, f'[[{T0 + 15},"1"],[{T0},"2"]]')), "out of order"),
        (matrix(({"a": "b"}, f'[[{T0 + 1},"1"]]')), "not on the grid"),
        (matrix(({"a": "b"}, f'[[{T0 + 0.002},"1"]]')), "not on the grid"),
        (matrix(({"a": "b"}, f'[[{T0 - 15},"1"]]')), "not on the grid"),
        (matrix(({"a": "b"}, f'[[{T0 + 300},"1"]]')), "not on the grid"),
        (matrix(({"a": "b"}, '[["NaN","1"]]')), "not"),
        (matrix(({"a": "b"}, f'[[{T0},"1"]]'), ({"a": "b"}, "[]")), 'series {a="b"} comes twice'),
        (matrix(({"a": "b"}, f'[[{T0},"one"]]')), "no number"),
        (matrix(({"a": "b"}, f'[[{T0},""]]')), "no number"),
        (matrix(({"a": "b"}, f"[[{T0},1]]")), "not pairs"),
        (matrix(({"a": "b"}, f'[[{T0},"1","2"],[3]]')), "not"),
        (matrix(({"a": "b"}, f'[{T0},"1"]')), "not pairs"),
        (matrix(({"a": "b"}, f'[[{T0},"1",7,"2"]]')), "not pairs"),
        (matrix(({"a": "b"}, "null")), "not pairs"),
        (matrix(({"a": 1}, "[]")), "labels"),
        (b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"histograms":[]}]}}', "histogram"),
        (b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{}}]}}', "no values"),
        (b'{"status":"success","data":{"resultType":"streams","result":[]}}', "Loki"),
        (b'{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}', "a scalar where"),
        (b'{"status":"success"}', "not that of a range query"),
        (b"[1,2]", "not that of a range query"),
        (b"<html><body>Log in</body></html>", "HTML"),
        (b"", "empty"),
        (b'{"status":"success","data":{"resultType":"matrix","resu', "cut"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"hello", "no JSON"),
    ],
)
def test_what_is_no_answer_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        decode_matrix(body, window(4))
    assert caught.value.failure is F.BAD_ANSWER


def test_a_sample_within_a_millisecond_of_the_grid_belongs_to_it() -> None:
    frame = decode_matrix(matrix(({}, f'[[{T0}.001,"1"],[{T0 + 14}.9995,"2"]]')), window(2))
    assert frame.values.tolist() == [[1.0, 2.0]]


def test_two_hundred_that_says_error_is_that_error() -> None:
    with pytest.raises(SourceError, match="boom") as caught:
        decode_matrix(b'{"status":"error","errorType":"internal","error":"boom"}', window(2))
    assert (caught.value.failure, caught.value.transient) == (F.SERVER_ERROR, True)


@pytest.mark.parametrize(
    ("status", "content_type", "body", "failure", "transient"),
    [
        (500, "text/plain", b"oops", F.SERVER_ERROR, True),
        (502, "text/html", b"<html>Bad gateway</html>", F.SERVER_ERROR, True),
        (503, "text/plain", b"Service Unavailable", F.SERVER_ERROR, True),
        (504, "text/html", b"<html></html>", F.TIMEOUT, True),
        (408, "", b"", F.TIMEOUT, True),
        (429, "application/json", b'{"message":"slow down"}', F.RATE_LIMITED, True),
        (
            429,
            "application/json",
            b'{"status":"error","errorType":"too_many_requests","error":"x"}',
            F.RATE_LIMITED,
            True,
        ),
        (403, "text/plain", b"no", F.UNAUTHORIZED, False),
        (405, "text/plain", b"", F.NOT_FOUND, False),
        (413, "text/plain", b"", F.BAD_QUERY, False),
        (418, "text/plain", b"teapot", F.BAD_ANSWER, False),
        (422, "application/json", b'{"status":"error","errorType":"422","error":"cannot parse"}', F.BAD_QUERY, False),
        (422, "application/json", b'{"status":"error","errorType":"422","error":"timeout exceeded"}', F.TIMEOUT, True),
        (503, "application/json", b'{"status":"error","errorType":"503","error":"busy"}', F.SERVER_ERROR, True),
        (200, "text/html; charset=utf-8", b"\n<!doctype html>", F.BAD_ANSWER, False),
    ],
)
def test_refusals(status: int, content_type: str, body: bytes, failure: SourceFailure, *, transient: bool) -> None:
    error = decode_error(status, content_type, body)
    assert (error.failure, error.transient) == (failure, transient)


def test_limits_name_the_setting_to_raise() -> None:
    body = matrix(*(({"n": str(n)}, "[]") for n in range(11)))
    with pytest.raises(LimitExceeded, match=r"11 series.*max_series"):
        decode_matrix(body, window(2), max_series=10)
    with pytest.raises(LimitExceeded, match="max_samples"):
        decode_matrix(body, window(1000), max_samples=10_999)
    assert len(decode_matrix(body, window(1000), max_samples=11_000).labels) == 11


def test_labels_are_decoded_once_and_the_cache_is_bounded() -> None:
    cache = LabelCache(4)
    first = cache.labels(b'{"a":"0"}')
    assert cache.labels(b'{"a":"0"}') is first
    for n in range(100):
        cache.labels(b'{"a":"%d"}' % n)
    assert len(cache._young) <= 4
    assert len(cache._old) <= 4
    assert cache.labels(b'{"a":"0"}') == first


def test_foreign_words_are_bounded() -> None:
    assert len(said("x" * 100_000)) == 500
    assert said("a\r\nb\x00c https://me:pw@host/") == "a b c https://host/"


@pytest.mark.parametrize(
    ("more", "partial", "notes"),
    [
        ({}, False, ()),
        ({"warnings": ["remote read: connection refused"]}, True, ("remote read: connection refused",)),
        ({"infos": ["PromQL info: metric might not be a counter"]}, False, None),
        ({"warnings": ["PromQL warning: quantile value should be between 0 and 1"]}, False, None),
        ({"isPartial": True}, True, (PARTIAL,)),
        ({"isPartial": False}, False, ()),
        ({"isPartial": True, "warnings": ["one of two"]}, True, ("one of two",)),
    ],
)
def test_an_answer_that_lacks_data_is_partial(more: dict[str, object], partial: bool, notes: tuple[str, ...]) -> None:
    _, _, body, window = recorded("matrix")
    frame = decode_matrix(json.dumps(json.loads(body) | more).encode(), window)
    assert frame.partial is partial
    if notes is not None:
        assert frame.warnings == notes


def test_the_recorded_warning_of_a_remote_read_is_partial() -> None:
    assert ask("warnings_range").partial
