"""Monitoring and back-test go through time here: ``auto`` where it has learnt enough, the named methods elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto import DAY_S, SPEAKERS, AutoState, advance, look_back, ready_from, settled
from tocsin.detect.base import AUTO, METHODS, Scores, Told, as_block, as_times, choose
from tocsin.detect.baseline import Baseline
from tocsin.detect.calibrate import ANOMALOUS, Array
from tocsin.detect.more import Columns, Context, MoreState, go_on, strongest
from tocsin.detect.repeats import Past, tempered
from tocsin.detect.replay import replaced_rows, replay, spacing

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]

_NEVER = 1 << 40
_PIECE = 256
"""Columns that are judged together while a series is young: then ``auto`` may know it."""

YOUNG = 0.75
"""What a sigma of the named methods counts while a series is young: one sample in 370 is beyond 3 of them, which is
four a day at a step of a minute; beyond 4 it is one in eleven days, about what ``auto`` promises of its 3.
"""


@dataclass(frozen=True)
class Learnt:
    """What is known of S series between calls: the classic methods' ``baseline``; beside it the state of ``auto`` and
    those of the further methods, where they are named.
    """

    baseline: Baseline
    auto: AutoState | None = None
    more: MoreState | None = None

    @classmethod
    def nothing(cls, rows: int, methods: str | Sequence[str] = AUTO, step_s: float = 60.0) -> Learnt:
        """Series of which nothing is known."""
        chosen = choose(methods)
        auto = AutoState.empty(rows, step_s) if chosen.auto else None
        more = MoreState.empty(rows, chosen.more, step_s) if chosen.more else None
        return cls(Baseline.unlearnt(rows, chosen.classic or METHODS), auto, more)

    @property
    def ready(self) -> Mask:
        """(S,): series that something can be said of."""
        ready = self.baseline.ready
        for state in (self.auto, self.more):
            ready = ready if state is None else ready | state.ready
        return ready

    @property
    def unseen(self) -> NDArray[np.int64] | None:
        """(S,): columns since the last sample of series that are remembered beyond a window; None where none are."""
        auto = None if self.auto is None else np.where(self.auto.ready, self.auto.unseen, _NEVER)
        if self.more is None or auto is None:
            return auto if self.more is None else self.more.unseen
        return np.minimum(auto, self.more.unseen)

    def select(self, rows: object) -> Learnt:
        """The same with its rows reordered or extended: ``rows`` are old row numbers, -1 = a new series."""
        auto = None if self.auto is None else self.auto.select(rows)
        return Learnt(self.baseline.select(rows), auto, None if self.more is None else self.more.select(rows))

    def let_in(self, rows: NDArray[np.intp], ages: Ints) -> Learnt:
        """The same after ``rows`` have a new normal, that of the last ``ages`` (n,) columns: the named methods learn
        them anew from what may teach, and what ``auto`` looks back on is moved to where the series is now. The further
        methods begin anew with these rows.
        """
        index = np.arange(len(self.baseline.samples))
        index[rows] = -1
        auto = None if self.auto is None else settled(self.auto, rows, ages)
        return Learnt(self.baseline.select(index), auto, None if self.more is None else self.more.anew(rows))

    def score(self, timestamps: object, values: object, utc_offset_s: object = 0.0) -> Scores:
        """Hold samples (S, K) at ``timestamps`` (K,) against what is known now, and learn nothing; NaN in, NaN out.

        This draws the band of now over the past. The first samples have little before them to look back on.
        """
        if self.auto is None:
            return self.baseline.score(timestamps, values)
        block = as_block(values)
        scores = Scores.nothing(len(block), block.shape[1], (*SPEAKERS, *METHODS))
        old, young = np.flatnonzero(self.auto.ready), np.flatnonzero(~self.auto.ready)
        if old.size:
            times = as_times(timestamps, block.shape[1])
            local = times + np.asarray(utc_offset_s, dtype=np.float64)
            part = look_back(self.auto.select(old), local, block[old])
            for name in ("sigma", "expected", "lower", "upper"):
                getattr(scores, name)[old] = np.where(np.isnan(block[old]), np.nan, getattr(part, name))
        if young.size:
            theirs = _toned(self.baseline.select(young).score(timestamps, block[young]))
            for name in ("sigma", "expected", "lower", "upper"):
                getattr(scores, name)[young] = theirs[name]
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
    context: Context | None = None,
) -> Followed:
    """Judge the newest ``new`` columns of (S, T) ``values``, each by what came before it.

    As ``replay``, which does the named methods. With ``auto`` a series is judged by them until ``auto`` knows it (32
    to 64 samples); from then on only the new columns are looked at. ``utc_offset_s`` (scalar or (T,)) is the time
    zone's offset from UTC, for the time of day. Samples of a series on ``hold`` are judged and teach ``auto`` nothing
    while they stand out. ``silent``: only ``auto`` and further methods learn, nothing is said of young series.
    ``mute`` (S, T): samples that are judged and teach nothing. Methods of ``MORE`` run beside that, and alone where
    only they are named; ``context`` is what they are told. The strongest deviation is the verdict. Raises ValueError
    like ``replay``.
    """
    chosen = choose(methods)
    if not (chosen.auto or chosen.more):
        # Nothing of what follows is for the named methods alone.
        through = partial(replay, new=new, window=window, relearn=relearn, learn=learn, hold=hold, mute=mute)
        known = None if learnt is None else learnt.baseline
        alone = through(timestamps, values, baseline=known, methods=chosen.classic, step_s=step_s)
        return Followed(alone.scores, alone.learn, Learnt(alone.baseline))
    block = as_block(values)
    times = as_times(timestamps, block.shape[1])
    quiet = None if mute is None else np.asarray(mute, dtype=bool).reshape(block.shape)
    step = step_s or spacing(times)
    now = learnt or Learnt.nothing(len(block), methods, step)
    first = block.shape[1] - new
    mask = ~np.isnan(block)
    if learn is not None:
        mask[:, :first] &= np.asarray(learn, dtype=bool).reshape(len(block), first)
    if quiet is not None:
        mask &= ~quiet
    speaking = ((*SPEAKERS, *METHODS) if chosen.auto else chosen.classic) + chosen.more
    shift = np.broadcast_to(np.asarray(utc_offset_s, dtype=np.float64), times.shape)
    call = _Call(
        times=times,
        block=block,
        mask=mask,
        scores=Scores.nothing(len(block), new, speaking),
        window=window,
        relearn=relearn,
        step_s=step,
        hold=np.zeros(len(block), dtype=bool) if hold is None else np.asarray(hold, dtype=bool),
        local=times + shift,
        silent=silent,
        mute=quiet,
    )
    if chosen.auto:
        now = _auto(call, now, first)
    elif chosen.classic and not silent:
        call, now = _classic(call, now, first, chosen.classic)
    if not chosen.more:
        return Followed(call.scores, call.mask, now)
    return _further(call, now, shift[first:], context or Context())


def _classic(call: _Call, now: Learnt, first: int, methods: tuple[str, ...]) -> tuple[_Call, Learnt]:
    """The classic methods beside further ones, over the columns from ``first`` on."""
    result = replay(
        call.times,
        call.block,
        new=call.block.shape[1] - first,
        window=call.window,
        relearn=call.relearn,
        learn=call.mask[:, :first],
        baseline=now.baseline,
        hold=call.hold,
        methods=methods,
        step_s=call.step_s,
        mute=call.mute,
    )
    call.scores.put(slice(None), slice(None), result.scores)
    return call._replace(mask=result.learn), replace(now, baseline=result.baseline)


def _further(call: _Call, known: Learnt, shift: Array, context: Context) -> Followed:
    """The methods of ``MORE`` over the new columns, and who is the strongest."""
    new = len(shift)
    first = call.block.shape[1] - new
    if known.more is None:
        raise ValueError("without their states there is nothing to follow for the further methods")
    quiet = None if call.mute is None else call.mute[:, first:]
    columns = Columns(call.local[first:], call.block[:, first:], call.hold, context, quiet)
    more, said = go_on(known.more, columns)
    scores = call.scores
    strongest(scores, said, len(scores.methods) - len(said))
    told = [Told(name, one.starts, one.facts, shift) for name, one in zip(more.names, said, strict=True)]
    missing = np.isnan(columns.values) & ~np.isnan(scores.sigma)
    return Followed(replace(scores, told=tuple(told), missing=missing), call.mask, replace(known, more=more))


def _auto(call: _Call, now: Learnt, first: int) -> Learnt:
    """``auto`` and, for young series, the classic methods over the columns from ``first`` on."""
    start, columns = first, call.block.shape[1]
    # At a midnight it may give up a series, for which the named methods speak again.
    midnights = np.flatnonzero(np.diff(np.floor(call.local / DAY_S))) + 1
    while first < columns:
        state = now.auto or AutoState.empty(len(call.block), call.step_s)
        stop, young = columns, np.empty(0, np.intp)
        if not call.silent:
            young = np.flatnonzero(~ready_from(state, float(call.local[first])))
            later = first + _PIECE if young.size else columns
            stop = min([later, columns, *midnights[midnights > first][:1].tolist()])
        part = _Part(slice(first, stop), slice(first - start, stop - start))
        now = _piece(call, replace(now, auto=state), part, young)
        first = stop
    return now


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


def _piece(call: _Call, known: Learnt, part: _Part, young: NDArray[np.intp]) -> Learnt:
    """Judge some columns: the named methods first, for rows that are ``young``: ``auto`` does not know them yet."""
    state, baseline = known.auto, known.baseline
    if state is None:
        raise ValueError("without a state of auto there is nothing to follow")
    odd = np.zeros((len(call.block), part.block.stop - part.block.start), bool)
    first = part.block.start
    named = None
    if young.size:
        seen = slice(max(0, first - call.window), part.block.stop)
        usable = _usable(call, young, seen)
        named = replay(
            call.times[seen],
            call.block[young, seen],
            new=odd.shape[1],
            window=call.window,
            relearn=call.relearn,
            learn=call.mask[young, seen.start : first],
            baseline=baseline.select(np.where(state.ready[young], -1, young)),
            hold=call.hold[young],
            methods=METHODS,
            step_s=call.step_s,
            mute=None if call.mute is None else call.mute[young, seen],
            born=_born(np.where(state.ready, 0, state.age)[young], usable[:, first - seen.start :])
            + first
            - seen.start,
        )
        past = Past(call.block[young, seen], usable, call.window)
        named = replace(named, scores=replace(named.scores, sigma=tempered(named.scores, past)))
        odd[young] = np.abs(named.scores.sigma) >= ANOMALOUS
        baseline = replaced_rows(baseline, young, named.baseline)
    quiet = None if call.mute is None else call.mute[:, part.block]
    state, said = advance(state, call.local[part.block], call.block[:, part.block], hold=call.hold, odd=odd, mute=quiet)
    for name in ("sigma", "expected", "lower", "upper", "strongest", "agreeing", "course"):
        getattr(call.scores, name)[:, part.scores] = getattr(said, name)
    if named is not None:
        speak = ~np.logical_or.accumulate(said.ready[young], axis=1)
        _speak_for(call.scores, young, part.scores, speak, named.scores)
        # What they would say where `auto` speaks is nobody's opinion.
        kept = named.learn.copy()
        kept[:, -speak.shape[1] :] |= ~speak & usable[:, -speak.shape[1] :]
        call.mask[young, seen] = kept
    return replace(known, baseline=baseline, auto=state)


def _usable(call: _Call, rows: NDArray[np.intp], columns: slice) -> Mask:
    usable: Mask = ~np.isnan(call.block[rows, columns])
    return usable if call.mute is None else usable & ~call.mute[rows, columns]


def _born(age: Ints, seen: Mask) -> Ints:
    """(S,): the column of the first sample, counted from the first of the new ones, of which some are ``seen``."""
    first: Ints = np.where(seen.any(axis=1), seen.argmax(axis=1), seen.shape[1])
    return np.where(age > 0, -age, first)


def _toned(said: Scores) -> dict[str, Any]:
    """What the named methods say of young series, on the scale of ``auto``."""
    lower, upper = (said.expected + (edge - said.expected) / YOUNG for edge in (said.lower, said.upper))
    return {"sigma": said.sigma * YOUNG, "expected": said.expected, "lower": lower, "upper": upper}


def _speak_for(scores: Scores, rows: NDArray[np.intp], columns: slice, take: Mask, theirs: Scores) -> None:
    """Write what the named methods say where ``take`` is true."""
    parts = _toned(theirs)
    parts["strongest"] = np.where(theirs.strongest >= 0, theirs.strongest + len(SPEAKERS), -1)
    parts["agreeing"] = theirs.agreeing << len(SPEAKERS)
    for name, part in parts.items():
        whole = getattr(scores, name)
        whole[rows, columns] = np.where(take, part, whole[rows, columns])
