"""`tocsin suggest` on a Loki of the tests that has lines in it."""

import asyncio
import json
import random
import time

import numpy as np
import yaml
from typer.testing import CliRunner

from tests.acceptance.test_loki import loki
from tests.loki import SECOND, FakeLoki
from tocsin.cli.application import app
from tocsin.config.load import load
from tocsin.config.model import Overrides
from tocsin.domain.frame import Window
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.loki import LokiSource

DAYS = "0.03"
HOSTILE = 'a"} |= "x" ${SECRET_OF_OURS}\\ #'


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def lines_of_three_hours(now):
    """Two services that say several things, one of them failing at times; one that says the same thing every minute."""
    fake, chance = FakeLoki(), random.Random(7)
    for second in range(now - 3 * 3600, now, 5):
        for name, often in (("web", 0.9), (HOSTILE, 0.4)):
            if chance.random() < often:
                bad = name == "web" and chance.random() < 0.05
                text = "level=error upstream {} failed" if bad else "level=info GET /item/{} done"
                fake.write(second * SECOND, text.format(chance.randrange(999)), service_name=name, env="lab")
        if second // 5 % 12 == 0:
            fake.write(second * SECOND, "level=info alive", service_name="heart", env="lab")
    return fake


async def values(url, targets, now):
    """What each target's query gives in the last minutes."""
    source = LokiSource("loki", HttpSettings(url))
    window = Window.aligned(now - 1800, now, 60)
    try:
        return {each.name: (await source.query_range(each.asked, window)).values for each in targets}
    finally:
        await source.close()


def test_every_target_returns_data_none_repeats_another_and_the_file_is_good(tmp_path, monkeypatch):
    for name in ("TOCSIN_CONFIG", "TOCSIN_PROMETHEUS_URL", "TOCSIN_LOKI_URL", "TOCSIN_DATASOURCES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TOCSIN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("SECRET_OF_OURS", "hunter2")
    now, file = int(time.time()), tmp_path / "tocsin.yaml"
    fake = lines_of_three_hours(now)
    with loki(fake) as url:
        result = run("suggest", "--loki", url, "--days", DAYS, "--json", "--output", file)
        assert result.exit_code == 0, result.output
        answer = json.loads(result.stdout[: result.stdout.rindex("}") + 1])
        settings = load(file, {"SECRET_OF_OURS": "hunter2"}, Overrides(state_dir=tmp_path))
        found = asyncio.run(values(url, settings.targets, now))
    assert fake.wrong == []
    offered = {one["name"]: one for one in answer["targets"]}
    hostile = "log_templates_a_x_SECRET_OF_OURS_"
    assert list(offered) == ["log_error_ratio", "log_lines", "log_templates_web", hostile]
    assert {one["log_signal"] for one in offered.values()} == {None, "templates"}
    assert all(one["alerts_a_week"] is None for one in offered.values()), "an hour says nothing of a week"
    # In three hours each service has lines, so there is data; what was there has moved, and none is like another.
    assert all((~np.isnan(each)).any() for each in found.values())
    assert all((np.nanmax(each, axis=1) > np.nanmin(each, axis=1)).any() for each in found.values())
    rows = [np.sort(np.nan_to_num(each, nan=-1.0), axis=0).tobytes() for each in found.values()]
    assert len(set(rows)) == len(rows) == len(offered)
    assert [(one["name"], one["why"]) for one in answer["dropped"]] == [("log_templates_heart", "too_little")]
    assert (answer["streams_looked_at"], answer["streams_total"]) == (3, 3)
    assert answer["notes"] == []
    # What somebody calls a service is that service's name in the file, and reads nothing of ours.
    (watched,) = [each for each in settings.targets if each.name == hostile]
    assert watched.query == f"{{service_name={json.dumps(HOSTILE)}}}"
    assert "hunter2" not in file.read_text() + result.output
    assert set(yaml.safe_load(file.read_text())) == {"datasources", "targets"}
    ratio = next(each for each in settings.targets if each.name == "log_error_ratio")
    assert (ratio.denominator, ratio.min_denominator, ratio.unit) == (
        offered["log_error_ratio"]["denominator"],
        10,
        "ratio",
    )
    checked = run("check-config", file, "--json")
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout)["targets"] == list(offered)


def test_a_declared_loki_is_asked_as_its_tenant_and_what_is_not_there_is_said(tmp_path, monkeypatch):
    for name in ("TOCSIN_CONFIG", "TOCSIN_PROMETHEUS_URL", "TOCSIN_LOKI_URL", "TOCSIN_DATASOURCES"):
        monkeypatch.delenv(name, raising=False)
    now, fake = int(time.time()), FakeLoki(tenants=True)
    for second in range(now - 3600, now, 20):
        for n in range(1 + second // 20 % 4):
            fake.write(second * SECOND + n, "no level", tenant="a", app="web")
    declared = tmp_path / "declared.yaml"
    with loki(fake) as url:
        source = {"uid": "logs", "type": "loki", "url": url, "headers": {"X-Scope-OrgID": "a"}}
        declared.write_text(json.dumps({"datasources": [source]}))
        ours = run("suggest", "--config", declared, "--datasource", "logs", "--days", DAYS)
        nobody = run("suggest", "--loki", url)
        source["headers"] = {"X-Scope-OrgID": "nobody"}
        declared.write_text(json.dumps({"datasources": [source]}))
        empty = run("suggest", "--config", declared)
    assert fake.wrong == []
    assert ours.exit_code == 0, ours.output
    document = yaml.safe_load(ours.stdout)
    assert document["datasources"] == [{"uid": "logs", "type": "loki", "url": url}]
    assert [one["name"] for one in document["targets"]] == ["log_lines", "log_templates_web"]
    assert "headers) is not repeated here" in ours.stdout
    assert "no line has a level" in ours.stderr
    assert (nobody.exit_code, "X-Scope-OrgID" in nobody.output) == (3, True)
    assert (empty.exit_code, "there are no streams" in empty.stderr, "targets: []" in empty.stdout) == (0, True, True)
