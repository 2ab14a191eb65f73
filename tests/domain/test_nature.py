"""What a query's values are: inferred where the names say so for sure, silent elsewhere."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.config.defaults import host_targets, prometheus_targets
from tocsin.domain.errors import Invalid
from tocsin.domain.nature import Nature, nature_of
from tocsin.domain.promql import duration_s, parse
from tocsin.domain.target import Target
from tocsin.sources.host_metrics import METRICS

SURE = [
    ("disk_used_ratio", "ratio", 0, 1),
    ('disk_used_ratio{device="sda"}', "ratio", 0, 1),
    ("max by (host) (disk_used_ratio)", "ratio", 0, 1),
    ("100 * disk_used_ratio", "percent", 0, 100),
    ("disk_used_ratio * 100", "percent", 0, 100),
    ("1 - disk_used_ratio", "ratio", 0, 1),
    ("cpu_percent", "percent", 0, 100),
    ("cpu_usage_percentage / 100", "ratio", 0, 1),
    ("heap_bytes", "bytes", 0, None),
    ("sum(heap_bytes) by (pod)", "bytes", 0, None),
    ("rate(received_bytes_total[5m])", "bytes/s", 0, None),
    ("increase(orders_total[1h])", "count", 0, None),
    ("rate(orders_total[1h])", "", 0, None),
    ("histogram_quantile(0.99, sum by (le) (rate(http_seconds_bucket[5m])))", "seconds", 0, None),
    ("sum(rate(http_seconds_sum[5m])) / sum(rate(http_seconds_count[5m]))", "seconds", 0, None),
    ('sum(rate(a_total{code=~"5.."}[5m])) / sum(rate(a_total[5m]))', "ratio", 0, 1),
    ('100 * sum by (j) (rate(a_total{code="5"}[5m])) / sum by (j) (rate(a_total[5m]))', "percent", 0, 100),
    ('1 - sum(rate(a_total{code="5"}[5m])) / sum(rate(a_total[5m]))', "ratio", 0, 1),
    ("max_over_time(cpu_percent[1h:5m] offset 1d)", "percent", 0, 100),
    ("up", "", 0, 1),
    ("count(up == 0)", "count", 0, None),
    ("-heap_bytes", "bytes", None, 0),
    ("clamp(x, 0, 5)", "", 0, 5),
    ("abs(delta(x[5m]))", "", 0, None),
    ("a_bytes > 5 # why", "bytes", 0, None),
]
UNSURE = [
    "temperature_celsius",
    "delta(heap_bytes[5m])",
    "deriv(cpu_percent[5m])",
    "a_bytes - b_bytes",
    "time() - started",
    "predict_linear(disk_used_ratio[1h], 3600)",
    "sum(rate(a_total[5m])) / on (x) foo",
    "a_ratio @ 1700000000",
    "a_ratio ^ 2",
    "broken(",
    'a_ratio{x="}',
    "((((",
    "a_ratio b_ratio",
    "",
    "(" * 500 + "a_ratio" + ")" * 500,
]


@pytest.mark.parametrize(("query", "unit", "lower", "upper"), SURE)
def test_names_and_functions_that_are_sure(query, unit, lower, upper):
    found = nature_of(query)
    assert (found.unit, found.lower_bound, found.upper_bound, found.origin) == (unit, lower, upper, "query")


@pytest.mark.parametrize("query", UNSURE)
def test_what_is_not_sure_has_no_bounds(query):
    found = nature_of(query)
    assert (found.lower_bound, found.upper_bound) == (None, None)


def test_a_share_needs_the_same_counter_window_and_grouping():
    whole = "sum by (j) (rate(a_total[5m]))"
    for part in ("sum by (j) (rate(b_total[5m]))", "sum by (k) (rate(a_total[5m]))", "sum by (j) (rate(a_total[1m]))"):
        assert nature_of(f"{part} / {whole}").upper_bound is None
    assert nature_of('sum(rate(a_total[5m])) / sum(rate(a_total{x="1"}[5m]))').upper_bound is None
    assert nature_of(f"{whole} / {whole}").upper_bound == 1


def test_signed_quantities_keep_their_unit_and_get_no_bound():
    assert nature_of("node_timex_offset_seconds") == Nature("seconds", None, None, "query")


def test_the_unit_of_the_target_decides():
    assert nature_of("heap_bytes", "percent") == Nature("percent", 0, 100, "unit")
    assert nature_of("heap_bytes", "none") == Nature()
    assert nature_of("x", "seconds") == Nature("seconds", 0, None, "unit")
    with pytest.raises(Invalid) as refused:
        Target("a", "x", "p", unit="furlongs").validated()
    assert refused.value.field == "unit"


def test_every_metric_of_this_machine_has_what_its_table_says():
    for metric in METRICS:
        found = nature_of(metric.name)
        assert found.lower_bound == 0, metric.name
        assert (found.upper_bound == 1) == metric.unit.startswith("ratio"), metric.name
        assert found.unit == {"bytes": "bytes", "bytes/s": "bytes/s", "ratio 0..1": "ratio"}.get(metric.unit, "")


def test_what_the_default_targets_say_is_never_contradicted():
    for target in (*host_targets(), *prometheus_targets("p")):
        nature = target.nature
        assert nature.origin == "query", target.name
        for mine, theirs in ((target.lower_bound, nature.lower_bound), (target.upper_bound, nature.upper_bound)):
            assert mine is None or theirs is None or mine == theirs, target.name


@given(st.text(alphabet='abr(){}[]"+-*/,. 05m_ratioesul=~\n', max_size=40))
def test_no_text_breaks_it_and_bounds_are_in_order(text):
    found = nature_of(text)
    low = -math.inf if found.lower_bound is None else found.lower_bound
    high = math.inf if found.upper_bound is None else found.upper_bound
    assert low <= high


def test_durations():
    assert (duration_s("5m"), duration_s("1h30m"), duration_s("500ms")) == (300, 5400, 0.5)
    assert duration_s("5 minutes") is None
    assert parse("x[5m]").range_s == 300
