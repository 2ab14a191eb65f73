"""Long rows, all methods at once: sigma is a cubic of two deviations; what is far out is left to the formulas."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tocsin.detect import iqr, mad
from tocsin.detect.calibrate import Array
from tocsin.detect.order import chunks, scratch
from tocsin.detect.rate_change import degrees_of
from tocsin.detect.rolling import Index, bridges
from tocsin.detect.sample import Sample, summarise
from tocsin.detect.student import sigma_of_t

CURVED_FROM = 400
"""Rows with fewer clean samples are computed one by one: their curve is no cubic."""

REACH = 2.95
"""The cubic is used up to so many standard deviations; error below 1e-4."""

_PREDICT = {"iqr": iqr.predict, "mad": mad.predict}
_TERMS = 6
_RANGE = 1e90


class Curves(NamedTuple):
    """For each row the coefficients (S, M, 6) of 1, d, d^2, d^3, c, c^3, with d from the median and c the change.

    Deviations with d^2 above ``square`` and changes with c^2 above ``move_square`` (S,) are not on the curve.
    """

    terms: Array
    square: Array
    move_square: Array


class Places(NamedTuple):
    """Places in the flat block: ``gaps``, samples ``far`` out, ``changed`` ones with the one ``before`` (-1: none)."""

    gaps: Index
    far: Index
    changed: Index
    before: Index


def curved(sample: Sample) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Rows long enough for the curve, on which no floor is near the scale."""
    least = 2.0 * sample.floor
    move = np.sqrt(sample.move_squares / np.maximum(sample.moves, 1.0))
    result: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
        (sample.count >= CURVED_FROM)
        & (sample.moves >= CURVED_FROM)
        & (sample.deviation > least)
        & (sample.deviation > 1.0 / _RANGE)
        & (sample.deviation < _RANGE)
        & (move > least * np.sqrt(2.0))
    )
    return result


def curves(sample: Sample, methods: tuple[str, ...]) -> Curves:
    """The curves of rows that are ``curved``."""
    terms = np.zeros((len(sample.count), len(methods), _TERMS))
    shift = sample.mean - sample.median
    reach = np.full(len(shift), np.inf)
    for m, name in enumerate(methods):
        number = sample.moves.astype(np.intp) if name == "rate_change" else sample.count
        unit = _unit(name, sample)
        linear, cubic = (part / power for part, power in zip(_table(name, number), (unit, unit**3), strict=True))
        if name == "rate_change":
            terms[:, m, 4], terms[:, m, 5] = linear, cubic
        elif name == "zscore":
            slope = cubic * shift
            terms[:, m, 0] = -shift * (linear + slope * shift)
            terms[:, m, 1] = linear + 3.0 * slope * shift
            terms[:, m, 2], terms[:, m, 3] = -3.0 * slope, cubic
            reach = np.minimum(reach, REACH * unit - np.abs(shift))
        else:
            terms[:, m, 1], terms[:, m, 3] = linear, cubic
            reach = np.minimum(reach, REACH * unit)
    offset = sample.level - sample.median
    aside = np.minimum(np.abs(sample.lower + offset), np.abs(sample.upper + offset)) * (1.0 - 1e-9)
    reach = np.maximum(np.minimum(reach, aside), 0.0)
    return Curves(terms, reach * reach, REACH * REACH * sample.move_squares / sample.moves)


def _unit(name: str, sample: Sample) -> Array:
    """The scale in which the curve of a method counts; (S,)."""
    if name == "rate_change":
        return np.sqrt(sample.move_squares / sample.moves)
    return sample.deviation if name == "zscore" else _PREDICT[name](sample).scale


def _table(name: str, number: Index) -> tuple[Array, Array]:
    different, where = np.unique(number, return_inverse=True)
    table = np.array([_coefficients(name, n) for n in different.tolist()]).reshape(-1, 2)[where]
    return table[:, 0], table[:, 1]


@lru_cache(maxsize=16384)
def _coefficients(name: str, count: int) -> tuple[float, float]:
    """The ratio sigma / z as a line in z^2, for a sample of ``count`` with itself among them, z up to ``REACH``."""
    nodes = 0.5 * (1.0 + np.cos(np.pi * (np.arange(12) + 0.5) / 12))
    z = REACH * np.sqrt(nodes)
    t = z
    if name == "zscore":
        t = z * np.sqrt((count / (count - 1.0)) * (count - 2.0) / (count - 1.0 - z * z * (count / (count - 1.0))))
        degrees = count - 2.0
    elif name == "rate_change":
        t = z * np.sqrt((count - 1.0) / (count - z * z))
        degrees = float(degrees_of(np.array(count - 1.0)))
    else:
        degrees = _degrees_by_count(name, count)
    powers = np.stack([np.ones_like(z), z**2], axis=1)
    best = np.linalg.lstsq(powers * z[:, None], sigma_of_t(t, np.full_like(z, degrees)), rcond=None)[0]
    return float(best[0]), float(best[1])


