"""Targets of the file: all that is wrong with one is said, and nothing that only follows from it."""

from pathlib import Path

import pytest

from tocsin.config.load import load
from tocsin.config.model import ConfigError, Overrides

HOME = {"HOME": "/home/ann"}
PROM = "datasources: [{uid: prom, type: prometheus, url: 'http://prom:9090'}]\n"


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "tocsin.yaml"
        path.write_text(text)
        return path

    return write


def problems(path) -> list[tuple[int | None, str, str]]:
    with pytest.raises(ConfigError) as caught:
        load(path, HOME, Overrides())
    return [(each.line, each.field, each.reason) for each in caught.value.problems]


def test_of_one_target_all_that_is_wrong_is_said(write):
    path = write(
        PROM + "targets: [{name: t, query: up, direction: up, timezone: X/Y, min_effect: -1, unit: foo, "
        "sigma_threshold: 99, lower_bound: 3, upper_bound: 1, lookback: 1s, check_interval: 5s, step: 10s}]\n"
    )
    found = [name.removeprefix("targets[0].") for _, name, _ in problems(path)]
    wrong = "datasource_uid direction timezone min_effect unit sigma_threshold lower_bound lookback step"
    assert sorted(found) == sorted(wrong.split())


def test_what_follows_from_an_interval_that_cannot_be_is_not_blamed(write):
    found = problems(write(PROM + "targets: [{name: t, query: up, datasource_uid: prom, check_interval: 0}]\n"))
    assert [name for _, name, _ in found] == ["targets[0].check_interval"]


@pytest.mark.parametrize(
    ("fields", "wrong", "why"),
    [
        ("unit: percent, lower_bound: 150", "lower_bound", "must be below 100, the greatest value of the unit percent"),
        ("unit: ratio, upper_bound: -5", "upper_bound", "must be above 0, the least value of the unit ratio"),
        ("lower_bound: 2", "lower_bound", "must be below 1, the greatest value that the query tells"),
        ("unit: percent, lower_bound: 150, upper_bound: 400", None, ""),
        ("unit: none, lower_bound: 2", None, ""),
    ],
)
def test_a_bound_is_held_against_what_the_unit_or_the_query_tells(write, fields, wrong, why):
    path = write(PROM + f"targets: [{{name: t, query: up, datasource_uid: prom, {fields}}}]\n")
    if wrong is None:
        assert len(load(path, HOME, Overrides()).targets) == 1
        return
    ((_, name, reason),) = problems(path)
    assert name == f"targets[0].{wrong}"
    assert reason.startswith(why)
