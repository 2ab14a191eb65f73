"""What the default detector costs on one core: python -m benchmarks.bench_auto [--quick]."""

import argparse
import statistics
import sys
import time

import numpy as np

from tocsin.detect import METHODS, AutoState, backtest
from tocsin.detect.auto import advance
from tocsin.detect.auto.learn import learn

DAY = 1440


def seconds(work, times):
    """The median processor time of several runs, the first of which warms up."""
    work()
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def series(rows, columns):
    """A daily swing and noise."""
    rng = np.random.default_rng(1)
    return 50 + 10 * np.sin(np.arange(columns) / DAY * 2 * np.pi) + rng.standard_normal((rows, columns))


def main(argv=None):
    """Print the table; exit status 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for a look")
    share = 10 if parser.parse_args(argv).quick else 1
    columns = 43_200 // share
    at = np.arange(columns) * 60.0
    many, one = series(100, columns), series(1, columns)
    rows = []
    took = seconds(lambda: backtest(at, many), 1)
    rows.append((f"backtest auto, 100 x {columns}", f"{many.size / took / 1e3:.0f} k samples/s", f"{took:.1f} s"))
    named = seconds(lambda: backtest(at, many, METHODS), 1)
    rows.append(("against the four named methods", f"{named / took:.1f} x as fast", f"{named:.1f} s"))
    took = seconds(lambda: backtest(at, one), 3)
    rows.append((f"backtest auto, 1 x {columns}", f"{one.size / took / 1e3:.0f} k samples/s", f"{took * 1e3:.0f} ms"))
    fortnight = min(14 * DAY, columns)
    empty = AutoState.empty(1, 60.0)
    took = seconds(lambda: advance(empty, at[:fortnight], one[:, :fortnight]), 5)
    rows.append((f"learn {fortnight} samples of one series from nothing", f"{took * 1e3:.0f} ms", ""))
    state = advance(empty, at[: fortnight - 1], one[:, : fortnight - 1]).state
    took = seconds(lambda: learn(state, day_over=True), 20)
    rows.append(("learn a day that is over, one series", f"{took * 1e3:.2f} ms", ""))
    for number in (1, 100, 1000):
        wide = AutoState.empty(1, 60.0).put(np.array([0]), state).select(np.zeros(number, np.intp))
        sample = np.full((number, 1), 50.0)
        took = seconds(lambda w=wide, s=sample: advance(w, at[fortnight - 1 : fortnight], s), 15)
        rows.append(
            (f"judge one new sample of {number} series", f"{number / took:.0f} series/s", f"{took * 1e3:.2f} ms")
        )
    rows.append(("state", f"{state.size_bytes / 1024:.1f} KB a series", ""))
    for what, figure, note in rows:
        print(f"{what:<48}{figure:>22}   {note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
