"""What a back-test has found so far: as much as is shown in full, the rest as numbers."""

from collections import Counter
from dataclasses import dataclass, field, replace

from tocsin.detect import Severity
from tocsin.domain.alert import Alert, Transition
from tocsin.domain.anomaly import Anomaly
from tocsin.domain.denominator import NO_WEIGHT
from tocsin.domain.errors import Invalid
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.frame import Frame
from tocsin.domain.grouping import Fired, fired
from tocsin.domain.labels import Fingerprint
from tocsin.domain.words import many

MAX_LISTED = 1000
"""How many alerts, transitions and anomalies a result lists; the totals count all."""

MAX_FIRED = 50_000
"""Alerts that a back-test counts; whoever would get more needs no exact number."""

MAX_WARNINGS = 20
"""Warnings of a datasource that are repeated; a long past is read in many parts."""


@dataclass(slots=True)
class Tally:
    """`alerts` holds the first of those that fired, `fired` all of them in short, both by id; at `most` so many."""

    most: int = MAX_FIRED
    alerts: dict[str, Alert] = field(default_factory=dict)
    fired: dict[str, Fired] = field(default_factory=dict)
    transitions: list[Transition] = field(default_factory=list)
    transitions_total: int = 0
    anomalies: list[Anomaly] = field(default_factory=list)
    anomalies_total: int = 0
    suppressed: int = 0
    evaluations: int = 0
    samples: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    warned: dict[str, None] = field(default_factory=dict)
    series: set[Fingerprint] = field(default_factory=set)
    judged: bool = False
    """Whether a sample had an opinion; without one no alert means nothing."""
    inside: bool = False
    """Whether there was a sample in the window at all."""
    thin: int = 0
    weighed: int = 0
    thin_why: str = ""

    def add(self, evaluation: Evaluation) -> None:
        """What one evaluation would have changed; raises `Invalid` above `most` alerts."""
        for one in fired(evaluation.alerts, evaluation.transitions):
            old = self.fired.get(one.alert_id)
            self.fired[one.alert_id] = (
                one if old is None else replace(one, severity=old.severity, rises=old.rises + one.rises)
            )
        if len(self.fired) > self.most:
            by = f"{evaluation.at:%Y-%m-%d %H:%M}Z"
            reason = f"would raise more than {self.most:,} alerts by {by}; be stricter, or ask for a shorter time"
            raise Invalid("target", reason)
        for alert in evaluation.alerts:
            if alert.id in self.alerts or (alert.starts_at is not None and len(self.alerts) < MAX_LISTED):
                self.alerts[alert.id] = alert
        self.transitions.extend(evaluation.transitions[: MAX_LISTED - len(self.transitions)])
        self.transitions_total += len(evaluation.transitions)
        self.anomalies.extend(evaluation.anomalies[: MAX_LISTED - len(self.anomalies)])
        self.anomalies_total += len(evaluation.anomalies)
        self.suppressed += evaluation.suppressed

    def read(self, frame: Frame) -> None:
        """Count what the datasource answered."""
        self.samples += frame.samples
        self.dropped.update(frame.dropped)
        if frame.thin is not None:
            thin = int(frame.thin.sum())
            self.thin, self.weighed = self.thin + thin, self.weighed + thin + frame.samples
        for each in frame.warnings:
            if NO_WEIGHT in each:
                # Of a part; what is said counts the whole.
                self.thin_why = each.partition(NO_WEIGHT)[2]
            elif len(self.warned) < MAX_WARNINGS:
                self.warned[each] = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know."""
        said = list(self.warned)
        if not self.series:
            said.insert(0, "nothing was judged: the query has returned no series")
        elif not self.judged and not self.inside:
            said.insert(0, "nothing was judged: no series has a sample in this window")
        elif not self.judged:
            said.insert(0, "nothing was judged: too little history, or too few series, for an opinion of any sample")
        if self.thin:
            said.append(f"{self.thin:,} of {self.weighed:,} {NO_WEIGHT}{self.thin_why}")
        if self.dropped:
            counted = ", ".join(f"{count} {kind}" for kind, count in sorted(self.dropped.items()))
            said.append(f"samples that cannot be judged were read as gaps: {counted}")
        if self.suppressed:
            said.append(f"{many(self.suppressed, 'alert')} not begun: limit of one evaluation")
        return tuple(said)

    @property
    def by_severity(self) -> dict[Severity, int]:
        """How many alerts came to be how bad."""
        return dict(Counter(one.worst for one in self.fired.values()))
