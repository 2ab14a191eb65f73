"""The cap over all targets: how many false alerts a week are to be expected, and from how many sigma one is told."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import AUTO_CEILING, DIAL_LEVELS, LEAST_WEEKS, Dial, Tolerance
from tocsin.domain.frame import Floats
from tocsin.domain.target import Target
from tocsin.monitor.status import DialView, FleetView
from tocsin.monitor.watch import Watch

DEFAULT_TOLERATED = 35.0
"""False alerts a week that are tolerated of everything that is watched, unless the settings say otherwise."""


@dataclass(slots=True)
class _Known:
    """`curve` (L,): false alerts a week of one target with each level as a floor; `view` what people are told; `of`
    which day, rows and thresholds.
    """

    of: tuple[object, ...]
    curve: Floats
    view: DialView | None = None


class Fleet:
    """Keeps the sum of what targets are expected to tell to `tolerated`, by a floor under all their thresholds.

    Targets whose threshold is fixed by a person are not counted: nobody asked for a budget there.
    """

    def __init__(self, tolerated: float = DEFAULT_TOLERATED) -> None:
        self._tolerated = tolerated
        self._known: dict[str, _Known] = {}
        self.floor = 0.0

    def settle(self, watches: Iterable[Watch]) -> None:
        """Choose the floor anew and give it to all watches. Rates are summed anew where a threshold changed."""
        counted = [watch for watch in watches if watch.target.enabled and watch.target.tolerance is not None]
        self._known = {watch.target.name: self._of(watch) for watch in counted}
        total = self._total()
        fits = total <= self._tolerated + 1e-9
        if not fits.any():
            # Of what no floor keeps away the others are not to blame.
            fits = total - total.min() <= self._tolerated + 1e-9
        level = int(fits.argmax())
        self.floor = float(DIAL_LEVELS[level]) if level else 0.0
        for watch in counted:
            watch.floor = self.floor

    def dial_of(self, watch: Watch) -> DialView | None:
        """What the dial of a target has come to by the end of yesterday; None where a person fixed the threshold."""
        if watch.target.tolerance is None or not watch.memory.dial.rows:
            return None
        known = self._of(watch)
        if known.view is None:
            known.view = dial_view(watch, watch.target.tolerance)
            self._known[watch.target.name] = known
        return known.view

    def view(self) -> FleetView:
        """What is to be expected with the floor of now."""
        level = int(np.searchsorted(DIAL_LEVELS, self.floor)) if self.floor else 0
        return FleetView(float(self._total()[level]), self._tolerated, self.floor)

    def warning(self, targets: Sequence[Target]) -> tuple[str, ...]:
        """What is to be said of a back-test of these, which knows nothing of the others: that a floor is in force."""
        if not any(one.tolerance is not None and self.floor > one.policy.sigma for one in targets):
            return ()
        words = (
            f"monitoring begins nothing but drift, absence and capacity below {self.floor:g} sigma now, to keep all "
            f"targets to {self._tolerated:g} false alerts a week together: that floor is no part of a back-test, which "
            "may count what would not be told"
        )
        return (words,)

    def _total(self) -> Floats:
        return sum((known.curve for known in self._known.values()), np.zeros(len(DIAL_LEVELS)))

    def _of(self, watch: Watch) -> _Known:
        dial, target = watch.memory.dial, watch.target
        asked = float(dial.entry.sum())
        of = (dial.day, dial.rows, asked, target.policy.sigma, target.tolerance, watch.floor, target.detection_methods)
        known = self._known.get(target.name)
        return known if known is not None and known.of == of else _Known(of, curve_of(dial, target))


def curve_of(dial: Dial, target: Target) -> Floats:
    """(L,): false alerts a week to be expected of all its series, with each level as a floor; what the target itself
    asks for is always asked, and of `auto` no more than it can say.
    """
    if not dial.rows:
        return np.zeros(len(DIAL_LEVELS))
    own = np.searchsorted(DIAL_LEVELS, np.maximum(dial.entry, target.policy.sigma))
    rates, each, top = dial.rates(), np.arange(dial.rows), _tops(dial)
    return np.array([rates[each, np.minimum(np.maximum(own, level), top)].sum() for level in range(len(DIAL_LEVELS))])


def _tops(dial: Dial) -> NDArray[np.intp]:
    """(S,): the highest level that may be asked of each series: where `auto` speaks, of what that can say."""
    return np.where(dial.phase == 1, np.searchsorted(DIAL_LEVELS, AUTO_CEILING), len(DIAL_LEVELS) - 1)


def dial_view(watch: Watch, tolerance: Tolerance) -> DialView:
    """From how many sigma the series of a target are told, in numbers."""
    dial, base = watch.memory.dial, watch.target.policy.sigma
    each, top = np.arange(dial.rows), _tops(dial)
    wanted = np.maximum(np.maximum(dial.entry, watch.floor), base)
    entry = np.minimum(wanted, DIAL_LEVELS[top])
    level = np.minimum(np.searchsorted(DIAL_LEVELS, entry), top)
    every = dial.rates()
    rates = every[each, level]
    # Before a week is over one alert is no rate, and today's is in no threshold yet.
    least = every[each, top][dial.weeks >= LEAST_WEEKS]
    return DialView(
        sigma_least=float(entry.min()),
        sigma_median=float(np.median(entry)),
        sigma_most=float(entry.max()),
        raised=int((entry > base).sum()),
        capped=int((wanted > entry).sum()),
        expected_per_week=float(rates.sum()),
        weeks=float(dial.weeks.max()),
        over=bool((least > tolerance.per_series + 1e-6).any() or least.sum() > tolerance.total + 1e-6),
    )
