"""The guard against low traffic: where hardly anything happened, a ratio says nothing."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.monitor.scene import MINUTE, START, Scene, noise, target
from tocsin.detect import METHODS
from tocsin.domain.denominator import Guard, guard_of, masked
from tocsin.domain.errors import Invalid, SourceError, SourceFailure
from tocsin.domain.frame import Frame
from tocsin.domain.labels import Labels
from tocsin.domain.target import TargetState

RATIO = "sum by (j) (rate(failed_total[5m])) / sum by (j) (rate(requests_total[5m]))"
REQUESTS = "sum by (j) (rate(requests_total[5m]))"


@pytest.mark.parametrize(
    ("query", "guard", "least"),
    [
        (RATIO, REQUESTS, 10 / 300),
        (f"100 * {RATIO}", REQUESTS, 10 / 300),
        (f"1 - {RATIO}", REQUESTS, 10 / 300),
        (f"({RATIO}) * 100", REQUESTS, 10 / 300),
        (f"{RATIO} > 0.1", None, None),
        ("sum(increase(a[1h] offset 1d)) / sum(increase(b[1h] offset 1d))", "sum(increase(b[1h] offset 1d))", 10),
        ("sum(rate(s_seconds_sum[10m])) / sum(rate(s_seconds_count[10m]))", "sum(rate(s_seconds_count[10m]))", 1 / 60),
        ("sum by (j) (rate(a[5m])) / sum(rate(b[5m]))", None, None),
        ("sum(rate(a[5m])) / on () sum(rate(b[5m]))", None, None),
        ("a / b", None, None),
        ("rate(a[5m])", None, None),
    ],
)
def test_the_denominator_of_a_plain_ratio_of_counters_is_found(query, guard, least):
    found = guard_of(target(query=query))
    assert (found and found.query, found and found.least) == (guard, pytest.approx(least) if least else None)


def test_a_target_says_its_own_or_none():
    own = guard_of(target(query="a / b", denominator="b", min_denominator=50.0))
    assert own == Guard("b", 50.0, "the denominator was below 50")
    assert guard_of(target(query=RATIO, denominator="none")) is None
    assert guard_of(target(query=RATIO, min_denominator=2.0)).least == 2


FRAME = Frame(np.arange(3.0), np.array([[1.0, 2.0, np.nan], [4.0, 5.0, 6.0]]), (Labels({"a": "1"}), Labels({"a": "2"})))


def denominator(rows, *labels):
    return Frame(np.arange(3.0), np.array(rows), tuple(Labels(each) for each in labels))


def test_small_and_missing_denominators_make_gaps():
    guard = Guard("d", 10.0, "why")
    nan = np.nan
    by_series = masked(FRAME, denominator([[10, 9.9, 50], [nan, 11, 0]], {"a": "1"}, {"a": "2"}), guard)
    assert np.array_equal(by_series.values, [[1, nan, nan], [nan, 5, nan]], equal_nan=True)
    assert by_series.thin.tolist() == [1, 1, 1]
    assert "3 of 5 samples were not judged: why" in by_series.warnings
    assert by_series.queries == 2
    for_all = masked(FRAME, denominator([[1, 20, 20]], {}), guard)
    assert np.array_equal(for_all.values, [[nan, 2, nan], [nan, 5, 6]], equal_nan=True)
    one_missing = masked(FRAME, denominator([[9, 20, 20], [9, 9, 9]], {"a": "1"}, {"a": "3"}), guard)
    assert np.array_equal(one_missing.values, [[nan, 2, nan], [nan, nan, nan]], equal_nan=True)
    assert any("1 series not judged: there are no series of the denominator" in each for each in one_missing.warnings)
    assert np.array_equal(masked(FRAME, denominator(np.zeros((0, 3))), guard).values, np.full((2, 3), nan), True)


def test_labels_of_the_denominator_may_be_fewer_but_must_be_plain():
    frame = Frame(np.arange(1.0), np.array([[1.0]]), (Labels({"job": "x", "pod": "p", "__name__": "r"}),))
    grouped = Frame(np.arange(1.0), np.array([[1.0], [99.0]]), (Labels({"job": "y"}), Labels({"job": "x"})))
    assert masked(frame, grouped, Guard("d", 10.0, "why")).samples == 1
    unclear = Frame(np.arange(1.0), np.array([[99.0], [99.0]]), (Labels({"pod": "p"}), Labels({"job": "x"})))
    assert masked(frame, unclear, Guard("d", 10.0, "why")).samples == 0


@given(st.lists(st.floats(0, 20), min_size=3, max_size=3), st.floats(0.1, 20))
def test_nothing_is_invented_and_nothing_else_is_lost(values, least):
    result = masked(FRAME, denominator([values], {}), Guard("d", least, "why"))
    kept = np.array(values) >= least
    assert np.array_equal(result.values[:, kept], FRAME.values[:, kept], equal_nan=True)
    assert np.isnan(result.values[:, ~kept]).all()
    assert result.samples + result.thin.sum() == FRAME.samples


def night(begin, end, quiet, busy):
    def curve(grid):
        inside = (grid >= begin.timestamp()) & (grid < end.timestamp())
        return np.where(inside, quiet, busy)

    return curve


async def test_one_failure_among_three_requests_is_no_incident_and_is_not_learnt():
    scene = Scene(target(query=RATIO, detection_methods=METHODS))
    quiet = (START + 5 * MINUTE, START + 15 * MINUTE)
    scene.source.play(RATIO, lambda grid: night(*quiet, 0.33, 0.0)(grid) + np.abs(noise(grid, 0.01, 0.003)), {"j": "x"})
    scene.source.play(REQUESTS, night(*quiet, 0.01, 5.0), {"j": "x"})
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    status = monitor.view("errors").status
    assert status.state is TargetState.READY, "the guard is no lack of data"
    assert "samples were not judged: there were fewer than 10 events within 300 s" in status.reason
    await scene.run_for(20 * MINUTE)
    assert await scene.alerts() == []
    plot = await monitor.plot("errors", None, None, 10)
    assert np.isnan(plot.series[0].values).sum() == 10, "a plot shows what was judged"
    result = await monitor.backtest(monitor.view("errors").target, START, START + 25 * MINUTE)
    assert result.alerts_total == 0
    (weightless,) = result.warnings
    assert weightless.startswith("10 of "), "one warning for all parts"
    unguarded = target(query=RATIO, detection_methods=METHODS, denominator="none")
    assert (await monitor.backtest(unguarded, START, START + 25 * MINUTE)).alerts_total == 1
    await monitor.close()


async def test_evidence_says_how_much_was_not_judged():
    scene = Scene(target(query=RATIO, detection_methods=METHODS))
    scene.source.play(
        RATIO, lambda g: noise(g, 0.01, 0.001) + night(START + 9 * MINUTE, START + 30 * MINUTE, 0.5, 0)(g)
    )
    scene.source.play(REQUESTS, night(START - 12 * MINUTE, START, 0.01, 5.0))
    monitor = await scene.open()
    await scene.run_for(12 * MINUTE)
    (alert,) = await scene.alerts()
    story = await scene.store.alert(alert.id)
    notes = story.evidence[0].notes
    assert any(note.startswith("12 of 60 samples were not judged") for note in notes), notes
    await monitor.close()


async def test_a_denominator_that_cannot_be_asked_freezes_the_target():
    scene = Scene(target(query=RATIO))
    scene.source.play(RATIO, noise)
    scene.source.play(REQUESTS, lambda grid: np.full(len(grid), 5.0))
    monitor = await scene.open()
    await scene.run_for(5 * MINUTE)
    scene.source.fail(SourceError("no", failure=SourceFailure.BAD_QUERY, transient=False), query=REQUESTS)
    await scene.run_for(2 * MINUTE)
    assert monitor.view("errors").status.state is TargetState.ERROR
    await monitor.close()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"denominator": "b"}, "min_denominator"),
        ({"denominator": "  ", "min_denominator": 5.0}, "denominator"),
        ({"min_denominator": 5.0}, "denominator"),
    ],
)
async def test_a_denominator_that_cannot_be_is_refused(changes, field):
    scene = Scene()
    monitor = await scene.open()
    with pytest.raises(Invalid) as refused:
        await monitor.create_target(target(query="a / b", lookback=timedelta(hours=1), **changes))
    assert refused.value.field == field
    await monitor.close()
