"""The life of an alert: tables of moves, and a machine that tries every order of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tocsin.detect import Severity
from tocsin.domain.alert import AlertState, Observation, Reason, vanish_after
from tocsin.domain.facts import Facts
from tocsin.domain.labels import Labels
from tocsin.domain.lifecycle import advance
from tocsin.domain.target import Target

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TARGET = Target("t", "q", "prom", pending_for=2 * MINUTE, keep_firing_for=3 * MINUTE)


def sample(minute, sigma, target=TARGET):
    entry = target.policy.sigma
    flagged = abs(sigma) >= entry
    return Observation(
        labels=Labels({"a": "b"}),
        timestamp=START + minute * MINUTE,
        value=10 + sigma,
        expected_value=10.0,
        lower=7.0,
        upper=13.0,
        sigma=sigma,
        severity=Severity.of(sigma),
        confidence=0.9,
        methods=("zscore",) if flagged else (),
        flagged=flagged,
        holding=abs(sigma) >= target.policy.holds_from,
    )


def walk(sigmas, target=TARGET):
    """State and reason after each minute; None in `sigmas` is a gap."""
    alert, story = None, []
    for minute, sigma in enumerate(sigmas):
        seen = None if sigma is None else sample(minute, sigma, target)
        alert, reason = advance(alert, seen, target, START + minute * MINUTE)
        story.append((alert.state.value if alert else "-", reason.value if reason else ""))
        if alert and not alert.active:
            alert = None
    return story


@pytest.mark.parametrize(
    ("sigmas", "states"),
    [
        ([0, 1, 2], "- - -"),
        ([4, 4, 4], "pending pending firing"),
        ([4, 0], "pending expired"),
        ([4, 2.6, 4], "pending pending firing"),
        ([4, 4, 4, 0, 0, 0], "pending pending firing firing firing resolved"),
        ([4, 4, 4, 0, 0, 2.6, 0, 0, 0], "pending pending firing firing firing firing firing firing resolved"),
        ([4, 4, 4, 0, -2.6, 0], "pending pending firing firing firing resolved"),
        ([4, None, 4, 4], "pending pending firing firing"),
        ([4, 4, 4, None, None, 4], "pending pending firing firing firing firing"),
        ([4, 4, 4, None, None, None, None, 0, 0, 0], "pending pending" + " firing" * 7 + " resolved"),
        ([4, 4, 4, 0, None, None, 0, None, 0], "pending pending" + " firing" * 6 + " resolved"),
        ([4, 4, 4, *[None] * 4, None], "pending pending firing firing firing firing firing expired"),
    ],
)
def test_moves(sigmas, states):
    assert [state for state, _ in walk(sigmas)] == states.split()


def test_of_equally_strong_samples_the_newest_has_the_word():
    alert = advance(None, sample(0, 4), TARGET, START).alert
    later = advance(alert, replace(sample(1, 4), value=20.0), TARGET, START + MINUTE).alert
    milder = advance(later, sample(2, 3.9), TARGET, START + 2 * MINUTE).alert
    assert (later.value, later.severity, milder.value) == (20.0, alert.severity, 20.0)


def test_a_sample_that_only_holds_gives_the_alert_no_words():
    alert = advance(None, sample(0, 4), TARGET, START).alert
    echo = replace(sample(1, 5), value=9.0, severity=None, flagged=False, holding=True)
    held = advance(alert, echo, TARGET, START + MINUTE).alert
    assert (held.sigma, held.value, held.severity) == (4, 14.0, alert.severity)
    assert held.last_anomalous_at == START + MINUTE, "it goes on"
    worse = advance(held, sample(2, 5), TARGET, START + 2 * MINUTE).alert
    assert (worse.sigma, worse.value) == (5, 15.0)


def test_what_was_missing_and_comes_back_odd_is_told_as_it_is_now():
    nothing = replace(sample(0, -38), value=float("nan"), expected_value=float("nan"), methods=("absence",))
    alert = advance(None, nothing, TARGET, START).alert
    back = advance(alert, replace(sample(1, -5), methods=("level",)), TARGET, START + MINUTE).alert
    assert (back.value, back.sigma, back.methods, back.severity) == (5.0, -5, ("level",), Severity.CRITICAL)
    milder = advance(back, sample(2, -4), TARGET, START + 2 * MINUTE).alert
    assert milder.value == 5.0


def test_without_pending_it_fires_at_once():
    target = replace(TARGET, pending_for=timedelta(0))
    assert walk([4], target) == [("firing", "anomalous")]


def test_a_worse_sample_raises_severity_and_a_milder_one_never_lowers_it():
    alert, _ = advance(None, sample(0, 3.6), replace(TARGET, pending_for=timedelta(0)), START)
    worse, reason = advance(alert, sample(1, -6), TARGET, START + MINUTE)
    assert (worse.severity, worse.value, worse.sigma, reason) == (Severity.CRITICAL, 4, -6, Reason.WORSE)
    milder, reason = advance(worse, sample(2, -4), TARGET, START + 2 * MINUTE)
    assert (milder.severity, milder.sigma, milder.anomaly_count, reason) == (Severity.CRITICAL, -6, 3, None)


@pytest.mark.parametrize("unit", [1.0, 1e-300, 1e-320, 1e300])
def test_the_way_back_is_not_what_was_wrong(unit):
    alert, _ = advance(None, replace(sample(0, 4), value=150 * unit, expected_value=50 * unit), TARGET, START)
    back = replace(sample(1, -6), value=60 * unit, expected_value=140 * unit, flagged=True, holding=True)
    held, _ = advance(alert, back, TARGET, START + MINUTE)
    assert (held.value, held.expected_value) == (150 * unit, 50 * unit)
    assert (held.sigma, held.severity) == (4, alert.severity)
    assert held.anomaly_count == 2
    below, _ = advance(alert, replace(back, value=-40 * unit), TARGET, START + MINUTE)
    assert (below.value, below.sigma, below.severity) == (-40 * unit, -6, Severity.CRITICAL), "that is no way back"


def test_the_summary_is_one_line_a_person_can_read():
    alert, _ = advance(None, replace(sample(0, 4), value=0.15, expected_value=0.02), TARGET, START)
    assert alert.summary == '🔥 t{a="b"}: Detected zscore anomaly - value 0.15 (expected 0.02)'


def test_an_alert_knows_the_unit_of_its_values():
    facts = Facts(15_748_239_847.0, 1.2e9, 0.0, 2e9, 4.0, ("mad",), unit="bytes")
    seen = replace(sample(0, 4), value=facts.value, expected_value=facts.expected, facts=facts)
    alert, _ = advance(None, seen, replace(TARGET, unit="bytes"), START)
    assert alert.unit == "bytes"
    assert alert.summary.endswith("value 14.67 GiB (expected 1.118 GiB)")


class Lives(RuleBasedStateMachine):
    """Any order of samples, gaps and long absences."""

    def __init__(self):
        super().__init__()
        self.minute, self.alert, self.ended, self.quiet, self.began = 0, None, [], 0, None

    def move(self, seen):
        at = START + self.minute * MINUTE
        before = self.alert
        after, reason = advance(before, seen, TARGET, at)
        if before is None:
            assert (after is None) == (seen is None or not seen.flagged)
        else:
            assert after is not None, "an alert never disappears, it ends"
            assert after.id == before.id
            assert after.severity >= before.severity
            assert after.anomaly_count >= before.anomaly_count
            assert (after.state is not before.state) <= (reason is not None), "every change of state has its reason"
        if after is not None and after.state is AlertState.FIRING:
            assert after.starts_at - after.active_at >= TARGET.pending_for
        if after is not None and not after.active:
            assert after.ends_at == at
            if after.state is AlertState.RESOLVED:
                assert seen is not None, "nobody resolves what he did not see"
                assert at - after.last_anomalous_at >= TARGET.keep_firing_for
            self.ended.append(after.id)
            after = None
        self.alert = after
        self.minute += 1

    @rule(sigma=st.sampled_from([0.0, 1.0, 2.6, 3.6, 4.5, 7.0, -2.6, -4.5]))
    def a_sample(self, sigma):
        self.move(sample(self.minute, sigma))

    @rule()
    def a_gap(self):
        self.move(None)

    @rule()
    def a_long_absence(self):
        self.minute += int(vanish_after(TARGET) // 60) + 1
        had = self.alert
        self.move(None)
        assert self.alert is None
        if had is not None:
            assert self.ended[-1] == had.id

    @invariant()
    def ids_are_never_used_twice(self):
        assert len(set(self.ended)) == len(self.ended)


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=40)


def firing(sigma=5.0):
    alert = None
    for minute in range(3):
        alert, _ = advance(alert, sample(minute, sigma), TARGET, START + minute * MINUTE)
    assert alert is not None
    assert alert.state is AlertState.FIRING
    return alert


def test_what_has_just_become_normal_ends_the_alert_and_says_so():
    at = START + 4 * MINUTE
    alert, reason = advance(firing(), replace(sample(4, 2.0), settled=True), TARGET, at)
    assert (alert.state, alert.ends_at, reason) == (AlertState.EXPIRED, at, Reason.NEW_NORMAL)


@pytest.mark.parametrize("sigma", [-8.0, 8.0])
def test_the_way_back_has_no_words_and_makes_nothing_worse(sigma):
    before = firing()
    seen = replace(sample(4, sigma), value=3.0, expected_value=60.0)
    alert, reason = advance(before, replace(seen, returned=True), TARGET, START + 4 * MINUTE)
    kept = ("value", "expected_value", "sigma", "severity", "summary", "explanation")
    assert [getattr(alert, name) for name in kept] == [getattr(before, name) for name in kept]
    assert reason is None
    told, reason = advance(before, seen, TARGET, START + 4 * MINUTE)
    assert (told.value, reason) == (3.0, Reason.WORSE), "else it would be"


def test_a_sample_between_what_is_expected_by_now_and_what_was_is_no_fall():
    before = firing()
    seen = replace(sample(4, -8.0), value=13.5, expected_value=15.0)
    alert, reason = advance(before, seen, TARGET, START + 4 * MINUTE)
    assert (alert.value, alert.sigma, reason) == (before.value, before.sigma, None)
