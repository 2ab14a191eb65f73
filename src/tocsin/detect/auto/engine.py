"""``auto`` going through time: score, let what was seen wait, learn where it is due. Pure: a new state comes back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto.anchor import Anchors, follow_anchors
from tocsin.detect.auto.learn import (
    FIRST,
    first_learning,
    learn,
    outgrown,
)
from tocsin.detect.auto.precedent import AFTER, Samples, tell
from tocsin.detect.auto.runs import Runs, stand_still
from tocsin.detect.auto.score import SLOW, Stretch, Verdicts, verdicts
from tocsin.detect.auto.seasons import finish_day, over_midnight
from tocsin.detect.auto.settle import settled_by_itself
from tocsin.detect.auto.sparse import single_events
from tocsin.detect.auto.state import DAY_ROWS, LEAD, VOICES, AutoState
from tocsin.detect.auto.waiting import MUTE, Known, lesson, wait
from tocsin.detect.base import AWAY, distinct
from tocsin.detect.calibrate import ANOMALOUS, Array

FULL_COUNTS = 16384
"""Columns after which a row learns even if the day is not over: what waits is counted in 16 bits."""

EARLY = (64, 128, 256, 512)
"""Columns after which a new series learns again, and once more when it has enough for ``auto``, and a quarter more, for
what gaps have taken; later it does at each local midnight.
"""

_BLOCK = 1 << 15
_FARTHEST = 1e12
_ECHO = 64
_ROUNDING = 1e-9

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Opinions(NamedTuple):
    """What is said of K columns of S series; every array (S, K), NaN = no opinion.

    ``strongest`` is an index into ``SPEAKERS`` (-1 = none), ``agreeing`` has bit v where speaker v alone says so,
    ``ready`` is where ``auto`` has an opinion, ``course`` what ``Scores`` says of it.
    """

    sigma: Array
    expected: Array
    lower: Array
    upper: Array
    strongest: NDArray[np.int8]
    agreeing: NDArray[np.uint16]
    ready: Flags
    course: NDArray[np.int8]

    @classmethod
    def none(cls, shape: tuple[int, int]) -> Opinions:
        """Nothing said yet, to be written into."""
        numbers = [np.full(shape, np.nan) for _ in range(4)]
        strongest, agreeing = np.full(shape, -1, np.int8), np.zeros(shape, np.uint16)
        return cls._make((*numbers, strongest, agreeing, np.zeros(shape, bool), np.zeros(shape, np.int8)))

    def part(self, rows: slice, columns: slice) -> Opinions:
        """A view of some of it."""
        return Opinions._make(array[rows, columns] for array in self)


class Advanced(NamedTuple):
    """What ``advance`` gives back."""

    state: AutoState
    opinions: Opinions


def advance(
    state: AutoState,
    local: Array,
    values: Array,
    *,
    hold: Flags | None = None,
    odd: Flags | None = None,
    mute: Flags | None = None,
) -> Advanced:
    """Judge K new columns (S, K) at ``local`` times (K,), each by what came before it, and learn from them.

    ``local`` are unix seconds plus the offset of the series' time zone, ascending; NaN = gap. Rows on ``hold`` (S,)
    have an active alert: what stands out teaches nothing, and they stay away until they come back. ``odd`` (S, K) are
    samples that another method found to stand out, of rows that are not ready, ``mute`` (S, K) those that are judged
    and teach nothing, as a gap does. In whatever parts the columns come, the result is the same.
    """
    rows, columns = values.shape
    opinions = Opinions.none((rows, columns))
    if not rows or not columns:
        return Advanced(state, opinions)
    held = np.zeros(rows, bool) if hold is None else hold
    strange = np.zeros(values.shape, np.uint8) if odd is None else odd.astype(np.uint8)
    if mute is not None:
        strange[mute] = MUTE
    step = max(1, _BLOCK // min(columns, state.grid.a_day))
    if step >= rows:
        return Advanced(_walk(state, local, values, (held, strange), opinions), opinions)
    parts = []
    for first in range(0, rows, step):
        here = slice(first, first + step)
        part = state.select(np.arange(rows)[here])
        parts.append(_walk(part, local, values[here], (held[here], strange[here]), opinions.part(here, slice(None))))
    return Advanced(AutoState.stacked(parts), opinions)


def look_back(state: AutoState, local: Array, values: Array) -> Verdicts:
    """What the state of now says of columns (S, K) of the past; ``local`` (K,). Before the first column: the first."""
    bins = state.grid.bins_of(local)
    own = _own(state, values)
    all_bins = np.concatenate([np.repeat(bins[:1], LEAD), bins])
    lead = np.full((state.rows, LEAD), np.nan)
    season = state.season_at(all_bins)
    return verdicts(state, Stretch(_filled(np.concatenate([lead, own], axis=1), season), season, all_bins))


def _walk(state: AutoState, local: Array, values: Array, known: Known, out: Opinions) -> AutoState:
    """Some rows through all columns, writing into the arrays of ``out``."""
    days = state.grid.day_of(local)
    bins = state.grid.bins_of(local)
    column, columns = 0, values.shape[1]
    while column < columns:
        day_over, before = bool(state.day >= 0 and days[column] != state.day), state.profile
        state = _due(state, day_over=day_over)
        if day_over:
            state = _unseen_days(over_midnight(state, before), int(days[column]))
        if state.day != days[column]:
            state = state.changed(day=int(days[column]))
        end = min(
            column + _until_due(state, values[:, column:]), int(np.searchsorted(days, days[column], side="right"))
        )
        end = max(min(end, columns), column + 1)
        here, marks = slice(column, end), (known[0], known[1][:, column:end])
        state = _stretch(state, values[:, here], bins[here], marks, out.part(slice(None), here))
        column = end
    return state


def ready_from(state: AutoState, local: float) -> Flags:
    """(S,): for which rows ``auto`` speaks on from a ``local`` time: at a midnight it may give some up."""
    if state.day < 0 or int(state.grid.day_of(np.array([local]))[0]) == state.day:
        return state.ready
    ready = state.ready.copy()
    ready[outgrown(settled_by_itself(state))] = False
    return ready


def _unseen_days(state: AutoState, day: int) -> AutoState:
    """The same before the ``day`` that begins, where it is not the one after the last: each day without a column is
    over as well, so that weekdays keep their places.
    """
    missed = day - state.day - 1
    known = np.flatnonzero(state.learnt > 0)
    if missed < 1 or not known.size:
        return state
    for _ in range(missed if missed < DAY_ROWS else DAY_ROWS + missed % DAY_ROWS):
        before = state.profile
        state = over_midnight(state.put(known, finish_day(state.select(known))), before)
    return state


def _is_due(age: NDArray[np.int64], since: NDArray[np.int64], stops: list[int]) -> Flags:
    due: Flags = since >= FULL_COUNTS
    if stops and age.min() <= stops[-1]:
        for stop in stops:
            due |= (age == stop) & (since > 0)
    return due


def early_stops(state: AutoState) -> list[int]:
    """The columns after which a new series learns again before its first midnight, in order. On those of the first
    learning no tail rests.
    """
    stops = {*EARLY, state.enough + FIRST, state.enough * 5 // 4}
    return sorted(stop for stop in stops if stop < state.grid.a_day)


def _due(state: AutoState, *, day_over: bool) -> AutoState:
    """Learn the rows whose time has come."""
    if day_over:
        state = settled_by_itself(state)
        anew = outgrown(state)
        if anew.size:
            state = state.put(anew, state.select(np.full(anew.size, -1)))
    known = state.learnt > 0
    moving = state.age - state.still
    fresh = np.flatnonzero(~known & (moving >= FIRST))
    if fresh.size:
        state = state.put(fresh, first_learning(state.select(fresh)))
    due = np.flatnonzero(known & ((day_over & (state.since > 0)) | _is_due(moving, state.since, early_stops(state))))
    if due.size:
        part = state if due.size == state.rows else state.select(due)
        state = state.put(due, learn(part, day_over=day_over))
    if day_over:
        # A day of which nothing was learnt is over as well.
        known[due] = False
        rest = np.flatnonzero(known)
        if rest.size:
            state = state.put(rest, finish_day(state.select(rest)))
    return state


def _until_due(state: AutoState, values: Array) -> int:
    """Columns until a row learns outside the change of days."""
    stops = [FIRST, *early_stops(state)]
    least = int(FULL_COUNTS - state.since.max())
    moving = state.age - state.still
    for age in distinct(moving[(moving > 1) & (moving < stops[-1])]):
        least = min(least, *(stop - age for stop in stops if stop > age), FULL_COUNTS)
    unmoved = np.flatnonzero(moving <= 1)
    if unmoved.size:
        begun = _moved(state.recent[unmoved], values[unmoved])
        first = np.where(begun.any(axis=1), begun.argmax(axis=1), FULL_COUNTS)
        least = min(least, int(first.min()) + FIRST - 1)
    return max(1, least)


def _stretch(state: AutoState, values: Array, bins: NDArray[np.intp], known: Known, out: Opinions) -> AutoState:
    """Columns between two learnings: fill gaps, score what can be, let it wait."""
    mute = known[1] == MUTE
    # What other methods found counts until it has an opinion of its own.
    known = known[0], known[1] * (mute | ~state.ready[:, None])
    if mute.any():
        # Before it has learnt anything a row has no opinion to lose.
        values = np.where(mute & (state.learnt == 0)[:, None], np.nan, values)
    own = _own(state, values)
    lead_bins = np.concatenate([np.repeat(bins[:1], LEAD - len(state.recent_bins)), state.recent_bins])
    blank = np.full((state.rows, LEAD - state.recent.shape[1]), np.nan)
    all_bins = np.concatenate([lead_bins, bins])
    none = np.zeros(blank.shape)
    season = np.concatenate([none, state.recent_season, state.season_at(bins)], axis=1)
    filled = _filled(np.concatenate([blank, state.recent, own], axis=1), season)
    valid = ~np.isnan(values)
    born = (state.age > 0)[:, None] | np.logical_or.accumulate(valid, axis=1)
    judged = np.flatnonzero(state.learnt > 0)
    after, changes, frozen = state, dict[str, Any](), np.zeros(state.rows, np.int64)
    if judged.size:
        every = judged.size == state.rows
        part = state if every else state.select(judged)
        rows = slice(None) if every else judged
        here = Stretch(filled, season, all_bins).rows(rows)
        verdict = verdicts(part, here)
        seen = valid[rows]
        told = seen & part.ready[:, None]
        runs = stand_still(part, values[rows], seen & ~mute[rows], verdict, known[0][rows])
        odd = verdict._replace(sigma=np.copysign(np.maximum(np.abs(verdict.sigma), runs.sigma), verdict.sigma))
        anchors = follow_anchors(part, odd, filled[rows], told, known[0][rows])
        samples = Samples(told, mute[rows], anchors.back, single_events(part, filled[rows], mute[rows]))
        heard = tell(part, verdict.sigma, samples)
        sigma = _no_news(verdict, heard.sigma, anchors.no_news)
        verdict = verdict._replace(sigma=sigma, agreeing=_agreeing(verdict, sigma))
        verdict = _standing(_as_before(verdict, anchors, runs.left, part.unit), runs)
        _write(out, rows, verdict, told)
        out.course[rows] = np.where(told, anchors.course, 0)
        away = anchors.course == AWAY
        strange = np.maximum(known[1][rows], heard.held)
        changes = wait(part, here, verdict, lesson(verdict, seen, (known[0][rows], strange), away))
        frozen[rows] = (away & known[0][rows, None]).sum(axis=1)
        changes |= heard.changes | runs.changes
        changes |= {
            "anchor": anchors.anchor,
            "unrest": anchors.unrest,
            "anchor_begun": anchors.begun,
            "anchor_calm": anchors.calm,
        }
        if not every:
            after, changes = state.put(judged, part.changed(**changes)), {}
    lived = born.sum(axis=1)
    still = state.still
    unmoved = state.age - still <= 1
    if unmoved.any():
        # The last sample before it moves belongs to the move.
        going = np.logical_or.accumulate(_moved(state.recent, values), axis=1)
        still = np.where(unmoved, np.maximum(state.age + (born & ~going).sum(axis=1) - 1, 0), still)
    changes |= {
        "recent": np.where(born[:, -1:] | ~np.isnan(filled[:, -LEAD:]), filled[:, -LEAD:], np.nan),
        "recent_bins": all_bins[-LEAD:],
        "recent_season": season[:, -LEAD:].astype(np.float16),
        "age": state.age + lived,
        "still": still,
        "unseen": _unseen(state.unseen, valid),
        "since": state.since + (lived - frozen) * (state.learnt > 0),
    }
    return after.changed(**changes)


def _moved(recent: Array, values: Array) -> Flags:
    """Where a sample (S, K) is unlike the first one that there ever was, but for rounding: what has stood still from
    its beginning has shown nothing of how it moves, and every move would be without measure.
    """
    before = recent[:, -1:] if recent.shape[1] else np.full((len(values), 1), np.nan)
    known = np.concatenate([before, values], axis=1)
    there = ~np.isnan(known)
    first = np.take_along_axis(known, there.argmax(axis=1)[:, None], axis=1)
    result: Flags = there[:, 1:] & (np.abs(values - first) > _ROUNDING * np.abs(first))
    return result


def _own(state: AutoState, values: Array) -> Array:
    """Values in the rows' own unit; beyond 1e12 of it nothing is told apart."""
    with np.errstate(over="ignore"):
        result: Array = np.clip((values - state.offset[:, None]) / state.unit[:, None], -_FARTHEST, _FARTHEST)
    return np.where((state.learnt > 0)[:, None], result, values)


