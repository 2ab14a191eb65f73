"""What goes into a row comes out of it, whatever it is."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.builders import T0, alert, anomaly, evidence
from tocsin.detect import Direction, Severity
from tocsin.domain.alert import Alert, AlertKind, AlertState
from tocsin.domain.anomaly import Anomaly, Evidence
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels
from tocsin.domain.ports import AlertFilter, AnomalyFilter, Page
from tocsin.domain.target import Owner, QueryType, Target
from tocsin.store import codec, open_store
from tocsin.store.columns import EPOCH, MICROSECOND, escape, unescape
from tocsin.store.documents import definition_text, evidence_body, evidence_of, facts_of, facts_text, target_of


def _unfolded(at: datetime) -> datetime:
    """UTC has no hour twice; `fold` means nothing there and is not kept."""
    return at.replace(fold=0)


# Any character at all: control characters, NUL, lone surrogates, and the escape character with digits behind it.
words = st.text(st.characters() | st.sampled_from("\x00\x1a\ud800\udfff\\\"'%_0d"), max_size=12)
instants = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)).map(_unfolded)  # noqa: DTZ001
numbers = st.floats()
labels = st.dictionaries(words, words, max_size=4).map(Labels)
names = st.lists(words, max_size=3).map(tuple)
durations = st.timedeltas(timedelta(0), timedelta(days=3650))
steps = st.timedeltas(timedelta(microseconds=1), timedelta(days=30))
windows = st.builds(
    lambda start, length, step: Window(start, start + length, step), instants, durations, steps
)  # fmt: skip


def optional(strategy):
    return st.none() | strategy


targets = st.builds(
    Target, name=words, query=words, datasource_uid=words, query_type=st.sampled_from(QueryType),
    check_interval=durations, detection_methods=names, severity_threshold=st.sampled_from(Severity),
    enabled=st.booleans(), step=durations, lookback=durations, offset=durations, pending_for=durations,
    keep_firing_for=durations, direction=st.sampled_from(Direction), min_effect=st.floats(0, 1e300),
    min_effect_ratio=st.floats(0, 1e300), alert_above=optional(st.floats(allow_nan=False)),
    alert_below=optional(st.floats(allow_nan=False)), lower_bound=optional(st.floats(allow_nan=False)),
    upper_bound=optional(st.floats(allow_nan=False)), labels=labels, description=words,
    owner=st.sampled_from(Owner), version=st.integers(1, 2**31 - 1),
    created_at=optional(instants), updated_at=optional(instants),
)  # fmt: skip
alerts = st.builds(
    Alert, id=words, kind=st.sampled_from(AlertKind), target_name=words, labels=labels,
    state=st.sampled_from(AlertState), severity=st.sampled_from(Severity), active_at=instants,
    last_anomalous_at=instants, updated_at=instants, value=optional(numbers), expected_value=optional(numbers),
    sigma=optional(numbers), confidence=optional(numbers), methods=names, summary=words, explanation=words,
    anomaly_count=st.integers(0, 2**31 - 1), starts_at=optional(instants), ends_at=optional(instants),
    last_seen_at=optional(instants), evidence_id=optional(words),
)  # fmt: skip
anomalies = st.builds(
    Anomaly, id=words, target_name=words, labels=labels, timestamp=instants, value=numbers, expected_value=numbers,
    lower=numbers, upper=numbers, sigma=numbers, severity=st.sampled_from(Severity), confidence=numbers, method=words,
    methods=names, explanation=words, query=words, window=windows, samples=st.integers(0, 2**31 - 1),
    alert_id=optional(words), evidence_id=optional(words),
)  # fmt: skip
columns = st.lists(optional(numbers), max_size=4).map(tuple)
pieces = st.builds(
    Evidence, id=words, query=words, datasource_uid=words, window=windows, methods=names,
    timestamps=st.lists(numbers, max_size=4).map(tuple), values=columns, expected=columns, lower=columns,
    upper=columns, sigma=columns, context=names, notes=names,
)  # fmt: skip


def same(left: object, right: object) -> bool:
    """Equal, and NaN equal to NaN; the sign of zero is lost in SQLite."""
    return repr(left).replace("-0.0", "0.0") == repr(right).replace("-0.0", "0.0")


def without_nan(one: Alert) -> Alert:
    """In an optional number NaN is kept as None: both say that there is none."""
    numbers = {name: getattr(one, name) for name in ("value", "expected_value", "sigma", "confidence")}
    return replace(one, **{name: None for name, value in numbers.items() if value is not None and math.isnan(value)})


@given(words)
def test_any_text_is_escaped_and_back(text: str) -> None:
    escaped = escape(text)
    escaped.encode()
    assert "\x00" not in escaped
    assert unescape(escaped) == text


@given(words, words)
def test_different_texts_stay_different(left: str, right: str) -> None:
    assert (escape(left) == escape(right)) == (left == right)


@given(labels)
def test_labels_round_trip(given_labels: Labels) -> None:
    text = codec.labels_text(given_labels)
    assert "\x00" not in text
    text.encode()
    assert codec.labels_of(text) == given_labels


@given(names)
def test_methods_round_trip(methods: tuple[str, ...]) -> None:
    assert codec.methods_of(codec.methods_text(methods)) == methods


@given(targets)
def test_targets_round_trip(target: Target) -> None:
    text = definition_text(target)
    read = target_of(
        target.name, target.version, text, created_at=target.created_at, updated_at=target.updated_at
    )  # fmt: skip
    assert read == target
    assert "\x00" not in text


def test_a_definition_of_a_later_version_with_more_fields_is_read() -> None:
    target = Target("name", "up", "prometheus")
    more = {**msgspec.json.decode(definition_text(target)), "invented_later": [1]}
    assert target_of("name", 1, msgspec.json.encode(more).decode(), created_at=None, updated_at=None) == target


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"query": 1}', "\x00"])
def test_a_definition_that_is_none_is_named(text: str) -> None:
    with pytest.raises(codec.Unreadable, match="target 'name'"):
        target_of("name", 1, text, created_at=None, updated_at=None)


@given(pieces)
def test_evidence_round_trips(piece: Evidence) -> None:
    assert same(evidence_of(piece.id, 1, evidence_body(piece)), piece)


def test_evidence_that_cannot_be_read_is_named() -> None:
    body = evidence_body(evidence(alert(), T0))
    with pytest.raises(codec.Unreadable, match="form 3"):
        evidence_of("e", 3, body)
    for broken in (body[:-1], b"", b"\xc1"):
        with pytest.raises(codec.Unreadable, match="evidence 'e'"):
            evidence_of("e", 1, broken)


def test_numbers_of_numpy_are_kept() -> None:
    import numpy as np

    piece = replace(evidence(alert(), T0), values=(np.float64(1.5), None, np.float64("nan")))
    assert same(evidence_of(piece.id, 1, evidence_body(piece)).values, (1.5, None, float("nan")))


@pytest.fixture(params=["sqlite", "postgres"])
async def sql_store(request, tmp_path):
    """A real database, used again by every example."""
    url = request.getfixturevalue("postgres") if request.param == "postgres" else None
    store = await open_store(tmp_path, url=url)
    yield store
    await store.close()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=alerts, other=anomalies)
async def test_alerts_and_anomalies_round_trip_through_a_database(sql_store, one: Alert, other: Anomaly) -> None:
    # Hypothesis gives the same values again while it shrinks; what was kept once is never replaced.
    one, other = replace(one, id=f"{one.id}{uuid4()}"), replace(other, id=f"{other.id}{uuid4()}")
    await sql_store.save_evaluations([Evaluation("t", T0, (other,), (one,))])
    assert same((await sql_store.alert(one.id)).alert, without_nan(one))
    everywhere = Page(limit=10**30)
    states = AlertFilter(states=(one.state,), labels=one.labels, target_name=one.target_name)
    listed = await sql_store.alerts(states, everywhere)
    assert one.id in [record.alert.id for record in listed.items]
    which = AnomalyFilter(target_name=other.target_name, labels=other.labels, method=other.method)
    found = [seen for seen in (await sql_store.anomalies(which, everywhere)).items if seen.id == other.id]
    assert len(found) == 1
    assert same(found[0], other)


def test_a_row_that_was_never_written_like_that_is_named() -> None:
    row = codec.alert_row(alert())
    with pytest.raises(codec.Unreadable, match="alert 'alert:"):
        codec.alert_of({**row, "state": "sleeping"})
    with pytest.raises(codec.Unreadable, match="anomaly 'anomaly:"):
        codec.anomaly_of({**codec.anomaly_row(anomaly(alert())), "labels": "{"})


def test_evidence_of_the_first_form_can_still_be_read() -> None:
    piece = evidence(alert(), T0)
    span = piece.window
    window = tuple(each // MICROSECOND for each in (span.start - EPOCH, span.end - EPOCH, span.step))
    first = msgspec.msgpack.encode(
        [
            *(piece.id, piece.query, piece.datasource_uid, window, piece.methods, piece.timestamps, piece.values),
            *(piece.expected, piece.lower, piece.upper, piece.sigma, piece.context, piece.notes),
        ]
    )
    assert evidence_of(piece.id, 1, first) == piece
    assert evidence_of(piece.id, 1, first).facts is None


def test_facts_that_an_older_version_kept_tell_nothing_beside() -> None:
    old = '{"value":1.0,"expected":2.0,"lower":1.5,"upper":2.5,"sigma":-4.0,"methods":["mad"]}'
    facts = facts_of(old)
    assert facts is not None
    assert facts.told == ()
    assert facts_of(facts_text(facts)) == facts
