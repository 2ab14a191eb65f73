"""What people say afterwards: kept in the store, told to the watches, shown beside the alerts."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from tocsin.domain.alert import Alert, Reason
from tocsin.domain.anomaly import Anomaly
from tocsin.domain.errors import Conflict, Invalid, NotFound
from tocsin.domain.evaluation import instant
from tocsin.domain.events import Event
from tocsin.domain.feedback import (
    MAX_ACCEPTANCES,
    MAX_WINDOWS,
    REMEMBERED,
    Acceptance,
    AcceptanceKind,
    Mark,
    Marked,
    MarkedAlert,
    MarkedWindow,
    Recurring,
    Remarks,
    Slot,
    Verdict,
    Verdicted,
)
from tocsin.domain.labels import Labels
from tocsin.domain.ports import Clock, Store
from tocsin.domain.recurring import REACH
from tocsin.monitor.accepting import (
    EXPIRES_AFTER,
    lasting,
    level_in_force,
    meant,
    new_acceptance,
    recurring_accepted,
    renewed,
)
from tocsin.monitor.bands import ChangedBands, Said, changed_bands
from tocsin.monitor.commit import Committer
from tocsin.monitor.gates import Gates
from tocsin.monitor.marked import rows_with
from tocsin.monitor.recurrence import Found, Recurrence
from tocsin.monitor.watch import Watch
from tocsin.whole import whole

WEIGHED = timedelta(days=90)
"""Verdicts on older alerts have faded out of the thresholds."""


@dataclass(frozen=True, slots=True)
class Marking:
    """A window that was marked or forgotten, and what that changes."""

    window: MarkedWindow
    bands: ChangedBands


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was accepted, and the alerts that ended by it."""

    acceptances: Sequence[Acceptance]
    ended: Sequence[str]


