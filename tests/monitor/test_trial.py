"""Suggested targets are tried: what would tell nothing is not offered."""

from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import START, noise
from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.domain.log_signal import LogSignal, asked
from tocsin.domain.suggest import Suggestion
from tocsin.domain.target import QueryType
from tocsin.monitor.clock import ManualClock
from tocsin.monitor.gate import Gate
from tocsin.monitor.trial import MAX_TRIED, TEMPLATE_STEPS, WEEK, Why, tried
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
    return {each.target.name: each for each in result.offered}, {
        each.suggestion.name: (each.why, each.words) for each in result.dropped
    }


async def test_what_holds_is_offered_with_its_cost_and_what_it_would_have_told():
    def play(source):
        spike = (START - timedelta(hours=2)).timestamp()
        for name in "ab":
            source.play("q", lambda grid: noise(grid) + 90.0 * (np.abs(grid - spike) < 400), {"instance": name})

    offered, dropped = await trials(one("busy", "q"), play=play)
    assert dropped == {}
    busy = offered["busy"]
    assert (busy.series, busy.samples_an_evaluation, busy.samples_a_day) == (2, 2, 2 * 1440)
    assert busy.covered == DAY
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
    assert dropped["flat"] == (Why.CONSTANT, "it has not moved: it watches a constant")
    assert dropped["gone"] == dropped["none"] == (Why.NO_DATA, "it returns no data")
    assert dropped["again"] == (Why.DUPLICATE, "it has the same values as first")


@pytest.mark.parametrize(("hours", "weekly"), [(1, False), (13, True)])
async def test_a_week_is_reckoned_from_the_time_that_has_data_or_not_at_all(hours, weekly):
    begun = (START - timedelta(hours=hours)).timestamp()
    spike = (START - timedelta(minutes=20)).timestamp()

    def play(source):
        values = lambda grid: noise(grid) + 90.0 * (np.abs(grid - spike) < 400)  # noqa: E731
        source.play("q", lambda grid: np.where(grid >= begun, values(grid), np.nan))

    offered, _ = await trials(one("young", "q"), play=play)
    young = offered["young"]
    assert abs(young.covered - timedelta(hours=hours)) <= timedelta(minutes=5)
    assert (young.alerts_a_week is not None) is (young.messages_a_week is not None) is weekly
    if weekly:
        assert young.alerts >= 1
        assert young.alerts_a_week == pytest.approx(young.alerts * (WEEK / young.covered))
        assert young.alerts_a_week > 7 * young.alerts, "as if there had been a whole day of data"


async def test_one_that_makes_no_target_is_left_out_and_so_is_what_goes_beyond_the_limit():
    def play(source):
        source.play("q", noise)

    offered, dropped = await trials(one("alert:queue", "q"), one("queue", "q"), play=play)
    assert dropped["alert:queue"][0] is Why.UNFIT
    assert list(offered) == ["queue"], "what was left out is nothing that another could repeat"
    result = await tried(
        [one(f"none{n}") for n in range(MAX_TRIED + 3)],
        Gate(ScriptedSource("prom"), ManualClock(START)),
        START,
        DAY,
        lambda _: None,
    )
    afar_and_close = 2 * MAX_TRIED
    assert (len(result.dropped), result.not_tried, result.queries) == (MAX_TRIED, 3, afar_and_close)


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
        assert [each.words for each in result.dropped] == ["the datasource refuses it: no"]


async def test_one_query_that_takes_too_long_is_left_out_alone():
    class Slow(ScriptedSource):
        async def query_range(self, query, window):
            if query == "slow":
                raise SourceError("30 s", failure=SourceFailure.TIMEOUT, transient=True)
            return await super().query_range(query, window)

    source = Slow("prom")
    source.play("quick", noise)
    result = await tried([one("slow"), one("quick")], Gate(source, ManualClock(START)), START, DAY, lambda _: None)
    assert [(each.why, each.words) for each in result.dropped] == [(Why.TOO_SLOW, "it takes too long: 30 s")]
    assert [each.target.name for each in result.offered] == ["quick"]


async def test_templates_are_tried_on_no_more_than_can_be_read():
    query = '{app="a"}'
    source = ScriptedSource("loki", QueryType.LOKI)
    source.play(asked(query, LogSignal.TEMPLATES, 60), noise, {"template": "GET"})
    one = Suggestion("kinds", query, "because", log_signal=LogSignal.TEMPLATES)
    result = await tried([one], Gate(source, ManualClock(START)), START, 30 * DAY, lambda _: None)
    (found,) = result.offered
    assert (found.target.log_signal, found.target.query) == (LogSignal.TEMPLATES, query)
    assert found.covered == timedelta(hours=23)
    assert max(each.window.count for each in source.requests) <= TEMPLATE_STEPS + 1
    least = START - timedelta(minutes=TEMPLATE_STEPS + 2)
    assert min(each.window.start for each in source.requests) >= least, "no history"


@pytest.mark.parametrize(("lines", "alerts"), [(500.0, True), (3.0, False)])
async def test_a_share_of_few_lines_is_tried_as_the_gap_that_it_will_be(lines, alerts):
    spike = (START - timedelta(hours=2)).timestamp()
    source = ScriptedSource("loki", QueryType.LOKI)
    share, every = 'sum(count_over_time({a="b"} |= "e" [5m]))', 'sum(count_over_time({a="b"}[5m]))'
    source.play(share, lambda grid: noise(grid) / 1000 + 0.5 * (np.abs(grid - spike) < 400))
    source.play(every, lambda grid: np.full(len(grid), lines))
    one = Suggestion("share", share, "because", unit="ratio", denominator=every, min_denominator=10.0)
    result = await tried([one], Gate(source, ManualClock(START)), START, DAY, lambda _: None)
    (found,) = result.offered
    assert (found.target.denominator, found.target.min_denominator) == (every, 10.0)
    assert (found.alerts > 0) is alerts
