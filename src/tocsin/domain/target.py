"""What is watched: how often, over what history, how strictly."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from tocsin.detect import (
    ANOMALOUS,
    Context,
    Direction,
    Policy,
    Severity,
    Tolerance,
    choose,
    history_of,
    is_slow,
    missing_extra,
    relearns_after,
)
from tocsin.domain.errors import Invalid
from tocsin.domain.events import AfterDeploy
from tocsin.domain.labels import Labels
from tocsin.domain.log_signal import LogSignal, asked, least_lines, templates_of
from tocsin.domain.logql import check_lines
from tocsin.domain.matters import MIN_EFFECT_RATIO, least_effect
from tocsin.domain.nature import UNITS, Nature, nature_of, nature_of_signal
from tocsin.domain.words import many

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:\- ]{0,127}")
RESERVED_PREFIXES = ("alert:", "datasource:")
"""Ids of alerts and the pseudo-target of a datasource begin like this; a target's name never does."""

MIN_INTERVAL = timedelta(seconds=1)
MAX_INTERVAL = timedelta(days=1)
MAX_STEP = timedelta(days=1)
MAX_LOOKBACK = timedelta(days=90)
HISTORY = timedelta(days=14)
"""How far `auto` reads back by default: two of each weekday, and what is older counts little in what it learns."""

MAX_HISTORY_SAMPLES = 100_000
MAX_HOLD = timedelta(days=7)
MAX_SIGMA = 38.0
MAX_FACTOR = 10.0


Refuted = tuple[bool, bool]
"""Whether a sample lay below the inferred lower bound, and whether one lay above the upper: both are then dropped."""


class QueryType(StrEnum):
    """The language of a target's query."""

    PROMETHEUS = "prometheus"
    LOKI = "loki"
    HOST = "host"


class Owner(StrEnum):
    """Who may change a target: the configuration file, or people over the API."""

    FILE = "file"
    API = "api"


