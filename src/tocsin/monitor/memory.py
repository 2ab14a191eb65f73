"""What is held of one target between evaluations: a rolling grid of samples and what was learnt of them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import (
    ANOMALOUS,
    VOICES,
    Dial,
    Learnt,
    Scores,
    Seen,
    advance_dial,
    clip_band,
    follow,
    judge,
)
from tocsin.domain.alert import Alert
from tocsin.domain.anomaly import Evidence
from tocsin.domain.evaluation import Judged, instant
from tocsin.domain.frame import Floats, Frame, Window
from tocsin.domain.labels import Fingerprint, Labels
from tocsin.domain.target import Target

REMEMBERED = timedelta(days=1)
"""How long a series that sends no samples is remembered: by `auto` and by methods that go through time."""

EVIDENCE_SAMPLES = 240
"""How many samples a frozen picture holds, the newest ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """The last `Target.window` columns of a target's series: `values` (S, T), `learn` (S, T), and what was `learnt`.

    It is a cache: whatever it holds can be fetched again.
    """

    timestamps: Floats
    values: Floats
    learn: NDArray[np.bool_]
    labels: tuple[Labels, ...]
    learnt: Learnt
    dial: Dial

    @classmethod
    def empty(cls, target: Target) -> "Memory":
        """Nothing seen yet."""
        learnt = Learnt.nothing(0, target.detection_methods, target.step.total_seconds())
        return cls(
            np.empty(0),
            np.empty((0, 0)),
            np.empty((0, 0), bool),
            (),
            learnt,
            Dial.fresh(0, target.step.total_seconds()),
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
) -> tuple[Judged, Memory]:
    """Judge the new columns of `frame` by what `memory` holds, and what it holds afterwards.

    `active`: series whose alert is active keep their baseline. All series of memory and frame are judged, in the order
    of memory; series without a sample in the whole window, and for `REMEMBERED` where `auto` knows them, are forgotten.
    `silent`: history that is only learnt from. `floor`: no dial asks for fewer sigma. `blind`: nobody could look at
    the time of these samples.
    """
    labels, old_rows, values = _align(memory, frame)
    new = len(frame.timestamps)
    times = np.concatenate([memory.timestamps, frame.timestamps])
    past, learnt, dial = _recalled(memory, old_rows)
    held = {alert.labels for alert in active.values()}
    hold = np.fromiter((name in held for name in labels), bool, len(labels)) if held else None
    offsets = np.broadcast_to(utc_offsets(times, target.timezone), times.shape)
    result = follow(
        times,
        values,
        new=new,
        window=target.window,
        relearn=target.relearn,
        learn=past,
        learnt=learnt,
        hold=hold,
        methods=target.detection_methods,
        step_s=target.step.total_seconds(),
        utc_offset_s=offsets,
        silent=silent,
        context=replace(target.context, blind=blind),
    )
    fresh = Frame(frame.timestamps, values[:, len(memory.timestamps) :], labels, frame.warnings, frame.dropped)
    policy = target.policy
    anomalous = judge(result.scores, fresh.values, replace(policy, sigma=ANOMALOUS)).flags
    entry, tolerance = None, target.tolerance
    if tolerance is not None:
        seen = Seen(result.scores.sigma, anomalous, _by_auto(result.scores))
        local = times[len(times) - new :] + offsets[len(times) - new :]
        dial, entry = advance_dial(dial, local, seen, tolerance._replace(floor=floor))
    judgement = judge(result.scores, fresh.values, policy, entry)
    judged = Judged(fresh, result.scores, judgement, anomalous, np.zeros(len(labels), np.intp))
    return judged, _trim(target, Memory(times, values, result.learn, labels, result.learnt, dial))


def _by_auto(scores: Scores) -> NDArray[np.bool_]:
    """Where the strongest voice is one of `auto`, whose alerts are more often real."""
    auto = np.array([name in VOICES for name in scores.methods])
    by: NDArray[np.bool_] = (scores.strongest >= 0) & auto[np.maximum(scores.strongest, 0)]
    return by


def utc_offsets(timestamps: Floats, timezone: str) -> Floats | float:
    """Seconds that the clocks of a time zone are ahead of UTC at each instant; zones change on quarters of an hour."""
    if timezone == "UTC" or not len(timestamps):
        return 0.0
    zone = ZoneInfo(timezone)
    quarters, where = np.unique(np.floor(timestamps / 900.0), return_inverse=True)
    offsets = [datetime.fromtimestamp(each * 900.0, UTC).astimezone(zone).utcoffset() for each in quarters.tolist()]
    return np.array([0.0 if each is None else each.total_seconds() for each in offsets])[where]


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


def _trim(target: Target, memory: Memory) -> Memory:
    keep = slice(max(0, len(memory.timestamps) - target.window), None)
    values, learn = memory.values[:, keep], memory.learn[:, keep]
    alive = ~np.isnan(values).all(axis=1)
    unseen = memory.learnt.unseen
    if unseen is not None:
        alive |= unseen * target.step.total_seconds() < REMEMBERED.total_seconds()
    if alive.all():
        # A copy lets go of the columns that fell out of the window.
        return replace(memory, timestamps=memory.timestamps[keep].copy(), values=values.copy(), learn=learn.copy())
    rows = np.flatnonzero(alive)
    return Memory(
        memory.timestamps[keep].copy(),
        values[rows],
        learn[rows],
        tuple(memory.labels[row] for row in rows),
        memory.learnt.select(rows),
        memory.dial.select(rows),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Painter:
    """Makes the frozen evidence of a series out of memory before and after an evaluation."""

    target: Target
    memory: Memory
    judged: Judged
    context: tuple[str, ...]
    at: datetime

    def __call__(self, row: int, column: int, evidence_id: str) -> Evidence:
        """The evidence as the series stood at that new column: history and the new samples up to it."""
        past = self._past(row)
        stop = column + 1
        fresh, scores = self.judged.frame, self.judged.scores
        lower, upper = clip_band(scores, self.target.policy)
        parts = [
            np.concatenate([old, new[row, :stop]])[-EVIDENCE_SAMPLES:]
            for old, new in zip(past[1:], (fresh.values, scores.expected, lower, upper, scores.sigma), strict=True)
        ]
        times = np.concatenate([past[0], fresh.timestamps[:stop]])[-EVIDENCE_SAMPLES:]
        return Evidence(
            id=evidence_id,
            query=self.target.query,
            datasource_uid=self.target.datasource_uid,
            window=Window(instant(times[0]), instant(times[-1]), self.target.step),
            methods=scores.methods_at(row, column),
            timestamps=tuple(times.tolist()),
            values=_listed(parts[0]),
            expected=_listed(parts[1]),
            lower=_listed(parts[2]),
            upper=_listed(parts[3]),
            sigma=_listed(parts[4]),
            context=self.context,
            notes=fresh.warnings,
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
            self.memory.timestamps[-EVIDENCE_SAMPLES:],
            self.memory.values[row : row + 1, -EVIDENCE_SAMPLES:],
        )
        offsets = utc_offsets(times, self.target.timezone)
        scores = self.memory.learnt.select(np.array([row])).score(times, values, offsets)
        lower, upper = clip_band(scores, self.target.policy)
        return times, values[0], scores.expected[0], lower[0], upper[0], scores.sigma[0]


def _listed(values: Floats) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else float(value) for value in values)
