"""Proposals: made of verdicts, compared by a back-test, applied and taken back by people only."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tocsin.domain.alert import Alert
from tocsin.domain.errors import Conflict, NotFound, TocsinError
from tocsin.domain.feedback import Acceptance, AcceptanceKind, Mark, Marked, MarkedAlert, Verdict, WindowKind
from tocsin.domain.labels import Labels
from tocsin.domain.ports import Clock, Store
from tocsin.domain.proposal import FIELDS, Change, Proposal, ProposalKind, ProposalState, Step
from tocsin.domain.propose import LASTING, hides, highest_threshold, propose, raised, renewed, with_field
from tocsin.domain.target import Owner, Target
from tocsin.domain.words import many
from tocsin.monitor.backtest import Asked
from tocsin.monitor.condition import span_in_words
from tocsin.monitor.feedback import Feedback
from tocsin.monitor.gates import Gates
from tocsin.monitor.inquiry import MAX_COLUMNS, Inquiry
from tocsin.monitor.marked import marked_times
from tocsin.monitor.status import Question, TargetView
from tocsin.monitor.watch import Watch
from tocsin.monitor.weighing import Tried, Weighing, greater
from tocsin.whole import whole

SPAN = timedelta(days=30)
"""Verdicts on alerts of that long ago lead to proposals."""

COMPARED_OVER = timedelta(days=14)
"""What a back-test of a proposal covers, where that is no more than it may (``MAX_COLUMNS``)."""

MAX_PROPOSALS = 1000
"""Kept in all; the oldest that were dismissed or reverted go first."""


@dataclass(frozen=True, slots=True)
class Deed:
    """Who does something with a proposal, and why."""

    who: str
    note: str = ""


class Proposals:
    """`update` changes a target as a person would; `watches` and `gates` are the monitor's own."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        gates: Gates,
        watches: Mapping[str, Watch],
        feedback: Feedback,
        inquiry: Inquiry,
        update: Callable[[Target, int | None], Awaitable[TargetView]],
    ) -> None:
        self._store, self._clock, self._gates, self._watches = store, clock, gates, watches
        self._feedback, self._inquiry, self._update = feedback, inquiry, update
        self._changing = asyncio.Lock()

    # verdicts, and what follows from them

    async def mark(self, alert_id: str, verdict: Verdict, who: str, note: str) -> Mark:
        """Keep a verdict, and propose what follows; raises `NotFound`, `StoreError`."""
        mark = await self._feedback.mark(alert_id, verdict, who, note)
        await self._refresh((await self._store.alert(alert_id)).alert.target_name)
        return mark

    async def unmark(self, alert_id: str) -> bool:
        """Take a verdict back, and what followed from it; raises `NotFound`, `StoreError`."""
        gone = await self._feedback.unmark(alert_id)
        await self._refresh((await self._store.alert(alert_id)).alert.target_name)
        return gone

    async def target_gone(self, name: str) -> None:
        """Nothing of it is to be changed any more; what was done stays in history. Raises `StoreError`."""
        async with self._changing:
            mine = [one for one in await self._store.proposals() if one.target_name == name]
            await self._store.save_proposals([], [one.id for one in mine if one.state is ProposalState.OPEN])

    async def _refresh(self, name: str) -> None:
        watch = self._watches.get(name)
        if watch is None:
            return
        async with self._changing:
            now = self._clock.now()
            all_of_them = await self._store.proposals()
            mine = {one.id: one for one in all_of_them if one.target_name == name}
            marks = await self._store.marks(name, now - SPAN)
            # What was done about an alert is done: it leads to no further change, unless it was real.
            applied = [one for one in mine.values() if one.state is ProposalState.APPLIED]
            settled = {alert_id for one in applied for alert_id in one.evidence}
            marked = [one for one in marks if one.alert.id not in settled or one.mark.verdict is Verdict.REAL]
            made = {one.id: one for one in propose(watch.target, marked, now)}
            could = {one.id: one for one in propose(watch.target, marks, now)}
            reals = _reals(marks)

            def lost(change: Change) -> bool:
                return any(hides(watch.target, change, one) for one in reals)

            after = {one.id: renewed(one, made, could, lost) for one in mine.values()}
            keep = [one for one in after.values() if one is not None and one != mine[one.id]]
            keep += [one for one in made.values() if one.id not in mine]
            drop = [name for name, one in after.items() if one is None]
            drop += self._too_many(all_of_them, len(made.keys() - mine.keys()) - len(drop))
            await self._store.save_proposals(keep, drop)

    @staticmethod
    def _too_many(proposals: Sequence[Proposal], more: int) -> list[str]:
        excess = len(proposals) + more - MAX_PROPOSALS
        closed = [
            one.id for one in reversed(proposals) if one.state in (ProposalState.DISMISSED, ProposalState.REVERTED)
        ]
        return closed[: max(0, excess)]

    # what people see and do

    async def proposals(self, target_name: str | None = None) -> Sequence[Proposal]:
        """All proposals, those that changed last first; raises `NotFound` for a target that is none and that no
        proposal names, `StoreError`.
        """
        known = [one for one in await self._store.proposals() if not one.aside]
        found = [one for one in known if target_name in (None, one.target_name)]
        if target_name is not None and target_name not in self._watches and not found:
            raise NotFound(f"there is no target named {target_name!r}, and no proposal about one")
        return found

    async def proposal(self, proposal_id: str) -> Proposal:
        """One of them; raises `NotFound`, `StoreError`."""
        for one in await self._store.proposals():
            if one.id == proposal_id and not one.aside:
                return one
        raise NotFound(
            f"there is no proposal {proposal_id!r}: one goes when another that is about the same alerts is applied, or "
            "when the verdicts it was made of are taken back, or with its target"
        )

    async def compared(self, proposal_id: str) -> Proposal:
        """The proposal with what a back-test says of it now, which is kept. One that changes nothing is raised until it
        does, or no longer offered. Raises `NotFound`, `Conflict` (applied: the target has the change, and what was said
        before stays), `SourceError`, `StoreError`.
        """
        proposal = await self.proposal(proposal_id)
        if proposal.state is ProposalState.APPLIED:
            raise Conflict(f"proposal {proposal_id!r} is applied: what a back-test said of it before stays as it is")
        found = await self._tried(proposal)
        async with self._changing:
            known = replace(await self.proposal(proposal_id), difference=found.difference)
            if known.state is ProposalState.OPEN and known.change == proposal.change:
                known = self._judged(known, found)
            await self._store.save_proposals([known])
        return known

    @whole
    async def apply(self, proposal_id: str, deed: Deed) -> Proposal:
        """Make the change, also one that was taken back; raises `NotFound`, `Conflict` (applied already, dismissed,
        owned by a file, changed meanwhile, or it would keep away an alert that is marked real by now), `Invalid`,
        `StoreError`.
        """
        async with self._changing:
            proposal = await self._in(proposal_id, ProposalState.OPEN, ProposalState.REVERTED)
            target = self._target(proposal)
            change = proposal.change
            await self._keeps_the_real(target, change)
            if change.kind not in FIELDS:
                ids = await self._accept(proposal, deed)
                applied = replace(self._moved(proposal, ProposalState.APPLIED, deed), acceptance_ids=ids)
                await self._store.save_proposals([applied])
            else:
                changed = with_field(target, change.kind, change.number)
                before: float | None = getattr(target, FIELDS[change.kind])
                applied = replace(self._moved(proposal, ProposalState.APPLIED, deed), before=before)
                # First the word, then the deed: where the process dies in between, `revert` finds nothing to undo.
                await self._store.save_proposals([applied])
                try:
                    await self._update(changed, target.version)
                except TocsinError:
                    await self._store.save_proposals([proposal])
                    raise
        await self._refresh(proposal.target_name)
        return applied

    @whole
    async def revert(self, proposal_id: str, deed: Deed) -> Proposal:
        """Take the change back; of a target that is deleted nothing is left to change. Raises `NotFound`, `Conflict`
        (not applied, changed by others since), `StoreError`.
        """
        async with self._changing:
            proposal = await self._in(proposal_id, ProposalState.APPLIED)
            field = FIELDS.get(proposal.change.kind)
            if field is not None and proposal.target_name in self._watches:
                target = self._target(proposal)
                value = getattr(target, field)
                if value not in (proposal.change.number, proposal.before):
                    raise Conflict(f"{field} of target {target.name!r} is {value} by now: somebody changed it since")
                await self._update(with_field(target, proposal.change.kind, proposal.before), target.version)
            for one in self._feedback.acceptances():
                if one.id in proposal.acceptance_ids and one.ended_at is None:
                    await self._feedback.end_acceptance(one.id, deed.who)
            reverted = self._moved(proposal, ProposalState.REVERTED, deed)
            await self._store.save_proposals([reverted])
        await self._refresh(proposal.target_name)
        return reverted

    async def dismiss(self, proposal_id: str, deed: Deed) -> Proposal:
        """It is not made again; raises `NotFound`, `Conflict` (not open), `StoreError`."""
        async with self._changing:
            proposal = await self._in(proposal_id, ProposalState.OPEN)
            dismissed = self._moved(proposal, ProposalState.DISMISSED, deed)
            await self._store.save_proposals([dismissed])
            return dismissed

    # inside

    async def _in(self, proposal_id: str, *states: ProposalState) -> Proposal:
        proposal = await self.proposal(proposal_id)
        if proposal.state not in states:
            wanted = " or ".join(state for state in ProposalState if state in states)
            raise Conflict(f"proposal {proposal_id!r} is {proposal.state}, not {wanted}")
        return proposal

    def _target(self, proposal: Proposal) -> Target:
        watch = self._watches.get(proposal.target_name)
        if watch is None:
            raise NotFound(f"there is no target named {proposal.target_name!r} any more")
        made = watch.target.created_at
        if watch.target.owner is not Owner.FILE and made is not None and proposal.created_at < made:
            raise Conflict(
                f"it is about a target named {proposal.target_name!r} that was deleted before this one was made"
            )
        field = FIELDS.get(proposal.change.kind)
        if field is not None and watch.target.owner is Owner.FILE:
            raise Conflict(
                f"target {proposal.target_name!r} belongs to the configuration file: write there\n"
                f"targets:\n  - name: {proposal.target_name}\n    {field}: {proposal.change.number:g}"
            )
        return watch.target

    async def _keeps_the_real(self, target: Target, change: Change) -> None:
        """Raise `Conflict` where a change would keep away an alert that is marked real."""
        marks = await self._store.marks(target.name, self._clock.now() - SPAN)
        lost = [one.id for one in _reals(marks) if hides(target, change, one)]
        if lost:
            raise Conflict(
                f"it would keep away {many(len(lost), 'alert')} marked real, such as {lost[0]}: take that verdict back "
                "first, or leave the change"
            )

    def _moved(self, proposal: Proposal, state: ProposalState, deed: Deed) -> Proposal:
        now = self._clock.now()
        step = Step(state, deed.who, deed.note, now)
        return replace(proposal, state=state, updated_at=now, history=(*proposal.history, step))

    async def _accept(self, proposal: Proposal, deed: Deed) -> tuple[str, ...]:
        change, name = proposal.change, proposal.target_name
        labels, note = change.labels or Labels(), deed.note or proposal.why
        if change.kind is ProposalKind.LEVEL:
            accepted = await self._feedback.accept_level(name, labels, None, who=deed.who, note=note)
            return tuple(one.id for one in accepted.acceptances)
        exempt = await self._feedback.exempt(
            name, labels, slot=change.slot, sigma=change.number, who=deed.who, note=note
        )
        return (exempt.id,)

    async def _since(self, proposal: Proposal, start: datetime) -> datetime:
        """Since when the change would have been in force: a level from the beginning of the alert that is about it."""
        if proposal.change.kind is not ProposalKind.LEVEL:
            return start
        begun = [(await self._store.alert(one)).alert.active_at for one in proposal.evidence]
        return max(start, min(begun, default=start))

    def _judged(self, proposal: Proposal, found: Tried) -> Proposal:
        """An open proposal after its comparison: as it is, raised, or no longer offered."""
        if found.change != proposal.change:
            return raised(proposal, found.change)
        if found.seen and not found.effective:
            over = span_in_words(found.difference.end - found.difference.start)
            note = f"no longer offered: with it what was marked comes as before in {over}"
            return self._moved(proposal, ProposalState.DISMISSED, Deed("tocsin", note))
        return proposal

    async def _tried(self, proposal: Proposal) -> Tried:
        """What a back-test says of a change. Where that keeps nothing away though the alerts that it is about are found
        again, greater numbers are tried; none counts that keeps away what was marked real.
        """
        target = self._target(replace(proposal, change=Change(ProposalKind.LEVEL)))
        gate = self._gates.of(target)
        end = self._clock.now() - target.offset
        start = end - _compared_over(target)
        known = self._feedback.marked(target.name)
        since = await self._since(proposal, start)
        question = Question(incidents=marked_times(known, WindowKind.INCIDENT, start, end))
        before = await self._inquiry.backtest([Asked(target, gate, known)], start, end, question)
        verdicts = [one for one in await self._store.marks(target.name, start) if one.alert.starts_at is not None]
        weighing = Weighing(proposal, before, verdicts, since, self._clock.now())
        tried: list[Tried] = []
        for change in greater(proposal.change, highest_threshold(target)):
            other, marked = _changed(target, known, change, since)
            after = await self._inquiry.backtest([Asked(other, gate, marked)], start, end, question)
            tried.append(weighing.of(change, after))
            if tried[-1].effective or not tried[-1].seen or proposal.state is not ProposalState.OPEN:
                break
        # A greater one must not cost an alert that was real.
        real = _reals(await self._store.marks(target.name, self._clock.now() - SPAN))
        kept = tried[-1].keeps_the_real and not any(hides(target, tried[-1].change, one) for one in real)
        best = tried[-1] if tried[-1].effective and kept else tried[0]
        if end - start == COMPARED_OVER:
            return best
        note = f"compared over {span_in_words(end - start)}: a back-test has at most {MAX_COLUMNS:,} steps"
        return replace(best, difference=replace(best.difference, notes=(*best.difference.notes, note)))


