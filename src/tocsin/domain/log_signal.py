"""What of a log query is watched, and the queries that give it as numbers. Pure rewriting."""

from enum import StrEnum

from tocsin.domain.logql import check_lines, duration, lines_within

LEVEL = "detected_level"
"""The level that Loki finds in each line, from version 3.1 on."""

ERRORS = ("error", "critical", "fatal")


class LogSignal(StrEnum):
    """VOLUME: lines of each level. ERROR_RATIO: the share of lines that are errors or worse."""

    VOLUME = "volume"
    ERROR_RATIO = "error_ratio"


def asked(query: str, signal: LogSignal, step_s: float) -> str:
    """The metric query for a log query, each line counted in one step; raises `Invalid` unless its answer is lines.

    A step with lines of which none is an error has the ratio zero; one without lines has none.
    """
    lines = check_lines(query)
    if signal is LogSignal.VOLUME:
        return f"sum by ({LEVEL}) (count_over_time({lines.text} [{duration(step_s)}]))"
    errors = lines_within(f'{lines.text} | {LEVEL}=~"{"|".join(ERRORS)}"', step_s)
    every = lines_within(query, step_s)
    return f"({errors} or {every} * 0) / {every}"
