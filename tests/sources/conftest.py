"""Servers with known history, one of each a session and worker."""

import pytest

from tests.servers import prometheus, victoria_metrics
from tests.sources.history import SERIES


@pytest.fixture(scope="session")
def prometheus_url(tmp_path_factory):
    with prometheus(tmp_path_factory.mktemp("prometheus"), SERIES) as server:
        yield server.url


@pytest.fixture(scope="session")
def victoria_url(tmp_path_factory):
    with victoria_metrics(tmp_path_factory.mktemp("victoria"), SERIES) as server:
        yield server.url
