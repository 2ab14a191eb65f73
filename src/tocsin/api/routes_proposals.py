"""Changes that follow from verdicts: list, compare, apply, take back, dismiss."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from tocsin.api.models_common import Word
from tocsin.api.models_feedback import WhoRequest
from tocsin.api.models_proposal import ProposalAnswer, ProposalList, proposal_answer
from tocsin.api.paging import PageQuery, next_path, part_of
from tocsin.api.routing import ProposalId, Through, problems
from tocsin.domain.proposal import ProposalState
from tocsin.monitor.proposals import Deed

router = APIRouter(prefix="/monitoring/proposals", tags=["feedback"])


class ProposalQuery(PageQuery):
    """Which proposals."""

    target: Word | None = None
    state: ProposalState | None = None


@router.get("", summary="Proposals")
async def list_proposals(request: Request, query: Annotated[ProposalQuery, Query()], doors: Through) -> ProposalList:
    """Changes that follow from verdicts, those that changed last first. Only a person applies one. A target of which
    nothing is known is 404.
    """
    found = await doors.services.monitor.proposals.proposals(query.target)
    found = [one for one in found if query.state in (None, one.state)]
    return ProposalList(
        items=[proposal_answer(one) for one in part_of(found, query.page)],
        total=len(found),
        next=next_path(request, query.page, len(found)),
    )


@router.get("/{proposal_id}", summary="Read a proposal")
async def read_proposal(proposal_id: ProposalId, doors: Through) -> ProposalAnswer:
    """With what was done with it, by whom."""
    return proposal_answer(await doors.services.monitor.proposals.proposal(proposal_id))


@router.post("/{proposal_id}/compare", summary="Back-test a proposal", responses=problems(409, 502, 504))
async def compare_proposal(proposal_id: ProposalId, doors: Through) -> ProposalAnswer:
    """Back-tests the last fourteen days without the change and with it. The difference is kept with the proposal.
    An applied one keeps what was said before: 409.
    """
    return proposal_answer(await doors.services.monitor.proposals.compared(proposal_id))


@router.post("/{proposal_id}/apply", summary="Apply a proposal", responses=problems(409))
async def apply_proposal(proposal_id: ProposalId, doors: Through, body: WhoRequest | None = None) -> ProposalAnswer:
    """Make the change. The fields of a target of the configuration file are changed there: 409 says what to write.
    Refused with 409 too where it would keep away an alert that is marked real.
    """
    return proposal_answer(await doors.services.monitor.proposals.apply(proposal_id, _deed(body)))


@router.post("/{proposal_id}/revert", summary="Take a proposal back", responses=problems(409))
async def revert_proposal(proposal_id: ProposalId, doors: Through, body: WhoRequest | None = None) -> ProposalAnswer:
    """As it was before it was applied; refused with 409 where somebody has changed it since."""
    return proposal_answer(await doors.services.monitor.proposals.revert(proposal_id, _deed(body)))


@router.post("/{proposal_id}/dismiss", summary="Dismiss a proposal", responses=problems(409))
async def dismiss_proposal(proposal_id: ProposalId, doors: Through, body: WhoRequest | None = None) -> ProposalAnswer:
    """It is not made again, and stays in the list."""
    return proposal_answer(await doors.services.monitor.proposals.dismiss(proposal_id, _deed(body)))


def _deed(body: WhoRequest | None) -> Deed:
    words = body or WhoRequest()
    return Deed(words.who, words.note)
