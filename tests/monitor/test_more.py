"""Methods that go through time, in the monitor: absence is an alert, history is read for them, a back-test agrees."""

import re
from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import MINUTE, START, Scene, target
from tocsin.detect import Severity
from tocsin.domain.alert import AlertState, Reason
from tocsin.domain.errors import Invalid, SourceError, SourceFailure
from tocsin.domain.evaluation import observe
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.lifecycle import summary
from tocsin.domain.ports import AnomalyFilter, Page
from tocsin.domain.target import Target, TargetState
from tocsin.monitor.memory import Memory, absorb
from tocsin.monitor.rehearsal import Rehearsal

UNREACHABLE = SourceError("connection refused", failure=SourceFailure.UNREACHABLE, transient=True)


def noise(grid, seed=0):
    """Something like noise that depends on the instant alone; weeks of it are read here."""
    return 10.0 + np.sin(grid * 12.9898 + seed * 78.233) + np.sin(grid * 0.7391 + seed)


def missed(**more) -> Target:
    return target(detection_methods=("absence",), **more)


def gone(begin, end, seed=0):
    """Noise without samples in [begin, end), minutes after the start."""

    def curve(grid):
        out = noise(grid, seed=seed)
        minutes = (grid - START.timestamp()) / 60
        out[(minutes >= begin) & (minutes < end)] = np.nan
        return out

    return curve


