"""Words for people: one is not many, and what is left of a computation is nothing."""

from datetime import timedelta

import pytest

from tocsin.detect import Ground, explain
from tocsin.domain.words import many, sigmas, timespan
from tocsin.units import number, scaled_short


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
    ("value", "expected", "unit", "said"),
    [
        (2.1e-301, 1e-300, "", "2.1e-301 is 7.9e-301 below the expected 1e-300 (-79%), usually 0 to 0:"),
        (1000.01, 1000.0, "", "1000.01 is 0.01 above the expected 1000 (+0.001%), usually 0 to 0:"),
        (12345.0, 12345.25, "", "12,345.0 is 0.25 below the expected 12,345.2 (-0.002%), usually 0 to 0:"),
        (
            15_748_239_847.0,
            15_749_239_847.0,
            "bytes",
            "14.667 GiB is 976.6 KiB below the expected 14.668 GiB (-0.006%)",
        ),
        (0.1 + 0.2, 0.3, "", "0.3 is 5.551e-17 above the expected 0.3 (+2e-14%), usually 0 to 0:"),
    ],
)
def test_two_numbers_that_differ_are_seen_to(value, expected, unit, said):
    assert explain(value, expected, sigma=3.0, lower=0.0, upper=0.0, unit=unit).startswith(said)


def test_what_matters_and_what_it_was_are_in_one_unit():
    text = explain(97.0, 100.0, sigma=4.0, unit="percent", ground=Ground(floor=0.01))
    assert text.endswith("; at least 0.01 points (0.01 % of expected) matters, it was 3 points.")


@pytest.mark.parametrize(
    ("size", "unit", "said"),
    [
        (20e6, "", (1e6, "M")),
        (9999.0, "", (1.0, "")),
        (1e300, "", (1.0, "")),
        (3.0 * 2**30, "bytes/s", (2.0**30, "GiB/s")),
        (5e9, "percent", (1.0, "%")),
        (0.0, "seconds", (1.0, "s")),
    ],
)
def test_where_there_is_little_room_large_numbers_have_a_prefix(size, unit, said):
    assert scaled_short(size, unit) == said


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
