"""What ``auto`` remembers of many series: bounded, versioned, the same whether it came in one part or in many."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto.ruler import BINS
from tocsin.detect.auto.windows import LAG, REFERENCES, Rings
from tocsin.detect.calibrate import Array

VERSION = 10
"""The layout that ``to_bytes`` writes; another one is refused and the state is learnt again from history."""

VOICES: tuple[str, ...] = ("change", "spike", "level", "step", "shift", "volatility", "shape", "away", "astray")
"""What each of the nine voices looks at, in the order of every array of them (see ``voices.residuals``): quick ones
first, then the three that hear a sample late and a changed level for long.
"""

RUNS: tuple[str, ...] = ("zero", "stuck")
"""What speaks beside the voices of samples that stand still (see ``runs.py``)."""

SPEAKERS = (*VOICES, *RUNS)
"""The names by which what ``auto`` finds is told."""

SIDED = frozenset(VOICES) - {"volatility", "shape"}
"""Voices that say above or below; the others say unlike."""

LEAD = 132
"""Columns before a sample that its residuals look back on."""

DAY_S = 86400.0
DAYS = 14
"""Days after which a day counts e times less in what is learnt; with few samples a day ``Grid.memory`` is longer."""

ENOUGH = 192
ENOUGH_DAYS = 0.5
"""A tail must rest on so many samples and on so many days of them, at most 1,440: with fewer, a Student-t knows more
than the history does, and one incident would be all that the tail knows.
"""

FEWEST_A_DAY = 12
"""A step longer than two hours knows no time of day."""

DAY_BINS = 144
HOURS = 24
DAY_ROWS = 7
"""Days that are kept: with the first of them begins what is expected of the weekday after the last."""

LEFT, SIZE, RATIO, SHARE, FORMER, SETTLED_AT = range(6)
"""What ``anchor`` says of a row: the level it left (NaN = it is at home), how far from it, in the row's unit; how large
that level was by what was usual at that time, and the deviation by the same; a level that was normal before, and
the age at which where it went became its normal (NaN = none). ``unrest`` has the first two of how much it moves, in
nats.
"""

PEAKS = 24
"""Levels of the peaks that are counted (see ``precedent.py``)."""

AT_HOME, AT_REST = np.array([np.nan, 0.0, 0.0, 0.0, np.nan, np.nan]), np.array([np.nan, 0.0])
"""A row of ``anchor`` and of ``unrest`` that is away from nothing."""

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """The calendar of a step: columns ``a_day``, ``bins`` of the day's profile, ``hours`` that have their own scale."""

    step_s: float
    a_day: int
    bins: int
    hours: int

    @classmethod
    def of(cls, step_s: float) -> Grid:
        """The grid of samples ``step_s`` seconds apart. Raises ValueError when that is not above 0."""
        if not step_s > 0:
            raise ValueError(f"step_s must be above 0, not {step_s}")
        a_day = max(1, round(DAY_S / step_s))
        return cls(step_s, a_day, min(a_day, DAY_BINS), 24 if a_day >= 24 else 1)

    @property
    def memory(self) -> int:
        """Columns after which what is learnt counts e times less: ``DAYS``, or twice what a tail must rest on."""
        return max(self.a_day * DAYS, 2 * ENOUGH)

    def bins_of(self, local: Array) -> NDArray[np.intp]:
        """The profile bin of each local time (unix seconds plus the offset of the time zone)."""
        return np.floor((local % DAY_S) / DAY_S * self.bins).astype(np.intp)

    def day_of(self, local: Array) -> Ints:
        """The number of the local day of each time."""
        return np.floor(local / DAY_S).astype(np.int64)


