"""What a datasource says of itself: its version, what it can do, and how its clock goes against ours."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Skew:
    """How far a server's clock is ahead of ours, seconds (behind: below zero), known to `within_s`."""

    ahead_s: float
    within_s: float

    @classmethod
    def between(cls, asked_s: float, told_s: float, heard_s: float, *, resolution_s: float = 0.0) -> "Skew":
        """From one question: asked and heard on our clock, `told_s` on the server's, all unix seconds.

        The server's clock is taken to have been read in the middle between the two (D. Mills, RFC 5905: the offset of
        one exchange), and anywhere in it at the worst. A clock of whole seconds has been read half of one later than
        it says.
        """
        middle = (asked_s + heard_s) / 2
        return cls(told_s + resolution_s / 2 - middle, max(0.0, heard_s - asked_s) / 2 + resolution_s / 2)

    def beyond(self, step_s: float) -> bool:
        """Whether it is more than a step for certain."""
        return abs(self.ahead_s) - self.within_s > step_s

    @property
    def words(self) -> str:
        """As `42.0 s ahead of ours (± 0.5 s)`."""
        way = "ahead of" if self.ahead_s >= 0 else "behind"
        return f"{abs(self.ahead_s):.1f} s {way} ours (± {self.within_s:.1f} s)"


@dataclass(frozen=True, slots=True)
class Description:
    """What a server says when it is asked about itself.

    `version` as it calls it, "" where it does not; `abilities` what can be asked of it, in words; `latency_s` how long
    one cheap question took; `skew` None where there is no other clock, or none that is told.
    """

    version: str
    abilities: tuple[str, ...]
    latency_s: float | None = None
    skew: Skew | None = None
