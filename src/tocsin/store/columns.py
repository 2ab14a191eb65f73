"""Column types that give back exactly what they were given, in SQLite and in PostgreSQL."""

import re
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Dialect, Text
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ESCAPE = "\x1a"
_UNSAFE = re.compile("[\x00\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a([0-9a-f]{4})")


class Instant(TypeDecorator[datetime]):
    """An aware datetime as whole microseconds since the epoch.

    Whole numbers compare and index the same in both databases and lose nothing; a float has no room for the microsecond
    in far years, and a text sorts only as long as everybody writes it alike. Comes back in UTC.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Aware datetime to microseconds; a naive one raises TypeError."""
        del dialect
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Microseconds to a datetime in UTC."""
        del dialect
        return None if value is None else EPOCH + value * MICROSECOND


class Words(TypeDecorator[str]):
    """Any str at all, also what a database cannot hold as text.

    PostgreSQL refuses NUL, and neither database takes a lone surrogate; both occur in labels of broken exporters. They
    are written as U+001A and four hex digits, and so is U+001A itself, so nothing is lost and comparing still works.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The text with what cannot be stored escaped."""
        del dialect
        return None if value is None else escape(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """The text as it was."""
        del dialect
        return None if value is None else unescape(value)


def escape(text: str) -> str:
    """`text` with NUL, lone surrogates and U+001A escaped; most text is answered by one quick test."""
    if text.isprintable():
        return text
    return _UNSAFE.sub(lambda found: f"{ESCAPE}{ord(found[0]):04x}", text)


def unescape(text: str) -> str:
    """What was given to `escape`."""
    if ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
