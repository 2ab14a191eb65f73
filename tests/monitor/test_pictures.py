"""Every anomaly can be drawn again without the datasource, also one of which no alert came, within limits."""

from datetime import timedelta

import pytest

from tests.monitor.scene import MINUTE, START, Scene, noise, target
from tocsin.detect import Severity
from tocsin.domain.errors import NotFound, SourceError, SourceFailure
from tocsin.domain.ports import AnomalyFilter, Page
from tocsin.monitor.pictures import MAX_PICTURES, PICTURE_SAMPLES


def steps(*parts, begin=START + 20 * MINUTE):
    """Noise, and from `begin` on so much more minute by minute."""

    def curve(grid):
        values = noise(grid)
        for n, height in enumerate(parts):
            values = values + height * (abs(grid - (begin + n * MINUTE).timestamp()) < 1)
        return values

    return curve


def strict(**more):
    """Nothing of it is ever told."""
    return target(detection_methods=("zscore",), sigma_threshold=38.0, **more)


async def anomalies(scene, least=5.5):
    found = await scene.store.anomalies(AnomalyFilter(), Page(limit=1000))
    return sorted(
        (one for one in found.items if abs(one.sigma) >= least), key=lambda one: (one.timestamp, str(one.labels))
    )


async def test_an_anomaly_without_an_alert_is_drawn_again_without_the_datasource():
    scene = Scene(strict(unit="percent"))
    scene.source.play("q", steps(40.0))
    monitor = await scene.open()
    await scene.run_for(timedelta(minutes=30))
    await monitor.close()
    scene.source.fail(SourceError("gone", failure=SourceFailure.UNREACHABLE, transient=True))
    (one,) = await anomalies(scene)
    assert one.alert_id is None
    piece = await scene.store.evidence(one.evidence_id)
    assert (piece.values[-1], piece.expected[-1], piece.sigma[-1]) == (one.value, one.expected_value, one.sigma)
    assert piece.timestamps[-1] == one.timestamp.timestamp()
    assert len(piece.values) <= PICTURE_SAMPLES
    assert piece.facts == one.facts
    assert one.facts.sentence in piece.text
    assert any("samples expected from" in note for note in piece.notes)


async def test_one_picture_an_episode_and_another_when_it_grows_worse():
    scene = Scene(strict())
    scene.source.play("q", steps(4.5, 3.0, 60.0, 60.0, *[0.0] * 60, 60.0))
    monitor = await scene.open()
    await scene.run_for(timedelta(minutes=100))
    found = await anomalies(scene, 3.5)
    names = [one.evidence_id for one in found]
    assert [one.severity >= Severity.CRITICAL for one in found] == [False, False, True, True, True]
    assert names[0] == names[1] != names[2] == names[3] != names[4]
    worst = await scene.store.evidence(names[3])
    assert worst.timestamps[-1] == found[2].timestamp.timestamp()
    await monitor.close()


async def test_an_anomaly_of_an_alert_has_its_evidence_and_none_of_its_own():
    scene = Scene(target(detection_methods=("zscore",), sigma_threshold=5.0))
    scene.source.play("q", steps(60.0))
    monitor = await scene.open()
    await scene.run_for(timedelta(minutes=30))
    (one,), (alert,) = await anomalies(scene), await scene.alerts()
    assert (one.alert_id, one.evidence_id) == (alert.id, f"{alert.id}@{one.timestamp.timestamp():.3f}")
    await monitor.close()


async def test_so_many_pictures_and_the_rest_is_counted():
    scene = Scene(strict())
    for number in range(MAX_PICTURES + 3):
        scene.source.play("q", steps(60.0), {"n": f"{number:02d}"})
    monitor = await scene.open()
    await scene.run_for(timedelta(minutes=20, seconds=59))
    found = await anomalies(scene)
    assert [one.evidence_id is not None for one in found] == [True] * MAX_PICTURES + [False] * 3
    assert "3 anomalies kept without evidence: limit of one evaluation" in monitor.view("errors").status.warnings
    await monitor.close()
    with pytest.raises(NotFound):
        await scene.store.evidence("anomaly:none")
