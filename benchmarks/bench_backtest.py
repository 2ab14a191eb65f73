"""What a back-test of a month costs on one core, and how much memory: python -m benchmarks.bench_backtest [--quick]."""

import argparse
import asyncio
import resource
import sys
import time

import numpy as np

from tocsin.detect import backtest as library
from tocsin.domain.evaluation import instant
from tocsin.domain.frame import Window
from tocsin.domain.target import Target
from tocsin.monitor.aside import Aside
from tocsin.monitor.backtest import Asked, backtest
from tocsin.monitor.clock import SystemClock
from tocsin.monitor.gate import Gate
from tocsin.monitor.status import Drawing, Question
from tocsin.sources.fake import ScriptedSource

START = 1_767_225_600.0
DAY = 1440
SERIES = 100


def curve(number):
    """A daily swing and noise that is the same whenever it is asked for."""
    noise = np.random.default_rng(number).standard_normal(4096)

    def values(grid):
        minute = (grid - START) / 60
        return 50 + 10 * np.sin(minute / DAY * 2 * np.pi) + noise[(minute.astype(int) * 2654435761 + number) % 4096]

    return values


def peak_mb():
    """The most that this process has held, megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def replay(gate, columns, **question):
    """Processor time of one back-test, and its result."""
    target = Target("t", "q", "scripted")
    window = Window(instant(START), instant(START + (columns - 1) * 60.0), target.step)
    began = time.process_time()
    aside = Aside(1)
    result = asyncio.run(backtest([Asked(target, gate)], window, aside, Question(**question), lambda _: None))
    aside.close()
    return time.process_time() - began, result


def main(argv=None):
    """Print the table; exit status 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for a look")
    columns = 43_200 // (10 if parser.parse_args(argv).quick else 1)
    source = ScriptedSource("scripted")
    for number in range(SERIES):
        source.play("q", curve(number), {"instance": str(number)})
    rows = []
    # Memory first: what the library holds of a whole month comes after it.
    replay(Gate(source, SystemClock()), columns // 5, drawing=Drawing())
    short = peak_mb()
    took, result = replay(Gate(source, SystemClock()), columns, drawing=Drawing())
    size = SERIES * columns
    rows.append((f"back-test of {SERIES} x {columns}", f"{size / took / 1e3:.0f} k samples/s", f"{took:.1f} s"))
    rows.append(
        ("alerts, groups, messages", f"{result.alerts_total}, {len(result.groups)}", f"{result.messages_total}")
    )
    rows.append(("most memory, a fifth of the time; all of it", f"{short:.0f}; {peak_mb():.0f} MB", ""))
    at = START + 60.0 * np.arange(columns)
    values = np.stack([curve(number)(at) for number in range(SERIES)])
    began = time.process_time()
    library(at, values)
    alone = time.process_time() - began
    rows.append(("against the library alone", f"{took / alone:.2f} x its time", f"{alone:.1f} s"))
    for what, figure, note in rows:
        print(f"{what:<48}{figure:>22}   {note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