class TargetState(StrEnum):
    """What is known about a target right now.

    NO_DATA: its datasource answers, with no series. STALE: it has series, and the newest sample of all of them is old.
    """

    DISABLED = "disabled"
    WAITING = "waiting"
    WARMING_UP = "warming_up"
    READY = "ready"
    STALE = "stale"
    NO_DATA = "no_data"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Target:
    """One watched query.

    `check_interval` how often new samples are judged; `step` the grid of the query; `lookback` the history that is
    learnt from; `offset` how long late samples are waited for; `history` how far back `auto` reads at first, and
    `timezone` the one whose days it learns. `min_effect` (in the metric's unit) and
    `min_effect_ratio` (of the expected value) are the least deviation that matters; outside `alert_above` /
    `alert_below` a value never alerts. `pending_for` and `keep_firing_for` as in Prometheus' rules.
    `false_alerts_per_week` is how many are tolerated of one series, `false_alerts_per_week_total` of the whole target;
    `sigma_threshold` takes their place. A target in `shadow` is recorded and not told. `unit` says what the
    values are where the names in the query do not; below `min_denominator` of the query `denominator` a ratio says
    nothing. `log_signal` is what is watched of a `query` that is a log query.
    `capacity_limit` (else `lower_bound` and `upper_bound`, or the upper bound that the unit or the query has) is what
    `capacity` looks ahead to, at most `capacity_horizon`. For `deploy_for` after a deployment `after_deploy` says what
    becomes of the sigma that it takes to begin: `deploy_factor` times as much, that part of it, or no alert begins.
    Construction checks nothing: call `validated`.
    """

    name: str
    query: str
    datasource_uid: str
    query_type: QueryType = QueryType.PROMETHEUS
    check_interval: timedelta = timedelta(seconds=60)
    detection_methods: tuple[str, ...] = ("auto",)
    severity_threshold: Severity = Severity.MEDIUM
    enabled: bool = True
    step: timedelta = timedelta(seconds=60)
    lookback: timedelta = timedelta(hours=1)
    offset: timedelta = timedelta(0)
    history: timedelta = HISTORY
    timezone: str = "UTC"
    sigma_threshold: float | None = None
    false_alerts_per_week: float = 0.35
    false_alerts_per_week_total: float = 3.5
    shadow: bool = False
    unit: str = ""
    denominator: str = ""
    min_denominator: float = 0.0
    log_signal: LogSignal | None = None
    capacity_limit: float | None = None
    capacity_horizon: timedelta = timedelta(days=4)
    after_deploy: AfterDeploy = AfterDeploy.NOTHING
    deploy_for: timedelta = timedelta(minutes=15)
    deploy_factor: float = 1.5
    pending_for: timedelta = timedelta(0)
    keep_firing_for: timedelta = timedelta(minutes=5)
    direction: Direction = Direction.BOTH
    min_effect: float = 0.0
    min_effect_ratio: float = MIN_EFFECT_RATIO
    alert_above: float | None = None
    alert_below: float | None = None
    lower_bound: float | None = None
    upper_bound: float | None = None
    labels: Labels = field(default_factory=Labels)
    description: str = ""
    owner: Owner = Owner.API
    version: int = 1
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def tolerance(self) -> Tolerance | None:
        """What the dial says; None where `sigma_threshold` takes its place."""
        if self.sigma_threshold is not None:
            return None
        merge = max(1, round(self.keep_firing_for / self.step))
        return Tolerance(self.false_alerts_per_week, self.false_alerts_per_week_total, merge)

    @property
    def policy(self) -> Policy:
        """The thresholds as `detect.judge` wants them; a bound that is not given is that of `nature`."""
        return self.policy_beyond((False, False))

    def policy_beyond(self, refuted: Refuted) -> Policy:
        """The same where samples have shown inferred bounds to be wrong: then those, and the unit, are not believed."""
        nature = self.nature
        if any(refuted):
            low, high = refuted
            nature = replace(
                nature,
                unit=self.unit,
                lower_bound=None if low else nature.lower_bound,
                upper_bound=None if high else nature.upper_bound,
            )
        return Policy(
            sigma=self.sigma_threshold or self.severity_threshold.sigma,
            direction=self.direction,
            min_effect=least_effect(
                max(self.min_effect, least_lines(self.log_signal)), self.min_effect_ratio, nature.unit
            ),
            min_effect_ratio=self.min_effect_ratio,
            alert_above=self.alert_above,
            alert_below=self.alert_below,
            lower_bound=nature.lower_bound if self.lower_bound is None else self.lower_bound,
            upper_bound=nature.upper_bound if self.upper_bound is None else self.upper_bound,
        )

    @property
    def asked(self) -> str:
        """The query that its datasource is asked: `query`, or what gives the `log_signal` of it as numbers."""
        return self.query if self.log_signal is None else asked(self.query, self.log_signal, self.step.total_seconds())

    @property
    def nature(self) -> Nature:
        """What its values are: what `unit` says, else what the names in the query do."""
        if self.log_signal is not None:
            return nature_of_signal(self.log_signal, self.unit)
        return nature_of(self.query, self.unit)

    @property
    def reads_back(self) -> timedelta:
        """How much history before the first lookback is read: `history` for `auto` and further methods, more where one
        of those needs more; nothing for the classic four, and for templates, of which each line would have to be read.
        """
        if self.log_signal is LogSignal.TEMPLATES:
            return timedelta(0)
        chosen = choose(self.detection_methods)
        wanted = timedelta(seconds=history_of(chosen.more))
        return max(self.history, wanted) if chosen.auto or chosen.more else timedelta(0)

    @property
    def context(self) -> Context:
        """What methods are told beside the samples."""
        return Context(
            limit=self.capacity_limit,
            lower_limit=self.lower_bound,
            upper_limit=self.upper_bound,
            inferred_limit=self.nature.upper_bound,
            horizon_s=self.capacity_horizon.total_seconds(),
        )

    @property
    def learns_slowly(self) -> bool:
        """Whether an evaluation may compute for seconds."""
        return is_slow(self.detection_methods)

    @property
    def window(self) -> int:
        """How many samples the lookback holds."""
        return max(1, round(self.lookback / self.step))

    @property
    def relearn(self) -> int:
        """After how many samples the baseline is learnt anew: a sixtieth of the lookback, at least three."""
        return relearns_after(self.window)

    def validated(self) -> "Target":
        """This target, or `Invalid` naming the first field that cannot be."""
        check_name(self.name)
        if not self.query.strip():
            raise Invalid("query", "must not be empty")
        if not self.datasource_uid:
            raise Invalid("datasource_uid", "must not be empty")
        _check_signal(self)
        _check_methods(self.detection_methods)
        _check_duration("check_interval", self.check_interval, MIN_INTERVAL, MAX_INTERVAL)
        _check_duration("step", self.step, MIN_INTERVAL, MAX_STEP)
        _check_duration("lookback", self.lookback, 8 * self.step, MAX_LOOKBACK)
        if self.lookback / self.step > MAX_HISTORY_SAMPLES:
            raise Invalid("lookback", f"holds more than {MAX_HISTORY_SAMPLES:,} samples at this step")
        if self.check_interval < self.step:
            raise Invalid("step", "must not be longer than check_interval: there would be nothing new to judge")
        if self.lookback < self.check_interval:
            raise Invalid("lookback", "must not be shorter than check_interval: samples would be missed")
        for name in ("offset", "pending_for", "keep_firing_for"):
            _check_duration(name, getattr(self, name), timedelta(0), MAX_HOLD)
        _check_duration("history", self.history, timedelta(0), MAX_LOOKBACK)
        _check_timezone(self.timezone)
        _check_dial(self)
        _check_capacity(self)
        _check_duration("capacity_horizon", self.capacity_horizon, self.step, MAX_LOOKBACK)
        _check_deploy(self)
        for name in ("min_effect", "min_effect_ratio", "min_denominator"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise Invalid(name, "must be a finite number, zero or more")
        _check_range("lower_bound", self.lower_bound, "upper_bound", self.upper_bound)
        _check_range(
            "alert_above",
            self.alert_above,
            "alert_below",
            self.alert_below,
            ": only values between them count",
        )
        if self.unit not in ("", "none", *UNITS):
            raise Invalid("unit", f"must be one of {', '.join(UNITS)}, or none; not {self.unit!r}")
        return self

    def enabled_as(self, *, enabled: bool) -> "Target":
        """The same target, switched on or off."""
        return replace(self, enabled=enabled)


def check_name(name: str) -> None:
    """Raise `Invalid` unless `name` can name a target: it stands in paths, so no slashes or control characters."""
    if not NAME.fullmatch(name) or name != name.strip():
        raise Invalid(
            "name",
            "must be 1 to 128 letters, digits, spaces or any of _ . : - and begin with a letter, digit or underscore",
        )
    if name.startswith(RESERVED_PREFIXES):
        raise Invalid("name", f"must not begin with {' or '.join(RESERVED_PREFIXES)}: these are kept for ids")


def _check_signal(target: Target) -> None:
    for name in ("query", "denominator"):
        if templates_of(getattr(target, name)) is not None:
            raise Invalid(
                name, "templates is no function of LogQL: give the log query alone, and log_signal: templates"
            )
    if target.log_signal is None:
        return
    if target.query_type is not QueryType.LOKI:
        raise Invalid("log_signal", f"is for log queries of a Loki (query_type: loki), not of {target.query_type}")
    check_lines(target.query)


def _check_methods(methods: tuple[str, ...]) -> None:
    try:
        choose(methods)
    except ValueError as error:
        raise Invalid("detection_methods", str(error)) from error
    missing = missing_extra(methods)
    if missing is not None:
        raise Invalid("detection_methods", missing)


def _check_duration(name: str, value: timedelta, least: timedelta, most: timedelta) -> None:
    if not least <= value <= most:
        days = f" ({many(most.days, 'day')})" if most >= timedelta(days=1) else ""
        raise Invalid(name, f"must be between {_plain(least)} and {_plain(most)} seconds{days}, not {_plain(value)}")


def _plain(length: timedelta) -> str:
    seconds = length.total_seconds()
    return f"{int(seconds):,}" if seconds.is_integer() else f"{seconds:,}"


def _check_timezone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise Invalid("timezone", f"{name!r} is no time zone of the tz database, such as Europe/Berlin") from error


def _check_dial(target: Target) -> None:
    if target.sigma_threshold is not None and not ANOMALOUS <= target.sigma_threshold <= MAX_SIGMA:
        raise Invalid("sigma_threshold", f"must be between {ANOMALOUS:g} and {MAX_SIGMA:g}")
    for name in ("false_alerts_per_week", "false_alerts_per_week_total"):
        if not 0 < getattr(target, name) < float("inf"):
            raise Invalid(name, "must be a finite number above zero; sigma_threshold switches the dial off")


def _check_deploy(target: Target) -> None:
    _check_duration("deploy_for", target.deploy_for, timedelta(0), MAX_HOLD)
    if not 1.0 < target.deploy_factor <= MAX_FACTOR:
        raise Invalid("deploy_factor", f"must be above 1 and at most {MAX_FACTOR:g}")


def _check_capacity(target: Target) -> None:
    limits = (target.capacity_limit, target.lower_bound, target.upper_bound, target.nature.upper_bound)
    if "capacity" in target.detection_methods and all(limit is None for limit in limits):
        raise Invalid(
            "capacity_limit",
            "is what capacity looks ahead to: give it, upper_bound or lower_bound, or a unit that has an upper bound",
        )


def _check_range(name: str, lower: float | None, other: str, upper: float | None, why: str = "") -> None:
    if lower is not None and upper is not None and lower >= upper:
        raise Invalid(name, f"must be below {other}{why}")
