"""Alerts held against marked windows: what was caught and how soon, what was missed, what alerted for nothing. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np

from tocsin.domain.frame import Frame, Window
from tocsin.domain.grouping import Fired
from tocsin.domain.labels import Labels

_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Incident:
    """A time in which something was really wrong, `start` to `end` inclusive, in series that have these `labels`."""

    start: datetime
    end: datetime
    labels: Labels

    def concerns(self, series: Mapping[str, str]) -> bool:
        """Whether a series with these labels is meant."""
        return all(series.get(name) == value for name, value in self.labels.items())

    def meets(self, start: datetime, end: datetime) -> bool:
        """Whether it has an instant in common with a time."""
        return self.start <= end and start <= self.end

    def sampled(self, frame: Frame) -> bool:
        """Whether a series that it concerns has a sample in it."""
        first = np.searchsorted(frame.timestamps, self.start.timestamp(), side="left")
        stop = np.searchsorted(frame.timestamps, self.end.timestamp(), side="right")
        rows = [row for row, labels in enumerate(frame.labels) if self.concerns(labels)] if first < stop else []
        return bool(rows) and not np.isnan(frame.values[rows, first:stop]).all()


class Outcome(StrEnum):
    """What became of an incident. OUTSIDE: the alerts are of another time, so nothing can be said. UNSEEN: no series
    that it concerns had a sample in it, and no alert says that one was missing.
    """

    CAUGHT = "caught"
    MISSED = "missed"
    OUTSIDE = "outside"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Fate:
    """An incident and what became of it: the first alert that fired in it, and seconds from its start until then."""

    incident: Incident
    outcome: Outcome
    alert_id: str | None = None
    delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class Reckoning:
    """How alerts stand to incidents. `precision` is the share of alerts that lie in one, None without alerts;
    `false_per_series_week` counts the others, of one series in a week; None where there were no series. Those that lie
    `in_maintenance` and in no incident are neither.
    """

    fates: tuple[Fate, ...]
    caught: int
    missed: int
    unseen: int
    false_alerts: int
    in_maintenance: int
    precision: float | None
    false_per_series_week: float | None


def reckon(
    incidents: Sequence[Incident],
    alerts: Sequence[Fired],
    window: Window,
    series: int,
    *,
    unseen: Collection[int] = (),
    maintenance: Sequence[Incident] = (),
) -> Reckoning:
    """Hold the alerts of `window`, in which there were so many series, against the incidents; `unseen` are the places
    of those in which there was no sample. What alerts in a `maintenance` and in no incident is not held against it.

    One is caught when the time from the beginning of an alert, of a series that it concerns, to the last sample that
    held it has a part in the incident: an older alert that has only not ended yet catches nothing. An alert is false
    when the time from its first anomalous sample to the last that held it has a part in no incident of its series.
    """
    fates = tuple(_fate(one, alerts, window, seen=place not in unseen) for place, one in enumerate(incidents))
    outcomes = [fate.outcome for fate in fates]
    others = [alert for alert in alerts if not _lies_in(incidents, alert)]
    excused = sum(_lies_in(maintenance, alert) for alert in others)
    false, counted = len(others) - excused, len(alerts) - excused
    weeks = (window.end - window.start + window.step) / _WEEK
    return Reckoning(
        fates=fates,
        caught=outcomes.count(Outcome.CAUGHT),
        missed=outcomes.count(Outcome.MISSED),
        unseen=outcomes.count(Outcome.UNSEEN),
        false_alerts=false,
        in_maintenance=excused,
        precision=1.0 - false / counted if counted else None,
        false_per_series_week=false / (series * weeks) if series else None,
    )


def _lies_in(times: Sequence[Incident], alert: Fired) -> bool:
    return any(one.concerns(alert.labels) and one.meets(alert.active_at, alert.last_anomalous_at) for one in times)


def _fate(incident: Incident, alerts: Sequence[Fired], window: Window, *, seen: bool) -> Fate:
    if not incident.meets(window.start, window.end):
        return Fate(incident, Outcome.OUTSIDE)
    catching = [
        alert
        for alert in alerts
        if incident.concerns(alert.labels) and incident.meets(alert.starts_at, alert.last_anomalous_at)
    ]
    if not catching:
        return Fate(incident, Outcome.MISSED if seen else Outcome.UNSEEN)
    first = min(catching, key=lambda alert: alert.starts_at)
    delay_s = max(0.0, (first.starts_at - incident.start).total_seconds())
    return Fate(incident, Outcome.CAUGHT, first.alert_id, delay_s)
