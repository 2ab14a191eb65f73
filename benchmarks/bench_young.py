"""What the first day of a series is like of which nothing is known: python -m benchmarks.bench_young --data FOLDER.

Each labelled series (see ``bench_quality``) is begun at sixteen times, without any history, and goes through the
back-test for three days: alerts outside of incidents by the hour, incidents of the first day that were told, and
whether the confidence of the first day's alerts means what it says. Without a folder, on the made-up series.
"""

import argparse
from datetime import timedelta

import numpy as np

from benchmarks.bench_quality import LATE_S, Series, made_up, printed, recorded
from tocsin.domain.evaluation import instant
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.target import Target
from tocsin.monitor.backtest import rehearse

HOURS = (1, 3, 6, 12, 24, 48, 72)
STARTS, DAYS, FIRST = 16, 3, 8


def begun(series, at, step):
    """The series from some column on for three days, on the grid of its step; None where less is left."""
    size = int(DAYS * 86400 / step)
    times, values, label = (part[at : at + size] for part in (series.times, series.values, series.label))
    place = np.rint((times - times[0]) / step).astype(int)
    if len(times) < size // 2 or (np.diff(place) <= 0).any():
        return None
    grid = times[0] // step * step + step * np.arange(place[-1] + 1)
    whole, odd = np.full(len(grid), np.nan), np.zeros(len(grid), int)
    whole[place], odd[place] = values, label
    return Series(grid, whole, odd, FIRST)


def told(one, step):
    """(hours since its beginning, whether it is real, confidence) of each alert; incidents of the first day that were
    told, and all of them.
    """
    every = timedelta(seconds=step)
    watch = max(every, timedelta(minutes=1))
    target = Target(
        "young", "q", "prom", step=every, check_interval=watch, lookback=max(timedelta(hours=1), 60 * every)
    )
    frame = Frame(one.times, one.values[None], (Labels({}),))
    window = Window(instant(one.times[FIRST]), instant(one.times[-1]), every)
    alerts = rehearse(target, frame, window).alerts
    edges = np.flatnonzero(np.diff(np.r_[0, one.label, 0]))
    there = [(one.times[a], one.times[b - 1] + LATE_S) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    spans = [(alert.starts_at.timestamp(), (alert.ends_at or window.end).timestamp()) for alert in alerts]
    first = [(a, b) for a, b in there if one.times[FIRST] < a < one.times[0] + 86400.0]
    found = sum(any(begin <= b and end >= a for begin, end in spans) for a, b in first)
    rows = []
    for alert, (begin, end) in zip(alerts, spans, strict=True):
        real = any(begin <= b and end >= a for a, b in there)
        rows.append(((begin - one.times[0]) / 3600.0, real, alert.confidence))
    return rows, found, len(first)


def main(argv=None):
    """Print what the first days are like; exit status 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="a folder of labelled series")
    folder = parser.parse_args(argv).data
    rng = np.random.default_rng(0)
    kinds = ("season", "walk", "bursts", "counts", "ratio", "latency")
    series = recorded(folder) if folder else [made_up(rng, kind) for kind in kinds]
    rows, found, there, number = [], 0, 0, 0
    for one in series:
        step = float(np.median(np.diff(one.times)))
        for at in rng.integers(0, max(1, len(one.times) - int(DAYS * 86400 / step)), STARTS):
            part = begun(one, int(at), step)
            if part is None:
                continue
            alerts, caught, incidents = told(part, step)
            rows, found, there, number = rows + alerts, found + caught, there + incidents, number + 1
    print(f"{len(series)} series, {'of ' + folder if folder else 'made up'}, begun {number} times without history")
    false = [hours for hours, real, _ in rows if not real]
    by = np.histogram(false, (0, *HOURS))[0] / max(1, number)
    print("false alerts a series until hour", ", ".join(f"{h}: {n:.2f}" for h, n in zip(HOURS, by, strict=True)))
    print(f"on the first day {by[: HOURS.index(24) + 1].sum():.2f}; incidents told then {found} of {there}")
    first = [(real, confidence) for hours, real, confidence in rows if hours < 24 and confidence is not None]
    print(f"expected calibration error of the first day {printed(first):.3f}")


if __name__ == "__main__":
    main()
