"""How improbable a deviation is by the series' own history: a decaying histogram and a Weibull tail through it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.calibrate import Array

BINS = 32
"""Bins of |z|, of equal width on a log scale; the first holds everything below ``LOWEST``."""

LOWEST = 0.5
RATIO = 1.25
LARGEST = LOWEST * RATIO ** (BINS - 1)
"""A deviation beyond this (505 scales) is not told apart from it."""

BODY = 0.05
"""Share of all samples, one side, through which the tail is drawn; with ``FAR`` it fixes its shape."""

FAR = 0.002
"""The second share. Deeper than the incidents of a bad fortnight and it would learn them, shallower and a bursty
series would be judged by its calm hours; see docs/detection.md for the sensitivity."""

VOICE_CAP = 24.0
"""No voice says more than this many nats: one that shouts cannot carry the mean alone."""

_BODY_NATS, FAR_NATS = -math.log(BODY), -math.log(FAR)
_LOG_RATIO = math.log(RATIO)
_LEAST_Z = 0.05
_LEAST_SPREAD = 1.2
_SHAPES = (0.2, 2.0)

Counts = NDArray[np.float32]


def places(log_z: Array) -> NDArray[np.intp]:
    """The bin of each ln|z|; any shape."""
    bins = np.floor((log_z - math.log(LOWEST)) / _LOG_RATIO)
    # Numbers with a fraction are bounded twice as fast as whole ones.
    np.minimum(np.maximum(bins, -1.0, out=bins), BINS - 2.0, out=bins)
    return bins.astype(np.intp) + 1


def tails(histogram: Counts) -> tuple[Array, Array]:
    """Scale ``ln z2`` and shape ``k`` of the tail -ln p = 6.2 (|z|/z2)^k of each side; (..., 2, BINS) to two (..., 2).

    The Weibull tail through the one-sided quantiles at ``BODY`` and ``FAR``, both of all samples: a robust form of the
    tail index (Gardes and Girard, "Estimating extreme quantiles of Weibull tail distributions", 2005) that the
    largest samples do not touch, so that incidents of the past do not blind it.
    """
    total = histogram.sum(axis=(-1, -2), dtype=np.float64)[..., None]
    body, far = _quantiles(histogram, np.stack([total * BODY, total * FAR]))
    body = np.maximum(body, _LEAST_Z)
    far = np.maximum(far, _LEAST_SPREAD * body)
    shape = np.clip(math.log(FAR_NATS / _BODY_NATS) / np.log(far / body), *_SHAPES)
    return np.log(far), shape


def _quantiles(histogram: Counts, masses: Array) -> Array:
    """The |z| above which each of ``masses`` (n, ..., 1) lies on each side (n, ..., 2), between the edges of a bin by
    the logarithm of the mass.
    """
    above = np.zeros((*histogram.shape[:-1], BINS + 1))
    above[..., :BINS] = np.cumsum(histogram[..., ::-1], axis=-1, dtype=np.float64)[..., ::-1]
    sides = above.reshape(-1, BINS + 1)
    wanted = np.broadcast_to(np.maximum(masses, 1e-9), (len(masses), *above.shape[:-1])).reshape(len(masses), -1)
    last = np.maximum((sides[:, :BINS] >= wanted[..., None]).sum(axis=-1) - 1, 0)
    each = np.arange(len(sides))
    here, after = np.maximum(sides[each, last], 1e-9), sides[each, last + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.log(here / wanted) / np.log(here / np.maximum(after, 0.3 * wanted))
    result: Array = LOWEST * RATIO ** (last - 1.0 + np.clip(np.where(np.isnan(share), 0.0, share), 0.0, 1.0))
    return result.reshape(len(masses), *above.shape[:-1])


def nats(log_z: Array, log_far: Array, shape: Array) -> Array:
    """-ln of the tail probability of each ln|z|, at most ``VOICE_CAP``; all broadcast."""
    result: Array = np.minimum(FAR_NATS * np.exp(np.minimum(shape * (log_z - log_far), 4.0)), VOICE_CAP)
    return result
