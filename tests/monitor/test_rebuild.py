"""What was learnt is in memory alone: a restart learns it again from history, and goes on as if there had been none."""

from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import START, Scene, target
from tocsin.domain.alert import AlertState
from tocsin.domain.ports import AnomalyFilter, Page
from tocsin.monitor import housekeeping

TEN = timedelta(minutes=10)
HOUR = timedelta(hours=1)
INCIDENTS = {"up": (3 * HOUR, 6 * HOUR, 90.0), "down": (13 * HOUR, 14 * HOUR, -150.0)}
"""When each begins and ends after the start, and how far it leads away."""


def rhythm(grid):
    """A day's swing with jitter, the same at each instant however it is asked, and the incidents."""
    jitter = np.modf(np.abs(np.sin(grid / 60.0 * 12.9898)) * 43758.5453)[0]
    values = 100.0 + 20.0 * np.sin(grid / 86400.0 * 2 * np.pi) + 8.0 * jitter
    for begin, end, height in INCIDENTS.values():
        values += height * ((grid >= (START + begin).timestamp()) & (grid < (START + end).timestamp()))
    return values


async def told(methods, restarts):
    """Alerts, transitions and anomalies of a day in which Tocsin was restarted at some times."""
    watched = target(
        step=TEN,
        check_interval=TEN,
        lookback=12 * HOUR,
        keep_firing_for=3 * TEN,
        history=timedelta(days=14),
        detection_methods=methods,
    )
    scene = Scene(watched)
    scene.source.play("q", rhythm, {"instance": "a"})
    await scene.open()
    await scene.run_for(timedelta(0))
    await scene.read()
    for at in restarts:
        await scene.run_for(START + at - scene.clock.now())
        assert [one.state for one in await scene.alerts() if one.state is AlertState.FIRING] or at > 6 * HOUR
        await scene.restart()
        await scene.run_for(timedelta(0))
        await scene.read()
    await scene.run_for(START + 17 * HOUR - scene.clock.now())
    alerts = [(one.id, one.state, one.active_at, one.starts_at, one.ends_at) for one in await scene.alerts()]
    moves = [(one.alert_id, one.at, one.before, one.after, one.reason) for one in await scene.transitions()]
    odd = {one.timestamp: one for one in (await scene.store.anomalies(AnomalyFilter(), Page(limit=1000))).items}
    await scene.monitor.close()
    return sorted(alerts), sorted(moves), odd


@pytest.mark.parametrize("methods", ["auto", "zscore"])
async def test_a_restart_in_the_middle_of_an_incident_changes_no_verdict(methods, monkeypatch):
    monkeypatch.setattr(housekeeping, "PROBE_EVERY", HOUR)
    alerts, moves, odd = await told((methods,), [])
    assert len(alerts) == 2
    assert {state for _, state, *_ in alerts} == {AlertState.RESOLVED}
    again, moved, seen = await told((methods,), [4 * HOUR, 10 * HOUR])
    # What is learnt anew begins fourteen days before the restart: a verdict at a threshold may come a sample later.
    near = 2 * TEN if methods == "auto" else timedelta(0)
    assert [one[:4] for one in again] == [one[:4] for one in alerts]
    assert all(abs(one[4] - other[4]) <= near for one, other in zip(again, alerts, strict=True))
    assert [(one[0], *one[2:]) for one in moved] == [(one[0], *one[2:]) for one in moves]
    assert all(abs(one[1] - other[1]) <= near for one, other in zip(moved, moves, strict=True))
    assert len(seen.keys() ^ odd.keys()) <= near / TEN
    for at in seen.keys() & odd.keys():
        assert seen[at].sigma == pytest.approx(odd[at].sigma, rel=0.15)
        assert seen[at].expected_value == pytest.approx(odd[at].expected_value, rel=0.1)
