"""The trees of an isolation forest as plain arrays: many series at once, one sample at a time, nothing to unpickle."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.calibrate import Array
from tocsin.detect.more.extras import importing

if TYPE_CHECKING:
    from sklearn.ensemble import IsolationForest

TREES = 24
LEAVES_FROM = 64
"""Windows that each tree is grown from (``max_samples``)."""

NODES = 2 * LEAVES_FROM - 1
DEPTH = 6
"""ceil(log2(64)): the depth at which isolation forests stop."""


class Trees(NamedTuple):
    """``feature`` (TREES, NODES) is -1 at a leaf, ``length`` the path to it, ``left`` and ``right`` are children."""

    feature: NDArray[np.int8]
    threshold: NDArray[np.float32]
    left: NDArray[np.uint8]
    right: NDArray[np.uint8]
    length: NDArray[np.float32]


def no_trees(rows: int) -> Trees:
    """Arrays (S, TREES, NODES) of series without a forest."""
    shape = (rows, TREES, NODES)
    child = np.zeros(shape, np.uint8)
    return Trees(np.full(shape, -1, np.int8), np.zeros(shape, np.float32), child, child, np.zeros(shape, np.float32))


def picked(trees: Trees, rows: NDArray[np.intp]) -> Trees:
    """A copy of the forests of some series."""
    return Trees(trees.feature[rows], trees.threshold[rows], trees.left[rows], trees.right[rows], trees.length[rows])


def put(trees: Trees, row: int, one: Trees) -> None:
    """Write the forest of one series into its row."""
    trees.feature[row], trees.threshold[row], trees.length[row] = one.feature, one.threshold, one.length
    trees.left[row], trees.right[row] = one.left, one.right


def grown(windows: Array) -> Trees:
    """The trees of one series from (n, lags) windows. Needs scikit-learn."""
    with importing("isolation_forest", "sklearn"):
        from sklearn.ensemble import IsolationForest  # noqa: PLC0415  (optional, and slow to import)

    forest = IsolationForest(n_estimators=TREES, max_samples=min(LEAVES_FROM, len(windows)), random_state=0)
    return flattened(forest.fit(windows.astype(np.float32)))


def flattened(forest: IsolationForest) -> Trees:
    """A fitted forest as arrays."""
    blank = no_trees(1)
    trees = Trees(blank.feature[0], blank.threshold[0], blank.left[0].copy(), blank.right[0].copy(), blank.length[0])
    for n, one in enumerate(forest.estimators_):
        tree = one.tree_
        size = tree.node_count
        inner = tree.children_left >= 0
        trees.feature[n, :size] = np.where(inner, tree.feature, -1)
        trees.threshold[n, :size] = np.where(inner, tree.threshold, 0.0)
        trees.left[n, :size] = np.where(inner, tree.children_left, 0)
        trees.right[n, :size] = np.where(inner, tree.children_right, 0)
        depth = np.zeros(size)
        for node in np.flatnonzero(inner):
            depth[tree.children_left[node]] = depth[tree.children_right[node]] = depth[node] + 1
        trees.length[n, :size] = depth + average_path(tree.n_node_samples.astype(np.float64))
    return trees


def average_path(samples: Array) -> Array:
    """c(n), the mean path of an unsuccessful search among n samples (Liu, Ting and Zhou 2008, equation 1)."""
    n = np.maximum(samples, 2.0)
    many = 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
    result: Array = np.where(samples <= 1.0, 0.0, np.where(samples == 2.0, 1.0, many))
    return result


def scored(trees: Trees, windows: Array) -> Array:
    """The mean path (S, K) of (S, K, lags) windows: the shorter, the easier a window is told from all others."""
    rows, columns, _ = windows.shape
    node = np.zeros((rows, columns, TREES), np.intp)
    who, tree = np.arange(rows)[:, None, None], np.arange(TREES)[None, None, :]
    at = np.arange(columns)[None, :, None]
    small = windows.astype(np.float32)
    for _ in range(DEPTH):
        feature = trees.feature[who, tree, node]
        goes_left = small[who, at, np.maximum(feature, 0)] <= trees.threshold[who, tree, node]
        child = np.where(goes_left, trees.left[who, tree, node], trees.right[who, tree, node])
        node = np.where(feature < 0, node, child)
    lengths = trees.length[who, tree, node]
    total = np.zeros((rows, columns))
    # One after another: the bits of a sum must not depend on the shape of the block.
    for n in range(TREES):
        total += lengths[:, :, n]
    result: Array = total / TREES
    return result
