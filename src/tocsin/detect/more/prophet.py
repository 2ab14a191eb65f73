"""`prophet`: Prophet's additive model says each day what the next one should be."""

from __future__ import annotations

import logging

import numpy as np

from tocsin.detect.calibrate import Array
from tocsin.detect.more.extras import importing
from tocsin.detect.more.foretell import AHEAD, Foretold, method_of

_TWO_WEEKS = 336
_SOME_MONDAY = "2024-01-01"
"""The model sees hours from here on: it knows neither the date nor holidays, only day, week and trend."""


def fit(hours: Array) -> Foretold:
    """Prophet (Taylor and Letham 2018) with a daily and, from two weeks on, a weekly season.

    Needs prophet: the optional extra of that name.
    """
    # It says as an error that it cannot draw, which nobody asks for.
    logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)
    with importing("prophet", "prophet"):
        import pandas as pd  # noqa: PLC0415  (optional, and slow to import)
        from prophet import Prophet  # noqa: PLC0415

    logging.getLogger("cmdstanpy").setLevel(logging.WARNING)
    weekly = len(hours) >= _TWO_WEEKS
    model = Prophet(daily_seasonality=True, weekly_seasonality=weekly, yearly_seasonality=False, uncertainty_samples=0)
    when = pd.date_range(_SOME_MONDAY, periods=len(hours) + AHEAD, freq="h")
    model.fit(pd.DataFrame({"ds": when[: len(hours)], "y": hours}), seed=1)
    said = model.predict(pd.DataFrame({"ds": when}))["yhat"].to_numpy(dtype=np.float64)
    rest = hours - said[: len(hours)]
    return Foretold(said[len(hours) :], np.full(AHEAD, float(rest.std())))


METHOD = method_of(fit)
