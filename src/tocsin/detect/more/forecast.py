"""`forecast`: MSTL with an exponential-smoothing trend (statsforecast) says each day what the next one should be."""

from __future__ import annotations

import numpy as np

from tocsin.detect.calibrate import Array
from tocsin.detect.more.extras import importing
from tocsin.detect.more.foretell import AHEAD, Foretold, method_of

_A_DAY, _A_WEEK = 24, 168
_ONE_DEVIATION = 68
_Z = 0.99446
"""Where the central 68 % of a standard normal end."""


def fit(hours: Array) -> Foretold:
    """MSTL (Bandara, Hyndman and Bergmeir 2021) over day and, from two weeks on, week; AutoETS on what is left.

    Needs statsforecast: the optional extra ``forecast``.
    """
    with importing("forecast", "statsforecast"):
        from statsforecast.models import MSTL, AutoETS  # noqa: PLC0415  (optional, and slow to import)

    seasons = [_A_DAY, _A_WEEK] if len(hours) >= 2 * _A_WEEK else [_A_DAY]
    model = MSTL(season_length=seasons, trend_forecaster=AutoETS(model="ZZN"))
    said = model.fit(hours).predict(h=AHEAD, level=[_ONE_DEVIATION])
    mean = np.asarray(said["mean"], dtype=np.float64)
    high = np.asarray(said[f"hi-{_ONE_DEVIATION}"], dtype=np.float64)
    return Foretold(mean, (high - mean) / _Z)


METHOD = method_of(fit)
