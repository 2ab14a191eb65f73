"""Back-tests in JSON: what is asked, and the answer down to the message."""

from datetime import datetime
from typing import Annotated

from pydantic import Discriminator, Field, Tag

from tocsin.api.models_alert import AlertFacts, TransitionAnswer
from tocsin.api.models_anomaly import AnomalyAnswer
from tocsin.api.models_common import AnswerModel, Duration, Instant, RequestModel, WindowAnswer, Word
from tocsin.api.models_target import LabelMap, TargetPatch, TargetRequest
from tocsin.api.reasons import SAVED, UNSAVED
from tocsin.detect import Severity
from tocsin.domain.grouping import Occasion
from tocsin.domain.incidents import Outcome

MOST_INCIDENTS = 1000
MOST_PLOT_SERIES = 20
MOST_PLOT_POINTS = 2000


def _form(target: object) -> str:
    return SAVED if isinstance(target, str) else UNSAVED


Past = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class IncidentRequest(RequestModel):
    """A time in which something was really wrong; `labels` narrow it to the series that have them."""

    start: Instant
    end: Instant
    labels: LabelMap = Field(default={})


class BacktestRequest(RequestModel):
    """A saved target by name, or a definition of one, over a past: `start` and `end` (default now), or the last `days`
    or `hours`. With `change`, a patch as for `PATCH`, the changed target is back-tested and compared with the target
    as it is; both as if they were enabled. `incidents`, where none are given those that people have marked, are held
    against the alerts. `plot` adds the series with the most alerts, thinned out.
    """

    target: Annotated[
        Annotated[Word, Tag(SAVED)] | Annotated[TargetRequest, Tag(UNSAVED)],
        Discriminator(_form),
    ]
    change: TargetPatch | None = None
    start: Instant | None = None
    end: Instant | None = None
    days: Annotated[Past, Field(le=366)] | None = None
    hours: Annotated[Past, Field(le=366 * 24)] | None = None
    incidents: Annotated[list[IncidentRequest], Field(max_length=MOST_INCIDENTS)] = Field(default=[])
    plot: Annotated[bool, Field(strict=True)] = False
    plot_series: Annotated[int, Field(strict=True, ge=1, le=MOST_PLOT_SERIES)] = 6
    plot_points: Annotated[int, Field(strict=True, ge=50, le=MOST_PLOT_POINTS)] = 800


class MessageAnswer(AnswerModel):
    """One message about a group: how many of its alerts fire then, and how many ended since the message before."""

    at: datetime
    occasion: Occasion
    firing: int
    ended: int


class GroupAnswer(AnswerModel):
    """Alerts that are told together. One that was over before it could be told has no messages."""

    begins_at: datetime
    ends_at: datetime | None
    severity: Severity
    alerts_total: int
    alert_ids: list[str]
    messages_total: int
    messages: list[MessageAnswer]


class FateAnswer(AnswerModel):
    """What became of an incident: `delay_s` from its start to the first alert that fired in it."""

    start: datetime
    end: datetime
    labels: dict[str, str]
    outcome: Outcome
    alert_id: str | None
    delay_s: float | None


class ReckoningAnswer(AnswerModel):
    """How the alerts stand to the incidents, which are in the order of the request. `precision`: the share of alerts
    that lie in one, null without alerts. `unseen`: incidents in which no series that they concern had a sample, which
    are not missed. `false_alerts_per_series_week`: the others, of one series in a week. `alerts_in_maintenance`: those
    in a marked maintenance and in no incident, which are neither.
    """

    caught: int
    missed: int
    unseen: int
    false_alerts: int
    alerts_in_maintenance: int
    precision: float | None
    false_alerts_per_series_week: float | None
    items: list[FateAnswer]


class SummaryAnswer(AnswerModel):
    """The target as it is, in numbers."""

    evaluations: int
    alerts_total: int
    groups_total: int
    messages_total: int
    anomalies_total: int
    by_severity: dict[Severity, int]
    incidents_caught: int | None
    false_alerts: int | None
    warnings: list[str]


class FiredAnswer(AnswerModel):
    """An alert in short; `severity` is the worst it came to."""

    id: str
    labels: dict[str, str]
    severity: Severity
    active_at: datetime
    starts_at: datetime
    ends_at: datetime | None


class DifferenceAnswer(AnswerModel):
    """What the change does. `alerts`, `groups`, `messages`: how many more there are with it, negative for fewer.

    An alert is kept when there is one of the same series that overlaps it in time. `added` and `gone` list the first
    ones; incidents are named by their place in the request.
    """

    alerts: int
    groups: int
    messages: int
    alerts_added: int
    alerts_gone: int
    alerts_kept: int
    added: list[FiredAnswer]
    gone: list[FiredAnswer]
    incidents_gained: list[int]
    incidents_lost: list[int]


class SketchedSeriesAnswer(AnswerModel):
    """One series of a plot: `min` and `max` of its values in each column, the mean of what was expected, and the widest
    band; `spans` are its alerts.
    """

    labels: dict[str, str]
    min: list[float | None]
    max: list[float | None]
    expected: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    alerts_total: int
    spans: list[FiredAnswer]


class SketchAnswer(AnswerModel):
    """The plot of a back-test: columns of `column` seconds that begin at `timestamps` (unix seconds). `unit` is what
    the values are, "" where that is not known.
    """

    column: Duration
    timestamps: list[float]
    series: list[SketchedSeriesAnswer]
    series_total: int
    notes: list[str]
    unit: str


class BacktestAnswer(AnswerModel):
    """What would have fired over `window`, and when. Lists are cut at a limit, the totals are not. `judged`: whether
    any sample had an opinion; where none had, no alert means nothing, and `warnings` say why.
    """

    target: str
    window: WindowAnswer
    series: int
    samples: int
    evaluations: int
    alerts: list[AlertFacts]
    alerts_total: int
    groups: list[GroupAnswer]
    groups_total: int
    messages_total: int
    transitions: list[TransitionAnswer]
    transitions_total: int
    anomalies: list[AnomalyAnswer]
    anomalies_total: int
    by_severity: dict[Severity, int]
    incidents: ReckoningAnswer | None
    against: SummaryAnswer | None
    difference: DifferenceAnswer | None
    plot: SketchAnswer | None
    judged: bool
    warnings: list[str]


class ProgressLine(AnswerModel):
    """A line of the answer as `application/x-ndjson`: the share that is done, from 0 to 1. The last line is
    `{"result": …}` or, when it comes to none, `{"problem": …}`.
    """

    progress: float
