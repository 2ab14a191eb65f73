"""Which marked window an alert was active in: none that has not begun."""

from datetime import timedelta

from tests.monitor.scene import MINUTE, START, Scene, spike, target
from tocsin.domain.alert import AlertState
from tocsin.domain.feedback import MarkedWindow, WindowKind
from tocsin.domain.labels import Labels

HOUR = timedelta(hours=1)


async def test_an_alert_that_fires_is_in_a_window_ahead_once_that_has_begun():
    scene = Scene(target(detection_methods=("zscore",)))
    scene.source.play("q", spike(START + 5 * MINUTE, START + 3 * HOUR))
    monitor = await scene.open()
    await scene.run_for(10 * MINUTE)
    begin = START + HOUR
    ahead = MarkedWindow("", WindowKind.MAINTENANCE, None, Labels(), begin, begin + HOUR, "ann", "", START)
    marked = (await monitor.feedback.mark_window(ahead)).window

    async def in_window():
        (alert,) = await scene.alerts()
        assert alert.state is AlertState.FIRING
        return (await monitor.feedback.remarks([alert]))[alert.id].in_window

    assert await in_window() is None, "the window has not begun"
    await scene.run_for(HOUR)
    assert await in_window() == marked
    await monitor.close()