def _degrees_by_count(name: str, count: int) -> float:
    ramp = np.arange(count, dtype=np.float64)[None]
    return float(_PREDICT[name](summarise(ramp, moves=False)).degrees[0])


def write_curves(values: Array, sample: Sample, methods: tuple[str, ...], out: Array) -> Places:
    """Write the curves' sigmas (M, S, T) of rows that are ``curved`` into ``out``; say what is not on the curve.

    Gaps are NaN, changes back towards the level 0.
    """
    found = curves(sample, methods)
    parts = [_write(values[part], sample, found, out[:, part], part) for part in chunks(*values.shape)]
    if "rate_change" in methods:
        out[methods.index("rate_change"), :, 0] = np.nan
    places = Places(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    out[:, places.gaps // values.shape[1], places.gaps % values.shape[1]] = np.nan
    return places


def _write(values: Array, sample: Sample, found: Curves, out: Array, part: slice) -> Places:
    """One chunk, through the cache once."""
    terms = found.terms[part]
    basis = scratch("basis", (_TERMS, *values.shape))
    one, distance, square, cube, change, change_cube = basis
    one.fill(1.0)
    np.subtract(values, sample.median[part, None], out=distance)
    np.multiply(distance, distance, out=square)
    flags = scratch("flags", values.shape, np.bool_)
    nothing = gaps = changed = before = np.empty(0, dtype=np.intp)
    if (sample.all_count[part] < values.shape[1]).any():
        gaps = np.flatnonzero(np.isnan(distance, out=flags))
    far = np.flatnonzero(np.greater(square, found.square[part, None], out=flags))
    if terms[:, :, 4].any():
        _changes(values, square, change)
        dirty = _dirty(values, sample, part, gaps, far)
        start, after, behind = bridges(dirty, values.shape[1]) if dirty.size else (nothing, nothing, nothing)
        change.reshape(-1)[dirty] = change.reshape(-1)[after] = 0.0
        np.multiply(change, change, out=change_cube)
        loud = np.flatnonzero(np.greater(change_cube, found.move_square[part, None], out=flags))
        np.multiply(change, change_cube, out=change_cube)
        changed, before = np.concatenate((dirty, after, loud)), np.concatenate((start, behind, loud - 1))
    else:
        basis, terms = basis[:4], terms[:, :, :4]
    for place in (far, gaps):
        distance.reshape(-1)[place] = square.reshape(-1)[place] = 0.0
    np.multiply(distance, square, out=cube)
    np.matmul(terms, basis.transpose(1, 0, 2), out=out.transpose(1, 0, 2))
    first = part.start * values.shape[1]
    return Places(gaps + first, far + first, changed + first, np.where(before < 0, -1, before + first))


def _changes(values: Array, square: Array, change: Array) -> None:
    """Write what each sample differs from the one before it, 0 where that leads back (``square``: of the distances)."""
    flat, squares, back = values.reshape(-1), square.reshape(-1), scratch("back", (values.size,))
    # One long operation and not one a row; what that puts into a row's first column is no change.
    np.subtract(flat[1:], flat[:-1], out=change.reshape(-1)[1:])
    change[:, 0] = 0.0
    np.subtract(squares[:-1], squares[1:], out=back[1:])
    back[0] = 0.0
    # The sign bit, drawn out over the whole word, keeps the change where the square grew and clears it elsewhere.
    sign, bits = back.view(np.int64), change.reshape(-1).view(np.int64)
    np.right_shift(sign, 63, out=sign)
    np.bitwise_and(bits, sign, out=bits)


def _dirty(values: Array, sample: Sample, part: slice, gaps: Index, far: Index) -> Index:
    """The places that are not clean, ascending: gaps and those of the ``far`` ones that were set aside."""
    row = far // values.shape[1] + part.start
    distance = values.reshape(-1)[far] - sample.level[row]
    aside = far[(distance < sample.lower[row]) | (distance > sample.upper[row])]
    return np.sort(np.concatenate((gaps, aside))) if gaps.size else aside
