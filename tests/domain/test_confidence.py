"""How sure monitoring says it is: as often as such alerts were real."""

from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import START, noise, target
from tocsin.detect import METHODS, calibrated_confidence, likely_real, young_confidence
from tocsin.domain.anomaly import ConfidenceKind
from tocsin.domain.evaluation import FIRST_DAY_CONFIDENCE, instant
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.monitor.backtest import rehearse

MINUTE = timedelta(minutes=1)


def told(columns, **more):
    """The alert of a spike in the last minutes of a series that is so old."""
    times = START.timestamp() + 60.0 * np.arange(columns)
    values = noise(times)
    values[-5:] += 60.0
    window = Window(instant(times[0]), instant(times[-1]), MINUTE)
    one = target(**more)
    return rehearse(one, Frame(times, values[None], (Labels({}),)), window).alerts[-1]


def test_an_alert_on_a_young_series_is_as_sure_as_those_were():
    alert = told(200)
    assert alert.methods[0] in METHODS
    assert alert.confidence == young_confidence(alert.sigma, 60.0) < 0.8
    assert ConfidenceKind.of(alert.methods) is ConfidenceKind.CALIBRATED


def test_within_the_first_day_auto_is_half_as_sure():
    alert = told(1000)
    assert alert.methods[0] not in METHODS
    assert alert.confidence == FIRST_DAY_CONFIDENCE * calibrated_confidence(alert.sigma, 60.0)
    later = told(1600)
    assert later.confidence == calibrated_confidence(later.sigma, 60.0)


def test_the_named_methods_alone_are_poor_witnesses_and_say_so():
    alert = told(200, detection_methods=METHODS)
    assert alert.confidence == likely_real(alert.sigma, 60.0, auto=False)


@pytest.mark.parametrize(("sigma", "step_s", "sure"), [(3.5, 60.0, 0.235), (-10.0, 15.0, 0.659), (38.0, 300.0, 0.19)])
def test_the_curve_of_young_series_is_the_one_of_the_docs(sigma, step_s, sure):
    assert young_confidence(sigma, step_s) == pytest.approx(sure, abs=0.003)
    assert young_confidence(2.99, step_s) == 0.0
