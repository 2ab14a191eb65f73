"""Learn slowly, score in constant time: the baseline of many rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import combine, iqr, mad, rate_change, zscore
from tocsin.detect.base import AUTO, MIN_LEARN, Scores, as_block, as_times, resolve_methods
from tocsin.detect.calibrate import ANOMALOUS, Array
from tocsin.detect.sample import summarise
from tocsin.detect.student import sigma_of_t, t_of_sigma

PREDICT = {
    "zscore": zscore.predict,
    "iqr": iqr.predict,
    "mad": mad.predict,
    "rate_change": rate_change.predict,
}


@dataclass(frozen=True)
class Baseline:
    """What was learnt of S rows: a few floats for each row and method, nothing that grows with the history.

    ``samples`` (S,) is how many clean samples taught the row, ``ready`` (S,) whether it has an opinion. ``level``
    (S,) is the median; ``center``, ``scale``, ``degrees`` and ``reach`` are (M, S): the Student-t of each method and
    how far from its centre the band ends.
    """

    methods: tuple[str, ...]
    samples: NDArray[np.int64]
    level: Array
    center: Array
    scale: Array
    degrees: Array
    reach: Array

    @property
    def ready(self) -> NDArray[np.bool_]:
        """Rows that have learnt from at least ``MIN_LEARN`` samples."""
        return self.samples >= MIN_LEARN

    @classmethod
    def unlearnt(cls, rows: int, methods: str | Sequence[str] = AUTO) -> Baseline:
        """A baseline of rows that have learnt nothing: no opinion on anything."""
        names = resolve_methods(methods)
        blank = [np.full((len(names), rows), np.nan) for _ in range(4)]
        return cls(names, np.zeros(rows, np.int64), np.full(rows, np.nan), *blank)

    def score(self, timestamps: object, values: object, previous: object = None) -> Scores:
        """Hold samples (S, K) at ``timestamps`` (K,) against the baseline; NaN in, no opinion out.

        ``previous`` (S,) is the last sample of each row before column 0 (NaN or None: there is none), for
        ``rate_change``. Raises ValueError when shapes do not fit.
        """
        block = as_block(values)
        as_times(timestamps, block.shape[1])
        if len(block) != len(self.samples):
            raise ValueError(f"a baseline of {len(self.samples)} rows cannot score {len(block)}")
        before = np.full(len(block), np.nan) if previous is None else np.asarray(previous, dtype=np.float64)
        if before.shape != (len(block),):
            raise ValueError(f"previous has one sample a row: shape ({len(block)},), not {before.shape}")
        return score_block(self, block, carried(block, np.where(np.isfinite(before), before, np.nan)))

    def select(self, rows: object) -> Baseline:
        """The baseline with its rows reordered or extended: ``rows`` are old row numbers, -1 = a new, unlearnt row."""
        index = np.asarray(rows, dtype=np.intp)
        if not len(self.samples):
            return Baseline.unlearnt(len(index), self.methods)
        new = index < 0
        samples, level = self.samples[index], self.level[index]
        samples[new], level[new] = 0, np.nan
        parts = [part[:, index] for part in (self.center, self.scale, self.degrees, self.reach)]
        for part in parts:
            part[:, new] = np.nan
        return Baseline(self.methods, samples, level, *parts)


def carried(values: Array, before: Array) -> Array:
    """The last sample before each column of (S, K), ``before`` (S,) being the one ahead of column 0."""
    result = np.empty_like(values)
    if not values.shape[1]:
        return result
    result[:, 0] = before
    result[:, 1:] = values[:, :-1]
    gappy = np.flatnonzero(np.isnan(result[:, 1:]).any(axis=1))
    for column in range(1, values.shape[1] if gappy.size else 0):
        missing = gappy[np.isnan(result[gappy, column])]
        result[missing, column] = result[missing, column - 1]
    return result


def fit(
    timestamps: object,
    values: object,
    *,
    learn: object = None,
    methods: str | Sequence[str] = AUTO,
    previous: Baseline | None = None,
) -> Baseline:
    """Learn a baseline of each row from its samples; ``timestamps`` (T,), ``values`` (S, T) or (T,), NaN = gap.

    ``learn`` (S, T) is a mask of what may be learnt from (default: all). Outliers among it are set aside (``esd``).
    A row with fewer than ``MIN_LEARN`` samples to learn from keeps its row of ``previous``, else it is not ready.
    Raises ValueError for an unknown method and for shapes that do not fit.
    """
    block = as_block(values)
    as_times(timestamps, block.shape[1])
    if learn is not None:
        mask = np.asarray(learn, dtype=bool)
        if mask.reshape(-1, block.shape[1]).shape != block.shape:
            raise ValueError(f"learn has the shape of the values, {block.shape}, not {mask.shape}")
        block[~mask.reshape(block.shape)] = np.nan
    names = resolve_methods(methods)
    if previous is not None and (previous.methods != names or len(previous.samples) != len(block)):
        raise ValueError("the previous baseline has other methods or another number of rows")
    return fit_block(block, names, previous)


def fit_block(block: Array, methods: tuple[str, ...], previous: Baseline | None) -> Baseline:
    """``fit`` for a contiguous (S, T) block whose only unusable samples are NaN."""
    sample = summarise(block, moves="rate_change" in methods)
    learnt = [PREDICT[name](sample) for name in methods]
    # Of n samples at most n // 3 are set aside, so that a row with enough samples may end below the limit: it is ready.
    samples = np.where(sample.all_count >= MIN_LEARN, np.maximum(sample.count, MIN_LEARN), 0).astype(np.int64)
    center = np.array([part.center for part in learnt])
    scale = np.array([part.scale for part in learnt])
    degrees = np.array([part.degrees for part in learnt])
    level = sample.median
    if sample.rescale is not None:
        level, center, scale = level * sample.rescale, center * sample.rescale, scale * sample.rescale
    reach = scale * t_of_sigma(combine.entry(len(methods)), degrees)
    fresh = samples >= MIN_LEARN
    if not fresh.all():
        kept = Baseline.unlearnt(len(block), methods) if previous is None else previous
        samples = np.where(fresh, samples, kept.samples)
        level = np.where(fresh, level, kept.level)
        center, scale = np.where(fresh, center, kept.center), np.where(fresh, scale, kept.scale)
        degrees, reach = np.where(fresh, degrees, kept.degrees), np.where(fresh, reach, kept.reach)
    return Baseline(methods, samples, level, center, scale, degrees, reach)


def score_block(baseline: Baseline, values: Array, previous: Array) -> Scores:
    """Score (S, K) samples, given the last sample before each of them, (S, K)."""
    methods, many = baseline.methods, len(baseline.methods)
    center = np.empty((many, *values.shape))
    center[...] = baseline.center[:, :, None]
    if "rate_change" in methods:
        center[methods.index("rate_change")] = np.where(np.isnan(baseline.scale[0])[:, None], np.nan, previous)
    with np.errstate(over="ignore"):
        sigmas = sigma_of_t((values - center) / baseline.scale[:, :, None], baseline.degrees[:, :, None])
    if "rate_change" in methods:
        m = methods.index("rate_change")
        back = ~rate_change.away(values, previous, baseline.level[:, None])
        sigmas[m][back & ~np.isnan(sigmas[m])] = 0.0
    return strongest_of(sigmas, center, baseline.reach, methods)


def strongest_of(sigmas: Array, center: Array, reach: Array, methods: tuple[str, ...]) -> Scores:
    """Combine (M, S, K) sigmas about ``center`` (M, S, K) with bands of ``reach`` (M, S) into one opinion."""
    magnitude = np.abs(sigmas)
    silent = np.isnan(magnitude)
    magnitude[silent] = -1.0
    best = magnitude.argmax(axis=0)
    row, column = np.arange(len(best))[:, None], np.arange(best.shape[1])
    sigma, expected = sigmas[best, row, column], center[best, row, column]
    nothing = np.isnan(sigma)
    width = reach[best, row]
    expected[nothing] = np.nan
    combined = combine.honest(sigma, len(methods))
    agreeing = np.zeros(sigma.shape, np.uint32)
    loud = np.abs(sigma) >= ANOMALOUS
    if loud.any():
        agreeing[loud] = combine.agreement(sigmas[:, loud], sigma[loud])
    strongest = best.astype(np.int8)
    strongest[nothing] = -1
    course = np.zeros(sigma.shape, np.int8)
    return Scores(expected, expected - width, expected + width, combined, strongest, agreeing, course, methods)