async def test_a_series_that_stops_fires_and_resolves_when_it_returns():
    scene = Scene(missed())
    scene.source.play("q", gone(10, 40), {"pod": "x"})
    scene.source.play("q", noise, {"pod": "y"})
    monitor = await scene.open()
    await scene.run_for(timedelta(0))
    await scene.read()
    await scene.run_for(20 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.FIRING
    assert alert.labels["pod"] == "x"
    assert alert.methods == ("absence",)
    assert alert.value is None
    assert alert.expected_value is None
    assert "no samples any more" in alert.summary
    assert "No sample for" in alert.explanation
    (anomaly,) = (await scene.store.anomalies(AnomalyFilter(alert_id=alert.id), Page(limit=1))).items
    assert np.isnan(anomaly.value)
    await scene.run_for(15 * MINUTE)
    assert (await scene.alerts())[0].state is AlertState.FIRING, "it does not vanish: the gap is what is told"
    await scene.run_for(15 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.RESOLVED
    await monitor.close()


async def test_an_answer_without_series_is_the_absence_of_all_that_are_known():
    scene = Scene(missed())
    for pod in "xy":
        scene.source.play("q", noise, {"pod": pod})
    monitor = await scene.open()
    await scene.run_for(timedelta(0))
    await scene.read()
    await scene.run_for(10 * MINUTE)
    for pod in "xy":
        scene.source.drop("q", {"pod": pod})
    await scene.run_for(10 * MINUTE)
    alerts = await scene.alerts()
    assert {alert.labels["pod"] for alert in alerts} == {"x", "y"}
    assert all(alert.state is AlertState.FIRING for alert in alerts)
    await scene.run_for(timedelta(hours=3))
    assert all(alert.state is AlertState.FIRING for alert in await scene.alerts()), "longer than the lookback"
    await monitor.close()


async def test_a_datasource_that_fails_is_no_absence():
    scene = Scene(missed())
    scene.source.play("q", gone(16, 40))
    monitor = await scene.open()
    await scene.run_for(timedelta(0))
    await scene.read()
    await scene.run_for(15 * MINUTE)
    scene.source.fail(UNREACHABLE)
    await scene.run_for(25 * MINUTE)
    scene.source.recover()
    await scene.run_for(10 * MINUTE)
    assert await scene.alerts(target_name="errors") == []
    await monitor.close()


async def test_after_a_restart_it_is_still_missed_and_its_return_resolves():
    scene = Scene(missed())
    scene.source.play("q", noise, {"pod": "x"})
    scene.source.play("q", noise, {"pod": "y"})
    await scene.open()
    await scene.run_for(timedelta(0))
    await scene.read()
    await scene.run_for(10 * MINUTE)
    scene.source.drop("q", {"pod": "x"})
    await scene.run_for(10 * MINUTE)
    monitor = await scene.restart()
    await scene.run_for(timedelta(0))
    await scene.read()
    await scene.run_for(30 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.FIRING
    scene.source.undrop("q")
    await scene.run_for(10 * MINUTE)
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.RESOLVED
    await monitor.close()


async def test_a_series_that_is_gone_for_good_ends_after_a_day():
    scene = Scene(missed(check_interval=10 * MINUTE))
    scene.source.play("q", noise, {"pod": "x"})
    scene.source.play("q", noise, {"pod": "y"})
    monitor = await scene.open()
    await scene.run_for(timedelta(0))
    await scene.read()
    await scene.run_for(30 * MINUTE)
    scene.source.drop("q", {"pod": "x"})
    await scene.run_for(timedelta(hours=23))
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.FIRING
    last = re.match(
        r"No sample for 2[23][.\d]* h, the last one came at 2026-03-02 (12:[23]\d) UTC; they", alert.explanation
    )
    assert last, "at the most that can be said too it is the span of now"
    await scene.run_for(timedelta(hours=26))
    (alert,) = await scene.alerts()
    assert alert.state is AlertState.EXPIRED
    assert (await scene.transitions())[-1].reason is Reason.VANISHED
    await monitor.close()


@pytest.mark.parametrize(
    "methods", [("absence", "seasonal"), ("zscore", "drift", "outlier"), ("auto", "outlier", "absence")]
)
async def test_a_back_test_equals_what_monitoring_did(methods):
    watched = target(detection_methods=methods, check_interval=5 * MINUTE)
    scene = Scene(watched)
    for seed in range(6):
        begin = 40 + 30 * seed

        def curve(grid, seed=seed, begin=begin):
            minutes = (grid - START.timestamp()) / 60
            return gone(begin, begin + 12, seed)(grid) + 40 * ((minutes > 100 + seed) & (minutes < 110 + seed))

        scene.source.play("q", curve, {"instance": str(seed)})
    monitor = await scene.open()
    await scene.run_for(timedelta(0))
    await scene.read()
    await scene.run_for(timedelta(hours=4))
    await monitor.stop()
    live = [(one.alert_id, one.at, one.after, one.reason, one.severity, one.sigma) for one in await scene.transitions()]
    first = next(one for one in scene.source.requests if one.window.end >= START)
    last = scene.source.requests[-1]
    result = await monitor.backtest(watched, first.window.end - 4 * MINUTE, last.window.end)
    told = [(one.alert_id, one.at, one.after, one.reason, one.severity, one.sigma) for one in result.transitions]
    assert sorted(told, key=str) == sorted(live, key=str)
    assert len(live) >= 6
    await monitor.close()


async def test_the_history_that_a_method_needs_is_read_before_the_first_verdict():
    watched = target(detection_methods=("seasonal",))
    assert watched.reads_back == timedelta(days=14)
    assert target(detection_methods=("zscore",), history=timedelta(days=3)).reads_back == timedelta(0)
    assert target(detection_methods=("zscore", "outlier")).reads_back == timedelta(days=2)
    scene = Scene(watched)
    scene.source.play("q", noise)
    monitor = await scene.open()
    await scene.run_for(timedelta(0))
    await scene.read()
    await scene.run_for(2 * MINUTE)
    assert monitor.view("errors").status.series_ready == 1
    await monitor.close()


@pytest.mark.parametrize(
    ("fields", "field", "why"),
    [
        ({"detection_methods": ("capacity",)}, "capacity_limit", "upper_bound or lower_bound"),
        ({"detection_methods": ("drift", "oracle")}, "detection_methods", "unknown detection method 'oracle'"),
    ],
)
def test_targets_that_cannot_be(fields, field, why):
    with pytest.raises(Invalid, match=why) as caught:
        target(**fields).validated()
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("method", "extra"), [("forecast", "forecast"), ("prophet", "prophet"), ("isolation_forest", "ml")]
)
def test_a_method_whose_extra_is_not_installed_says_what_to_install(method, extra, monkeypatch):
    monkeypatch.setattr("tocsin.detect.more.registry.find_spec", lambda _: None)
    with pytest.raises(Invalid, match=rf"pip install 'tocsin\[{extra}\]'"):
        target(detection_methods=("auto", method)).validated()
    target(detection_methods=("auto", "drift")).validated()


def test_capacity_takes_its_limit_from_the_bounds():
    assert target(detection_methods=("capacity",), upper_bound=100.0).validated().context.upper_limit == 100.0
    assert target(detection_methods=("capacity",), capacity_limit=5.0).validated().context.limit == 5.0


def test_capacity_takes_an_inferred_upper_bound_where_none_is_given():
    made = target(detection_methods=("capacity",), unit="percent").validated()
    assert (made.context.inferred_limit, made.context.upper_limit, made.context.limit) == (100.0, None, None)
    assert target(detection_methods=("capacity",), query="disk_used_ratio").validated().context.inferred_limit == 1.0
    with pytest.raises(Invalid, match="unit that has an upper bound"):
        target(detection_methods=("capacity",), unit="bytes").validated()


@pytest.mark.parametrize("given", [{}, {"capacity_limit": 90.0}])
def test_what_fills_up_is_told_with_its_unit_and_where_the_limit_comes_from(given):
    one = target(detection_methods=("capacity",), unit="percent", step=10 * MINUTE, check_interval=10 * MINUTE, **given)
    times = START.timestamp() + np.arange(4 * 144) * 600.0
    values = 63.0 + np.arange(len(times)) / 144 * 5.0 + 0.05 * np.sin(times * 0.7391)
    frame = Frame(times, values[None], (Labels({}),))
    judged, _ = absorb(one, Memory.empty(one), frame, {})
    seen = observe(one, judged, 0, int(np.flatnonzero(judged.judgement.flags[0])[-1]))
    inferred = " that was inferred from the unit or the query (capacity_limit sets another)"
    limit = "90 %" if given else f"the limit of 100 %{inferred}"
    said = rf"ising by (5|5\.0\d*|4\.9\d*) points a day, it reaches {re.escape(limit)} between"
    assert re.search(said, seen.explanation), seen.explanation
    assert re.search(r"interval\); now it is 8\d\.?\d* %: \d\.\d\d sigma.*; so says capacity\.$", seen.explanation)
    assert "expected" not in seen.explanation, "what is odd is not the value of now"
    line = summary("disk", Severity.HIGH, seen)
    assert re.fullmatch(rf"🔥 disk: R{said}.* UTC \(90 % interval\) - value 8\d\.?\d* %", line), line


def test_what_runs_to_its_limit_and_stays_there_is_one_alert_that_says_so():
    step = timedelta(minutes=10)
    one = target(detection_methods=("capacity",), unit="percent", step=step, check_interval=step)
    times = START.timestamp() + np.arange(18 * 144) * 600.0
    values = np.minimum(60.0 + np.arange(len(times)) / 144 * 5.0 + 0.5 * noise(times), 100.0)
    run = Rehearsal(one, Window(START, START + timedelta(days=18), step))
    run.judge(Frame(times, values[None], (Labels({}),)), lambda: None)
    run.finish(lambda: None)
    (alert,) = run.tally.alerts.values()
    assert alert.state is AlertState.FIRING
    assert re.match(r"The limit of 100 % .* is reached from below; now it is 100 %", alert.explanation)
    assert "is reached" in alert.summary


async def test_an_extra_that_is_gone_after_a_restart_is_said_in_words(monkeypatch):
    scene = Scene(target())
    scene.source.play("q", noise)
    monitor = await scene.open()
    words = "forecast needs statsforecast, which is not installed: pip install 'tocsin[forecast]'"
    monkeypatch.setattr("tocsin.monitor.evaluate.missing_extra", lambda _: words)
    await scene.run_for(2 * MINUTE)
    status = monitor.view("errors").status
    assert (status.state, status.reason) == (TargetState.ERROR, words)
    monkeypatch.undo()
    await scene.run_for(2 * MINUTE)
    assert monitor.view("errors").status.state is not TargetState.ERROR
    await monitor.close()
