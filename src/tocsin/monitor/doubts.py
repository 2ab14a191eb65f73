"""What a person should know of a target's own settings: bounds that samples do not keep, thresholds never reached.

Pure.
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from tocsin.detect import AUTO_CEILING, slack, wants_auto
from tocsin.domain.feedback import Acceptance, AcceptanceKind
from tocsin.domain.frame import Floats
from tocsin.domain.target import Refuted, Target
from tocsin.domain.words import many
from tocsin.monitor.memory import Memory

Beyond = tuple[int, int]
"""Samples below the lower bound, and above the upper one."""


def doubts(target: Target, memory: Memory, now: datetime) -> tuple[str, ...]:
    """The warnings about a target, by what is held of its samples and what people have said of it."""
    seen = beyond_words(target, beyond(target, memory.values), "of the lookback")
    return (
        *refuted_words(target, memory.refuted),
        *seen,
        *silenced_words(target),
        *excluded_words(memory.marked.exempt, now),
    )


def refuted_words(target: Target, refuted: Refuted) -> tuple[str, ...]:
    """The warning about bounds that turned out to be wrong."""
    nature = target.nature
    pairs = ((refuted[0], "below", nature.lower_bound), (refuted[1], "above", nature.upper_bound))
    return tuple(
        f"a sample lay {side} {bound:g}, the bound inferred from the {nature.origin}: it is not believed any more; "
        "say what is possible with unit, lower_bound or upper_bound"
        for wrong, side, bound in pairs
        if wrong and bound is not None
    )


def beyond(target: Target, values: Floats) -> Beyond:
    """How many samples (S, T) lie below and above the bounds that a person has set."""
    low, high = target.lower_bound, target.upper_bound
    below = 0 if low is None else int(np.count_nonzero(values < low - slack(low)))
    above = 0 if high is None else int(np.count_nonzero(values > high + slack(high)))
    return below, above


def beyond_words(target: Target, seen: Beyond, where: str) -> tuple[str, ...]:
    """The warning about them; `where` they were seen."""
    sides = (
        (seen[0], "below", "lower_bound", target.lower_bound),
        (seen[1], "above", "upper_bound", target.upper_bound),
    )
    return tuple(
        f"{many(count, 'sample')} {where} lie{'s' * (count == 1)} {side} {bound:g}, the {name} of the target: "
        "correct it, or bands and least effects say little"
        for count, side, name, bound in sides
        if count and bound is not None
    )


def excluded_words(exempt: Sequence[Acceptance], now: datetime) -> tuple[str, ...]:
    """Which series are never told of, because a person said so."""
    return tuple(
        f"of series with {one.labels} nothing is told{_until(one.over_at)}: {one.id}"
        for one in exempt
        if one.kind is AcceptanceKind.EXCLUDED and one.holds(now)
    )


def _until(over_at: datetime | None) -> str:
    return "" if over_at is None else f" until {over_at:%Y-%m-%d}"


def silenced_words(target: Target) -> tuple[str, ...]:
    """The warning about a threshold of a person's that `auto` hardly ever reaches."""
    asked = target.sigma_threshold
    if asked is None or asked <= AUTO_CEILING or not wants_auto(target.detection_methods):
        return ()
    words = (
        f"sigma_threshold is {asked:g}, and auto says at most about 7 sigma of the largest deviation there is: "
        "it is recorded, and told never or hardly ever"
    )
    return (words,)
