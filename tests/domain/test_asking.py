"""What a target asks of its values is named where it restricts anything, the defaults of its kind included."""

from datetime import timedelta

import pytest

from tocsin.detect import Direction
from tocsin.domain.asking import asked_words
from tocsin.domain.target import Target

ERRORS = 'sum(rate(requests_total{code="500"}[5m])) / sum(rate(requests_total[5m]))'


@pytest.mark.parametrize(
    ("query", "asked", "words"),
    [
        ("some_gauge", {}, ()),
        ("some_gauge", {"direction": Direction.ABOVE}, ("only above what is expected",)),
        (
            "some_gauge",
            {"alert_above": 5.0, "upper_bound": 9.0},
            ("only values above 5", "possible is nothing above 9"),
        ),
        ("disk_used_percent", {"alert_below": 90.0}, ("only values below 90 %", "possible are 0 % to 100 %")),
        (ERRORS, {}, ("possible are 0 to 1", "not judged where there were fewer than 10 events within 300 s")),
        (ERRORS, {"denominator": "none"}, ("possible are 0 to 1",)),
    ],
)
def test_what_is_asked_is_named(query, asked, words):
    target = Target(name="t", query=query, datasource_uid="p", step=timedelta(minutes=1), **asked)
    assert asked_words(target, target.policy) == words
