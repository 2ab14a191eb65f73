"""What the further methods add to the words of a finding."""

from __future__ import annotations

from bisect import bisect_right

from tocsin.detect.base import Scores
from tocsin.detect.more.registry import BY_NAME


def told_at(scores: Scores, row: int, column: int, unit: str = "") -> tuple[str, ...]:
    """What the methods that agree on one sample say beside their numbers; ``unit`` is that of the values."""
    agreeing = scores.methods_at(row, column)
    said = []
    for one in scores.told:
        words = BY_NAME[one.method].words
        place = bisect_right(one.starts, column) - 1
        if one.method in agreeing and words is not None and place >= 0:
            said.append(words(one.facts[place][row], float(one.shift[column]), unit))
    return tuple(said)
