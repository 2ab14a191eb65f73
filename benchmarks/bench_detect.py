"""What detection costs on one core: python benchmarks/bench_detect.py [--quick]."""

import argparse
import itertools
import math
import statistics
import sys
import time

import numpy as np

from tocsin.detect import METHODS, backtest, sigma_of_tail, sigmas
from tocsin.detect.baseline import fit_block, score_block


def seconds(work, times):
    """The median processor time of several runs, the first of which warms up."""
    work()
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def plain(row):
    """The four methods' formulas with loops and the math module alone, for one series without outliers."""
    n, ordered = len(row), sorted(row)
    mean, median = sum(row) / n, 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2])
    squares = sum((x - mean) ** 2 for x in row)
    iqr = 0.7413 * (ordered[3 * n // 4] - ordered[n // 4])
    spread = sorted(abs(x - median) for x in row)
    mad = 1.4826 * 0.5 * (spread[(n - 1) // 2] + spread[n // 2])
    moves = sum((b - a) ** 2 for a, b in itertools.pairwise(row))

    def sigma(t, degrees):
        shift = degrees - 0.5
        scale = 48.0 * shift * shift
        y = shift * math.log1p(t * t / degrees)
        top = (((-0.4 * y - 3.3) * y - 24.0) * y - 85.5) / (0.8 * y * y + 100.0 + scale)
        return math.copysign(((top + y + 3.0) / scale + 1.0) * math.sqrt(y), t)

    out = [[], [], [], [math.nan]]
    for i, x in enumerate(row):
        d = x - mean
        u = d * d * n / (n - 1)
        out[0].append(sigma(math.copysign(math.sqrt(u * (n - 2) / (squares - u)), d), n - 2))
        out[1].append(sigma((x - median) / (iqr * (1 + 1.6 / n)), 0.3675 * n))
        out[2].append(sigma((x - median) / (mad * (1 + 0.9 / n)), 0.3675 * n))
        if i:
            change, m = x - row[i - 1], n - 2
            s = sigma(change / math.sqrt((moves - change * change) / m), 2 * m * m / (3 * m - 1))
            out[3].append(s if abs(x - median) > abs(row[i - 1] - median) else 0.0)
    return out


def main(argv=None):
    """Print the table; exit status 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for a look")
    share = 10 if parser.parse_args(argv).quick else 1
    rng = np.random.default_rng(1)
    block = rng.standard_normal((2000 // share, 1440)) + 50
    out = np.zeros((len(METHODS), *block.shape))
    rows = []
    fast = seconds(lambda: sigmas(block, out=out), 7)
    rows.append(("four methods, samples/s", f"{block.size / fast / 1e6:.1f} M", f"{fast * 1e3:.0f} ms the block"))
    sort = seconds(lambda: np.sort(block, axis=1), 7)
    rows.append(("of which numpy.sort, values/s", f"{block.size / sort / 1e6:.0f} M", f"{sort * 1e3:.0f} ms the block"))
    few = block[:10].tolist()
    slow = seconds(lambda: [plain(row) for row in few], 3) / (10 * 1440)
    rows.append(("against plain Python", f"{slow / (fast / block.size):.0f} x", f"{slow * 1e6:.2f} us a sample"))
    for series, width in ((2000 // share, 60), (2000 // share, 720), (1, 60)):
        values = rng.standard_normal((series, width)) + 50
        base, one = fit_block(values, METHODS, None), rng.standard_normal((series, 1)) + 50
        many = 200 if series == 1 else 1
        fit_s = seconds(lambda v=values, k=many: [fit_block(v, METHODS, None) for _ in range(k)], 7) / series / many
        score_s = seconds(lambda b=base, o=one, k=many: [score_block(b, o, o) for _ in range(k)], 7) / series / many
        rows.append((f"fit {series} x {width}, a series", f"{fit_s * 1e6:.2f} us", f"score {score_s * 1e6:.2f} us"))
    long = rng.standard_normal((100 // share, 43200 // share))
    took = seconds(lambda: backtest(np.arange(long.shape[1]) * 60.0, long), 1)
    rows.append(
        (f"backtest {len(long)} x {long.shape[1]}, samples/s", f"{long.size / took / 1e3:.0f} k", f"{took:.1f} s")
    )
    rows.append(("chance limit for 1440 samples", f"{sigma_of_tail(0.05 / 1440):.2f} sigma", ""))
    for what, figure, note in rows:
        print(f"{what:<42}{figure:>14}   {note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
