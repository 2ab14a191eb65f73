"""Monitoring and back-test go through time here: ``auto`` where it has learnt enough, the named methods elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto import VOICES, AutoState, advance, look_back, settled
from tocsin.detect.base import AUTO, METHODS, Scores, as_block, as_times, wants_auto
from tocsin.detect.baseline import Baseline
from tocsin.detect.calibrate import ANOMALOUS, Array
from tocsin.detect.replay import replaced_rows, replay, spacing

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]

_PIECE = 256
"""Columns that are judged together while a series is young: then ``auto`` may know it."""


@dataclass(frozen=True)
class Learnt:
    """What is known of S series between calls: the named methods' ``baseline``; with ``auto`` its state beside it."""

    baseline: Baseline
    auto: AutoState | None = None

    @classmethod
    def nothing(cls, rows: int, methods: str | Sequence[str] = AUTO, step_s: float = 60.0) -> Learnt:
        """Series of which nothing is known."""
        auto = AutoState.empty(rows, step_s) if wants_auto(methods) else None
        return cls(Baseline.unlearnt(rows, methods), auto)

    @property
    def ready(self) -> Mask:
        """(S,): series that something can be said of."""
        return self.baseline.ready if self.auto is None else self.baseline.ready | self.auto.ready

    def select(self, rows: object) -> Learnt:
        """The same with its rows reordered or extended: ``rows`` are old row numbers, -1 = a new series."""
        return Learnt(self.baseline.select(rows), None if self.auto is None else self.auto.select(rows))

    def let_in(self, rows: NDArray[np.intp], ages: Ints) -> Learnt:
        """The same after ``rows`` have a new normal, that of the last ``ages`` (n,) columns: the named methods learn
        them anew from what may teach, and what ``auto`` looks back on is moved to where the series is now.
        """
        index = np.arange(len(self.baseline.samples))
        index[rows] = -1
        return Learnt(self.baseline.select(index), None if self.auto is None else settled(self.auto, rows, ages))

    def score(self, timestamps: object, values: object, utc_offset_s: object = 0.0) -> Scores:
        """Hold samples (S, K) at ``timestamps`` (K,) against what is known now, and learn nothing; NaN in, NaN out.

        This draws the band of now over the past. The first samples have little before them to look back on.
        """
        if self.auto is None:
            return self.baseline.score(timestamps, values)
        block = as_block(values)
        scores = Scores.nothing(len(block), block.shape[1], (*VOICES, *METHODS))
        old, young = np.flatnonzero(self.auto.ready), np.flatnonzero(~self.auto.ready)
        if old.size:
            times = as_times(timestamps, block.shape[1])
            local = times + np.asarray(utc_offset_s, dtype=np.float64)
            part = look_back(self.auto.select(old), local, block[old])
            for name in ("sigma", "expected", "lower", "upper"):
                getattr(scores, name)[old] = np.where(np.isnan(block[old]), np.nan, getattr(part, name))
        if young.size:
            theirs = self.baseline.select(young).score(timestamps, block[young])
            for name in ("sigma", "expected", "lower", "upper"):
                getattr(scores, name)[young] = getattr(theirs, name)
        return scores


@dataclass(frozen=True)
class Followed:
    """``scores`` of the new columns (S, K), ``learn`` (S, T): what may teach, and what is ``learnt`` now."""

    scores: Scores
    learn: Mask
    learnt: Learnt


