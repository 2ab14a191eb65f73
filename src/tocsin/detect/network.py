"""Sorting long float32 rows in blocks that numpy sorts without a branch, where the processor is better at that.

numpy sorts up to some hundred numbers with a network of exchanges and longer rows by partitioning first. With AVX-512
it partitions by an instruction (compress to memory) that some processors, Zen 4 among them, are very slow at: a row
of 1440 then costs twice what three sorted blocks of 480 and their merging cost.
"""

from __future__ import annotations

import time
from functools import cache

import numpy as np
from numpy.typing import NDArray

BLOCK = 512
"""numpy sorts so many 32-bit numbers by its network alone."""

FEW_BLOCKS = 3
"""Each block more costs every sample one sort more, partitioning ever less: from four on it is even."""

Keys = NDArray[np.int32]
Narrow = NDArray[np.float32]

_SIGN_KEPT = np.int32(0x7FFFFFFF)
_TRIAL = (45, 1440)
_TRIES = 5


def sort_rows(rows: Narrow, spare: Keys) -> None:
    """Sort the rows (S, T) of a contiguous block in place, by whichever way is faster here; the result is the same.

    NaN, whose sign must be clear, comes last. ``spare`` is room for twice as many numbers and two to a row more.
    """
    if BLOCK < rows.shape[1] <= FEW_BLOCKS * BLOCK and blocks_are_faster():
        sort_in_blocks(rows, spare)
    else:
        rows.sort(axis=1)


@cache
def blocks_are_faster() -> bool:
    """Whether blocks sort a few rows faster on this processor: tried out once in a process, in some milliseconds."""
    given = np.random.default_rng(1).standard_normal(_TRIAL).astype(np.float32)
    spare, taken = np.empty(3 * given.size, np.int32), []
    for work in (lambda rows: rows.sort(axis=1), lambda rows: sort_in_blocks(rows, spare)):
        tries = []
        for _ in range(_TRIES):
            rows = given.copy()
            begun = time.perf_counter()
            work(rows)
            tries.append(time.perf_counter() - begun)
        taken.append(min(tries))
    return taken[1] < taken[0]


def sort_in_blocks(rows: Narrow, spare: Keys) -> None:
    """Sort each block, then let neighbours take the lower and the higher half of both until all are in order.

    That is the odd-even transposition sort with blocks for numbers (Baudet and Stevenson, "Optimal sorting algorithms
    for parallel computers", 1978). Floats are sorted as whole numbers in the same order, which is faster. Every other
    block is held as the complement of its numbers, whose ascending order is the descending one of the numbers: the
    halves of an ascending and a descending block are the smaller and the larger of each pair.
    """
    many, width = rows.shape
    blocks = -(-width // BLOCK)
    size = -(-width // blocks)
    keys = spare[: blocks * many * size].reshape(blocks, many, size)
    other = spare[keys.size :]
    bits = rows.view(np.int32)
    # Where the last block is not full its rest stands behind NaN.
    keys[-1, :, width - (blocks - 1) * size :] = _SIGN_KEPT
    for number, key in enumerate(keys):
        part = bits[:, number * size : (number + 1) * size]
        key[:, : part.shape[1]] = part
    _turn(keys, other[: keys.size].reshape(keys.shape))
    for key in keys[1::2]:
        np.invert(key, out=key)
    keys.reshape(-1, size).sort(axis=1)
    turned = other[: many * size].reshape(many, size)
    for step in range(blocks):
        for left in range(step % 2, blocks - 1, 2):
            _exchange(keys[left], keys[left + 1], turned, falling=left % 2 == 1)
    for key in keys[1::2]:
        np.invert(key, out=key)
        key.sort(axis=1)
    _turn(keys, other[: keys.size].reshape(keys.shape))
    for number, key in enumerate(keys):
        part = bits[:, number * size : (number + 1) * size]
        part[...] = key[:, : part.shape[1]]


def _exchange(left: Keys, right: Keys, turned: Keys, *, falling: bool) -> None:
    """The lower half of both to the left, the higher to the right; the left one is the complement if ``falling``."""
    plain, complement = (right, left) if falling else (left, right)
    np.invert(complement, out=turned)
    (np.minimum if falling else np.maximum)(plain, turned, out=complement)
    (np.maximum if falling else np.minimum)(plain, turned, out=plain)
    np.invert(complement, out=complement)
    left.sort(axis=1)
    right.sort(axis=1)


def _turn(keys: Keys, other: Keys) -> None:
    """From the bits of floats to whole numbers in the same order, and back."""
    np.right_shift(keys, 31, out=other)
    np.bitwise_and(other, _SIGN_KEPT, out=other)
    np.bitwise_xor(keys, other, out=keys)