def _unseen(before: NDArray[np.int64], valid: Flags) -> NDArray[np.int64]:
    columns = valid.shape[1]
    last = np.where(valid.any(axis=1), columns - 1 - valid[:, ::-1].argmax(axis=1), -1)
    result: NDArray[np.int64] = np.where(last < 0, before + columns, columns - 1 - last)
    return result


def _filled(values: Array, season: Array) -> Array:
    """Gaps filled with what was there ``_ECHO`` columns earlier, moved along the season: level and unrest stay as they
    were. Before the first sample stands the first sample.
    """
    missing = np.isnan(values)
    if not missing.any():
        return values
    level = values - season
    first = np.where(missing.all(axis=1), 0, (~missing).argmax(axis=1))
    before = np.arange(values.shape[1]) < first[:, None]
    level = np.where(before, np.take_along_axis(level, first[:, None], axis=1), level)
    for start in range(_ECHO, values.shape[1], _ECHO):
        here = slice(start, start + _ECHO)
        part = level[:, here]
        if np.isnan(part).any():
            echo = level[:, start - _ECHO : start][:, : part.shape[1]]
            level[:, here] = np.where(np.isnan(part), echo, part)
    result: Array = np.where(missing, level + season, values)
    return result


def _write(out: Opinions, rows: NDArray[np.intp] | slice, verdict: Verdicts, seen: Flags) -> None:
    for array, part in zip(
        (out.sigma, out.expected, out.lower, out.upper),
        (verdict.sigma, verdict.expected, verdict.lower, verdict.upper),
        strict=True,
    ):
        array[rows] = np.where(seen, part, np.nan)
    out.strongest[rows] = np.where(seen, verdict.strongest, -1)
    out.agreeing[rows] = np.where(seen, verdict.agreeing, 0)
    out.ready[rows] = seen


