"""Which targets a datasource's metrics suggest: rate, errors and duration of requests; use, saturation and errors of
resources. Pure.

RED (Wilkie 2015) and USE (Gregg, "Thinking methodically about performance", 2013), recognised by the names, types and
units that exporters give their metrics (Prometheus' naming practices).
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from tocsin.detect import Direction
from tocsin.domain.catalogue import Catalogue, Metric, MetricKind
from tocsin.domain.labels import Labels
from tocsin.domain.log_signal import LogSignal

MAX_GROUPS = 30
"""Series of one suggested target; labels are kept as long as they make no more."""

MOST_VALUES = 20
"""A label with more values is not kept: it names things that come and go."""

RANGE = "5m"
ABSENCE = ("absence",)
_BEAT = "_heartbeat"
_LONGEST = 128
_PLAIN = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_TIMES = ("seconds", "milliseconds")

_PREFERRED = (
    "job", "service", "namespace", "cluster", "instance", "app", "handler", "route", "method", "device", "mountpoint",
    "queue", "topic",
)  # fmt: skip
_NEVER = frozenset({
    "__name__", "le", "quantile", "mode", "cpu", "id", "uid", "pod", "pod_name", "container", "container_id", "image",
    "version", "revision", "fstype", "path", "url", "user", "client", "address", "replica",
})  # fmt: skip
_CODES = ("code", "status", "status_code", "http_status", "response_code")
_NOISE = {
    "device": r"lo|veth.*|docker.*|br-.*|virbr.*|loop.*|ram.*|sr[0-9]+",
    "fstype": r"tmpfs|devtmpfs|ramfs|overlay|squashfs|iso9660|nsfs",
}
_SHARES = (
    ("_avail_bytes", "_size_bytes", "free"),
    ("_MemAvailable_bytes", "_MemTotal_bytes", "free"),
    ("_SwapFree_bytes", "_SwapTotal_bytes", "free"),
    ("_files_free", "_files", "free"),
    ("_free_bytes", "_total_bytes", "free"),
    ("_open_fds", "_max_fds", "used"),
    ("_used_bytes", "_max_bytes", "used"),
    ("_used_bytes", "_size_bytes", "used"),
    ("_usage_bytes", "_limit_bytes", "used"),
    ("_used", "_limit", "used"),
    ("_entries", "_entries_limit", "used"),
    ("_allocated", "_maximum", "used"),
)
_FAILURES = re.compile(
    r"_(errs?|errors?|failures?|failed|dropped?|rejected|timeouts?|exceptions|panics|oom_kills?)(_total)?$"
)
_TRAFFIC = re.compile(r"_(receive|received|transmit|transmitted|sent|read|written|network_\w+)_bytes(_total)?$")
_WAITED = re.compile(r"_(waiting|stalled|throttled)_seconds_total$")
_QUEUES = re.compile(
    r"(queue(_length|_size|_depth|d)?|backlog|pending|in_?flight|waiting|lag(_seconds)?|load1|goroutines|"
    r"connections|sessions|procs_(blocked|running))$"
)
_BEATS = re.compile(r"(heart_?beats?|keep_?alives?|watchdog)(_total)?$")
_MOMENTS = re.compile(
    r"(_last_(success|successful|run|completed|completion|finished|backup)(_\w+)?|heart_?beat)_(timestamp|time)(_seconds)?$"
)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A target to review: its name, its query, and which signal it is of what; the rest is as in `Target`.

    `beat` is a query that has samples only while the thing is alive: what is watched, with the method `absence`, where
    the values of `query` never move. `seen` asks whether the metric itself is there.
    """

    name: str
    query: str
    why: str
    direction: Direction = Direction.BOTH
    unit: str = ""
    log_signal: LogSignal | None = None
    denominator: str = ""
    min_denominator: float = 0.0
    beat: str = ""
    seen: str = ""
    methods: tuple[str, ...] = ("auto",)

    @property
    def is_beat(self) -> bool:
        """Whether it is watched only for being there."""
        return self.methods == ABSENCE

    def as_beat(self) -> "Suggestion":
        """What is watched in its place where its values never move."""
        base = re.sub("_(share|rate)$", "", self.name)
        return Suggestion(
            f"{base[: _LONGEST - len(_BEAT)]}{_BEAT}",
            self.beat,
            f"heartbeat: its value never moves, so only whether it is there is watched (absence); {self.why}",
            seen=self.seen,
            methods=ABSENCE,
        )


