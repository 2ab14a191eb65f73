"""What changes between two configurations of a target over the same past. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tocsin.domain.grouping import Fired
from tocsin.domain.incidents import Outcome, Reckoning
from tocsin.domain.labels import Labels

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Difference:
    """Alerts that are `added` or `gone` after a change, in the order of time; `kept` counts those that stay.

    An alert stays when the other configuration has one of the same series that overlaps it in time: its beginning, its
    end and its severity may differ. `gained` and `lost` are indexes of incidents.
    """

    added: tuple[Fired, ...]
    gone: tuple[Fired, ...]
    kept: int
    gained: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()


def compare(
    before: Sequence[Fired],
    after: Sequence[Fired],
    reckoned_before: Reckoning | None = None,
    reckoned_after: Reckoning | None = None,
) -> Difference:
    """From the alerts `before` a change to those `after` it."""
    added, gone = _without_partner(after, before), _without_partner(before, after)
    caught_before, caught_after = _caught(reckoned_before), _caught(reckoned_after)
    return Difference(
        added=added,
        gone=gone,
        kept=len(after) - len(added),
        gained=tuple(sorted(caught_after - caught_before)),
        lost=tuple(sorted(caught_before - caught_after)),
    )


def _without_partner(alerts: Sequence[Fired], others: Sequence[Fired]) -> tuple[Fired, ...]:
    """The alerts that no other one of their series overlaps. Alerts of one series follow one another."""
    spans: dict[Labels, list[tuple[datetime, datetime]]] = {}
    for one in sorted(others, key=lambda one: one.active_at):
        spans.setdefault(one.labels, []).append((one.active_at, one.ends_at or _NEVER))
    alone = []
    for alert in alerts:
        theirs = spans.get(alert.labels, [])
        # Of those that begin before this one ends the newest reaches furthest.
        place = bisect_right(theirs, (alert.ends_at or _NEVER, _NEVER))
        if not place or theirs[place - 1][1] < alert.active_at:
            alone.append(alert)
    return tuple(sorted(alone, key=lambda one: (one.starts_at, one.alert_id)))


def _caught(reckoning: Reckoning | None) -> set[int]:
    fates = reckoning.fates if reckoning is not None else ()
    return {index for index, fate in enumerate(fates) if fate.outcome is Outcome.CAUGHT}
