"""The datasources by uid, each behind its gate, and what targets may ask of them."""

from collections.abc import Iterable, Mapping

from tocsin.domain.denominator import OFF, check_denominator
from tocsin.domain.errors import Invalid, NotFound
from tocsin.domain.ports import Clock, Connection, MetricSource
from tocsin.domain.target import Target
from tocsin.monitor.caches import Caches
from tocsin.monitor.gate import Gate, Telling
from tocsin.monitor.metrics import Metrics

PLACES = 4
"""Queries at once where nothing else is said."""


class Gates:
    """Which datasources there are now; a reload may change them at any time."""

    def __init__(
        self,
        sources: Iterable[MetricSource],
        clock: Clock,
        metrics: Metrics,
        concurrency: Mapping[str, int],
        *,
        caches: Caches | None = None,
    ) -> None:
        self._clock, self._metrics = clock, metrics
        self.caches = caches or Caches.empty(clock.now)
        self.by_uid: dict[str, Gate] = {}
        self.connections: dict[str, Connection] = {}
        """What brings datasources while Tocsin runs, by its own uid."""
        for source in sources:
            self.put(source, concurrency.get(source.uid, PLACES))

    def unknown(self, uid: str) -> str:
        """Why there is no datasource of this uid, with what is not known of connections that may bring it."""
        said = [f"the datasource {uid!r} is not configured; known: {', '.join(sorted(self.by_uid)) or 'none'}"]
        for name, connection in sorted(self.connections.items()):
            failure = connection.standing().failure
            if failure is not None:
                said.append(f"the datasources of {name!r} are not known: {failure}")
        return "; ".join(said)

    def put(self, source: MetricSource, concurrency: int) -> None:
        """Ask `source` from the next query on, in the place of the one with the same uid, if any."""
        before = self.by_uid.get(source.uid)
        self.by_uid[source.uid] = Gate(
            source,
            self._clock,
            concurrency,
            before.telling if before else Telling(),
            metrics=self._metrics,
            caches=self.caches,
        )
        self.caches.clear(source.uid)

    def pop(self, uid: str) -> Gate | None:
        """Ask it no more."""
        self._metrics.forget_datasource(uid)
        self.caches.clear(uid)
        return self.by_uid.pop(uid, None)

    def find(self, uid: str) -> Gate | None:
        """The gate, None when there is no such datasource."""
        return self.by_uid.get(uid)

    def of(self, target: Target) -> Gate:
        """The gate of the target's datasource; raises `NotFound`."""
        gate = self.find(target.datasource_uid)
        if gate is None:
            raise NotFound(f"the datasource {target.datasource_uid!r} of target {target.name!r} is not configured")
        return gate

    def accept(self, target: Target) -> None:
        """Raise `Invalid` unless the target is in order and its datasource can take its query."""
        target.validated()
        gate = self.find(target.datasource_uid)
        if gate is None:
            raise Invalid("datasource_uid", self.unknown(target.datasource_uid))
        fits(gate, target)


def fits(gate: Gate, target: Target) -> None:
    """Raise `Invalid` unless the datasource can take the target's queries."""
    if gate.source.query_type is not target.query_type:
        raise Invalid("query_type", f"the datasource {target.datasource_uid!r} answers {gate.source.query_type}")
    gate.source.check_query(target.asked)
    if target.denominator not in ("", OFF):
        _check_denominator(gate, target)


def _check_denominator(gate: Gate, target: Target) -> None:
    try:
        gate.source.check_query(target.denominator)
    except Invalid as error:
        raise Invalid("denominator", error.reason) from error
    check_denominator(target)
