"""Each row of the table in detection.md section 2, and what the words around it promise."""

import math

import numpy as np
import pytest

from tocsin.detect import METHODS, Severity, detect, sigma_of_tail, sigmas


def found(values, methods=METHODS):
    return detect(np.arange(len(values)) * 300.0, values, methods)


def test_a_spike_of_six_is_high_and_its_recovery_is_nothing():
    only = found([100, 105, 102, 98, 250, 103])
    assert [one.index for one in only] == [4]
    one = only[0]
    assert one.expected_value == pytest.approx(101.6)
    assert one.deviation == pytest.approx(148.4)
    assert one.method == "zscore"
    assert len(one.methods) > 1
    assert one.sigma == pytest.approx(4.90, abs=0.005)
    assert one.severity is Severity.HIGH
    assert one.confidence >= 0.95
    assert one.timestamp == 1200.0
    assert "4.90 sigma" in one.explanation


def test_a_larger_spike_is_critical():
    only = found([100, 102, 98, 105, 500, 103])
    assert [one.index for one in only] == [4]
    assert only[0].sigma == pytest.approx(5.63, abs=0.005)
    assert only[0].severity is Severity.CRITICAL
    assert only[0].confidence >= 0.98


def test_a_ramp_is_a_pattern_and_no_anomaly():
    ramp = found([100, 110, 120, 130, 140, 150])
    assert len(ramp) == 0
    assert np.nanmax(np.abs(sigmas([100, 110, 120, 130, 140, 150], "rate_change"))) < 1
    (pattern,) = ramp.patterns
    assert (pattern.kind, pattern.direction, pattern.severity) == ("trend", "up", Severity.MEDIUM)
    assert pattern.size == pytest.approx(50)


def test_two_anomalies_each_named_by_several_methods():
    both = found([100, 95, 300, 105, 98, 250])
    assert [one.index for one in both] == [2, 5]
    assert [round(one.sigma, 2) for one in both] == [4.19, 3.99]
    assert [one.severity for one in both] == [Severity.HIGH, Severity.MEDIUM]
    assert both.severity is Severity.HIGH
    assert all(len(one.methods) > 1 for one in both)
    by_zscore = found([100, 95, 300, 105, 98, 250], ("zscore",))
    assert by_zscore[1].severity is Severity.MEDIUM


def test_four_samples_are_enough():
    (one,) = found([100, 105, 102, 500])
    assert one.index == 3
    assert one.sigma == pytest.approx(4.04, abs=0.005)


@pytest.mark.parametrize("methods", [METHODS, ("zscore",)])
def test_three_samples_are_too_few_and_it_is_said(methods):
    none = found([100, 105, 250], methods)
    assert len(none) == 0
    assert "too little data for zscore" in none.notes[0]
    assert ": 3 samples; needed" in none.notes[0]
    assert ": 1 sample; needed" in found([100], methods).notes[0]


def test_a_near_miss_is_said():
    none = found([0.02, 0.03, 0.02, 0.15])
    assert len(none) == 0
    note = next(note for note in none.notes if "2.99 sigma" in note)
    assert note.startswith("series 0: 0.15 at 1970-01-01 00:15:00 UTC (index 3) is no anomaly, but near: 2.99 sigma")
    assert detect([0.0, 1e300, 2e300, 3e300], [0.02, 0.03, 0.02, 0.15]).notes


def test_a_resolution_is_no_precision():
    (one,) = found([0.02, 0.03, 0.02, 0.03, 0.02, 0.03, 0.02, 0.02, 0.03, 0.02, 0.15])
    assert one.index == 10
    assert one.sigma == pytest.approx(4.94, abs=0.01)


