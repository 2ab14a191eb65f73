"""What a target asks of its values beside size and sigma, in words: an explanation names it. Pure."""

from tocsin.detect import Direction, Policy, number
from tocsin.domain.denominator import guard_of
from tocsin.domain.target import Target


def asked_words(target: Target, policy: Policy) -> tuple[str, ...]:
    """The side, the values and the range that count, and where a ratio is not judged; only what restricts anything."""
    unit = target.nature.unit
    lower, upper, above, below = (
        None if bound is None else number(bound, unit)
        for bound in (policy.lower_bound, policy.upper_bound, policy.alert_above, policy.alert_below)
    )
    guard = guard_of(target)
    said = [
        "" if policy.direction is Direction.BOTH else f"only {policy.direction} what is expected",
        f"only values above {above}" if above else "",
        f"only values below {below}" if below else "",
        _range(lower, upper),
        f"not judged where {guard.words}" if guard else "",
    ]
    return tuple(filter(None, said))


def _range(lower: str | None, upper: str | None) -> str:
    if lower and upper:
        return f"possible are {lower} to {upper}"
    return f"possible is nothing below {lower}" if lower else f"possible is nothing above {upper}" if upper else ""
