"""What is told of a sample: what it says and what its neighbours said, against how often as much came before. Pure.

A deviation that lasts says more than one of a single sample: to each sigma a share of its moving mean is added, as in a
chart of an exponentially weighted mean (Roberts 1959). And one as large as that may have come before: excursions are
counted by their peak, and the logarithm of how many came over how many were to be expected, both shrunk (a Poisson rate
with a gamma prior), is taken off. Right after a sample that nearly stood out no other is called calm.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto.sparse import Singles, hold_back
from tocsin.detect.auto.state import PEAKS, AutoState
from tocsin.detect.calibrate import ANOMALOUS, NEARLY, SIGMA_CAP, Array

MEMORY = 0.15
"""The weight of the newest sample in the moving mean: it looks back on about six."""

HEARD = 2.0
"""No sample adds more than this to the mean: one spike does not make the next sample an anomaly."""

LASTING = 0.45
"""The share of the mean that is added."""

LOWEST = 2.0
"""The sigma from which a sample belongs to an excursion, the lowest level of the counts."""

LEVEL = 0.25
"""The width of a level, in sigma. Peaks a level below count as high enough."""

EXPECTED = 0.11
"""Excursions a day that reach 3 sigma in a usual series; ``FALL`` nats fewer for each sigma above."""

FALL = 1.5

PRIOR = 0.5
"""What is added to both what came and what was to be expected: little history says little."""

MOST = 0.9
"""No past takes off more sigma than this: a fault that comes again and again is still found."""

LONGEST_HOURS = 4
"""An excursion that lasts longer counts again: a series that is never calm has many."""

AFTER = NEARLY - 0.05
"""What is told at least right after a sample of ``NEARLY``: too little to begin an alert, or to hold one."""

FADING = 0.004
"""The share by which that fades with each sample."""

WARY = 50
"""So many samples after it."""

_EXPECTED = EXPECTED * np.exp(-FALL * (LOWEST + LEVEL * (np.arange(PEAKS) + 0.5) - ANOMALOUS))
_STEPS = LEVEL * np.arange(PEAKS)

Flags = NDArray[np.bool_]


class Samples(NamedTuple):
    """Of samples (S, K) those that are ``seen``, those that are no precedent and add nothing to what follows
    (``mute``), those to which nothing is added (``back``), and the ``single`` events among them.
    """

    seen: Flags
    mute: Flags
    back: Flags
    single: Singles


class Told(NamedTuple):
    """``sigma`` (S, K) with its sign, where an anomaly is ``held`` back; ``changes``, what the state keeps of it."""

    sigma: Array
    held: Flags
    changes: dict[str, Any]


def tell(state: AutoState, sigma: Array, samples: Samples) -> Told:
    """From the voices' ``sigma`` (S, K) to the one that is told.

    From single events the past takes off without an end; what turns out to be more is told as if it had never been
    taken for one.
    """
    seen, mute, back, single = samples
    said = np.where(seen, np.abs(sigma), 0.0)
    means = _means(state.lasting, np.where(mute, 0.0, np.minimum(said, HEARD)))
    sums = said + np.where(back, 0.0, LASTING * means)
    kept = {name: getattr(state, name).copy() for name in ("peaks", "peak", "peak_begun", "last_hot")}
    table = _table(state.peaks, state.mass / state.grid.a_day)
    less = _less(sums, table, np.arange(len(sums))[:, None])
    hot = (sums >= LOWEST) & seen & ~mute
    for row in np.flatnonzero(hot.any(axis=1)):
        _count(state, int(row), kept, sums=sums[row], hot=hot[row], less=less[row])
    # Below the lowest level in proportion.
    share = np.minimum(sums / LOWEST, 1.0)
    told = sums - np.minimum(less, MOST) * share
    held, held_back = np.zeros(told.shape, bool), np.zeros_like(state.held_back)
    if single.rows.size:
        ordinary, one = told[single.rows], single.now | single.over
        held[single.rows] = one & (ordinary >= ANOMALOUS)
        held_back[single.rows], least = hold_back(state.held_back[single.rows], ordinary, single)
        lone = np.maximum((sums - less * share)[single.rows], 0.0)
        told[single.rows] = np.maximum(np.where(one, lone, ordinary), least)
    told, near = _wary(state, told, seen & ~mute)
    kept |= {"lasting": means[:, -1].copy(), "last_near": near, "event": single.event, "held_back": held_back}
    return Told(np.copysign(np.minimum(told, SIGMA_CAP), sigma), held, kept)


def _wary(state: AutoState, told: Array, counts: Flags) -> tuple[Array, NDArray[np.int64]]:
    """What is told at last, and the age of the last sample that nearly stood out, of those that ``counts``."""
    near = (told >= NEARLY) & counts
    recent = near.any(axis=1) | (state.age - state.last_near <= WARY)
    if not recent.any():
        return told, state.last_near
    rows = np.flatnonzero(recent)
    ages = state.age[rows, None] + np.arange(told.shape[1])
    known = np.concatenate([state.last_near[rows, None], np.where(near[rows], ages, np.iinfo(np.int64).min)], axis=1)
    last = np.maximum.accumulate(known, axis=1)
    since = ages - last[:, :-1]
    result, after = told.copy(), state.last_near.copy()
    result[rows] = np.maximum(told[rows], np.where(since <= WARY, AFTER * (1.0 - FADING * since), 0.0))
    after[rows] = last[:, -1]
    return result, after


def _means(before: Array, heard: Array) -> Array:
    """(S, K): the moving mean after each column; the same in whatever parts they come."""
    if len(heard) >= heard.shape[1]:
        return np.stack(_means_of(before, heard.T), axis=1)
    return np.array([_means_of(*row) for row in zip(before.tolist(), heard.tolist(), strict=True)])


def _means_of(mean: Any, heard: Iterable[Any]) -> list[Any]:
    share = MEMORY
    return [mean := mean + share * (new - mean) for new in heard]


def _count(state: AutoState, row: int, kept: dict[str, Any], *, sums: Array, hot: Flags, less: Array) -> None:
    """Go from excursion to excursion; each is counted when the next begins, and what is taken off from there on
    (``less``, in place) knows it.
    """
    age, a_day = int(state.age[row]), state.grid.a_day
    apart, longest = max(a_day // 24, 1), max(LONGEST_HOURS * a_day // 24, 1)
    begun, last, peak = int(kept["peak_begun"][row]), int(kept["last_hot"][row]), float(kept["peak"][row])
    peaks, where = kept["peaks"][row], np.flatnonzero(hot)
    begins, known = [], []
    for column, height in zip(where.tolist(), sums[where].tolist(), strict=True):
        now = age + column
        if now - last > apart or now - begun >= longest:
            if peak > 0:
                peaks[min(int((peak - LOWEST) / LEVEL), PEAKS - 1)] += 1.0
                begins.append(column)
                known.append(peaks.copy())
            begun, peak = now, 0.0
        peak, last = max(peak, height), now
    if known:
        tables = _table(np.stack(known), np.full(len(known), state.mass[row] / a_day))
        which = np.searchsorted(begins, np.arange(begins[0], len(sums)), side="right") - 1
        less[begins[0] :] = _less(sums[begins[0] :], tables, which)
    kept["peak_begun"][row], kept["last_hot"][row], kept["peak"][row] = begun, last, peak


def _less(sums: Array, table: Array, rows: NDArray[np.intp]) -> Array:
    """What the past takes off sums, in ``rows`` of ``table`` (n, PEAKS): between the middles of two levels in
    proportion, so that a larger deviation is never told less than a smaller one.
    """
    place = np.minimum(np.maximum((sums - LOWEST) / LEVEL - 0.5, 0.0), PEAKS - 1.0)
    level = np.minimum(place.astype(np.int64), PEAKS - 2)
    here = table[rows, level]
    result: Array = here + (table[rows, level + 1] - here) * (place - level)
    return result


def _table(peaks: NDArray[np.float32], days: Array) -> Array:
    """(S, PEAKS): what the past takes off at each level, of counts (S, PEAKS) and the ``days`` (S,) they are of. From
    one level to the next it grows by no more than the level.
    """
    high = peaks[:, ::-1].cumsum(axis=1, dtype=np.float64)[:, ::-1]
    came = np.concatenate([high[:, :1], high[:, :-1]], axis=1)
    less = np.log((came + PRIOR) / (days[:, None] * _EXPECTED + PRIOR))
    result: Array = np.minimum.accumulate(np.maximum(less, 0.0) - _STEPS, axis=1) + _STEPS
    return result
