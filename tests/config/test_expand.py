"""References to the environment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.config.expand import Unexpandable, escape, expand


def test_references_are_filled_in_once():
    assert expand("http://${HOST}:${PORT}/", {"HOST": "a", "PORT": "1"}) == "http://a:1/"
    assert expand("${A}", {"A": "${B}$$", "B": "no"}) == "${B}$$"


def test_two_dollars_are_one_and_a_lone_one_stays():
    assert expand("$${A} costs 5$ $x", {}) == "${A} costs 5$ $x"


def test_an_unset_variable_is_named():
    with pytest.raises(Unexpandable, match="environment variable NOPE is not set"):
        expand("x${NOPE}", {})


@pytest.mark.parametrize("text", ["${}", "${1A}", "${A-b}", "${A"])
def test_what_only_looks_like_a_reference_is_refused(text):
    with pytest.raises(Unexpandable, match="is not a reference"):
        expand(text, {"A": "1"})


@given(st.text())
def test_escaped_text_comes_back(text):
    assert expand(escape(text), {}) == text


@given(st.text(), st.text(), st.text())
def test_a_value_is_never_read_as_a_reference(before, value, after):
    assert expand(f"{escape(before)}${{V}}{escape(after)}", {"V": value}) == before + value + after
