"""That benchmarks still run, for a look: what they measure is asserted nowhere."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import bench_quality, forms

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["bench_auto", "bench_backtest", "bench_detect"])
def test_a_benchmark_prints_its_figures(name):
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) >= 4


def test_a_labelled_set_is_written_in_every_form(tmp_path):
    at = np.arange(4000)
    values, label = 100.0 + at % 60, (at // 10 == 300).astype(int)
    (tmp_path / "data" / "some").mkdir(parents=True)
    np.savez(tmp_path / "data/some/one.npz", timestamps=at * 60.0, values=values, label=label, warm=2000)
    (tmp_path / "data/manifest.json").write_text(json.dumps([{"name": "one", "dataset": "some", "step": 60.0}]))
    forms.main(["--data", str(tmp_path / "data"), "--out", str(tmp_path / "forms")])
    read = {name: dict(np.load(tmp_path / "forms" / name / "some/one.npz")) for name in forms.FORMS}
    assert {len(read[name]["values"]) for name in ("root", "power", "noise")} == {4000}
    assert (len(read["cut-20"]["values"]), read["cut-20"]["warm"], read["cut-20"]["label"].sum()) == (3600, 1600, 10)
    five = read["5-min"]
    assert np.array_equal(five["values"], values[: len(five["values"]) * 5].reshape(-1, 5).mean(axis=1))
    assert np.flatnonzero(five["label"]).tolist() == [600, 601]
    assert five["warm"] == 400
    assert read["60-min"]["label"].sum() == 0, "ten minutes are no 30 % of an hour"


def test_every_alert_is_in_the_reliability_table():
    told = [(n % 3 == 0, confidence) for n, confidence in enumerate(np.linspace(0.01, 1.0, 100))]
    rows = list(bench_quality.reliability(told))
    assert sum(alerts for _, _, alerts, *_ in rows) == len(told)
    assert sum(alerts * real for _, _, alerts, _, real in rows) == pytest.approx(34)
