"""Who asks for one side alone is told of that side alone: not that a series comes back from the other."""

import numpy as np
import pytest
from tests.detect.test_auto import DAY, daily, noise, times

from tocsin.detect import REASONS, RETURNED, SPEAKERS, Direction, Policy, Scores, backtest, judge

BEGIN = 4 * DAY + 600
ABOVE = [Policy(direction=Direction.ABOVE), Policy(alert_above=65.0)]
BELOW = [Policy(direction=Direction.BELOW), Policy(alert_below=135.0)]


def told(values, policy):
    flags = backtest(times(len(values)), values, policy=policy).flags
    return [int(one) - BEGIN for one in np.flatnonzero(flags) if one >= BEGIN - 60]


@pytest.mark.parametrize("minutes", [6, 20, 60, 240, 720])
@pytest.mark.parametrize(
    "made", [lambda: 100.0 + noise(6 * DAY, 1), lambda: 50.0 + daily(6, 1)], ids=["level", "daily"]
)
@pytest.mark.parametrize(("sides", "away"), [(ABOVE, -50.0), (BELOW, 50.0)], ids=["above", "below"])
def test_it_is_not_told_what_comes_back_from_the_other_side(minutes, made, sides, away):
    values = made()
    values[BEGIN : BEGIN + minutes] += away
    for policy in sides:
        assert told(values, policy) == []
    assert 0 in told(values, Policy()), "who asks for both is told when it goes"


@pytest.mark.parametrize("later", [5, 20, 35])
def test_soon_after_it_is_told_of_its_own_side(later):
    values = 100.0 + noise(6 * DAY, 1)
    values[BEGIN : BEGIN + 20] -= 50.0
    values[BEGIN + 20 + later : BEGIN + 25 + later] += 30.0
    for policy in ABOVE:
        assert told(values, policy)[0] in (20 + later, 21 + later)


@pytest.mark.parametrize("policy", [*ABOVE, *BELOW])
def test_the_reason_says_that_it_came_back(policy):
    said = Scores.nothing(1, 1, SPEAKERS)
    said.sigma[:], said.expected[:], said.strongest[:], said.course[:] = 5.0 * policy.side, 50.0, 2, RETURNED
    said.expected[:] -= 50.0 * policy.side - 50.0
    result = judge(said, said.expected + 20.0 * policy.side, policy)
    assert [REASONS[code] for code in result.reasons[0]] == ["came_back"]
    assert not result.holding.any()
