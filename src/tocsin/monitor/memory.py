"""What is held of one target between evaluations: a rolling grid of samples and what was learnt of them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import Dial, Judgement, Learnt, Scores, possible
from tocsin.domain.alert import Alert
from tocsin.domain.anomaly import Evidence
from tocsin.domain.denominator import NO_WEIGHT
from tocsin.domain.evaluation import PARTIAL_WORDS, Judged, instant, observe
from tocsin.domain.events import told_before
from tocsin.domain.facts import Background
from tocsin.domain.feedback import UNMARKED, Marked
from tocsin.domain.frame import Floats, Frame, Window
from tocsin.domain.labels import Fingerprint, Labels
from tocsin.domain.target import Refuted, Target
from tocsin.monitor.deploys import after_deploys, factors
from tocsin.monitor.following import followed, utc_offsets
from tocsin.monitor.judging import Held, by_dial, judge_within, reviews_of
from tocsin.monitor.marked import Known, Mask, loosened, mute_of

REMEMBERED = timedelta(days=1)
"""How long a series that sends no samples is remembered: by `auto` and by methods that go through time."""

REMEMBERED_TOGETHER = timedelta(days=14)
"""How long where hardly any series of the target does: that is no coming and going, nobody could look."""

EVIDENCE_SAMPLES = 240
"""How many samples a frozen picture holds, the newest ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """The last `Target.window` columns of a target's series: `values` (S, T), `learn` (S, T), and what was `learnt`.

    `refuted` are inferred bounds that a sample has shown to be wrong, `thin` (T,) counts samples without weight, None
    where nothing is weighed. It is a cache: whatever it holds can be fetched again.
    """

    timestamps: Floats
    values: Floats
    learn: NDArray[np.bool_]
    labels: tuple[Labels, ...]
    learnt: Learnt
    dial: Dial
    marked: Marked = UNMARKED
    refuted: Refuted = (False, False)
    thin: NDArray[np.int64] | None = None

    @classmethod
    def empty(cls, target: Target, marked: Marked = UNMARKED) -> "Memory":
        """Nothing seen yet."""
        learnt = Learnt.nothing(0, target.detection_methods, target.step.total_seconds())
        return cls(
            np.empty(0),
            np.empty((0, 0)),
            np.empty((0, 0), bool),
            (),
            learnt,
            Dial.fresh(0, target.step.total_seconds()),
            marked,
        )

    @property
    def ready(self) -> int:
        """How many series have a baseline."""
        return int(self.learnt.ready.sum())


def absorb(
    target: Target,
    memory: Memory,
    frame: Frame,
    active: Mapping[Fingerprint, Alert],
    *,
    silent: bool = False,
    floor: float = 0.0,
    blind: bool = False,
    last: Mapping[Fingerprint, datetime] | None = None,
) -> tuple[Judged, Memory]:
    """Judge the new columns of `frame` by what `memory` holds, and what it holds afterwards.

    `active`: series whose alert is active keep their baseline. All series of memory and frame are judged, in the order
    of memory; series without a sample in the whole window, and for `REMEMBERED` (or `REMEMBERED_TOGETHER`) where `auto`
    or a further method knows them, are forgotten.
    `silent`: history that is only learnt from. `floor`: no dial asks for fewer sigma. `blind`: nobody could look at
    the time of these samples. `last`: when the last alert of a series had its last anomaly.
    """
    labels, old_rows, values = _align(memory, frame)
    times = np.concatenate([memory.timestamps, frame.timestamps])
    past, learnt, dial = _recalled(memory, old_rows)
    held = {alert.labels for alert in active.values()}
    hold = np.fromiter((name in held for name in labels), bool, len(labels)) if held else None
    mute = mute_of(memory.marked.windows, labels, times)
    known = Known(past, learnt)
    context = replace(target.context, blind=True) if blind else target.context
    result = followed(
        target, (times, values, labels), known, memory.marked, hold=hold, mute=mute, silent=silent, context=context
    )
    fresh = Frame(
        frame.timestamps,
        values[:, len(memory.timestamps) :],
        labels,
        frame.warnings,
        frame.dropped,
        thin=frame.thin,
        partial=frame.partial,
    )
    verdict = judge_within(target, result.scores, fresh.values, memory.refuted, hold)
    quiet = None if mute is None else mute[:, len(memory.timestamps) :]
    dial, judgement, entry = _counted(
        target, memory.marked, fresh, result.scores, verdict, dial=dial, floor=floor, quiet=quiet
    )
    judged = Judged(
        fresh,
        result.scores,
        judgement,
        verdict.anomalous,
        np.zeros(len(labels), np.intp),
        verdict.policy,
        _background(target, result.learnt, result.learn, last or {}),
        entry,
    )
    after = Memory(
        _newest(times, target.window),
        _newest(values, target.window),
        _newest(result.learn, target.window),
        labels,
        result.learnt,
        dial,
        memory.marked,
        verdict.refuted,
        _thin(memory, frame, target.window),
    )
    return judged, _without_the_gone(target, after)


