"""The error tree of the engine.

TocsinError
├── SourceError            a datasource could not answer; `transient` says whether trying again can help
│   ├── LimitExceeded      an answer or request over a limit of ours; never a silent cut
│   └── NotAsked           the datasource fails, and is left alone for a moment
├── StoreError             the store could not keep or read something; `transient` as above
│   ├── StoreLocked        another process owns the state folder
│   └── SchemaTooNew       the database was written by a newer Tocsin
├── NotFound               the named thing does not exist
├── Conflict               the thing exists already, changed meanwhile, or is owned by a file
└── Invalid                input that cannot be accepted; names the `field` and why
"""

from collections.abc import Sequence
from enum import StrEnum


class TocsinError(Exception):
    """Anything that Tocsin raises on purpose."""


class SourceFailure(StrEnum):
    """Why a datasource gave no answer; the bounded label of the failure counter."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    BAD_QUERY = "bad_query"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    BAD_ANSWER = "bad_answer"
    LIMIT = "limit"


def same_words(text: str) -> str:
    """A failure without what differs each time: words with digits in them (seconds, bytes, addresses, ids) are all one,
    except the status of HTTP. Two that are the same then say the same to people.
    """
    words = text.split()
    pairs = zip(["", *words], words, strict=False)
    return " ".join("#" if before != "HTTP" and any(map(str.isdigit, word)) else word for before, word in pairs)


class SourceError(TocsinError):
    """A datasource gave no usable answer.

    `transient` is true when the same request may succeed later without anybody changing anything. `retry_after_s` is
    how long the server asked to be left alone, None where it did not. `datasource` is its uid, where the one who asked
    knows it.
    The text never contains credentials: it is stored, shown and logged.
    """

    def __init__(
        self, message: str, *, failure: SourceFailure, transient: bool, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.failure = failure
        self.transient = transient
        self.retry_after_s = retry_after_s
        self.datasource: str | None = None


class LimitExceeded(SourceError):
    """A limit of ours was reached; the message names the limit and how to raise it. `asked` is false where the
    datasource was not even asked.
    """

    def __init__(self, message: str, *, asked: bool = True) -> None:
        super().__init__(message, failure=SourceFailure.LIMIT, transient=False)
        self.asked = asked


class NotAsked(SourceError):
    """A datasource that fails was not asked this time; the message holds its last failure and when it is asked again.

    Raised in the place of that failure, whose kind it keeps.
    """

    def __init__(self, message: str, *, failure: SourceFailure) -> None:
        super().__init__(message, failure=failure, transient=True)


class StoreError(TocsinError):
    """The store could not keep or read something (disk full, read-only, corrupt, unreachable)."""

    def __init__(self, message: str, *, transient: bool = True) -> None:
        super().__init__(message)
        self.transient = transient


class StoreLocked(StoreError):
    """Another process owns the state folder; the message names it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, transient=False)


class SchemaTooNew(StoreError):
    """The database was written by a newer version; the message names both."""

    def __init__(self, message: str) -> None:
        super().__init__(message, transient=False)


class NotFound(TocsinError):
    """The named thing does not exist."""


class Conflict(TocsinError):
    """The thing exists already, was changed meanwhile, or belongs to a file."""


class Invalid(TocsinError):
    """Input that cannot be accepted: `field` names what, the message says why. `more` are others found with it."""

    def __init__(self, field: str, reason: str, more: Sequence["Invalid"] = ()) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
        self.more = tuple(more)

    @property
    def problems(self) -> Sequence[tuple[str, str]]:
        """All fields with their reasons."""
        return [(one.field, one.reason) for one in (self, *self.more)]

    def under(self, place: str) -> "Invalid":
        """The same where the fields are members of something."""
        return Invalid(f"{place}.{self.field}", self.reason, [one.under(place) for one in self.more])