def _compared_over(target: Target) -> timedelta:
    return min(COMPARED_OVER, (MAX_COLUMNS - 1) * target.step)


def _reals(marks: Sequence[MarkedAlert]) -> Sequence[Alert]:
    return [one.alert for one in marks if one.mark.verdict is Verdict.REAL]


def _changed(target: Target, known: Marked, change: Change, since: datetime) -> tuple[Target, Marked]:
    """Target and words with a change, as if it had been in force since then; a level is accepted when it has lasted as
    long as it has to before it is proposed.
    """
    if change.kind in FIELDS:
        return with_field(target, change.kind, change.number), known
    trial = Acceptance(
        "trial",
        _ACCEPTED_AS[change.kind],
        target.name,
        change.labels or Labels(),
        at=since,
        who="",
        note="",
        slot=change.slot,
        sigma=change.number,
    )
    if change.kind is ProposalKind.LEVEL:
        return target, replace(known, levels=(*known.levels, replace(trial, at=since + LASTING, since=since)))
    return target, replace(known, exempt=(*known.exempt, trial))


_ACCEPTED_AS = {
    ProposalKind.HOURS: AcceptanceKind.HOURS,
    ProposalKind.EXCLUDE: AcceptanceKind.EXCLUDED,
    ProposalKind.LEVEL: AcceptanceKind.LEVEL,
}