def _newest(array: NDArray[Any], columns: int) -> NDArray[Any]:
    """The newest columns. A view holds on to all of them: it is one while those are few more, so that a check copies
    nothing of what it had, however long that is.
    """
    part = array[..., max(0, array.shape[-1] - columns) :]
    return part if array.shape[-1] <= columns + columns // 8 else part.copy()


def _thin(memory: Memory, frame: Frame, columns: int) -> NDArray[np.int64] | None:
    if memory.thin is None and frame.thin is None:
        return None
    parts = ((memory.thin, len(memory.timestamps)), (frame.thin, len(frame.timestamps)))
    return _newest(np.concatenate([np.zeros(n, np.int64) if part is None else part for part, n in parts]), columns)


def _counted(
    target: Target,
    marked: Marked,
    fresh: Frame,
    scores: Scores,
    verdict: Held,
    *,
    dial: Dial,
    floor: float,
    quiet: Mask | None,
) -> tuple[Dial, Judgement, Floats | None]:
    """What counts of the new columns after the dial, deployments and what people exempted; the dial afterwards, and how
    many sigma it takes to begin. `quiet`: what says nothing to the dial.
    """
    labels, times = fresh.labels, fresh.timestamps
    local = times + utc_offsets(times, target.timezone)
    reviews = reviews_of(marked.verdicts, labels, target.timezone, marked.windows)
    dial, judgement, entry = by_dial(target, scores, verdict, dial, local, floor=floor, mute=quiet, reviews=reviews)
    factor = factors(target, marked.events, labels, times)
    if factor is not None:
        judgement, entry = after_deploys(judgement, verdict, scores.sigma, entry, factor)
    elif entry is not None:
        entry = np.maximum(entry, verdict.policy.sigma)
    allowed = loosened(marked.exempt, labels, times, scores.sigma)
    if allowed is not None:
        judgement = replace(judgement, flags=judgement.flags & allowed)
    return dial, judgement, entry


def _background(
    target: Target, learnt: Learnt, taught: NDArray[np.bool_], last: Mapping[Fingerprint, datetime]
) -> Background:
    auto, rows = learnt.auto, len(taught)
    season = np.zeros(rows, np.int8) if auto is None else auto.season
    age = np.zeros(rows, np.int64) if auto is None else auto.age
    return Background(season, age, taught, target.window, last)


def _recalled(memory: Memory, old_rows: NDArray[np.intp]) -> tuple[NDArray[np.bool_], Learnt, Dial]:
    """What may be learnt from, what was learnt, and the dial, in the order of the rows of now."""
    if len(old_rows) == len(memory.labels):
        return memory.learn, memory.learnt, memory.dial
    past = np.zeros((len(old_rows), len(memory.timestamps)), bool)
    past[: len(memory.labels)] = memory.learn
    return past, memory.learnt.select(old_rows), memory.dial.select(old_rows)


def _align(memory: Memory, frame: Frame) -> tuple[tuple[Labels, ...], NDArray[np.intp], Floats]:
    """Labels of all series, for each its row in memory (-1 = new), and all values, old columns and new ones."""
    if frame.labels == memory.labels:
        return memory.labels, np.arange(len(memory.labels)), np.concatenate([memory.values, frame.values], axis=1)
    rows = {name: row for row, name in enumerate(memory.labels)}
    added = [name for name in frame.labels if name not in rows]
    rows.update({name: len(memory.labels) + n for n, name in enumerate(added)})
    values = np.full((len(rows), len(memory.timestamps) + len(frame.timestamps)), np.nan)
    values[: len(memory.labels), : len(memory.timestamps)] = memory.values
    where = np.fromiter((rows[name] for name in frame.labels), np.intp, len(frame.labels))
    if len(where):
        values[where, len(memory.timestamps) :] = frame.values
    old = np.arange(len(rows))
    old[len(memory.labels) :] = -1
    return tuple(rows), old, values


def _without_the_gone(target: Target, memory: Memory) -> Memory:
    values = memory.values
    if values.shape[1] and not np.isnan(values[:, -1]).any():
        return memory
    alive = ~np.isnan(values).all(axis=1)
    unseen = memory.learnt.unseen
    if unseen is not None:
        alive |= unseen < _patience(target, values, 1)[0]
    if alive.all():
        return memory
    rows = np.flatnonzero(alive)
    return replace(
        memory,
        values=values[rows],
        learn=memory.learn[rows],
        labels=tuple(memory.labels[row] for row in rows),
        learnt=memory.learnt.select(rows),
        dial=memory.dial.select(rows),
    )


