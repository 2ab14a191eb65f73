"""What is said beside the numbers of an alert: how whole they were, and what the datasource knew of the series."""

from dataclasses import replace

from tocsin.domain.alert import Reason
from tocsin.domain.anomaly import Evidence
from tocsin.domain.errors import SourceError
from tocsin.domain.evaluation import Evaluation
from tocsin.monitor.gate import Gate

MAX_CONTEXTS = 10
"""How many series of one evaluation the datasource is asked about."""


async def enrich(evaluation: Evaluation, gate: Gate) -> Evaluation:
    """The same evaluation, its evidence with context and notes. A datasource that does not tell is said in the context.

    The datasource is asked when an alert begins, fires or grows worse: at its end there is nothing left to explain.
    """
    if not evaluation.evidence:
        return evaluation
    labels = {alert.id: alert.labels for alert in evaluation.alerts}
    over = {one.evidence_id for one in evaluation.transitions if one.reason is Reason.RECOVERED}
    asked, failure, evidence = 0, "", []
    for item in evaluation.evidence:
        of = labels.get(item.id.split("@", 1)[0])
        context: tuple[str, ...] = ()
        if failure:
            context = (failure,)
        elif of is not None and item.id not in over and asked < MAX_CONTEXTS:
            asked += 1
            try:
                context = await gate.context(item.query, of, item.window.end)
            except SourceError as error:
                # Once: the next series of the same evaluation would wait as long for the same answer.
                failure = f"the datasource did not say more: {error}"
                context = (failure,)
        elif of is not None and item.id not in over:
            context = (f"the datasource was not asked for more: {MAX_CONTEXTS} series of one evaluation are the limit",)
        evidence.append(replace(item, context=(*item.context, *context), notes=(*item.notes, samples_seen(item))))
    return replace(evaluation, evidence=tuple(evidence))


def samples_seen(evidence: Evidence) -> str:
    """Whether it was a gap or a drop, as far as the samples themselves tell."""
    expected, seen = len(evidence.values), sum(value is not None for value in evidence.values)
    start, end = (f"{at:%Y-%m-%d %H:%M:%S}" for at in (evidence.window.start, evidence.window.end))
    missing = (f"{expected - seen} are gaps" if expected - seen > 1 else "1 is a gap") if seen < expected else "no gap"
    return f"{seen} of {expected} samples expected from {start} to {end} UTC were there: {missing}"
