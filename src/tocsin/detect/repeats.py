"""What the named methods say of a series that is young, where as much came before. Pure.

What stands out teaches them nothing, so that what comes each few minutes would stand out more each time. Where as much
came twice already among the last samples, and for as long, the third time is as improbable as its share of them, and no
more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.base import METHODS, Scores
from tocsin.detect.calibrate import ANOMALOUS, Array, sigma_of_log_tail

AS_FAR = 0.8
"""An excursion that went so far, of how far the sample is now, went as far."""

CALM = 0.5
"""Samples that are less than this share as far lie between two excursions."""

LONGER = 2
"""One that lasts more than so many times as long as another is none of its kind."""

TWICE = 2
"""After so many excursions the next is no news: the second may still be an incident that comes again."""

LONGEST = 1440
"""So many samples are looked back on at most."""

_PAIRS = 1 << 20
_MOVES = METHODS.index("rate_change")

Mask = NDArray[np.bool_]
Ints = NDArray[np.intp]


class Past(NamedTuple):
    """``values`` (S, T) with what was said of the last K of them, the samples that are ``usable`` (S, T), and how many
    columns before each there are to look back on.
    """

    values: Array
    usable: Mask
    window: int


def tempered(said: Scores, past: Past) -> Array:
    """The sigma (S, K) of ``said`` by the named methods, taken back where as much came ``TWICE`` before: to the sigma
    of the tail that so many excursions are of the samples looked back on. In whatever parts columns come, the same.
    """
    sigma = said.sigma.copy()
    first = past.values.shape[1] - sigma.shape[1]
    rows, columns = np.nonzero(np.abs(sigma) >= ANOMALOUS)
    back = min(past.window, LONGEST)
    at_once = max(1, _PAIRS // back)
    for start in range(0, rows.size, at_once):
        row, column = rows[start : start + at_once], columns[start : start + at_once]
        size = past.values[row, first + column] - said.expected[row, column]
        moves = said.strongest[row, column] == _MOVES
        share = _shares(past, (row, first + column), said.expected[row, column], moves, back) / size[:, None]
        most = _most(share)
        sigma[row, column] = np.copysign(np.minimum(np.abs(sigma[row, column]), most), sigma[row, column])
    return sigma


def _shares(past: Past, where: tuple[Ints, Ints], expected: Array, moves: Mask, back: int) -> Array:
    """(n, back): how far the samples before each of n are from what is ``expected`` now, the newest first; for what is
    said of how a series ``moves``, how far they moved. NaN where there is none.
    """
    row, column = where[0][:, None], where[1][:, None] - np.arange(1, back + 1)
    before = _samples(past, row, column)
    away = before - expected[:, None]
    if moves.any():
        away[moves] = (before - _samples(past, row, column - 1))[moves]
    return away


def _samples(past: Past, row: Ints, column: Ints) -> Array:
    inside = np.maximum(column, 0)
    there = (column >= 0) & past.usable[row, inside]
    result: Array = np.where(there, past.values[row, inside], np.nan)
    return result


def _most(share: Array) -> Array:
    """(n,): the largest sigma that shares (n, back), the newest first, leave."""
    known = ~np.isnan(share)
    far, calm = known & (share >= AS_FAR), known & (share < CALM)
    # Backwards, each excursion begins after calm; the one of now before any.
    number = np.cumsum(calm, axis=1) + np.arange(len(share))[:, None] * (share.shape[1] + 1)
    size = len(share) * (share.shape[1] + 1)
    length, went = (
        np.bincount(number[which], minlength=size).reshape(len(share), -1) for which in (known & ~calm, far)
    )
    lasts = length[:, :1] + 1
    came = ((went > 0) & (LONGER * length >= lasts))[:, 1:].sum(axis=1)
    tail = came / (known.sum(axis=1) + 1.0)
    result: Array = np.full(len(share), np.inf)
    again = came >= TWICE
    result[again] = sigma_of_log_tail(np.log(tail[again]))
    return result
