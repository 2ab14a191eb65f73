"""Durations as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.config.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("300", 300),
        ("0", 0),
        ("1.5", 1.5),
        ("5m", 300),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("1.5h", 5400),
        ("2w", 1209600),
    ],
)
def test_seconds_and_units(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", " ", "m", "5 m", "5x", "30m1h", "-1", "-5m", "nan", "inf", "1e300", "9999999w", "five"]
)
def test_everything_else_is_refused_with_words(text):
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=86_400_000 * 400))
def test_what_is_written_is_read_again(milliseconds):
    value = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(value)) == value


@given(st.text(max_size=20))
def test_no_text_breaks_it(text):
    try:
        assert parse_duration(text) >= timedelta(0)
    except ValueError as error:
        assert "must be a duration" in str(error)
