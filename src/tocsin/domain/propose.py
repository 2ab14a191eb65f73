"""From verdicts to concrete changes: the smallest that would have kept the false alerts away, and no real one. Pure."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b
from zoneinfo import ZoneInfo

import numpy as np

from tocsin.detect import AHEAD, AUTO_CEILING, STATES, Direction, Policy, distance, floor, wants_auto
from tocsin.domain.alert import Alert
from tocsin.domain.feedback import DAY_MINUTES, MarkedAlert, Slot, Verdict
from tocsin.domain.labels import Labels
from tocsin.domain.proposal import FIELDS, Change, Proposal, ProposalKind, ProposalState
from tocsin.domain.target import MAX_SIGMA, Target
from tocsin.domain.words import many

ROOM = 1.05
"""A floor is that much above the largest false deviation."""

WIDEST = 180
"""Minutes: false alerts further apart on the clock belong to no common hour."""

LASTING = timedelta(hours=1)
"""An alert that has gone on for so long and is no incident is a new level."""

Size = Callable[[Alert], float | None]


@dataclass(frozen=True, slots=True)
class _Said:
    """Alerts of one target by what people say of them; `known` are false and expected ones, `floored` those of them
    that a floor is to keep away: false ones, and expected drifts, which come again as slowly. `share` says what
    `min_effect_ratio` is a share of.
    """

    false: tuple[Alert, ...]
    floored: tuple[Alert, ...]
    known: tuple[Alert, ...]
    real: tuple[Alert, ...]
    unit: str
    share: str


def propose(target: Target, marked: Sequence[MarkedAlert], now: datetime) -> tuple[Proposal, ...]:
    """What could be changed so that the alerts that were marked false do not come again; the change that keeps most of
    them away first, and among those the one that touches least. None would have kept away an alert marked real.
    """
    said = _Said(
        tuple(one.alert for one in marked if one.mark.verdict is Verdict.FALSE),
        tuple(one.alert for one in marked if _floorable(one)),
        tuple(one.alert for one in marked if one.mark.verdict is not Verdict.REAL),
        tuple(one.alert for one in marked if one.mark.verdict is Verdict.REAL),
        target.nature.unit,
        "what was expected" if _of_expected(target.policy) else "the distance to the nearer bound",
    )
    drafts = [
        _floor(ProposalKind.FLOOR, said, _deviation, now=target.min_effect),
        _share(said, target),
        _threshold(said, target),
        _hours(said, target),
        *_exclusions(said),
        *_levels(said),
    ]
    found = [draft for draft in drafts if draft is not None]
    found.sort(key=lambda draft: -len(draft[2]))
    return tuple(
        Proposal(_id(target.name, change), target.name, change, why, tuple(one.id for one in gone), now, now)
        for change, why, gone in found
    )


_Draft = tuple[Change, str, Sequence[Alert]]


def _floorable(one: MarkedAlert) -> bool:
    """Whether a floor on the deviation could have kept it away: none holds for what is missing, or lies ahead."""
    first = one.alert.methods[:1]
    if first in (("absence",), *((name,) for name in AHEAD)):
        return False
    return one.mark.verdict is Verdict.FALSE or (one.mark.verdict is Verdict.EXPECTED and first == ("drift",))


def _threshold(said: _Said, target: Target) -> _Draft | None:
    """A threshold above the false ones; not one that `auto` never reaches, nor one above what says more the longer it
    lasts, which would only come a little later.
    """
    false = tuple(one for one in said.false if not set(one.methods[:1]) & set(STATES))
    now = target.sigma_threshold or target.severity_threshold.sigma
    most = highest_threshold(target)
    draft = _floor(ProposalKind.THRESHOLD, replace(said, floored=false), _sigma, now=now)
    return None if draft is None or draft[0].number >= most else draft


def _share(said: _Said, target: Target) -> _Draft | None:
    """A floor as a share; where that is one of what was expected, none that hides each fall, to nothing at most."""
    policy = target.policy
    draft = _floor(ProposalKind.RATIO, said, partial(_ratio, policy), now=target.min_effect_ratio)
    hides_falls = _of_expected(policy) and draft is not None and draft[0].number >= 1.0
    return None if hides_falls and target.direction is not Direction.ABOVE else draft


def _of_expected(policy: Policy) -> bool:
    """Whether a share is one of what was expected, not of its distance to the nearer bound."""
    return policy.lower_bound is None or policy.upper_bound is None


def highest_threshold(target: Target) -> float:
    """The sigma below which a threshold that is proposed lies: `auto` says hardly ever more."""
    return AUTO_CEILING if wants_auto(target.detection_methods) else MAX_SIGMA


def _floor(kind: ProposalKind, said: _Said, size: Size, *, now: float) -> _Draft | None:
    """A floor above as many of those that it is to keep away as the real ones allow."""
    real = [each for each in map(size, said.real) if each is not None]
    if len(real) < len(said.real):
        return None
    bound = min(real, default=math.inf)
    sizes = [(each, one) for one in said.floored if (each := size(one)) is not None and each < bound]
    if not sizes:
        return None
    most = max(each for each, _ in sizes)
    number = _rounded_up(ROOM * most)
    if number > bound:
        number = (most + bound) / 2
    if not now < number < math.inf or number <= most:
        return None
    gone = [one for _, one in sizes]
    unit = said.unit if kind is ProposalKind.FLOOR else ""
    had = "had" if len(gone) == 1 else "had at most"
    why = f"{_many(gone, said.floored)} {_verdicts(said, said.floored)} {had} {distance(most, unit)}"
    if real:
        why += f"; those marked real at least {distance(bound, unit)}"
    name = f"deviation as a share of {said.share}" if kind is ProposalKind.RATIO else _NAMES[kind]
    return Change(kind, number), f"{why} ({name})", gone


_NAMES = {ProposalKind.FLOOR: "deviation in the metric's unit", ProposalKind.THRESHOLD: "sigma"}


def _verdicts(said: _Said, alerts: Sequence[Alert]) -> str:
    """What people said of these: `marked false`, `marked expected`, or both."""
    false = sum(one in said.false for one in alerts)
    if false == len(alerts):
        return "marked false"
    return "marked false or expected" if false else "marked expected"


def _hours(said: _Said, target: Target) -> _Draft | None:
    """A threshold of their own for the hours in which false and expected alerts began, on two days at least, and for
    the series that carry what all of these have in common; none that `auto` never reaches.
    """
    zone = ZoneInfo(target.timezone)
    local = [(one, (one.starts_at or one.active_at).astimezone(zone)) for one in said.known if one.sigma is not None]
    if len({at.date() for _, at in local}) < 2:
        return None
    minutes = [at.hour * 60 + at.minute for _, at in local]
    spread, begin = min((max((m - first) % DAY_MINUTES for m in minutes), first) for first in minutes)
    if spread > WIDEST:
        return None
    first = begin // 60 * 60
    slot = Slot(first, (begin + spread) // 60 * 60 % DAY_MINUTES + 59, target.timezone)
    most = max(abs(one.sigma or 0.0) for one, _ in local)
    gone = [one for one, _ in local]
    change = Change(ProposalKind.HOURS, _rounded_up(ROOM * most), _common(gone), slot)
    if change.number >= highest_threshold(target) or any(hides(target, change, one) for one in said.real):
        return None
    began = f"{many(len(gone), 'alert')} {_verdicts(said, gone)} began from {slot}"
    return change, f"{began}, with at most {most:.4g} sigma", gone


def _common(alerts: Sequence[Alert]) -> Labels:
    """The labels that all of them carry."""
    return Labels(dict(set.intersection(*(set(one.labels.without("__name__").items()) for one in alerts))))


def hides(target: Target, change: Change, alert: Alert) -> bool:
    """Whether a change keeps away an alert like this, by its worst sample; where that is not known it does not."""
    if change.kind in FIELDS:
        size = {ProposalKind.FLOOR: _deviation, ProposalKind.THRESHOLD: _sigma}.get(change.kind)
        found = _ratio(target.policy, alert) if size is None else size(alert)
        return found is not None and found < change.number
    if not (change.labels or Labels()).items() <= alert.labels.items():
        return False
    if change.kind is ProposalKind.HOURS:
        here = change.slot is None or change.slot.contains(alert.active_at)
        return here and abs(alert.sigma or 0.0) < change.number
    return change.kind is ProposalKind.EXCLUDE or alert.active


def _exclusions(said: _Said) -> Iterable[_Draft]:
    """Series, or a label that several have in common, of which two false alerts came and no real one."""
    series: dict[Labels, list[Alert]] = {}
    for one in said.false:
        series.setdefault(one.labels.without("__name__"), []).append(one)
    for labels, mine in series.items():
        if labels and len(mine) >= 2 and not any(labels.items() <= one.labels.items() for one in said.real):
            yield (
                Change(ProposalKind.EXCLUDE, labels=labels),
                f"{many(len(mine), 'alert')} of it {'was' if len(mine) == 1 else 'were'} marked false, none real",
                mine,
            )
    if len(series) < 2 or not said.real:
        return
    common = set.intersection(*(set(labels.items()) for labels in series))
    for name, value in sorted(common - {pair for one in said.real for pair in one.labels.items()}):
        why = f"all {len(said.false)} alerts marked false carry it, none of the {len(said.real)} real ones does"
        yield Change(ProposalKind.EXCLUDE, labels=Labels({name: value})), why, said.false


def _levels(said: _Said) -> Iterable[_Draft]:
    """A level that an alert is about which still goes on and is no incident."""
    for one in said.known:
        if one.active and one.last_anomalous_at - one.active_at >= LASTING:
            hours = (one.last_anomalous_at - one.active_at) / timedelta(hours=1)
            yield (
                Change(ProposalKind.LEVEL, labels=one.labels),
                f"it has gone on for {hours:.1f} hours and is no incident",
                [one],
            )


def _deviation(alert: Alert) -> float | None:
    if alert.value is None or alert.expected_value is None:
        return None
    return abs(alert.value - alert.expected_value)


def _ratio(policy: Policy, alert: Alert) -> float | None:
    """The deviation as a share of what the floor is one of: what was expected, or its distance to the nearer bound."""
    deviation, expected = _deviation(alert), alert.expected_value
    if deviation is None or expected is None:
        return None
    alone = replace(policy, min_effect=0.0, min_effect_ratio=1.0)
    whole = float(floor(np.array([expected]), alone)[0])
    return deviation / whole if whole > 0.0 else None


def _sigma(alert: Alert) -> float | None:
    return None if alert.sigma is None else abs(alert.sigma)


def _rounded_up(number: float) -> float:
    """The next number of two digits."""
    if not 0 < number < math.inf:
        return number
    unit = 10.0 ** (math.floor(math.log10(number)) - 1)
    return float(f"{math.ceil(number / unit) * unit:.3g}")


def _many(gone: Sequence[Alert], of: Sequence[Alert]) -> str:
    if len(of) == 1:
        return "the one alert"
    return (
        f"{len(gone)} of {many(len(of), 'alert')}"
        if len(gone) < len(of)
        else ("the one alert" if len(of) == 1 else f"all {len(of)} alerts")
    )


def _id(target_name: str, change: Change) -> str:
    labels = "" if change.labels is None else change.labels.fingerprint
    data = f"{target_name}\xff{change.kind}\xff{change.number!r}\xff{labels}\xff{change.slot}"
    return f"proposal:{blake2b(data.encode(), digest_size=8).hexdigest()}"


def renewed(
    known: Proposal, made: Mapping[str, Proposal], could: Mapping[str, Proposal], lost: Callable[[Change], bool]
) -> Proposal | None:
    """A proposal as the verdicts of now have it: those about which nothing was done (`made`, by id), or all (`could`);
    None where it goes. What was done with it and what a back-test said of it stays, also a number that was raised,
    unless something real would be `lost` by it.
    """
    is_open = known.state is ProposalState.OPEN
    if not is_open and known.state is not ProposalState.REVERTED:
        return known
    now = made.get(known.id) or could.get(known.id)
    if now is None:
        return None if is_open else replace(known, why=_NO_MORE)
    stays = replace(known, why=now.why, evidence=now.evidence, aside=is_open and known.id not in made)
    if known.change == now.change:
        return stays
    as_made = replace(stays, change=now.change)
    return replace(as_made, difference=None) if is_open and lost(known.change) else raised(as_made, known.change)


_NO_MORE = "of the target and its verdicts as they are now it does not follow any more"


def raised(proposal: Proposal, change: Change) -> Proposal:
    """The same with a greater number, and both in words."""
    words = f"with {proposal.change.number:g} what was marked comes as before, with {change.number:g} not"
    return replace(proposal, change=change, why=f"{proposal.why}; {words}")


def with_field(target: Target, kind: ProposalKind, number: float | None) -> Target:
    """The target with the field set that changes of this kind are about; raises `Invalid`."""
    if kind is ProposalKind.THRESHOLD:
        return replace(target, sigma_threshold=number).validated()
    if kind is ProposalKind.RATIO:
        return replace(target, min_effect_ratio=number or 0.0).validated()
    return replace(target, min_effect=number or 0.0).validated()
