"""An optional extra that is installed and cannot be imported is said in words, as one that is not there is."""

import json
from datetime import timedelta

import pytest

from tests.api.scene import is_problem
from tests.api.whole import Whole
from tests.broken import break_package
from tests.monitor.scene import MINUTE, noise, target
from tocsin.domain.target import TargetState

BROKEN = [
    ("forecast", "statsforecast", "OSError('libgomp.so.1: cannot open shared object file')"),
    ("prophet", "prophet", "ImportError('cannot import name x')"),
    ("isolation_forest", "sklearn", "ValueError('numpy.dtype size changed')"),
]
SPARSE = {"step": 10 * MINUTE, "check_interval": 10 * MINUTE, "lookback": timedelta(hours=2)}


@pytest.mark.parametrize(("method", "package", "error"), BROKEN)
async def test_a_backtest_says_which_package_cannot_be_imported_and_why(monkeypatch, tmp_path, method, package, error):
    break_package(monkeypatch, tmp_path, package, error)
    watched = target(detection_methods=("zscore", method), **SPARSE)
    async with Whole(watched, target("plain", detection_methods=("zscore",), **SPARSE)) as whole:
        whole.world.source.play("q", noise)
        body = {"target": "errors", "days": 2}
        why = error.partition("('")[0] + ": " + error.partition("('")[2].removesuffix("')")
        words = f"{method} needs {package}, which is installed and cannot be imported: {why}"
        answer = await whole.client.post("/monitoring/backtest", json=body)
        assert is_problem(answer, 422, "target.detection_methods").endswith(words)
        lines = await whole.client.post("/monitoring/backtest", json=body, headers={"Accept": "application/x-ndjson"})
        assert json.loads(lines.text.splitlines()[-1])["problem"]["detail"].endswith(words)
        tried = {"target": "plain", "days": 2, "change": {"detection_methods": ["zscore", method]}}
        is_problem(await whole.client.post("/monitoring/backtest", json=tried), 422, "change.detection_methods")
        await whole.world.run_for(10 * MINUTE)
        await whole.world.read()
        status = whole.world.monitor.view("errors").status
        assert (status.state, status.reason) == (TargetState.ERROR, words)
        assert whole.world.monitor.view("plain").status.state is TargetState.READY
