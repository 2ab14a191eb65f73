"""What was seen in one series, and the evidence that is kept of it."""

from dataclasses import dataclass
from datetime import datetime

from tocsin.detect import Severity
from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels


@dataclass(frozen=True, slots=True)
class Evidence:
    """The picture of one series at one moment, frozen: it can be drawn again without the datasource.

    The arrays are (n,) and lie on one grid; None stands for a gap or no opinion. `context` holds what the datasource
    knew beside the numbers (the busiest processes), `notes` what a reader must know (warnings, partial answers).
    """

    id: str
    query: str
    datasource_uid: str
    window: Window
    methods: tuple[str, ...]
    timestamps: tuple[float, ...]
    values: tuple[float | None, ...]
    expected: tuple[float | None, ...]
    lower: tuple[float | None, ...]
    upper: tuple[float | None, ...]
    sigma: tuple[float | None, ...]
    context: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Anomaly:
    """The strongest anomalous sample of one series in one evaluation; `samples` says how many there were.

    `confidence` is that of monitoring. `evidence_id` names the frozen evidence of the alert that it belongs to;
    an anomaly too weak for an alert has neither `alert_id` nor evidence arrays, only these numbers.
    """

    id: str
    target_name: str
    labels: Labels
    timestamp: datetime
    value: float
    expected_value: float
    lower: float
    upper: float
    sigma: float
    severity: Severity
    confidence: float
    method: str
    methods: tuple[str, ...]
    explanation: str
    query: str
    window: Window
    samples: int = 1
    alert_id: str | None = None
    evidence_id: str | None = None

    @property
    def deviation(self) -> float:
        """Value less expected value, in the metric's unit."""
        return self.value - self.expected_value
