"""What the monitor says of itself: plain values for the API, the command line and the metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from tocsin.detect import Severity
from tocsin.domain.alert import Alert, Transition
from tocsin.domain.anomaly import Anomaly
from tocsin.domain.frame import Floats, Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.ports import AlertCounts, StoreHealth
from tocsin.domain.target import QueryType, Target, TargetState


@dataclass(frozen=True, slots=True)
class Cost:
    """What the evaluations of a target have cost its datasource. `size_bytes` is of answers before they were decoded,
    0 where nothing comes over a wire.
    """

    queries: int = 0
    samples: int = 0
    size_bytes: int = 0

    def plus(self, frame: Frame | None) -> "Cost":
        """One more answer; None for a query that came to none."""
        if frame is None:
            return replace(self, queries=self.queries + 1)
        return Cost(self.queries + frame.queries, self.samples + frame.samples, self.size_bytes + frame.size_bytes)


@dataclass(frozen=True, slots=True)
class DialView:
    """From how many sigma the series of a target are told: the least, the median and the most of them; how many were
    `raised` above what the target itself asks for, the false alerts to be expected of all of them, how many weeks
    that was learnt from, and whether that is `over` what is tolerated, though thresholds are as high as they can be.
    """

    sigma_least: float
    sigma_median: float
    sigma_most: float
    raised: int
    expected_per_week: float
    weeks: float
    over: bool


@dataclass(frozen=True, slots=True)
class FleetView:
    """False alerts a week to be expected of all targets, how many are tolerated, and the floor under all thresholds
    (sigma, 0 = none) that this takes.
    """

    expected_per_week: float
    tolerated_per_week: float
    floor_sigma: float


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """How a target is doing. `reason` says in words why it is in its `state`, and for warming up what is missing.

    `lag_s`: how far the newest judged instant lies back beyond what offset, interval and step explain, seconds.
    """

    state: TargetState
    reason: str
    since: datetime
    last_evaluated_at: datetime | None = None
    next_evaluation_at: datetime | None = None
    last_duration_s: float | None = None
    lag_s: float | None = None
    series: int = 0
    series_ready: int = 0
    evaluations: int = 0
    failures: int = 0
    overruns: int = 0
    cost: Cost = field(default_factory=Cost)
    dial: DialView | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetView:
    """A target and how it is doing."""

    target: Target
    status: TargetStatus


class Health(StrEnum):
    """What the last queries say of a datasource."""

    UNKNOWN = "unknown"
    OK = "ok"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class DatasourceStatus:
    """How a datasource is doing."""

    uid: str
    query_type: QueryType
    health: Health
    last_error: str | None = None
    last_error_at: datetime | None = None
    last_success_at: datetime | None = None
    queries: int = 0
    failures: int = 0
    in_flight: int = 0
    concurrency: int = 0


@dataclass(frozen=True, slots=True)
class MonitorStatus:
    """How all of it is doing. `lag_s`: that of the target furthest behind."""

    running: bool
    since: datetime | None
    targets_total: int
    targets_enabled: int
    targets_by_state: Mapping[TargetState, int]
    alerts: AlertCounts | None
    datasources: Sequence[DatasourceStatus]
    evaluations: int
    failures: int
    overruns: int
    lag_s: float
    false_alerts: FleetView
    store: StoreHealth


@dataclass(frozen=True, slots=True, eq=False)
class PlotSeries:
    """One series of a plot; arrays (T,), NaN = gap or no opinion. `anomalies` are indexes into them."""

    labels: Labels
    values: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    sigma: Floats
    anomalies: tuple[int, ...]
    severities: tuple[Severity, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plot:
    """What a target's series looked like over a window; `series_total` counts those left out too."""

    target_name: str
    window: Window
    timestamps: Floats
    series: Sequence[PlotSeries]
    series_total: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What an evaluation now would have found and changed; nothing of it was kept."""

    target_name: str
    at: datetime
    state: TargetState
    reason: str
    series: int
    samples: int
    anomalies: Sequence[Anomaly]
    transitions: Sequence[Transition]
    alerts: Sequence[Alert]
    duration_s: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What would have fired over `window`. Lists are cut at a limit; the totals are not."""

    target_name: str
    window: Window
    series: int
    samples: int
    evaluations: int
    alerts: Sequence[Alert]
    alerts_total: int
    transitions: Sequence[Transition]
    anomalies: Sequence[Anomaly]
    anomalies_total: int
    by_severity: Mapping[Severity, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