@dataclass(frozen=True)
class AutoState:
    """Everything that is known of S series; every array has S rows and is replaced, never changed in place.

    Values are kept in the unit of the row: (x - ``offset``) / ``unit``, both fixed when it first learns, with
    ``center`` and ``spread`` (mean absolute deviation) following the series. ``age`` counts columns since its first
    sample, ``still`` those of them before the last that was like the first, ``unseen`` those since its last one,
    ``since`` those since it last learnt, ``mass`` how many samples the histogram is worth. ``recent`` are the last
    ``LEAD`` columns, ``recent_bins`` their bins of the day, ``recent_season`` what of them is season. ``scale`` (S,
    9, hours) is each voice's usual size, ``counts`` (S, 9, 2, BINS) its histogram above and below, ``log_far`` and
    ``shape`` its tail. ``days`` (S, 7, bins) are finished days, ``jumps`` (S, 7) how far each began from where the
    one before ended (``day_end``), ``profile`` (S, bins) what the next one should be, ``days_away`` (S, 7, 3) a bit
    for each of their hours in which it was away, ``new_day_away`` one for each bin of this day, ``references`` (S,
    8, 120) windows of the past by ``window_scale`` (see ``windows.py``), ``anchor`` and ``unrest`` what a row left
    and is still away from, each with ``anchor_begun`` and ``anchor_calm`` (S, 2; see ``anchor.py``), ``peaks`` how
    often it went how far (see ``precedent.py``), ``event`` the smallest that came of a series that rests at zero and
    ``held_back`` what was not told of one that may be single (see ``sparse.py``), ``run_counts`` (S, 2) how often it
    stood still; the last ``run_length`` samples had the ``run_value`` where ``run_left`` was expected, which is told
    with ``run_told`` (see ``runs.py``). What begins with ``new_`` waits for the next learning and is whole numbers,
    so that it does not matter in which parts the samples came.
    """

    grid: Grid
    day: int
    recent_bins: NDArray[np.intp]
    age: Ints
    still: Ints
    unseen: Ints
    since: Ints
    learnt: Ints
    mass: Array
    offset: Array
    unit: Array
    center: Array
    spread: Array
    resolution: Array
    recent: Array
    recent_season: NDArray[np.float16]
    scale: NDArray[np.float32]
    counts: NDArray[np.float32]
    log_far: NDArray[np.float32]
    shape: NDArray[np.float32]
    days: NDArray[np.float16]
    day_count: Ints
    day_level: Array
    day_end: Array
    days_away: NDArray[np.uint8]
    jumps: NDArray[np.float16]
    profile: NDArray[np.float16]
    season: NDArray[np.int8]
    season_error: NDArray[np.float32]
    references: Rings
    window_scale: Array
    reference_count: Ints
    known_references: Ints
    lasting: Array
    peaks: NDArray[np.float32]
    peak: Array
    peak_begun: Ints
    last_hot: Ints
    last_near: Ints
    event: NDArray[np.float32]
    held_back: NDArray[np.float32]
    run_value: Array
    run_length: NDArray[np.int32]
    run_told: NDArray[np.float32]
    run_left: NDArray[np.float32]
    run_counts: NDArray[np.float32]
    anchor: Array
    unrest: Array
    anchor_begun: Ints
    anchor_calm: NDArray[np.int32]
    new_counts: NDArray[np.uint16]
    new_size: NDArray[np.int32]
    new_seen: NDArray[np.uint16]
    new_moved: NDArray[np.int64]
    new_away: NDArray[np.int64]
    new_gap: Array
    new_ties: NDArray[np.int32]
    new_day: NDArray[np.int32]
    new_day_seen: NDArray[np.uint16]
    new_day_away: NDArray[np.uint8]
    new_day_held: Ints
    new_runs: NDArray[np.int16]

    @classmethod
    def empty(cls, rows: int, step_s: float) -> AutoState:
        """Series of which nothing is known."""
        return _blank(rows, Grid.of(step_s), -1, np.zeros(0, np.intp))

    @property
    def rows(self) -> int:
        """How many series it knows."""
        return len(self.age)

    @property
    def enough(self) -> int:
        """How many samples a tail must rest on."""
        return int(max(ENOUGH, min(ENOUGH_DAYS * self.grid.a_day, 1440)))

    @property
    def ready(self) -> Flags:
        """(S,): which series have learnt enough for ``auto`` to judge them."""
        result: Flags = (self.learnt >= 2) & (self.mass >= max(ENOUGH, min(ENOUGH_DAYS * self.grid.a_day, 1440)))
        return result

    def season_at(self, bins: NDArray[np.intp]) -> Array:
        """What of each column (S, K) is season; ``bins`` (K,) of the day."""
        return self.profile[:, bins].astype(np.float64)

    def changed(self, **changes: object) -> AutoState:
        """The same but for these fields: ``dataclasses.replace`` takes twenty times as long, for each sample."""
        if not changes.keys() <= _FIELDS:
            raise TypeError(f"a state has no {', '.join(sorted(changes.keys() - _FIELDS))}")
        after = object.__new__(AutoState)
        vars(after).update(vars(self), **changes)
        return after

    def select(self, rows: object) -> AutoState:
        """The state with its rows reordered or extended: ``rows`` are old row numbers, -1 = a new series."""
        index = np.asarray(rows, dtype=np.intp)
        new = np.flatnonzero(index < 0)
        if not self.rows:
            return _blank(len(index), self.grid, self.day, self.recent_bins)
        blank = _blank(1, self.grid, self.day, self.recent_bins) if new.size else None
        parts: dict[str, Any] = {}
        for name in _ARRAYS:
            array = getattr(self, name)[index]
            if blank is not None:
                array[new] = getattr(blank, name)
            parts[name] = array
        return self.changed(**parts)

    def put(self, rows: NDArray[np.intp], part: AutoState) -> AutoState:
        """A new state in which ``rows`` are those of ``part``."""
        if len(rows) == self.rows:
            return part
        parts: dict[str, Any] = {}
        for name in _ARRAYS:
            array = getattr(self, name).copy()
            array[rows] = getattr(part, name)
            parts[name] = array
        return self.changed(**parts)

    @classmethod
    def stacked(cls, parts: Sequence[AutoState]) -> AutoState:
        """States of one calendar and one time, row upon row."""
        joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
        return parts[0].changed(**joined)

    @property
    def size_bytes(self) -> int:
        """Bytes that all rows hold."""
        return sum(getattr(self, name).nbytes for name in _ARRAYS)

    def to_bytes(self) -> bytes:
        """The whole state: one line of JSON that names each array, then their bytes."""
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in ("recent_bins", *_ARRAYS)}
        head = {
            "version": VERSION,
            "step_s": self.grid.step_s,
            "day": self.day,
            "arrays": {name: [array.dtype.str, list(array.shape)] for name, array in arrays.items()},
        }
        return json.dumps(head).encode() + b"\n" + b"".join(array.tobytes() for array in arrays.values())

    @classmethod
    def from_bytes(cls, data: bytes) -> AutoState:
        """What ``to_bytes`` wrote. Raises ValueError for another version and for anything that does not fit."""
        line, _, body = data.partition(b"\n")
        try:
            head = json.loads(line)
            version, step_s, layout = head["version"], float(head["step_s"]), head["arrays"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError("this is no learnt state") from error
        if version != VERSION:
            raise ValueError(f"the learnt state has layout {version}, this version reads {VERSION}")
        if set(layout) != {"recent_bins", *_ARRAYS}:
            raise ValueError("the learnt state names other arrays")
        parts: dict[str, Any] = {}
        place = 0
        for name, (kind, shape) in layout.items():
            dtype = np.dtype(kind)
            size = dtype.itemsize * int(np.prod(shape))
            if dtype.hasobject or place + size > len(body):
                raise ValueError(f"the learnt state breaks off at {name}")
            parts[name] = np.frombuffer(body, dtype, int(np.prod(shape)), place).reshape(shape).copy()
            place += size
        state = cls(Grid.of(step_s), int(head["day"]), **parts)
        blank = _blank(len(state.age), state.grid, state.day, state.recent_bins)
        for name in _ARRAYS:
            mine, wanted = getattr(state, name), getattr(blank, name)
            if mine.shape != wanted.shape or mine.dtype != wanted.dtype:
                raise ValueError(f"the learnt state has {name} of shape {mine.shape}, not {wanted.shape}")
        return state


def _blank(rows: int, grid: Grid, day: int, recent_bins: NDArray[np.intp]) -> AutoState:
    voices, hours, bins = len(VOICES), grid.hours, grid.bins
    zero, whole = np.zeros(rows), np.zeros(rows, np.int64)
    bits = np.zeros((rows, -(-bins // 8)), np.uint8)
    return AutoState(
        grid=grid,
        day=day,
        recent_bins=recent_bins,
        age=whole,
        still=whole,
        unseen=whole,
        since=whole,
        learnt=whole,
        mass=zero,
        offset=zero,
        unit=np.ones(rows),
        center=zero,
        spread=zero,
        resolution=zero,
        recent=np.full((rows, len(recent_bins)), np.nan),
        recent_season=np.zeros((rows, len(recent_bins)), np.float16),
        scale=np.zeros((rows, voices, hours), np.float32),
        counts=np.zeros((rows, voices, 2, BINS), np.float32),
        log_far=np.zeros((rows, voices, 2), np.float32),
        shape=np.ones((rows, voices, 2), np.float32),
        days=np.zeros((rows, DAY_ROWS, bins), np.float16),
        day_count=whole,
        day_level=np.full(rows, np.nan),
        day_end=np.full(rows, np.nan),
        days_away=np.zeros((rows, DAY_ROWS, HOURS // 8), np.uint8),
        jumps=np.full((rows, DAY_ROWS), np.nan, np.float16),
        profile=np.zeros((rows, bins), np.float16),
        season=np.zeros(rows, np.int8),
        season_error=np.zeros((rows, 3), np.float32),
        references=np.zeros((rows, LAG, REFERENCES), np.int16),
        window_scale=np.ones(rows),
        reference_count=whole,
        known_references=whole,
        lasting=zero,
        peaks=np.zeros((rows, PEAKS), np.float32),
        peak=zero,
        peak_begun=np.full(rows, -(1 << 40)),
        last_hot=np.full(rows, -(1 << 40)),
        last_near=np.full(rows, -(1 << 40)),
        event=np.full(rows, np.inf, np.float32),
        held_back=np.zeros(rows, np.float32),
        run_value=np.full(rows, np.nan),
        run_length=np.zeros(rows, np.int32),
        run_told=np.zeros(rows, np.float32),
        run_left=np.full(rows, np.nan, np.float32),
        run_counts=np.zeros((rows, len(RUNS)), np.float32),
        anchor=np.tile(AT_HOME, (rows, 1)),
        unrest=np.tile(AT_REST, (rows, 1)),
        anchor_begun=np.zeros((rows, 2), np.int64),
        anchor_calm=np.zeros((rows, 2), np.int32),
        new_counts=np.zeros((rows, voices, 2, BINS), np.uint16),
        new_size=np.zeros((rows, voices, hours), np.int32),
        new_seen=np.zeros((rows, hours), np.uint16),
        new_moved=whole,
        new_away=whole,
        new_gap=np.full(rows, np.inf),
        new_ties=np.zeros(rows, np.int32),
        new_day=np.zeros((rows, bins), np.int32),
        new_day_seen=np.zeros((rows, bins), np.uint16),
        new_day_away=bits,
        new_day_held=whole,
        new_runs=np.zeros((rows, len(RUNS)), np.int16),
    )


_FIELDS = frozenset(field.name for field in fields(AutoState))
_ARRAYS = tuple(field.name for field in fields(AutoState) if field.name not in ("grid", "day", "recent_bins"))
