"""Proposals in JSON."""

from datetime import datetime

from tocsin.api.models_common import AnswerModel, ListAnswer
from tocsin.api.models_feedback import SlotAnswer, slot_answer
from tocsin.domain.proposal import FIELDS, Difference, Proposal, ProposalKind, ProposalState


class ChangeAnswer(AnswerModel):
    """What would be different: `field` of the target becomes `value`; alerts of series with `labels` in `slot` begin at
    `sigma`; series with `labels` alert no more; the level of the series `labels` is accepted.
    """

    kind: ProposalKind
    field: str | None
    value: float | None
    labels: dict[str, str] | None
    slot: SlotAnswer | None
    sigma: float | None


class ComparedAnswer(AnswerModel):
    """What a back-test says: alerts without and with the change; of the verdicts on alerts that it finds again without
    it (`…_seen`) those false and those expected that are gone, and those real that are still there.
    """

    start: datetime
    end: datetime
    alerts_before: int
    alerts_after: int
    false_seen: int
    false_removed: int
    expected_seen: int
    expected_removed: int
    real_seen: int
    real_kept: int
    at: datetime
    notes: list[str]


class StepAnswer(AnswerModel):
    """What a person did with it."""

    state: ProposalState
    who: str
    note: str
    at: datetime


class ProposalAnswer(AnswerModel):
    """A concrete change of one target; `evidence` are the ids of the alerts whose verdicts it follows from.
    `difference` is null until it was asked for.
    """

    id: str
    target: str
    state: ProposalState
    summary: str
    why: str
    change: ChangeAnswer
    evidence: list[str]
    difference: ComparedAnswer | None
    created_at: datetime
    updated_at: datetime
    before: float | None
    acceptances: list[str]
    history: list[StepAnswer]


class ProposalList(ListAnswer[ProposalAnswer]):
    """Proposals, those that changed last first."""


def proposal_answer(one: Proposal) -> ProposalAnswer:
    """A proposal."""
    return ProposalAnswer(
        id=one.id,
        target=one.target_name,
        state=one.state,
        summary=one.words,
        why=one.why,
        change=_change(one),
        evidence=list(one.evidence),
        difference=None if one.difference is None else _difference(one.difference),
        created_at=one.created_at,
        updated_at=one.updated_at,
        before=one.before,
        acceptances=list(one.acceptance_ids),
        history=[StepAnswer(state=step.state, who=step.who, note=step.note, at=step.at) for step in one.history],
    )


def _change(one: Proposal) -> ChangeAnswer:
    change = one.change
    return ChangeAnswer(
        kind=change.kind,
        field=FIELDS.get(change.kind),
        value=change.number if change.kind in FIELDS else None,
        labels=None if change.labels is None else dict(change.labels),
        slot=None if change.slot is None else slot_answer(change.slot),
        sigma=change.number if change.kind is ProposalKind.HOURS else None,
    )


def _difference(one: Difference) -> ComparedAnswer:
    return ComparedAnswer(
        start=one.start,
        end=one.end,
        alerts_before=one.alerts_before,
        alerts_after=one.alerts_after,
        false_seen=one.false_seen,
        false_removed=one.false_removed,
        expected_seen=one.expected_seen,
        expected_removed=one.expected_removed,
        real_seen=one.real_seen,
        real_kept=one.real_kept,
        at=one.at,
        notes=list(one.notes),
    )
