"""Why a sample was called odd, in one plain sentence without a language model."""

from __future__ import annotations

from collections.abc import Sequence


def number(value: float) -> str:
    """A number as people write it: four significant digits, no more."""
    return f"{value:.4g}" if abs(value) < 1e4 or abs(value) >= 1e15 else f"{value:,.0f}"


def explain(
    value: float,
    expected: float,
    *,
    sigma: float,
    methods: Sequence[str] = (),
    lower: float | None = None,
    upper: float | None = None,
    samples: int | None = None,
) -> str:
    """One sentence: the value, what was expected, how far off it is in percent and sigma, who says so.

    ``lower`` and ``upper`` are the band, ``samples`` how many samples the expectation rests on; None leaves them out.
    """
    deviation = value - expected
    side = "above" if deviation >= 0 else "below"
    percent = f" ({deviation / abs(expected):+.0%})" if abs(expected) > 1e-12 * abs(value) and expected else ""
    band = "" if lower is None or upper is None else f", usually {number(lower)} to {number(upper)}"
    base = "" if samples is None else f" from {samples} samples"
    names = " and ".join([", ".join(methods[:-1]), methods[-1]] if len(methods) > 1 else methods)
    said = f"; {names} agree{'s' * (len(methods) == 1)}" if methods else ""
    return (
        f"{number(value)} is {number(abs(deviation))} {side} the expected {number(expected)}{percent}{band}: "
        f"{abs(sigma):.2f} sigma{base}{said}."
    )
