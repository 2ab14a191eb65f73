"""What people say afterwards, in JSON: verdicts, marked windows, acceptances."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from tocsin.api.models_alert import VerdictAnswer
from tocsin.api.models_anomaly import RecurringAnswer, recurring_answer
from tocsin.api.models_common import AnswerModel, Instant, ListAnswer, RequestModel, Text, Word, finite
from tocsin.api.models_target import LabelMap
from tocsin.domain.feedback import (
    Acceptance,
    AcceptanceKind,
    MarkedWindow,
    Recurring,
    Slot,
    Verdict,
    WindowKind,
    clock_time,
)
from tocsin.domain.labels import Labels
from tocsin.monitor.bands import Band, Span
from tocsin.monitor.feedback import Accepted, Marking

MOST_DAYS = 365


def minute_of_day(text: str) -> str:
    """The text, or ValueError when it is no time of day like 02:10."""
    hours, colon, minutes = text.partition(":")
    plain = len(text) == 5 and colon and (hours + minutes).isascii() and (hours + minutes).isdigit()
    if not plain or int(hours) > 23 or int(minutes) > 59:
        raise ValueError("must be a time of day from 00:00 to 23:59, like 02:10")
    return text


TimeOfDay = Annotated[
    str,
    Field(strict=True),
    AfterValidator(minute_of_day),
    WithJsonSchema({"type": "string", "minLength": 5, "maxLength": 5, "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}),
]


class WhoRequest(RequestModel):
    """Who says so, and why."""

    who: Word = "api"
    note: Text = ""


class VerdictRequest(WhoRequest):
    """What an alert was."""

    verdict: Verdict


class MarkAnswer(VerdictAnswer):
    """The verdict on an alert."""

    alert_id: str


class UnmarkAnswer(AnswerModel):
    """Whether there was a verdict to take back."""

    alert_id: str
    unmarked: bool


class WindowRequest(WhoRequest):
    """A time from which nothing is to be learnt: of `target`, of all without one; of the series that carry `labels`."""

    kind: WindowKind
    start: Instant
    end: Instant
    target: Word | None = None
    labels: LabelMap = Field(default={})


class MarkedWindowAnswer(AnswerModel):
    """A marked window."""

    id: str
    kind: WindowKind
    target: str | None
    labels: dict[str, str]
    start: datetime
    end: datetime
    who: str
    note: str
    created_at: datetime


class MarkedWindowList(ListAnswer[MarkedWindowAnswer]):
    """Marked windows, the newest first."""


class SpanAnswer(AnswerModel):
    """What is expected of a sample, and the band around it."""

    expected: float | None
    lower: float | None
    upper: float | None


class BandAnswer(AnswerModel):
    """The newest sample of a series, and what was and is expected of it; null where nothing can be said."""

    target: str
    labels: dict[str, str]
    at: datetime
    value: float
    before: SpanAnswer | None
    after: SpanAnswer | None


class MarkingAnswer(AnswerModel):
    """A window that was marked or forgotten, and the bands that differ by it, the largest change first: `bands_changed`
    of `bands_compared` series. `notes` say of which targets that is not known, and why.
    """

    window: MarkedWindowAnswer
    bands: list[BandAnswer]
    bands_changed: int
    bands_compared: int
    notes: list[str]


class AcceptRequest(WhoRequest):
    """The series that carry `labels` are normal as they are since `at`; without it since their alerts began."""

    labels: LabelMap = Field(default={})
    at: Instant | None = None


class AcceptRecurringRequest(WhoRequest):
    """Alerts of the series that carry `labels` which recur within ten minutes of a time of day are expected; without
    labels those of all that recur then.
    """

    labels: LabelMap = Field(default={})
    around: TimeOfDay
    days: Annotated[int, Field(strict=True, ge=1, le=MOST_DAYS, description="How long that holds.")] = 90


class EndRequest(RequestModel):
    """Who takes it back."""

    who: Word = "api"


class SlotAnswer(AnswerModel):
    """A part of each day; `weekdays` 0 is Monday, none named: all."""

    begin: str
    end: str
    timezone: str
    weekdays: list[int]


class AcceptanceAnswer(AnswerModel):
    """What a person accepted. `level`: normal since `since`. `recurring`: alerts that begin in `slot` are expected up
    to these deviations. `hours`: in `slot` alerts begin at `sigma`. `excluded`: none begin.
    """

    id: str
    kind: AcceptanceKind
    target: str
    labels: dict[str, str]
    at: datetime
    who: str
    note: str
    since: datetime | None
    slot: SlotAnswer | None
    most_above: float | None
    most_below: float | None
    sigma: float | None
    expires_at: datetime | None
    ended_at: datetime | None
    ended_by: str


class AcceptanceList(ListAnswer[AcceptanceAnswer]):
    """What was accepted, the newest first."""


class AcceptedAnswer(AnswerModel):
    """What was accepted, and the alerts that ended by it."""

    acceptances: list[AcceptanceAnswer]
    ended: list[str]


class RecurringItem(RecurringAnswer):
    """A series that stands out by the clock; `alert_ids` are its alerts, `accepted_by` is the id of the acceptance in
    force.
    """

    labels: dict[str, str]
    most_above: float | None
    most_below: float | None
    alert_ids: list[str]
    accepted_by: str | None


class RecurringList(ListAnswer[RecurringItem]):
    """What recurs of a target."""


def minutes_of(text: str) -> int:
    """Minutes after midnight of a time of day."""
    return int(text[:2]) * 60 + int(text[3:])


def window_from(request: WindowRequest) -> MarkedWindow:
    """The window that is asked for, without the id that it will get."""
    return MarkedWindow(
        id="",
        kind=request.kind,
        target_name=request.target,
        labels=Labels(request.labels),
        start=request.start,
        end=request.end,
        who=request.who,
        note=request.note,
        created_at=request.start,
    )


def marked_window_answer(window: MarkedWindow) -> MarkedWindowAnswer:
    """A marked window."""
    return MarkedWindowAnswer(
        id=window.id,
        kind=window.kind,
        target=window.target_name,
        labels=dict(window.labels),
        start=window.start,
        end=window.end,
        who=window.who,
        note=window.note,
        created_at=window.created_at,
    )


def marking_answer(marking: Marking) -> MarkingAnswer:
    """A window with the bands that differ by it."""
    return MarkingAnswer(
        window=marked_window_answer(marking.window),
        bands=[_band(one) for one in marking.bands.bands],
        bands_changed=marking.bands.changed,
        bands_compared=marking.bands.compared,
        notes=list(marking.bands.notes),
    )


def _band(band: Band) -> BandAnswer:
    return BandAnswer(
        target=band.target_name,
        labels=dict(band.labels),
        at=band.at,
        value=band.value,
        before=_span(band.before),
        after=_span(band.after),
    )


def _span(span: Span | None) -> SpanAnswer | None:
    if span is None:
        return None
    return SpanAnswer(expected=finite(span.expected), lower=finite(span.lower), upper=finite(span.upper))


def slot_answer(slot: Slot) -> SlotAnswer:
    """A part of each day."""
    return SlotAnswer(
        begin=clock_time(slot.begin), end=clock_time(slot.end), timezone=slot.timezone, weekdays=list(slot.weekdays)
    )


def acceptance_answer(one: Acceptance) -> AcceptanceAnswer:
    """What a person accepted; numbers that its kind does not have are null."""
    by_clock = one.kind is AcceptanceKind.RECURRING
    return AcceptanceAnswer(
        id=one.id,
        kind=one.kind,
        target=one.target_name,
        labels=dict(one.labels),
        at=one.at,
        who=one.who,
        note=one.note,
        since=one.since,
        slot=None if one.slot is None else slot_answer(one.slot),
        most_above=finite(one.most_above) if by_clock else None,
        most_below=finite(one.most_below) if by_clock else None,
        sigma=one.sigma if one.kind is AcceptanceKind.HOURS else None,
        expires_at=one.expires_at,
        ended_at=one.ended_at,
        ended_by=one.ended_by,
    )


def accepted_answer(accepted: Accepted) -> AcceptedAnswer:
    """What was accepted."""
    return AcceptedAnswer(
        acceptances=[acceptance_answer(one) for one in accepted.acceptances], ended=list(accepted.ended)
    )


def recurring_item(one: Recurring, acceptance: Acceptance | None) -> RecurringItem:
    """A series that stands out by the clock."""
    return RecurringItem(
        **vars(recurring_answer(one)),
        labels=dict(one.labels),
        most_above=finite(one.most_above),
        most_below=finite(one.most_below),
        alert_ids=list(one.alert_ids),
        accepted_by=None if acceptance is None else acceptance.id,
    )


def lasting(days: int) -> timedelta:
    """So many days."""
    return timedelta(days=days)
