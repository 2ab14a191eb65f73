"""What two back-tests say of a change: what becomes of the alerts, of those that people marked most of all. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tocsin.domain.alert import Alert
from tocsin.domain.feedback import MarkedAlert, Verdict
from tocsin.domain.incidents import Outcome
from tocsin.domain.proposal import FIELDS, Change, Difference, Proposal, ProposalKind
from tocsin.domain.propose import LASTING
from tocsin.domain.words import many
from tocsin.monitor.status import BacktestResult

RAISED = (1.25, 1.6, 2.5)
"""By how much a number that changes nothing is raised, one after the other."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A change and what a back-test says of it: whether it changes anything, and whether the back-test without it has
    seen the alerts that it is about.
    """

    change: Change
    difference: Difference
    effective: bool
    seen: bool
    missed: int = 0
    """Incidents that people have marked and that alerts would miss with it, of those that they catch without."""

    @property
    def keeps_the_real(self) -> bool:
        """Whether all that were marked real still come, and no marked incident is missed."""
        return self.difference.real_kept == self.difference.real_seen and not self.missed


@dataclass(frozen=True, slots=True)
class Weighing:
    """What changes of one proposal are held against: the back-test without any, the verdicts of its time, since when a
    level would be accepted, and when that is done.
    """

    proposal: Proposal
    before: BacktestResult
    verdicts: Sequence[MarkedAlert]
    since: datetime
    at: datetime

    @property
    def seen(self) -> Sequence[Alert]:
        """The alerts that it is about, as far as the back-test finds them again."""
        mine = (one.alert for one in self.verdicts if one.alert.id in self.proposal.evidence)
        return [one for one in mine if _among(one, self.before)]

    def of(self, change: Change, after: BacktestResult) -> Tried:
        """What the back-test with a change says of it."""
        before, since = self.before, self.since
        marked = (Verdict.FALSE, Verdict.EXPECTED, Verdict.REAL)
        false, expected, real = (_seen(self.verdicts, verdict, before) for verdict in marked)
        notes = [
            f"verdicts are compared with the {len(one.alerts):,} of {one.alerts_total:,} alerts that a back-test lists"
            for one in (before, after)
            if one.alerts_total > len(one.alerts)
        ]
        seen = self.seen
        effective = not all(_among(one, after) for one in seen)
        if not seen or change.kind not in FIELDS:
            effective |= before.alerts_total != after.alerts_total
        if change.kind is ProposalKind.LEVEL:
            notes.append(_lasted(since, before, after))
            effective |= _hours(before, since) != _hours(after, since)
        if not seen:
            notes.append("the back-test finds none of the marked alerts again: what it changes of them is not known")
        caught, missed = _caught(before), len(_caught(before) - _caught(after))
        if missed:
            notes.append(f"{missed} of {many(len(caught), 'marked incident')} that alerts catch would be missed")
        difference = Difference(
            start=before.window.start,
            end=before.window.end,
            alerts_before=before.alerts_total,
            alerts_after=after.alerts_total,
            false_seen=len(false),
            false_removed=sum(not _among(one.alert, after) for one in false),
            real_seen=len(real),
            real_kept=sum(_among(one.alert, after) for one in real),
            at=self.at,
            notes=tuple(notes),
            expected_seen=len(expected),
            expected_removed=sum(not _among(one.alert, after) for one in expected),
        )
        return Tried(change, difference, effective, bool(seen), missed)


def greater(change: Change, most: float) -> Iterator[Change]:
    """A change, and where it is a number greater ones, by which something may change; a threshold is less than
    ``most`` sigma.
    """
    yield change
    for factor in RAISED if change.kind in FIELDS else ():
        number = float(f"{change.number * factor:.3g}")
        if change.kind is not ProposalKind.THRESHOLD or number < most:
            yield replace(change, number=number)


def _lasted(since: datetime, before: BacktestResult, after: BacktestResult) -> str:
    """How long alerts last from then on, with and without the level."""
    return (
        f"accepted once it had lasted {LASTING / timedelta(hours=1):g} h, alerts since {since.isoformat()} last "
        f"{_hours(after, since):.1f} h in all; without that {_hours(before, since):.1f} h"
    )


def _hours(result: BacktestResult, since: datetime) -> float:
    """How long its alerts last from an instant on, in all."""
    ends = [(one, one.ends_at or result.window.end) for one in result.alerts]
    return sum((end - max(one.active_at, since)).total_seconds() for one, end in ends if end > since) / 3600.0


def _caught(result: BacktestResult) -> set[int]:
    """The places of the incidents that it catches."""
    fates = result.reckoning.fates if result.reckoning is not None else ()
    return {place for place, one in enumerate(fates) if one.outcome is Outcome.CAUGHT}


def _seen(verdicts: Sequence[MarkedAlert], verdict: Verdict, result: BacktestResult) -> list[MarkedAlert]:
    return [one for one in verdicts if one.mark.verdict is verdict and _among(one.alert, result)]


def _among(alert: Alert, result: BacktestResult) -> bool:
    """Whether a back-test has an alert of that series at that time."""
    return any(
        one.labels == alert.labels
        and (alert.ends_at is None or one.active_at <= alert.ends_at)
        and (one.ends_at is None or one.ends_at >= alert.active_at)
        for one in result.alerts
    )
