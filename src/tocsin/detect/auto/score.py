"""From samples to one number: nine voices to tail probabilities, averaged, discounted, put on the sigma scale."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto.medians import median_of
from tocsin.detect.auto.ruler import FAR, FAR_NATS, LARGEST, LOWEST, nats
from tocsin.detect.auto.state import LEAD, SIDED, VOICES, AutoState
from tocsin.detect.auto.voices import residuals, voice_floors
from tocsin.detect.calibrate import ANOMALOUS, SIGMA_CAP, Array, log_tail_of, sigma_of_log_tail

GAIN, FINE = 0.95, 0.075
"""Nats are multiplied by this before they become sigma, so that 3 sigma is about the default dial; at a step below a
minute, of which a day has more, by the ``FINE``-th power of its minutes as well.
"""

DOUBT, DOUBT_POWER = 0.8, 1.5
"""How much a short history counts against a verdict, see ``discount``."""

QUICK_SHARE = 0.9
"""What the mean of the quick voices alone counts: an onset need not wait for the slow ones, which hear it late."""

SAMPLE_SHARE, LONE_STEP_S = 0.75, 300.0
"""What the mean of the four voices counts that hear a single sample well, at such a step and beyond: there one sample
alone may be an incident.
"""

LOUDEST = 0.5
"""What the loudest of those four counts in their mean: where so few speak alone one that shouts does not carry it."""

EDGE, EDGE_LEFT = 0.5, 0.12
"""Near a step of the season, as where a job begins every night, such a share of it is added to the scale of the voices
that look at samples: it may come some minutes sooner or later. The second is of those that the season is taken off for.
"""

SHARP = VOICES.index("volatility")
"""So many of the first voices measure in the unit of the values, and look at the last hour at most."""

STEEP = 4.0
"""A change of the season from one bin to the next is a step beyond so many times the median one."""

SURE = 12.0
"""Beyond so many it comes every day: ``change`` and ``spike`` hear what is more than the step that is due."""

SHIFT_BEFORE = 59, 9
"""The columns back with which ``shift`` compares: five times ten before the newest ten."""

SLOW_CAP = 12.0
"""A slow voice says no more nats than this: a series may stay at a new level for days, and that alone is no alert."""

SLOW, _LEVEL, _SHIFT = VOICES.index("shape"), VOICES.index("level"), VOICES.index("shift")
"""The first of the slow voices; before ``level`` are those that compare with single samples."""

_SIGNED = [VOICES.index(name) for name in VOICES if name in SIDED]
_EDGES = np.where([name in ("level", "step") for name in VOICES[:SHARP]], EDGE_LEFT, EDGE)
_SIDES = np.array([name in SIDED for name in VOICES])
_NATS = np.linspace(0.0, 48.0, 961)
_SIGMA = sigma_of_log_tail(-_NATS)
_LIMIT = float(-log_tail_of(np.array([ANOMALOUS]))[0])


class Stretch(NamedTuple):
    """Columns that are looked at together: ``values`` (S, ``LEAD`` + K) in the rows' own unit, gaps filled, what of
    them is ``season``, and their ``bins`` (``LEAD`` + K,) of the day.
    """

    values: Array
    season: Array
    bins: NDArray[np.intp]

    def rows(self, rows: NDArray[np.intp] | slice) -> Stretch:
        """Some rows of it."""
        return Stretch(self.values[rows], self.season[rows], self.bins)


class Verdicts(NamedTuple):
    """``sigma``, ``expected``, ``lower``, ``upper`` (S, K), in the values' own unit; ``size`` is |z|, ``log_z`` its
    logarithm, bounded, ``below`` whether z is below zero (9, S, K).
    ``level`` and ``deseasoned`` are what was expected and what came, in the row's own unit without the season;
    ``followed`` is the level that the newest samples alone give.

    ``strongest`` (S, K) is an index into ``VOICES``; ``agreeing`` has bit v where voice v alone would be at 3 sigma.
    """

    sigma: Array
    expected: Array
    lower: Array
    upper: Array
    strongest: NDArray[np.int8]
    agreeing: NDArray[np.uint16]
    size: Array
    log_z: Array
    below: NDArray[np.bool_]
    level: Array
    followed: Array
    deseasoned: Array
    season: Array


def verdicts(state: AutoState, stretch: Stretch) -> Verdicts:
    """Judge the columns after the first ``LEAD``. Rows that are not ``ready`` get sigma 0."""
    values, season, bins = stretch
    hours = bins[LEAD:] * state.grid.hours // state.grid.bins
    deseasoned = values - season
    found = residuals(values, deseasoned, values.shape[1] - LEAD, state)
    least = voice_floors(state)[:, :, None]
    usual = state.scale.transpose(1, 0, 2)[:, :, hours].astype(np.float64)
    scale = np.sqrt(usual * usual + least * least)
    due, sure = steps_due(state, stretch)
    if due.any():
        there = _EDGES[:, None, None] * due
        scale[:SHARP] = np.sqrt(np.square(scale[:SHARP]) + there * there)
        if state.grid.step_s < LONE_STEP_S:
            raw = found.parts[:_LEVEL]
            raw[:] = np.copysign(np.maximum(np.abs(raw) - sure, 0.0), raw)
    z = found.parts / scale
    below = z < 0
    log_z = np.log(np.minimum(np.maximum(np.abs(z, out=z), LOWEST * 1e-6), LARGEST))
    log_far, shape = (_side(part, below) for part in (state.log_far, state.shape))
    said = nats(log_z, log_far, shape)
    np.minimum(said[SLOW:], SLOW_CAP, out=said[SLOW:])
    damp = discount(state)[:, None]
    quick = said[:SLOW].sum(axis=0)
    every = quick + said[SLOW:].sum(axis=0)
    total = np.maximum(quick * (QUICK_SHARE / SLOW), every * (1.0 / len(VOICES)))
    if state.grid.step_s >= LONE_STEP_S:
        alone = said[:_SHIFT].sum(axis=0) - (1.0 - LOUDEST) * said[:_SHIFT].max(axis=0)
        total = np.maximum(total, alone * (SAMPLE_SHARE / (_SHIFT - 1.0 + LOUDEST)))
    total *= 1.0 / damp
    total[~state.ready] = 0.0
    sigma = np.interp(total, _NATS, _SIGMA)
    leaning = np.where(below[_SIGNED], -said[_SIGNED], said[_SIGNED]).sum(axis=0)
    strongest = said.argmax(axis=0).astype(np.int8)
    # A voice that only says "unlike" has no side of its own: it is that of the sample.
    leaning = np.where(_SIDES[strongest], leaning, deseasoned[:, LEAD:] - found.level)
    agreeing = np.zeros(sigma.shape, np.uint16)
    # What is told may be a sigma more than what these samples say, see ``precedent.py``.
    loud = sigma >= ANOMALOUS - 1.0
    if loud.any():
        each = said[:, loud] / np.broadcast_to(damp, sigma.shape)[loud] >= _LIMIT
        agreeing[loud] = (each << np.arange(len(VOICES))[:, None]).sum(axis=0)
    level = _spoken_of(state, deseasoned, found.level, np.where(loud, strongest, -1))
    expected = level + season[:, LEAD:]
    reach = scale[2] * _reach(state, damp)
    unit, offset = state.unit[:, None], state.offset[:, None]
    return Verdicts(
        np.minimum(np.copysign(sigma, leaning), SIGMA_CAP),
        expected * unit + offset,
        (expected - reach[1]) * unit + offset,
        (expected + reach[0]) * unit + offset,
        strongest,
        agreeing,
        z,
        log_z,
        below,
        level,
        found.level,
        deseasoned[:, LEAD:],
        season[:, LEAD:],
    )


def steps_due(state: AutoState, stretch: Stretch) -> tuple[Array, Array]:
    """How large a step of the season is due near each column, (S, K) in the row's own unit, beyond ``STEEP`` and beyond
    ``SURE`` times the median one; 0 where it is none.
    """
    bins, columns = stretch.bins, stretch.season.shape[1] - LEAD
    near, usual = np.zeros((state.rows, columns)), np.zeros((state.rows, 1))
    rows = np.flatnonzero(state.season > 0)
    if not rows.size:
        return near, near
    steps = np.zeros((rows.size, state.grid.bins + 1))
    steps[:, 1:-1] = np.abs(np.diff(state.profile[rows].astype(np.float64)))
    usual[rows, 0] = median_of(steps[:, 1:-1], 1)
    beside = np.maximum(steps[:, :-1], steps[:, 1:])
    beside[:, 1:] = np.maximum(beside[:, 1:], beside[:, :-1])
    near[rows] = beside[:, bins[LEAD:]]
    # From the last bin to the first the days meet, see ``seasons.over_midnight``.
    for first in (np.flatnonzero(bins[1:] < bins[:-1]) + 1).tolist():
        step = np.abs(stretch.season[rows, first] - stretch.season[rows, first - 1])[:, None]
        here = slice(max(first - LEAD, 0), max(first - LEAD + 2 * state.grid.a_day // state.grid.bins, 0))
        near[rows, here] = np.maximum(near[rows, here], step)
    return np.maximum(near - STEEP * usual, 0.0), np.maximum(near - SURE * usual, 0.0)


def _spoken_of(state: AutoState, deseasoned: Array, level: Array, strongest: NDArray[np.int8]) -> Array:
    """What is expected, without the season: the ``level`` that the newest samples give, or, where a slow voice is the
    ``strongest`` (-1 = nobody speaks), what that one compares with: the newest samples may have followed by then.
    """
    slow = (strongest > SLOW) | (strongest == _SHIFT)
    if not slow.any():
        return level
    result = np.where(slow, state.center[:, None], level)
    rows, columns = np.nonzero(strongest == _SHIFT)
    if rows.size:
        before = columns[:, None] + np.arange(LEAD - SHIFT_BEFORE[0], LEAD - SHIFT_BEFORE[1])
        result[rows, columns] = np.median(deseasoned[rows[:, None], before], axis=1)
    return result


def discount(state: AutoState) -> Array:
    """(S,): what nats are divided by, 1 / ``GAIN``, and more where the history is shorter than the memory.

    A quantile that rests on n samples beyond it is known to 1 / sqrt(n); with a whole memory, at any step, that is in
    ``GAIN``.
    """
    gain = GAIN * min(1.0, (state.grid.step_s / 60.0) ** FINE)
    whole = 1.0 + DOUBT / np.sqrt(state.grid.memory * FAR)
    part = 1.0 + DOUBT / np.sqrt(np.maximum(state.mass, 1.0) * FAR)
    result: Array = np.maximum(part / whole, 1.0) ** DOUBT_POWER / gain
    return result


def _side(part: NDArray[np.float32], below: NDArray[np.bool_]) -> Array:
    """(S, 9, 2) picked by the side of each sample: (9, S, K)."""
    ordered = part.astype(np.float64).transpose(1, 0, 2)
    result: Array = np.where(below, ordered[:, :, 1:], ordered[:, :, :1])
    return result


def _reach(state: AutoState, damp: Array) -> Array:
    """(2, S, 1): how many scales above and below the level that voice alone would be at 3 sigma."""
    voice = VOICES.index("level")
    log_far, shape = state.log_far[:, voice].astype(np.float64), state.shape[:, voice].astype(np.float64)
    wanted = np.minimum(_LIMIT * damp, 30.0)
    result: Array = np.exp(log_far + np.log(wanted / FAR_NATS) / shape).T[:, :, None]
    return result
