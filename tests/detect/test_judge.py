"""Severity, confidence, policy: from sigma to what counts."""

import numpy as np
import pytest

from tocsin.detect import (
    METHODS,
    REASONS,
    SPEAKERS,
    Direction,
    Ground,
    Policy,
    Scores,
    Severity,
    confidence_of,
    explain,
    judge,
    possible,
)
from tocsin.detect.base import resolve_methods
from tocsin.detect.combine import entry, honest
from tocsin.detect.judge import anomalies, floor


def test_severity_is_ordered_by_rank():
    assert Severity.LOW < Severity.MEDIUM < Severity.HIGH < Severity.CRITICAL
    assert max(Severity.MEDIUM, Severity.HIGH, Severity.LOW) is Severity.HIGH
    assert Severity.HIGH >= Severity.HIGH
    assert Severity.LOW <= "high"
    assert [one.rank for one in Severity] == [0, 1, 2, 3]
    assert [one.sigma for one in Severity] == [3, 3.5, 4, 5.5]
    assert [Severity.of(x) for x in (2.999, 3, -3.5, 4, 5.49, -9)] == [
        None,
        "low",
        "medium",
        "high",
        "high",
        "critical",
    ]
    assert Severity.of(float("nan")) is None
    assert Severity("high") is Severity.HIGH


def test_confidence_grows_with_sigma():
    assert confidence_of(0) == 0
    assert confidence_of(3) == pytest.approx(0.9973, abs=1e-4)
    assert confidence_of(-3) == confidence_of(3)


def test_methods_are_resolved():
    assert resolve_methods("auto") == resolve_methods(("auto",)) == METHODS
    assert resolve_methods("mad") == ("mad",)
    assert resolve_methods(["mad", "iqr", "mad"]) == ("mad", "iqr")
    for wrong in ("nope", ("zscore", "nope")):
        with pytest.raises(ValueError, match="known: auto, zscore"):
            resolve_methods(wrong)


@pytest.mark.parametrize("methods", [1, 2, 3, 4])
def test_several_voices_are_paid_for(methods):
    sigma = np.linspace(-12, 12, 2001)
    paid = honest(sigma, methods)
    assert (np.diff(paid) > 0).all()
    assert (np.abs(paid) <= np.abs(sigma)).all()
    assert honest(np.array([entry(methods)]), methods)[0] == pytest.approx(3.0)


def scores(sigma, expected):
    sigma, expected = np.array([sigma], float), np.array([expected], float)
    blank = Scores.nothing(*sigma.shape, METHODS)
    return Scores(expected, expected - 5, expected + 5, sigma, blank.strongest, blank.agreeing, blank.course, METHODS)


def reasons(policy, sigma, values, expected):
    result = judge(scores(sigma, expected), np.array([values], float), policy)
    return [REASONS[code] for code in result.reasons[0]], result


def test_each_reason():
    sigma, values = [0.5, 4, np.nan, -4, 3.2], [10, 30, 10, 2, 13]
    expected = [10.0] * 5
    words, result = reasons(Policy(), sigma, values, expected)
    assert words == ["normal", "flagged", "no_opinion", "flagged", "flagged"]
    assert result.flags.tolist() == [[False, True, False, True, True]]
    words, _ = reasons(Policy(direction=Direction.ABOVE, min_effect=5), sigma, values, expected)
    assert words == ["normal", "flagged", "no_opinion", "wrong_direction", "below_min_effect"]
    words, _ = reasons(Policy(direction=Direction.BELOW), sigma, values, expected)
    assert words[1] == "wrong_direction"
    words, _ = reasons(Policy(alert_above=20), sigma, values, expected)
    assert words == ["normal", "flagged", "no_opinion", "outside_alert_range", "outside_alert_range"]
    words, _ = reasons(Policy(alert_below=5), sigma, values, expected)
    assert words[1] == "outside_alert_range"
    assert words[3] == "flagged"
    words, _ = reasons(Policy(min_effect_ratio=0.5), sigma, values, expected)
    assert words[4] == "below_min_effect"


def test_the_room_to_a_bound_counts_only_within_the_bounds():
    policy = Policy(min_effect_ratio=0.1, lower_bound=0.0, upper_bound=100.0)
    expected = np.array([50.0, 90.0, 0.0, 100.0, 100.00005, 120.0, -30.0])
    assert floor(expected, policy).tolist() == pytest.approx([5.0, 1.0, 0.0, 0.0, 0.0, 12.0, 3.0])


