"""Frozen evidence of anomalies without an alert: one picture an episode, and another when it grows worse. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import numpy as np

from tocsin.detect import Severity
from tocsin.domain.anomaly import Anomaly, Evidence
from tocsin.domain.evaluation import Evaluation, Picture
from tocsin.domain.feedback import OCCASION
from tocsin.domain.frame import Frame
from tocsin.domain.labels import Fingerprint
from tocsin.domain.target import Target

MAX_PICTURES = 10
"""Pictures of anomalies without an alert that one evaluation draws; how many are not is said."""

PICTURE_SAMPLES = 120
"""How many samples such a picture holds, the newest ones: half of what that of an alert does, 7 KB in the store."""


@dataclass(frozen=True, slots=True)
class Episode:
    """Anomalies of one series that follow on each other: the newest, the worst, and its picture."""

    last: datetime
    worst: Severity
    evidence_id: str


class Pictured(NamedTuple):
    """An evaluation whose anomalies all name their evidence, as far as the limit goes, and the episodes it goes on
    with.
    """

    evaluation: Evaluation
    episodes: Mapping[Fingerprint, Episode]


def pictured(
    target: Target, evaluation: Evaluation, frame: Frame, known: Mapping[Fingerprint, Episode], picture: Picture
) -> Pictured:
    """Draw the first anomaly of each episode and each one that is more severe than all before it; the others name the
    picture of their episode. `frame` holds the new samples, in the order of `picture`'s rows. Those of an alert keep
    its evidence.
    """
    apart = max(OCCASION, 2 * target.check_interval)
    rows = {labels: row for row, labels in enumerate(frame.labels)} if evaluation.anomalies else {}
    anomalies: list[Anomaly] = []
    drawn: list[Evidence] = []
    changed: dict[Fingerprint, Episode] = {}
    undrawn = 0
    for one in evaluation.anomalies:
        name, shown = one.labels.fingerprint, one
        if one.evidence_id is None:
            before = known.get(name)
            goes_on = before is not None and one.timestamp - before.last <= apart
            if before is not None and goes_on and one.severity <= before.worst:
                changed[name] = replace(before, last=one.timestamp)
                shown = replace(one, evidence_id=before.evidence_id)
            elif len(drawn) < MAX_PICTURES:
                stamp = one.timestamp.timestamp()
                column = int(np.argmin(np.abs(frame.timestamps - stamp)))
                drawn.append(picture(rows[one.labels], column, f"{one.id}@{stamp:.3f}"))
                changed[name] = Episode(one.timestamp, one.severity, drawn[-1].id)
                shown = replace(one, evidence_id=drawn[-1].id)
            else:
                undrawn += 1
        anomalies.append(shown)
    if not (changed or undrawn):
        return Pictured(evaluation, {})
    made = replace(evaluation, anomalies=tuple(anomalies), evidence=(*evaluation.evidence, *drawn), undrawn=undrawn)
    return Pictured(made, changed)