def _no_news(verdict: Verdicts, told: Array, no_news: Flags) -> Array:
    """What is told: no anomaly where it is but the slow voices that still speak of where a series has gone."""
    slow = no_news & (verdict.strongest >= SLOW)
    return np.where(slow, np.clip(told, -AFTER, AFTER), told)


def _as_before(verdict: Verdicts, anchors: Anchors, before: Array, unit: Array) -> Verdicts:
    """While an alert lasts what is expected is the level that was left: the voices soon follow. Without one it is where
    the series has gone, once it has been there for a while. Where it stands still, what was expected ``before``.
    """
    level = np.where(anchors.no_news, verdict.followed, verdict.level)
    level = np.where(np.isnan(before), level, before)
    level = np.where(np.isnan(anchors.left), level, anchors.left)
    moved = (level - verdict.level) * unit[:, None]
    if not moved.any():
        return verdict
    expected, lower, upper = (part + moved for part in (verdict.expected, verdict.lower, verdict.upper))
    return verdict._replace(expected=expected, lower=lower, upper=upper)


def _standing(verdict: Verdicts, runs: Runs) -> Verdicts:
    """What is said where a run says more than the voices: on the side of the sample."""
    more = runs.sigma > np.abs(verdict.sigma)
    if not more.any():
        return verdict
    speaker = (len(VOICES) + runs.which).astype(np.int8)
    side = verdict.deseasoned - runs.left
    return verdict._replace(
        sigma=np.where(more, np.copysign(runs.sigma, side), verdict.sigma),
        strongest=np.where(more, speaker, verdict.strongest),
        agreeing=verdict.agreeing
        | np.where(more, np.left_shift(np.uint16(1), speaker.astype(np.uint16)), np.uint16(0)),
    )


def _agreeing(verdict: Verdicts, told: Array) -> NDArray[np.uint16]:
    """Who stands by what is told at 3 sigma: the voices that would say it alone, or else the loudest."""
    loudest = np.left_shift(np.uint16(1), verdict.strongest.astype(np.uint16))
    agreeing: NDArray[np.uint16] = np.where(verdict.agreeing > 0, verdict.agreeing, loudest)
    return np.where(np.abs(told) >= ANOMALOUS, agreeing, np.uint16(0))
