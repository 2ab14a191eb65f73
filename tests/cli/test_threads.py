import os
import subprocess
import sys
from pathlib import Path

import pytest

from tocsin.cli import main

MULTIPLIES = """
import os, sys
from tocsin.cli.threads import compute_in_one
if sys.argv[1] == "one":
    compute_in_one()
import numpy
numpy.ones((500, 500)) @ numpy.ones((500, 500))
print(len(os.listdir("/proc/self/task")))
"""
NAMES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@pytest.mark.skipif((os.cpu_count() or 1) < 2 or not Path("/proc/self/task").is_dir(), reason="one core, or no Linux")
def test_numeric_libraries_compute_in_one_thread():
    def threads(how, **more):
        bare = {name: value for name, value in os.environ.items() if name not in NAMES}
        command = [sys.executable, "-c", MULTIPLIES, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True, env=bare | more).stdout)

    assert threads("as it comes") > 1
    assert threads("one") == 1
    assert threads("one", OPENBLAS_NUM_THREADS="2") > 1, "the environment has the last word"


def test_every_command_does(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["tocsin", "version"])
    with pytest.raises(SystemExit):
        main()
    assert [os.environ[name] for name in NAMES] == ["1", "1", "1"]