def plain(name: str) -> bool:
    """Whether a metric or label is called what every Prometheus takes unquoted; a query is made of no other name."""
    return _PLAIN.fullmatch(name) is not None


def wanted(name: str, kind: MetricKind = MetricKind.UNKNOWN, unit: str = "") -> bool:
    """Whether a metric like that may suggest something; its series need be read only then."""
    if not plain(name):
        return False
    if kind is MetricKind.SUMMARY and unit in _TIMES:
        return True
    return any(rule.search(name) for rule in (_FAILURES, _TRAFFIC, _WAITED, _QUEUES, _BEATS, _MOMENTS, _MORE)) or any(
        name.endswith(suffix) for pair in _SHARES for suffix in pair[:2]
    )


_MORE = re.compile(
    r"(_requests?_total|_handled_total|_bucket|_cpu_seconds_total|_io_time_seconds_total|resident_memory_bytes|"
    r"_(seconds|milliseconds)|^up)$"
)


def suggest(catalogue: Catalogue) -> tuple[Suggestion, ...]:
    """Targets by signal: errors, durations, rates, then use and saturation; names are all different."""
    by_name = {metric.name: metric for metric in catalogue.metrics if metric.series}
    found: dict[str, Suggestion] = {}
    for rule in _RULES:
        for metric in by_name.values():
            for one in rule(metric, by_name):
                found.setdefault(one.name, replace(one, seen=f"count({metric.name})"))
    return tuple(found.values())


def kept(series: Iterable[Labels]) -> tuple[str, ...]:
    """The labels worth keeping apart: those that differ, few enough to be watched one by one."""
    all_of_them = list(series)
    names = {name for one in all_of_them for name in one if plain(name)} - _NEVER - set(_CODES)
    order = [name for name in _PREFERRED if name in names] + sorted(names - set(_PREFERRED))
    # Another instance may come: what belongs to one is not added up with that of another.
    return apart(all_of_them, order, always="instance")


def apart(series: Collection[Labels], order: Iterable[str], always: str) -> tuple[str, ...]:
    """Those labels that tell series apart, the first of the order first, as long as they make few groups; `always` is
    kept also where all have the same value.
    """
    chosen: list[str] = []
    for name in order:
        values = {one.get(name) for one in series}
        groups = {tuple(one.get(each) for each in (*chosen, name)) for one in series}
        before = len({tuple(one.get(each) for each in chosen) for one in series})
        parts = len(values) >= 2 and before < len(groups)
        if (parts or name == always) and len(values) <= MOST_VALUES and len(groups) <= MAX_GROUPS:
            chosen.append(name)
    return tuple(chosen)


def _requests(metric: Metric, _: Mapping[str, Metric]) -> Iterator[Suggestion]:
    if not (metric.name.endswith(("_requests_total", "_request_total", "_handled_total"))):
        return
    rate = _over("sum", metric, _rate(_selected(metric)))
    code = next((name for name in _CODES if metric.values(name)), None)
    if code is not None and any(value.isdigit() for value in metric.values(code)):
        failed = _selected(metric, f'{code}=~"5.."')
        bad = _over("sum", metric, _rate(failed))
        # Where nothing failed yet there is no series of failures: that is a ratio of zero, not a gap.
        yield Suggestion(
            _name(metric, "error_ratio"),
            f"({bad} or 0 * {rate}) / {rate}",
            f"RED, errors: the share of {metric.name} that was answered with 5xx",
            Direction.ABOVE,
            "ratio",
        )
    # A device is a resource, not a service.
    signal = "USE, utilisation" if metric.values("device") else "RED, rate"
    yield Suggestion(_name(metric, "rate"), rate, f"{signal}: {metric.name} a second", beat=f"{rate} > 0")


