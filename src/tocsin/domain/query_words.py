"""What the query languages of Prometheus and Loki have in common: words and durations. Pure."""

import re
from collections.abc import Iterator

_UNITS_S = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0,
    "y": 31536000.0,
}  # fmt: skip
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|[smhdwy])")


class Meaningless(Exception):
    """No word of the language begins `at` that place."""

    def __init__(self, at: int) -> None:
        super().__init__(f"no word begins at character {at + 1}")
        self.at = at


def duration_s(text: str) -> float | None:
    """`5m` or `1h30m` in seconds; None for anything else."""
    parts = _DURATION.findall(text)
    if not parts or "".join(count + unit for count, unit in parts) != text.strip():
        return None
    return sum(float(count) * _UNITS_S[unit] for count, unit in parts)


def words(query: str, word: re.Pattern[str]) -> Iterator[tuple[str, str, int, int]]:
    """The words of a query: kind, text, begin and end. `word` has a group for each kind, `blank` is left out; raises
    `Meaningless`.
    """
    at = 0
    while at < len(query):
        found = word.match(query, at)
        if found is None or found.lastgroup is None:
            raise Meaningless(at)
        if found.lastgroup != "blank":
            yield found.lastgroup, found[0], at, found.end()
        at = found.end()
