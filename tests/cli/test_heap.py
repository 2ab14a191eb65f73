import ctypes
import subprocess
import sys

import pytest

THREADS_ALLOCATE = """
import ctypes, sys, threading
from tocsin.cli.heap import share_one_heap
if sys.argv[1] == "share":
    share_one_heap()
import numpy
held, room = [], threading.Barrier(6)
def work():
    room.wait()
    held.append([numpy.ones(size) for size in range(200, 400)])
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="another C library than glibc")
def test_threads_share_one_heap():
    def heaps(how):
        command = [sys.executable, "-c", THREADS_ALLOCATE, how]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.count("<heap nr=")

    assert heaps("each its own") > 1
    assert heaps("share") == 1
