"""What a ratio is taken of: below its least value a ratio says nothing, and its samples are gaps. Pure."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from tocsin.domain.errors import Invalid
from tocsin.domain.frame import Floats, Frame
from tocsin.domain.labels import Labels
from tocsin.domain.log_signal import LogSignal
from tocsin.domain.logql import lines_within
from tocsin.domain.matters import LEAST_EVENTS
from tocsin.domain.nature import Counted, counted
from tocsin.domain.promql import Binary, Node, Number, parse
from tocsin.domain.target import Target

OFF = "none"
"""What a target's `denominator` says to have no guard."""


NO_WEIGHT = "samples were not judged"


@dataclass(frozen=True, slots=True)
class Guard:
    """The query whose value must be at least `least` for a ratio to say something; `words` what that means."""

    query: str
    least: float
    words: str


def guard_of(target: Target) -> Guard | None:
    """The target's own `denominator`, or that of a ratio of counters of which the whole is plain to see.

    Recognised is one division of `sum(rate(…[window]))` or `sum(increase(…[window]))` by another, as in an error ratio
    or a mean duration: then at least `LEAST_EVENTS` must have happened within the window; and the error ratio of a log
    query, with as many lines in a step. None where nothing is known.
    """
    if target.log_signal is LogSignal.ERROR_RATIO and not target.denominator:
        least, step_s = target.min_denominator or LEAST_EVENTS, target.step.total_seconds()
        return Guard(lines_within(target.query, step_s), least, f"there were fewer than {least:.3g} lines in a step")
    return _guard(target.asked, target.denominator, target.min_denominator)


@lru_cache(maxsize=8192)
def _guard(query: str, denominator: str, least: float) -> Guard | None:
    if denominator == OFF:
        return None
    node = parse(denominator or query)
    whole = counted(node) if denominator else _whole(node)
    if whole is None:
        if not denominator or not least:
            return None
        return Guard(denominator, least, f"the denominator was below {least:g}")
    in_window = 1.0 if whole.function == "increase" else whole.window_s
    least = least or LEAST_EVENTS / in_window
    words = f"there were fewer than {least * in_window:.3g} events within {whole.window_s:g} s"
    return Guard(denominator or whole.text, least, words)


def check_denominator(target: Target) -> None:
    """Raise `Invalid` where a denominator is given whose least value neither the target nor its form tells, and where a
    least value is given of a denominator that neither of them tells.
    """
    if not target.denominator and target.min_denominator > 0 and guard_of(target) is None:
        raise Invalid(
            "denominator", "must be given with min_denominator: of this query it is not plain what it divides by"
        )
    if target.denominator not in ("", OFF) and guard_of(target) is None:
        reason = "must be above 0: of this denominator it is not plain how many events it counts"
        raise Invalid("min_denominator", reason)


def _whole(node: Node | None) -> Counted | None:
    """The right side of the one division of sums of events, times or less than a number; None where it is not plain."""
    if not isinstance(node, Binary) or node.matching:
        return None
    if isinstance(node.left, Number) and node.operator in ("*", "-"):
        return _whole(node.right)
    if isinstance(node.right, Number) and node.operator in ("*", "/"):
        return _whole(node.left)
    product = node.left
    if isinstance(product, Binary) and product.operator == "*" and isinstance(product.left, Number):
        # 100 * a / b is read from the left: (100 * a) / b.
        product = product.right
    part, whole = counted(product), counted(node.right)
    if node.operator != "/" or part is None or whole is None:
        return None
    plain = part.aggregation == whole.aggregation == "sum" and part.grouping == whole.grouping
    return whole if plain else None


def masked(frame: Frame, denominator: Frame, guard: Guard) -> Frame:
    """The frame in which instants at which the denominator is too small, or missing, are gaps.

    A single series of the denominator goes for all. Else that whose labels are among those of the ratio's, `__name__`
    aside. `thin` and a warning say how much was made a gap. Raises ValueError where the grids differ.
    """
    if not np.array_equal(frame.timestamps, denominator.timestamps):
        raise ValueError("a ratio and its denominator need the same instants")
    if not frame.labels:
        return replace(frame, queries=frame.queries + denominator.queries)
    enough = _enough(denominator, guard.least)
    alone = len(denominator.labels) == 1
    by_labels = {labels.without("__name__"): row for row, labels in enumerate(denominator.labels)}
    values, strangers = frame.values.copy(), 0
    for row, labels in enumerate(frame.labels):
        of = 0 if alone else _partner(by_labels, labels.without("__name__"))
        strangers += of is None
        values[row, ~enough[of] if of is not None else slice(None)] = np.nan
    thin, there = frame.samples - int(np.count_nonzero(~np.isnan(values))), frame.samples
    warnings = frame.warnings
    if thin:
        warnings = (*warnings, thin_words(thin, there, guard))
    if strangers:
        warnings = (
            *warnings,
            f"{strangers} series not judged: there are no series of the denominator with their labels",
        )
    return replace(
        frame,
        values=values,
        warnings=(*warnings, *denominator.warnings),
        size_bytes=frame.size_bytes + denominator.size_bytes,
        queries=frame.queries + denominator.queries,
        partial=frame.partial or denominator.partial,
        thin=(~np.isnan(frame.values) & np.isnan(values)).sum(axis=0),
    )


def thin_words(thin: int, there: int, guard: Guard) -> str:
    """How many of the samples that were there said nothing, and why."""
    return f"{thin:,} of {there:,} {NO_WEIGHT}: {guard.words}"


def _enough(denominator: Frame, least: float) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    values: Floats = denominator.values
    # NaN is not enough: a comparison with it is false.
    return np.asarray(values >= least)


def _partner(by_labels: dict[Labels, int], labels: Labels) -> int | None:
    """The row with the same labels, or the only one whose labels are among them."""
    if labels in by_labels:
        return by_labels[labels]
    fitting = [row for theirs, row in by_labels.items() if theirs.items() <= labels.items()]
    return fitting[0] if len(fitting) == 1 else None
