"""What was seen in one series, and the evidence that is kept of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from tocsin.detect import METHODS, SPEAKERS, Severity, number
from tocsin.domain.facts import Facts, bars
from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels
from tocsin.domain.words import sigmas


class ConfidenceKind(StrEnum):
    """What a confidence of monitoring means. CALIBRATED: of alerts told with it so many are real; that of `auto` and of
    the four named methods. TAIL: one minus the tail probability, how improbable it is; that of the further methods.
    """

    CALIBRATED = "calibrated"
    TAIL = "tail"

    @classmethod
    def of(cls, methods: Sequence[str]) -> "ConfidenceKind":
        """That of a verdict by these methods, the strongest first."""
        return cls.CALIBRATED if methods and methods[0] in (*SPEAKERS, *METHODS) else cls.TAIL


MAX_PICTURED = 10_000
"""Anomalies without an alert that go on naming their evidence, the newest ones."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The picture of one series at one moment, frozen: it can be drawn again without the datasource.

    The arrays are (n,) and lie on one grid; None stands for a gap or no opinion. `context` holds what the datasource
    knew beside the numbers (the busiest processes), `notes` what a reader must know (warnings, partial answers),
    `facts` why its newest sample was called odd; None for a recovery, and for what an older version kept.
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
    facts: Facts | None = None

    @property
    def text(self) -> str:
        """The whole of it as plain text, without asking anybody."""
        return render(self)


@dataclass(frozen=True, slots=True)
class Anomaly:
    """The strongest anomalous sample of one series in one evaluation; `samples` says how many there were.

    `confidence` is that of monitoring. `evidence_id` names the frozen evidence of the alert that it belongs to; without
    an alert that of its episode, the anomalies of its series that follow on each other. None where a limit was reached.
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
    facts: Facts | None = None

    @property
    def deviation(self) -> float:
        """Value less expected value, in the metric's unit."""
        return self.value - self.expected_value


MOST_LINES = 12
"""Samples that the text of evidence lists, the newest ones."""


def render(evidence: Evidence) -> str:
    """Evidence as plain text: the sentence, the query, what was known beside, a line of bars and the newest samples."""
    unit = "" if evidence.facts is None else evidence.facts.unit
    window = evidence.window
    head = [] if evidence.facts is None else [evidence.facts.sentence, ""]
    lines = [
        *head,
        f"query       {evidence.query} ({evidence.datasource_uid})",
        f"window      {window.start:%Y-%m-%d %H:%M:%S} to {window.end:%Y-%m-%d %H:%M:%S} UTC, by {window.step_s:g} s",
        f"methods     {', '.join(evidence.methods) or '-'}",
        *(f"asked       {line}" for line in (evidence.facts.asked if evidence.facts else ())),
        *(f"context     {line}" for line in evidence.context),
        *(f"note        {line}" for line in evidence.notes),
        "",
        bars(evidence.values),
        "",
        f"{'time (UTC)':<20}{'value':>14}{'expected':>14}{'lower':>14}{'upper':>14}{'sigma':>8}",
    ]
    columns = (evidence.values, evidence.expected, evidence.lower, evidence.upper)
    for place in range(max(0, len(evidence.timestamps) - MOST_LINES), len(evidence.timestamps)):
        at = datetime.fromtimestamp(evidence.timestamps[place], UTC)
        cells = (column[place] for column in columns)
        words = "".join(f"{'-' if cell is None else number(cell, unit):>14}" for cell in cells)
        sigma = evidence.sigma[place]
        lines.append(f"{at:%Y-%m-%d %H:%M:%S} {words}{'-' if sigma is None else sigmas(sigma):>8}")
    return "\n".join(lines) + "\n"
