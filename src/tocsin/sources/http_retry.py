"""When a question is put again, and how long is waited before: pure, the clock is an argument."""

from email.utils import parsedate_to_datetime

from tocsin.domain.errors import SourceError, SourceFailure

BACKOFF_S = 0.5
"""The first wait is anywhere up to this, each further one up to twice as much."""

MAX_BACKOFF_S = 8.0
RETRIED_STATUS = frozenset({429, 502, 503, 504})


def backoff_s(attempt: int, chance: float) -> float:
    """How long to wait after the failed try number `attempt` (0 is the first); `chance` in [0, 1).

    Full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS 2015): anywhere between nothing and the whole, so
    that those who failed together do not come back together.
    """
    return chance * min(MAX_BACKOFF_S, BACKOFF_S * 2.0**attempt)


def worth_retrying(status: int, content_type: str) -> bool:
    """Whether the same question may be answered a moment later."""
    # A 503 in JSON is the query engine's own word (it took too long, it was cancelled): asking again doubles its load.
    return status in RETRIED_STATUS and not (status == 503 and "json" in content_type)


def may_be_asked_again(error: SourceError) -> bool:
    """The same of a question that came to no answer. A server that took too long gets no second helping of the work."""
    return error.transient and error.failure is not SourceFailure.TIMEOUT


def retry_after_s(header: str, now_s: float) -> float | None:
    """The seconds that a `Retry-After` asks for (RFC 9110, 10.2.3): a number or a date; None for anything else.

    `now_s` is unix seconds on our clock; a date that has passed is no wait.
    """
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    at_s = http_date_s(text)
    return None if at_s is None else max(0.0, at_s - now_s)


def http_date_s(text: str) -> float | None:
    """A date of HTTP as unix seconds; None when it is none."""
    if not text or len(text) > 64:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
