"""That benchmarks still run, for a look: what they measure is asserted nowhere."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["bench_auto", "bench_backtest", "bench_detect"])
def test_a_benchmark_prints_its_figures(name):
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) >= 4
