"""When a target is due: scattered over its interval, the same in every process."""

import hashlib
from datetime import UTC, datetime, timedelta

from tocsin.domain.target import Target

EPOCH = datetime.fromtimestamp(0, UTC)


def phase(target: Target) -> float:
    """Where in its interval a target is evaluated, seconds: scattered by what it asks, the same in every process.

    Targets that ask the same are evaluated together, so that it is asked for once.
    """
    return _share_of(f"{target.datasource_uid}\n{target.query}") * target.check_interval.total_seconds()


def share_of(target: Target) -> float:
    """A number in [0, 1) of the target's own, the same in every process."""
    return _share_of(target.name)


def _share_of(text: str) -> float:
    digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32


def next_due(target: Target, after: datetime) -> datetime:
    """The first evaluation time of the target after an instant.

    Counted in whole microseconds, as timedelta does: in floats a due time can come out a hair before its own tick, and
    would then be followed by itself.
    """
    begin = EPOCH + timedelta(seconds=phase(target))
    return begin + ((after - begin) // target.check_interval + 1) * target.check_interval