def follow(
    timestamps: object,
    values: object,
    *,
    new: int,
    window: int,
    relearn: int,
    learn: object = None,
    learnt: Learnt | None = None,
    hold: object = None,
    methods: str | Sequence[str] = AUTO,
    step_s: float | None = None,
    utc_offset_s: object = 0.0,
    silent: bool = False,
    mute: object = None,
) -> Followed:
    """Judge the newest ``new`` columns of (S, T) ``values``, each by what came before it.

    As ``replay``, which does the named methods. With ``auto`` a series is judged by them until ``auto`` knows it (32
    to 64 samples); from then on only the new columns are looked at. ``utc_offset_s`` (scalar or (T,)) is the time
    zone's offset from UTC, for the time of day. Samples of a series on ``hold`` are judged and teach ``auto`` nothing
    while they stand out. ``silent``: only ``auto`` learns, nothing is said of young series. ``mute`` (S, T): samples
    that are judged and teach nothing. Raises ValueError like ``replay``.
    """
    if not wants_auto(methods):
        known = None if learnt is None else learnt.baseline
        result = replay(
            timestamps, values, new=new, window=window, relearn=relearn, learn=learn, baseline=known, hold=hold,
            methods=methods, step_s=step_s, mute=mute,
        )  # fmt: skip
        return Followed(result.scores, result.learn, Learnt(result.baseline))
    block = as_block(values)
    times = as_times(timestamps, block.shape[1])
    rows, columns = block.shape
    first = columns - new
    mask = np.ones((rows, columns), dtype=bool)
    if learn is not None:
        mask[:, :first] = np.asarray(learn, dtype=bool).reshape(rows, first)
    mask &= ~np.isnan(block)
    quiet = None if mute is None else np.asarray(mute, dtype=bool).reshape(rows, columns)
    if quiet is not None:
        mask &= ~quiet
    step = step_s or spacing(times)
    call = _Call(
        times=times,
        block=block,
        mask=mask,
        scores=Scores.nothing(rows, new, (*VOICES, *METHODS)),
        window=window,
        relearn=relearn,
        step_s=step,
        hold=np.zeros(rows, dtype=bool) if hold is None else np.asarray(hold, dtype=bool),
        local=times + np.asarray(utc_offset_s, dtype=np.float64),
        silent=silent,
        mute=quiet,
    )
    now = learnt or Learnt.nothing(rows, methods, step)
    while first < columns:
        state = now.auto or AutoState.empty(rows, step)
        stop = columns if silent or state.ready.all() else min(columns, first + _PIECE)
        part = _Part(slice(first, stop), slice(first - (columns - new), stop - (columns - new)))
        now = _piece(call, Learnt(now.baseline, state), part)
        first = stop
    return Followed(call.scores, mask, now)


class _Call(NamedTuple):
    """All columns, what may teach, the scores to write; how the named methods learn; rows on hold; local times; samples
    that teach nothing.
    """

    times: Array
    block: Array
    mask: Mask
    scores: Scores
    window: int
    relearn: int
    step_s: float
    hold: Mask
    local: Array
    silent: bool
    mute: Mask | None


class _Part(NamedTuple):
    """Some new columns: where they stand in the block, and where in the scores."""

    block: slice
    scores: slice


def _piece(call: _Call, known: Learnt, part: _Part) -> Learnt:
    """Judge some columns: the named methods first, where ``auto`` does not know the series yet."""
    state, baseline = known.auto, known.baseline
    if state is None:
        raise ValueError("without a state of auto there is nothing to follow")
    young = np.flatnonzero(~state.ready)
    odd = np.zeros((len(call.block), part.block.stop - part.block.start), bool)
    first = part.block.start
    named = None
    if young.size and not call.silent:
        seen = slice(max(0, first - call.window), part.block.stop)
        named = replay(
            call.times[seen],
            call.block[young, seen],
            new=odd.shape[1],
            window=call.window,
            relearn=call.relearn,
            learn=call.mask[young, seen.start : first],
            baseline=baseline.select(young),
            hold=call.hold[young],
            methods=METHODS,
            step_s=call.step_s,
            mute=None if call.mute is None else call.mute[young, seen],
        )
        odd[young] = np.abs(named.scores.sigma) >= ANOMALOUS
        call.mask[young, part.block] = named.learn[:, first - seen.start :]
        baseline = replaced_rows(baseline, young, named.baseline)
    quiet = None if call.mute is None else call.mute[:, part.block]
    state, said = advance(state, call.local[part.block], call.block[:, part.block], hold=call.hold, odd=odd, mute=quiet)
    for name in ("sigma", "expected", "lower", "upper", "strongest", "agreeing", "held"):
        getattr(call.scores, name)[:, part.scores] = getattr(said, name)
    if named is not None:
        _speak_for(call.scores, young, part.scores, ~np.logical_or.accumulate(said.ready[young], axis=1), named.scores)
    return Learnt(baseline, state)


def _speak_for(scores: Scores, rows: NDArray[np.intp], columns: slice, take: Mask, theirs: Scores) -> None:
    """Write what the named methods say where ``take`` is true."""
    parts = {name: getattr(theirs, name) for name in ("sigma", "expected", "lower", "upper")}
    parts["strongest"] = np.where(theirs.strongest >= 0, theirs.strongest + len(VOICES), -1)
    parts["agreeing"] = theirs.agreeing << len(VOICES)
    for name, part in parts.items():
        whole = getattr(scores, name)
        whole[rows, columns] = np.where(take, part, whole[rows, columns])
