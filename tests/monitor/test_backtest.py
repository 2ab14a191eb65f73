"""A back-test says what monitoring said: the same alerts, transitions and anomalies, to the last digit."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, START, Scene, noise, target
from tocsin.detect import Severity
from tocsin.domain.errors import Invalid
from tocsin.domain.grouping import fired, groups_of
from tocsin.domain.ports import AnomalyFilter, Page
from tocsin.monitor.status import Question


def troubled(seed):
    """Hours of noise with spikes, a level shift, a gap and a slow start."""

    def curve(grid):
        values = noise(grid, seed=seed)
        since = (grid - START.timestamp()) / 60
        values = (
            values
            + 60 * ((since >= 70 + seed) & (since < 78))
            + 25 * (since >= 200)
            - 40 * ((since > 300) & (since < 303))
        )
        return np.where((since >= 120) & (since < 131), np.nan, values)

    return curve


@pytest.mark.parametrize(("stride", "history"), [(1, 0), (5, 0), (5, 2)])
async def test_it_equals_what_monitoring_did(stride, history):
    watched = target(pending_for=2 * MINUTE, check_interval=stride * MINUTE, history=timedelta(days=history))
    scene = Scene(watched)
    for seed in range(5):
        scene.source.play("q", troubled(seed), {"instance": str(seed)})
    monitor = await scene.open()
    await scene.run_for(timedelta(0))
    await scene.read()
    await scene.run_for(timedelta(hours=6))
    await monitor.stop()
    live = {t.alert_id: [] for t in await scene.transitions()}
    for one in await scene.transitions():
        live[one.alert_id].append((one.at, one.before, one.after, one.reason, one.severity, one.value, one.sigma))

    first, last = scene.source.requests[0], scene.source.requests[-1]
    # Monitoring's first evaluation judges the last check interval of its first window: the back-test begins there.
    begin = first.window.end - (stride - 1) * MINUTE
    result = await monitor.backtest(watched, begin, last.window.end)
    told = {t.alert_id: [] for t in result.transitions}
    for one in result.transitions:
        told[one.alert_id].append((one.at, one.before, one.after, one.reason, one.severity, one.value, one.sigma))

    assert told == live
    assert len(live) >= 8
    kept = await scene.store.anomalies(AnomalyFilter(), Page(limit=1000))
    later = first.window.end
    replayed = {(a.id, a.sigma, a.expected_value) for a in result.anomalies if a.timestamp > later}
    assert replayed == {(a.id, a.sigma, a.expected_value) for a in kept.items if a.timestamp > later}
    assert len(replayed) > 30
    stored = fired(await scene.alerts(), await scene.transitions())
    assert list(result.groups) == groups_of(stored, last.window.end)
    assert result.messages_total > len(result.groups) > 1
    await monitor.close()


async def test_it_shows_progress_up_to_the_end():
    scene = Scene(target())
    scene.source.play("q", noise)
    monitor = await scene.open()
    heard = []
    await monitor.backtest(target(), START - timedelta(hours=5), START, heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert len(heard) > 3
    await monitor.close()


@pytest.mark.parametrize(
    ("start", "end", "why"),
    [
        (START, START, "earlier than end"),
        (START + MINUTE, START, "earlier than end"),
        (START - timedelta(days=500), START, "400 days"),
        (START + timedelta(days=1), START + timedelta(days=2), "earlier than end"),
    ],
)
async def test_windows_that_cannot_be_are_refused(start, end, why):
    scene = Scene(target())
    monitor = await scene.open()
    with pytest.raises(Invalid, match=why):
        await monitor.backtest(target(), start, end)
    await monitor.close()


def wave(grid):
    """Cheap to compute over days, with an outage that no configuration misses."""
    since = (grid - START.timestamp()) / 60
    return 50 + (grid / 60 % 7) + 200 * ((since > -600) & (since < -560))


async def test_a_long_past_is_read_in_parts_that_meet_and_once_for_both_configurations():
    scene = Scene()
    for number in range(2):
        scene.source.play("q", wave, {"instance": str(number)})
    monitor = await scene.open()
    begin = START - timedelta(days=3)
    alone = await monitor.backtest(target(), begin, START)
    parts = [one.window for one in scene.source.requests]
    assert len(parts) == 1 + 4, "the lookback, and three days and a step in parts"
    assert max(one.count for one in parts) <= 1440
    assert all(after.start - before.end == MINUTE for before, after in pairwise(parts))
    assert (parts[0].start, parts[-1].end) == (begin - target().lookback - MINUTE, START)

    scene.source.requests.clear()
    monitor.sources.clear_cache(None)
    heard = []
    question = Question(against=target(check_interval=5 * MINUTE, severity_threshold=Severity.CRITICAL))
    both = await monitor.backtest(target(), begin, START, heard.append, question)
    assert [one.window for one in scene.source.requests] == parts, "both want the same samples"
    assert replace(both, against=None, difference=None) == alone, "the other configuration changes nothing"
    assert both.against.evaluations < alone.evaluations
    assert both.difference.kept >= 2
    assert heard == sorted(heard)

    scene.source.requests.clear()
    monitor.sources.clear_cache(None)
    other = Question(against=target(lookback=timedelta(hours=2)))
    apart = await monitor.backtest(target(), begin, START, heard.append, other)
    assert len(scene.source.requests) == len(parts) + 1, "two lookbacks, and the parts of the window once"
    assert replace(apart, against=None, difference=None) == alone
    await monitor.close()


async def test_a_comparison_needs_a_datasource_that_is_there():
    scene = Scene()
    monitor = await scene.open()
    question = Question(against=target(datasource_uid="nowhere"))
    with pytest.raises(Invalid, match="datasource"):
        await monitor.backtest(target(), START - timedelta(hours=5), START, lambda _: None, question)
    await monitor.close()


@pytest.mark.parametrize(
    ("query", "hours", "why"),
    [
        ("nothing", 2, "the query has returned no series"),
        ("young", 0.1, "too little history, or too few series"),
        ("over", 0.25, "no series has a sample in this window"),
    ],
)
async def test_one_that_could_judge_nothing_says_so(query, hours, why):
    scene = Scene(target())
    scene.source.play("q", noise)
    scene.source.play("young", lambda grid: np.where(grid < START.timestamp() - 240, np.nan, noise(grid)))
    scene.source.play("over", lambda grid: np.where(grid > START.timestamp() - 1800, np.nan, noise(grid)))
    monitor = await scene.open()
    result = await monitor.backtest(replace(target(), query=query), START - timedelta(hours=hours), START)
    assert (result.alerts_total, result.judged) == (0, False)
    assert result.warnings[0].startswith(f"nothing was judged: {why}")
    judged = await monitor.backtest(target(), START - timedelta(hours=2), START)
    assert judged.warnings == ()
    await monitor.close()
