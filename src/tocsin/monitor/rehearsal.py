"""One target going through a past: the live code with other timestamps, many evaluations at once if that is equal."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import Judgement
from tocsin.domain.alert import Alert
from tocsin.domain.anomaly import Evidence
from tocsin.domain.evaluation import Judged, instant, step, take_over
from tocsin.domain.frame import Floats, Frame, Window
from tocsin.domain.incidents import Incident
from tocsin.domain.labels import Fingerprint
from tocsin.domain.target import Target
from tocsin.monitor.aside import GoOn
from tocsin.monitor.doubts import Beyond, beyond, beyond_words, refuted_words, silenced_words
from tocsin.monitor.memory import Memory, absorb, may_forget
from tocsin.monitor.pace import phase
from tocsin.monitor.tally import Tally

FARTHEST = 256
"""Columns that are tried at once."""

NEAREST = 8
"""The same where alerts come and go so fast that less of it holds."""


class Draws(Protocol):
    """What keeps a picture of what was judged."""

    def add(self, judged: Judged, columns: int) -> None:
        """The first `columns` of what was judged."""


class Rehearsal:
    """What `target` would have said over `window`, fed with samples in the order of time and in whatever parts.

    Many evaluations are judged in one go and then walked through one by one. That is what monitoring does as long as
    the series on hold, those with an active alert, are the same ones, and no series is forgotten in between: where
    that changes, what comes after it is judged anew, and no more than `farthest` columns are tried at once. `memory` is
    what was known before the first sample, `active` are the alerts of now, `unseen` the incidents, by their place, in
    which no sample was read.
    """

    def __init__(
        self,
        target: Target,
        window: Window,
        *,
        sketch: Draws | None = None,
        incidents: Sequence[Incident] = (),
        tally: Tally | None = None,
        farthest: int = FARTHEST,
    ) -> None:
        self.target, self.window, self.sketch = target, window, sketch
        self.unseen = dict(enumerate(incidents))
        self.memory = Memory.empty(target)
        self.tally = tally or Tally()
        self.active: dict[Fingerprint, Alert] = {}
        self._farthest = farthest
        self._rest: Frame | None = None
        self._reach = NEAREST
        self._beyond: Beyond = (0, 0)

    def copy(self) -> "Rehearsal":
        """One that goes on from here on its own; what was counted is counted together."""
        other = copy(self)
        other.active = dict(self.active)
        return other

    def read(self, frame: Frame) -> None:
        """Count what the datasource answered."""
        self.tally.read(frame)
        below, above = beyond(self.target, frame.values)
        self._beyond = (self._beyond[0] + below, self._beyond[1] + above)
        for place, one in list(self.unseen.items()):
            if one.sampled(frame):
                del self.unseen[place]

    @property
    def doubts(self) -> tuple[str, ...]:
        """What a reader should know of the target's own settings."""
        return (
            *refuted_words(self.target, self.memory.refuted),
            *beyond_words(self.target, self._beyond, "of that past"),
            *silenced_words(self.target),
        )

    def learn(self, frame: Frame) -> None:
        """The lookback before the window only teaches."""
        _, self.memory = absorb(self.target, self.memory, frame, {})

    def judge(self, frame: Frame, go_on: GoOn, progress: Callable[[float], None] = lambda _: None) -> None:
        """Take the next columns; those of an evaluation that is not whole yet wait for the others of it.

        `progress` hears how much of them is done, from 0 to 1.
        """
        whole = frame if self._rest is None else joined(self._rest, frame)
        ends = self._ends(whole.timestamps)
        self._run(whole, ends, go_on, progress)
        self._rest = columns_of(whole, ends[-1] if ends else 0, len(whole.timestamps))

    def finish(self, go_on: GoOn) -> None:
        """No more samples come: judge those that wait."""
        if self._rest is not None and len(self._rest.timestamps):
            self._run(self._rest, [len(self._rest.timestamps)], go_on)
        self._rest = None

    def _ends(self, timestamps: Floats) -> list[int]:
        """The columns after those of each whole evaluation: each takes what is new at its own scattered time."""
        interval = self.target.check_interval.total_seconds()
        seen_from = timestamps + self.target.offset.total_seconds() - phase(self.target)
        ends: list[int] = (np.flatnonzero(np.diff(np.ceil(seen_from / interval - 1e-9))) + 1).tolist()
        return ends

    def _run(
        self, frame: Frame, ends: list[int], go_on: GoOn, progress: Callable[[float], None] = lambda _: None
    ) -> None:
        begin = done = 0
        while done < len(ends):
            go_on()
            last = max(done + 1, bisect_right(ends, begin + self._reach))
            part = present(frame, begin, ends[last - 1])
            forgets = np.flatnonzero(may_forget(self.target, self.memory, part))
            if forgets.size:
                last = min(last, bisect_right(ends, begin + int(forgets[0])) + 1)
                part = present(frame, begin, ends[last - 1])
            whole = [end - begin for end in ends[done:last]]
            held = dict(self.active)
            judged, memory = absorb(self.target, self.memory, part, held)
            walked = self._walk(judged, whole)
            if walked < len(whole):
                _, memory = absorb(self.target, self.memory, present(frame, begin, begin + whole[walked - 1]), held)
                self._reach = max(NEAREST, self._reach // 2)
            else:
                self._reach = min(self._farthest, 2 * self._reach)
            self.memory = memory
            if self.sketch is not None:
                self.sketch.add(judged, whole[walked - 1])
            done += walked
            begin = ends[done - 1]
            progress(begin / ends[-1])

    def _walk(self, judged: Judged, ends: list[int]) -> int:
        """Go through evaluations up to the one that changes which series are on hold; how many that are."""
        self.tally.series.update(label.fingerprint for label in judged.frame.labels)
        self.tally.judged = self.tally.judged or not np.isnan(judged.scores.sigma).all()
        self.tally.inside = self.tally.inside or not np.isnan(judged.frame.values).all()
        anomalous = np.concatenate([[0], np.cumsum(judged.anomalous.any(axis=0))])
        busy: NDArray[np.bool_] = np.asarray(judged.anomalous.any(axis=1))
        if self.active:
            busy |= np.array([one.fingerprint in self.active for one in judged.frame.labels], bool)
        concerned = _part(judged, np.flatnonzero(busy), slice(None))
        for number, (first, stop) in enumerate(pairwise([0, *ends]), start=1):
            self.tally.evaluations += 1
            if not self.active and anomalous[stop] == anomalous[first]:
                continue
            at = instant(judged.frame.timestamps[stop - 1])
            now = _part(concerned, slice(None), slice(first, stop))
            evaluation = step(self.target, at, now, self.active, self._undrawn)
            self.tally.add(evaluation)
            held = set(self.active)
            take_over(self.active, evaluation)
            if set(self.active) != held:
                return number
        return len(ends)

    def _undrawn(self, _row: int, _column: int, evidence_id: str) -> Evidence:
        """Nobody looks at the pictures of a back-test: only their ids are."""
        nothing: tuple[float | None, ...] = ()
        return Evidence(
            id=evidence_id,
            query=self.target.asked,
            datasource_uid=self.target.datasource_uid,
            window=self.window,
            methods=(),
            timestamps=(),
            values=nothing,
            expected=nothing,
            lower=nothing,
            upper=nothing,
            sigma=nothing,
        )


def columns_of(frame: Frame, first: int, stop: int) -> Frame:
    """Some columns of a frame, without what was said of the whole; a copy, which does not hold on to the rest."""
    return Frame(frame.timestamps[first:stop].copy(), frame.values[:, first:stop].copy(), frame.labels)


def present(frame: Frame, first: int, stop: int) -> Frame:
    """Some columns and the series that have a sample in them, as a datasource answers."""
    values = frame.values[:, first:stop]
    there = ~np.isnan(values).all(axis=1)
    if there.all():
        return Frame(frame.timestamps[first:stop], values, frame.labels)
    rows = np.flatnonzero(there)
    return Frame(frame.timestamps[first:stop], values[rows], tuple(frame.labels[row] for row in rows))


def joined(one: Frame, other: Frame) -> Frame:
    """Two frames, one after the other."""
    times = np.concatenate([one.timestamps, other.timestamps])
    if one.labels == other.labels:
        return Frame(times, np.concatenate([one.values, other.values], axis=1), other.labels)
    labels = tuple(dict.fromkeys((*other.labels, *one.labels)))
    rows = {name: row for row, name in enumerate(labels)}
    values = np.full((len(labels), len(times)), np.nan)
    for frame, columns in ((one, slice(len(one.timestamps))), (other, slice(len(one.timestamps), None))):
        if frame.labels:
            values[[rows[name] for name in frame.labels], columns] = frame.values
    return Frame(times, values, labels)


def _part(judged: Judged, rows: NDArray[np.intp] | slice, columns: slice) -> Judged:
    frame = judged.frame
    labels = frame.labels if isinstance(rows, slice) else tuple(frame.labels[row] for row in rows)
    later = 0 if columns.stop is None else len(frame.timestamps) - columns.stop
    return replace(
        judged,
        frame=Frame(frame.timestamps[columns], frame.values[rows, columns], labels),
        scores=judged.scores.cut(rows, columns),
        judgement=_cut(judged.judgement, rows, columns),
        anomalous=judged.anomalous[rows, columns],
        first=judged.first[rows],
        background=judged.background.cut(rows, later),
        entry=None if judged.entry is None else judged.entry[rows, columns],
    )


def _cut(block: Judgement, rows: NDArray[np.intp] | slice, columns: slice) -> Judgement:
    """The same with some rows and columns of each of its arrays (S, K)."""
    arrays = {one.name: getattr(block, one.name) for one in fields(block)}
    cut: dict[str, Any] = {name: part[rows, columns] for name, part in arrays.items() if isinstance(part, np.ndarray)}
    return replace(block, **cut)
