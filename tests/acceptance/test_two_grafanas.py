"""Two Grafanas with a datasource of the same uid: what is judged is never silently another's."""

from pathlib import Path

import pytest

from tests.acceptance.process import Tocsin, until
from tests.grafana import TOKEN, FakeGrafana, fake_grafana
from tests.servers import free_port, prometheus

pytestmark = pytest.mark.xdist_group("grafana")

GRAFANA = "  - {{uid: {uid}, type: grafana_mcp, grafana_url: '{url}', token_file: token}}\n"
TARGET = "targets:\n  - {name: scrapes, query: up, datasource_uid: prom, check_interval: 1, lookback: 1m}\n"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def grafana(tmp_path_factory):
    folder = tmp_path_factory.mktemp("servers")
    port = free_port()
    with (
        prometheus(folder / "prometheus", scrape=[f"127.0.0.1:{port}"], port=port) as behind,
        fake_grafana(folder / "grafana", behind.url) as found,
    ):
        yield found


def configured(folder: Path, *grafanas: tuple[str, str]) -> None:
    declared = "".join(GRAFANA.format(uid=uid, url=url) for uid, url in grafanas)
    (folder / "token").write_text(TOKEN)
    (folder / "tocsin.yaml").write_text(f"datasources:\n{declared}{TARGET}")


def notes(tocsin: Tocsin, uid: str) -> str:
    [one] = (each for each in tocsin.get("/monitoring/datasources")["connections"] if each["uid"] == uid)
    return " ".join(one["notes"])


def test_a_uid_stays_with_the_grafana_that_had_it_also_after_a_restart(grafana: FakeGrafana, tmp_path: Path) -> None:
    configured(tmp_path, ("production", grafana.url))
    with Tocsin(tmp_path / "state", "--no-host", "--config", str(tmp_path / "tocsin.yaml")) as tocsin:
        until("it is judged", lambda: tocsin.target("scrapes")["state"]["series"] == 1)
        tocsin.kill()
        configured(tmp_path, ("staging", grafana.url), ("production", NOWHERE))
        tocsin.start()
        until("whose it is stands there", lambda: "'prom' of this Grafana is not used" in notes(tocsin, "staging"))
        assert "that of a datasource of 'production'" in notes(tocsin, "staging")
        until("it waits", lambda: "'production' are not known" in tocsin.target("scrapes")["state"]["reason"])
        refused = tocsin.request("POST", "/monitoring/targets/scrapes/check")
        assert refused.status == 502, refused.text
        assert "'production' are not known" in refused.text
        tocsin.kill()
        configured(tmp_path, ("staging", grafana.url))
        tocsin.start()
        until("it is free", lambda: tocsin.target("scrapes")["state"]["series"] == 1)
