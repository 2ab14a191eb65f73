"""The stores that the contract is held against."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.store.postgres import Cluster, new_cluster
from tocsin.domain.ports import Store
from tocsin.store import MemoryStore, open_store


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One PostgreSQL for all tests of this worker."""
    made = new_cluster()
    yield made
    made.remove()
    shutil.rmtree(made.folder.parent, ignore_errors=True)


@pytest.fixture
def postgres(cluster: Cluster) -> Iterator[str]:
    """The URL of an empty database."""
    url = cluster.database()
    yield url
    cluster.drop(url)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Each implementation of the port, empty."""
    made: Store
    if request.param == "memory":
        made = MemoryStore()
    elif request.param == "sqlite":
        made = await open_store(tmp_path / "state")
    else:
        made = await open_store(tmp_path / "state", url=request.getfixturevalue("postgres"))
    yield made
    await made.close()
