"""One target under watch: when it is due, which window it asks for, and what an evaluation of it comes to."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np

from tocsin.detect import wants_auto
from tocsin.domain.alert import Alert
from tocsin.domain.evaluation import Evaluation, Judged, step, take_over
from tocsin.domain.feedback import Marked
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Fingerprint
from tocsin.domain.target import Target, TargetState
from tocsin.monitor.backfill import Backlog, gone_through
from tocsin.monitor.condition import Condition, condition_of, weightless
from tocsin.monitor.memory import Memory, Painter, absorb
from tocsin.monitor.pictures import PICTURE_SAMPLES, Episode, pictured
from tocsin.monitor.rehearsal import columns_of
from tocsin.monitor.status import TargetStatus

MAX_REACH_BACK = timedelta(days=7)
"""How far before the lookback history is fetched: a long outage must not become its own baseline after a restart."""

MOST_LAST = 10_000
"""Series of a target of which the end of the last alert is remembered, and as many of which the last anomaly is."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What one evaluation comes to: what to keep, and the memory and episodes to go on with once it is kept."""

    evaluation: Evaluation
    judged: Judged
    memory: Memory
    condition: Condition
    episodes: Mapping[Fingerprint, Episode]


@dataclass(slots=True, eq=False)
class Watch:
    """The state of one target between evaluations; only the evaluate loop of that target changes it.

    `cursor` is the last judged instant (unix seconds), None before the first evaluation. `active` are the committed
    pending and firing alerts by series, `ended` the ends of recent ones, for the first evaluation after a start.
    `begun_at` since when it is evaluated. `floor`: sigma below which nothing is told, for the sake of all targets.
    `marked` is what people say now; what was learnt otherwise is learnt anew.
    `backlog` how far it has read back for its first evaluation,
    `last_over` when the last alert of a series had its last anomaly,
    `left_out` the warning about what of that could not be read,
    `episodes` the anomalies without an alert that were pictured last.
    `hopeless` counts failures in a row that are the query's own.
    `blind` since the last evaluation nothing could be seen: at the start, and while the datasource does not answer.
    """

    target: Target
    status: TargetStatus
    active: dict[Fingerprint, Alert] = field(default_factory=dict)
    ended: dict[Fingerprint, datetime] = field(default_factory=dict)
    memory: Memory = field(init=False)
    cursor: float | None = None
    blind: bool = True
    hopeless: int = 0
    begun_at: datetime | None = None
    backlog: Backlog | None = None
    left_out: tuple[str, ...] = ()
    last_over: dict[Fingerprint, datetime] = field(default_factory=dict)
    episodes: dict[Fingerprint, Episode] = field(default_factory=dict)
    floor: float = 0.0
    marked: Marked = field(default_factory=Marked)

    def __post_init__(self) -> None:
        self.memory = Memory.empty(self.target, self.marked)

    def window(self, at: datetime) -> Window | None:
        """The grid instants that have not been judged yet, or None when there are none.

        The first window reaches back a lookback (before the oldest active alert, within `MAX_REACH_BACK`); a later one
        begins after the cursor, at most a lookback ago.
        """
        target, step_s = self.target, self.target.step.total_seconds()
        end = (at - target.offset).timestamp()
        if self.cursor is None:
            begin = end - target.lookback.total_seconds() - target.check_interval.total_seconds()
            if self.active:
                oldest = min(alert.active_at.timestamp() for alert in self.active.values())
                reach = max(oldest, end - MAX_REACH_BACK.total_seconds()) - target.lookback.total_seconds()
                begin = min(begin, reach)
        else:
            begin = max(self.cursor + step_s, end - target.lookback.total_seconds())
        if begin // step_s * step_s > end // step_s * step_s or -(-begin // step_s) * step_s > end:
            return None
        return Window.aligned(begin, end, step_s)

    def lag_s(self, now: datetime) -> float | None:
        """Seconds that the newest judged instant lies back beyond what offset, interval and step explain; None while
        nobody evaluates it. An evaluation that hangs or fails shows here while it does.
        """
        if self.begun_at is None:
            return None
        target = self.target
        newest = self.cursor if self.cursor is not None else self.begun_at.timestamp()
        explained = target.offset + target.check_interval + target.step
        return max(0.0, now.timestamp() - newest - explained.total_seconds())

    def fail(self, reason: str, now: datetime) -> None:
        """Take note of an evaluation that came to no result: nothing of the series could be seen."""
        self.blind = True
        self.status.failures += 1
        self.status.become(TargetState.ERROR, reason, now)

    def apply(self, verdict: Verdict, window: Window) -> None:
        """Take over what was kept."""
        self.memory, self.cursor, self.blind = verdict.memory, window.end.timestamp(), False
        self.ended = {}
        if self.backlog is not None:
            self.left_out, self.backlog = self.backlog.left_out_words(), None
        take_over(self.active, verdict.evaluation)
        for alert in verdict.evaluation.alerts:
            if not alert.active:
                # For whoever explains the next one.
                _remember(self.last_over, alert.fingerprint, alert.last_anomalous_at)
        for name, episode in verdict.episodes.items():
            _remember(self.episodes, name, episode)


