"""What people said is used: incidents that were marked in back-tests, verdicts in thresholds."""

from datetime import timedelta

import numpy as np

from tests.monitor.scene import MINUTE, START, Scene, noise, spike, target
from tests.monitor.test_feedback import HOUR, window
from tocsin.domain.feedback import Verdict, WindowKind
from tocsin.domain.incidents import Incident, Outcome
from tocsin.domain.labels import Labels
from tocsin.monitor.status import Question


async def test_a_back_test_is_held_against_the_incidents_that_were_marked():
    scene = Scene(target())
    first, second = START - 30 * HOUR, START - 10 * HOUR
    hits = [spike(begin, begin + HOUR, height=60.0) for begin in (first, second)]
    scene.source.play("q", lambda grid: np.maximum(*(hit(grid) for hit in hits)))
    monitor = await scene.open()
    await scene.run_for(2 * MINUTE)
    hit = (START - 30 * HOUR, START - 29 * HOUR)
    for start, end, kind in (
        (*hit, WindowKind.INCIDENT),
        (START - 20 * HOUR, START - 19 * HOUR, WindowKind.INCIDENT),
        (START - 10 * HOUR, START - 9 * HOUR, WindowKind.MAINTENANCE),
        (START - 100 * HOUR, START - 99 * HOUR, WindowKind.INCIDENT),
    ):
        await monitor.feedback.mark_window(window(start, end, kind=kind))
    result = await monitor.backtest(scene.targets[0], START - 40 * HOUR, START)
    assert [fate.incident.start for fate in result.reckoning.fates] == [hit[0], START - 20 * HOUR]
    assert (result.reckoning.caught, result.reckoning.missed) == (1, 1)
    assert (result.reckoning.in_maintenance, result.reckoning.false_alerts) == (1, 0)
    mine = (Incident(START - 5 * HOUR, START - 4 * HOUR, Labels({})),)
    asked = await monitor.backtest(scene.targets[0], START - 40 * HOUR, START, question=Question(incidents=mine))
    assert [fate.incident for fate in asked.reckoning.fates] == list(mine)
    await monitor.close()


async def test_an_incident_in_which_no_series_had_a_sample_is_not_missed():
    def curve(grid):
        gap = (grid > (START - 10 * HOUR).timestamp()) & (grid < (START - 6 * HOUR).timestamp())
        return np.where(gap, np.nan, noise(grid))

    scene = Scene(target())
    scene.source.play("q", curve)
    monitor = await scene.open()
    asked = tuple(Incident(START - n * HOUR, START - (n - 1) * HOUR, Labels({})) for n in (9, 5))
    result = await monitor.backtest(scene.targets[0], START - 12 * HOUR, START, question=Question(incidents=asked))
    assert [fate.outcome for fate in result.reckoning.fates] == [Outcome.UNSEEN, Outcome.MISSED]
    await monitor.close()


async def test_what_people_say_of_alerts_moves_the_threshold_and_outlives_the_process():
    day, slow = timedelta(days=1), 10 * MINUTE
    scene = Scene(
        target(check_interval=slow, step=slow, lookback=day, detection_methods=("zscore",), keep_firing_for=slow)
    )
    scene.source.play("q", spike(START + HOUR, START + HOUR + slow, height=9.0))
    monitor = await scene.open()
    entry = lambda: monitor._watches["errors"].memory.dial.entry[0]  # noqa: E731
    await scene.run_for(day)
    (alert,) = await scene.alerts()
    before = entry()
    await monitor.feedback.mark(alert.id, Verdict.REAL, "ann", "")
    monitor = await scene.restart()
    assert [one.verdict for one in monitor.feedback.marked("errors").verdicts] == [Verdict.REAL]
    await scene.run_for(day)
    assert entry() < before, "what was real is no reason to tell less"
    await monitor.feedback.unmark(alert.id)
    assert monitor.feedback.marked("errors").verdicts == ()
    await monitor.close()
