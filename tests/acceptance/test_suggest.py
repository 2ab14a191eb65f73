"""`tocsin suggest` on a real Prometheus that scrapes a real node exporter."""

import json
import re
import time
import urllib.parse
import urllib.request

from typer.testing import CliRunner

from tests.servers import node_exporter, prometheus
from tocsin.cli.application import app

# Rates need two scrapes, and what is watched has to move between them.
SCRAPED_S = 15


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def asked(url, query):
    with urllib.request.urlopen(f"{url}/api/v1/query?query={urllib.parse.quote(query)}", timeout=10) as answer:
        return json.load(answer)["data"]["result"]


def test_every_target_returns_data_none_repeats_another_and_the_file_is_good(tmp_path, monkeypatch):
    for name in ("TOCSIN_CONFIG", "TOCSIN_PROMETHEUS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TOCSIN_STATE_DIR", str(tmp_path / "state"))
    with node_exporter(tmp_path / "exporter") as exporter:
        scrape = exporter.url.removeprefix("http://")
        with prometheus(tmp_path / "prometheus", scrape=[scrape]) as server:
            deadline = time.monotonic() + 60
            while not asked(server.url, "rate(node_cpu_seconds_total[5m])") and time.monotonic() < deadline:
                time.sleep(0.5)
            time.sleep(SCRAPED_S)
            file = tmp_path / "tocsin.yaml"
            result = run("suggest", "--prometheus", server.url, "--days", "0.01", "--json", "--output", file)
            assert result.exit_code == 0, result.output
            answer = json.loads(result.stdout[: result.stdout.rindex("}") + 1])
            offered = {one["name"]: one for one in answer["targets"]}
            # Memory moves also on a machine whose processors are busy all the time.
            assert "node_memory_used_percent" in offered, answer["dropped"]
            assert answer["metrics_total"] > answer["metrics_looked_at"] > len(offered) > 3
            series = [asked(server.url, one["query"]) for one in offered.values()]
            assert all(series), "a target that returns nothing is offered"
            assert len({one["query"] for one in offered.values()}) == len(offered)
            young = [one for one in answer["dropped"] if one["why"] == "too_little"]
            assert answer["dropped_by_reason"]["too_little"] == len(young) > 0
            assert all("14 minutes were tried, 12 hours are needed" in one["reason"] for one in young)
            assert {"constant", "no_data"}.isdisjoint(answer["dropped_by_reason"]), "minutes do not say that"
            assert answer["queries"] >= len(offered)
            assert all(one["alerts_a_week"] is None for one in offered.values()), "minutes say nothing of a week"
            assert "seconds of data, too little to say how many a week" in file.read_text()
            assert "of data in the last 14 minutes" in result.stderr
            a_day = run("suggest", "--prometheus", server.url)
            assert a_day.stdout.count("- name: ") >= len(offered), "a day has no more data, and no less is found"
            assert re.search(r"# There are \d+ seconds of data in the last 24 hours", a_day.stdout)
            assert "Run it again when there are 12 hours" in a_day.stderr
            declared = tmp_path / "declared.yaml"
            secret = "hunter2-very-secret"
            source = {"uid": "main", "type": "prometheus", "url": server.url, "bearer_token": secret}
            others = [{**source, "uid": "loki", "type": "loki"}, {"uid": "g", "type": "grafana_mcp", "url": server.url}]
            declared.write_text(json.dumps({"datasources": [*others, source]}))
            ours = run("suggest", "--config", declared, "--datasource", "main", "--days", "0.01")
            assert (ours.exit_code, secret in ours.output) == (0, False)
            assert 'datasource_uid: "main"' in ours.output
            assert "credentials, tls, headers) is not repeated here" in ours.output
            logs = run("suggest", "--config", declared, "--datasource", "loki")
            assert (logs.exit_code, "there is no Loki API at this URL" in logs.output) == (3, True)
            grafana = run("suggest", "--config", declared, "--datasource", "g")
            assert (grafana.exit_code, "'g' is neither: only a Prometheus" in grafana.output) == (2, True)
    checked = run("check-config", file, "--json")
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout)["targets"] == list(offered)
    again = run("suggest", "--prometheus", server.url, "--output", file)
    assert (again.exit_code, "is there already" in again.output) == (2, True)
    lost = run("suggest", "--prometheus", server.url, "--output", tmp_path / "no" / "where.yaml")
    assert (lost.exit_code, "there is no folder" in lost.output) == (2, True)


def test_what_cannot_be_looked_at_is_said(tmp_path, monkeypatch):
    for name in ("TOCSIN_CONFIG", "TOCSIN_PROMETHEUS_URL", "TOCSIN_LOKI_URL", "TOCSIN_DATASOURCES"):
        monkeypatch.delenv(name, raising=False)
    nothing = run("suggest")
    assert (nothing.exit_code, "--prometheus" in nothing.output) == (2, True)
    both = run("suggest", "--prometheus", "http://127.0.0.1:1", "--loki", "http://127.0.0.1:1")
    assert (both.exit_code, "one is looked at at a time" in both.output) == (2, True)
    gone = run("suggest", "--prometheus", "http://127.0.0.1:1")
    assert gone.exit_code == 3
    other = run("suggest", "--prometheus", "http://127.0.0.1:1", "--datasource", "other")
    assert (other.exit_code, "'other'" in other.output) == (2, True)
