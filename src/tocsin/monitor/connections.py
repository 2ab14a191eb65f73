"""Connections that bring datasources: the one alert about each, in the place of one for each datasource."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

from tocsin.domain.alert import Reason
from tocsin.domain.connection import Connection
from tocsin.domain.errors import SourceError, same_words
from tocsin.domain.ports import Clock
from tocsin.domain.source_alert import SourceWords, datasource_alert, words_again, words_behind
from tocsin.domain.words import many
from tocsin.monitor.commit import Committer
from tocsin.monitor.connected import Connected
from tocsin.monitor.gate import Gate
from tocsin.monitor.gates import Gates
from tocsin.monitor.telling import News, Telling
from tocsin.monitor.watch import Watch
from tocsin.whole import to_the_end

LOOK_EVERY = timedelta(seconds=2)
ANSWERS_WITHIN = timedelta(seconds=5)
"""A connection that is to be told as failing has so long to answer once more before."""

MAX_NAMED = 5
"""Datasources, and targets, that an alert about a connection names."""


class Connections:
    """Looks after those of `gates`; `watches` are the monitor's own."""

    def __init__(self, clock: Clock, committer: Committer, gates: Gates, watches: Mapping[str, Watch]) -> None:
        self._clock, self._committer, self._gates, self._watches = clock, committer, gates, watches
        self._looking: asyncio.Task[None] | None = None

    def put(self, connection: Connection) -> None:
        """Take note of one, in the place of the one with the same uid, if any, whose alert goes on."""
        before = self._gates.connections.get(connection.uid)
        self._gates.connections[connection.uid] = Connected(connection, before.telling if before else Telling())

    async def pop(self, uid: str) -> None:
        """It brings none any more; the alert about it ends."""
        gone = self._gates.connections.pop(uid, None)
        if gone is not None:
            await gone.telling.forget(self._committer, self._clock, Reason.TARGET_DELETED)

    def begin(self) -> None:
        """Tell of them from now on."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="connections")

    async def end(self) -> None:
        """Tell of them no more; idempotent."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def excuse(self, gate: Gate) -> bool:
        """Whether what a datasource fails with is the failure of its connection, which is told in its place. A
        connection that seems to work is asked, once for all who want to know it at that time.
        """
        connected = self._gates.brings(gate.source.uid)
        if connected is None:
            return False
        began = self._clock.now()
        async with connected.asking:
            if connected.works and (connected.asked_at is None or connected.asked_at < began):
                with suppress(SourceError):
                    await connected.connection.describe()
                connected.asked_at = self._clock.now()
        self._observe(connected)
        if not connected.works and gate.alert is None:
            connected.blame(gate.failing_since)
        return not connected.works

    async def _look(self) -> None:
        while True:
            # At once, so that one that takes its time to answer holds up no other.
            async with asyncio.TaskGroup() as group:
                for connected in self._gates.connections.values():
                    group.create_task(self._attend(connected), name=f"connection {connected.connection.uid}")
            for telling in self._gates.unawaited():
                await to_the_end(telling.forget(self._committer, self._clock, Reason.TARGET_DELETED))
            await self._clock.sleep_until(self._clock.now() + LOOK_EVERY)

    async def _attend(self, connected: Connected) -> None:
        self._observe(connected)
        before, connected.silent = connected.silent, frozenset(self._silent(connected))
        # It may work by now, and not know: before it is told, and when a datasource answers through it again.
        if connected.begins(self._clock.now()) or (before - connected.silent and not connected.works):
            await self._ask_again(connected)
        if self._has_news(connected):
            # Whole, also when monitoring stops meanwhile: an alert that is kept and not known would never end.
            await to_the_end(connected.telling.tell(self._committer, self._clock, lambda: self._news(connected)))
        for gate in self._behind(connected):
            await to_the_end(
                gate.telling.tell(self._committer, self._clock, partial(self._news_behind, connected, gate))
            )

    async def _ask_again(self, connected: Connected) -> None:
        """Whether it works now; what takes long to answer does not."""

        async def ask() -> None:
            async with connected.asking:
                with suppress(SourceError):
                    await connected.connection.describe()

        tasks = [
            asyncio.create_task(ask(), name="connection asked again"),
            asyncio.create_task(self._clock.sleep_until(self._clock.now() + ANSWERS_WITHIN)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._observe(connected)

    def _observe(self, connected: Connected) -> None:
        if connected.observe(self._clock.now()):
            # What failed meanwhile says nothing of the datasources themselves.
            for gate in self._brought_by(connected):
                gate.forgive()

    def _brought_by(self, connected: Connected) -> list[Gate]:
        gates = map(self._gates.find, connected.connection.standing().datasources)
        return [gate for gate in gates if gate is not None]

    def _has_news(self, connected: Connected) -> bool:
        now = self._clock.now()
        if self._gates.connections.get(connected.connection.uid) is not connected:
            return False
        return connected.begins(now) or connected.ends(now) or connected.goes_on(self._kind(connected), now)

    def _news(self, connected: Connected) -> News | None:
        if not self._has_news(connected):
            return None
        alert, now = connected.telling.alert, self._clock.now()
        words = None
        if not connected.works:
            words = self._words(connected)
        elif alert is not None and not connected.ends(now):
            words = words_again(_called(connected.connection), connected.telling.failing)
        return News(datasource_alert(connected.connection.uid, words, alert, now), words)

    def _behind(self, connected: Connected) -> list[Gate]:
        """Datasources of one whose failure is told that have an alert of their own, from before, which says nothing of
        that yet.
        """
        if connected.works or connected.telling.alert is None:
            return []
        kind, now = words_behind("", connected.connection.uid, "").kind, self._clock.now()
        return [gate for gate in self._brought_by(connected) if gate.consecutive and gate.telling.outdated(kind, now)]

    def _news_behind(self, connected: Connected, gate: Gate) -> News | None:
        if gate not in self._behind(connected):
            return None
        words = words_behind(gate.source.uid, connected.connection.uid, gate.telling.failing)
        return News(datasource_alert(gate.source.uid, words, gate.alert, self._clock.now()), words)

    def _kind(self, connected: Connected) -> str:
        """What it fails with and takes along, without what differs each time."""
        return " ".join((same_words(connected.connection.standing().failure or ""), *self._silent(connected)))

    def _silent(self, connected: Connected) -> list[str]:
        """The datasources that it takes along: all that it brought, except those that answer all the same."""
        since, silent = connected.failing_since, []
        if since is None:
            return []
        for gate in self._brought_by(connected):
            success = gate.last_success_at
            if gate.consecutive or success is None or success < since:
                silent.append(gate.source.uid)
        return silent

    def _words(self, connected: Connected) -> SourceWords:
        connection, standing = connected.connection, connected.connection.standing()
        called = _called(connection)
        failure, silent = standing.failure or "it fails", self._silent(connected)
        return SourceWords(
            f"🔥 {called} fails{_counted(silent)}: {failure}",
            f"{called[0].upper()}{called[1:]} fails: {failure}. {self._meaning(standing.datasources, silent)}",
            self._kind(connected),
            failure,
        )

    def _meaning(self, found: Sequence[str], silent: Sequence[str]) -> str:
        """What it means that one fails which has `found` datasources: the `silent` ones do not answer since."""
        enabled = [watch.target for watch in self._watches.values() if watch.target.enabled]
        frozen = sum(target.datasource_uid in silent for target in enabled)
        lost = [target.name for target in enabled if self._gates.find(target.datasource_uid) is None]
        parts = []
        if silent:
            parts.append(
                f"{many(len(silent), 'datasource')} that it brought cannot be asked ({_named(silent)}): "
                f"{many(frozen, 'target')} of theirs {'is' if frozen == 1 else 'are'} frozen as they were"
            )
        elif found:
            parts.append("The datasources that it brought answer still, and new ones cannot be found")
        else:
            parts.append("Its datasources cannot be found")
        if lost:
            verbs = "names a datasource that is not known and is" if len(lost) == 1 else _OF_MANY
            parts.append(f"{many(len(lost), 'target')} {verbs} not watched ({_named(lost)})")
        elif not found:
            parts.append("no target names one that is not known")
        return "; ".join(parts)


_OF_MANY = "name a datasource that is not known and are"


def _called(connection: Connection) -> str:
    return f"the connection {connection.uid} ({connection.what})"


def _counted(silent: Sequence[str]) -> str:
    return f", and {many(len(silent), 'datasource')} with it" if silent else ""


def _named(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = len(listed) - MAX_NAMED
    return ", ".join(listed[:MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")
