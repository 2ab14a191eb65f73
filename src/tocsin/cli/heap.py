"""How the C library of this process keeps memory; where it is another than glibc, nothing happens."""

import contextlib
import ctypes

_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3
_LARGE = 512 * 1024


def share_one_heap() -> None:
    """Let all threads allocate from one heap.

    glibc gives each thread a heap of its own, and each keeps what the largest question that it ever answered took: with
    a dozen threads the process grows for hours without holding anything more. It has to be told before the first
    thread begins, so before numpy is loaded. And large blocks are given back at once: left to itself glibc takes ever
    larger ones from the heap, where what comes to lie behind them holds them fast.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
