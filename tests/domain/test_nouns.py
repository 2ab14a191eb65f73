"""Labels, windows, frames and names: the nouns keep what they promise."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.domain.errors import Invalid
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.target import check_name

texts = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=6)


@given(texts, texts)
def test_labels_are_their_pairs(one, two):
    a, b = Labels(one), Labels(two)
    assert dict(a) == one
    assert (a == b) == (one == two)
    assert a == one
    assert list(a) == sorted(one)
    if one == two:
        assert hash(a) == hash(b)
        assert a.fingerprint == b.fingerprint
    else:
        assert a.fingerprint != b.fingerprint


@given(texts)
def test_order_of_giving_does_not_matter(pairs):
    backwards = dict(reversed(list(pairs.items())))
    assert Labels(pairs) == Labels(backwards)
    assert Labels(pairs).fingerprint == Labels(backwards).fingerprint


def test_neighbouring_values_are_not_confused():
    assert Labels({"a": "bc"}).fingerprint != Labels({"ab": "c"}).fingerprint
    assert Labels({"a": "1", "b": "2"}).fingerprint != Labels({"a": "1b2"}).fingerprint


def test_fingerprints_are_the_same_in_every_process():
    script = "from tocsin.domain.labels import Labels; print(Labels({'job': 'a', 'é': 'ü'}).fingerprint)"
    seen = {
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert seen == {Labels({"job": "a", "é": "ü"}).fingerprint + "\n"}


def test_labels_read_as_promql():
    assert str(Labels({"__name__": "up", "job": 'a"b\n\\'})) == 'up{job="a\\"b\\n\\\\"}'
    assert str(Labels()) == "{}"
    with pytest.raises(KeyError):
        Labels({"a": "b"})["c"]


@given(st.integers(0, 10**6), st.integers(0, 10**5), st.integers(1, 3600))
def test_an_aligned_window_is_the_grid_instants_inside(start, length, step):
    inside = [at for at in range(start - start % step, start + length + 1, step) if at >= start]
    if not inside:
        with pytest.raises(ValueError, match="ends before"):
            Window.aligned(start, start + length, step)
        return
    window = Window.aligned(start, start + length, step)
    assert window.grid().tolist() == inside
    assert window.count == len(inside)


@pytest.mark.parametrize(
    ("start", "end", "step"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None), datetime(2026, 1, 2, tzinfo=UTC), timedelta(1)),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), timedelta(0)),
        (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), timedelta(1)),
    ],
)
def test_windows_that_cannot_be(start, end, step):
    with pytest.raises(ValueError, match="window"):
        Window(start, end, step)


def test_a_frame_has_one_label_set_a_row():
    with pytest.raises(ValueError, match="do not fit"):
        Frame(np.arange(3.0), np.zeros((2, 3)), (Labels(),))
    assert Frame(np.arange(3.0), np.array([[1, np.nan, 0]]), (Labels(),)).samples == 2


@pytest.mark.parametrize("name", ["error_rate", "job:errors:rate5m", "5xx", "a b", "x" * 128])
def test_names_people_use(name):
    check_name(name)


@pytest.mark.parametrize("name", ["", " a", "a ", "a/b", "a\nb", "x" * 129, "alert:1", "datasource:prom", "-a", "é"])
def test_names_that_cannot_stand_in_a_path(name):
    with pytest.raises(Invalid) as refused:
        check_name(name)
    assert refused.value.field == "name"
