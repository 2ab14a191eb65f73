"""Retrospective detection: what stands out of a recorded series, with its reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from tocsin.detect.base import METHODS, as_block, as_times, resolve_methods
from tocsin.detect.baseline import PREDICT
from tocsin.detect.calibrate import ANOMALOUS, Array, Severity, tail_of
from tocsin.detect.explain import Ground, explain, moment
from tocsin.detect.patterns import Pattern, patterns
from tocsin.detect.retrospective import FENCED_ABOVE, FEWEST, sigmas
from tocsin.detect.rolling import previous_of
from tocsin.detect.sample import Sample, summarise
from tocsin.units import number

FALSE_ALARMS = 0.05
"""How many anomalies pure noise may hold, for each method and series: n * p is at most this."""

NEAR = 2.5
MOST_NOTES = 20


@dataclass(frozen=True)
class Detection:
    """One sample that stands out. ``confidence`` is 1 - n * p, with p the tail probability among n samples.

    ``method`` is the strongest, ``methods`` all that agree, the strongest first; ``expected_value`` and ``deviation``
    are the strongest one's, in the unit of the values.
    """

    series: int
    index: int
    timestamp: float
    value: float
    expected_value: float
    deviation: float
    sigma: float
    severity: Severity
    confidence: float
    method: str
    methods: tuple[str, ...]
    explanation: str


@dataclass(frozen=True)
class Detections(Sequence[Detection]):
    """What was found, ordered by series and index; ``notes`` say what could not be judged and what came near."""

    found: tuple[Detection, ...] = ()
    notes: tuple[str, ...] = ()
    patterns: tuple[Pattern, ...] = ()

    @overload
    def __getitem__(self, index: int) -> Detection: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Detection, ...]: ...
    def __getitem__(self, index: int | slice) -> Detection | tuple[Detection, ...]:
        return self.found[index]

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[Detection]:
        return iter(self.found)

    @property
    def severity(self) -> Severity | None:
        """The worst severity found; None when nothing was."""
        return max((one.severity for one in self.found), key=lambda severity: severity.rank, default=None)


def detect(timestamps: object, values: object, methods: str | Sequence[str] = METHODS) -> Detections:
    """The anomalies and patterns of recorded series: ``timestamps`` (T,) unix seconds, ``values`` (T,) or (S, T).

    Each sample is held against the others of its series without itself, outliers set aside. It is an anomaly when a
    method puts it at 3 sigma or more and n * p is at most 0.05. NaN and infinite samples are gaps.
    Raises ValueError for an unknown method and for shapes that do not fit.
    """
    block = as_block(values)
    times = as_times(timestamps, block.shape[1])
    names = resolve_methods(methods)
    if not block.size:
        return Detections(notes=("there are no samples",))
    signed = sigmas(block, names)
    found: list[Detection] = []
    notes: list[str] = []
    for series in range(len(block)):
        one = _Series(series, times, block[series], names, signed[:, series])
        found.extend(one.detections())
        notes.extend(one.notes())
    if len(notes) > MOST_NOTES:
        notes[MOST_NOTES:] = [f"and {len(notes) - MOST_NOTES} more notes"]
    return Detections(tuple(found), tuple(notes), patterns(times, block))


class _Series:
    """One series while its findings are put into words."""

    def __init__(self, series: int, times: Array, values: Array, methods: tuple[str, ...], signed: Array) -> None:
        self.series, self.times, self.values, self.methods, self.signed = series, times, values, methods, signed
        self.count = int((~np.isnan(values)).sum())
        self.magnitude = np.nan_to_num(np.abs(signed), nan=-1.0)
        strongest = self.magnitude.max(axis=0)
        self.candidates = np.flatnonzero(strongest >= NEAR).tolist()

    def passes(self, sigma: float) -> bool:
        return sigma >= ANOMALOUS and self.count * tail_of(sigma) <= FALSE_ALARMS

    def detections(self) -> Iterator[Detection]:
        hits = [index for index in self.candidates if self.passes(float(self.magnitude[:, index].max()))]
        if not hits:
            return
        sample = summarise(self.values[None], fenced=len(self.values) > FENCED_ABOVE)
        for index in hits:
            yield self._detection(index, sample)

    def _detection(self, index: int, sample: Sample) -> Detection:
        order = sorted(range(len(self.methods)), key=lambda m: -self.magnitude[m, index])
        best, sigma = order[0], float(self.signed[order[0], index])
        agreeing = [m for m in order if self.passes(self.magnitude[m, index]) and self.signed[m, index] * sigma > 0]
        names = tuple(self.methods[m] for m in agreeing)
        value = float(self.values[index])
        expected = self._expected(self.methods[best], index, sample)
        return Detection(
            series=self.series,
            index=index,
            timestamp=float(self.times[index]),
            value=value,
            expected_value=expected,
            deviation=value - expected,
            sigma=sigma,
            severity=Severity.of(sigma) or Severity.LOW,
            confidence=max(0.0, 1.0 - self.count * tail_of(sigma)),
            method=names[0],
            methods=names,
            explanation=explain(value, expected, sigma=sigma, methods=names, ground=Ground(samples=self.count - 1)),
        )

    def _expected(self, method: str, index: int, sample: Sample) -> float:
        unit = 1.0 if sample.rescale is None else float(sample.rescale[0])
        scaled = self.values / unit
        kept = sample.kept(scaled[None])[0]
        if method == "rate_change":
            return float(previous_of(scaled[None], kept[None])[0, index]) * unit
        center = float(PREDICT[method](sample).center[0])
        if method == "zscore" and kept[index]:
            center -= (float(scaled[index]) - center) / (int(sample.count[0]) - 1)
        return center * unit

    def notes(self) -> Iterator[str]:
        who = f"series {self.series}: "
        blind = [name for m, name in enumerate(self.methods) if (self.magnitude[m] < 0).all()]
        if blind:
            least = " and ".join(f"{name} {FEWEST[name]}" for name in blind)
            size = "1 sample" if self.count == 1 else f"{self.count} samples"
            yield f"{who}too little data for {', '.join(blind)}: {size}; needed beside each one: {least}"
        near = [index for index in self.candidates if not self.passes(float(self.magnitude[:, index].max()))]
        near.sort(key=lambda index: -float(self.magnitude[:, index].max()))
        for index in near[:3]:
            m = int(self.magnitude[:, index].argmax())
            sigma = float(self.magnitude[m, index])
            expected = self.count * tail_of(sigma)
            missing = f"{ANOMALOUS:.0f} are needed" if sigma < ANOMALOUS else f"{expected:.2g} such expected by chance"
            value = number(float(self.values[index]))
            by = f"{sigma:.2f} sigma by {self.methods[m]}"
            at = moment(float(self.times[index]))
            yield f"{who}{value} at {at} (index {index}) is no anomaly, but near: {by}, {missing}"
