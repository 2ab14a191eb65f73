"""What of a log query is watched, and the queries that give it as numbers. Pure rewriting."""

from enum import StrEnum

from tocsin.domain.errors import Invalid
from tocsin.domain.logql import check_lines, duration, lines_within, parse
from tocsin.domain.logql_tree import Call, LinesWithin

LEVEL = "detected_level"
"""The level that Loki finds in each line, from version 3.1 on."""

ERRORS = ("error", "critical", "fatal")
IS_ERROR = f'| {LEVEL}=~"{"|".join(ERRORS)}"'
"""The stage of a log query that keeps the lines that are errors or worse."""

LEAST_LINES = 5.0
"""Lines in a step by which a template, or a level, must deviate at least: some rare ones there always are."""

_TEMPLATES = "templates"


class LogSignal(StrEnum):
    """VOLUME: lines of each level. ERROR_RATIO: the share of lines that are errors or worse. TEMPLATES: lines of each
    template, and of those that are new.
    """

    VOLUME = "volume"
    ERROR_RATIO = "error_ratio"
    TEMPLATES = "templates"


def asked(query: str, signal: LogSignal, step_s: float) -> str:
    """The metric query for a log query, each line counted in one step; raises `Invalid` unless its answer is lines.

    A step with lines of which none is an error has the ratio zero; one without lines has none. No server knows
    `templates`: it is answered by reading the lines (`templates_of`).
    """
    lines = check_lines(query)
    if signal is LogSignal.VOLUME:
        return f"sum by ({LEVEL}) (count_over_time({lines.text} [{duration(step_s)}]))"
    if signal is LogSignal.TEMPLATES:
        return f"{_TEMPLATES}({lines.text} [{duration(step_s)}])"
    return share_of(lines_within(f"{lines.text} {IS_ERROR}", step_s), lines_within(query, step_s))


def share_of(part: str, every: str) -> str:
    """The query for the share of lines that a part of them is; where there is no series of the part it is zero, where
    there is none of all it is a gap.
    """
    return f"({part} or {every} * 0) / {every}"


def templates_of(query: str) -> str | None:
    """The log query whose templates a query made by `asked` is about; None for any other query."""
    if not query.startswith(f"{_TEMPLATES}("):
        return None
    try:
        node = parse(f"count_over_time{query.removeprefix(_TEMPLATES)}")
    except Invalid:
        return None
    within = node.arguments[-1] if isinstance(node, Call) and node.function == "count_over_time" else None
    return within.lines.text if isinstance(within, LinesWithin) else None


def least_lines(signal: LogSignal | None) -> float:
    """The least deviation that matters, in lines in a step; 0 where the target alone says it."""
    return LEAST_LINES if signal in (LogSignal.TEMPLATES, LogSignal.VOLUME) else 0.0
