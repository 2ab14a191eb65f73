"""Suggested targets: which metrics suggest what, and which labels are kept."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.detect import Direction
from tocsin.domain.catalogue import Catalogue, Metric, MetricKind
from tocsin.domain.labels import Labels
from tocsin.domain.suggest import MAX_GROUPS, kept, suggest, wanted

NOISE = "lo|veth.*|docker.*|br-.*|virbr.*|loop.*|ram.*|sr[0-9]+"
ONE = {"instance": "a:9100", "job": "node"}


def metric(name, *series, kind=MetricKind.COUNTER):
    return Metric(name, kind, tuple(Labels({**ONE, **each}) for each in series or ({},)))


def queries(*metrics):
    return {one.name: one.query for one in suggest(Catalogue(metrics, len(metrics)))}


@pytest.mark.parametrize(
    ("metrics", "name", "query"),
    [
        (
            [metric("http_requests_total", {"code": "200"}, {"code": "500"})],
            "http_requests_rate",
            "sum by (instance) (rate(http_requests_total[5m]))",
        ),
        (
            [metric("http_requests_total", {"code": "200"}, {"code": "500"})],
            "http_requests_error_ratio",
            '(sum by (instance) (rate(http_requests_total{code=~"5.."}[5m])) or 0 * ALL) / ALL'.replace(
                "ALL", "sum by (instance) (rate(http_requests_total[5m]))"
            ),
        ),
        (
            [metric("http_request_duration_seconds_bucket", {"le": "0.1"}, {"le": "+Inf"}, kind=MetricKind.HISTOGRAM)],
            "http_request_duration_p95",
            "histogram_quantile(0.95, sum by (le, instance) (rate(http_request_duration_seconds_bucket[5m])))",
        ),
        (
            [metric("rpc_seconds", {"quantile": "0.5"}, {"quantile": "0.99"}, kind=MetricKind.SUMMARY)],
            "rpc_p99",
            'max by (instance) (rpc_seconds{quantile="0.99"})',
        ),
        (
            [metric("mail_failures_total")],
            "mail_failures_rate",
            "sum by (instance) (rate(mail_failures_total[5m]))",
        ),
        (
            [
                metric(
                    "node_cpu_seconds_total", *({"mode": mode, "cpu": cpu} for mode in ("idle", "user") for cpu in "01")
                )
            ],
            "node_cpu_busy_percent",
            '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])))',
        ),
        (
            [metric("process_cpu_seconds_total")],
            "process_cpu_cores",
            "sum by (instance) (rate(process_cpu_seconds_total[5m]))",
        ),
        (
            [
                metric("node_memory_MemAvailable_bytes", kind=MetricKind.GAUGE),
                metric("node_memory_MemTotal_bytes", kind=MetricKind.GAUGE),
            ],
            "node_memory_used_percent",
            "100 * (1 - @(node_memory_MemAvailable_bytes) / @(node_memory_MemTotal_bytes))".replace(
                "@", "sum by (instance) "
            ),
        ),
        (
            [metric("process_open_fds", kind=MetricKind.GAUGE), metric("process_max_fds", kind=MetricKind.GAUGE)],
            "process_used_percent",
            "100 * sum by (instance) (process_open_fds) / sum by (instance) (process_max_fds)",
        ),
        (
            [metric("node_network_receive_bytes_total", {"device": "lo"}, {"device": "eth0"}, {"device": "eth1"})],
            "node_network_receive_rate",
            f'sum by (instance, device) (rate(node_network_receive_bytes_total{{device!~"{NOISE}"}}[5m]))',
        ),
        (
            [metric("jobs_queue_length", kind=MetricKind.GAUGE)],
            "jobs_queue_length",
            "sum by (instance) (jobs_queue_length)",
        ),
        (
            [metric("node_pressure_io_waiting_seconds_total")],
            "node_pressure_io_waiting_share",
            "sum by (instance) (rate(node_pressure_io_waiting_seconds_total[5m]))",
        ),
        (
            [
                metric("node_filefd_allocated", kind=MetricKind.GAUGE),
                metric("node_filefd_maximum", kind=MetricKind.GAUGE),
            ],
            "node_filefd_used_percent",
            "100 * sum by (instance) (node_filefd_allocated) / sum by (instance) (node_filefd_maximum)",
        ),
        ([metric("up", kind=MetricKind.GAUGE)], "up_share", "avg by (job) (up)"),
        (
            [metric("batch_heartbeats_total")],
            "batch_heartbeat",
            "sum by (instance) (rate(batch_heartbeats_total[5m])) > 0",
        ),
        (
            [metric("backup_last_success_timestamp_seconds", kind=MetricKind.GAUGE)],
            "backup_last_success_heartbeat",
            "max by (instance) (changes(backup_last_success_timestamp_seconds[5m])) > 0",
        ),
    ],
)
def test_signals_are_recognised_by_name_type_and_labels(metrics, name, query):
    assert queries(*metrics)[name] == query
    assert all(wanted(one.name) for one in metrics), "else their series would never be read"


@pytest.mark.parametrize(
    "one",
    [
        metric("node_uname_info", kind=MetricKind.GAUGE),
        metric("mail_failures", kind=MetricKind.GAUGE),
        metric("queue_length", kind=MetricKind.COUNTER),
        metric("http_requests_total_created", kind=MetricKind.GAUGE),
        metric("process_open_fds", kind=MetricKind.GAUGE),
        metric("size_bucket", {"le": "1"}, kind=MetricKind.HISTOGRAM),
        Metric("http_requests_total", MetricKind.COUNTER, ()),
    ],
)
def test_what_is_no_signal_suggests_nothing(one):
    assert queries(one) == {}


@pytest.mark.parametrize("unit", ["seconds", "milliseconds"])
def test_a_declared_unit_says_as_much_as_a_name(unit):
    labels = ({**ONE, "le": "1"}, {**ONE, "le": "+Inf"})
    histogram = Metric("rpc_latency_bucket", MetricKind.HISTOGRAM, tuple(map(Labels, labels)), unit)
    summary = Metric("rpc_wait", MetricKind.SUMMARY, (Labels({**ONE, "quantile": "0.9"}),), unit)
    found = suggest(Catalogue((histogram, summary), 2))
    assert [(one.name, one.unit) for one in found] == [
        ("rpc_latency_p95", "seconds" if unit == "seconds" else ""),
        ("rpc_wait_p90", "seconds" if unit == "seconds" else ""),
    ]
    assert wanted("rpc_wait", MetricKind.SUMMARY, unit)
    assert not wanted("rpc_wait", MetricKind.SUMMARY)
    assert queries(metric("rpc_latency_bucket", {"le": "1"}, kind=MetricKind.HISTOGRAM)) == {}


@given(st.text(max_size=30))
def test_no_query_is_made_of_a_name_that_would_have_to_be_quoted(text):
    name = f"{text}_requests_total"
    assert not wanted(name) or re.fullmatch("[a-zA-Z_:][a-zA-Z0-9_:]*", name)
    labels = kept([Labels({text or "x": value}) for value in "ab"])
    assert not labels or re.fullmatch("[a-zA-Z_:][a-zA-Z0-9_:]*", labels[0])


def test_an_error_ratio_needs_codes_that_are_numbers():
    assert "grpc_requests_error_ratio" not in queries(metric("grpc_requests_total", {"code": "OK"}))


def test_errors_and_shares_alert_above_only():
    found = suggest(Catalogue((metric("mail_failures_total"), metric("http_requests_total")), 2))
    assert {one.name: one.direction for one in found} == {
        "mail_failures_rate": Direction.ABOVE,
        "http_requests_rate": Direction.BOTH,
    }


@pytest.mark.parametrize(("label", "signal"), [("service", "RED, rate"), ("device", "USE, utilisation")])
def test_requests_to_a_device_are_no_requests_of_a_service(label, signal):
    (found,) = suggest(Catalogue((metric("flush_requests_total", {label: "a"}),), 1))
    assert found.why == f"{signal}: flush_requests_total a second"


def test_labels_that_never_differ_or_name_what_comes_and_goes_are_not_kept():
    series = [Labels({"job": "a", "service": s, "pod": f"{s}-{n}", "zone": "x"}) for s in "ab" for n in range(3)]
    assert kept(series) == ("service",)
    assert kept([Labels({"service": str(n)}) for n in range(21)]) == ()
    assert kept([]) == ()


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["job", "instance", "x", "y"]), st.sampled_from("abcdefgh"), max_size=4),
        max_size=60,
    )
)
def test_what_is_kept_never_makes_too_many_series(series):
    labels = kept(map(Labels, series))
    assert len({tuple(one.get(name) for name in labels) for one in series}) <= MAX_GROUPS
    assert len(set(labels)) == len(labels)


def test_signs_of_life_have_a_query_that_is_empty_when_they_end():
    up = metric("up", {"instance": "a"}, {"instance": "b"}, kind=MetricKind.GAUGE)
    found = suggest(Catalogue((up, metric("http_requests_total"), metric("mail_failures_total")), 3))
    beats = {one.name: one.as_beat() for one in found if one.beat}
    assert {name: one.name for name, one in beats.items()} == {
        "up_share": "up_heartbeat",
        "http_requests_rate": "http_requests_heartbeat",
    }
    assert beats["up_share"].query == "max by (instance) (up) > 0"
    assert beats["http_requests_rate"].query == "sum by (instance) (rate(http_requests_total[5m])) > 0"
    assert {one.methods for one in beats.values()} == {("absence",)}
    assert [one.seen for one in found if one.name == "up_share"] == ["count(up)"]
