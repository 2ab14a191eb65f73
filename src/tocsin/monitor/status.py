"""What the monitor says of itself: plain values for the API, the command line and the metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tocsin.detect import Severity
from tocsin.domain.alert import Alert, Transition
from tocsin.domain.anomaly import Anomaly
from tocsin.domain.datasource import Skew
from tocsin.domain.difference import Difference
from tocsin.domain.frame import Floats, Frame, Window
from tocsin.domain.grouping import Fired, Group
from tocsin.domain.incidents import Incident, Reckoning
from tocsin.domain.labels import Labels
from tocsin.domain.ports import AlertCounts, StoreHealth
from tocsin.domain.target import QueryType, Refuted, Target, TargetState
from tocsin.monitor.breaker import Circuit


@dataclass(frozen=True, slots=True)
class Cost:
    """What the evaluations of a target have cost its datasource. `size_bytes` is of answers before they were decoded,
    0 where nothing comes over a wire.
    """

    queries: int = 0
    samples: int = 0
    size_bytes: int = 0

    @classmethod
    def of(cls, frame: Frame) -> "Cost":
        """That of one answer."""
        return cls(frame.queries, frame.samples, frame.size_bytes)

    def plus(self, other: "Cost") -> "Cost":
        """Both together."""
        return Cost(self.queries + other.queries, self.samples + other.samples, self.size_bytes + other.size_bytes)


IN_VAIN = Cost(queries=1)
"""That of a query that came to no answer."""


@dataclass(frozen=True, slots=True)
class DialView:
    """From how many sigma the series of a target are told: the least, the median and the most of them; how many were
    `raised` above what the target itself asks for, how many `capped`, which would be higher still if `auto` could say
    more, the false alerts to be expected of all of them, and how many weeks that was learnt from. `over`: with the
    highest thresholds too more are to be expected than is tolerated, by a week of history at least.
    """

    sigma_least: float
    sigma_median: float
    sigma_most: float
    raised: int
    capped: int
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


@dataclass(slots=True)
class TargetStatus:
    """How a target is doing; only its evaluate loop changes it, others get a copy. `reason` says in words why it is in
    its `state`, and for warming up what is missing; `eta` when that is expected to be there, or `auto` to take over
    from the named methods. None: nothing is waited for.

    `lag_s`: how far the newest judged instant lies back beyond what offset, interval and step explain, seconds.
    `last_cost` is that of the last evaluation alone, None before one that asked for what is new.
    `refuted`: inferred bounds that a sample has shown to be wrong.
    """

    state: TargetState
    reason: str
    since: datetime
    eta: datetime | None = None
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
    last_cost: Cost | None = None
    dial: DialView | None = None
    warnings: tuple[str, ...] = ()
    refuted: Refuted = (False, False)

    def become(self, state: TargetState, reason: str, now: datetime, eta: datetime | None = None) -> None:
        """Be in a state, since now unless it was in it already."""
        if self.state is not state:
            self.state, self.since = state, now
        self.reason, self.eta = reason, eta


@dataclass(frozen=True, slots=True)
class TargetView:
    """A target and how it is doing."""

    target: Target
    status: TargetStatus


class Health(StrEnum):
    """What the last queries say of a datasource."""

    UNKNOWN = "unknown"
    OK = "ok"
    WARNING = "warning"
    """It answers, and something of it is not as it should be."""
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class DatasourceStatus:
    """How a datasource is doing. `circuit` says whether it is asked: open while it is left alone, until `retry_at`.

    `version` is what it said when a person last asked, "" before.
    """

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
    circuit: Circuit = Circuit.CLOSED
    circuit_since: datetime | None = None
    retry_at: datetime | None = None
    failing_in_a_row: int = 0
    last_duration_s: float | None = None
    skew: Skew | None = None
    version: str = ""
    warnings: tuple[str, ...] = ()


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
class Drawing:
    """How a back-test is to be drawn: at most so many series, each thinned out to at most so many columns."""

    series: int = 6
    points: int = 800


@dataclass(frozen=True, slots=True)
class Question:
    """What a back-test is asked beside the target and the time: a target to compare it with, incidents, a plot."""

    against: Target | None = None
    incidents: tuple[Incident, ...] = ()
    drawing: Drawing | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SketchedSeries:
    """One series thinned out, arrays (n,): lowest and highest value of each column, the mean of what was expected, the
    widest band; NaN = nothing there. `alerts` counts all, `spans` holds the first of them.
    """

    labels: Labels
    low: Floats
    high: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    alerts: int
    spans: tuple[Fired, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SketchPlot:
    """The plot of a back-test: columns of `column_s` seconds that begin at `timestamps` (n,), unix seconds."""

    timestamps: Floats
    column_s: float
    series: Sequence[SketchedSeries]
    series_total: int
    notes: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What would have fired over `window`. Lists are cut at a limit; the totals are not.

    `fired` are all alerts in short, `groups` how they are told together. `reckoning` holds them against the incidents
    that were given. `judged`: whether any sample had an opinion. `against` is the other configuration, `difference`
    what changes from that one to this one.
    """

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
    transitions_total: int = 0
    fired: Sequence[Fired] = ()
    groups: Sequence[Group] = ()
    reckoning: Reckoning | None = None
    judged: bool = True
    plot: SketchPlot | None = None
    against: "BacktestResult | None" = None
    difference: Difference | None = None

    @property
    def messages_total(self) -> int:
        """How many messages people would have got."""
        return sum(len(group.messages) for group in self.groups)
