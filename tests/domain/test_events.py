"""Events: what can be one, and what of them is told with an alert."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tocsin.domain.errors import Invalid
from tocsin.domain.events import MOST_TOLD, TOLD_WITHIN, Event, EventKind, told_before
from tocsin.domain.labels import Labels

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DEPLOY = Event("event:1", EventKind.DEPLOY, NOW, "checkout\n1.42", url="https://ci.example/412")
CHECKOUT = Labels({"service": "checkout", "pod": "a"})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": "x" * 501}, "title"),
        ({"at": NOW + timedelta(days=1, seconds=1)}, "at"),
        ({"at": NOW - timedelta(days=401)}, "at"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "https://a b"}, "url"),
        ({"url": "https://[a"}, "url"),
        ({"url": "https://user:pw@h/"}, "url"),
        ({"url": "https://ci.example/412?token=abcdef"}, "url"),
        ({"url": "https://ci.example/412?X-Amz-Signature=abcdef"}, "url"),
        ({"url": "https://ci.example/412?sv=1&sig=abcdef"}, "url"),
        ({"labels": Labels({"by": "glsa_abcdefghijklmnopqrstuvwx"})}, "labels"),
    ],
)
def test_what_cannot_be_names_the_field(change, field):
    assert DEPLOY.validated(NOW) is DEPLOY
    with pytest.raises(Invalid) as refused:
        replace(DEPLOY, **change).validated(NOW)
    assert refused.value.field == field


def test_it_concerns_the_series_that_carry_its_labels():
    some = replace(DEPLOY, target_name="errors", labels=Labels({"service": "checkout"}))
    assert some.concerns("errors", CHECKOUT)
    assert not some.concerns("errors", Labels({"service": "cart"}))
    assert not some.concerns("latency", CHECKOUT)
    assert DEPLOY.concerns("latency", Labels())


def test_what_happened_in_the_hour_before_is_told_in_one_line_each_the_nearest_first():
    other = replace(DEPLOY, id="event:2", at=NOW - timedelta(seconds=30), title="cart 7", url="", kind=EventKind.NOTE)
    of_others = replace(DEPLOY, id="event:3", at=NOW - timedelta(seconds=40), labels=Labels({"service": "cart"}))
    events = (DEPLOY, other, of_others)
    assert told_before(events, "errors", CHECKOUT, NOW + timedelta(seconds=200)) == (
        "deploy 3 min 20 s before, at 12:00:00 UTC: checkout 1.42 (https://ci.example/412)",
        "note 3 min 50 s before, at 11:59:30 UTC: cart 7",
    )
    assert told_before(events, "errors", CHECKOUT, NOW - timedelta(seconds=31)) == ()
    assert len(told_before(events, "errors", CHECKOUT, NOW + TOLD_WITHIN)) == 1
    assert told_before(events, "errors", CHECKOUT, NOW + TOLD_WITHIN + timedelta(seconds=1)) == ()


def test_more_than_are_told_are_counted():
    many = tuple(replace(DEPLOY, id=f"event:{n}", at=NOW - timedelta(seconds=n)) for n in range(MOST_TOLD + 3))
    lines = told_before(many, "errors", CHECKOUT, NOW)
    assert len(lines) == MOST_TOLD + 1
    assert lines[-1] == "3 earlier events of that hour are left out"
    assert told_before(many[:-2], "errors", CHECKOUT, NOW)[-1] == "1 earlier event of that hour is left out"
