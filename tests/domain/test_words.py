"""Words for people: one is not many, and what is left of a computation is nothing."""

from datetime import timedelta

import pytest

from tocsin.detect import explain
from tocsin.detect.explain import number
from tocsin.domain.words import many, sigmas, timespan


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 queries"), (1, "1 query"), (2, "2 queries"), (12345, "12,345 queries")]
)
def test_one_is_not_many(count, words):
    assert many(count, "query", "queries") == words
    assert many(count, "query").startswith(words.split()[0])


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=119), "119 seconds"),
        (timedelta(minutes=14), "14 minutes"),
        (timedelta(hours=12), "12 hours"),
        (timedelta(days=1), "24 hours"),
        (timedelta(days=2), "2 days"),
    ],
)
def test_how_long_something_is(length, words):
    assert timespan(length) == words


@pytest.mark.parametrize("value", [-0.0, 0.0, 3e-290, -5e-324])
@pytest.mark.parametrize("unit", ["", "bytes", "percent"])
def test_what_is_left_of_a_computation_is_zero(value, unit):
    assert number(value, unit).split()[0] == "0"


def test_a_band_that_ends_at_next_to_nothing_ends_at_zero():
    assert "usually 0 to 0:" in explain(0.0, 0.0, sigma=3.0, lower=-0.0, upper=3e-290)
    assert "0.0003" in explain(3e-4, 1e-4, sigma=3.0)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3.98, "+3.9"),
        (4.0, "+4.0"),
        (-3.999, "-3.9"),
        (0.29, "+0.2"),
        (2.3, "+2.3"),
        (-0.04, "+0.0"),
        (8.2, "+8.2"),
        (float("inf"), "+inf"),
    ],
)
def test_a_sigma_is_cut_so_that_it_stays_on_its_side_of_a_threshold(value, said):
    assert sigmas(value) == said
