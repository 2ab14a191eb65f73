"""What one log query returned: lines, and an account of what is not among them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from tocsin.domain.labels import Labels


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. `timestamp_ns` is unix nanoseconds, as the server gave it; `labels` those of its stream; `metadata`
    what was attached to this line alone.
    """

    timestamp_ns: int
    labels: Labels
    text: str
    metadata: Labels = field(default_factory=Labels)

    @property
    def at(self) -> datetime:
        """When, to the microsecond below."""
        return datetime.fromtimestamp(self.timestamp_ns // 1_000_000_000, UTC).replace(
            microsecond=self.timestamp_ns // 1_000 % 1_000_000
        )


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines of a window, the oldest first, at most as many as were asked for.

    `complete` says that no line of the window is missing. Where it is false, `lines` are the newest ones, and `total`
    is how many there are in all, None where the server does not say. `warnings` is what it said beside its answer;
    `queries` how many questions it took, `size_bytes` how large the answers were.
    """

    lines: tuple[LogLine, ...]
    complete: bool
    total: int | None = None
    warnings: tuple[str, ...] = ()
    queries: int = 1
    size_bytes: int = 0
