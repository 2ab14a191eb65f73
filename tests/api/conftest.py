import pytest

from tests.api.scene import Scene


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def client(scene):
    return scene.client


@pytest.fixture
def make_scene():
    return Scene