def _remember(known: dict[Fingerprint, T], name: Fingerprint, what: T) -> None:
    """Take note of the newest of a series; of series that were heard of longest ago no more."""
    known.pop(name, None)
    known[name] = what
    if len(known) > MOST_LAST:
        del known[next(iter(known))]


def conclude_evaluation(watch: Watch, frame: Frame, at: datetime) -> Verdict:
    """Judge what is new and step; pure but for reading `watch`. `at` is the end of the window."""
    # The first window is what the datasource remembers; a later one after a failure may have gaps that nobody made.
    blind = watch.blind and watch.cursor is not None
    known, frame = _from_the_lookback(watch, frame)
    judged, memory = absorb(
        watch.target, known, frame, watch.active, floor=watch.floor, blind=blind, last=watch.last_over
    )
    if watch.cursor is None:
        judged = _from_where_it_stopped(watch, judged, at)
    thin = weightless(watch.target, memory)
    painter = Painter(watch.target, known, judged, (thin,) if thin else ())
    evaluation = step(watch.target, at, judged, _alerts_to_follow(watch, at), painter)
    small = replace(painter, samples=PICTURE_SAMPLES)
    evaluation, episodes = pictured(watch.target, evaluation, judged.frame, watch.episodes, small)
    return Verdict(evaluation, judged, memory, condition_of(watch.target, memory, judged, at), episodes)


def _from_the_lookback(watch: Watch, frame: Frame) -> tuple[Memory, Frame]:
    """The memory before a window, and the window. The first one reaches back to where an alert began, for days maybe:
    of that only what its alerts have not heard of is judged; what comes before is learnt as all history is.
    """
    target, times = watch.target, frame.timestamps
    if watch.cursor is not None or not watch.active or not wants_auto(target.detection_methods) or not len(times):
        return watch.memory, frame
    heard = min(alert.updated_at.timestamp() for alert in watch.active.values())
    begin = min(heard, times[-1] - (target.lookback + target.check_interval).total_seconds())
    cut = int(np.searchsorted(times, begin))
    if not cut:
        return watch.memory, frame
    thin = None if frame.thin is None else frame.thin[cut:]
    rest = replace(frame, timestamps=times[cut:].copy(), values=frame.values[:, cut:].copy(), thin=thin)
    return gone_through(target, watch.memory, columns_of(frame, 0, cut)), rest


def _alerts_to_follow(watch: Watch, at: datetime) -> Mapping[Fingerprint, Alert]:
    """The active alerts; after a time in which nobody looked, no series counts as missing before now.

    A datasource that was down has often no samples of that time either. Its alerts stay as they were: whether a series
    has vanished is only asked again from here on.
    """
    if not watch.blind:
        return watch.active
    return {key: replace(alert, last_seen_at=max(alert.last_seen_at or at, at)) for key, alert in watch.active.items()}


def _from_where_it_stopped(watch: Watch, judged: Judged, at: datetime) -> Judged:
    """After a start most of the first window is history: only the last check interval is judged anew.

    A series with an active alert goes on after what was last kept of it, one whose alert ended lately after that end:
    so nothing that happened meanwhile is lost and nothing is told twice.
    """
    times = judged.frame.timestamps
    recent = (at - watch.target.check_interval).timestamp()
    first = np.full(len(judged.frame.labels), np.searchsorted(times, recent, side="right"), np.intp)
    for row, labels in enumerate(judged.frame.labels) if watch.active or watch.ended else ():
        alert, end = watch.active.get(labels.fingerprint), watch.ended.get(labels.fingerprint)
        if alert is not None:
            first[row] = np.searchsorted(times, alert.updated_at.timestamp(), side="right")
        elif end is not None:
            first[row] = max(first[row], np.searchsorted(times, end.timestamp(), side="right"))
    history = np.arange(len(times))[None, :] < first[:, None]
    return replace(judged, first=first, anomalous=judged.anomalous & ~history)


def not_evaluated(target: Target, now: datetime) -> TargetStatus:
    """The status of a target that was not looked at yet."""
    if not target.enabled:
        return TargetStatus(TargetState.DISABLED, "switched off", now)
    return TargetStatus(TargetState.WAITING, "not evaluated yet", now)
