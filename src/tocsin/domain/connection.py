"""What finds datasources by itself while Tocsin runs, and has a state of its own: a port, and how it is doing."""

from dataclasses import dataclass
from typing import Protocol

from tocsin.domain.datasource import Description


@dataclass(frozen=True, slots=True)
class Standing:
    """How a connection is doing. `failure` None: it works. `server` is what answers, None while nothing does;
    `datasources` are the uids found last; `notes` what is wrong beside (a uid that is taken, a tool that is refused).
    `failures` is how often in a row it was tried in vain.
    """

    failure: str | None
    server: str | None = None
    datasources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    failures: int = 0


class Connection(Protocol):
    """What brings datasources."""

    uid: str

    @property
    def what(self) -> str:
        """What it leads to, in words without secrets."""
        ...

    def standing(self) -> Standing:
        """How it is doing now."""
        ...

    async def describe(self) -> Description:
        """Ask now what answers and which datasources there are, which are taken over; raises `SourceError`."""
        ...
