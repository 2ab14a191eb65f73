"""From a back-test to what the API says of it: heavy enough to run beside the event loop."""

from collections.abc import Sequence

from tocsin.api.models_alert import alert_facts, transition_answer
from tocsin.api.models_anomaly import anomaly_answer
from tocsin.api.models_backtest import (
    BacktestAnswer,
    DifferenceAnswer,
    FateAnswer,
    FiredAnswer,
    GroupAnswer,
    MessageAnswer,
    ReckoningAnswer,
    SketchAnswer,
    SketchedSeriesAnswer,
    SummaryAnswer,
)
from tocsin.api.models_common import window_answer
from tocsin.api.translate import MOST_ROWS, column
from tocsin.domain.grouping import Fired, Group
from tocsin.domain.incidents import Reckoning
from tocsin.monitor.status import BacktestResult, SketchPlot

MOST_OF_A_GROUP = 100
"""Alerts and messages listed of one group."""


def backtest_answer(result: BacktestResult) -> BacktestAnswer:
    """A back-test."""
    return BacktestAnswer(
        target=result.target_name,
        window=window_answer(result.window),
        series=result.series,
        samples=result.samples,
        evaluations=result.evaluations,
        alerts=[alert_facts(one) for one in result.alerts[:MOST_ROWS]],
        alerts_total=result.alerts_total,
        groups=[_group_answer(one) for one in result.groups[:MOST_ROWS]],
        groups_total=len(result.groups),
        messages_total=result.messages_total,
        transitions=[transition_answer(one) for one in result.transitions[:MOST_ROWS]],
        transitions_total=result.transitions_total,
        anomalies=[anomaly_answer(one) for one in result.anomalies[:MOST_ROWS]],
        anomalies_total=result.anomalies_total,
        by_severity=dict(result.by_severity),
        incidents=_reckoning_answer(result.reckoning) if result.reckoning is not None else None,
        against=_summary_answer(result.against) if result.against is not None else None,
        difference=_difference_answer(result),
        plot=_sketch_answer(result.plot) if result.plot is not None else None,
        judged=result.judged,
        warnings=list(result.warnings),
    )


def _group_answer(group: Group) -> GroupAnswer:
    return GroupAnswer(
        begins_at=group.begins_at,
        ends_at=group.ends_at,
        severity=group.severity,
        alerts_total=len(group.alert_ids),
        alert_ids=list(group.alert_ids[:MOST_OF_A_GROUP]),
        messages_total=len(group.messages),
        messages=[
            MessageAnswer(at=one.at, occasion=one.occasion, firing=one.firing, ended=one.ended)
            for one in group.messages[:MOST_OF_A_GROUP]
        ],
    )


def _reckoning_answer(reckoning: Reckoning) -> ReckoningAnswer:
    return ReckoningAnswer(
        caught=reckoning.caught,
        missed=reckoning.missed,
        unseen=reckoning.unseen,
        false_alerts=reckoning.false_alerts,
        alerts_in_maintenance=reckoning.in_maintenance,
        precision=reckoning.precision,
        false_alerts_per_series_week=reckoning.false_per_series_week,
        items=[
            FateAnswer(
                start=fate.incident.start,
                end=fate.incident.end,
                labels=dict(fate.incident.labels),
                outcome=fate.outcome,
                alert_id=fate.alert_id,
                delay_s=fate.delay_s,
            )
            for fate in reckoning.fates
        ],
    )


def _summary_answer(result: BacktestResult) -> SummaryAnswer:
    reckoning = result.reckoning
    return SummaryAnswer(
        evaluations=result.evaluations,
        alerts_total=result.alerts_total,
        groups_total=len(result.groups),
        messages_total=result.messages_total,
        anomalies_total=result.anomalies_total,
        by_severity=dict(result.by_severity),
        incidents_caught=reckoning.caught if reckoning is not None else None,
        false_alerts=reckoning.false_alerts if reckoning is not None else None,
        warnings=list(result.warnings),
    )


def _difference_answer(result: BacktestResult) -> DifferenceAnswer | None:
    difference, against = result.difference, result.against
    if difference is None or against is None:
        return None
    return DifferenceAnswer(
        alerts=result.alerts_total - against.alerts_total,
        groups=len(result.groups) - len(against.groups),
        messages=result.messages_total - against.messages_total,
        alerts_added=len(difference.added),
        alerts_gone=len(difference.gone),
        alerts_kept=difference.kept,
        added=_fired_answers(difference.added),
        gone=_fired_answers(difference.gone),
        incidents_gained=list(difference.gained),
        incidents_lost=list(difference.lost),
    )


def _sketch_answer(plot: SketchPlot) -> SketchAnswer:
    return SketchAnswer(
        column=plot.column_s,
        timestamps=plot.timestamps.tolist(),
        series=[
            SketchedSeriesAnswer(
                labels=dict(one.labels),
                min=column(one.low),
                max=column(one.high),
                expected=column(one.expected),
                lower=column(one.lower),
                upper=column(one.upper),
                alerts_total=one.alerts,
                spans=_fired_answers(one.spans),
            )
            for one in plot.series
        ],
        series_total=plot.series_total,
        notes=list(plot.notes),
        unit=plot.unit,
    )


def _fired_answers(alerts: Sequence[Fired]) -> list[FiredAnswer]:
    return [
        FiredAnswer(
            id=one.alert_id,
            labels=dict(one.labels),
            severity=one.worst,
            active_at=one.active_at,
            starts_at=one.starts_at,
            ends_at=one.ends_at,
        )
        for one in alerts[:MOST_ROWS]
    ]
