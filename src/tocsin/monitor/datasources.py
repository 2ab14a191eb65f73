"""What people ask about datasources: how they are, whether they answer, what they cost, what is kept of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tocsin.domain.datasource import Description, Skew
from tocsin.domain.errors import NotFound, SourceError
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

    None before it has gone past its first evaluation, which reads the past; zero where another target that asks the
    same has paid.
    """

    target_name: str
    enabled: bool
    evaluations: float
    queries: float | None
    samples: float | None
    size_bytes: float | None


@dataclass(frozen=True, slots=True)
class DatasourceTest:
    """What came of asking a datasource now: a `description`, or the `error` in words."""

    uid: str
    query_type: QueryType
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

    async def test(self, uid: str) -> DatasourceTest:
        """Ask it about itself, also while it is left alone; raises `NotFound`."""
        gate = self._gates.find(uid)
        if gate is None:
            raise NotFound(f"there is no datasource {uid!r}")
        description, error = None, None
        try:
            description = gate.described = await gate.source.describe()
        except SourceError as failed:
            error = str(failed)
        watches = [watch for watch in self._watches.values() if watch.target.datasource_uid == uid]
        skew = gate.source.skew if description is None else description.skew or gate.source.skew
        return DatasourceTest(
            uid,
            gate.source.query_type,
            self._now(),
            description,
            error,
            skew_warnings(uid, skew, finest_step(watches)),
            tuple(_cost(watch) for watch in sorted(watches, key=lambda one: one.target.name)),
        )

    def cache_stats(self) -> Sequence[CacheStats]:
        """What is kept of their answers, by kind."""
        return self._gates.caches.stats()

    def clear_cache(self, uid: str | None) -> tuple[int, int]:
        """Forget what one has answered, or all; how many answers and bytes. Raises `NotFound`."""
        if uid is not None and self._gates.find(uid) is None:
            raise NotFound(f"there is no datasource {uid!r}")
        return self._gates.caches.clear(uid)


def statuses(gates: Gates, watches: Iterable[Watch]) -> Sequence[DatasourceStatus]:
    """How all datasources are doing, by uid; `watches` tell from what skew on a clock is worth a warning."""
    by_uid: dict[str, list[Watch]] = {}
    for watch in watches:
        by_uid.setdefault(watch.target.datasource_uid, []).append(watch)
    return [_status(gates.by_uid[uid], by_uid.get(uid, ())) for uid in sorted(gates.by_uid)]


def _status(gate: Gate, watches: Iterable[Watch]) -> DatasourceStatus:
    skew = gate.source.skew
    warnings = skew_warnings(gate.source.uid, skew, finest_step(watches))
    health = Health.FAILING if gate.consecutive else Health.OK if gate.last_success_at else Health.UNKNOWN
    return DatasourceStatus(
        uid=gate.source.uid,
        query_type=gate.source.query_type,
        health=Health.WARNING if warnings and health is Health.OK else health,
        last_error=gate.last_error,
        last_error_at=gate.last_error_at,
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


def _cost(watch: Watch) -> HourlyCost:
    target, last = watch.target, watch.status.last_cost
    times = HOUR / target.check_interval if target.enabled else 0.0
    if last is None:
        return HourlyCost(target.name, target.enabled, times, None, None, None)
    # Samples of an answer that another has asked for have cost nothing more.
    samples = last.samples if last.queries else 0
    return HourlyCost(
        target.name, target.enabled, times, times * last.queries, times * samples, times * last.size_bytes
    )