def test_nothing_impossible_is_expected():
    """After a fall to nothing at noon a season that falls in the evening would go on from there."""
    policy = Policy(lower_bound=0.0, upper_bound=100.0)
    told = possible(scores([4.0, -4.0, 4.0, 4.0], [-80.0, 130.0, -3.0, 50.0]), policy)
    assert told.expected[0].tolist() == [0, 100, 0, 50]
    assert told.lower[0].tolist() == [0, 100, 0, 45]
    assert told.upper[0].tolist() == [0, 100, 2, 55]
    assert told.sigma[0].tolist() == [4, -4, 4, 4]
    words, result = reasons(policy, [4, -4, 4, 4], [0, 100, 7, 50], [-80.0, 130.0, -3.0, 50.0])
    assert words == ["below_min_effect", "below_min_effect", "flagged", "flagged"], "at a bound, as was expected"
    assert result.holding.tolist() == [[False, False, True, True]]
    assert anomalies(scores([4.0], [-80.0]), np.zeros((1, 1)), policy).tolist() == [[False]]
    unbounded = scores([4.0], [-80.0])
    assert possible(unbounded, Policy()).expected[0].tolist() == [-80]
    assert judge(unbounded, np.zeros((1, 1)), Policy()).flags.tolist() == [[True]]


def test_an_echo_begins_nothing_and_holds():
    """A voice that hears late still says above when the sample is below: what was above has come back."""
    echo = Scores.nothing(1, 3, SPEAKERS)
    echo.sigma[:] = 4.8
    echo.expected[:] = 100.0
    echo.strongest[:] = [[SPEAKERS.index("away"), SPEAKERS.index("shape"), SPEAKERS.index("away")]]
    values = np.array([[94.8, 94.8, 105.0]])
    result = judge(echo, values, Policy())
    assert [REASONS[code] for code in result.reasons[0]] == ["below_min_effect", "flagged", "flagged"]
    assert anomalies(echo, values, Policy()).tolist() == [[False, True, True]]
    assert result.holding.all()
    assert judge(echo, values, Policy(direction=Direction.ABOVE)).flags.tolist() == [[False, True, True]]


def test_holding_on_is_easier_than_beginning():
    _, result = reasons(Policy(min_effect=10), [2.6, 3.5, 2.4, -2.5], [16, 16, 30, 4], [10.0] * 4)
    assert result.flags.tolist() == [[False, False, False, False]]
    assert result.holding.tolist() == [[True, True, False, True]]
    assert Policy(sigma=5).holds_from == 4
    assert Policy(sigma=3).holds_from == 2.5
    assert Policy(sigma=2).holds_from == 2
    assert Policy(sigma=4, exit_sigma=9).holds_from == 4


def test_shapes_must_fit():
    with pytest.raises(ValueError, match="shape"):
        judge(scores([1.0], [1.0]), np.zeros((2, 2)), Policy())


def test_an_explanation_says_what_matters():
    text = explain(250, 100, sigma=4.9, methods=("zscore", "mad"), lower=90, upper=110, ground=Ground(samples=60))
    assert text == (
        "250 is 150 above the expected 100 (+150%), usually 90 to 110: "
        "4.90 sigma from 60 samples; zscore and mad agree."
    )
    assert "from" not in explain(0, 5, sigma=-3, methods=("mad",))
    assert "(" not in explain(1, 0, sigma=3)


def test_what_rounding_leaves_of_a_band_is_shown_as_zero():
    assert "usually 0 to 0:" in explain(9, 0, sigma=5, lower=-1e-300, upper=6.34e-13)
    assert "usually 46.6 to 54.3:" in explain(1.8e19, 51.0, sigma=5, lower=46.6, upper=54.3)
    assert "usually 0 to 54.3:" in explain(1.8e19, 51.0, sigma=5, lower=-1e-12, upper=54.3)
    assert "usually 0 to 6.34e-13:" in explain(9e-13, 0, sigma=5, lower=0, upper=6.34e-13)


def test_a_deployment_that_holds_alerts_back_is_not_an_infinite_number():
    text = explain(9, 0, sigma=5, ground=Ground(threshold=float("inf")))
    assert "5.00 sigma while a deployment holds new alerts back" in text
