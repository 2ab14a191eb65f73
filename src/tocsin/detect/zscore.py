"""Distance from the mean in standard deviations, as a prediction of the next sample."""

from __future__ import annotations

import numpy as np

from tocsin.detect.base import Predictive
from tocsin.detect.sample import Sample


def predict(sample: Sample) -> Predictive:
    """Student-t with n - 1 degrees about the mean of the n clean samples, scale s * sqrt(1 + 1/n).

    The prediction interval of one more Gaussian sample (Hahn, Journal of Quality Technology 1 (1969), equation 2).
    """
    count = np.maximum(sample.count, 1)
    degrees = np.maximum(count - 1.0, 1.0)
    spread = np.maximum(np.sqrt(sample.squares / degrees), sample.floor)
    return Predictive(sample.mean, spread * np.sqrt(1.0 + 1.0 / count), degrees)
