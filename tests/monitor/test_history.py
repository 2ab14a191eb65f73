"""Reading back by default: visible, resumed where it stopped, never taken for ready, and no burden to others."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, START, Scene, spike, target
from tocsin.detect import METHODS
from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.domain.frame import Window
from tocsin.domain.ports import AnomalyFilter, Page
from tocsin.domain.target import HISTORY, Target, TargetState
from tocsin.monitor.backfill import MAX_COLUMNS, MAX_SAMPLES, MAX_TRIES, PART_SAMPLES, read_back, span_of
from tocsin.monitor.clock import ManualClock
from tocsin.monitor.gate import Gate
from tocsin.sources.fake import ScriptedSource

FORTNIGHT = timedelta(days=14)
UNREACHABLE = SourceError("connection reset", failure=SourceFailure.UNREACHABLE, transient=True)
TOO_MANY = SourceError("more than 100 series", failure=SourceFailure.LIMIT, transient=False)


def wave(grid):
    """A day's rhythm with noise; cheap, and the same at each instant however it is asked."""
    jitter = np.modf(np.sin(grid / 60.0 * 12.9898) * 43758.5453)[0]
    return 100 + 30 * np.sin(grid / 86400 * 2 * np.pi) + jitter


async def opened(*targets, after=None):
    scene = Scene(*targets)
    scene.source.play("q", wave)
    if after is not None:
        after(scene)
    monitor = await scene.open()
    await scene.run_for(timedelta(0))
    return scene, monitor


def asked(scene):
    """The parts of history that were asked for, oldest first."""
    return [one.window for one in scene.source.requests if one.window.end < START - timedelta(hours=1)]


async def test_the_default_is_a_fortnight_and_the_first_verdict_is_autos():
    assert HISTORY == FORTNIGHT == Target("a", "q", "p").history
    scene, monitor = await opened(target(history=FORTNIGHT))
    await scene.read()
    await scene.run_for(timedelta(0))
    status = monitor.view("errors").status
    assert status.state is TargetState.READY
    assert status.reason == "1 series judged; 1 with the season of the day"
    parts = asked(scene)
    assert parts[0].start <= START - FORTNIGHT
    assert all(part.count <= 1440 for part in parts)
    assert status.cost.queries == len(scene.source.requests)
    await monitor.close()


async def test_a_wide_target_reads_back_in_parts_that_are_no_larger_than_a_narrow_ones():
    """Otherwise its answers would be over the limit of bytes, and its history a gap."""
    series, source = 1000, ScriptedSource("prom", now=START.timestamp)
    gate, first = Gate(source, ManualClock(START)), Window(START, START, MINUTE)
    await read_back(target(history=timedelta(days=2)), gate, first, series)
    parts = [one.window for one in source.requests]
    assert sum(part.count for part in parts) >= 2 * 1440
    assert all(part.count * series <= PART_SAMPLES for part in parts)


async def test_while_it_reads_the_state_says_how_far_and_until_when():
    scene = Scene(target(history=FORTNIGHT, name="slow"), target("other"))
    scene.source.play("q", wave)
    real, count = scene.source.query_range, 0

    async def slow(query, window):
        nonlocal count
        if window.end < START - timedelta(hours=2):
            count += 1
            await scene.clock.sleep_until(scene.clock.now() + timedelta(seconds=10))
        return await real(query, window)

    scene.source.query_range = slow
    monitor = await scene.open()
    await scene.run_for(timedelta(seconds=55))
    status = monitor.view("slow").status
    assert status.state is TargetState.WARMING_UP
    assert status.reason == "reading 14 days of history: 35%"
    assert START + timedelta(seconds=120) < status.eta < START + timedelta(seconds=180)
    assert status.evaluations == 0
    assert monitor.view("other").status.state is TargetState.READY, "nobody waits for it"
    await scene.run_for(3 * MINUTE)
    assert monitor.view("slow").status.state is TargetState.READY
    assert count == 14, "each part once"
    await monitor.close()


async def test_a_failure_loses_nothing_is_not_taken_for_ready_and_goes_on_where_it_stopped():
    scene = Scene(target(history=FORTNIGHT))
    scene.source.play("q", wave)
    real, failing = scene.source.query_range, True

    async def flaky(query, window):
        frame = await real(query, window)
        if failing and window.end < START - timedelta(hours=2) and len(asked(scene)) > 5:
            raise UNREACHABLE
        return frame

    scene.source.query_range = flaky
    monitor = await scene.open()
    await scene.run_for(timedelta(seconds=5))
    status = monitor.view("errors").status
    assert status.state is TargetState.ERROR
    assert status.reason.startswith("reading history stopped at 35%, it goes on there: connection reset")
    failing = False
    await scene.run_for(timedelta(seconds=30))
    await scene.read()
    await scene.run_for(2 * MINUTE)
    status = monitor.view("errors").status
    assert status.state is TargetState.READY
    assert status.reason == "1 series judged; 1 with the season of the day"
    assert status.warnings == ()
    starts = [part.start for part in asked(scene)]
    assert len(starts) == 16, "only the part that failed was asked for again"
    assert starts[5] == starts[6]
    await monitor.close()


