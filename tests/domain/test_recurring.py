"""What comes by the clock, and what only seems to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tocsin.detect import Severity
from tocsin.domain.alert import Alert, AlertKind, AlertState
from tocsin.domain.feedback import Acceptance, AcceptanceKind, Firing, MarkedWindow, Slot, WindowKind
from tocsin.domain.labels import Labels
from tocsin.domain.recurring import CHANCE, all_recurring, recurring_of

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def firing(day, clock, number=0, deviation=5.0):
    hours, minutes = map(int, clock.split(":"))
    at = MIDNIGHT + day * DAY + timedelta(hours=hours, minutes=minutes)
    return Firing(f"alert:{day}-{clock}-{number}", "errors", Labels({"a": "b"}), at, deviation)


def test_the_same_time_on_three_days_recurs():
    found = recurring_of([firing(day, f"02:1{day}", deviation=day - 1.0) for day in range(3)], "UTC")
    (one,) = found
    assert (one.around, one.timezone, one.times, one.days) == (131, "UTC", 3, 3)
    assert (one.first, one.last) == (firing(0, "02:10").starts_at, firing(2, "02:12").starts_at)
    assert (one.most_above, one.most_below) == (1.0, 1.0)
    assert one.chance < CHANCE
    assert one.words == "has begun 3 times around 02:11 UTC on 3 days since 2026-03-01"


@pytest.mark.parametrize(
    "firings",
    [
        pytest.param([firing(0, "02:10"), firing(1, "02:10")], id="two days"),
        pytest.param([firing(0, "02:00"), firing(0, "03:00"), firing(0, "02:30")], id="one day"),
        pytest.param([firing(0, "02:00"), firing(1, "02:39"), firing(2, "02:20")], id="three days, wide"),
        pytest.param([firing(0, "02:00"), firing(1, "03:00"), firing(2, "04:00")], id="an hour later each day"),
        pytest.param([firing(n // 48, f"{n % 48 // 2:02d}:{n % 2 * 30:02d}") for n in range(0, 480, 7)], id="all day"),
    ],
)
def test_what_may_be_chance_does_not_recur(firings):
    assert recurring_of(firings, "UTC") == ()


def test_chance_finds_next_to_nothing():
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(300):
        minutes = rng.integers(0, 14 * 1440, rng.integers(3, 20))
        found += bool(
            recurring_of(
                [replace(firing(0, "00:00"), starts_at=MIDNIGHT + timedelta(minutes=int(m))) for m in minutes], "UTC"
            )
        )
    assert found <= 2


def test_a_series_that_flaps_at_night_is_one_occasion_a_night_and_two_times_of_day_are_two():
    nights = [firing(day, f"02:{minute:02d}", minute) for day in range(4) for minute in (5, 20, 35, 50)]
    noons = [firing(day, "12:00") for day in range(5)]
    first, second = sorted(recurring_of([*nights, *noons], "UTC"), key=lambda one: one.around)
    assert (first.around, first.times, first.days) == (125, 4, 4)
    assert (second.around, second.times) == (720, 5)


def held_back(day, clock, deviation=5.0):
    return replace(firing(day, clock, deviation=deviation), alert_id=None)


def test_what_is_held_back_recurs_as_what_is_told_does():
    (silent,) = all_recurring([], [held_back(day, "02:10") for day in range(4)], "UTC")
    assert (silent.around, silent.times, silent.alert_ids) == (130, 4, ())
    assert silent.words == "has stood out 4 times around 02:10 UTC on 4 days since 2026-03-01; no alert came of any"
    nights = [held_back(day, "02:10") for day in range(3)]
    (mixed,) = all_recurring([firing(3, "02:12", deviation=9.0)], nights, "UTC")
    assert (mixed.times, mixed.most_above, len(mixed.alert_ids)) == (4, 9.0, 1)
    assert mixed.words.endswith("an alert came of one of them")


def test_weak_anomalies_all_day_long_do_not_hide_alerts_that_come_by_the_clock():
    nights = [firing(day, "02:10") for day in range(4)]
    noise = [held_back(n // 4, f"{(n * 7) % 24:02d}:{(n * 13) % 60:02d}") for n in range(56)]
    assert not any(one.days > 3 for one in recurring_of([*nights, *noise], "UTC")), "together they are nothing special"
    (found,) = all_recurring(nights, noise, "UTC")
    assert (found.around, found.times, len(found.alert_ids)) == (130, 4, 4)
    assert found.words.startswith("has begun 4 times")


def test_what_is_severe_recurs_among_weak_anomalies_that_do_not():
    nights = [replace(held_back(day, "02:10"), severe=Severity.CRITICAL) for day in range(4)]
    noise = [held_back(n // 4, f"{(n * 7) % 24:02d}:{(n * 13) % 60:02d}") for n in range(56)]
    (found,) = all_recurring([], [*nights, *noise], "UTC")
    assert (found.around, found.times, found.alert_ids) == (130, 4, ())


def test_an_anomaly_before_its_alert_and_the_alert_are_one_occasion():
    both = [(held_back(day, "02:05", deviation=3.0), firing(day, "02:10", deviation=-8.0)) for day in range(3)]
    (found,) = all_recurring([one for _, one in both], [one for one, _ in both], "UTC")
    assert (found.times, found.most_below) == (3, 8.0)
    (every,) = recurring_of([one for pair in both for one in pair], "UTC")
    assert (every.times, every.alert_ids, every.around) == (3, found.alert_ids, 125)


def test_the_clock_is_that_of_the_time_zone_over_midnight_and_through_daylight_saving():
    berlin = [datetime(2026, 3, 26, 23, 5, tzinfo=UTC) + day * DAY for day in range(5)]
    # From the 29th on the clocks are an hour ahead: 00:05 is 22:05 UTC.
    starts = [at - timedelta(hours=1) * (at.day >= 29 or at.month == 4) for at in berlin]
    firings = [replace(firing(0, "00:00", n), starts_at=at) for n, at in enumerate(starts)]
    (one,) = recurring_of(firings, "Europe/Berlin")
    assert (one.around, one.days) == (5, 5)
    late = [firing(day, clock) for day, clock in ((0, "23:55"), (1, "23:59"), (3, "00:03"), (5, "00:01"))]
    (one,) = recurring_of(late, "UTC")
    assert one.around in (1438, 1439, 0)
    assert one.days == 4


def test_slots_contain_their_minutes_also_over_midnight_on_the_day_they_began():
    night = Slot(23 * 60, 60, "UTC", (0,))  # Monday, 23:00 to 01:00
    monday = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    assert night.contains(monday)
    assert night.contains(monday + timedelta(hours=1))
    assert not night.contains(monday + timedelta(hours=2))
    assert not night.contains(monday - DAY)
    assert not night.contains(monday - timedelta(hours=23)), "the night to Monday began on Sunday"
    assert Slot.around(10, 20, "UTC") == Slot(1430, 30, "UTC")
    assert str(Slot(130, 150, "Europe/Berlin")) == "02:10 to 02:30 Europe/Berlin"


AT = datetime(2026, 3, 2, 2, 10, tzinfo=UTC)
ACCEPTED = Acceptance(
    "accepted:1", AcceptanceKind.RECURRING, "errors", Labels({"a": "b"}), AT - DAY, "ann", "", slot=Slot(110, 150),
    most_above=7.5, most_below=0.0, expires_at=AT + 2 * DAY,
)  # fmt: skip


def alert(**changes):
    made = Alert(
        id="alert:1", kind=AlertKind.ANOMALY, target_name="errors", labels=Labels({"a": "b"}), state=AlertState.FIRING,
        severity=Severity.HIGH, active_at=AT, last_anomalous_at=AT, updated_at=AT, value=15.0, expected_value=10.0,
        sigma=5.0, confidence=0.9, methods=("zscore",), summary="", explanation="", starts_at=AT,
    )  # fmt: skip
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"value": 17.5}, True),
        ({"value": 17.6}, False),
        ({"value": 9.0}, False),
        ({"value": None}, False),
        ({"labels": Labels({"a": "c"})}, False),
        ({"target_name": "other"}, False),
        ({"active_at": AT + DAY, "starts_at": AT + DAY}, True),
        ({"active_at": AT + 2 * DAY, "starts_at": AT + 2 * DAY}, False),
        ({"active_at": AT - 2 * DAY, "starts_at": AT - 2 * DAY}, False),
        ({"active_at": AT + timedelta(hours=1), "starts_at": AT + timedelta(hours=1)}, False),
    ],
)
def test_an_alert_is_expected_as_long_as_it_is_like_those_that_were_accepted(changes, expected):
    assert ACCEPTED.expects(alert(**changes)) is expected


def test_what_was_taken_back_holds_until_then():
    over = replace(ACCEPTED, ended_at=AT + timedelta(hours=1))
    assert over.expects(alert())
    assert not over.expects(alert(active_at=AT + DAY, starts_at=AT + DAY))


def test_a_window_touches_alerts_that_were_active_in_it():
    hour = timedelta(hours=1)
    marked = MarkedWindow("w", WindowKind.INCIDENT, None, Labels({"a": "b"}), AT, AT + hour, "", "", AT)
    now = AT + DAY
    assert marked.touches(alert(), now)
    assert marked.touches(alert(active_at=AT - hour), now), "still active"
    assert not marked.touches(alert(active_at=AT - hour, ends_at=AT - hour / 2), now)
    assert not marked.touches(alert(active_at=AT + 2 * hour), now)
    assert not marked.touches(alert(active_at=AT - 2 * hour), AT - hour), "it has not begun"
    assert marked.touches(alert(active_at=AT - 2 * hour), AT), "now it has"
    assert not marked.touches(alert(labels=Labels({"a": "c"})), now)
    assert not replace(marked, target_name="other").touches(alert(), now)
