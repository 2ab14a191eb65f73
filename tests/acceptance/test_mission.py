"""Every command of the mission document does what it promises, as it is written."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.acceptance.process import Tocsin, environment
from tests.servers import prometheus

pytestmark = pytest.mark.xdist_group("mission")
"""One worker, so one server."""

PAGE = Path(__file__).resolve().parents[2] / "docs" / "mission.md"
BLOCKS = [
    block
    for block in re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    if "curl " in block
]

CREATE = next(block for block in BLOCKS if '"custom_metric"' in block)
UNFINISHED = """\
curl -X POST http://localhost:8000/monitoring/start
curl -X POST http://localhost:8000/monitoring/targets \\
  -d '{...}'  # Your config
curl http://localhost:8000/monitoring/alerts
"""
"""How the mission document tests the monitoring system; its body is filled in below."""


class Said(NamedTuple):
    """What one curl command printed."""

    status: int
    json: dict


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Tocsin]:
    folder = tmp_path_factory.mktemp("mission")
    with prometheus(folder / "prometheus") as real:
        config = folder / "tocsin.yaml"
        config.write_text(f"datasources:\n  - {{uid: prometheus-uid, type: prometheus, url: '{real.url}'}}\n")
        with Tocsin(folder / "state", "--no-host", "--config", str(config)) as tocsin:
            yield tocsin


def shell(block: str, server: Tocsin) -> list[Said]:
    """Run a block as it is written, but for the address; what each of its curls answered."""
    text = block.replace("localhost:8000", server.address)
    # The function shows the status beside each body; the block itself is not touched.
    script = f"curl() {{ command curl -sS --noproxy '*' -w '\\n%{{http_code}}\\n' \"$@\"; }}\n{text}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], env=environment(), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    return [Said(int(status), json.loads(body)) for body, status in zip(lines[::2], lines[1::2], strict=True)]


def block_with(*words: str) -> str:
    found = [block for block in BLOCKS if all(word in block for word in words)]
    assert len(found) == 1, f"{len(found)} blocks of {PAGE.name} have {words}"
    return found[0]


def test_the_page_has_all_the_commands_of_the_mission():
    commands = sum(block.count("curl ") for block in BLOCKS)
    assert commands >= 8, f"only {commands} commands in {PAGE}"


def test_start_and_status(server):
    started, status = shell(block_with("/monitoring/start", "/monitoring/status"), server)
    assert (started.status, status.status) == (200, 200)
    assert started.json["running"] is True
    assert status.json["running"] is True
    assert "prometheus-uid" in [one["uid"] for one in status.json["datasources"]]


def test_enable_a_target(server):
    (enabled,) = shell(block_with("/targets/error_rate/enable"), server)
    assert enabled.status == 200
    assert enabled.json["enabled"] is True
    assert server.target("error_rate")["enabled"] is True


def test_create_a_target(server):
    server.request("DELETE", "/monitoring/targets/custom_metric")
    (created,) = shell(CREATE, server)
    assert created.status == 201
    assert created.json["name"] == "custom_metric"
    kept = server.target("custom_metric")
    given = {name: kept[name] for name in ("datasource_uid", "query_type", "check_interval", "severity_threshold")}
    assert given == {
        "datasource_uid": "prometheus-uid",
        "query_type": "prometheus",
        "check_interval": 300,
        "severity_threshold": "medium",
    }
    assert kept["detection_methods"] == ["zscore", "iqr"]
    assert kept["enabled"] is True


def test_alerts(server):
    everything, critical = shell(block_with("/monitoring/alerts", "min_severity=critical"), server)
    for said in (everything, critical):
        assert said.status == 200
        assert set(said.json) == {"items", "total", "next"}
        assert len(said.json["items"]) == said.json["total"]
    assert {one["severity"] for one in critical.json["items"]} <= {"critical"}


def test_three_points_are_too_few_for_zscore_and_it_says_so(server):
    (said,) = shell(block_with("/monitoring/analyze", '"zscore"'), server)
    assert said.status == 200
    assert said.json["metric_name"] == "test_metric"
    assert said.json["anomalies"] == []
    assert any("zscore" in note for note in said.json["notes"]), said.json["notes"]


def test_the_five_hundred_is_found(server):
    (said,) = shell(next(block for block in BLOCKS if '"value": 500' in block), server)
    assert said.status == 200
    (found,) = said.json["anomalies"]
    assert found["timestamp"].startswith("2025-12-18T19:15:00")
    assert found["value"] == 500
    assert found["severity"] in ("high", "critical")


def test_the_block_that_the_document_left_open(server):
    """`-d '{...}'  # Your config`, with the body and the header of "Create Custom Target"."""
    server.request("DELETE", "/monitoring/targets/custom_metric")
    header = next(part for part in CREATE.splitlines() if "-H " in part).strip(" \\")
    body = CREATE[CREATE.index("-d '{") : CREATE.rindex("}'") + 2]
    started, created, alerts = shell(UNFINISHED.replace("-d '{...}'", f"{header} {body}"), server)
    assert (started.status, created.status, alerts.status) == (200, 201, 200)
    assert started.json["running"] is True


def test_every_other_command_of_the_page_succeeds(server):
    """Also those that nobody wrote a test for: each answers 2xx, in the order of the page."""
    server.request("DELETE", "/monitoring/targets/custom_metric")
    for block in BLOCKS:
        for said in shell(block.replace("-d '{...}'", "-d '{}'"), server):
            assert 200 <= said.status < 300, f"{said} for\n{block}"
