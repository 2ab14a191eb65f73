"""What matters by default, and what is possible: floors, inferred bounds, and bounds that turn out wrong."""

import re
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.monitor.scene import MINUTE, START, Scene, noise, target
from tocsin.detect import METHODS, Policy, Scores
from tocsin.domain.frame import Frame
from tocsin.domain.labels import Labels
from tocsin.monitor.judging import judge_within
from tocsin.monitor.memory import Memory, absorb


def shifted(level, size, to, minutes=10):
    """Noise about `level`, and `to` for some minutes after the start."""

    def curve(grid):
        inside = (grid >= (START + 5 * MINUTE).timestamp()) & (grid < (START + (5 + minutes) * MINUTE).timestamp())
        return np.where(inside, to, noise(grid, level, size))

    return curve


async def alerts_of(curve, **more):
    scene = Scene(target(detection_methods=METHODS, **more))
    scene.source.play(more["query"], curve)
    monitor = await scene.open()
    await scene.run_for(20 * MINUTE)
    found = await scene.alerts()
    view = monitor.view("errors")
    await monitor.close()
    return found, view


async def test_three_percent_off_is_unusual_and_does_not_matter():
    steady = shifted(100.0, 0.1, 103.0)
    assert (await alerts_of(steady, query="q"))[0] == []
    (alert,) = (await alerts_of(steady, query="q", min_effect_ratio=0.0))[0]
    assert alert.value == 103
    (alert,) = (await alerts_of(shifted(100.0, 0.1, 106.0), query="q"))[0]
    assert alert.value == 106


async def test_of_a_share_the_distance_to_the_nearer_bound_counts():
    falls = shifted(0.9999, 0.00001, 0.97)
    (alert,) = (await alerts_of(falls, query="availability_ratio"))[0]
    assert alert.value == 0.97
    assert (await alerts_of(falls, query="availability"))[0] == [], "three percent of something unbounded"
    (alert,) = (await alerts_of(falls, query="availability", unit="ratio"))[0]
    assert (await alerts_of(falls, query="availability_ratio", unit="none"))[0] == []


async def test_a_band_stays_within_what_the_name_says_is_possible():
    _, view = await alerts_of(lambda grid: np.abs(noise(grid, 0.002, 0.002)), query="errors_ratio")
    assert view.target.policy.lower_bound == 0
    assert view.target.policy.upper_bound == 1
    explicit = replace(view.target, lower_bound=-1.0)
    assert explicit.policy.lower_bound == -1, "what a person says wins"


async def test_a_sample_beyond_an_inferred_bound_drops_it_and_is_found():
    found, view = await alerts_of(shifted(0.5, 0.01, 7.0), query="compression_ratio")
    assert [alert.value for alert in found] == [7.0]
    assert view.status.refuted == (False, True)
    assert any("above 1, the bound inferred from the query" in warning for warning in view.status.warnings)
    found, view = await alerts_of(shifted(0.5, 0.01, 7.0), query="compression_ratio", upper_bound=1.0)
    assert [alert.value for alert in found] == [7.0]
    assert view.status.refuted == (False, False), "an explicit bound is not inferred"


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_bounds_fall_at_the_same_sample_in_whatever_parts_they_come(values, cuts):
    watched = target(query="x_ratio", min_effect_ratio=0.5)
    block = np.array([values])
    columns = block.shape[1]
    scores = Scores.nothing(1, columns, METHODS)
    scores.sigma[:] = 4.0
    scores.expected[:] = 0.9
    whole = judge_within(watched, scores, block, (False, False))
    edges = sorted({0, columns, *(cut for cut in cuts if cut < columns)})
    refuted, flags = (False, False), []
    for start, stop in pairwise(edges):
        part = Scores.nothing(1, stop - start, METHODS)
        part.sigma[:] = 4.0
        part.expected[:] = 0.9
        held = judge_within(watched, part, block[:, start:stop], refuted)
        refuted = held.refuted
        flags.append(held.judgement.flags)
    assert refuted == whole.refuted
    assert np.array_equal(np.hstack(flags), whole.judgement.flags)


def test_history_refutes_as_well():
    watched = target(query="x_ratio")
    grid = START.timestamp() + 60.0 * np.arange(40)
    frame = Frame(grid, np.linspace(0.5, 2.0, 40)[None], (Labels({"a": "b"}),))
    _, memory = absorb(watched, Memory.empty(watched), frame, {}, silent=True)
    assert memory.refuted == (False, True)
    assert watched.policy_beyond(memory.refuted).upper_bound is None


@pytest.mark.parametrize(("ratio", "least"), [(0.05, 1.0), (0.0, 0.25)])
def test_the_least_of_a_unit_holds_unless_floors_are_switched_off(ratio, least):
    counted = target(unit="count", min_effect=0.25, min_effect_ratio=ratio, lookback=timedelta(hours=1))
    assert counted.policy.min_effect == least
    assert isinstance(counted.policy, Policy)


async def test_a_band_lies_within_bounds_also_where_samples_do_not():
    found, _ = await alerts_of(shifted(20.0, 0.5, 60.0), query="queue", upper_bound=5.0)
    (alert,) = found
    assert "usually 5 to 5" in alert.explanation, alert.explanation


async def test_samples_beyond_a_bound_that_a_person_has_set_are_warned_of():
    _, view = await alerts_of(lambda grid: noise(grid, 20.0, 0.5), query="queue", lower_bound=0.0, upper_bound=5.0)
    (warning,) = view.status.warnings
    assert re.fullmatch(r"\d+ samples of the lookback lie above 5, the upper_bound of the target: .*", warning)
    _, view = await alerts_of(lambda grid: noise(grid, 20.0, 0.5), query="queue", lower_bound=0.0, upper_bound=50.0)
    assert view.status.warnings == ()


async def test_a_back_test_says_which_bounds_its_samples_do_not_keep():
    scene = Scene(target(detection_methods=METHODS))
    scene.source.play("compression_ratio", lambda grid: noise(grid, 5.0, 0.1))
    monitor = await scene.open()
    inferred = target(query="compression_ratio")
    result = await monitor.backtest(inferred, START - timedelta(hours=2), START)
    assert any("above 1, the bound inferred from the query" in warning for warning in result.warnings)
    said = replace(inferred, upper_bound=1.0)
    result = await monitor.backtest(said, START - timedelta(hours=2), START)
    (warning,) = result.warnings
    assert "samples of that past lie above 1, the upper_bound" in warning
    await monitor.close()