def _durations(metric: Metric, _: Mapping[str, Metric]) -> Iterator[Suggestion]:
    base = metric.name.removesuffix("_bucket")
    unit = next((unit for unit in _TIMES if metric.unit == unit or base.endswith(f"_{unit}")), "")
    shown = "seconds" if unit == "seconds" else ""
    if base != metric.name and unit and metric.values("le"):
        by = ", ".join(("le", *kept(metric.series)))
        yield Suggestion(
            _name(metric, "p95", base),
            f"histogram_quantile(0.95, sum by ({by}) (rate({_selected(metric)}[{RANGE}])))",
            f"RED, duration: the 95th percentile of {base}",
            Direction.ABOVE,
            shown,
        )
    quantiles = sorted(value for value in metric.values("quantile") if value in ("0.9", "0.95", "0.99"))
    if quantiles and unit:
        chosen = _selected(metric, f'quantile="{quantiles[-1]}"')
        yield Suggestion(
            _name(metric, f"p{quantiles[-1].removeprefix('0.').ljust(2, '0')}"),
            _over("max", metric, chosen),
            f"RED, duration: quantile {quantiles[-1]} of {metric.name}",
            Direction.ABOVE,
            shown,
        )


def _failures(metric: Metric, _: Mapping[str, Metric]) -> Iterator[Suggestion]:
    if _FAILURES.search(metric.name) and _counts(metric):
        yield Suggestion(
            _name(metric, "rate"),
            _over("sum", metric, _rate(_selected(metric))),
            f"USE, errors: {metric.name} a second",
            Direction.ABOVE,
        )


def _processors(metric: Metric, _: Mapping[str, Metric]) -> Iterator[Suggestion]:
    if not metric.name.endswith("_cpu_seconds_total"):
        return
    if "idle" in metric.values("mode"):
        idle = _selected(metric, 'mode="idle"')
        yield Suggestion(
            _name(metric, "busy_percent"),
            f"100 * (1 - {_over('avg', metric, _rate(idle))})",
            f"USE, utilisation: how busy the processors are, from {metric.name}",
            Direction.ABOVE,
            "percent",
        )
    elif not metric.values("mode"):
        yield Suggestion(
            _name(metric, "cores"),
            _over("sum", metric, _rate(_selected(metric))),
            f"USE, utilisation: cores used, from {metric.name}",
        )


def _shares(metric: Metric, by_name: Mapping[str, Metric]) -> Iterator[Suggestion]:
    for part, whole, meaning in _SHARES:
        if not metric.name.endswith(part):
            continue
        other = by_name.get(metric.name.removesuffix(part) + whole)
        if other is None:
            continue
        share = f"{_over('sum', metric, _selected(metric))} / {_over('sum', metric, _selected(other))}"
        yield Suggestion(
            _name(metric, "used_percent", metric.name.removesuffix(part)),
            f"100 * (1 - {share})" if meaning == "free" else f"100 * {share}",
            f"USE, utilisation: the share of {other.name} that is used",
            Direction.ABOVE,
            "percent",
        )
        return


def _busy_time(metric: Metric, _: Mapping[str, Metric]) -> Iterator[Suggestion]:
    if metric.name.endswith("_io_time_seconds_total"):
        yield Suggestion(
            _name(metric, "share"),
            _over("sum", metric, _rate(_selected(metric))),
            f"USE, utilisation: the share of time in which it was busy, from {metric.name}",
            Direction.ABOVE,
        )
    elif _WAITED.search(metric.name):
        yield Suggestion(
            _name(metric, "share"),
            _over("sum", metric, _rate(_selected(metric))),
            f"USE, saturation: the share of time in which work had to wait, from {metric.name}",
            Direction.ABOVE,
        )


