"""Distance from the median in median absolute deviations, as a prediction of the next sample."""

from __future__ import annotations

import numpy as np

from tocsin.detect.base import Predictive
from tocsin.detect.sample import MAD_SIGMA, Sample

# An even number of samples averages two deviations, which is worth a little more.
_EXTRA_DEGREES = np.array([0.5, 0.05])


def predict(sample: Sample) -> Predictive:
    """Student-t about the median of the n clean samples with 0.3675 n + c degrees, scale b * 1.4826 * MAD.

    The degrees come from the deviation's efficiency as for ``iqr``; ``c`` (odd and even n apart) and
    b = 1 + 0.9/n + 3.6/n^2, which also covers the uncertain median, are fitted to the simulated quantiles of
    |x - median| / MAD for n from 4 to 200 at p = 0.05 and p = 0.0027. Where half the samples are
    one and the same value it says nothing, and the standard deviation stands in for it.
    """
    count = np.maximum(sample.count, 1)
    spread = np.maximum(np.where(sample.mad > 0, MAD_SIGMA * sample.mad, sample.deviation), sample.floor)
    return Predictive(
        sample.median, spread * (1.0 + (0.9 + 3.6 / count) / count), 0.3675 * count + _EXTRA_DEGREES[count & 1]
    )
