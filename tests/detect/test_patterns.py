"""Trend, seasonality and level shift: found where they are, and nowhere else."""

import itertools
import math
import re

import numpy as np
import pytest
from scipy import stats

from tocsin.detect import Severity, patterns
from tocsin.detect.shape import _kendall_tail, trend

DAY = np.arange(2016) * 300.0


def kinds(values, times=None):
    at = np.arange(len(values)) * 300.0 if times is None else times
    return [(one.kind, one.direction) for one in patterns(at, values)]


def red(rng, phi, size):
    shocks, values = rng.standard_normal(size + 100), np.zeros(size + 100)
    for i in range(1, size + 100):
        values[i] = phi * values[i - 1] + shocks[i]
    return values[100:]


@pytest.mark.parametrize("size", [6, 12, 40, 200, 2016])
def test_white_noise_has_no_pattern(size):
    rng = np.random.default_rng(size)
    assert sum(len(kinds(rng.standard_normal(size) + 10)) for _ in range(80)) <= 4


@pytest.mark.parametrize("phi", [0.5, 0.8, 0.95])
def test_red_noise_has_hardly_any(phi):
    rng = np.random.default_rng(4)
    assert sum(len(kinds(red(rng, phi, 1000))) for _ in range(40)) <= 4


@pytest.mark.parametrize("size", [3.0, 10.0])
def test_a_daily_season_in_a_week(size):
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(10):
        values = 100 + size * np.sin(2 * np.pi * DAY / 86400) + rng.standard_normal(2016) * 5
        values[rng.random(2016) < 0.05] = np.nan
        for one in patterns(DAY, values):
            assert one.kind == "seasonality"
            assert one.period_s == pytest.approx(86400, rel=0.05)
            assert one.severity is Severity.LOW
            hits += 1
    assert hits >= 9


def test_what_is_said_names_times():
    step = np.random.default_rng(3).standard_normal(96) + 100 + 10.0 * (np.arange(96) >= 60)
    (one,) = patterns(1_700_006_400.0 + np.arange(96) * 60.0, step)
    assert re.fullmatch(
        r"The series rises at once by [\d.]+ at about 2023-11-15 01:00:00 UTC and stays there \(.* sigma\)\.",
        one.explanation,
    )
    wave = 100 + 10 * np.sin(2 * np.pi * DAY / 86400) + np.random.default_rng(1).standard_normal(2016)
    (season,) = patterns(DAY, wave)
    assert "repeats every day with a range of" in season.explanation


def test_an_hourly_job_is_told_from_its_multiples():
    values = 100 + 10 * (DAY % 3600 < 600) + np.random.default_rng(2).standard_normal(2016) * 3
    (one,) = patterns(DAY, values)
    assert (one.kind, one.period_s) == ("seasonality", 3600.0)
    assert "repeats every hour with" in one.explanation


def test_trend_and_level_shift_are_not_mistaken_for_each_other():
    rng = np.random.default_rng(3)
    for _ in range(10):
        rest = rng.standard_normal(500) * 5
        slope = np.linspace(0, 60, 500)
        assert kinds(100 + slope + rest) == [("trend", "up")]
        assert kinds(100 - slope + rest) == [("trend", "down")]
        (one,) = patterns(np.arange(500.0), 100 + 60 * (np.arange(500) >= 200) + rest)
        assert (one.kind, one.direction, one.severity) == ("level_shift", "up", Severity.MEDIUM)
        assert abs(one.start - 200) <= 6
        assert one.size == pytest.approx(60, abs=3)


def test_a_season_does_not_hide_a_trend():
    values = 100 + 10 * np.sin(2 * np.pi * DAY / 86400) + DAY / DAY[-1] * 60
    found = kinds(values + np.random.default_rng(5).standard_normal(2016) * 4)
    assert found == [("seasonality", None), ("trend", "up")]


def test_small_changes_are_low():
    (one,) = patterns(np.arange(100.0), 1000 + np.arange(100.0))
    assert (one.kind, one.severity) == ("trend", Severity.LOW)


def test_spikes_are_no_pattern():
    rng = np.random.default_rng(6)
    assert sum(len(kinds(rng.standard_normal(500) + 50 * (rng.random(500) < 0.02))) for _ in range(20)) <= 1


@pytest.mark.parametrize("values", [[], [1.0], [5.0] * 50, [math.nan] * 20, [1e300] * 40, [1e-300] * 40])
def test_awkward_series_have_none(values):
    assert kinds(values) == []


def test_mann_kendall_matches_a_full_count_and_scipy():
    scores = [
        abs(sum(np.sign(b - a) for a, b in itertools.combinations(order, 2)))
        for order in itertools.permutations(range(5))
    ]
    for score in (2, 6, 10):
        assert _kendall_tail(5, score) == pytest.approx(sum(s >= score for s in scores) / len(scores))
    values = np.random.default_rng(8).standard_normal(9)
    p = stats.kendalltau(np.arange(9), values, method="exact").pvalue
    assert trend(np.arange(9.0), values).sigma == pytest.approx(stats.norm.isf(p / 2), abs=1e-4)


@pytest.mark.parametrize("unit", [1e300, 1e-300, 1.0])
def test_a_switch_repeats_whatever_its_unit(unit):
    assert kinds([unit, -unit] * 20) == [("seasonality", None)]
