"""In how many threads numeric libraries compute."""

import os

_LIBRARIES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def compute_in_one() -> None:
    """Let them compute in the thread that asks, unless the environment says otherwise; before numpy is loaded.

    What Tocsin computes is small: more threads gain nothing by it, and OpenBLAS keeps them spinning after each product,
    which costs a check of a long history a third more.
    """
    for name in _LIBRARIES:
        os.environ.setdefault(name, "1")
