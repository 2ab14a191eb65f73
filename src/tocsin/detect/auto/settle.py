"""A person says that a level is the new normal: nothing is away from it any more, and nothing looks odd against it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.auto.anchor import REST
from tocsin.detect.auto.state import AutoState

FEWEST = 3
"""Samples of the new level that say where it is."""


def settled(state: AutoState, rows: NDArray[np.intp], ages: NDArray[np.int64]) -> AutoState:
    """The state after ``rows`` have had their normal level for the last ``ages`` (n,) columns.

    They are away from no level. The samples before and the centre are moved by the difference of the medians, the
    season taken off, so that voices which look back find them where the series is now; scales and tails stay as they
    were learnt.
    """
    anchor, size, share = state.anchor.copy(), state.anchor_size.copy(), state.anchor_share.copy()
    begun, calm = state.anchor_begun.copy(), state.anchor_calm.copy()
    share[rows] = 0.0
    anchor[rows], size[rows], begun[rows], calm[rows] = np.nan, 0.0, state.age[rows] + REST, 0
    recent, center = state.recent.copy(), state.center.copy()
    # How it came here is no precedent.
    lasting, peak, near = state.lasting.copy(), state.peak.copy(), state.last_near.copy()
    lasting[rows], peak[rows], near[rows] = 0.0, 0.0, -(1 << 40)
    columns = recent.shape[1]
    for row, age in zip(rows.tolist(), ages.tolist(), strict=True):
        first = max(0, columns - age)
        level = recent[row] - state.profile[row, state.recent_bins]
        before, since = level[:first], level[first:]
        if np.isnan(before).all() or np.count_nonzero(~np.isnan(since)) < FEWEST:
            continue
        moved = np.nanmedian(since) - np.nanmedian(before)
        recent[row, :first] += moved
        center[row] += moved
    return replace(
        state,
        anchor=anchor,
        anchor_size=size,
        anchor_share=share,
        anchor_begun=begun,
        anchor_calm=calm,
        recent=recent,
        center=center,
        lasting=lasting,
        peak=peak,
        last_near=near,
    )