def _patience(target: Target, values: Floats, columns: int) -> NDArray[np.int64]:
    """(columns,): after how many silent columns a series is forgotten, at each of the last columns of (S, T) `values`.

    Where fewer than half of the columns in sight have a sample of any series, for long; but with `absence` that series
    are silent is what the target is about.
    """
    short, long = (int(np.ceil(each / target.step)) for each in (REMEMBERED, REMEMBERED_TOGETHER))
    if "absence" in target.detection_methods:
        long = short
    heard = np.concatenate([[0], np.cumsum(~np.isnan(values).all(axis=0))])
    ends = np.arange(len(heard) - columns, len(heard))
    begins = np.maximum(ends - target.window, 0)
    return np.where(2 * (heard[ends] - heard[begins]) < ends - begins, long, short)


def may_forget(target: Target, memory: Memory, frame: Frame) -> NDArray[np.bool_]:
    """(K,): after which of the new columns of `frame` a series may have come to be forgotten, had evaluation stopped
    there. What is absorbed in one go up to such a column and on from there is what monitoring makes of it.
    """
    present = ~np.isnan(frame.values)
    if frame.labels == memory.labels and present.all():
        return np.zeros(len(frame.timestamps), bool)
    labels, _, values = _align(memory, frame)
    old, rows, columns = len(memory.timestamps), len(labels), len(frame.timestamps)
    where = np.where(np.isnan(values), -1, np.arange(old + columns))
    last = np.maximum.accumulate(where, axis=1)[:, old:]
    silent_for = np.arange(old, old + columns) - last
    # A series without a sample in sight is not known before its first one, unless a state still remembers it.
    known = last >= 0
    reached = known & (silent_for == target.window)
    states = [state.unseen for state in (memory.learnt.auto, memory.learnt.more) if state is not None]
    if states:
        unseen = np.zeros(rows, np.int64)
        unseen[: len(memory.labels)] = np.minimum.reduce(states)
        since = np.where(known & (last >= old), silent_for, unseen[:, None] + np.arange(1, columns + 1))
        gone = (since >= _patience(target, values, columns)) & ~(known & (silent_for < target.window))
        reached |= gone & (np.cumsum(gone, axis=1) == 1)
    forgotten: NDArray[np.bool_] = reached.any(axis=0)
    return forgotten


@dataclass(frozen=True, slots=True, eq=False)
class Painter:
    """Makes the frozen evidence of a series out of memory before and after an evaluation, of the newest `samples`."""

    target: Target
    memory: Memory
    judged: Judged
    notes: tuple[str, ...]
    samples: int = EVIDENCE_SAMPLES

    def __call__(self, row: int, column: int, evidence_id: str) -> Evidence:
        """The evidence as the series stood at that new column: history and the new samples up to it."""
        past = self._past(row)
        stop = column + 1
        fresh, scores = self.judged.frame, possible(self.judged.scores, self.judged.policy)
        seen = observe(self.target, self.judged, row, column)
        parts = [
            np.concatenate([old, new[row, :stop]])[-self.samples :]
            for old, new in zip(past[1:], (fresh.values, *_shown(scores)), strict=True)
        ]
        times = np.concatenate([past[0], fresh.timestamps[:stop]])[-self.samples :]
        return Evidence(
            id=evidence_id,
            query=self.target.asked,
            datasource_uid=self.target.datasource_uid,
            window=Window(instant(times[0]), instant(times[-1]), self.target.step),
            methods=scores.methods_at(row, column),
            timestamps=tuple(times.tolist()),
            values=_listed(parts[0]),
            expected=_listed(parts[1]),
            lower=_listed(parts[2]),
            upper=_listed(parts[3]),
            sigma=_listed(parts[4]),
            context=told_before(
                self.memory.marked.events, self.target.name, fresh.labels[row], instant(fresh.timestamps[column])
            ),
            notes=(
                *self.notes,
                *((PARTIAL_WORDS,) if fresh.partial else ()),
                *(note for note in fresh.warnings if NO_WEIGHT not in note),
            ),
            facts=None if seen is None else seen.facts,
        )

    def _past(self, row: int) -> tuple[Floats, ...]:
        """Times, values, expected, lower, upper and sigma of the samples before the new ones.

        The band over the past is the baseline that is in force, drawn backwards: what the new samples are held against.
        """
        nothing = np.empty(0)
        # Judged series stand in the order of memory, new ones after them.
        if row >= len(self.memory.labels):
            return (nothing,) * 6
        times, values = (
            self.memory.timestamps[-self.samples :],
            self.memory.values[row : row + 1, -self.samples :],
        )
        offsets = utc_offsets(times, self.target.timezone)
        scores = self.memory.learnt.select(np.array([row])).score(times, values, offsets)
        return times, values[0], *(part[0] for part in _shown(possible(scores, self.judged.policy)))


def _shown(scores: Scores) -> tuple[Floats, ...]:
    return scores.expected, scores.lower, scores.upper, scores.sigma


def _listed(values: Floats) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else float(value) for value in values)
