"""What matters unless a target says otherwise: the least deviation that anybody would act upon."""

MIN_EFFECT_RATIO = 0.05
"""Of the expected value; where both bounds are known, of the distance from what is expected to the nearer one.

Five percent: less is within what instruments, batches and rounding make of a healthy series. The distance to the
bound, because of availability it is the missing part that counts: .9999 to .97 is three hundred times as many failures.
"""

LEAST_EFFECT: dict[str, float] = {
    "percent": 0.01,
    "ratio": 0.0001,
    "seconds": 0.0001,
    "count": 1.0,
    "bytes": 1024.0,
    "bytes/s": 1024.0,
}
"""By unit: one in ten thousand of a share, a tenth of a millisecond, one whole thing, a kilobyte. Values of no known
unit have none, because what is small there depends on the unit.
"""

LEAST_EVENTS = 10.0
"""Events in the window of a ratio below which it says nothing: of ten requests one more failure is ten percent."""


def least_effect(min_effect: float, min_effect_ratio: float, unit: str) -> float:
    """The floor in the unit of the values: what the target says, or that of the unit where it is more.

    A target whose `min_effect_ratio` is 0 has asked for no floor but its own.
    """
    return max(min_effect, LEAST_EFFECT.get(unit, 0.0)) if min_effect_ratio > 0 else min_effect
