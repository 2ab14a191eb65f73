"""`capacity` where nothing is unsure: what runs straight to its limit, and what stays beyond it."""

import re

import numpy as np
import pytest
from tests.detect.test_more_cases import START, times

from tocsin.detect import Context, follow, told_at

EXACT = [
    pytest.param(900.0, lambda at: START + 10 * 86400.0 - at, Context(lower_limit=0.0), 10 * 86400.0, id="falls"),
    pytest.param(60.0, lambda at: (at - START) / 3600.0, Context(limit=400.0), 400 * 3600.0, id="rises"),
]


@pytest.mark.parametrize(("step", "curve", "context", "ends"), EXACT)
def test_what_runs_straight_to_its_limit_is_told_with_the_date_and_the_more_the_nearer_it_is(
    step, curve, context, ends
):
    at = START + np.arange(0, ends + 86400.0, step)
    rules = {"new": len(at), "window": 1000, "relearn": 60, "methods": ("capacity",), "step_s": step}
    scores = follow(at, curve(at)[None], context=context, **rules).scores
    size = np.abs(scores.sigma[0])
    told = np.flatnonzero(size >= 3.0)
    left = START + ends - at
    assert left[told[0]] == pytest.approx(4 * 86400.0, abs=2 * 3600.0), "as soon as it is within the horizon"
    assert size[told[0]] == pytest.approx(3.5, abs=0.02)
    assert (np.diff(size[told]) >= 0.0).all()
    assert size[told].max() == 4.0
    for column in told:
        (said,) = told_at(scores, 0, int(column))
        if left[column] > 3600.0:
            date = re.search(r"ing by .* it reaches (?:0|400) at about (\S+ \S+) UTC$", said).group(1).replace(" ", "T")
            assert abs(np.datetime64(date, "s").astype(float) - START - ends) <= step
        if left[column] < -2 * 3600.0:
            assert (
                said == f"the limit of {context.limit or 0:g} is reached from {'below' if context.limit else 'above'}"
            )


@pytest.mark.parametrize("sign", [1, -1])
def test_what_stays_beyond_its_limit_for_weeks_is_not_recovered_until_it_is_back(sign):
    """Of a `capacity_limit` nobody says the side: it is that on which the series was at first."""
    hours = np.repeat([20.0, 47.0, 30.0], [10 * 24, 40 * 24, 5 * 24])
    values = 40.0 + sign * (np.repeat(hours, 4) - 40.0)
    at = times(len(values), 900.0)
    rules = {"new": len(at), "window": 96, "relearn": 24, "methods": ("capacity",), "step_s": 900.0}
    scores = follow(at, values[None], context=Context(limit=40.0), **rules).scores
    told = np.flatnonzero(np.abs(scores.sigma[0]) >= 3.0)
    assert (scores.sigma[0, told] == 4.0 * sign).all()
    assert abs(told[0] - 10 * 96) <= 8
    assert abs(told[-1] - 50 * 96) <= 8
    assert (np.diff(told) == 1).all()
    side = "below" if sign > 0 else "above"
    assert told_at(scores, 0, int(told[-1])) == (f"the limit of 40 is reached from {side}",)


@pytest.mark.parametrize("noise", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("clamped", [True, False])
@pytest.mark.parametrize("context", [Context(limit=100.0), Context(inferred_limit=100.0), Context(upper_limit=100.0)])
def test_what_runs_to_its_limit_and_stays_is_told_without_a_break(context, clamped, noise):
    at = times(20 * 288, 300.0)
    day = (at - at[0]) / 86400.0
    values = 60.0 + 5.0 * day + noise * np.random.default_rng(1).standard_normal(len(at))
    if clamped or context.inferred_limit is not None:
        values = np.minimum(values, 100.0)
    rules = {"new": len(at), "window": 288, "relearn": 24, "methods": ("capacity",), "step_s": 300.0}
    scores = follow(at, values[None], context=context, **rules).scores
    assert (scores.sigma[0, day >= 5.0] >= 3.5).all()
    for column in np.flatnonzero(day >= 8.3):
        assert scores.sigma[0, column] == 4.0
    assert told_at(scores, 0, len(at) - 1)[0].endswith("is reached from below")
