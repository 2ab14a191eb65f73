"""From what the engine found to what the API says of it: heavy enough to run beside the event loop."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from tocsin.api.models_alert import alert_facts, transition_answer
from tocsin.api.models_analysis import (
    AnalyzeAnswer,
    AnalyzeRequest,
    CheckAnswer,
    DetectionAnswer,
    PlotAnswer,
    PlotSeriesAnswer,
    pattern_answer,
)
from tocsin.api.models_anomaly import anomaly_answer
from tocsin.api.models_common import SMALLEST, finite, finite_or_zero
from tocsin.api.models_events import event_answer
from tocsin.api.points import read_points
from tocsin.detect import METHODS, Detection, detect, resolve_methods
from tocsin.domain.errors import Invalid
from tocsin.domain.events import Event
from tocsin.domain.frame import Floats
from tocsin.monitor.status import CheckResult, Plot, PlotSeries

MOST_DETECTIONS = 10_000
MOST_CELLS = 2_000_000
MOST_ROWS = 1000
"""Alerts, transitions and anomalies shown of a dry run."""


def analyze(request: AnalyzeRequest) -> AnalyzeAnswer:
    """What stands out of the data; raises `Invalid` naming the point or the method."""
    times, values = read_points(request.data_points)
    try:
        methods = resolve_methods(request.methods) if request.methods is not None else METHODS
    except ValueError as error:
        raise Invalid("methods", str(error)) from error
    found = detect(times, values, methods)
    shown: Sequence[Detection] = found
    # The library counts series; here there is one.
    notes = [note.removeprefix("series 0: ") for note in found.notes]
    if len(found) > MOST_DETECTIONS:
        strongest = sorted(found, key=lambda one: -abs(one.sigma))[:MOST_DETECTIONS]
        shown = sorted(strongest, key=lambda one: one.index)
        notes.append(f"{len(found):,} anomalies were found; the {MOST_DETECTIONS:,} strongest are listed")
    return AnalyzeAnswer(
        metric_name=request.metric_name,
        anomalies=[_detection_answer(one) for one in shown],
        anomalies_total=len(found),
        severity=found.severity,
        patterns=[pattern_answer(one) for one in found.patterns],
        notes=notes,
        methods=list(methods),
    )


def _detection_answer(one: Detection) -> DetectionAnswer:
    return DetectionAnswer(
        index=one.index,
        timestamp=datetime.fromtimestamp(one.timestamp, UTC),
        value=one.value,
        expected_value=finite(one.expected_value),
        deviation=finite(one.deviation),
        sigma=finite_or_zero(one.sigma),
        severity=one.severity,
        confidence=finite_or_zero(one.confidence),
        method=one.method,
        methods=list(one.methods),
        explanation=one.explanation,
    )


def plot_answer(plot: Plot, events: Sequence[Event] = ()) -> PlotAnswer:
    """A plot as columns, with what happened in its window; raises `Invalid` when it would be too large to be one."""
    cells = len(plot.timestamps) * len(plot.series) * 5
    if cells > MOST_CELLS:
        raise Invalid("max_series", f"the answer would hold {cells:,} numbers, more than {MOST_CELLS:,}: ask for less")
    return PlotAnswer(
        target=plot.target_name,
        step=plot.window.step_s,
        timestamps=plot.timestamps.tolist(),
        series=[_plot_series(one) for one in plot.series],
        series_total=plot.series_total,
        warnings=list(plot.warnings),
        events=[event_answer(one) for one in events],
    )


def _plot_series(one: PlotSeries) -> PlotSeriesAnswer:
    return PlotSeriesAnswer(
        labels=dict(one.labels),
        values=column(one.values),
        expected=column(one.expected),
        lower=column(one.lower),
        upper=column(one.upper),
        sigma=column(one.sigma),
        anomalies=list(one.anomalies),
        severities=list(one.severities),
    )


def column(values: Floats) -> list[float | None]:
    """Numbers as JSON can say them: null where there is none."""
    listed: list[float | None] = np.where(np.abs(values) < SMALLEST, 0.0, values).tolist()
    for index in np.flatnonzero(~np.isfinite(values)).tolist():
        listed[index] = None
    return listed


def check_answer(result: CheckResult) -> CheckAnswer:
    """A dry run."""
    warnings = [*result.warnings]
    for name, rows in (("anomalies", result.anomalies), ("transitions", result.transitions), ("alerts", result.alerts)):
        if len(rows) > MOST_ROWS:
            warnings.append(f"{len(rows):,} {name}, of which the first {MOST_ROWS:,} are listed")
    return CheckAnswer(
        target=result.target_name,
        at=result.at,
        state=result.state,
        reason=result.reason,
        series=result.series,
        samples=result.samples,
        anomalies=[anomaly_answer(one) for one in result.anomalies[:MOST_ROWS]],
        transitions=[transition_answer(one) for one in result.transitions[:MOST_ROWS]],
        alerts=[alert_facts(one) for one in result.alerts[:MOST_ROWS]],
        duration_s=result.duration_s,
        warnings=warnings,
    )
