"""What has to hold of single values, each told as `Invalid` with the name of its field. Pure."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from tocsin.domain.errors import Invalid
from tocsin.domain.words import many


def check_some(name: str, text: str) -> None:
    """Raise `Invalid` where there is no text."""
    if not text.strip():
        raise Invalid(name, "must not be empty")


def check_duration(name: str, value: timedelta, least: timedelta, most: timedelta) -> None:
    """Raise `Invalid` unless a duration lies between two others."""
    if not least <= value <= most:
        days = f" ({many(most.days, 'day')})" if most >= timedelta(days=1) else ""
        raise Invalid(name, f"must be between {_plain(least)} and {_plain(most)} seconds{days}, not {_plain(value)}")


def check_timezone(name: str) -> None:
    """Raise `Invalid` unless it names a time zone."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise Invalid("timezone", f"{name!r} is no time zone of the tz database, such as Europe/Berlin") from error


def check_least(name: str, value: float) -> None:
    """Raise `Invalid` for what is no size."""
    if not 0 <= value < float("inf"):
        raise Invalid(name, "must be a finite number, zero or more")


def check_range(name: str, lower: float | None, other: str, upper: float | None, why: str = "") -> None:
    """Raise `Invalid` unless the first number, where both are given, is the smaller one."""
    if lower is not None and upper is not None and lower >= upper:
        raise Invalid(name, f"must be below {other}{why}")


def _plain(length: timedelta) -> str:
    seconds = length.total_seconds()
    return f"{int(seconds):,}" if seconds.is_integer() else f"{seconds:,}"
