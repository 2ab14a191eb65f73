"""Numbers as people write them, in sentences, lists and plots: few digits, and a unit with its prefix where known."""

_BYTES = ((2.0**50, "PiB"), (2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))
_SECONDS = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_PLAIN = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_IN_MINUTES = 120.0
"""Seconds from which larger units are easier to read."""

SMALLEST = 1e-100
"""Whatever is smaller is zero: no instrument knows it, it is what is left of a computation. So is minus zero."""

DIGITS = 4
"""Significant digits, where no more are needed."""


def number(value: float, unit: str = "", *, digits: int = DIGITS, smallest: float = SMALLEST) -> str:
    """A number as people write it, with its unit where that is known; at ten thousand and more it is whole.

    More ``digits`` show what differs between two numbers; what is below ``smallest`` is zero.
    """
    scale, name = scaled(abs(value), unit)
    shown = _plain(value / scale, digits, smallest)
    return f"{shown} {name}" if name else shown


def distance(value: float, unit: str = "", *, smallest: float = SMALLEST) -> str:
    """How far something is from something else, as people write it: percents lie points apart."""
    if unit == "percent":
        return f"{_plain(abs(value), DIGITS, smallest)} points"
    return number(abs(value), unit, smallest=smallest)


def scaled(size: float, unit: str) -> tuple[float, str]:
    """By what a number of that size is divided, and what is written behind it: the unit with its prefix."""
    if unit in ("bytes", "bytes/s"):
        scale, name = next((each for each in _BYTES if size >= each[0]), (1.0, "B"))
        return scale, name + unit[5:]
    if unit == "seconds":
        known = _SECONDS if size >= _IN_MINUTES else _SECONDS[3:]
        return next((each for each in known if size >= each[0]), _SECONDS[-1]) if size else (1.0, "s")
    return 1.0, "%" if unit == "percent" else ""


def scaled_short(size: float, unit: str) -> tuple[float, str]:
    """The same for where there is little room: large numbers without a unit have a prefix, too."""
    scale, name = scaled(size, unit)
    if name or not 1e4 <= size < 1e15:
        return scale, name
    return next(each for each in _PLAIN if size >= each[0])


def _plain(value: float, digits: int, smallest: float) -> str:
    size = abs(value)
    if size < smallest or not size:
        return "0"
    return f"{value:.{digits}g}" if size < 1e4 or size >= 1e15 else f"{value:,.{digits - DIGITS}f}"
