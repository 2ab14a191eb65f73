"""What a datasource has: metrics with their types, and the labels of their series."""

from dataclasses import dataclass
from enum import StrEnum

from tocsin.domain.labels import Labels


class MetricKind(StrEnum):
    """The type of a metric, as exporters declare it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric by the name of its series, with the series of now, without `__name__`. `unit` is declared, or ""."""

    name: str
    kind: MetricKind
    series: tuple[Labels, ...]
    unit: str = ""

    def values(self, label: str) -> frozenset[str]:
        """The values of a label."""
        return frozenset(one[label] for one in self.series if label in one)


@dataclass(frozen=True, slots=True)
class Looked:
    """How much was looked at: `count` of `total` `things` (metrics, streams). `notes` say what was left out, why."""

    things: str
    count: int
    total: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The metrics that were looked at, of `total` that there are. `notes` say what was left out, and why."""

    metrics: tuple[Metric, ...]
    total: int
    notes: tuple[str, ...] = ()

    @property
    def looked(self) -> Looked:
        """How much that is."""
        return Looked("metrics", len(self.metrics), self.total, self.notes)
