"""Suggested targets tried on a past that is too short to know, and constants that are signs of life."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import START, noise
from tocsin.domain.suggest import ABSENCE, Suggestion
from tocsin.monitor.clock import ManualClock
from tocsin.monitor.gate import Gate
from tocsin.monitor.trial import FEWEST_BEATS, MAX_BEATS, Why, tried
from tocsin.sources.fake import ScriptedSource

DAY = timedelta(days=1)


def since(age, curve):
    """The curve, which began so long ago."""
    begun = (START - age).timestamp()
    return lambda grid: np.where(grid >= begun, curve(grid), np.nan)


def flat(grid, value=3.0):
    return np.full(len(grid), value)


def nothing(grid):
    return np.full(len(grid), np.nan)


async def played(*suggestions, curves, past=DAY):
    source = ScriptedSource("prom", now=START.timestamp)
    for query, curve in curves.items():
        source.play(query, curve, {"instance": "a"})
    gate = Gate(source, ManualClock(START))
    return await tried(suggestions, gate, START, past, lambda _: None)


async def trials(*suggestions, curves, past=DAY):
    result = await played(*suggestions, curves=curves, past=past)
    dropped = {each.suggestion.name: (each.why, each.words) for each in result.dropped}
    return {each.target.name: each for each in result.offered}, dropped


@pytest.mark.parametrize(("age", "there"), [(timedelta(hours=3), "3 hours"), (timedelta(minutes=2), "2 minutes")])
async def test_what_is_young_and_did_not_move_is_no_constant_yet(age, there):
    _, dropped = await trials(Suggestion("q", "q", "w", beat="b"), curves={"q": since(age, flat)})
    words = f"it has not moved, too little to judge yet: there are {there} of data, 12 hours are needed"
    assert dropped == {"q": (Why.TOO_LITTLE, words)}


async def test_what_did_not_move_in_a_short_past_is_no_constant_either():
    _, dropped = await trials(Suggestion("q", "q", "w"), curves={"q": flat}, past=timedelta(minutes=14))
    words = "it has not moved, too little to judge yet: 14 minutes were tried, 12 hours are needed"
    assert dropped == {"q": (Why.TOO_LITTLE, words)}


async def test_half_a_day_without_a_move_is_a_constant():
    _, dropped = await trials(Suggestion("q", "q", "w"), curves={"q": since(timedelta(hours=13), flat)})
    assert dropped["q"][0] is Why.CONSTANT


async def test_rates_that_differ_by_rounding_have_not_moved():
    rounded = lambda grid: 0.2 + 1e-16 * (noise(grid) - 10.0)  # noqa: E731
    _, dropped = await trials(Suggestion("q", "q", "w"), curves={"q": rounded})
    assert dropped["q"][0] is Why.CONSTANT


@pytest.mark.parametrize(
    ("curves", "why"),
    [
        ({"q": nothing, "seen": since(timedelta(minutes=1), flat)}, Why.TOO_LITTLE),
        ({"q": nothing, "seen": since(timedelta(hours=5), flat)}, Why.TOO_LITTLE),
        ({"q": nothing, "seen": flat}, Why.NO_DATA),
        ({"seen": nothing}, Why.TOO_LITTLE),
        ({}, Why.NO_DATA),
    ],
    ids=["one scrape", "hours", "old and empty", "a moment", "gone"],
)
async def test_no_data_is_said_only_of_what_is_old_enough_to_have_some(curves, why):
    seen = "seen" if "seen" in curves else ""
    # Steps of 287 s have no instant in the last 20 s before START.
    _, dropped = await trials(Suggestion("q", "q", "w", seen=seen), curves=curves, past=timedelta(seconds=300 * 287))
    assert dropped["q"][0] is why
    begins = "it returns no data, too little to judge yet: there are " if why is Why.TOO_LITTLE else "it returns no"
    assert dropped["q"][1].startswith(begins)


@pytest.mark.parametrize("past", [DAY, 30 * DAY], ids=["a day", "a month"])
@pytest.mark.parametrize("age_s", [20, 300, 5400])
async def test_what_is_young_is_looked_at_closely_and_offered_when_it_moves(age_s, past):
    age = timedelta(seconds=age_s)
    curves = {"q": since(age, noise), "flat": since(age, flat)}
    result = await played(Suggestion("flat", "flat", "w"), Suggestion("q", "q", "w"), curves=curves, past=past)
    [one], [other] = result.offered, result.dropped
    assert one.target.name == "q"
    assert abs(one.covered - age) <= max(timedelta(seconds=1), age / 60), "told to a sixtieth"
    assert (one.alerts_a_week, other.why) == (None, Why.TOO_LITTLE)
    assert result.covered == one.covered


async def test_what_is_old_is_looked_at_once():
    for age, queries in ((DAY, 1), (timedelta(minutes=5), 2)):
        result = await played(Suggestion("q", "q", "w"), curves={"q": since(age, flat)})
        assert result.queries == queries


async def test_what_only_a_look_from_afar_has_seen_is_not_lost():
    begun = (START - timedelta(hours=5)).timestamp()
    at = next(at for at in range(int(begun // 288) * 288, int(begun) + 1440, 288) if at % 60)
    _, dropped = await trials(Suggestion("q", "q", "w"), curves={"q": lambda grid: np.where(grid == at, 1.0, np.nan)})
    assert dropped["q"][0] is Why.TOO_LITTLE
    assert "there are 5 minutes of data" in dropped["q"][1]


async def test_a_heartbeat_is_not_judged_by_moments_that_lie_close_together():
    one = Suggestion("job_heartbeat", "b", "w", methods=ABSENCE)
    _, dropped = await trials(one, curves={"b": since(timedelta(minutes=5), flat)})
    assert dropped["job_heartbeat"][0] is Why.TOO_LITTLE
    assert dropped["job_heartbeat"][1].startswith("too little to judge yet: it moved at 2 moments in 10 minutes")


async def test_no_data_in_minutes_says_nothing_of_the_rest():
    _, dropped = await trials(Suggestion("q", "q", "w", seen="seen"), curves={"seen": flat}, past=timedelta(minutes=14))
    assert dropped["q"][1].endswith("14 minutes were tried, 12 hours are needed")


async def test_a_constant_sign_of_life_is_offered_with_absence_alone_and_tells_when_it_stops():
    out = (START - timedelta(hours=6)).timestamp()
    beats = lambda grid: np.where((grid >= out) & (grid < out + 3600), np.nan, 1.0)  # noqa: E731
    one = Suggestion("up_share", "q", "the share that answers", beat="up > 0")
    offered, dropped = await trials(one, curves={"q": flat, "up > 0": beats})
    assert dropped == {}
    beat = offered["up_heartbeat"]
    assert beat.target.detection_methods == ABSENCE
    assert beat.target.query == "up > 0"
    assert "only whether it is there is watched (absence)" in beat.target.description
    assert beat.alerts >= 1, "it was away for an hour"
    assert beat.covered == DAY, "a beat that is missing is no lack of data"


async def test_a_constant_without_a_beat_is_left_out_as_before():
    one = Suggestion("errors_rate", "q", "w", beat="q > 0")
    offered, dropped = await trials(one, curves={"q": lambda grid: flat(grid, 0.0)})
    assert (offered, dropped["errors_rate"]) == ({}, (Why.CONSTANT, "it has not moved: it watches a constant"))


async def test_heartbeats_are_few_and_none_repeats_another():
    many = [Suggestion(f"c{n}", "q", "w", beat=f"b{n}") for n in range(MAX_BEATS + 2)]
    curves = {"q": flat} | {one.beat: (lambda grid, n=n: flat(grid, 1.0 + n)) for n, one in enumerate(many)}
    offered, dropped = await trials(*many, replace(many[0], name="again"), curves=curves)
    assert len(offered) == MAX_BEATS
    assert all(each.target.detection_methods == ABSENCE for each in offered.values())
    assert dropped[f"c{MAX_BEATS}_heartbeat"] == (Why.TOO_MANY, f"{MAX_BEATS} heartbeats are offered already")
    _, dropped = await trials(many[0], replace(many[0], name="again"), curves=curves)
    assert dropped["again_heartbeat"][0] is Why.DUPLICATE


async def test_what_beats_too_seldom_is_not_judged_yet():
    every = lambda grid: np.where(grid % (12 * 3600) < 300, 1.0, np.nan)  # noqa: E731
    one = Suggestion("job_heartbeat", "b", "w", methods=ABSENCE)
    offered, dropped = await trials(one, curves={"b": every})
    assert offered == {}
    assert dropped["job_heartbeat"][0] is Why.TOO_LITTLE
    assert dropped["job_heartbeat"][1].endswith(f"in 24 hours, {FEWEST_BEATS} moments are needed")
