"""Every further method by its name, what it needs installed, how much history it wants."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from tocsin.detect.more import absence, capacity, drift, forecast, isolation_forest, outlier, prophet, seasonal
from tocsin.detect.more.common import Method

BY_NAME: dict[str, Method] = {
    "seasonal": seasonal.METHOD,
    "forecast": forecast.METHOD,
    "prophet": prophet.METHOD,
    "isolation_forest": isolation_forest.METHOD,
    "drift": drift.METHOD,
    "outlier": outlier.METHOD,
    "absence": absence.METHOD,
    "capacity": capacity.METHOD,
}

EXTRAS: dict[str, tuple[str, str]] = {
    "forecast": ("statsforecast", "forecast"),
    "prophet": ("prophet", "prophet"),
    "isolation_forest": ("sklearn", "ml"),
}
"""The package that a method needs, and the optional extra that brings it."""


def missing_extra(methods: Sequence[str]) -> str | None:
    """What to install for the first of some methods that cannot run here, in words; None where all can."""
    for name in methods:
        package, extra = EXTRAS.get(name, ("", ""))
        if package and find_spec(package) is None:
            return f"{name} needs {package}, which is not installed: pip install 'tocsin[{extra}]'"
    return None


def history_of(methods: Sequence[str]) -> float:
    """Seconds of history that the most demanding of some methods wants before its first verdict."""
    return max((BY_NAME[name].history_s for name in methods if name in BY_NAME), default=0.0)


def series_of(method: str) -> int:
    """How many series a method needs, any name, before it can say anything."""
    return BY_NAME[method].series if method in BY_NAME else 1


def is_slow(methods: Sequence[str]) -> bool:
    """Whether one of some methods learns for so long that it belongs into a thread."""
    return any(BY_NAME[name].slow for name in methods if name in BY_NAME)