@pytest.mark.parametrize(("error", "tries"), [(TOO_MANY, 1), (UNREACHABLE, MAX_TRIES)])
async def test_a_part_that_cannot_be_read_becomes_a_gap_that_is_said(error, tries):
    scene = Scene(target(history=FORTNIGHT))
    scene.source.play("q", wave)
    real, refused = scene.source.query_range, 0

    async def partly(query, window):
        nonlocal refused
        frame = await real(query, window)
        if window.start <= START - timedelta(days=9) <= window.end:
            refused += 1
            raise error
        return frame

    scene.source.query_range = partly
    monitor = await scene.open()
    await scene.run_for(MINUTE)
    await scene.read()
    await scene.run_for(2 * MINUTE)
    status = monitor.view("errors").status
    assert refused == tries
    assert status.state is TargetState.READY
    (warning,) = status.warnings
    assert warning.startswith("1 part of the history could not be read, and is a gap")
    assert str(error) in warning
    await monitor.close()


async def test_a_short_history_gives_what_there_is():
    def short(grid):
        return np.where(grid >= (START - timedelta(hours=2)).timestamp(), wave(grid), np.nan)

    scene = Scene(target(history=FORTNIGHT))
    scene.source.play("q", short)
    monitor = await scene.open()
    await scene.run_for(timedelta(seconds=30))
    status = monitor.view("errors").status
    assert status.state is TargetState.READY
    assert "by the named methods" in status.reason
    await monitor.close()


async def test_places_are_left_for_those_that_are_judged_already():
    many = [target(f"t{n:02}", history=FORTNIGHT, query=f"q{n}") for n in range(20)]
    scene = Scene(*many)
    for one in many:
        scene.source.play(one.query, wave)
    real, now, most = scene.source.query_range, 0, 0

    async def counting(query, window):
        nonlocal now, most
        past = window.end < START - timedelta(hours=2)
        now += past
        most = max(most, now)
        if past:
            await scene.clock.sleep_until(scene.clock.now() + timedelta(seconds=1))
        now -= past
        return await real(query, window)

    scene.source.query_range = counting
    monitor = await scene.open()
    await scene.run_for(4 * MINUTE)
    assert most == 2, "half of the four places of a datasource"
    assert {view.status.state for view in monitor.views()} == {TargetState.READY}
    await monitor.close()


async def test_an_edit_while_it_reads_goes_on_and_another_history_begins_anew():
    scene = Scene(target(history=FORTNIGHT))
    scene.source.play("q", wave)
    scene.source.delay_s = 0.0
    monitor = await scene.open()
    await scene.run_for(MINUTE)
    before = len(asked(scene))
    made = monitor.view("errors").target
    await monitor.update_target(replace(made, pending_for=MINUTE), None)
    await scene.run_for(2 * MINUTE)
    assert len(asked(scene)) == before, "what was learnt stays"
    await monitor.update_target(replace(made, timezone="Asia/Tokyo"), None)
    await scene.run_for(2 * MINUTE)
    assert len(asked(scene)) >= 2 * before - 1, "other days are learnt from the history"
    await monitor.close()


def test_a_wide_or_fine_target_reads_back_less_far():
    assert span_of(target(history=FORTNIGHT), 1) == FORTNIGHT
    fine = target(history=FORTNIGHT, step=timedelta(seconds=10))
    assert span_of(fine, 1) == MAX_COLUMNS * timedelta(seconds=10)
    assert span_of(target(history=FORTNIGHT), 1000) == MAX_SAMPLES // 1000 * MINUTE
    assert span_of(target(history=FORTNIGHT, detection_methods=("mad",)), 1) == timedelta(0)


async def test_each_anomaly_belongs_to_the_alert_in_whose_time_it_lies():
    """An evaluation of an hour holds two alerts: the stronger sample is that of the first."""
    begins = START + 70 * MINUTE
    tall = spike(begins, begins + 5 * MINUTE, height=300.0)
    small = spike(begins + 20 * MINUTE, begins + 25 * MINUTE, height=100.0)
    hourly = target(detection_methods=METHODS, check_interval=60 * MINUTE, lookback=240 * MINUTE)
    scene = Scene(hourly)
    scene.source.play("q", lambda grid: np.maximum(tall(grid), small(grid)))
    monitor = await scene.open()
    await scene.run_for(180 * MINUTE)
    alerts = {one.active_at: one for one in await scene.alerts()}
    assert sorted(alerts) == [begins, begins + 20 * MINUTE]
    found = (await scene.store.anomalies(AnomalyFilter(), Page(100))).items
    for at, alert in alerts.items():
        mine = [one for one in found if one.alert_id == alert.id]
        assert mine, "each alert has an anomaly of its own"
        assert all(at <= one.timestamp <= at + 6 * MINUTE for one in mine)
    await monitor.close()


def heavy(seed, begins=0.0):
    """Independent values with heavy tails, the same at each instant, from an instant on."""

    def curve(grid):
        share = np.modf(np.sin(grid / 60.0 * 12.9898 + seed * 78.233) * 43758.5453)[0] % 1.0
        return np.where(grid >= begins, 0.1 + 0.01 / np.sqrt(np.maximum(share, 1e-6)), np.nan)

    return curve


@pytest.mark.parametrize("days", [0, 2])
async def test_what_history_would_have_told_of_its_first_hours_holds_for_series_that_are_new(days):
    watched, begin = target(history=timedelta(days=days)), START - timedelta(hours=10)
    scene = Scene(watched)
    for seed in range(6):
        scene.source.play("q", heavy(seed), {"pod": str(seed)})
    for seed in range(6, 12):
        scene.source.play("q", heavy(seed, begin.timestamp()), {"pod": str(seed)})
    monitor = await scene.open()
    result = await monitor.backtest(watched, begin, START)
    new = [one for one in result.fired if int(one.labels["pod"]) >= 6]
    assert len(new) <= 2 if days else len(new) >= 6
    await monitor.close()
