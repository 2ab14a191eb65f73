"""What recurs, as people accept it: what of it they mean, and the acceptances that follow. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from tocsin.domain.errors import Invalid, NotFound
from tocsin.domain.feedback import Acceptance, AcceptanceKind, Recurring, Slot, clock_time
from tocsin.domain.labels import Labels
from tocsin.domain.recurring import REACH, minutes_apart

EXPIRES_AFTER = timedelta(days=90)
"""How long what is accepted by the clock holds, unless a person says otherwise."""

MAX_EXPIRES = timedelta(days=365)

MARGIN = 1.5
"""An alert that recurs is expected up to so many times the largest deviation that was seen."""

NEAR = 10
"""Minutes: what recurs is meant by a time of day that is no further from its middle."""

_NAMED_AT_MOST = 5


def meant(name: str, found: Sequence[Recurring], labels: Labels, around: int) -> Sequence[Recurring]:
    """Of what recurs of a target that of the series that carry `labels`, around that minute of the day; raises
    `NotFound` that says what recurs instead, those of these series first and then the nearest in time.
    """

    def far(one: Recurring) -> tuple[bool, int, str]:
        return not labels.items() <= one.labels.items(), minutes_apart(one.around, around), str(one.labels)

    known = sorted(found, key=far)
    right = [one for one in known if far(one)[:2] <= (False, NEAR)]
    if right:
        return right
    if not found:
        raise NotFound(f"nothing of target {name!r} recurs by the clock")
    which = f"no series of target {name!r} that carries {labels}" if labels else f"no series of target {name!r}"
    named = ", ".join(map(_named, known[:_NAMED_AT_MOST]))
    more = f", and {len(known) - _NAMED_AT_MOST} more" if len(known) > _NAMED_AT_MOST else ""
    raise NotFound(f"{which} recurs within {NEAR} minutes of {clock_time(around)}; what recurs: {named}{more}")


def _named(one: Recurring) -> str:
    return f"{one.labels or 'the series without labels'} around {clock_time(one.around)} {one.timezone}"


def new_acceptance(
    kind: AcceptanceKind, name: str, labels: Labels, *, at: datetime, who: str, note: str, expires_at: datetime
) -> Acceptance:
    """An acceptance with an id of its own."""
    return Acceptance(
        f"accepted:{uuid4().hex[:16]}", kind, name, labels, at=at, who=who, note=note, expires_at=expires_at
    )


def recurring_accepted(one: Recurring, *, at: datetime, who: str, note: str, expires_at: datetime) -> Acceptance:
    """That alerts of what recurs are expected, up to `MARGIN` times the deviations seen."""
    kind, name = AcceptanceKind.RECURRING, one.target_name
    return replace(
        new_acceptance(kind, name, one.labels, at=at, who=who, note=note, expires_at=expires_at),
        slot=Slot.around(one.around, REACH, one.timezone),
        most_above=MARGIN * one.most_above,
        most_below=MARGIN * one.most_below,
    )


def level_in_force(
    known: Sequence[Acceptance], name: str, labels: Labels, since: datetime | None, at: datetime
) -> Acceptance | None:
    """The acceptance in force of the same level since the same instant."""
    levels = (one for one in known if one.kind is AcceptanceKind.LEVEL and one.holds(at))
    return next((one for one in levels if (one.target_name, one.labels, one.since) == (name, labels, since)), None)


def renewed(found: Sequence[Recurring], known: Sequence[Acceptance], at: datetime) -> Sequence[Acceptance]:
    """The acceptances in force that are about the same: accepted anew, these are over."""
    by_clock = [one for one in known if one.kind is AcceptanceKind.RECURRING and one.holds(at)]
    return [one for one in by_clock if any(_same(one, other) for other in found)]


def _same(one: Acceptance, other: Recurring) -> bool:
    mine = one.target_name == other.target_name and one.labels == other.labels
    return mine and one.slot is not None and one.slot.contains(other.middle)


def lasting(expires_after: timedelta | None) -> timedelta:
    """How long what recurs is accepted; raises `Invalid`."""
    wanted = EXPIRES_AFTER if expires_after is None else expires_after
    if not timedelta(0) < wanted <= MAX_EXPIRES:
        raise Invalid("expires_after", f"must be more than 0 and at most {MAX_EXPIRES.days} days")
    return wanted
