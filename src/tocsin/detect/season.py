"""Does a series repeat: candidate periods off the autocorrelation, each tested by analysis of variance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.calibrate import SIGMA_CAP, Array, sigma_of_tail, tail_of

Slots = NDArray[np.intp]

SURE = 0.001
"""A season is reported when chance would show one like it in at most this share of series without."""

BINS = 12
FEWEST_CYCLES = 3
_FEWEST_SAMPLES = 36
_MOST_CANDIDATES = 6
_LEAST_SHARE = 0.1
_NATURAL_S = (3600.0, 86400.0, 604800.0)


@dataclass(frozen=True)
class Season:
    """A period in seconds, the ``sigma`` of its test, and the mean course of the season at each sample (n,)."""

    period_s: float
    sigma: float
    curve: Array


def find_period(times: Array, values: Array) -> Season | None:
    """The period that explains most, or None; (n,) samples in time order; missing ones are left out.

    Tests at most six peaks of the autocorrelation of the detrended series. The tail is multiplied by the number of lags
    that could have been a peak, since the peaks were chosen among them.
    """
    if len(values) < _FEWEST_SAMPLES:
        return None
    step = float(np.median(np.diff(times)))
    columns = round(float(times[-1] - times[0]) / step) + 1 if step > 0 else 0
    if not _FEWEST_SAMPLES <= columns <= 4 * len(values):
        return None
    slot = np.minimum(np.round((times - times[0]) / step).astype(np.intp), columns - 1)
    rest = _detrended(times, values)
    if float((rest * rest).mean()) <= 1e-12 * float((values * values).mean()):
        return None
    natural = [round(period / step) for period in _NATURAL_S]
    lags = {next((n for n in natural if abs(lag - n) <= 0.03 * n), lag) for lag in _candidates(slot, rest, columns)}
    lags |= {lag for lag in natural if 4 <= lag <= columns // FEWEST_CYCLES}
    tested = [(lag, _sigma_of_period(slot, rest, lag, columns // 3)) for lag in sorted(lags)]
    seasons = [_season(slot, rest, lag, step, sigma) for lag, sigma in tested if tail_of(sigma) <= SURE]
    shares = [float((season.curve**2).mean()) / float((rest * rest).mean()) for season in seasons]
    if not shares or max(shares) < _LEAST_SHARE:
        return None
    # Every multiple of a period repeats too: the shortest that explains nearly as much is the period.
    return next(season for season, share in zip(seasons, shares, strict=True) if share >= 0.8 * max(shares))


def _season(slot: Slots, rest: Array, lag: int, step: float, sigma: float) -> Season:
    bins = min(BINS * 4, lag)
    phase = (slot % lag) * bins // lag
    count = np.maximum(np.bincount(phase, minlength=bins), 1)
    return Season(lag * step, sigma, (np.bincount(phase, weights=rest, minlength=bins) / count)[phase])


def _detrended(times: Array, values: Array) -> Array:
    """What a straight line leaves, with outliers pulled in to three robust deviations."""
    at = (times - times.mean()) / max(float(np.ptp(times)), 1e-9)
    centred = values - values.mean()
    rest = centred - at * (float((at * centred).sum()) / float((at * at).sum()))
    rest -= np.median(rest)
    limit = 3.0 * 1.4826 * float(np.median(np.abs(rest)))
    if limit > 0:
        rest = np.clip(rest, -limit, limit)
    result: Array = rest - rest.mean()
    return result


def _candidates(slot: Slots, rest: Array, columns: int) -> list[int]:
    """The lags of the highest peaks of the autocorrelation that leave room for three cycles."""
    grid = np.zeros(columns)
    grid[slot] = rest
    size = 1 << (2 * columns - 1).bit_length()
    spectrum = np.fft.rfft(grid, size)
    power = np.fft.irfft(spectrum * np.conj(spectrum), size)[: columns // FEWEST_CYCLES + 2]
    power = power / (columns - np.arange(len(power)))
    width = max(1, len(power) // 200)
    smooth = np.convolve(power, np.ones(2 * width + 1) / (2 * width + 1), mode="same") if width > 1 else power
    inner = np.arange(3, len(power) - 1)
    peaks = inner[(smooth[inner] > smooth[inner - 1]) & (smooth[inner] >= smooth[inner + 1]) & (smooth[inner] > 0)]
    order = peaks[np.argsort(-smooth[peaks], kind="stable")][:_MOST_CANDIDATES]
    found = []
    for lag in sorted(order.tolist()):
        low = max(2, lag - 2 * width)
        found.append(low + int(power[low : min(lag + 2 * width + 1, len(power))].argmax()))
    return found


def _sigma_of_period(slot: Slots, rest: Array, lag: int, tried: int) -> float:
    """Two-way analysis of variance, cycles by phases: do phases differ more than cycles disagree about them.

    Neighbouring phases are alike in a red series, which leaves fewer degrees of freedom than cells; they are shrunk by
    the autocorrelation r of the residual cells as (1 - r^2) / (1 + r^2) (Bayley and Hammersley 1946).
    """
    bins = min(BINS, lag)
    cycles = (int(slot[-1]) + 1) // lag
    if cycles < FEWEST_CYCLES:
        return 0.0
    cell = slot // lag * bins + (slot % lag) * bins // lag
    size = cycles * bins
    inside = cell < size
    count = np.bincount(cell[inside], minlength=size)
    if (count == 0).mean() > 0.1:
        return 0.0
    table = (np.bincount(cell[inside], weights=rest[inside], minlength=size) / np.maximum(count, 1)).reshape(-1, bins)
    table = table - table.mean(axis=1, keepdims=True)
    phase = table.mean(axis=0)
    error = (table - phase).ravel()
    left = float((error * error).sum())
    if left <= 1e-12 * float((table * table).sum()):
        return SIGMA_CAP
    lagged = float((error[1:] * error[:-1]).sum()) / left
    shrink = (1.0 - lagged * lagged) / (1.0 + lagged * lagged) if lagged > 0 else 1.0
    first, second = max(1.0, (bins - 1) * shrink), max(1.0, (bins - 1) * (cycles - 1) * shrink)
    ratio = cycles * float((phase * phase).sum()) / (bins - 1) / (left / ((bins - 1) * (cycles - 1)))
    return _corrected(_sigma_of_f(ratio, first, second), tried)


def _sigma_of_f(ratio: float, first: float, second: float) -> float:
    """The Gaussian deviation of an F ratio, upper tail (Paulson 1942)."""
    root = ratio ** (1.0 / 3.0)
    a, b = 2.0 / (9.0 * first), 2.0 / (9.0 * second)
    return float(((1.0 - b) * root - (1.0 - a)) / math.sqrt(b * root * root + a))


def _corrected(deviation: float, tried: int) -> float:
    """The two-sided sigma of an upper tail that was the best of ``tried``."""
    if deviation <= 0.0:
        return 0.0
    return sigma_of_tail(min(1.0, max(1, tried) * 0.5 * tail_of(min(deviation, SIGMA_CAP - 1.0))))
