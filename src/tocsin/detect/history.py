"""A back-test: what monitoring would have said of a recorded series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto import SPEAKERS
from tocsin.detect.base import AUTO, METHODS, Direction, Scores, as_block, as_times, choose
from tocsin.detect.calibrate import Array
from tocsin.detect.follow import follow
from tocsin.detect.judge import Policy, judge, possible
from tocsin.detect.more import Context
from tocsin.detect.replay import relearns_after

WINDOW = 1440


@dataclass(frozen=True)
class Backtest:
    """Each array has the shape of the values that came in; NaN (False, -1, 0) where there is no opinion."""

    sigma: Array
    expected: Array
    lower: Array
    upper: Array
    flags: NDArray[np.bool_]
    strongest: NDArray[np.int8]
    agreeing: NDArray[np.uint32]
    methods: tuple[str, ...]


def backtest(
    timestamps: object,
    values: object,
    methods: str | Sequence[str] = AUTO,
    *,
    window: int = WINDOW,
    relearn: int | None = None,
    direction: Direction = Direction.BOTH,
    policy: Policy | None = None,
    step_s: float | None = None,
    utc_offset_s: float = 0.0,
    context: Context | None = None,
) -> Backtest:
    """Judge each sample of (T,) or (S, T) ``values`` from what came before it alone; ``timestamps`` (T,) unix seconds.

    NaN and infinite samples are gaps. A column whose timestamp is not later than all before it (late, duplicate) gets
    no opinion, no flag, and teaches nothing. ``window`` and ``relearn`` (default: a sixtieth of it, at least three)
    count columns; ``policy`` says what counts as a flag (default: 3 sigma on the side of ``direction``). Without
    ``step_s`` the grid on which learning falls due is the first spacing: a later one must not move what was said of a
    sample. ``utc_offset_s`` is the offset of the series' time zone, for the time of day; ``context`` is what further
    methods are told. Raises ValueError for shapes that do not fit, unknown methods, and limits below 1.
    """
    block = as_block(values)
    times = as_times(timestamps, block.shape[1])
    chosen = choose(methods)
    ahead = _in_order(times)
    names = ((*SPEAKERS, *METHODS) if chosen.auto else chosen.classic) + chosen.more
    scores = Scores.nothing(len(block), block.shape[1], names)
    flags = np.zeros(block.shape, dtype=bool)
    rule = policy or Policy(direction=direction)
    if ahead.size:
        kept = np.ascontiguousarray(block[:, ahead])
        result = follow(
            times[ahead],
            kept,
            new=len(ahead),
            window=window,
            relearn=relearns_after(window) if relearn is None else relearn,
            methods=methods,
            step_s=step_s or (float(times[ahead[1]] - times[ahead[0]]) if len(ahead) > 1 else 1.0),
            utc_offset_s=utc_offset_s,
            context=context,
        ).scores
        result = possible(result, rule)
        for name in ("sigma", "expected", "lower", "upper", "strongest", "agreeing"):
            getattr(scores, name)[:, ahead] = getattr(result, name)
        flags[:, ahead] = judge(result, kept, rule).flags
    shape = np.asarray(values).shape
    return Backtest(
        sigma=scores.sigma.reshape(shape),
        expected=scores.expected.reshape(shape),
        lower=scores.lower.reshape(shape),
        upper=scores.upper.reshape(shape),
        flags=flags.reshape(shape),
        strongest=scores.strongest.reshape(shape),
        agreeing=scores.agreeing.reshape(shape),
        methods=names,
    )


def _in_order(times: Array) -> NDArray[np.intp]:
    """The columns whose timestamp is later than every one before."""
    known = np.where(np.isfinite(times), times, -np.inf)
    before = np.concatenate(([-np.inf], np.maximum.accumulate(known)[:-1])) if len(times) else known
    return np.flatnonzero(known > before)
