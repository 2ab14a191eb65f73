"""How the C library of this process keeps memory; where it is another than glibc, nothing happens."""

import contextlib
import ctypes

_M_ARENA_MAX = -8


def share_one_heap() -> None:
    """Let all threads allocate from one heap.

    glibc gives each thread a heap of its own, and each keeps what the largest question that it ever answered took: with
    a dozen threads the process grows for hours without holding anything more. It has to be told before the first
    thread begins, so before numpy is loaded.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
