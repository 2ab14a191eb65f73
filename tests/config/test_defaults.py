"""The targets a new Tocsin begins with."""

import re
from datetime import timedelta

import pytest

from tocsin.config.defaults import host_targets, prometheus_targets
from tocsin.detect import Direction
from tocsin.domain.target import Owner, QueryType

ALL = [*host_targets(), *prometheus_targets("prometheus-uid")]


@pytest.mark.parametrize("target", ALL, ids=lambda target: target.name)
def test_each_is_valid_explains_itself_and_has_a_floor(target):
    target.validated()
    assert len(target.description) > 60
    assert target.direction is Direction.ABOVE
    assert target.min_effect > 0
    assert target.lower_bound == 0
    assert target.owner is Owner.API


def test_the_machine_is_watched_from_the_start():
    names = [target.name for target in host_targets()]
    assert len(set(names)) == len(names)
    assert all(name.startswith("host_") for name in names)
    assert all(target.enabled and target.query_type is QueryType.HOST for target in host_targets())


def test_a_burnt_core_shows_within_half_a_minute_and_nothing_else_is_hasty():
    quick = next(target for target in host_targets() if target.name == "host_process_cpu")
    averaging = timedelta(seconds=15)
    assert averaging + quick.pending_for + 2 * quick.check_interval + quick.offset <= timedelta(seconds=30)
    rest = [target for target in host_targets() if target.name != quick.name]
    assert all(target.pending_for >= timedelta(minutes=2) and target.alert_above for target in rest)


def test_the_missions_four_are_there_and_off():
    four = prometheus_targets("prometheus-uid")
    intervals = {target.name: target.check_interval.total_seconds() for target in four}
    assert intervals == {"error_rate": 300, "response_time_p95": 300, "cpu_usage": 180, "memory_usage": 300}
    assert not any(target.enabled for target in four)
    assert {target.datasource_uid for target in four} == {"prometheus-uid"}
    assert all(target.query.count("(") == target.query.count(")") for target in four)


def test_the_queries_keep_instances_apart_and_never_divide_by_nothing():
    queries = {target.name: target.query for target in prometheus_targets("p")}
    assert re.search(r"histogram_quantile\(0\.95, sum by \(le, .*instance", queries["response_time_p95"])
    assert "/" in queries["error_rate"]
    assert "> 0.05" in queries["error_rate"]
    assert all("instance" in queries[name] for name in ("error_rate", "response_time_p95", "cpu_usage"))