def _traffic(metric: Metric, _: Mapping[str, Metric]) -> Iterator[Suggestion]:
    if _TRAFFIC.search(metric.name) and _counts(metric):
        yield Suggestion(
            _name(metric, "rate"),
            _over("sum", metric, _rate(_selected(metric))),
            f"USE, utilisation: {metric.name} a second",
            beat=f"{_over('sum', metric, _rate(_selected(metric)))} > 0",
        )


def _levels(metric: Metric, _: Mapping[str, Metric]) -> Iterator[Suggestion]:
    if metric.kind not in (MetricKind.GAUGE, MetricKind.UNKNOWN):
        return
    if _QUEUES.search(metric.name):
        why = f"USE, saturation: work that waits or is under way, from {metric.name}"
    elif metric.name.endswith("resident_memory_bytes"):
        why = f"USE, utilisation: memory that is held, from {metric.name}"
    else:
        return
    yield Suggestion(_name(metric, ""), _over("sum", metric, _selected(metric)), why, Direction.ABOVE)


def _alive(metric: Metric, _: Mapping[str, Metric]) -> Iterator[Suggestion]:
    if metric.name == "up":
        query, beat = "avg by (job) (up)", f"{_over('max', metric, 'up')} > 0"
        why = "the share of scraped instances that answer"
        yield Suggestion("up_share", query, why, Direction.BELOW, "ratio", beat=beat)


def _beats(metric: Metric, _: Mapping[str, Metric]) -> Iterator[Suggestion]:
    """What says by its moving that something is alive: it has samples while it moves, and none when it stands still."""
    if _BEATS.search(metric.name) and _counts(metric):
        moved = f"{_over('sum', metric, _rate(_selected(metric)))} > 0"
    elif _MOMENTS.search(metric.name) and metric.kind in (MetricKind.GAUGE, MetricKind.UNKNOWN):
        moved = f"{_over('max', metric, f'changes({_selected(metric)}[{RANGE}])')} > 0"
    else:
        return
    short = re.sub("_(timestamp|time)$", "", _name(metric, ""))
    short = re.sub("_?heart_?beats?$", "", short)
    why = f"heartbeat: whether {metric.name} still moves is watched (absence), not its value"
    name = f"{short[: _LONGEST - len(_BEAT)]}{_BEAT}".lstrip("_")
    yield Suggestion(name, moved, why, methods=ABSENCE)


_RULES: tuple[Callable[[Metric, Mapping[str, Metric]], Iterator[Suggestion]], ...] = (
    _requests, _durations, _failures, _processors, _shares, _busy_time, _traffic, _levels, _alive, _beats,
)  # fmt: skip


def _counts(metric: Metric) -> bool:
    return metric.kind is MetricKind.COUNTER or (metric.kind is MetricKind.UNKNOWN and metric.name.endswith("_total"))


def _over(operator: str, metric: Metric, inner: str) -> str:
    """The aggregation that keeps the labels worth keeping."""
    labels = kept(_loud(metric))
    return f"{operator} by ({', '.join(labels)}) ({inner})" if labels else f"{operator}({inner})"


def _rate(selected: str) -> str:
    return f"rate({selected}[{RANGE}])"


def _loud(metric: Metric) -> list[Labels]:
    """The series that are not left out as noise."""
    rules = {label: re.compile(pattern) for label, pattern in _NOISE.items()}
    return [
        one for one in metric.series if not any(rule.fullmatch(one.get(label, "")) for label, rule in rules.items())
    ]


def _selected(metric: Metric, *matchers: str) -> str:
    """The metric with matchers, among them those that leave out devices and file systems of no interest."""
    every = list(matchers)
    for label, pattern in _NOISE.items():
        if any(re.fullmatch(pattern, value) for value in metric.values(label)):
            every.append(f'{label}!~"{pattern}"')
    return f"{metric.name}{{{', '.join(every)}}}" if every else metric.name


def _name(metric: Metric, what: str, base: str = "") -> str:
    """A name for the target: the metric's, without what its unit and type add, and what is watched of it."""
    short = (base or metric.name).removesuffix("_total").removesuffix("_bytes").removesuffix("_seconds")
    return (f"{short}_{what}" if what else short)[:_LONGEST]
