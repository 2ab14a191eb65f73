"""The state of the whole and of the process in JSON."""

from dataclasses import asdict
from datetime import datetime

from pydantic import ConfigDict

from tocsin.api.models_common import AnswerModel
from tocsin.api.models_datasource import DatasourceAnswer, datasource_answer
from tocsin.api.problems import Problem
from tocsin.detect import Severity
from tocsin.domain.alert import AlertState
from tocsin.domain.target import TargetState
from tocsin.monitor.status import MonitorStatus


class RunAnswer(AnswerModel):
    """Whether monitoring runs; `changed` says whether this request made it so."""

    running: bool
    since: datetime | None
    changed: bool


class TargetCounts(AnswerModel):
    """How many targets there are; every state is named."""

    total: int
    enabled: int
    by_state: dict[TargetState, int]


class AlertCountsAnswer(AnswerModel):
    """How many alerts are kept by state; of the firing ones by severity, and unacknowledged; those that fire in
    shadow are counted apart, in `shadow`.
    """

    by_state: dict[AlertState, int]
    by_severity: dict[Severity, int]
    unacknowledged: int
    shadow: int


class StoreAnswer(AnswerModel):
    """Whether the store keeps what it is given, and why not."""

    ok: bool
    detail: str
    size_bytes: int | None


class FalseAlertsAnswer(AnswerModel):
    """False alerts a week that are to be expected of all targets, how many are tolerated, and from how many sigma on
    anything is told at all to keep to that (`floor_sigma`, 0 = each target's own threshold is enough).
    """

    expected_per_week: float
    tolerated_per_week: float
    floor_sigma: float


class StatusAnswer(AnswerModel):
    """How all of it is doing. `alerts` is null while the store cannot count them; `lag_s` that of
    the target furthest behind.
    """

    running: bool
    since: datetime | None
    targets: TargetCounts
    alerts: AlertCountsAnswer | None
    datasources: list[DatasourceAnswer]
    evaluations: int
    lag_s: float
    false_alerts: FalseAlertsAnswer
    store: StoreAnswer


class LiveAnswer(AnswerModel):
    """The process answers."""

    status: str = "alive"
    version: str


class ReadyAnswer(AnswerModel):
    """The process can do its work."""

    ready: bool
    reasons: list[str]


class NotReadyProblem(Problem):
    """What is missing before the process can do its work."""

    model_config = ConfigDict(title="NotReadyProblem")

    ready: bool
    reasons: list[str]


def status_answer(status: MonitorStatus) -> StatusAnswer:
    """The whole as people get it."""
    counts = status.alerts
    return StatusAnswer(
        running=status.running,
        since=status.since,
        targets=TargetCounts(
            total=status.targets_total,
            enabled=status.targets_enabled,
            by_state={state: status.targets_by_state.get(state, 0) for state in TargetState},
        ),
        alerts=None
        if counts is None
        else AlertCountsAnswer(
            by_state={state: counts.by_state.get(state, 0) for state in AlertState},
            by_severity={severity: counts.by_severity.get(severity, 0) for severity in Severity},
            unacknowledged=counts.unacknowledged,
            shadow=counts.shadow,
        ),
        datasources=[datasource_answer(one) for one in status.datasources],
        evaluations=status.evaluations,
        lag_s=status.lag_s,
        false_alerts=FalseAlertsAnswer(**asdict(status.false_alerts)),
        store=StoreAnswer(ok=status.store.ok, detail=status.store.detail, size_bytes=status.store.size_bytes),
    )
