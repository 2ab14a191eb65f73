"""From alerts to groups and messages, alerts against incidents, and one configuration against another."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.detect import Severity
from tocsin.domain.difference import compare
from tocsin.domain.frame import Frame, Window
from tocsin.domain.grouping import Fired, Occasion, Telling, groups_of
from tocsin.domain.incidents import Incident, Outcome, reckon
from tocsin.domain.labels import Labels

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DAY = 24 * 60
ANYWHERE = Labels()


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def fired(begin, end=None, *, series="a", held_until=None, rises=(), active=None, target="t", acknowledged=None):
    """An alert that fires from one minute to another."""
    return Fired(
        alert_id=f"{target}-{series}-{begin}",
        target_name=target,
        labels=Labels({"i": series}),
        severity=Severity.MEDIUM,
        active_at=at(begin if active is None else active),
        starts_at=at(begin),
        last_anomalous_at=at(held_until if held_until is not None else (begin if end is None else end)),
        ends_at=None if end is None else at(end),
        rises=tuple((at(minute), severity) for minute, severity in rises),
        acknowledged_at=None if acknowledged is None else at(acknowledged),
    )


def messages(*alerts, until=DAY, **more):
    """What is told of each group: minute, occasion, firing, ended."""
    return [
        [((m.at - START) / timedelta(minutes=1), m.occasion.value, m.firing, m.ended) for m in group.messages]
        for group in groups_of(alerts, at(until), **more)
    ]


def test_an_alert_alone_is_told_after_the_wait_and_when_it_is_over():
    assert messages(fired(0, 7)) == [[(0.5, "first", 1, 0), (10.5, "over", 0, 1)]]


def test_what_fires_together_is_one_message():
    alerts = [fired(0, 20, series=name) for name in "abc"]
    assert messages(*alerts) == [[(0.5, "first", 3, 0), (20.5, "over", 0, 3)]]


def test_what_joins_and_what_leaves_is_told_at_the_next_look():
    alerts = [fired(0, 30), fired(7, 13, series="b"), fired(8, 13, series="c")]
    assert messages(*alerts) == [
        [(0.5, "first", 1, 0), (10.5, "changed", 3, 0), (15.5, "changed", 1, 2), (30.5, "over", 0, 1)]
    ]


def test_a_severity_that_rises_is_told():
    told = messages(fired(0, 30, rises=[(3, Severity.HIGH), (12, Severity.CRITICAL)]))
    assert told == [[(0.5, "first", 1, 0), (5.5, "changed", 1, 0), (15.5, "changed", 1, 0), (30.5, "over", 0, 1)]]
    (group,) = groups_of([fired(0, 30, rises=[(3, Severity.HIGH)])], at(DAY))
    assert group.severity is Severity.HIGH


def test_what_goes_on_is_repeated_unless_somebody_took_note():
    hours = [(0.5, "first", 1, 0), (240.5, "repeated", 1, 0), (480.5, "repeated", 1, 0)]
    assert messages(fired(0), until=600) == [hours]
    assert messages(fired(0, acknowledged=300), until=600) == [hours[:2]]
    assert messages(fired(0, acknowledged=300), fired(1, series="b"), until=600) == [
        [(0.5, "first", 1, 0), (5.5, "changed", 2, 0), (245.5, "repeated", 2, 0), (485.5, "repeated", 2, 0)]
    ]


def test_what_is_over_before_it_could_be_told_is_not_told():
    assert messages(fired(0, 0.4)) == [[]]
    # One of two: its end is no news, since its beginning was none.
    assert messages(fired(0, 20), fired(0.6, 3, series="b")) == [[(0.5, "first", 1, 0), (20.5, "over", 0, 1)]]


def test_a_group_takes_in_what_fires_until_its_end_was_seen():
    # Over at 3 and told at 5.5: what fires at 4 is the same group, what fires at 6 is a new one.
    groups = groups_of([fired(0, 3), fired(4, 30, series="b"), fired(36, 40)], at(DAY))
    assert [len(group.alert_ids) for group in groups] == [2, 1]
    assert [group.ends_at for group in groups] == [at(30.5), at(41.5)]
    assert messages(fired(0, 3), fired(6, 9)) == [
        [(0.5, "first", 1, 0), (5.5, "over", 0, 1)],
        [(6.5, "first", 1, 0), (11.5, "over", 0, 1)],
    ]


def test_each_key_has_groups_of_its_own():
    alerts = [fired(0, 9, target="t"), fired(0, 9, target="u")]
    assert len(messages(*alerts)) == 2
    assert messages(*alerts, key=lambda _: "all") == [[(0.5, "first", 2, 0), (10.5, "over", 0, 2)]]


def test_a_shadow_has_groups_and_no_messages_and_what_lies_ahead_is_not_told():
    assert messages(fired(0, 7), told=False) == [[]]
    assert messages(fired(0, 7), until=8) == [[(0.5, "first", 1, 0)]]
    (group,) = groups_of([fired(0, 7), fired(6, series="b")], at(8))
    assert group.ends_at is None
    assert len(group.alert_ids) == 2
    assert messages(fired(0), until=0.2) == [[]]


def plain(alerts, until, telling):
    """The same, looking at every look: the naive twin of one key."""
    queue, found = sorted(alerts, key=lambda one: (one.starts_at, one.alert_id)), []
    while queue:
        members, told, sent = [], {}, None
        look, said = queue[0].starts_at + telling.group_wait, []
        first = queue[0]
        while look <= until:
            members += [one for one in queue if one.starts_at <= look]
            queue = [one for one in queue if one.starts_at > look]
            now = {one.alert_id: one.severity_at(look) for one in members if one.ends_at is None or one.ends_at > look}
            ended = [name for name in told if name not in now]
            worse = [name for name, severity in now.items() if name not in told or severity > told[name]]
            if (now and (worse or ended)) or (not now and ended):
                said.append(look)
                told, sent = now, look
            elif now and look - sent >= telling.repeat_interval:
                said.append(look)
                sent = look
            if not now:
                break
            look += telling.group_interval
        if look > until:
            queue = []
        found.append((first.alert_id, said))
    return found


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(1, 90) | st.none(), st.lists(st.integers(0, 60), max_size=2)),
        max_size=8,
    ),
    st.sampled_from([Telling(), Telling(repeat_interval=timedelta(minutes=15)), Telling(group_wait=timedelta(0))]),
)
def test_looking_only_where_something_happens_finds_what_every_look_finds(drawn, telling):
    alerts = [
        fired(
            begin,
            None if length is None else begin + length,
            series=str(number),
            rises=[(begin + rise, Severity.HIGH) for rise in rises],
        )
        for number, (begin, length, rises) in enumerate(drawn)
    ]
    groups = groups_of(alerts, at(500), telling=telling)
    assert [(group.alert_ids[0], [m.at for m in group.messages]) for group in groups] == plain(alerts, at(500), telling)
    assert sorted(name for group in groups for name in group.alert_ids) == sorted(one.alert_id for one in alerts)


WINDOW = Window(START, at(14 * DAY - 1), timedelta(minutes=1))


def incident(begin, end, **labels):
    return Incident(at(begin), at(end), Labels(labels))


def test_incidents_are_caught_with_their_delay_or_missed():
    incidents = [incident(100, 160), incident(1000, 1060), incident(2000, 2060, i="b"), incident(-90, -60)]
    alerts = [fired(110, 130), fired(120, 140, series="b"), fired(2010, 2020), fired(3000, 3010)]
    found = reckon(incidents, alerts, WINDOW, 2)
    assert [fate.outcome for fate in found.fates] == [
        Outcome.CAUGHT,
        Outcome.MISSED,
        Outcome.MISSED,
        Outcome.OUTSIDE,
    ]
    assert (found.fates[0].alert_id, found.fates[0].delay_s) == ("t-a-110", 600.0)
    assert (found.caught, found.missed, found.false_alerts) == (1, 2, 2)
    assert found.precision == pytest.approx(0.5)
    assert found.false_per_series_week == pytest.approx(2 / 2 / 2)


@pytest.mark.parametrize(
    ("alert", "outcome", "false"),
    [
        # It began before and holds on: caught at once.
        (fired(90, 120), Outcome.CAUGHT, 0),
        # Its last odd sample lies before: that it has not ended yet catches nothing.
        (fired(80, 102, held_until=97), Outcome.MISSED, 1),
        # Pending in it and firing after it: too late to catch it, and not false either.
        (fired(165, 170, active=158), Outcome.MISSED, 0),
        (fired(160, 161), Outcome.CAUGHT, 0),
        (fired(161, 170), Outcome.MISSED, 1),
    ],
)
def test_the_edges_of_an_incident(alert, outcome, false):
    found = reckon([incident(100, 160)], [alert], WINDOW, 1)
    assert (found.fates[0].outcome, found.false_alerts) == (outcome, false)
    if outcome is Outcome.CAUGHT:
        assert found.fates[0].delay_s == max(0.0, (alert.starts_at - at(100)).total_seconds())


def test_what_alerts_in_a_maintenance_is_neither_false_nor_right():
    maintenance = [incident(900, 1100, i="a"), incident(100, 120)]
    alerts = [fired(110, 130), fired(950, 960), fired(950, 960, series="b"), fired(1101, 1110)]
    found = reckon([incident(100, 160)], alerts, WINDOW, 2, maintenance=maintenance)
    assert (found.caught, found.in_maintenance, found.false_alerts) == (1, 1, 2)
    assert found.precision == pytest.approx(1 / 3)
    (only,) = alerts[1:2]
    assert reckon([incident(1, 2)], [only], WINDOW, 1, maintenance=maintenance).precision is None


def test_an_incident_without_a_sample_is_not_missed():
    incidents = [incident(100, 160), incident(1000, 1060), incident(2000, 2060)]
    found = reckon(incidents, [fired(110, 130)], WINDOW, 1, unseen={0, 2})
    assert [fate.outcome for fate in found.fates] == [Outcome.CAUGHT, Outcome.MISSED, Outcome.UNSEEN]
    assert (found.caught, found.missed, found.unseen) == (1, 1, 1)


def test_whether_an_incident_has_samples():
    grid = at(0).timestamp() + 60.0 * np.arange(10)
    values = np.ones((2, 10))
    values[0, 3:6] = np.nan
    frame = Frame(grid, values, (Labels({"i": "a"}), Labels({"i": "b"})))
    assert not incident(3, 5, i="a").sampled(frame)
    assert incident(3, 5).sampled(frame)
    assert incident(2, 3, i="a").sampled(frame)
    assert incident(5, 6, i="a").sampled(frame)
    assert not incident(3, 5, i="c").sampled(frame)
    assert not incident(20, 30).sampled(frame)


def test_without_alerts_or_series_nothing_is_said_of_their_share():
    found = reckon([incident(100, 160)], [], WINDOW, 0)
    assert (found.precision, found.false_per_series_week) == (None, None)


def test_alerts_are_matched_by_series_and_time():
    before = [fired(0, 10), fired(100, 110), fired(200, 230, series="b"), fired(300)]
    after = [fired(5, 8), fired(100, 110, series="b"), fired(205, 210, series="b"), fired(215, 220, series="b")]
    found = compare(before, after)
    assert [one.alert_id for one in found.added] == ["t-b-100"]
    assert [one.alert_id for one in found.gone] == ["t-a-100", "t-a-300"]
    assert found.kept == 3
    # One that still fires overlaps whatever comes after its beginning.
    assert compare([fired(300)], [fired(400, 410)]).kept == 1
    assert compare([fired(400, 410)], [fired(300)]).kept == 1


def test_incidents_that_a_change_gains_and_loses():
    incidents = [incident(0, 10), incident(100, 110), incident(200, 210)]
    before, after = [fired(5, 8), fired(105, 108)], [fired(105, 108), fired(205, 208)]
    reckoned = [reckon(incidents, alerts, WINDOW, 1) for alerts in (before, after)]
    found = compare(before, after, *reckoned)
    assert (found.gained, found.lost) == ((2,), (0,))


def test_the_first_occasion_is_named():
    (group,) = groups_of([fired(0, 7)], at(DAY))
    assert group.messages[0].occasion is Occasion.FIRST
