"""The whole pipe against a real local Prometheus: checks, wide targets, memory, history kept; Tocsin's own CPU time."""

import argparse
import asyncio
import contextlib
import ctypes
import gc
import os
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil
import structlog
from tests.servers import Series, prometheus

from tocsin.domain.target import Target, TargetState
from tocsin.monitor.caches import Caches
from tocsin.monitor.clock import ManualClock
from tocsin.monitor.commit import Committer
from tocsin.monitor.evaluate import Evaluator
from tocsin.monitor.gate import Gate
from tocsin.monitor.metrics import Metrics
from tocsin.monitor.status import TargetStatus
from tocsin.monitor.watch import Watch
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.prometheus import PrometheusSource
from tocsin.store import open_store

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))

END = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HISTORY = 150
METHODS = ("zscore", "iqr", "mad", "rate_change")


def wide_series(count):
    rng = np.random.default_rng(7)
    times = END.timestamp() + 60.0 * np.arange(-HISTORY + 1, 1)
    for n in range(count):
        labels = {
            "__name__": "wide",
            "instance": f"10.0.{n // 250}.{n % 250}:9100",
            "job": "node",
            "cluster": f"c{n % 5}",
            "namespace": f"team-{n % 40}",
            "pod": f"service-{n % 300}-{n:08x}",
            "container": f"service-{n % 300}",
            "zone": f"eu-{n % 3}",
        }
        yield Series(
            labels, list(zip(times.tolist(), (10 + rng.standard_normal(HISTORY)).round(3).tolist(), strict=True))
        )


def long_series(days):
    rng = np.random.default_rng(8)
    count = days * 1440
    times = END.timestamp() + 60.0 * np.arange(-count + 1, 1)
    values = (10 + rng.standard_normal(count)).round(3).tolist()
    return Series({"__name__": "long", "instance": "a"}, list(zip(times.tolist(), values, strict=True)))


def target(name, query, lookback=timedelta(hours=1)):
    return Target(
        name=name,
        query=query,
        datasource_uid="prometheus",
        detection_methods=METHODS,
        step=MINUTE,
        check_interval=MINUTE,
        lookback=lookback,
    )


class Bench:
    def __init__(self, url, store, source=None):
        self.clock = ManualClock(END)
        self.source = source or PrometheusSource("prometheus", HttpSettings(url))
        self.gate = Gate(self.source, self.clock, 4)
        self.evaluator = Evaluator(self.clock, Committer(store, lambda: None), Metrics())

    def watch(self, given):
        return Watch(given, TargetStatus(TargetState.WAITING, "", END))

    async def run(self, watches, minutes):
        """CPU seconds of evaluating all watches once a minute over the last `minutes`, first fetches apart."""
        begin = END - minutes * MINUTE
        await self.at(watches, begin)
        before = time.process_time()
        for minute in range(1, minutes + 1):
            await self.at(watches, begin + minute * MINUTE)
        return time.process_time() - before

    async def at(self, watches, at):
        self.clock.jump_to(at)
        for n in range(0, len(watches), 4):
            done = await asyncio.gather(*(self.evaluator.evaluate(w, self.gate, at) for w in watches[n : n + 4]))
            assert all(done), [w.status.reason for w in watches[n : n + 4]]


def rss():
    gc.collect()
    # As the server does: what is free in the heap is not held. Without this the difference of two is mostly chance.
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss


async def measure(url, count, folder):
    store = await open_store(folder)
    bench = Bench(url, store)
    singles = [bench.watch(target(f"t{n}", f'wide{{pod="service-{n % 300}-{n:08x}"}}')) for n in range(100)]
    spent = await bench.run(singles, 30)
    checks = 100 * 30 / spent
    print(f"single-series checks/s per core        {checks:12,.0f}   (at least 1,000; {1e6 / checks:,.0f} us a check)")

    # The first part warms up what is shared: buffers, caches, code.
    first = bench.watch(target("first", 'wide{cluster=~"c0|c1"}'))
    await bench.run([first], 10)
    before = rss()
    rest = bench.watch(target("rest", 'wide{cluster=~"c2|c3|c4"}'))
    await bench.run([rest], 10)
    held = (rss() - before) / rest.status.series
    wide = bench.watch(target("wide", "wide"))
    spent = await bench.run([wide], 30)
    series = count * 30 / spent
    print(f"series/s per core, one wide target     {series:12,.0f}   (at least 100,000; {1e6 / series:.1f} us each)")
    print(f"resident bytes a watched series        {held:12,.0f}   (under 4,096; an hour of history, 8 labels)")
    assert wide.status.series == count

    bench.gate = Gate(bench.source, bench.clock, 4, caches=Caches.empty(bench.clock.now))
    await bench.run([bench.watch(target(f"shared{n}", 'wide{pod="service-7-00000007"}')) for n in range(10)], 30)
    saved = 1.0 - bench.gate.queries / (10 * 31)
    print(f"requests saved by the cache            {saved:12.1%}   (at least 90 %; ten targets, one query)")
    bench.gate = Gate(bench.source, bench.clock, 4)

    print("cost of a check by history kept (lookback), us of CPU:")
    for hours in (1, 6, 24, 72, 168):
        watches = [bench.watch(target(f"l{hours}-{n}", "long", timedelta(hours=hours))) for n in range(4)]
        spent = await bench.run(watches, 120)
        print(f"  {hours:4d} h  {1e6 * spent / 480:8.0f}")
    await bench.source.close()
    await store.close()


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=3000)
    count = parser.parse_args(argv).series
    print(
        f"machine: {os.cpu_count()} cores; resident now {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB"
    )
    with tempfile.TemporaryDirectory() as folder:
        history = [*wide_series(count), long_series(8)]
        with prometheus(Path(folder) / "prometheus", history) as server:
            asyncio.run(measure(server.url, count, Path(folder) / "state"))


if __name__ == "__main__":
    main()
