"""What deployments do to the thresholds of a target, where it says so: hold alerts back, ask for more sigma, or fewer.
Pure.
"""

from collections.abc import Sequence

import numpy as np

from tocsin.detect import ANOMALOUS, Judgement, shifted
from tocsin.domain.events import AfterDeploy, Event, EventKind
from tocsin.domain.frame import Floats
from tocsin.domain.labels import Labels
from tocsin.domain.target import Target
from tocsin.monitor.judging import Held
from tocsin.monitor.marked import rows_with


def factors(target: Target, events: Sequence[Event], labels: Sequence[Labels], times: Floats) -> Floats | None:
    """(S, K): by what the sigma that it takes to begin an alert is multiplied, infinite where none begins; None where
    no deployment is near. `events` the newest first.
    """
    if target.after_deploy is AfterDeploy.NOTHING or not len(times):
        return None
    lasts = target.deploy_for.total_seconds()
    factor = {
        AfterDeploy.WIDEN: target.deploy_factor,
        AfterDeploy.HOLD: np.inf,
        AfterDeploy.TIGHTEN: 1.0 / target.deploy_factor,
    }[target.after_deploy]
    result: Floats | None = None
    for one in events:
        begun = one.at.timestamp()
        if begun + lasts < times[0]:
            break
        inside = (times >= begun) & (times < begun + lasts)
        if one.kind is not EventKind.DEPLOY or not one.of_target(target.name) or not inside.any():
            continue
        if result is None:
            result = np.ones((len(labels), len(times)))
        result[rows_with(one.labels, labels)[:, None] & inside] = factor
    return result


def after_deploys(
    judgement: Judgement, held: Held, sigma: Floats, entry: Floats | None, factor: Floats
) -> tuple[Judgement, Floats]:
    """What counts after deployments, and the sigma (S, K) that it takes to begin. Never fewer than 3: below that a
    sample is no anomaly.
    """
    usual = np.full(sigma.shape, held.policy.sigma)
    if entry is not None:
        usual = np.maximum(usual, entry)
    needed = np.where(factor == 1.0, usual, np.maximum(ANOMALOUS, usual * factor))
    return shifted(judgement, held.anomalous, sigma, usual, needed), needed
