"""Series in CSV."""

import contextlib
import csv
import io
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.cli.series_file import CsvError, parse_time, read_series


def read(text):
    return read_series(io.StringIO(text, newline=""), "f.csv")


@pytest.mark.parametrize(
    ("text", "names", "values"),
    [
        ("1,5\n2,6\n", ("value",), [[5, 6]]),
        ("timestamp,value\n1,5\n2,6\n", ("value",), [[5, 6]]),
        ("\ufeffcpu;time;mem\n5;1;7\n6;2;8\n", ("cpu", "mem"), [[5, 6], [7, 8]]),
        ("when\ta\n1\t5\n", ("a",), [[5]]),
        ('ts,"a,b"\r\n1,"5"\r\n\r\n', ("a,b",), [[5]]),
        ("1,5,6\n", ("value1", "value2"), [[5], [6]]),
        ("time,\n1,5\n", ("value2",), [[5]]),
    ],
)
def test_forms(text, names, values):
    found = read(text)
    assert (found.names, found.values) == (names, values)


def test_times_are_iso_with_a_zone_or_unix_seconds():
    assert read("2026-01-01T00:00:00Z,1\n2026-01-01T02:00:00+01:00,2\n").timestamps == [1767225600, 1767229200]
    assert read("0.5,1\n1.5,2\n").timestamps == [0.5, 1.5]


def test_gaps():
    (values,) = read("1,\n2,NaN\n3,null\n4,7\n").values
    assert [math.isnan(value) for value in values] == [True, True, True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f.csv:1:1: is empty"),
        ("timestamp,value\n", "f.csv:1:1: has a header but no samples"),
        ("1\n2\n", "f.csv:1:1: needs a column of time"),
        ("1,2\nx,3\n", "f.csv:2:1: 'x' is neither"),
        ("1,2\n2,x\n", "f.csv:2:2: 'x' is no number"),
        ("1,2\n2,inf\n", "f.csv:2:2: 'inf' is no finite number"),
        ("1,2\n2,-9e307\n", "f.csv:2:2: '-9e307' is beyond 8e+307"),
        ("1,2\n1,3\n", "f.csv:2:1: repeats"),
        ("2,2\n1,3\n", "f.csv:2:1: is earlier"),
        ("1,2\n\n2,3,4\n", "f.csv:3:3: has 3 fields"),
        ("1,2,3\n2,3\n", "f.csv:2:3: has 2 fields"),
        ("2026-01-01T00:00:00,5\n", "f.csv:1:1: '2026-01-01T00:00:00' has no time zone"),
        ("1764000000000,5\n", "f.csv:1:1: 1764000000000 looks like milliseconds"),
        ('1,"2\n', "is no valid CSV"),
        ("1,2\n3\n", "has 1 field, the first line 2"),
        ("when,5\n", "f.csv:1:1: 'when' is neither"),
        ("nan,5\n", "f.csv:1:1: 'nan' is no time"),
    ],
)
def test_what_is_wrong_has_file_line_and_column(text, said):
    with pytest.raises(CsvError) as caught:
        read(text)
    assert said in str(caught.value)


@given(
    st.lists(st.integers(min_value=0, max_value=10**9), min_size=1, max_size=30, unique=True).map(sorted),
    st.integers(min_value=1, max_value=4),
    st.data(),
    st.sampled_from(",;\t"),
    st.booleans(),
)
def test_what_is_written_is_read_again(times, width, data, separator, iso):
    number = st.floats(-8e307, 8e307)
    rows = [[data.draw(number) for _ in range(width)] for _ in times]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator)
    writer.writerow(["timestamp", *(f"series {i}" for i in range(width))])
    for at, row in zip(times, rows, strict=True):
        stamp = datetime.fromtimestamp(at, UTC).isoformat() if iso else at
        writer.writerow([stamp, *(repr(value) for value in row)])
    found = read(out.getvalue())
    assert found.timestamps == times
    assert [list(column) for column in zip(*found.values, strict=True)] == rows
    assert len(found.names) == width


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_with_its_place(text):
    try:
        found = read(text)
    except CsvError as error:
        assert str(error).startswith("f.csv:")
    else:
        assert len(found.timestamps) == len(found.values[0])


@given(st.text(max_size=30))
def test_no_time_breaks_it(text):
    with contextlib.suppress(ValueError):
        assert math.isfinite(parse_time(text))
