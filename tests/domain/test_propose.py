"""From verdicts to concrete changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tocsin.detect import Direction, Severity, floor
from tocsin.domain.alert import Alert, AlertKind, AlertState, alert_id
from tocsin.domain.feedback import Mark, MarkedAlert, Slot, Verdict
from tocsin.domain.labels import Labels
from tocsin.domain.proposal import Change, ProposalKind
from tocsin.domain.propose import hides, propose, with_field
from tocsin.domain.target import Target

AT = datetime(2026, 3, 2, 2, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = 24 * HOUR
TARGET = Target("errors", "q", "prom")
FALSE, EXPECTED, REAL = Verdict.FALSE, Verdict.EXPECTED, Verdict.REAL


def said(verdict, value=15.0, at=AT, expected=10.0, sigma=4.0, labels=None, over=True, lasted=HOUR):
    labels = Labels(labels or {"instance": "a"})
    one = Alert(
        id=alert_id("errors", labels, at), kind=AlertKind.ANOMALY, target_name="errors", labels=labels,
        state=AlertState.RESOLVED if over else AlertState.FIRING, severity=Severity.HIGH, active_at=at,
        last_anomalous_at=at + lasted, updated_at=at + lasted, value=value, expected_value=expected, sigma=sigma,
        confidence=0.9, methods=("zscore",), summary="", explanation="", starts_at=at,
        ends_at=at + lasted if over else None,
    )  # fmt: skip
    return MarkedAlert(one, Mark(one.id, verdict, "ann", "", at))


def changes(*marked, target=TARGET):
    return {one.change.kind: one for one in propose(target, marked, AT + 10 * DAY)}


def test_nothing_follows_from_nothing_and_from_real_ones():
    assert propose(TARGET, [], AT) == ()
    assert propose(TARGET, [said(REAL), said(REAL, at=AT + DAY)], AT) == ()


def test_one_false_alert_raises_a_floor_just_above_it():
    found = changes(said(FALSE, value=13.0, sigma=4.4, at=AT))
    floor = found[ProposalKind.FLOOR]
    assert floor.change.number == 3.2
    assert (floor.words, floor.why) == (
        "min_effect = 3.2",
        "the one alert marked false had 3 (deviation in the metric's unit)",
    )
    assert floor.evidence == (said(FALSE).alert.id,)
    assert found[ProposalKind.RATIO].change.number == 0.32
    assert found[ProposalKind.THRESHOLD].change.number == 4.7
    assert set(found) == {ProposalKind.FLOOR, ProposalKind.RATIO, ProposalKind.THRESHOLD}


def test_a_share_that_would_hide_each_fall_is_not_proposed():
    tripled = said(FALSE, value=30.0, expected=10.0, sigma=4.4)
    assert set(changes(tripled)) == {ProposalKind.FLOOR, ProposalKind.THRESHOLD}
    assert changes(tripled, target=replace(TARGET, direction=Direction.ABOVE))[ProposalKind.RATIO].change.number == 2.1


def test_a_floor_is_said_in_the_unit_of_the_metric():
    sized = replace(TARGET, query="process_resident_memory_bytes")
    floor = changes(said(FALSE, value=16e6, sigma=4.4), target=sized)[ProposalKind.FLOOR]
    assert floor.words == "min_effect = 17000000"
    assert floor.why.startswith("the one alert marked false had 15.26 MiB "), floor.why


def by(method, **more):
    one = said(**more)
    return replace(one, alert=replace(one.alert, methods=(method,)))


def test_an_expected_drift_raises_a_floor_and_what_no_floor_holds_for_does_not():
    found = changes(by("drift", verdict=EXPECTED, value=16.0))
    assert set(found) == {ProposalKind.FLOOR, ProposalKind.RATIO}
    assert found[ProposalKind.FLOOR].change.number > 6.0
    assert found[ProposalKind.FLOOR].why.startswith("the one alert marked expected had 6")
    assert changes(by("zscore", verdict=EXPECTED, value=16.0)) == {}
    for method in ("absence", "capacity"):
        assert ProposalKind.FLOOR not in changes(by(method, verdict=FALSE))
        assert ProposalKind.RATIO not in changes(by(method, verdict=FALSE))


@pytest.mark.parametrize("unit", ["percent", "count"])
def test_a_share_is_of_what_the_floor_is_a_share_of(unit):
    target = replace(TARGET, unit=unit)
    alert = said(FALSE, value=80.0, expected=98.0)
    ratio = changes(alert, target=target)[ProposalKind.RATIO].change.number
    policy = with_field(target, ProposalKind.RATIO, ratio).policy
    assert floor(np.array([98.0]), replace(policy, min_effect=0.0))[0] > 18.0, "or it would keep nothing away"
    assert ratio == (9.5 if unit == "percent" else 0.2)
    of = "the distance to the nearer bound" if unit == "percent" else "what was expected"
    assert changes(alert, target=target)[ProposalKind.RATIO].why.endswith(f"(deviation as a share of {of})")


def test_a_threshold_that_auto_never_reaches_is_not_proposed():
    alert = said(FALSE, sigma=6.4)
    assert ProposalKind.THRESHOLD not in changes(alert)
    named = replace(TARGET, detection_methods=("zscore",))
    assert changes(alert, target=named)[ProposalKind.THRESHOLD].change.number == 6.8


@pytest.mark.parametrize("method", ["absence", "capacity", "drift"])
def test_no_threshold_is_put_above_what_says_more_the_longer_it_lasts(method):
    lasting = by(method, verdict=FALSE, sigma=6.8)
    named = replace(TARGET, detection_methods=(method, "zscore"))
    assert ProposalKind.THRESHOLD not in changes(lasting, target=named)
    found = changes(lasting, said(FALSE, sigma=4.4, at=AT + DAY), target=named)
    assert found[ProposalKind.THRESHOLD].change.number == 4.7


def test_real_ones_are_kept_and_the_change_that_keeps_most_false_ones_away_comes_first():
    small, large = said(FALSE, value=12.0, sigma=6.0), said(FALSE, value=40.0, at=AT + 5 * HOUR, sigma=3.6)
    real = said(REAL, value=30.0, sigma=5.0, at=AT + 9 * HOUR)
    first, *_ = propose(TARGET, [small, large, real], AT)
    found = changes(small, large, real)
    assert found[ProposalKind.FLOOR].evidence == (small.alert.id,)
    assert found[ProposalKind.FLOOR].change.number == 2.1
    assert "1 of 2 alerts marked false" in found[ProposalKind.FLOOR].why
    assert "real at least 20" in found[ProposalKind.FLOOR].why
    assert found[ProposalKind.THRESHOLD].evidence == (large.alert.id,)
    assert first.change.kind is ProposalKind.EXCLUDE or len(first.evidence) == 1
    near = said(REAL, value=12.01, at=AT + 9 * HOUR)
    number = changes(small, near)[ProposalKind.FLOOR].change.number
    assert 2.0 < number < 2.01 + 1e-9, "between the two, where there is no more room"


def test_a_real_one_smaller_than_every_false_one_leaves_no_floor():
    found = changes(said(FALSE, value=30.0, sigma=9.0), said(REAL, value=11.0, sigma=3.5, at=AT + 9 * HOUR))
    assert not set(found) & {ProposalKind.FLOOR, ProposalKind.RATIO, ProposalKind.THRESHOLD}


@pytest.mark.parametrize("missing", [{"value": None}, {"expected": None}])
def test_where_a_number_of_a_real_one_is_not_known_no_floor_is_proposed(missing):
    found = changes(said(FALSE), said(REAL, at=AT + 9 * HOUR, **missing))
    assert ProposalKind.FLOOR not in found


def test_a_floor_that_is_high_enough_already_and_a_sigma_beyond_all_are_not_proposed():
    found = changes(said(FALSE, sigma=38.0), target=replace(TARGET, min_effect=6.0))
    assert set(found) == {ProposalKind.RATIO}
    assert changes(said(FALSE, expected=0.0)).keys() == {ProposalKind.FLOOR, ProposalKind.THRESHOLD}


def test_alerts_at_one_time_of_day_get_hours_of_their_own_in_the_target_s_time_zone():
    false = [said(FALSE, sigma=4.0), said(EXPECTED, sigma=4.5, at=AT + DAY + 25 * timedelta(minutes=1))]
    hours = changes(*false, target=replace(TARGET, timezone="Europe/Berlin"))[ProposalKind.HOURS]
    assert hours.change.slot == Slot(180, 239, "Europe/Berlin")
    assert hours.change.number == 4.8
    assert hours.words == 'from 03:00 to 03:59 Europe/Berlin an alert of series with {instance="a"} begins at 4.8 sigma'
    late = [said(FALSE, at=AT - 2 * HOUR - 15 * timedelta(minutes=1)), said(FALSE, at=AT + DAY - 2 * HOUR)]
    slot = changes(*late)[ProposalKind.HOURS].change.slot
    assert slot == Slot(23 * 60, 59), "over midnight"
    apart = [said(FALSE), said(FALSE, at=AT + DAY + 6 * HOUR)]
    assert ProposalKind.HOURS not in changes(*apart)
    assert ProposalKind.HOURS not in changes(*false, said(REAL, sigma=4.6, at=AT + 3 * DAY))
    assert ProposalKind.HOURS in changes(*false, said(REAL, sigma=4.9, at=AT + 3 * DAY))


def test_hours_are_those_of_the_series_that_were_marked():
    def nightly(disk, day, verdict=EXPECTED):
        return said(verdict, sigma=4.0, at=AT + day * DAY, labels={"__name__": "io", "host": "a", "disk": disk})

    sda, both = ([nightly(disk, day) for day in range(2) for disk in disks] for disks in (["sda"], ["sda", "sdb"]))
    assert changes(*sda)[ProposalKind.HOURS].change.labels == Labels({"host": "a", "disk": "sda"})
    assert changes(*both)[ProposalKind.HOURS].change.labels == Labels({"host": "a"})
    assert ProposalKind.HOURS in changes(*sda, said(REAL, sigma=3.5, at=AT + 3 * DAY, labels={"host": "a"}))
    unlike = [said(EXPECTED, at=AT), said(EXPECTED, at=AT + DAY, labels={"instance": "b"})]
    hours = changes(*unlike)[ProposalKind.HOURS]
    assert (hours.change.labels, hours.words) == (Labels(), "from 02:00 to 02:59 UTC an alert begins at 4.2 sigma")


def test_no_hour_is_given_a_threshold_that_auto_never_reaches():
    nightly = [said(EXPECTED, sigma=6.4, at=AT + n * DAY) for n in range(4)]
    assert ProposalKind.HOURS not in changes(*nightly)
    named = replace(TARGET, detection_methods=("zscore",))
    assert changes(*nightly, target=named)[ProposalKind.HOURS].change.number == 6.8


@pytest.mark.parametrize(
    ("change", "hidden"),
    [
        (Change(ProposalKind.FLOOR, 5.1), True),
        (Change(ProposalKind.FLOOR, 4.9), False),
        (Change(ProposalKind.RATIO, 0.51), True),
        (Change(ProposalKind.RATIO, 0.49), False),
        (Change(ProposalKind.THRESHOLD, 4.1), True),
        (Change(ProposalKind.THRESHOLD, 4.0), False),
        (Change(ProposalKind.HOURS, 4.1, Labels(), Slot(120, 179)), True),
        (Change(ProposalKind.HOURS, 4.1, Labels({"instance": "b"}), Slot(120, 179)), False),
        (Change(ProposalKind.HOURS, 4.1, Labels(), Slot(180, 239)), False),
        (Change(ProposalKind.EXCLUDE, labels=Labels({"instance": "a"})), True),
        (Change(ProposalKind.EXCLUDE, labels=Labels({"instance": "b"})), False),
        (Change(ProposalKind.LEVEL, labels=Labels({"instance": "a"})), False),
    ],
)
def test_a_change_hides_the_alerts_that_lie_below_it(change, hidden):
    assert hides(TARGET, change, said(REAL).alert) is hidden
    if change.kind is ProposalKind.LEVEL:
        assert hides(TARGET, change, said(REAL, over=False).alert), "accepting the level ends it"


def test_a_series_of_false_alerts_only_is_excluded_and_a_label_that_only_they_carry():
    false = [said(FALSE, at=AT + n * HOUR, labels={"instance": "a", "env": "dev"}) for n in range(2)]
    real = said(REAL, labels={"instance": "c", "env": "prod"}, value=11.0)
    found = changes(*false, real)
    assert found[ProposalKind.EXCLUDE].change.labels == Labels({"instance": "a", "env": "dev"})
    other = said(FALSE, labels={"instance": "b", "env": "dev"})
    exclusions = [one.change.labels for one in propose(TARGET, [*false, other, real], AT) if one.change.labels]
    assert Labels({"env": "dev"}) in exclusions
    mine = said(REAL, labels={"instance": "a", "env": "dev"}, at=AT + 5 * HOUR)
    assert ProposalKind.EXCLUDE not in changes(*false, mine)


def test_an_alert_that_goes_on_and_is_no_incident_is_a_level():
    found = changes(said(EXPECTED, over=False, lasted=3 * HOUR))
    assert found[ProposalKind.LEVEL].change.labels == Labels({"instance": "a"})
    assert "3.0 hours" in found[ProposalKind.LEVEL].why
    for other in (said(REAL, over=False), said(EXPECTED), said(EXPECTED, over=False, lasted=HOUR / 2)):
        assert ProposalKind.LEVEL not in changes(other)


def test_the_same_change_has_the_same_id_whatever_it_follows_from():
    one, two = (
        changes(*marked)[ProposalKind.FLOOR] for marked in ([said(FALSE)], [said(FALSE), said(REAL, value=90.0)])
    )
    assert one.id == two.id
    other = changes(said(FALSE, value=16.0))[ProposalKind.FLOOR]
    assert other.id != one.id


def test_a_field_is_set_and_taken_back():
    for kind, field in ((ProposalKind.FLOOR, "min_effect"), (ProposalKind.RATIO, "min_effect_ratio")):
        assert getattr(with_field(TARGET, kind, 2.5), field) == 2.5
    high = with_field(TARGET, ProposalKind.THRESHOLD, 5.0)
    assert high.sigma_threshold == 5.0
    assert with_field(high, ProposalKind.THRESHOLD, None) == TARGET
