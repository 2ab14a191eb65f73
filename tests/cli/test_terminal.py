"""What strangers write does not act on the terminal."""

import unicodedata
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tocsin.cli.answer import Answer
from tocsin.cli.terminal import clean, instant, number, safe, series


@given(st.text())
def test_nothing_that_acts_is_left(text):
    cleaned = clean(text)
    assert not any(unicodedata.category(each) in ("Cc", "Cs") for each in cleaned)
    assert clean(cleaned) == cleaned
    cleaned.encode()


@pytest.mark.parametrize("text", ["\x1b[2J", "\x9b2J", "a\u202eb", "a\r\nb", "\x1b]0;title\x07", "a\u2066b", "\ud800"])
def test_escapes_and_reordering_are_taken_out(text):
    assert not set(clean(text)) & set("\x1b\x9b\r\n\x07\u202e\u2066\ud800")


def test_plain_words_stay():
    assert clean("Größe 温度 🔥 [red]") == "Größe 温度 🔥 [red]"


@given(st.text(alphabet="[]/redbolink=:smile \\"))
def test_markup_is_never_obeyed(text):
    out = StringIO()
    Console(file=out, width=1000, force_terminal=False).print(safe(text), end="")
    assert out.getvalue().rstrip() == text.rstrip()


def test_numbers_and_instants():
    assert [number(value) for value in (None, float("nan"), 0.123456, 12345678.0, 1e30)] == [
        "-", "-", "0.1235", "12,345,678", "1e+30",
    ]  # fmt: skip
    assert instant("2026-01-31T12:00:00.5+02:00") == "2026-01-31 10:00:00Z"
    assert instant(0.0) == "1970-01-01 00:00:00Z"
    assert instant("\x1b[31msoon") == " [31msoon"
    assert (instant(None), instant(1e300)) == ("-", "1e+300")


def test_labels():
    assert series(Answer({"a": "1", "b": "2"})) == '{a="1", b="2"}'
    assert series(Answer({})) == series(Answer(None)) == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(JSON)
def test_any_answer_can_be_read(value):
    answer = Answer(value)
    assert isinstance(answer.text(), str)
    assert isinstance(answer["x"]["y"].words(), list)
    assert isinstance([list(item) for item in answer], list)
    assert isinstance(dict(answer.members()), dict)
    answer.number()
