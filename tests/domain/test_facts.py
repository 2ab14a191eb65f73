"""What an anomaly rests on, in numbers and in one sentence; and evidence drawn as text."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tocsin.detect import explain, number
from tocsin.domain.anomaly import MOST_LINES, Evidence
from tocsin.domain.facts import MOST_BARS, Background, Facts, bars
from tocsin.domain.frame import Window

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FACTS = Facts(
    value=12.3, expected=4.2, lower=3.0, upper=5.5, sigma=4.9, methods=("spike", "level"), unit="percent",
    season="day", samples=11_520, threshold=3.5, floor=0.21, last_at=T0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.5, "percent", "0.5 %"),
        (0.97, "ratio", "0.97"),
        (512.0, "bytes", "512 B"),
        (1536.0, "bytes", "1.5 KiB"),
        (-3 * 2.0**30, "bytes", "-3 GiB"),
        (2.0**20, "bytes/s", "1 MiB/s"),
        (0.25, "seconds", "250 ms"),
        (0.00002, "seconds", "20 µs"),
        (90.0, "seconds", "90 s"),
        (7200.0, "seconds", "2 h"),
        (0.0, "seconds", "0 s"),
        (1e-15, "seconds", "1e-06 ns"),
        (123456.0, "", "123,456"),
        (7.0, "count", "7"),
    ],
)
def test_numbers_carry_their_unit(value, unit, text):
    assert number(value, unit) == text


def test_the_sentence_says_all_of_it():
    assert FACTS.sentence == (
        "12.3 % is 8.1 points above the expected 4.2 % (+193%), usually 3 % to 5.5 %: 4.90 sigma where 3.5 are needed "
        "from 11,520 samples with the season of the day; spike and level agree; at least 0.21 points (5 % of "
        "expected) matters, it was 8.1 points; last like this 2026-03-01 12:00 UTC."
    )
    inside = replace(FACTS, upper=20.0)
    assert ", usually 3 % to 20 % for one sample: 4.90 sigma" in inside.sentence
    going_on = replace(FACTS, threshold=10.0)
    assert "4.90 sigma (10 are needed to begin) from 11,520 samples" in going_on.sentence
    bare = replace(FACTS, unit="", season="", samples=None, threshold=None, floor=None, last_at=None)
    assert bare.sentence == explain(12.3, 4.2, sigma=4.9, methods=("spike", "level"), lower=3.0, upper=5.5)
    assert replace(FACTS, expected=0.0).deviation_ratio is None


def test_a_method_that_looks_at_more_than_this_sample_says_at_what():
    within = explain(50.0, 49.0, sigma=4.0, methods=("volatility", "shape"), lower=40.0, upper=60.0)
    assert "volatility and shape agree: the last ten samples move unlike those before." in within
    assert explain(50.0, 49.0, sigma=4.0, methods=("level", "shape")).endswith("level and shape agree.")


def test_what_the_named_methods_learnt_from_is_the_window_before_the_sample():
    taught = np.ones((1, 10), bool)
    taught[0, 3] = False
    background = Background(np.array([2], np.int8), np.array([500]), taught, 4)
    assert background.ground(0, 0, 3, by_auto=False) == ("", 3), "columns 3 to 6, of which one taught nothing"
    assert background.ground(0, 2, 3, by_auto=False) == ("", 4)
    assert background.ground(0, 2, 3, by_auto=True) == ("week", 499)
    assert background.ground(0, 0, 3, by_auto=True) == ("week", 497)


def test_bars():
    assert bars((0.0, None, 5.0, 10.0, float("inf"))) == "▁ ▅█ "
    assert bars((3.0, 3.0)) == "▁▁"
    assert bars((None,)) == ""
    assert len(bars(tuple(float(n) for n in range(1000)))) == MOST_BARS


def test_evidence_is_drawn_again_from_itself_alone():
    stamps = tuple(T0.timestamp() + 60.0 * n for n in range(30))
    row = tuple(4.2 for _ in stamps)
    made = Evidence(
        "alert:1@2", "cpu_percent", "prom", Window(T0, T0 + timedelta(minutes=29), timedelta(minutes=1)), ("spike",),
        stamps, (*row[:-2], None, 12.3), row, row, row, (*(None for _ in row[:-1]), 4.9),
        ("up was 1",), ("no gap",), FACTS,
    )  # fmt: skip
    lines = made.text.splitlines()
    assert lines[0] == FACTS.sentence
    assert "note        no gap" in lines
    assert "context     up was 1" in lines
    assert lines[-1].split() == ["2026-03-01", "12:29:00", *("12.3", "%"), *(("4.2", "%") * 3), "+4.9"]
    assert lines[-2].split()[2] == "-"
    assert sum(line.startswith("2026-03-01") for line in lines) == MOST_LINES
    assert replace(made, facts=None).text.startswith("query")


def test_what_methods_tell_beside_is_a_sentence_of_its_own():
    drifting = replace(FACTS, methods=("drift",), told=("rising by 3 a day for 4 days", "and more"))
    assert drifting.sentence == replace(drifting, told=()).sentence + " Rising by 3 a day for 4 days; and more."


def test_a_date_in_the_future_is_what_is_said_where_nothing_else_stands_out():
    full = replace(FACTS, methods=("capacity",), told=("rising by 3 a day, it reaches 90 between A and B",))
    assert full.sentence == (
        "Rising by 3 a day, it reaches 90 between A and B; now it is 12.3 %: 4.90 sigma where 3.5 are needed; so says "
        "capacity; last like this 2026-03-01 12:00 UTC."
    )
    assert replace(full, methods=("level", "capacity")).sentence.startswith(FACTS.sentence[:20])


def test_a_sample_that_is_missed_has_only_words():
    nan = float("nan")
    gone = Facts(nan, nan, nan, nan, -3.8, ("absence",), threshold=3.5, told=("no sample for 5 min",))
    assert gone.sentence == "No sample for 5 min: 3.80 sigma where 3.5 are needed; so says absence."
