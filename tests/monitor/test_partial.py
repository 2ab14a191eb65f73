"""What is found in an answer from which data are missing says so, and is believed half as much."""

import pytest

from tests.monitor.scene import MINUTE, START, Scene, noise, spike, target
from tocsin.domain.evaluation import PARTIAL_CONFIDENCE, PARTIAL_WORDS
from tocsin.domain.ports import AnomalyFilter, Page

WARNING = "no store matched for 3 of 12 shards"


async def found(*, partial, warnings=()):
    scene = Scene(target())
    scene.source.play("q", spike(START + 10 * MINUTE, START + 16 * MINUTE))
    monitor = await scene.open()
    await scene.run_for(8 * MINUTE)
    scene.source.partial, scene.source.warnings = partial, warnings
    await scene.run_for(4 * MINUTE)
    (alert,) = await scene.alerts()
    story = await scene.store.alert(alert.id)
    anomalies = [
        one for one in (await scene.store.anomalies(AnomalyFilter(), Page())).items if one.sigma == alert.sigma
    ]
    status = monitor.view("errors").status
    await monitor.close()
    return alert, story.evidence[0], anomalies[0], status


async def test_a_partial_answer_halves_the_confidence_and_is_shown_with_alert_anomaly_and_evidence():
    whole, *_ = await found(partial=False)
    alert, evidence, anomaly, status = await found(partial=True, warnings=(WARNING,))
    assert (alert.sigma, alert.severity, alert.active_at) == (whole.sigma, whole.severity, whole.active_at)
    assert alert.confidence == pytest.approx(whole.confidence * PARTIAL_CONFIDENCE)
    assert anomaly.confidence == alert.confidence
    assert {PARTIAL_WORDS, WARNING} <= set(evidence.notes)
    assert PARTIAL_WORDS in evidence.text
    for said in (alert.explanation, anomaly.explanation):
        assert "some of its data were missing" in said
    assert WARNING in status.warnings


async def test_a_warning_about_the_query_alone_changes_no_confidence():
    whole, *_ = await found(partial=False)
    alert, evidence, _, _ = await found(partial=False, warnings=("PromQL info: metric might not be a counter",))
    assert alert.confidence == whole.confidence
    assert PARTIAL_WORDS not in evidence.notes
    assert "PromQL info: metric might not be a counter" in evidence.notes


async def test_the_next_whole_answer_is_believed_again():
    scene = Scene(target())
    scene.source.play("q", noise)
    monitor = await scene.open()
    scene.source.partial = True
    await scene.run_for(5 * MINUTE)
    scene.source.partial = False
    scene.source.play("q", spike(scene.clock.now() + MINUTE, scene.clock.now() + 3 * MINUTE))
    await scene.run_for(5 * MINUTE)
    (alert,) = await scene.alerts()
    assert "missing" not in alert.explanation
    await monitor.close()
