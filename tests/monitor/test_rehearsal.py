"""Judging many evaluations at once comes to what judging them one by one does, in whatever parts the samples come."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, START
from tocsin.domain.errors import Invalid
from tocsin.domain.evaluation import instant
from tocsin.domain.frame import Frame, Window
from tocsin.domain.grouping import fired, groups_of
from tocsin.domain.incidents import Incident
from tocsin.domain.labels import Labels
from tocsin.domain.target import Target, TargetState
from tocsin.monitor.backtest import rehearse
from tocsin.monitor.rehearsal import Rehearsal, columns_of, joined, present
from tocsin.monitor.status import Drawing, Question, TargetStatus
from tocsin.monitor.tally import Tally
from tocsin.monitor.watch import Watch, conclude_evaluation

STEP = timedelta(minutes=10)
COLUMNS, LOOKBACK = 300, 24


def on(**more) -> Target:
    """Ten minutes a sample: a day, after which `auto` forgets a silent series, is 144 of them."""
    given = {"check_interval": STEP, "step": STEP, "lookback": LOOKBACK * STEP, "keep_firing_for": 2 * STEP, **more}
    return Target("t", "q", "prom", **given)


def rough(seed: int, rows: int = 3) -> Frame:
    """Noise with spikes, shifts, single gaps, and series that are silent for hours or for more than a day."""
    rng = np.random.default_rng(seed)
    values = 10 + rng.standard_normal((rows, COLUMNS))
    for row in range(rows):
        for _ in range(8):
            at = int(rng.integers(LOOKBACK, COLUMNS))
            values[row, at : at + int(rng.integers(1, 12))] += rng.choice([-1, 1]) * rng.uniform(5, 40)
        values[row, rng.random(COLUMNS) < 0.02] = np.nan
        for length in rng.choice([LOOKBACK - 1, LOOKBACK, LOOKBACK + 1, 40, 143, 144, 145, 200], 2, replace=False):
            at = int(rng.integers(0, COLUMNS))
            values[row, at : at + length] = np.nan
    times = START.timestamp() // 600 * 600 + 600.0 * np.arange(COLUMNS)
    return Frame(times, values, tuple(Labels({"i": str(row)}) for row in range(rows)))


def one_by_one(target: Target, frame: Frame):
    """The plain twin: each evaluation by the code that monitoring runs, and nothing else."""
    watch = Watch(target, TargetStatus(TargetState.WAITING, "", START))
    run = Rehearsal(target, whole(frame))
    run.learn(columns_of(frame, 0, LOOKBACK))
    watch.memory, watch.cursor, watch.blind = run.memory, float(frame.timestamps[LOOKBACK - 1]), False
    rest = frame.timestamps[LOOKBACK:]
    ends = [0, *run._ends(rest), len(rest)]
    told = []
    for first, stop in pairwise(end + LOOKBACK for end in ends):
        at = instant(frame.timestamps[stop - 1])
        verdict = conclude_evaluation(watch, present(frame, first, stop), at)
        watch.apply(verdict, Window(at, at, target.step))
        told.append(verdict.evaluation)
    return told, watch.memory


def whole(frame: Frame) -> Window:
    return Window(instant(frame.timestamps[LOOKBACK]), instant(frame.timestamps[-1]), STEP)


def story(transitions):
    return sorted((t.alert_id, t.at, t.after, t.reason, t.severity, t.value, t.sigma) for t in transitions)


def seen(anomalies):
    """As text: NaN, the expected value of a sample that is missed, is equal to nothing. What was told before the
    window a back-test does not know; how many samples taught counts those that a later column let in.
    """
    return sorted(
        (a.id, a.sigma, repr(a.expected_value), str(a.alert_id), repr(replace(a.facts, last_at=None, samples=None)))
        for a in anomalies
    )


@pytest.mark.parametrize(
    "methods",
    [("auto",), ("zscore", "mad"), ("rate_change",), ("absence", "drift", "outlier"), ("auto", "absence")],
    ids="+".join,
)
@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_it_equals_evaluation_by_evaluation(seed, methods, together):
    stride, cuts = [1, 3][seed % 2], np.random.default_rng(seed).integers(LOOKBACK, COLUMNS, 3).tolist()
    target, frame = on(detection_methods=methods, check_interval=stride * STEP), rough(seed)
    if together:
        for row, values in enumerate(frame.values):
            values[80 : 235 + 9 * row] = np.nan
    evaluations, memory = one_by_one(target, frame)
    run = Rehearsal(target, whole(frame))
    run.learn(columns_of(frame, 0, LOOKBACK))
    for first, stop in pairwise(sorted({LOOKBACK, *cuts, COLUMNS})):
        run.judge(present(frame, first, stop), lambda: None)
    run.finish(lambda: None)

    assert story(run.tally.transitions) == story(t for each in evaluations for t in each.transitions)
    assert seen(run.tally.anomalies) == seen(a for each in evaluations for a in each.anomalies)
    assert run.tally.evaluations == len(evaluations)
    rows = {name: row for row, name in enumerate(run.memory.labels)}
    order = [rows[name] for name in memory.labels]
    assert np.array_equal(run.memory.values[order], memory.values, equal_nan=True)
    assert np.array_equal(run.memory.learn[order], memory.learn)


def test_the_rough_past_is_rough_enough():
    evaluations = [each for seed in range(3) for each in one_by_one(on(detection_methods=("mad",)), rough(seed))[0]]
    reasons = {t.reason.value for each in evaluations for t in each.transitions}
    assert {"anomalous", "series_vanished", "recovered_for_keep_firing_for"} <= reasons
    assert sum(len(each.transitions) for each in evaluations) > 20


def test_groups_are_those_of_the_alerts_that_monitoring_would_have_kept():
    target, frame = on(), rough(5)
    evaluations, _ = one_by_one(target, frame)
    alerts = {alert.id: alert for each in evaluations for alert in each.alerts}
    kept = fired(alerts.values(), [t for each in evaluations for t in each.transitions])
    result = rehearse(target, frame, whole(frame))
    assert sorted(result.fired, key=lambda one: one.alert_id) == sorted(kept, key=lambda one: one.alert_id)
    assert list(result.groups) == groups_of(kept, whole(frame).end)
    assert result.alerts_total == len(kept) > 4
    assert 0 < len(result.groups) < result.alerts_total
    assert result.messages_total > len(result.groups)
    shadow = rehearse(on(shadow=True), frame, whole(frame))
    assert (len(shadow.groups), shadow.messages_total) == (len(result.groups), 0)


def test_more_alerts_than_are_counted_are_refused():
    evaluations, _ = one_by_one(on(), rough(1))
    tally = Tally(most=2)

    def add_all() -> None:
        for each in evaluations:
            tally.add(each)

    with pytest.raises(Invalid, match="more than 2 alerts by 2026-"):
        add_all()
    assert len(tally.fired) == 3


def test_frames_are_joined_by_their_labels():
    a, b, c = (Labels({"i": name}) for name in "abc")
    one = Frame(np.array([0.0]), np.array([[1.0], [2.0]]), (a, b))
    other = Frame(np.array([1.0, 2.0]), np.array([[3.0, 4.0], [5.0, 6.0]]), (c, b))
    whole = joined(one, other)
    rows = dict(zip(whole.labels, np.nan_to_num(whole.values, nan=-1.0).tolist(), strict=True))
    assert rows == {a: [1.0, -1.0, -1.0], b: [2.0, 5.0, 6.0], c: [-1.0, 3.0, 4.0]}
    assert joined(one, Frame(np.array([1.0]), np.empty((0, 1)), ())).values.shape == (2, 2)


@pytest.mark.parametrize("points", [50, 1000])
def test_the_plot_holds_the_extremes_of_each_column(points):
    frame = rough(5)
    result = rehearse(on(), frame, whole(frame), question=Question(drawing=Drawing(series=2, points=points)))
    plot = result.plot
    assert len(plot.series) == 2
    assert plot.series_total == 3
    assert any("2 of 3 series" in note for note in plot.notes)
    counts = [sum(one.labels == name for one in result.fired) for name in frame.labels]
    assert [one.alerts for one in plot.series] == sorted(counts, reverse=True)[:2]
    for one in plot.series:
        values = frame.values[frame.labels.index(one.labels), LOOKBACK:]
        cell = np.floor((frame.timestamps[LOOKBACK:] - plot.timestamps[0]) / plot.column_s).astype(int)
        for column in range(len(plot.timestamps)):
            there = values[(cell == column) & ~np.isnan(values)]
            lowest, highest = (there.min(), there.max()) if len(there) else (np.nan, np.nan)
            assert np.array_equal([one.low[column], one.high[column]], [lowest, highest], equal_nan=True)
        assert {span.labels for span in one.spans} == {one.labels}
    assert len(plot.timestamps) <= points + 1


def test_incidents_are_held_against_what_would_have_fired():
    frame = rough(5)
    first = rehearse(on(), frame, whole(frame)).fired[0]
    hit = Incident(first.starts_at - MINUTE, first.starts_at + MINUTE, first.labels)
    result = rehearse(on(), frame, whole(frame), question=Question(incidents=(hit,)))
    assert (result.reckoning.caught, result.reckoning.missed) == (1, 0)
    assert result.reckoning.fates[0].delay_s == 60.0
    assert result.reckoning.false_alerts < result.alerts_total


def test_series_that_replace_each_other_each_day_do_not_begin_anew_each_time():
    """Pods of a deployment, whose series are a day old when the next ones come, and cry while nothing is known."""
    step, a_day, days = timedelta(minutes=5), 288, 6
    rng = np.random.default_rng(4)
    values = np.full((8 * days, a_day * days), np.nan)
    for row in range(len(values)):
        begin = row // 8 * a_day + int(rng.integers(0, 20))
        own = values[row, begin : begin + a_day]
        own[:] = 10.0 + rng.standard_t(1.5, own.size)
    times = START.timestamp() // 86400 * 86400 + 300.0 * np.arange(values.shape[1])
    frame = Frame(times, values, tuple(Labels({"pod": str(row)}) for row in range(len(values))))
    target = on(
        check_interval=step, step=step, lookback=24 * step, keep_firing_for=2 * step, detection_methods=("auto",)
    )
    fired = rehearse(target, frame, whole(frame)).fired
    begun = np.array([(one.starts_at.timestamp() - times[0]) // 86400 for one in fired])
    assert (begun == 0).sum() >= 10, "eight series of which nothing is known"
    assert (begun >= 2).sum() <= 8, "32 series like those before"