@pytest.mark.parametrize("methods", [METHODS, *((name,) for name in METHODS)], ids=str)
@pytest.mark.parametrize(
    ("usual", "odd", "many", "samples"), [(0.0, 0.02, 2, 20160), (100.0, 97.0, 15, 20160), (100.0, 97.0, 15, 1440)]
)
def test_outliers_that_are_equal_do_not_hide_each_other(methods, usual, odd, many, samples):
    values = np.full(samples, usual)
    values[700 : 700 + many] = odd
    assert [one.index for one in found(values, methods)] == list(range(700, 700 + many))
    if samples > 1440:
        apart = np.full(samples, usual)
        apart[100 :: samples // many][:many] = odd
        assert len(found(apart, methods)) == many


def test_two_zeros_and_two_outages_are_no_resolution():
    values = np.random.default_rng(0).normal(50.0, 5.0, 2000)
    values[[5, 60]] = 0.0
    values[[90, 91]] = 500.0
    assert {5, 60, 90, 91} <= {one.index for one in found(values)}


@pytest.mark.parametrize("rate", [0.005, 0.02, 0.1])
@pytest.mark.parametrize("samples", [1440, 20160])
def test_counts_that_are_mostly_zero_stay_quiet(rate, samples):
    rng = np.random.default_rng(4)
    assert len(found(np.minimum(rng.poisson(rate, samples), 1).astype(float))) == 0
    assert len(found(rng.poisson(rate, samples).astype(float))) <= 2


def test_what_comes_and_goes_in_a_short_series_is_a_resolution():
    assert len(found([0.0] * 30 + [1.0, 1.0] + [0.0] * 28)) == 0
    assert len(found(np.tile([100.0] * 9 + [97.0], 40))) == 0


def test_a_constant_and_a_spike_is_finite():
    (one,) = found([5.0] * 60 + [500.0])
    assert one.index == 60
    assert math.isfinite(one.sigma)


def test_noise_is_nearly_silent():
    values = np.random.default_rng(1).standard_normal((1500, 1440))
    signed = np.abs(sigmas(values))
    limit = sigma_of_tail(0.05 / 1440)
    for m, name in enumerate(METHODS):
        per_series = (signed[m] >= limit).sum() / len(values)
        assert 0.005 < per_series < 0.075, name


def test_what_is_found_is_what_the_sigmas_say():
    rng = np.random.default_rng(3)
    values = rng.standard_normal((3, 200))
    values[1, 50] = 12
    values[2, 60] = np.nan
    many = detect(np.arange(200) * 60.0, values)
    assert [(one.series, one.index) for one in many if abs(one.sigma) > 5] == [(1, 50)]
    assert many[0:1] == tuple(many)[0:1]


def test_unknown_methods_and_shapes_are_refused():
    with pytest.raises(ValueError, match="unknown detection method 'zzz'"):
        found([1, 2, 3], ("zzz",))
    with pytest.raises(ValueError, match="no detection method"):
        found([1, 2, 3], ())
    with pytest.raises(ValueError, match="timestamps"):
        detect([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="shape"):
        detect([1.0], np.zeros((1, 1, 1)))


AWKWARD = {
    "nothing": [],
    "one": [1.0],
    "two": [1.0, 2.0],
    "all gaps": [math.nan] * 30,
    "constant": [7.0] * 40,
    "zeros and a speck": [0.0] * 40 + [1e-300],
    "tiny": [1e-300, 2e-300] * 20 + [9e-299],
    "huge": [1e300, -1e300] * 20 + [1.7e308],
    "huge and tiny": [1e300] + [1e-300] * 40,
    "offset": [1e15 + (i * 7 % 5) for i in range(50)],
    "counts": [0.0] * 50 + [1.0, 0.0, 1.0, 0.0, 25.0],
    "two values": [0.0, 1.0] * 30,
    "infinite": [1.0, 2.0, math.inf, 1.5, -math.inf, 1.2, 1.1, 1.9, 1.3, 1.7, 1.4],
    "denormal": [5e-324] * 20 + [1e-320],
}


@pytest.mark.parametrize("values", AWKWARD.values(), ids=AWKWARD)
def test_awkward_series_end_well(values):
    result = found(values)
    signed = sigmas(values)
    assert signed.shape == (4, 1, len(values))
    finite = np.isfinite(np.asarray(values, float))
    assert np.isnan(signed[:, 0, ~finite]).all()
    assert not np.isinf(signed).any()
    assert np.nanmax(np.abs(signed), initial=0) <= 38
    if finite.sum() >= 6:
        assert not np.isnan(signed[:3, 0, finite & (np.abs(np.nan_to_num(values)) < 1e308)]).any()
    for one in result:
        assert math.isfinite(one.expected_value)
        assert one.explanation
