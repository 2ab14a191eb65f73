"""Why a sample was called odd, in one plain sentence without a language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite, isinf, trunc

from tocsin.units import DIGITS, SMALLEST, distance, number


@dataclass(frozen=True)
class Ground:
    """What a verdict rests on; what is not known or does not apply is None or "".

    ``samples`` the expectation was learnt from, ``season`` that was taken off (``day``, ``week``; ``none``: looked for
    and not found), ``threshold`` |sigma| needed, ``floor`` least deviation that matters, ``last`` when the same series
    stood out before, in words.
    """

    samples: int | None = None
    season: str = ""
    threshold: float | None = None
    floor: float | None = None
    last: str = ""


NO_GROUND = Ground()

_LOOKS = {
    "shift": "the last ten samples lie elsewhere than those before",
    "volatility": "the last ten samples move unlike those before",
    "shape": "the last samples go unlike any that are remembered",
    "away": "the last ten samples are away from where it usually is",
    "astray": "the last thirty samples are away from where it usually is",
    "zero": "nothing for three samples and more, which hardly ever came before",
    "stuck": "the same value for ten samples and more, which hardly ever came before",
}
"""What the methods say that look at more than one sample, which alone may be nothing special."""

_NOTHING = 1e-9
"""A band's end that is so small a part of what is expected, or of the value where that is nothing, is shown as zero: it
is what a rounding or a floor leaves. So small a difference needs no digits of its own.
"""


def moment(at: float) -> str:
    """An instant, unix seconds, as people write it."""
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"{at:g} s"


def explain(
    value: float,
    expected: float,
    *,
    sigma: float,
    methods: Sequence[str] = (),
    lower: float | None = None,
    upper: float | None = None,
    unit: str = "",
    ground: Ground = NO_GROUND,
) -> str:
    """One sentence: the value, what was expected, how far off it is in percent and sigma, who says so, on what ground.

    ``lower`` and ``upper`` are the band; None leaves it out. ``unit`` as in ``tocsin.units``. The first of ``methods``
    is the strongest.
    """
    deviation = value - expected
    side = "above" if deviation >= 0 else "below"
    percent = f" ({_percent(deviation / abs(expected))})" if _has_ratio(value, expected) else ""
    smallest = min(SMALLEST, _NOTHING * max(abs(value), abs(expected))) if value or expected else SMALLEST
    digits = _digits(value, expected, unit, smallest)
    least = _NOTHING * (abs(expected) if abs(expected) > smallest else abs(value))

    def shown(one: float) -> str:
        return number(one, unit, digits=digits, smallest=smallest)

    ends = [None if end is None else shown(end if abs(end) > least else 0.0) for end in (lower, upper)]
    band = "" if None in ends else f", usually {ends[0]} to {ends[1]}"
    if lower is not None and upper is not None and deviation and lower <= value <= upper:
        # It is several samples together that stand out.
        band += " for one sample"
    said = f"; {agreeing(methods)}" if methods else ""
    if methods and methods[0] in _LOOKS:
        said += f": {_LOOKS[methods[0]]}"
    off = distance(deviation, unit, smallest=smallest)
    return (
        f"{shown(value)} is {off} {side} the expected {shown(expected)}{percent}{band}: "
        f"{_cut(abs(sigma)):.2f} sigma{_learnt(ground, sigma)}{said}{_passed(off, expected, ground, unit)}."
    )


def _digits(value: float, expected: float, unit: str, smallest: float) -> int:
    """So many digits that two numbers that differ are seen to."""
    if abs(value - expected) > _NOTHING * max(abs(value), abs(expected)):
        for digits in range(DIGITS, 17):
            one, other = (number(each, unit, digits=digits, smallest=smallest) for each in (value, expected))
            if one != other:
                return digits
    return DIGITS


def agreeing(methods: Sequence[str]) -> str:
    """Who says so: one alone, or several that agree; ``methods`` names at least one."""
    if len(methods) == 1:
        return f"so says {methods[0]}"
    return f"{', '.join(methods[:-1])} and {methods[-1]} agree"


def _has_ratio(value: float, expected: float) -> bool:
    return bool(expected) and abs(expected) > 1e-12 * abs(value)


def needed_words(threshold: float | None, sigma: float) -> str:
    """How many sigma it takes to begin an alert; none are enough where a deployment holds new ones back. One that goes
    on may have begun where fewer were needed.
    """
    if threshold is None:
        return ""
    if isinf(threshold):
        return " while a deployment holds new alerts back"
    needed = f"{threshold:.3g} are needed"
    return f" where {needed}" if abs(sigma) >= threshold else f" ({needed} to begin)"


def _learnt(ground: Ground, sigma: float) -> str:
    needed = needed_words(ground.threshold, sigma)
    base = "" if ground.samples is None else f" from {ground.samples:,} sample{'s' * (ground.samples != 1)}"
    season = {"": "", "none": " without a season"}.get(ground.season, f" with the season of the {ground.season}")
    return needed + base + season


def _percent(ratio: float) -> str:
    return f"{ratio:+.0%}" if abs(ratio) >= 0.005 or not ratio else f"{100 * ratio:+.1g}%"


def _share(part: float) -> str:
    percent = 100 * part
    return f"{percent:.2g} %" if percent < 100 else f"{percent:,.0f} %"


def _cut(size: float) -> float:
    """Two decimals, cut and not rounded: 3.998 are not 4 sigma, from which on all is worse."""
    return trunc(size * 100 + 1e-9) / 100 if isfinite(size) else size


def _passed(off: str, expected: float, ground: Ground, unit: str) -> str:
    floor = ""
    if ground.floor:
        share = f" ({_share(ground.floor / abs(expected))} of expected)" if _has_ratio(ground.floor, expected) else ""
        floor = f"; at least {distance(ground.floor, unit)}{share} matters, it was {off}"
    return floor + (f"; last like this {ground.last}" if ground.last else "")
