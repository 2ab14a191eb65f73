"""What decoding a Prometheus answer costs: CPU per sample and per series, peak memory, and the ratio to json + numpy.

Run: `PYTHONPATH=src python benchmarks/bench_decode.py [--json]`.
"""

import argparse
import json
import random
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels
from tocsin.sources.wire import LabelCache, decode_matrix

START = datetime(2026, 11, 23, tzinfo=UTC)
ROUNDS = 7


def window(points: int) -> Window:
    step = timedelta(seconds=60)
    return Window(START, START + (points - 1) * step, step)


def answer(series: int, points: int, *, odd: float = 0.0, digits: int = 3) -> bytes:
    """A body as Prometheus writes it: eight labels, values below 100 with `digits`; `odd` of the values are NaN."""
    chance, first = random.Random(7), int(START.timestamp())
    parts = []
    for number in range(series):
        metric = {
            "__name__": "http_request_duration_seconds",
            "cluster": "eu-west-1",
            "namespace": f"team-{number % 40}",
            "job": "api",
            "instance": f"10.0.{number // 250}.{number % 250}:9100",
            "method": "GET",
            "path": f"/v1/thing/{number}",
            "code": "200",
        }
        written = (
            "NaN" if chance.random() < odd else repr(round(chance.random() * 100, digits)) for _ in range(points)
        )
        values = ",".join(f'[{first + 60 * at},"{value}"]' for at, value in enumerate(written))
        parts.append(f'{{"metric":{json.dumps(metric, separators=(",", ":"))},"values":[{values}]}}')
    head = '{"status":"success","data":{"resultType":"matrix","result":['
    return (head + ",".join(parts) + "]}}").encode()


def plain(body: bytes, asked: Window) -> tuple[np.ndarray, list[Labels]]:
    """The obvious way: json, then one row at a time."""
    grid = asked.grid()
    result = json.loads(body)["data"]["result"]
    values = np.full((len(result), len(grid)), np.nan)
    for row, each in enumerate(result):
        at = np.array([pair[0] for pair in each["values"]], dtype=float)
        index = np.rint((at - grid[0]) / asked.step_s).astype(int)
        values[row, index] = [float(pair[1]) for pair in each["values"]]
    return values, [Labels(each["metric"]) for each in result]


def cpu_s(what: Callable[[], object]) -> float:
    """Least process CPU seconds of a call: what others do on the machine only adds to it."""
    taken = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        what()
        taken.append(time.process_time() - begin)
    return min(taken)


def peak_bytes(what: Callable[[], object]) -> int:
    tracemalloc.start()
    keep = what()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del keep
    return peak


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    as_json = parser.parse_args(argv).json
    wide, long = window(1), window(720)
    body, odd, one = answer(1000, 720), answer(1000, 720, odd=0.01), answer(10_000, 1)
    full = answer(1000, 720, digits=17)
    cache, array_bytes = LabelCache(), 1000 * 720 * 8
    decode_matrix(one, wide, cache=cache)
    ours = cpu_s(lambda: decode_matrix(body, long, cache=cache))
    theirs = cpu_s(lambda: plain(body, long))
    figures = {
        "1000x720_ns_per_sample": ours / 720_000 * 1e9,
        "1000x720_full_doubles_ns_per_sample": cpu_s(lambda: decode_matrix(full, long, cache=cache)) / 720_000 * 1e9,
        "1000x720_one_percent_nan_ns_per_sample": cpu_s(lambda: decode_matrix(odd, long, cache=cache)) / 720_000 * 1e9,
        "1000x720_json_numpy_ns_per_sample": theirs / 720_000 * 1e9,
        "times_faster_than_json_numpy": theirs / ours,
        "peak_memory_per_array": peak_bytes(lambda: decode_matrix(body, long, cache=cache)) / array_bytes,
        "json_numpy_peak_memory_per_array": peak_bytes(lambda: plain(body, long)) / array_bytes,
        "10000x1_us_per_series": cpu_s(lambda: decode_matrix(one, wide, cache=cache)) / 10_000 * 1e6,
        "10000x1_first_time_us_per_series": cpu_s(lambda: decode_matrix(one, wide)) / 10_000 * 1e6,
    }
    if as_json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:45} {value:10.2f}")


if __name__ == "__main__":
    main()
