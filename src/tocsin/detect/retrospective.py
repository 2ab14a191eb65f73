"""Every sample of a recorded block against the others: four methods, one sigma scale, fast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tocsin.detect.base import as_block, resolve_methods
from tocsin.detect.baseline import PREDICT
from tocsin.detect.calibrate import Array
from tocsin.detect.curve import curved, write_curves
from tocsin.detect.rate_change import degrees_of
from tocsin.detect.rolling import Index, previous_of
from tocsin.detect.sample import Sample, summarise
from tocsin.detect.student import sigma_of_t

FEWEST = {"zscore": 3, "iqr": 4, "mad": 4, "rate_change": 3}
"""With fewer other samples (changes) than this a method has no opinion; quartiles need four."""

BLOCK_SAMPLES = 1 << 21
FENCED_ABOVE = 100


def sigmas(values: object, methods: str | Sequence[str] = "auto", *, out: Array | None = None) -> Array:
    """The signed sigma of every sample by every method: (S, T) or (T,) in, (M, S, T) out, NaN = no opinion.

    On rows of ``CURVED_FROM`` samples and more what is within 2.95 standard deviations is read off a cubic fitted to
    the exact curve for that count (error below 1e-4); all beyond, and all of shorter rows, is computed.
    ``out`` is written to and returned where it is given: fresh memory costs more than the arithmetic.
    Raises ValueError for an unknown method or another number of dimensions.
    """
    source = np.atleast_2d(np.asarray(values, dtype=np.float64))
    names = resolve_methods(methods)
    result = np.empty((len(names), *source.shape)) if out is None else out
    if source.ndim != 2 or result.shape != (len(names), *source.shape):
        raise ValueError(f"values {source.shape} are (T,) or (S, T), and out is (methods, S, T), not {result.shape}")
    if not source.size:
        return result
    rows = max(1, BLOCK_SAMPLES // source.shape[1])
    for start in range(0, len(source), rows):
        part = _block(source[start : start + rows])
        sample = summarise(part, fenced=source.shape[1] > FENCED_ABOVE)
        score_rows(part, sample, names, result[:, start : start + rows])
    return result


def _block(values: Array) -> Array:
    """Contiguous rows in which whatever is not finite is a gap; a copy only where that is needed."""
    part = np.ascontiguousarray(values)
    with np.errstate(over="ignore", invalid="ignore"):
        # One reduction says whether all is finite and far from the largest float.
        plain = bool(np.isfinite(np.vecdot(part, part)).all())
    return part if plain else as_block(part)


def score_rows(values: Array, sample: Sample, methods: tuple[str, ...], out: Array) -> None:
    """Write the sigmas (M, S, T) of rows whose ``sample`` has been learnt into ``out``."""
    if sample.rescale is not None:
        values = values / sample.rescale[:, None]
    on_curve = curved(sample)
    for rows, write in ((np.flatnonzero(on_curve), _write_curved), (np.flatnonzero(~on_curve), _write_exact)):
        if rows.size == len(values):
            write(values, sample, methods, out)
        elif rows.size:
            part = np.empty((len(methods), rows.size, values.shape[1]))
            write(values[rows], sample.rows(rows), methods, part)
            out[:, rows] = part


@dataclass(frozen=True)
class Deviations:
    """What the formulas of one method need: deviations and where they count as left out; flat or (S, T)."""

    distance: Array
    kept: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def _exact(name: str, given: Deviations, row: Sample, at: Index | None = None) -> Array:
    """The sigma of deviations (S, T), or of single ones of the rows ``at``, by the exact formulas."""

    def spread(column: Array) -> Array:
        result: Array = column[:, None] if at is None else column[at]
        return result

    distance, kept = given.distance, given.kept
    count = spread(sample_count(row))
    floor = spread(row.floor)
    if name == "zscore":
        others = count - kept
        share = np.where(kept, count / np.maximum(others, 1.0), 1.0)
        left = np.maximum(spread(row.squares) - np.where(kept, distance * distance * share, 0.0), 0.0)
        scale = np.maximum(np.sqrt(left / np.maximum(others - 1.0, 1.0)), floor)
        t = distance * share / (scale * np.sqrt(1.0 + 1.0 / np.maximum(others, 1.0)))
        degrees = np.maximum(others - 1.0, 1.0)
    elif name == "rate_change":
        others = spread(row.moves) - kept
        left = np.maximum(spread(row.move_squares) - np.where(kept, distance * distance, 0.0), 0.0)
        scale = np.maximum(np.sqrt(left / np.maximum(others, 1.0)), floor * math.sqrt(2.0))
        t, degrees = distance / scale, degrees_of(np.maximum(others, 1.0))
    else:
        others = count - kept
        predicted = PREDICT[name](row)
        t, degrees = distance / spread(predicted.scale), spread(predicted.degrees)
    result = sigma_of_t(t, np.broadcast_to(degrees, t.shape))
    result[np.broadcast_to(others < FEWEST[name], result.shape)] = np.nan
    return result


def sample_count(sample: Sample) -> Array:
    """The number of clean samples as floats; (S,)."""
    return sample.count.astype(np.float64)


def _write_exact(values: Array, sample: Sample, methods: tuple[str, ...], out: Array) -> None:
    kept = sample.kept(values)
    for m, name in enumerate(methods):
        with np.errstate(over="ignore"):
            if name == "rate_change":
                before = previous_of(values, kept)
                out[m] = _exact(name, Deviations(values - before, kept), sample)
                back = np.abs(values - sample.median[:, None]) <= np.abs(before - sample.median[:, None])
                out[m][back & ~np.isnan(out[m])] = 0.0
            else:
                center = sample.mean if name == "zscore" else sample.median
                out[m] = _exact(name, Deviations(values - center[:, None], kept), sample)


def _write_curved(values: Array, sample: Sample, methods: tuple[str, ...], out: Array) -> None:
    width, flat = values.shape[1], values.reshape(-1)
    places = write_curves(values, sample, methods, out)

    def kept(row: Index, place: Index) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        distance = flat[place] - sample.level[row]
        result: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = (distance >= sample.lower[row]) & (
            distance <= sample.upper[row]
        )
        return result

    row, column = np.divmod(places.far, width)
    clean = kept(row, places.far)
    for m, name in enumerate(methods):
        if name != "rate_change":
            center = sample.mean if name == "zscore" else sample.median
            given = Deviations(flat[places.far] - center[row], clean)
            out[m, row, column] = _exact(name, given, sample, row)
            continue
        at, where = np.divmod(places.changed, width)
        now, before = flat[places.changed], np.where(places.before < 0, np.nan, flat[places.before])
        sigma = _exact(name, Deviations(now - before, kept(at, places.changed)), sample, at)
        back = np.abs(now - sample.median[at]) <= np.abs(before - sample.median[at])
        sigma[back & ~np.isnan(sigma)] = 0.0
        out[m, at, where] = sigma
