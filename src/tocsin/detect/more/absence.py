"""`absence`: a series that sends samples regularly, and stops."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.base import distinct
from tocsin.detect.calibrate import Array, sigma_of_log_tail
from tocsin.detect.more.common import DAY_S, Advanced, Columns, Flags, Ints, Method, Rows, Said
from tocsin.units import number

FEWEST_MISSING = 3
"""A series is not missed before so many samples in a row did not come, at its usual spacing."""

FEWEST_SAMPLES = 8
"""A series is known after so many samples."""

DAYS = 14
"""Each day a fourteenth of what was counted is forgotten."""

SIZES: NDArray[np.int64] = np.array(distinct(np.floor(1.25 ** np.arange(0, 64))), np.int64)
"""Lengths of gaps that are told apart, in steps; a longer one counts as the last."""

TWICE = 2
"""A gap is usual once one of its size was seen so often: one outage does not make the next one usual."""


@dataclass(frozen=True)
class AbsenceState(Rows):
    """(S,) ``samples`` counted, ``gap`` columns missing now (-1: not seen yet), ``gaps`` (S, sizes) of the past.

    ``muted`` (S,) says that the gap of now teaches nothing, ``last`` (S,) is the local time of the last sample, NaN =
    none yet. ``day`` is the number of the local day, ``step_s`` the
    length of a column. 0.5 KB a series.
    """

    SHARED: ClassVar[tuple[str, ...]] = ("day", "step_s")

    day: int
    step_s: float
    samples: Ints
    gap: Ints
    gaps: Ints
    muted: Flags
    last: Array

    @property
    def ready(self) -> Flags:
        """(S,): series that were seen regularly."""
        result: Flags = self.samples >= FEWEST_SAMPLES
        return result

    def blank(self, rows: int) -> AbsenceState:
        """New series, at the same time."""
        return replace(fresh(rows, self.step_s), day=self.day)


def fresh(rows: int, step_s: float) -> AbsenceState:
    """Series of which nothing is known."""
    samples, gaps = np.zeros(rows, np.int64), np.zeros((rows, len(SIZES)), np.int64)
    return AbsenceState(-1, step_s, samples, np.full(rows, -1), gaps, np.zeros(rows, bool), np.full(rows, np.nan))


def advance(state: AbsenceState, new: Columns) -> Advanced:
    """Hold the gaps of K columns against those of the past.

    A sample that is there is as expected (sigma 0). For a gap the probability that one is so long is the share of
    longer ones in the past, (longer + 1) / (samples + 1); beyond the longest usual gap it falls by e for each such gap
    (and step) more, as the exponential distribution does. What is told of is longer than every usual gap, and of at
    least ``FEWEST_MISSING`` samples. Where nobody could look (``blind``) a gap neither counts nor speaks. A gap that
    reaches into what is muted counts as none of the past.
    """
    said = Said.nothing(new.values.shape)
    days = np.floor(new.local / DAY_S).astype(np.int64)
    known = ~np.isnan(new.values)
    for array in (said.expected, said.lower, said.upper):
        array[known] = new.values[known]
    said.sigma[known] = 0.0
    mute = np.zeros(known.shape, bool) if new.mute is None else new.mute
    whole = np.asarray((known & ~mute).all(axis=0))
    starts, facts, last = [], [], _last(state.last, new.local, known)
    for column in range(new.values.shape[1]):
        if whole[column] and days[column] == state.day and not state.gap.any():
            state = replace(state, samples=state.samples + 1)
            continue
        if days[column] != state.day:
            gone = max(int(days[column]) - state.day, 0) if state.day >= 0 else 0
            state = _forgotten(state, min(gone, 10 * DAYS), int(days[column]))
        here = known[:, column]
        state = _counted(state, here, mute[:, column], blind=new.context.blind)
        late = state.gap >= FEWEST_MISSING * _spacing(state)
        away = np.flatnonzero(late & state.ready & ~here & (not new.context.blind))
        if away.size:
            said.sigma[away, column] = -_sigma(state, away)
            starts.append(column)
            spans = np.stack([state.gap, _usual(state), _usual(state, times=1)], axis=1) * state.step_s
            facts.append(np.column_stack([spans, last[:, column]]))
    if last.shape[1]:
        state = replace(state, last=last[:, -1].copy())
    return Advanced(state, said._replace(starts=tuple(starts), facts=tuple(facts)))


def words(facts: Array, shift: float, unit: str) -> str:  # noqa: ARG001 - the form of every method
    """How long nothing came, in words, and since when, in UTC, which stays true whenever it is read.

    A gap that was marked, or seen by nobody, is none that is known.
    """
    gone, usual, once = (number(span, "seconds") if span else "" for span in facts[:3].tolist())
    last = f"{datetime.fromtimestamp(float(facts[3]) - shift, UTC):%Y-%m-%d %H:%M}"
    if usual:
        often = f"usually after gaps of at most {usual}"
    else:
        often = "regularly until now" + (f", with one gap of at most {once}" if once else "")
    return f"no sample for {gone}, the last one came at {last} UTC; they came {often}"


METHOD = Method(fresh, advance, history_s=DAY_S, words=words)


def _last(before: Array, local: Array, known: Flags) -> Array:
    """(S, K): the local time of the last sample at each column, NaN where none came yet."""
    columns = np.maximum.accumulate(np.where(known, np.arange(known.shape[1]), -1), axis=1)
    return np.where(columns >= 0, local[columns], before[:, None]) if columns.size else np.empty(known.shape)


def _forgotten(state: AbsenceState, days: int, day: int) -> AbsenceState:
    samples, gaps = state.samples, state.gaps
    for _ in range(days):
        samples, gaps = samples - samples // DAYS, gaps - gaps // DAYS
    return replace(state, samples=samples, gaps=gaps, day=max(day, state.day))


def _counted(state: AbsenceState, here: Flags, mute: Flags, *, blind: bool) -> AbsenceState:
    """One column: a sample ends a gap, which is then one of the past unless it is muted."""
    gaps = state.gaps
    over = np.flatnonzero(here & (state.gap > 0) & ~state.muted)
    if over.size:
        gaps = gaps.copy()
        gaps[over, np.searchsorted(SIZES, state.gap[over], side="right") - 1] += 1
    longer = (state.gap >= 0) & (not blind)
    return replace(
        state,
        samples=state.samples + (here & ~mute),
        gap=np.where(here, 0, np.where(longer, state.gap + 1, state.gap)),
        gaps=gaps,
        muted=~here & (mute | state.muted),
    )


def _usual(state: AbsenceState, times: int = TWICE) -> Ints:
    """(S,): what the longest gap that was seen so many ``times`` took at most, in steps; 0 where none was."""
    longer = np.cumsum(state.gaps[:, ::-1], axis=1)[:, ::-1]
    result: Ints = np.append(0, np.append(SIZES[1:], SIZES[-1] * 2) - 1)[(longer >= times).sum(axis=1)]
    return result


def _spacing(state: AbsenceState) -> Ints:
    """(S,): the median distance of samples, in steps."""
    at_once = np.maximum(state.samples - state.gaps.sum(axis=1), 0)
    counts = np.cumsum(np.concatenate([at_once[:, None], state.gaps], axis=1), axis=1)
    result: Ints = np.append(0, SIZES)[(2 * counts < counts[:, -1:]).sum(axis=1)] + 1
    return result


def _sigma(state: AbsenceState, rows: NDArray[np.intp]) -> Array:
    usual, gap, samples = _usual(state)[rows], state.gap[rows], state.samples[rows]
    longer = (state.gaps[rows] * (gap[:, None] < SIZES)).sum(axis=1)
    log_tail = np.log((longer + 1.0) / (samples + 1.0)) - np.maximum(gap - usual - 1, 0) / (usual + 1.0)
    result: Array = np.where(gap > usual, sigma_of_log_tail(np.minimum(log_tail, 0.0)), np.nan)
    return result
