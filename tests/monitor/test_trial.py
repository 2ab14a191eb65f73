"""Suggested targets are tried: what would tell nothing is not offered."""

from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import START, noise
from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.domain.suggest import Suggestion
from tocsin.monitor.clock import ManualClock
from tocsin.monitor.gate import Gate
from tocsin.monitor.trial import tried
from tocsin.sources.fake import ScriptedSource

DAY = timedelta(days=1)


def one(name, query=None):
    return Suggestion(name, query or name, f"because of {name}")


async def trials(*suggestions, play):
    clock = ManualClock(START)
    source = ScriptedSource("prom", now=lambda: clock.now().timestamp())
    play(source)
    heard = []
    result = await tried(suggestions, Gate(source, clock), START, DAY, heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    return {each.target.name: each for each in result.offered}, {each.name: why for each, why in result.dropped}


async def test_what_holds_is_offered_with_its_cost_and_what_it_would_have_told():
    def play(source):
        spike = (START - timedelta(hours=2)).timestamp()
        for name in "ab":
            source.play("q", lambda grid: noise(grid) + 90.0 * (np.abs(grid - spike) < 400), {"instance": name})

    offered, dropped = await trials(one("busy", "q"), play=play)
    assert dropped == {}
    busy = offered["busy"]
    assert (busy.series, busy.samples_a_day) == (2, 2 * 1440)
    assert busy.alerts_a_week >= 2 * 7 - 1e-9
    assert busy.messages_a_week > 0
    assert (busy.target.datasource_uid, busy.target.description) == ("prom", "because of busy")


async def test_what_returns_nothing_never_moves_or_repeats_another_is_left_out_and_it_is_said_why():
    def play(source):
        source.play("flat", lambda grid: np.full(len(grid), 3.0))
        source.play("gone", lambda grid: np.full(len(grid), np.nan))
        source.play("first", noise, {"instance": "a"})
        source.play("again", noise, {"job": "b"})

    offered, dropped = await trials(one("flat"), one("gone"), one("first"), one("again"), one("none"), play=play)
    assert list(offered) == ["first"]
    assert dropped["flat"] == "it has not moved: it watches a constant"
    assert dropped["gone"] == dropped["none"] == "it returns no data"
    assert dropped["again"] == "it has the same values as first"


@pytest.mark.parametrize("transient", [False, True])
async def test_a_query_that_is_refused_is_left_out_and_a_datasource_that_is_down_is_told(transient):
    failure = SourceFailure.UNREACHABLE if transient else SourceFailure.BAD_QUERY

    class Failing(ScriptedSource):
        async def query_range(self, query, window):
            raise SourceError("no", failure=failure, transient=transient)

    gate = Gate(Failing("prom"), ManualClock(START))
    if transient:
        with pytest.raises(SourceError):
            await tried([one("x")], gate, START, DAY, lambda _: None)
    else:
        result = await tried([one("x")], gate, START, DAY, lambda _: None)
        assert [why for _, why in result.dropped] == ["the datasource refuses it: no"]
