"""Servers with known history, one of each a session and worker."""

import pytest

from tests.grafana import fake_grafana
from tests.servers import prometheus, victoria_metrics
from tests.sources.history import SERIES


@pytest.fixture(scope="session")
def prometheus_url(tmp_path_factory):
    with prometheus(tmp_path_factory.mktemp("prometheus"), SERIES) as server:
        yield server.url


@pytest.fixture(scope="session")
def grafana_server(tmp_path_factory, prometheus_url):
    with fake_grafana(tmp_path_factory.mktemp("grafana"), prometheus_url) as server:
        yield server


@pytest.fixture
def grafana(grafana_server):
    """A Grafana without faults."""
    grafana_server.set(reset=True)
    yield grafana_server
    grafana_server.set(reset=True)


@pytest.fixture(scope="session")
def victoria_url(tmp_path_factory):
    with victoria_metrics(tmp_path_factory.mktemp("victoria"), SERIES) as server:
        yield server.url
