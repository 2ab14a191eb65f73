"""The pipe through Grafana: a real mcp-grafana over its pipes, a Grafana-shaped proxy, a real Prometheus."""

import argparse
import asyncio
import os
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import psutil
from tests.grafana import TOKEN, fake_grafana
from tests.servers import prometheus

from benchmarks.bench_pipe import END, HISTORY, MINUTE, Bench, long_series, target, wide_series
from tocsin.domain.frame import Window
from tocsin.sources.grafana_discovery import Grafana
from tocsin.sources.grafana_settings import GrafanaSettings
from tocsin.store import open_store


async def connect(url):
    """A connection, and its Prometheus."""
    found = asyncio.get_running_loop().create_future()

    async def take(sources):
        if not found.done():
            found.set_result({source.uid: source for source in sources})
        return ()

    async def ignore(annotations):
        pass

    grafana = Grafana(GrafanaSettings("grafana", grafana_url=url, token=TOKEN), take, ignore)
    grafana.start()
    return grafana, (await asyncio.wait_for(found, 30))["prom"]


async def timed(work):
    """Seconds of processor time of this process, and on the clock."""
    spent, began = time.process_time(), time.perf_counter()
    await work
    return time.process_time() - spent, time.perf_counter() - began


async def measure(url, count, folder):
    before = psutil.Process().memory_info().rss
    grafana, source = await connect(url)
    grew = (psutil.Process().memory_info().rss - before) / 2**20
    child = psutil.Process(grafana.link.pid).memory_info().rss / 2**20
    print(f"resident MB of the MCP client          {grew:12,.0f}   (mcp-grafana itself: {child:,.0f})")
    store = await open_store(folder)
    bench = Bench(url, store, source)

    singles = [bench.watch(target(f"t{n}", f'wide{{pod="service-{n % 300}-{n:08x}"}}')) for n in range(100)]
    began, child = time.perf_counter(), psutil.Process(grafana.link.pid)
    used = sum(child.cpu_times()[:2])
    spent = await bench.run(singles, 20)
    took, used = time.perf_counter() - began, sum(child.cpu_times()[:2]) - used
    print(f"single-series checks/s per core        {100 * 20 / spent:12,.0f}   (at least 300)")
    print(f"  us of mcp-grafana a check             {1e6 * used / (100 * 21):12,.0f}")
    print(f"  on the clock, first fetches included {100 * 21 / took:12,.0f}   (four at once)")

    whole = Window(END - (HISTORY - 1) * MINUTE, END, MINUTE)
    spent, took = await timed(source.query_range("wide", whole))
    print(f"first fetch of {count} x {HISTORY}, us a series {1e6 * spent / count:9,.1f}   ({took:.2f} s on the clock)")
    last = Window(END, END, timedelta(minutes=1))
    spent, took = await timed(source.query_range("wide", last))
    print(f"one new sample of {count}, us a series    {1e6 * spent / count:9,.1f}   ({took:.2f} s on the clock)")

    wide = bench.watch(target("wide", "wide"))
    spent = await bench.run([wide], 20)
    assert wide.status.series == count
    print(f"series/s per core, one wide target     {count * 20 / spent:12,.0f}   (at least 20,000; judged too)")
    await grafana.close()
    await store.close()


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=3000)
    count = parser.parse_args(argv).series
    print(f"machine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        history = [*wide_series(count), long_series(1)]
        with (
            prometheus(Path(folder) / "prometheus", history) as server,
            fake_grafana(Path(folder) / "grafana", server.url) as grafana,
        ):
            asyncio.run(measure(grafana.url, count, Path(folder) / "state"))


if __name__ == "__main__":
    main()
