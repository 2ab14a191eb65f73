"""Changes that follow from verdicts: what is proposed, what it would have changed, what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tocsin.domain.feedback import Slot
from tocsin.domain.labels import Labels


class ProposalKind(StrEnum):
    """What is to be changed."""

    FLOOR = "floor"
    RATIO = "floor_ratio"
    THRESHOLD = "threshold"
    EXCLUDE = "exclude"
    HOURS = "hours"
    LEVEL = "level"


class ProposalState(StrEnum):
    """What became of it. Only a person applies, reverts or dismisses."""

    OPEN = "open"
    APPLIED = "applied"
    REVERTED = "reverted"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class Change:
    """What is different afterwards: a field of the target (FLOOR, RATIO, THRESHOLD: `number`), labels that are left out
    (EXCLUDE), hours in which an alert begins at `number` sigma (HOURS), a level that is accepted (LEVEL).
    """

    kind: ProposalKind
    number: float = 0.0
    labels: Labels | None = None
    slot: Slot | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """What a back-test says of a change: alerts over the window without it and with it, how many of those marked false,
    and of those marked expected, would not have come, how many of those marked real would still have. `seen` counts
    the marked alerts that the back-test without the change finds again: only those can be compared.
    """

    start: datetime
    end: datetime
    alerts_before: int
    alerts_after: int
    false_seen: int
    false_removed: int
    real_seen: int
    real_kept: int
    at: datetime
    notes: tuple[str, ...] = ()
    expected_seen: int = 0
    expected_removed: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a person did with a proposal."""

    state: ProposalState
    who: str
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Proposal:
    """A concrete change of one target, with the marks it follows from (`evidence`, alert ids).

    `before` is what the changed field was when it was applied (None: not set), and `acceptance_ids` what was accepted:
    with them it can be taken back. One that is `aside` is not offered while another that is about the same alerts is
    applied: kept for what a back-test has made of it.
    """

    id: str
    target_name: str
    change: Change
    why: str
    evidence: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    state: ProposalState = ProposalState.OPEN
    difference: Difference | None = None
    before: float | None = None
    acceptance_ids: tuple[str, ...] = ()
    history: tuple[Step, ...] = ()
    aside: bool = False

    @property
    def words(self) -> str:
        """The change in one phrase."""
        return words_of(self.change)


FIELDS: Mapping[ProposalKind, str] = {
    ProposalKind.FLOOR: "min_effect",
    ProposalKind.RATIO: "min_effect_ratio",
    ProposalKind.THRESHOLD: "sigma_threshold",
}
"""The field of a target that a change of this kind sets."""


def words_of(change: Change) -> str:
    """A change in one phrase."""
    field = FIELDS.get(change.kind)
    if field is not None:
        return f"{field} = {change.number:.12g}"
    if change.kind is ProposalKind.EXCLUDE:
        return f"no alerts of series with {change.labels}"
    if change.kind is ProposalKind.HOURS:
        whose = f" of series with {change.labels}" if change.labels else ""
        return f"from {change.slot} an alert{whose} begins at {change.number:g} sigma"
    return f"accept the level of {change.labels}"
