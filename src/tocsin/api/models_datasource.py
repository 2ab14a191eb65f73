"""Datasources, what they cost, and what is kept of their answers, in JSON."""

from datetime import datetime
from typing import Literal

from tocsin.api.models_common import AnswerModel, ListAnswer, RequestModel, Word
from tocsin.domain.connection import Standing
from tocsin.domain.datasource import Skew
from tocsin.domain.target import QueryType
from tocsin.monitor.breaker import Circuit
from tocsin.monitor.cache import CacheStats
from tocsin.monitor.datasources import DatasourceTest
from tocsin.monitor.status import DatasourceStatus, Health


class SkewAnswer(AnswerModel):
    """How far the clock of a server is ahead of ours, seconds (behind: below zero), known to `within_s`."""

    ahead_s: float
    within_s: float


class DatasourceAnswer(AnswerModel):
    """How a datasource is doing. `circuit` is `open` while it is left alone after failures, until `retry_at`, and
    `half_open` while one question decides whether it is asked again. `health` is `warning` where it answers and
    `warnings` says what is wrong all the same, as when its last answers were all over a limit. `version` is known after
    a test.
    """

    uid: str
    type: QueryType
    health: Health
    last_error: str | None
    last_error_at: datetime | None
    last_success_at: datetime | None
    queries: int
    failures: int
    in_flight: int
    concurrency: int
    circuit: Circuit
    circuit_since: datetime | None
    retry_at: datetime | None
    failing_in_a_row: int
    last_duration_s: float | None
    version: str | None
    skew: SkewAnswer | None
    warnings: list[str]


class ConnectionAnswer(AnswerModel):
    """A Grafana whose datasources are found while Tocsin runs: `server` is what answers (null while nothing does),
    `failure` why they are not known now, `datasources` the uids that were found last, `notes` what is wrong beside.
    """

    uid: str
    ok: bool
    server: str | None
    failure: str | None
    datasources: list[str]
    notes: list[str]


class DatasourceList(ListAnswer[DatasourceAnswer]):
    """Datasources by uid, and the connections that bring some of them."""

    connections: list[ConnectionAnswer]


class HourlyCostAnswer(AnswerModel):
    """What a target costs in an hour, by its last evaluation and its interval; null before one that asked for what is
    new alone. Targets that ask the same at the same times are answered by one request: each is charged an equal part of
    it, so the parts of all come to what the datasource is asked.
    """

    target: str
    enabled: bool
    evaluations_per_hour: float
    queries_per_hour: float | None
    samples_per_hour: float | None
    bytes_per_hour: float | None


class DatasourceTestAnswer(AnswerModel):
    """What came of asking a datasource now. Where it does not answer, `ok` is false and `error` says why. A connection
    (`grafana_mcp`) has no clock; its `abilities` name the datasources that it brings, its `targets` are theirs.
    """

    uid: str
    type: QueryType | Literal["grafana_mcp"]
    at: datetime
    ok: bool
    error: str | None
    version: str | None
    abilities: list[str]
    latency_s: float | None
    skew: SkewAnswer | None
    warnings: list[str]
    targets: list[HourlyCostAnswer]


class CacheAnswer(AnswerModel):
    """What is kept of one kind of answer. `joined` waited for one that was on its way, `missed` were asked for,
    `saved` is the share that cost no request; `evicted` went for lack of room, `too_large` were never kept.
    """

    name: str
    entries: int
    size_bytes: int
    max_bytes: int
    ttl_s: float
    hits: int
    joined: int
    missed: int
    saved: float
    evicted: int
    too_large: int


class CacheList(AnswerModel):
    """All kinds."""

    items: list[CacheAnswer]


class ClearRequest(RequestModel):
    """Of which datasource; of all where none is named."""

    datasource_uid: Word | None = None


class ClearAnswer(AnswerModel):
    """How many answers were forgotten, and their size in memory."""

    entries: int
    size_bytes: int


def connection_answer(uid: str, standing: Standing) -> ConnectionAnswer:
    """A connection as people get it."""
    return ConnectionAnswer(
        uid=uid,
        ok=standing.failure is None,
        server=standing.server,
        failure=standing.failure,
        datasources=list(standing.datasources),
        notes=list(standing.notes),
    )


def datasource_answer(status: DatasourceStatus) -> DatasourceAnswer:
    """A datasource as people get it."""
    return DatasourceAnswer(
        uid=status.uid,
        type=status.query_type,
        health=status.health,
        last_error=status.last_error,
        last_error_at=status.last_error_at,
        last_success_at=status.last_success_at,
        queries=status.queries,
        failures=status.failures,
        in_flight=status.in_flight,
        concurrency=status.concurrency,
        circuit=status.circuit,
        circuit_since=status.circuit_since,
        retry_at=status.retry_at,
        failing_in_a_row=status.failing_in_a_row,
        last_duration_s=status.last_duration_s,
        version=status.version or None,
        skew=_skew(status.skew),
        warnings=list(status.warnings),
    )


def test_answer(test: DatasourceTest) -> DatasourceTestAnswer:
    """What came of a test as people get it."""
    said = test.description
    return DatasourceTestAnswer(
        uid=test.uid,
        type=test.query_type or "grafana_mcp",
        at=test.at,
        ok=test.error is None,
        error=test.error,
        version=None if said is None else said.version or None,
        abilities=[] if said is None else list(said.abilities),
        latency_s=None if said is None else said.latency_s,
        skew=None if said is None else _skew(said.skew),
        warnings=list(test.warnings),
        targets=[
            HourlyCostAnswer(
                target=cost.target_name,
                enabled=cost.enabled,
                evaluations_per_hour=cost.evaluations,
                queries_per_hour=cost.queries,
                samples_per_hour=cost.samples,
                bytes_per_hour=cost.size_bytes,
            )
            for cost in test.costs
        ],
    )


def cache_answer(stats: CacheStats) -> CacheAnswer:
    """A cache as people get it."""
    return CacheAnswer(
        name=stats.name,
        entries=stats.entries,
        size_bytes=stats.size_bytes,
        max_bytes=stats.max_bytes,
        ttl_s=stats.ttl_s,
        hits=stats.hits,
        joined=stats.joined,
        missed=stats.missed,
        saved=stats.saved,
        evicted=stats.evicted,
        too_large=stats.too_large,
    )


def _skew(skew: Skew | None) -> SkewAnswer | None:
    return None if skew is None else SkewAnswer(ahead_s=skew.ahead_s, within_s=skew.within_s)
