"""When clocks are set forward or back, what happens by the clock stays expected: in monitoring as in a back-test."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tests.monitor.scene import Scene, target
from tocsin.detect import follow
from tocsin.monitor import housekeeping
from tocsin.monitor.following import utc_offsets

TEN = timedelta(minutes=10)
HOUR = timedelta(hours=1)
CHANGES = [
    pytest.param("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC), id="Berlin, spring"),
    pytest.param("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC), id="Berlin, autumn"),
    pytest.param("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC), id="New York, spring"),
    pytest.param("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC), id="New York, autumn"),
]


def office(zone, incident=None):
    """Busy from eight to five by the clock of a zone; and what falls away for an hour."""

    def curve(grid):
        local = [datetime.fromtimestamp(at, ZoneInfo(zone)) for at in grid]
        hour = np.array([at.hour + at.minute / 60 for at in local])
        jitter = np.modf(np.abs(np.sin(grid / 60.0 * 12.9898)) * 43758.5453)[0]
        values = 100.0 + 60.0 * ((hour >= 8) & (hour < 17)) + 6.0 * jitter
        if incident is not None:
            values -= 150.0 * ((grid >= incident.timestamp()) & (grid < (incident + HOUR).timestamp()))
        return values

    return curve


def watched(zone):
    return target(
        timezone=zone,
        step=TEN,
        check_interval=TEN,
        lookback=timedelta(hours=6),
        keep_firing_for=timedelta(minutes=30),
        history=timedelta(days=14),
        sigma_threshold=3.0,
    )


def moves(transitions):
    return [(one.at, one.before, one.after, one.reason, one.severity, one.value, one.sigma) for one in transitions]


@pytest.mark.parametrize(("zone", "change"), CHANGES)
async def test_the_change_of_clocks_tells_nothing_and_hides_nothing(zone, change, monkeypatch):
    monkeypatch.setattr(housekeeping, "PROBE_EVERY", HOUR)
    begin, end = change - 2 * HOUR, change + 39 * HOUR
    offsets = [at.astimezone(ZoneInfo(zone)).utcoffset() for at in (begin, change - TEN, change, end)]
    assert offsets[0] == offsets[1] != offsets[2] == offsets[3]
    incident = datetime.combine(change.date() + timedelta(days=1), datetime.min.time(), ZoneInfo(zone)) + 13 * HOUR
    scene = Scene(watched(zone), start=begin)
    scene.source.play("q", office(zone, incident))
    monitor = await scene.open()
    await scene.run_for(timedelta(0))
    await scene.read()
    await scene.run_for(end - begin)
    await monitor.stop()
    (alert,) = await scene.alerts()
    assert abs(alert.active_at - incident.astimezone(UTC)) <= TEN

    result = await monitor.backtest(watched(zone), begin, end)
    assert moves(result.transitions) == moves(await scene.transitions())
    await monitor.close()


@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_what_is_expected_moves_with_the_clock_of_the_zone(zone, change):
    grid = np.arange((change - timedelta(days=12)).timestamp(), (change + timedelta(days=1)).timestamp(), 600.0)
    values, after = office(zone)(grid), grid >= change.timestamp()
    rules = {"new": len(grid), "window": 72, "relearn": 3, "step_s": 600.0}
    off = {
        clock: np.abs(
            follow(grid, values[None], utc_offset_s=utc_offsets(grid, clock), **rules).scores.expected[0] - values
        )
        for clock in (zone, "UTC")
    }
    assert off[zone][after].max() < 10.0
    assert (off["UTC"][after] > 50.0).sum() >= 6, "by a clock that is not changed the morning is an hour off"
