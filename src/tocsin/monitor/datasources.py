"""What people ask about datasources: how they are, whether they answer, what they cost, what is kept of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tocsin.domain.connection import Connection, Standing
from tocsin.domain.datasource import Description, Skew
from tocsin.domain.denominator import guard_of
from tocsin.domain.errors import NotFound, SourceError, SourceFailure
from tocsin.domain.ports import MetricSource
from tocsin.domain.target import QueryType
from tocsin.monitor.cache import CacheStats
from tocsin.monitor.gate import Gate
from tocsin.monitor.gates import Gates
from tocsin.monitor.status import DatasourceStatus, Health
from tocsin.monitor.watch import Watch

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class HourlyCost:
    """What a target costs its datasource in an hour, by its last evaluation and its interval.

    None before it has gone past its first evaluation, which reads the past. Targets that ask the same at the same times
    share one answer, and what it costs in equal parts.
    """

    target_name: str
    enabled: bool
    evaluations: float
    queries: float | None
    samples: float | None
    size_bytes: float | None


@dataclass(frozen=True, slots=True)
class DatasourceTest:
    """What came of asking a datasource now: a `description`, or the `error` in words. `query_type` None: it is a
    connection that brings datasources, and `costs` are those of targets of theirs.
    """

    uid: str
    query_type: QueryType | None
    at: datetime
    description: Description | None
    error: str | None
    warnings: tuple[str, ...]
    costs: tuple[HourlyCost, ...]


class Datasources:
    """Looks at the monitor's own `gates` and `watches`; keeps nothing."""

    def __init__(self, gates: Gates, watches: Mapping[str, Watch], now: Callable[[], datetime]) -> None:
        self._gates, self._watches, self._now = gates, watches, now

    def status(self) -> Sequence[DatasourceStatus]:
        """All of them, by uid."""
        return statuses(self._gates, self._watches.values())

    def connections(self) -> Sequence[tuple[str, Standing]]:
        """What brings datasources, by uid, and how it is doing."""
        return [(uid, each.connection.standing()) for uid, each in sorted(self._gates.connections.items())]

    async def test(self, uid: str) -> DatasourceTest:
        """Ask it, or a connection, about itself, also while it is left alone; raises `NotFound`, or `SourceError` where
        nobody can know whether there is one, because what may bring it fails.
        """
        gate = self._gates.find(uid)
        if gate is None:
            return await self._test_connection(uid)
        description, error = await _described(gate.source)
        gate.described = description or gate.described
        watches = [watch for watch in self._watches.values() if watch.target.datasource_uid == uid]
        skew = gate.source.skew if description is None else description.skew or gate.source.skew
        return DatasourceTest(
            uid,
            gate.source.query_type,
            self._now(),
            description,
            error,
            skew_warnings(uid, skew, finest_step(watches)),
            _costs(watches),
        )

    def language(self, uid: str) -> QueryType | None:
        """What its queries are written in; None where there is none of this uid now."""
        gate = self._gates.find(uid)
        return None if gate is None else gate.source.query_type

    async def _test_connection(self, uid: str) -> DatasourceTest:
        connected = self._gates.connections.get(uid)
        if connected is None:
            unseen = self._gates.unseen()
            if unseen:
                words = f"whether there is a datasource {uid!r} is not known now: {'; '.join(unseen)}"
                raise SourceError(words, failure=SourceFailure.UNREACHABLE, transient=True)
            raise NotFound(f"there is no datasource {uid!r}")
        description, error = await _described(connected.connection)
        standing = connected.connection.standing()
        watches = [one for one in self._watches.values() if one.target.datasource_uid in standing.datasources]
        return DatasourceTest(uid, None, self._now(), description, error, standing.notes, _costs(watches))

    def cache_stats(self) -> Sequence[CacheStats]:
        """What is kept of their answers, by kind."""
        return self._gates.caches.stats()

    def clear_cache(self, uid: str | None) -> tuple[int, int]:
        """Forget what one has answered, or all; how many answers and bytes. Raises `NotFound`."""
        if uid is not None and self._gates.find(uid) is None:
            raise NotFound(f"there is no datasource {uid!r}")
        return self._gates.caches.clear(uid)


async def _described(what: MetricSource | Connection) -> tuple[Description | None, str | None]:
    """What it says of itself, or why it does not."""
    try:
        return await what.describe(), None
    except SourceError as error:
        return None, str(error)


