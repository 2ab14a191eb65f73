"""How good the default detector is, and whether its confidence means what it says: python -m benchmarks.bench_quality.

Without a folder, on series made up here with incidents at known times. With ``--data FOLDER``, on every ``*.npz`` below
it that holds ``timestamps`` (T,) in unix seconds, ``values`` (T,) and ``label`` (T,), 1 in an incident. Nothing is
tuned.
"""

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from tocsin.detect import METHODS, backtest, calibrated_confidence

STEP_S, DAY = 300.0, 288
EDGES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
MERGE_S, LATE_S = 3600.0, 600.0


@dataclass
class Series:
    """One labelled series; judged from ``warm`` columns on."""

    times: np.ndarray
    values: np.ndarray
    label: np.ndarray
    warm: int

    @property
    def days(self):
        return (len(self.values) - self.warm) * float(np.median(np.diff(self.times))) / 86400


def made_up(rng, kind):
    """28 days of five minutes with about six incidents after the first fortnight: spikes, drops, shifts, unrest."""
    size = 28 * DAY
    at = np.arange(size)
    day = np.sin(at / DAY * 2 * np.pi + rng.uniform(0, 6))
    noise = rng.standard_normal(size)
    level = {
        "season": 100 + 20 * day + 3 * noise,
        "walk": 100 + np.cumsum(noise) * 0.2 + noise,
        "bursts": 20 + 2 * noise + 40 * (rng.random(size) < 0.004) * rng.random(size),
        "counts": rng.poisson(3 * (1.2 + day)).astype(float),
        "ratio": np.clip(0.01 + 0.002 * noise, 0, 1),
        "latency": np.exp(0.25 * noise + 0.2 * day),
    }[kind]
    usual = np.abs(level - np.median(level)).mean()
    label = np.zeros(size, int)
    for _ in range(6):
        begin = int(rng.integers(14 * DAY, size - 40))
        length = int(rng.choice([1, 3, 6, 18, 36]))
        here = slice(begin, begin + length)
        label[here] = 1
        force = rng.uniform(2, 8) * usual
        if rng.random() < 0.7:
            level[here] += force * rng.choice([-1, 1])
        else:
            level[here] += force * rng.standard_normal(length)
    if kind in ("counts", "ratio"):
        level = np.maximum(np.round(level) if kind == "counts" else level, 0)
    return Series(at * STEP_S, level, label, 14 * DAY)


def recorded(folder):
    """All series of a folder."""
    found = []
    for path in sorted(Path(folder).rglob("*.npz")):
        with np.load(path) as file:
            values, label = file["values"].astype(float), file["label"].astype(int)
            warm = int(file["warm"]) if "warm" in file else len(values) // 7
            found.append(Series(file["timestamps"].astype(float), values, label, warm))
    return found


def incidents(series):
    """(first, last) column of each."""
    edges = np.flatnonzero(np.diff(np.r_[0, series.label, 0]))
    return [(a, b - 1) for a, b in zip(edges[::2], edges[1::2], strict=True) if a >= series.warm]


def alerts(series, result):
    """(first, last, strongest sigma) of each run of flags, those within an hour joined."""
    flags = np.flatnonzero(result.flags & (np.arange(len(series.values)) >= series.warm))
    if not flags.size:
        return []
    cut = np.flatnonzero(np.diff(series.times[flags]) > MERGE_S) + 1
    return [(part[0], part[-1], np.abs(result.sigma[part]).max()) for part in np.split(flags, cut)]


def judged(all_series, methods):
    """(real, confidence) of each alert, incidents caught, incidents in all, days."""
    told, caught, total, days = [], 0, 0, 0.0
    for series in all_series:
        step = float(np.median(np.diff(series.times)))
        found = alerts(series, backtest(series.times, series.values, methods))
        there = incidents(series)
        late = LATE_S / step
        for first, last, sigma in found:
            real = any(a <= last and first <= b + late for a, b in there)
            told.append((real, calibrated_confidence(sigma, step)))
        caught += sum(any(a <= last and first <= b + late for first, last, _ in found) for a, b in there)
        total += len(there)
        days += series.days
    return told, caught, total, days


def reliability(told):
    """(low, high, alerts, mean confidence, share that was real) of each range of confidence that has alerts."""
    real, confidence = (np.array(part, float) for part in zip(*told, strict=True))
    for low, high in pairwise(EDGES):
        here = (confidence > low) & (confidence <= high)
        if here.any():
            yield low, high, int(here.sum()), confidence[here].mean(), real[here].mean()


def printed(told):
    """Print the reliability of alerts, (real, confidence) each; the expected calibration error."""
    error = 0.0
    for low, high, alerts_here, confidence, real in reliability(told):
        print(f"{low:18.2f} to {high:4.2f}{alerts_here:6}{confidence:7.2f}{real:7.2f}")
        error += alerts_here * abs(confidence - real)
    return error / max(len(told), 1)


def main(argv=None):
    """Print quality and reliability; exit status 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="a folder of labelled series")
    folder = parser.parse_args(argv).data
    rng = np.random.default_rng(1)
    kinds = ("season", "walk", "bursts", "counts", "ratio", "latency")
    series = recorded(folder) if folder else [made_up(rng, kind) for kind in kinds for _ in range(10)]
    print(f"{len(series)} series, {'of ' + folder if folder else 'made up'}")
    print(f"{'':24}{'precision':>10}{'recall':>8}{'F1':>7}{'false/series-day':>18}")
    told = []
    for name, methods in (("auto", "auto"), ("the four named methods", METHODS)):
        these, caught, total, days = judged(series, methods)
        right = sum(real for real, _ in these)
        precision, recall = right / max(len(these), 1), caught / max(total, 1)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        print(f"{name:24}{precision:10.2f}{recall:8.2f}{f1:7.2f}{(len(these) - right) / days:18.3f}")
        told = told or these
    print(f"\nreliability of auto\n{'told with confidence':>24}{'alerts':>8}{'told':>7}{'real':>7}")
    print(f"expected calibration error {printed(told):.3f}")


if __name__ == "__main__":
    main()
