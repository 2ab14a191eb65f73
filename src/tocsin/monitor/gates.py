"""The datasources by uid, each behind its gate, and what targets may ask of them."""

from collections.abc import Iterable, Mapping

from tocsin.domain.denominator import OFF, check_denominator
from tocsin.domain.errors import Invalid, NotFound, SourceError, SourceFailure
from tocsin.domain.ports import Clock, MetricSource
from tocsin.domain.target import Target
from tocsin.monitor.caches import Caches
from tocsin.monitor.connected import Connected
from tocsin.monitor.gate import Gate
from tocsin.monitor.metrics import Metrics
from tocsin.monitor.telling import Telling

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
        self.connections: dict[str, Connected] = {}
        """What brings datasources while Tocsin runs, by its own uid."""
        self.awaited: dict[str, Telling] = {}
        """What is told of datasources that are not there, and may be once what brings them was asked."""
        for source in sources:
            self.put(source, concurrency.get(source.uid, PLACES))

    def unknown(self, uid: str) -> str:
        """Why there is no datasource of this uid, with what is not known of connections that may bring it."""
        if uid in self.connections:
            return (
                f"{uid!r} brings datasources and is none itself; name one of those that tocsin datasources list shows"
            )
        said = f"the datasource {uid!r} is not configured; known: {', '.join(sorted(self.by_uid)) or 'none'}"
        return "; ".join((said, *self.unseen()))

    def unseen(self) -> list[str]:
        """Whose datasources are not known, and why."""
        standings = ((uid, one.connection.standing().failure) for uid, one in sorted(self.connections.items()))
        return [f"the datasources of {uid!r} are not known: {why}" for uid, why in standings if why is not None]

    def put(self, source: MetricSource, concurrency: int) -> None:
        """Ask `source` from the next query on, in the place of the one with the same uid, if any."""
        telling = self.of_datasource(source.uid) or Telling()
        self.awaited.pop(source.uid, None)
        self.by_uid[source.uid] = Gate(
            source,
            self._clock,
            concurrency,
            telling,
            metrics=self._metrics,
            caches=self.caches,
        )
        self.caches.clear(source.uid)

    def pop(self, uid: str, *, comes_again: bool = False) -> Telling | None:
        """Ask it no more; what is told of it, which waits for it where it may come again."""
        self._metrics.forget_datasource(uid)
        self.caches.clear(uid)
        gone = self.by_uid.pop(uid, None)
        if gone is None:
            return None
        if comes_again and gone.telling.alert is not None:
            self.awaited[uid] = gone.telling
        return gone.telling

    def find(self, uid: str) -> Gate | None:
        """The gate, None when there is no such datasource."""
        return self.by_uid.get(uid)

    def brings(self, uid: str) -> Connected | None:
        """The connection that has brought a datasource, None when it is declared itself."""
        connected = self.connections.values()
        return next((one for one in connected if uid in one.connection.standing().datasources), None)

    def telling(self, uid: str) -> Telling | None:
        """What is told of a datasource or of a connection; None when there is neither."""
        known = self.connections.get(uid)
        return self.of_datasource(uid) if known is None else known.telling

    def of_datasource(self, uid: str) -> Telling | None:
        """What is told of a datasource, also of one that may come again; None when there is none."""
        known = self.by_uid.get(uid)
        return self.awaited.get(uid) if known is None else known.telling

    def recalled(self, uid: str) -> Telling | None:
        """To whom an alert of an earlier process belongs: the same, or what a connection may bring yet."""
        telling = self.telling(uid)
        if telling is None and self.connections:
            telling = self.awaited[uid] = Telling()
        return telling

    def unawaited(self) -> list[Telling]:
        """What is told of datasources that have not come, once all that bring some were asked. They come no more."""
        if not all(one.found for one in self.connections.values()):
            return []
        gone, self.awaited = list(self.awaited.values()), {}
        return gone

    def of(self, target: Target) -> Gate:
        """The gate of the target's datasource; raises `NotFound`, and `SourceError` where a connection may bring it
        whose datasources are not known now.
        """
        gate = self.find(target.datasource_uid)
        if gate is None:
            words = f"target {target.name!r}: {self.unknown(target.datasource_uid)}"
            if self.unseen() and target.datasource_uid not in self.connections:
                raise SourceError(words, failure=SourceFailure.UNREACHABLE, transient=True)
            raise NotFound(words)
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
    if gate.source.whole_seconds and target.step.microseconds:
        uid, step_s = target.datasource_uid, target.step.total_seconds()
        raise Invalid(
            "step",
            f"must be whole seconds for the datasource {uid!r}, which is reached through mcp-grafana, not {step_s:g}",
        )
    gate.source.check_query(target.asked)
    if target.denominator not in ("", OFF):
        _check_denominator(gate, target)
    check_denominator(target)


def _check_denominator(gate: Gate, target: Target) -> None:
    try:
        gate.source.check_query(target.denominator)
    except Invalid as error:
        raise Invalid("denominator", error.reason) from error
