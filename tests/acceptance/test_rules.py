"""The alerting rules of the documentation are rules that Prometheus takes, and they fire when they should."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.servers import binary

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "scrape-tocsin.md"


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [binary("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def files(tmp_path) -> list[Path]:
    """Each block of rules on the page as a file."""
    blocks = [one for one in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL) if one.startswith("groups:")]
    paths = [tmp_path / f"rules_{n}.yml" for n in range(len(blocks))]
    for path, block in zip(paths, blocks, strict=True):
        path.write_text(block)
    return paths


def test_prometheus_takes_the_rules(files):
    assert len(files) == 2
    said = promtool("check", "rules", *files)
    assert said.returncode == 0, said.stderr
    assert "TocsinEvaluates" in files[1].read_text()


@pytest.mark.parametrize(
    ("evaluations", "minute", "fires"), [("0+12x40", 30, True), ("0+12x10 120x30", 30, False), ("_x40", 30, False)]
)
def test_the_dead_mans_switch_fires_only_while_tocsin_evaluates(files, tmp_path, evaluations, minute, fires):
    labels = {"severity": "heartbeat"}
    words = {"summary": "Tocsin evaluates. This alert is meant to fire; its silence is what is wrong."}
    expected = [{"exp_labels": labels, "exp_annotations": words}] if fires else []
    scenario = tmp_path / "scenario.yml"
    # JSON is YAML.
    scenario.write_text(
        json.dumps(
            {
                "rule_files": [str(one) for one in files],
                "evaluation_interval": "1m",
                "tests": [
                    {
                        "interval": "1m",
                        "input_series": [
                            {"series": 'tocsin_evaluations_total{job="tocsin",instance="a"}', "values": evaluations}
                        ],
                        "alert_rule_test": [
                            {"eval_time": f"{minute}m", "alertname": "TocsinEvaluates", "exp_alerts": expected}
                        ],
                    }
                ],
            }
        )
    )
    said = promtool("test", "rules", scenario)
    assert said.returncode == 0, said.stdout + said.stderr
