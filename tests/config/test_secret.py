"""A secret is not seen."""

import pickle

import pytest

from tocsin.config.model import DatasourceConfig
from tocsin.config.secret import Secret


def test_it_shows_stars_everywhere():
    secret = Secret("hunter2")
    shown = [str(secret), repr(secret), f"{secret}", f"{secret:>9}", f"{secret!r}", "%s" % secret, repr([secret])]
    assert all("hunter2" not in text and "***" in text for text in shown)
    assert secret.reveal() == "hunter2"


def test_it_is_hidden_inside_settings():
    config = DatasourceConfig(uid="p", url="http://p", password=Secret("hunter2"), headers=(("X", Secret("hunter2")),))
    assert "hunter2" not in repr(config)


def test_it_compares_by_value_and_is_never_written_out():
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret("a"))
