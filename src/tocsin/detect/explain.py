"""Why a sample was called odd, in one plain sentence without a language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, isinf, trunc

_BYTES = ((2.0**50, "PiB"), (2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))
_SECONDS = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_IN_MINUTES = 120.0
"""Seconds from which larger units are easier to read."""


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
is what a rounding or a floor leaves.
"""

_SMALLEST = 1e-100
"""Whatever is smaller is zero: no instrument knows it, it is what is left of a computation. So is minus zero."""


def number(value: float, unit: str = "") -> str:
    """A number as people write it: four significant digits, no more; with its unit where that is known."""
    size = abs(value)
    if unit in ("bytes", "bytes/s"):
        scale, name = next((each for each in _BYTES if size >= each[0]), (1.0, "B"))
        return f"{_plain(value / scale)} {name}{unit[5:]}"
    if unit == "seconds" and value:
        known = _SECONDS if size >= _IN_MINUTES else _SECONDS[3:]
        scale, name = next((each for each in known if size >= each[0]), _SECONDS[-1])
        return f"{_plain(value / scale)} {name}"
    return f"{_plain(value)} %" if unit == "percent" else _plain(value) + " s" * (unit == "seconds")


def distance(value: float, unit: str = "") -> str:
    """How far something is from something else, as people write it: percents lie points apart."""
    return f"{_plain(abs(value))} points" if unit == "percent" else number(abs(value), unit)


def _plain(value: float) -> str:
    if abs(value) < _SMALLEST:
        return "0"
    return f"{value:.4g}" if abs(value) < 1e4 or abs(value) >= 1e15 else f"{value:,.0f}"


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

    ``lower`` and ``upper`` are the band; None leaves it out. ``unit`` as in ``number``. The first of ``methods`` is the
    strongest.
    """
    deviation = value - expected
    side = "above" if deviation >= 0 else "below"
    percent = f" ({deviation / abs(expected):+.0%})" if _has_ratio(value, expected) else ""
    least = _NOTHING * (abs(expected) if abs(expected) > _SMALLEST else abs(value))
    ends = [None if end is None else number(end if abs(end) > least else 0.0, unit) for end in (lower, upper)]
    band = "" if None in ends else f", usually {ends[0]} to {ends[1]}"
    said = f"; {agreeing(methods)}" if methods else ""
    if methods and methods[0] in _LOOKS:
        said += f": {_LOOKS[methods[0]]}"
    return (
        f"{number(value, unit)} is {distance(deviation, unit)} {side} the expected {number(expected, unit)}{percent}"
        f"{band}: "
        f"{_cut(abs(sigma)):.2f} sigma{_learnt(ground)}{said}{_passed(deviation, expected, ground, unit)}."
    )


def agreeing(methods: Sequence[str]) -> str:
    """Who says so: one alone, or several that agree; ``methods`` names at least one."""
    if len(methods) == 1:
        return f"so says {methods[0]}"
    return f"{', '.join(methods[:-1])} and {methods[-1]} agree"


def _has_ratio(value: float, expected: float) -> bool:
    return bool(expected) and abs(expected) > 1e-12 * abs(value)


def needed_words(threshold: float | None) -> str:
    """How many sigma it takes to begin an alert; none are enough where a deployment holds new ones back."""
    if threshold is None:
        return ""
    return " while a deployment holds new alerts back" if isinf(threshold) else f" where {threshold:.3g} are needed"


def _learnt(ground: Ground) -> str:
    needed = needed_words(ground.threshold)
    base = "" if ground.samples is None else f" from {ground.samples:,} sample{'s' * (ground.samples != 1)}"
    season = {"": "", "none": " without a season"}.get(ground.season, f" with the season of the {ground.season}")
    return needed + base + season


def _share(part: float) -> str:
    percent = 100 * part
    return f"{percent:.2g} %" if percent < 100 else f"{percent:,.0f} %"


def _cut(size: float) -> float:
    """Two decimals, cut and not rounded: 3.998 are not 4 sigma, from which on all is worse."""
    return trunc(size * 100 + 1e-9) / 100 if isfinite(size) else size


def _passed(deviation: float, expected: float, ground: Ground, unit: str) -> str:
    floor = ""
    if ground.floor:
        share = f" ({_share(ground.floor / abs(expected))} of expected)" if _has_ratio(ground.floor, expected) else ""
        had = number(abs(deviation), unit)
        floor = f"; at least {number(ground.floor, unit)}{share} matters, it was {had}"
    return floor + (f"; last like this {ground.last}" if ground.last else "")
