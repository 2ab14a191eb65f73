"""The limit of bytes of an answer, by default: generous to targets, and bearable for a small machine."""

import json

from tocsin.config.model import MIB, DatasourceConfig

LABELS = {
    "__name__": "http_requests_total",
    "cluster": "eu-west-1",
    "namespace": "production",
    "pod": "checkout-7d9f8b6c5-abcde",
    "instance": "10.0.111.222:9100",
    "job": "checkout",
    "method": "GET",
    "code": "200",
}


def test_it_has_room_for_twenty_thousand_series_of_an_hour_and_four_of_them_for_a_small_process():
    default = DatasourceConfig(uid="p", url="http://p")
    samples = [[1795690140 + 60 * minute, "123.45678901234567"] for minute in range(60)]
    series = json.dumps({"metric": LABELS, "values": samples}, separators=(",", ":"))
    assert 20_000 * len(series) < default.max_bytes
    assert default.concurrency * default.max_bytes <= 256 * MIB
