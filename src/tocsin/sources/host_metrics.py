"""What the host source can be asked: its table of metrics and its small query language."""

import re
from dataclasses import dataclass
from enum import StrEnum

from tocsin.domain.errors import Invalid
from tocsin.domain.labels import Labels


class Kind(StrEnum):
    """Which processes explain a metric: those that use CPU, those that hold memory, or none that we can name."""

    CPU = "cpu"
    MEMORY = "memory"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that is measured about this machine."""

    name: str
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Kind = Kind.OTHER


PROCESS_WINDOW_S = 15.0
"""Over how many seconds the CPU use of a process is averaged: long enough that a compiler's many short children count
little, short enough that one stuck process is seen soon."""

METRICS: tuple[Metric, ...] = (
    Metric("host_cpu_ratio", "ratio 0..1", "CPU time not idle and not waiting for I/O, all cores.", (), Kind.CPU),
    Metric("host_cpu_core_ratio", "ratio 0..1", "The same of each core.", ("cpu",), Kind.CPU),
    Metric("host_iowait_ratio", "ratio 0..1", "CPU time spent waiting for I/O, all cores.", (), Kind.CPU),
    Metric("host_load1", "processes", "Load average over one minute.", (), Kind.CPU),
    Metric("host_load1_per_core", "processes per core", "Load average over one minute per core.", (), Kind.CPU),
    Metric("host_memory_used_ratio", "ratio 0..1", "Memory that is not available without swapping.", (), Kind.MEMORY),
    Metric("host_memory_available_bytes", "bytes", "Memory available without swapping.", (), Kind.MEMORY),
    Metric("host_swap_used_ratio", "ratio 0..1", "Swap space in use; absent without swap.", (), Kind.MEMORY),
    Metric("host_swap_io_bytes_per_second", "bytes/s", "Swapped in and out.", (), Kind.MEMORY),
    Metric("host_disk_used_ratio", "ratio 0..1", "Space used, as an ordinary user sees it.", ("device", "mountpoint")),
    Metric("host_disk_read_bytes_per_second", "bytes/s", "Read from the disk.", ("device",)),
    Metric("host_disk_write_bytes_per_second", "bytes/s", "Written to the disk.", ("device",)),
    Metric("host_disk_busy_ratio", "ratio 0..1", "Time in which the disk had work; where available.", ("device",)),
    Metric("host_network_receive_bytes_per_second", "bytes/s", "Received.", ("device",)),
    Metric("host_network_transmit_bytes_per_second", "bytes/s", "Sent.", ("device",)),
    Metric("host_network_errors_per_second", "errors/s", "Errors and drops, both directions.", ("device",)),
    Metric(
        "host_process_cpu_cores",
        "cores",
        "CPU cores used by the busiest single process, averaged over its last 15 seconds.",
        (),
        Kind.CPU,
    ),
    Metric(
        "host_process_memory_ratio", "ratio 0..1", "Resident memory of the largest single process.", (), Kind.MEMORY
    ),
)
"""Every metric, in the order of the documentation. Each series carries its metric's name as `__name__`."""

BY_NAME = {metric.name: metric for metric in METRICS}

MAX_QUERY_CHARACTERS = 2000
_QUERY = re.compile(r"\s*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(?P<matchers>.*)\})?\s*", re.DOTALL)
_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!=|!~|=)\s*"((?:[^"\\]|\\["\\])*)"\s*(,|$)')


@dataclass(frozen=True, slots=True)
class Selector:
    """A parsed query: a metric and labels that must be equal."""

    metric: Metric
    matchers: tuple[tuple[str, str], ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Whether a series of the metric is meant; an absent label counts as empty, as in PromQL."""
        return all(labels.get(name, "") == value for name, value in self.matchers)


def parse_query(query: str) -> Selector:
    """`name` or `name{label="value", …}`; raises `Invalid("query", why)`."""
    if len(query) > MAX_QUERY_CHARACTERS:
        raise Invalid("query", f"is longer than {MAX_QUERY_CHARACTERS} characters")
    found = _QUERY.fullmatch(query)
    if found is None:
        raise Invalid("query", 'must be a host metric like host_cpu_ratio or host_cpu_core_ratio{cpu="0"}')
    metric = BY_NAME.get(found["name"])
    if metric is None:
        raise Invalid("query", f"unknown host metric {found['name']!r}; known are {', '.join(BY_NAME)}")
    return Selector(metric, _matchers(metric, found["matchers"] or ""))


def _matchers(metric: Metric, text: str) -> tuple[tuple[str, str], ...]:
    matchers: list[tuple[str, str]] = []
    at = 0
    while text[at:].strip():
        found = _MATCHER.match(text, at)
        if found is None:
            raise Invalid("query", f'cannot read {text[at:].strip()[:60]!r}: matchers look like label="value"')
        name, operator, value = found[1], found[2], found[3]
        if operator != "=":
            raise Invalid("query", f"the host source knows only equality matchers, not {name}{operator}")
        if name not in metric.labels:
            has = ", ".join(metric.labels) or "no labels"
            raise Invalid("query", f"{metric.name} has no label {name!r}; it has {has}")
        matchers.append((name, re.sub(r"\\(.)", r"\1", value)))
        at = found.end()
    return tuple(matchers)