def statuses(gates: Gates, watches: Iterable[Watch]) -> Sequence[DatasourceStatus]:
    """How all datasources are doing, by uid; `watches` tell from what skew on a clock is worth a warning."""
    by_uid: dict[str, list[Watch]] = {}
    for watch in watches:
        by_uid.setdefault(watch.target.datasource_uid, []).append(watch)
    return [_status(gates.by_uid[uid], by_uid.get(uid, ())) for uid in sorted(gates.by_uid)]


def _status(gate: Gate, watches: Iterable[Watch]) -> DatasourceStatus:
    skew = gate.source.skew
    warnings = skew_warnings(gate.source.uid, skew, finest_step(watches))
    refusal = gate.refused
    answers = gate.last_success_at is not None or (refusal is not None and refusal.answered)
    if refusal is not None and refusal.answered:
        uid = gate.source.uid
        warnings = (*warnings, f"the datasource {uid} answers, but with more than a limit allows: {refusal.error}")
    health = Health.FAILING if gate.consecutive else Health.OK if answers else Health.UNKNOWN
    # One heavy query among others that are answered is its target's own.
    error, error_at = gate.last_error, gate.last_error_at
    if refusal is not None and (error_at is None or refusal.at >= error_at):
        error, error_at = refusal.error, refusal.at
    return DatasourceStatus(
        uid=gate.source.uid,
        query_type=gate.source.query_type,
        health=Health.WARNING if warnings and health is Health.OK else health,
        last_error=error,
        last_error_at=error_at,
        last_success_at=gate.last_success_at,
        queries=gate.queries,
        failures=gate.failures,
        in_flight=gate.in_flight,
        concurrency=gate.concurrency,
        circuit=gate.breaker.state,
        circuit_since=gate.breaker.since,
        retry_at=gate.retry_at,
        failing_in_a_row=gate.consecutive,
        last_duration_s=gate.last_duration_s,
        skew=skew,
        version=gate.described.version if gate.described else "",
        warnings=warnings,
    )


def finest_step(watches: Iterable[Watch]) -> timedelta | None:
    """The shortest step of the targets that are switched on."""
    return min((watch.target.step for watch in watches if watch.target.enabled), default=None)


def skew_warnings(uid: str, skew: Skew | None, step: timedelta | None) -> tuple[str, ...]:
    """The warning about a clock that is off by more than a step, if it is; without a target nothing is judged by it."""
    if skew is None or step is None or not skew.beyond(step.total_seconds()):
        return ()
    what = "its newest samples are judged late" if skew.ahead_s > 0 else "its newest samples seem to be missing"
    of_a_step = f"more than a step of {step.total_seconds():g} s"
    return (f"the clock of the datasource {uid} is {skew.words}, {of_a_step}: {what}; set both by one time server",)


def _costs(watches: Iterable[Watch]) -> tuple[HourlyCost, ...]:
    """What targets cost, by name. One of those that ask the same has asked for all: they bear it in equal parts."""
    together: dict[tuple[object, ...], list[Watch]] = {}
    for watch in watches:
        target, guard = watch.target, guard_of(watch.target)
        asks = (target.datasource_uid, target.asked, guard and guard.query)
        when = (target.step, target.check_interval, target.offset, target.enabled)
        together.setdefault((*asks, *when), []).append(watch)
    costs = [cost for each in together.values() for cost in _shared(each)]
    return tuple(sorted(costs, key=lambda one: one.target_name))


def _shared(watches: Sequence[Watch]) -> Iterator[HourlyCost]:
    lasts = [watch.status.last_cost for watch in watches]
    # Samples of an answer that another has asked for have cost nothing more.
    paid = [last for last in lasts if last is not None and last.queries]
    known = sum(last is not None for last in lasts)
    for watch, last in zip(watches, lasts, strict=True):
        target = watch.target
        times = HOUR / target.check_interval if target.enabled else 0.0
        if last is None:
            yield HourlyCost(target.name, target.enabled, times, None, None, None)
            continue
        part = times / known
        queries, samples = part * sum(one.queries for one in paid), part * sum(one.samples for one in paid)
        yield HourlyCost(
            target.name, target.enabled, times, queries, samples, part * sum(one.size_bytes for one in paid)
        )
