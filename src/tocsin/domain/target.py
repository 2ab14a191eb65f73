"""What is watched: how often, over what history, how strictly."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

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
from tocsin.domain.checks import check_duration, check_least, check_range, check_some, check_timezone
from tocsin.domain.errors import Invalid
from tocsin.domain.events import AfterDeploy
from tocsin.domain.labels import Labels
from tocsin.domain.log_signal import LogSignal, asked, least_lines, templates_of
from tocsin.domain.logql import check_lines
from tocsin.domain.matters import MIN_EFFECT_RATIO, least_effect
from tocsin.domain.nature import UNITS, Nature, nature_of, nature_of_signal

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
        """This target, or `Invalid` naming all fields that cannot be, each with the first reason."""
        found: dict[str, Invalid] = {}
        for check in _checks(self):
            try:
                check()
            except Invalid as error:
                found.setdefault(error.field, error)
        if found:
            first, *more = found.values()
            raise Invalid(first.field, first.reason, more)
        return self

    def enabled_as(self, *, enabled: bool) -> "Target":
        """The same target, switched on or off."""
        return replace(self, enabled=enabled)


def _checks(target: Target) -> Iterator[Callable[[], None]]:
    """All that has to hold, each raising `Invalid`."""
    yield partial(check_name, target.name)
    for name in ("query", "datasource_uid"):
        yield partial(check_some, name, getattr(target, name))
    for name in ("query", "denominator"):
        yield partial(_check_no_templates, name, getattr(target, name))
    yield partial(_check_signal, target)
    yield partial(_check_methods, target.detection_methods)
    yield from _checks_of_time(target)
    yield partial(check_timezone, target.timezone)
    yield partial(_check_sigma, target.sigma_threshold)
    for name in ("false_alerts_per_week", "false_alerts_per_week_total"):
        yield partial(_check_tolerated, name, getattr(target, name))
    yield partial(_check_capacity, target)
    yield partial(_check_factor, target.deploy_factor)
    for name in ("min_effect", "min_effect_ratio", "min_denominator"):
        yield partial(check_least, name, getattr(target, name))
    yield partial(check_range, "lower_bound", target.lower_bound, "upper_bound", target.upper_bound)
    yield partial(_check_inferred, target)
    between = ": only values between them count"
    yield partial(check_range, "alert_above", target.alert_above, "alert_below", target.alert_below, between)
    yield partial(_check_unit, target.unit)


def _checks_of_time(target: Target) -> Iterator[Callable[[], None]]:
    """Those of durations; what has its default from one that cannot be is not looked at."""
    yield partial(check_duration, "check_interval", target.check_interval, MIN_INTERVAL, MAX_INTERVAL)
    for name in ("offset", "pending_for", "keep_firing_for", "deploy_for"):
        yield partial(check_duration, name, getattr(target, name), timedelta(0), MAX_HOLD)
    yield partial(check_duration, "history", target.history, timedelta(0), MAX_LOOKBACK)
    if not MIN_INTERVAL <= target.check_interval <= MAX_INTERVAL:
        return
    yield partial(check_duration, "step", target.step, MIN_INTERVAL, MAX_STEP)
    if not MIN_INTERVAL <= target.step <= MAX_STEP:
        return
    yield partial(check_duration, "lookback", target.lookback, 8 * target.step, MAX_LOOKBACK)
    yield partial(check_duration, "capacity_horizon", target.capacity_horizon, target.step, MAX_LOOKBACK)
    yield partial(_check_step, target)
    yield partial(_check_lookback, target)


def check_name(name: str) -> None:
    """Raise `Invalid` unless `name` can name a target: it stands in paths, so no slashes or control characters."""
    if not NAME.fullmatch(name) or name != name.strip():
        raise Invalid(
            "name",
            "must be 1 to 128 letters, digits, spaces or any of _ . : - and begin with a letter, digit or underscore",
        )
    if name.startswith(RESERVED_PREFIXES):
        raise Invalid("name", f"must not begin with {' or '.join(RESERVED_PREFIXES)}: these are kept for ids")


def _check_step(target: Target) -> None:
    if target.check_interval < target.step:
        raise Invalid("step", "must not be longer than check_interval: there would be nothing new to judge")


def _check_lookback(target: Target) -> None:
    if target.lookback / target.step > MAX_HISTORY_SAMPLES:
        raise Invalid("lookback", f"holds more than {MAX_HISTORY_SAMPLES:,} samples at this step")
    if target.lookback < target.check_interval:
        raise Invalid("lookback", "must not be shorter than check_interval: samples would be missed")


def _check_no_templates(name: str, text: str) -> None:
    if templates_of(text) is not None:
        raise Invalid(name, "templates is no function of LogQL: give the log query alone, and log_signal: templates")


def _check_signal(target: Target) -> None:
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


def _check_sigma(sigma: float | None) -> None:
    if sigma is not None and not ANOMALOUS <= sigma <= MAX_SIGMA:
        raise Invalid("sigma_threshold", f"must be between {ANOMALOUS:g} and {MAX_SIGMA:g}")


def _check_tolerated(name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise Invalid(name, "must be a finite number above zero; sigma_threshold switches the dial off")


def _check_factor(factor: float) -> None:
    if not 1.0 < factor <= MAX_FACTOR:
        raise Invalid("deploy_factor", f"must be above 1 and at most {MAX_FACTOR:g}")


def _check_unit(unit: str) -> None:
    if unit not in ("", "none", *UNITS):
        raise Invalid("unit", f"must be one of {', '.join(UNITS)}, or none; not {unit!r}")


def _check_capacity(target: Target) -> None:
    limits = (target.capacity_limit, target.lower_bound, target.upper_bound, target.nature.upper_bound)
    if "capacity" in target.detection_methods and all(limit is None for limit in limits):
        raise Invalid(
            "capacity_limit",
            "is what capacity looks ahead to: give it, upper_bound or lower_bound, or a unit that has an upper bound",
        )


def _check_inferred(target: Target) -> None:
    """A bound that is given alone is held against the other one, which the unit or the query has."""
    low, high, nature = target.lower_bound, target.upper_bound, target.nature
    whose = f"of the unit {nature.unit}" if nature.origin == "unit" else "that the query tells"
    if low is not None and high is None and nature.upper_bound is not None and low >= nature.upper_bound:
        most = f"{nature.upper_bound:g}, the greatest value {whose}"
        raise Invalid("lower_bound", f"must be below {most}; give upper_bound where another is possible")
    if high is not None and low is None and nature.lower_bound is not None and high <= nature.lower_bound:
        least = f"{nature.lower_bound:g}, the least value {whose}"
        raise Invalid("upper_bound", f"must be above {least}; give lower_bound where another is possible")