class Feedback:
    """Verdicts, marked windows and acceptances; `watches` and `gates` are the monitor's own. `paused` gives a watch
    that nobody evaluates meanwhile.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        gates: Gates,
        watches: Mapping[str, Watch],
        committer: Committer,
        paused: Callable[[str], AbstractAsyncContextManager[Watch]],
    ) -> None:
        self._store, self._clock, self._gates, self._watches = store, clock, gates, watches
        self._committer, self._paused = committer, paused
        self._recurrence = Recurrence(store, clock)
        self._windows: tuple[MarkedWindow, ...] = ()
        self._acceptances: tuple[Acceptance, ...] = ()
        self._verdicts: dict[str, tuple[Verdicted, ...]] = {}
        self._events: tuple[Event, ...] = ()
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Read what was said so far; raises `StoreError`."""
        self._windows = tuple(await self._store.windows())
        self._acceptances = tuple(await self._store.acceptances())
        for one in await self._store.marks(None, self._clock.now() - WEIGHED):
            self._verdicts.setdefault(one.alert.target_name, ())
        for name in self._verdicts:
            await self._weigh(name)

    async def _weigh(self, target_name: str) -> None:
        """Take the verdicts on a target's alerts to its thresholds."""
        known = await self._store.marks(target_name, self._clock.now() - WEIGHED)
        self._verdicts[target_name] = tuple(filter(None, map(Verdicted.of, known)))
        self._tell()

    def marked(self, target_name: str) -> Marked:
        """What was said that concerns a target's memory."""
        mine = [one for one in self._acceptances if one.target_name == target_name]
        return Marked(
            tuple(one for one in self._windows if one.of_target(target_name)),
            tuple(one for one in mine if one.kind is AcceptanceKind.LEVEL and one.ended_at is None),
            tuple(one for one in mine if one.kind in (AcceptanceKind.HOURS, AcceptanceKind.EXCLUDED)),
            self._verdicts.get(target_name, ()),
            # Shared by all targets: they are many, and each looks at few of them.
            self._events,
        )

    def know(self, events: tuple[Event, ...]) -> None:
        """Take events, the newest first, to what is judged from now on."""
        self._events = events
        self._tell()

    def _tell(self) -> None:
        for name, watch in self._watches.items():
            marked = self.marked(name)
            if marked != watch.marked:
                watch.marked = marked

    # verdicts

    async def mark(self, alert_id: str, verdict: Verdict, who: str, note: str) -> Mark:
        """Keep a verdict on an alert; raises `NotFound`, `StoreError`."""
        mark = Mark(alert_id, verdict, who, note, self._clock.now())
        await self._store.mark(mark)
        await self._weigh((await self._store.alert(alert_id)).alert.target_name)
        return mark

    async def unmark(self, alert_id: str) -> bool:
        """Take it back; False when there was none. Raises `NotFound` for an unknown alert, `StoreError`."""
        name = (await self._store.alert(alert_id)).alert.target_name
        gone = await self._store.unmark(alert_id)
        await self._weigh(name)
        return gone

    async def verdicts(self, target_name: str, since: datetime) -> Mapping[str, MarkedAlert]:
        """The verdicts on alerts of a target that were active since an instant, by alert: what is real and what is
        not, with the series and when. Raises `StoreError`.
        """
        return {one.alert.id: one for one in await self._store.marks(target_name, since)}

    # windows

    def windows(self, target_name: str | None = None) -> Sequence[MarkedWindow]:
        """Marked windows, the newest first: all, those that concern a target, or those that name one that was deleted.
        Raises `NotFound` for a target that is none and that no window names.
        """
        if target_name is None or target_name in self._watches:
            return [one for one in self._windows if target_name is None or one.of_target(target_name)]
        found = [one for one in self._windows if one.target_name == target_name]
        if not found:
            raise NotFound(f"there is no target named {target_name!r}, and no marked window of one")
        return found

    async def mark_window(self, window: MarkedWindow) -> Marking:
        """Keep a window (its id and `created_at` are given here); nothing is learnt from it any more. Raises `Invalid`,
        `Conflict` (too many, or the same is marked already), `StoreError`.
        """
        made = replace(window, id=f"window:{uuid4().hex[:16]}", created_at=self._clock.now()).validated()
        if made.target_name is not None and made.target_name not in self._watches:
            raise Invalid("target", f"there is no target named {made.target_name!r}")
        async with self._changing:
            known = next((one for one in self._windows if one.same(made)), None)
            if known is not None:
                raise Conflict(f"the same window is marked already: {known.id!r}")
            if len(self._windows) >= MAX_WINDOWS:
                raise Conflict(f"there are {MAX_WINDOWS} marked windows already, which is the limit")
            await self._store.save_window(made)
            changes = await self._said(made)
        return Marking(made, await self._bands(made, changes))

    async def forget_window(self, window_id: str) -> Marking:
        """Learn from it again; raises `NotFound`, `StoreError`."""
        async with self._changing:
            found = next((one for one in self._windows if one.id == window_id), None)
            if found is None:
                raise NotFound(f"there is no marked window {window_id!r}")
            await self._store.delete_window(window_id)
            changes = await self._said(found)
        return Marking(found, await self._bands(found, changes))

    async def _said(self, window: MarkedWindow) -> Sequence[Said]:
        """Take the windows of the store to the watches; what that changes for those that a window is about."""
        before = {name: self.marked(name) for name in sorted(self._watches) if window.of_target(name)}
        self._windows = tuple(await self._store.windows())
        self._tell()
        return [
            Said(self._watches[name], known, self.marked(name))
            for name, known in before.items()
            if name in self._watches
        ]

    async def _bands(self, window: MarkedWindow, changes: Sequence[Said]) -> ChangedBands:
        bands = await changed_bands(changes, self._gates)
        known = [labels for one in changes for labels in one.watch.memory.labels]
        if not window.labels or rows_with(window.labels, known).any():
            return bands
        note = f"no series that is known now carries {window.labels}: it concerns none until one comes that does"
        return replace(bands, notes=(note, *bands.notes))

    # what is accepted

    def acceptances(self, target_name: str | None = None) -> Sequence[Acceptance]:
        """What was accepted, also what is over, the newest first; raises `NotFound` for a target that is none and of
        which nothing was accepted.
        """
        found = [one for one in self._acceptances if target_name in (None, one.target_name)]
        if target_name is not None and target_name not in self._watches and not found:
            raise NotFound(f"there is no target named {target_name!r}, and nothing was accepted of one")
        return found

    @whole
    async def accept_level(self, name: str, labels: Labels, since: datetime | None, *, who: str, note: str) -> Accepted:
        """The series that carry `labels` are normal as they are `since` then, or since their active alerts began; those
        alerts end. Raises `NotFound`, `Invalid`, `Conflict`, `StoreError`.
        """
        async with self._paused(name) as watch:
            if watch.cursor is None or not watch.memory.labels:
                never = "was not evaluated yet" if watch.cursor is None else "has no series"
                why = never if watch.target.enabled else "is disabled"
                raise Conflict(f"target {name!r} {why}: there is no level to accept")
            if not rows_with(labels, watch.memory.labels).any():
                raise Invalid("labels", f"no series of target {name!r} carries {labels}")
            at = instant(watch.cursor)
            if since is not None and since > at:
                raise Invalid("at", f"must not be later than the newest judged sample, {at.isoformat()}")
            if since is not None and since < at - REMEMBERED:
                raise Invalid("at", f"must not be more than {REMEMBERED.days} days ago: nothing reaches back that far")
            same = level_in_force(self._acceptances, name, labels, since, self._clock.now())
            if same is not None:
                raise Conflict(f"the same level is accepted already: {same.id!r}")
            alerts = [one for one in watch.active.values() if labels.items() <= one.labels.items()]
            if since is None and not alerts:
                raise Conflict(
                    "no alert of it is active: say since when its level is normal, by `at` (`--at` on the command line)"
                )
            levels = [(labels, since)] if since is not None else [(one.labels, one.active_at) for one in alerts]
            made = [
                new_acceptance(
                    AcceptanceKind.LEVEL, name, series, at=at, who=who, note=note, expires_at=at + REMEMBERED
                )
                for series, _ in levels
            ]
            made = [replace(one, since=begun) for one, (_, begun) in zip(made, levels, strict=True)]
            await self._keep(made)
            await self._committer.end(alerts, Reason.ACCEPTED, name, self._clock.now())
            for alert in alerts:
                watch.active.pop(alert.fingerprint, None)
        return Accepted(made, [one.id for one in alerts])

    @whole
    async def accept_recurring(
        self, name: str, labels: Labels, around: int, *, who: str, note: str, expires_after: timedelta | None = None
    ) -> Accepted:
        """Alerts of the series that carry `labels` and recur around a minute of the day (`NEAR`) are expected from now
        on, up to `MARGIN` times the deviations seen; what was accepted of the same before is over by it. Raises
        `NotFound` that says what recurs, `Invalid`, `Conflict`, `StoreError`.
        """
        found = meant(name, await self.recurring(name), labels, around)
        lasts = lasting(expires_after)
        async with self._changing:
            now = self._clock.now()
            made = [recurring_accepted(one, at=now, who=who, note=note, expires_at=now + lasts) for one in found]
            over = [replace(one, ended_at=now, ended_by=who) for one in renewed(found, self._acceptances, now)]
            await self._save([*over, *made])
        return Accepted(made, [])

    async def exempt(
        self, name: str, labels: Labels, *, slot: Slot | None, sigma: float, who: str, note: str
    ) -> Acceptance:
        """From now on alerts of the series that carry `labels` begin at `sigma` in a slot, or, without a slot, not at
        all. Raises `Conflict`, `StoreError`.
        """
        now = self._clock.now()
        kind = AcceptanceKind.EXCLUDED if slot is None else AcceptanceKind.HOURS
        made = new_acceptance(kind, name, labels, at=now, who=who, note=note, expires_at=now + EXPIRES_AFTER)
        made = replace(made, slot=slot, sigma=sigma)
        await self._keep([made])
        return made

    async def end_acceptance(self, acceptance_id: str, who: str) -> Acceptance:
        """Take it back from now on; it stays in the history. Raises `NotFound`, `Conflict`, `StoreError`."""
        found = next((one for one in self._acceptances if one.id == acceptance_id), None)
        if found is None:
            raise NotFound(f"there is no acceptance {acceptance_id!r}")
        if found.ended_at is not None:
            raise Conflict(f"{acceptance_id!r} was taken back already, at {found.ended_at.isoformat()}")
        over = replace(found, ended_at=self._clock.now(), ended_by=who)
        await self._keep([over])
        return over

    async def target_gone(self, name: str) -> None:
        """What was accepted for a target that is deleted is over: another may come by that name."""
        mine = [one for one in self._acceptances if one.target_name == name and one.ended_at is None]
        await self._keep([replace(one, ended_at=self._clock.now(), ended_by="the target was deleted") for one in mine])

    async def _keep(self, acceptances: Sequence[Acceptance]) -> None:
        async with self._changing:
            await self._save(acceptances)

    async def _save(self, acceptances: Sequence[Acceptance]) -> None:
        """Keep them, all or none; whoever calls holds `_changing`."""
        known = {one.id for one in self._acceptances}
        added = sum(one.id not in known for one in acceptances)
        if added and len(known) + added > MAX_ACCEPTANCES:
            raise Conflict(f"there are {len(known)} acceptances already, and {MAX_ACCEPTANCES} are the limit")
        try:
            await self._store.save_acceptances(acceptances)
        finally:
            self._acceptances = tuple(await self._store.acceptances())
            self._tell()

    # what is shown

    async def recurring(self, name: str) -> Sequence[Recurring]:
        """What recurs of a target by the clock; raises `NotFound`, `StoreError`."""
        if name not in self._watches:
            raise NotFound(f"there is no target named {name!r}")
        found = await self._recurrence.now(self._timezones())
        return [slot for (target, _), slots in found.items() if target == name for slot in slots]

    async def recurring_among(self, anomalies: Sequence[Anomaly]) -> Mapping[str, Recurring]:
        """Those of some anomalies that come by the clock, by id; raises `StoreError`."""
        known = await self._recurrence.now(self._timezones()) if anomalies else {}
        found = {
            one.id: _at(known.get((one.target_name, one.labels.fingerprint), ()), one.timestamp) for one in anomalies
        }
        return {name: one for name, one in found.items() if one is not None}

    def expected_by(self, alert: Alert) -> Acceptance | None:
        """The acceptance that says that this alert was to come as it came; who tells people stays silent then."""
        return next((one for one in self._acceptances if one.expects(alert)), None)

    async def remarks(self, alerts: Sequence[Alert]) -> Mapping[str, Remarks]:
        """What is to be said of alerts beside themselves, by id; raises `StoreError`."""
        if not alerts:
            return {}
        recurring, now = await self._recurrence.now(self._timezones()), self._clock.now()
        return {one.id: self._remarks_on(one, recurring, now) for one in alerts}

    def _remarks_on(self, alert: Alert, recurring: Found, now: datetime) -> Remarks:
        slots = recurring.get((alert.target_name, alert.fingerprint), ())
        began = alert.starts_at or alert.active_at
        return Remarks(
            in_window=next((one for one in self._windows if one.touches(alert, now)), None),
            recurring=_at(slots, began),
            expected_by=self.expected_by(alert),
        )

    def _timezones(self) -> Mapping[str, str]:
        return {name: watch.target.timezone for name, watch in self._watches.items()}


def _at(slots: Sequence[Recurring], at: datetime) -> Recurring | None:
    return next((one for one in slots if Slot.around(one.around, REACH, one.timezone).contains(at)), None)
