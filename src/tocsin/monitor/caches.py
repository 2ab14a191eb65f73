"""What is kept of the answers of datasources, by kind: series, what is known beside them, and metadata."""

from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tocsin.domain.frame import Frame, Window
from tocsin.domain.shared import NamesKey, StreamsKey
from tocsin.monitor.cache import Cache, CacheStats

TTL = timedelta(seconds=15)
"""How long series are kept: targets that ask the same do so within it, and nobody judges an older present."""

MAX_FRAMES_BYTES = 8 * 1024 * 1024
"""Answers about the present are small; the past is read once, and a large answer is only shared while on its way."""
WORDS_TTL = timedelta(minutes=1)
MAX_WORDS_BYTES = 1024 * 1024
METADATA_TTL = timedelta(minutes=1)
MAX_METADATA_BYTES = 1024 * 1024
_LABELS_BYTES = 100
_ENTRY_BYTES = 500


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """A question for series: another window is another question, so nothing of the present is judged by the past."""

    uid: str
    query: str
    window: Window


@dataclass(frozen=True, slots=True)
class WordsKey:
    """A question for what is known beside the numbers of a series at an instant."""

    uid: str
    query: str
    labels: Hashable
    at: datetime


@dataclass(frozen=True, slots=True)
class Caches:
    """Those of one monitor, over all its datasources; implements `Shared` for these."""

    series: Cache[Frame]
    words: Cache[tuple[str, ...]]
    metadata: Cache[frozenset[str]]

    @classmethod
    def empty(cls, now: Callable[[], datetime], ttl: timedelta = TTL, max_bytes: int = MAX_FRAMES_BYTES) -> "Caches":
        """Nothing kept yet. With a `ttl` of zero nothing ever is, and only answers on their way are shared."""
        return cls(
            Cache("series", now, frame_bytes, ttl, max_bytes),
            Cache("context", now, words_bytes, min(WORDS_TTL, 4 * ttl), MAX_WORDS_BYTES),
            Cache("metadata", now, words_bytes, min(METADATA_TTL, 4 * ttl), MAX_METADATA_BYTES),
        )

    async def names(self, key: NamesKey, ask: Callable[[], Awaitable[frozenset[str]]]) -> tuple[frozenset[str], bool]:
        """Which labels make streams, and whether this call has asked for it."""
        return await self.metadata.get(key, ask)

    async def streams(self, key: StreamsKey, ask: Callable[[], Awaitable[Frame]]) -> tuple[Frame, bool]:
        """The lines of streams over one window: series like others, and kept as long."""
        frame, asked = await self.series.get(key, ask)
        # Several questions may hold it: none may change it.
        frame.values.setflags(write=False)
        return frame, asked

    def stats(self) -> Sequence[CacheStats]:
        """One for each kind."""
        return [self.series.stats(), self.words.stats(), self.metadata.stats()]

    def clear(self, uid: str | None = None) -> tuple[int, int]:
        """Forget what one datasource has said, or all; how many answers and bytes."""

        def of(key: Hashable) -> bool:
            return uid is None or (isinstance(key, SeriesKey | StreamsKey | WordsKey | NamesKey) and key.uid == uid)

        parts = [self.series.clear(of), self.words.clear(of), self.metadata.clear(of)]
        return sum(entries for entries, _ in parts), sum(size for _, size in parts)


def frame_bytes(frame: Frame) -> int:
    """What a frame takes in memory, about."""
    arrays = frame.values.nbytes + frame.timestamps.nbytes
    return _ENTRY_BYTES + arrays + _LABELS_BYTES * len(frame.labels) + sum(map(len, frame.warnings))


def words_bytes(lines: Collection[str]) -> int:
    """The same of lines of text."""
    return _ENTRY_BYTES + sum(4 * len(line) for line in lines)
