"""The host source: from scripted readings to frames, evidence, and a history that outlives the process."""

import asyncio
import math
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tests.sources.readings import T0, Clock, ScriptedReadings, burning, filled, machine, values, window
from tocsin.domain.errors import Invalid, LimitExceeded, SourceError, SourceFailure
from tocsin.domain.labels import Labels
from tocsin.sources.host import HostSettings, HostSource
from tocsin.sources.host_metrics import METRICS, parse_query
from tocsin.sources.host_processes import ProcessReading
from tocsin.sources.host_readings import (
    CpuTimes,
    DiskCounters,
    FileSystem,
    NetworkCounters,
    Reading,
    SystemReadings,
)
from tocsin.sources.host_sampler import Sampler


async def test_every_metric_of_the_table_is_measured():
    source, _ = await filled(machine, 10)
    expected = {
        "host_cpu_ratio{}": 0.375,
        'host_cpu_core_ratio{cpu="0"}': 0.5,
        'host_cpu_core_ratio{cpu="1"}': 0.25,
        "host_iowait_ratio{}": 0.05,
        "host_load1{}": 1.5,
        "host_load1_per_core{}": 0.75,
        "host_memory_used_ratio{}": 0.75,
        "host_memory_available_bytes{}": 250.0,
        "host_swap_used_ratio{}": 0.1,
        "host_swap_io_bytes_per_second{}": 2048.0,
        'host_disk_used_ratio{device="sda1", mountpoint="/"}': 0.75,
        'host_disk_read_bytes_per_second{device="sda"}': 500.0,
        'host_disk_write_bytes_per_second{device="sda"}': 1000.0,
        'host_disk_busy_ratio{device="sda"}': 0.2,
        'host_network_receive_bytes_per_second{device="eth0"}': 150.0,
        'host_network_transmit_bytes_per_second{device="eth0"}': 350.0,
        'host_network_errors_per_second{device="eth0"}': 0.5,
        "host_process_cpu_cores{}": 0.01,
        "host_process_memory_ratio{}": 0.1,
    }
    found = {}
    for metric in METRICS:
        for name, row in (await values(source, metric.name, window(9, 9))).items():
            found[name] = row[0]
    assert found == {name: pytest.approx(value) for name, value in expected.items()}


async def test_an_instant_has_the_mean_of_the_samples_since_the_one_before():
    source, _ = await filled(lambda n: machine(n, load1=float(n)), 30)
    frame = await source.query_range("host_load1", window(0, 35, 10.0))
    # (t - 10 s, t]: the samples 1..5, 6..10, …; 30 and on were not taken yet.
    assert frame.values[0, :7].tolist() == [0.0, 3.0, 8.0, 13.0, 18.0, 23.0, 27.5]
    assert np.isnan(frame.values[0, 7:]).all()
    odd = await source.query_range("host_load1", window(3, 9, 3.0))
    assert odd.values[0].tolist() == [2.5, 4.0, 5.5, 7.0, 8.5]


async def test_labels_select():
    source, _ = await filled(machine, 3)
    asked = window(2, 2)
    assert list(await values(source, 'host_cpu_core_ratio{cpu="1"}', asked)) == ['host_cpu_core_ratio{cpu="1"}']
    assert list(await values(source, ' host_disk_used_ratio { mountpoint = "/", device="sda1", } ', asked)) != []
    assert await values(source, 'host_cpu_core_ratio{cpu="7"}', asked) == {}
    assert parse_query(r'host_disk_used_ratio{mountpoint="a\"b\\c"}').matchers == (("mountpoint", 'a"b\\c'),)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "must be a host metric"),
        ("nope", "known are host_cpu_ratio"),
        ("sum(host_cpu_ratio)", "must be a host metric"),
        ('host_cpu_core_ratio{core="1"}', "it has cpu"),
        ('host_cpu_ratio{cpu="1"}', "it has no labels"),
        ('host_cpu_core_ratio{cpu=~"1"}', "only equality"),
        ('host_cpu_core_ratio{cpu="1" "2"}', "cannot read"),
        ("host_cpu_core_ratio{cpu}", "cannot read"),
        ("host_cpu_ratio" + " " * 3000, "longer than"),
    ],
)
async def test_queries_that_cannot_be(query, words):
    source = HostSource(readings=ScriptedReadings(machine))
    with pytest.raises(Invalid, match=words) as caught:
        source.check_query(query)
    assert caught.value.field == "query"
    with pytest.raises(SourceError, match=words) as failed:
        await source.query_range(query, window(0, 1))
    assert failed.value.failure is SourceFailure.BAD_QUERY


async def test_windows_that_cannot_be():
    source, _ = await filled(machine, 3)
    with pytest.raises(SourceError, match="sampling period"):
        await source.query_range("host_load1", window(0, 1, 1.0))
    with pytest.raises(LimitExceeded):
        await source.query_range("host_load1", window(0, 200_000))
    before = await source.query_range("host_load1", window(-500, -400))
    assert before.values.shape == (0, 101)


async def test_a_reset_counter_and_a_vanished_device_are_gaps():
    def script(n):
        disks = {"sda": DiskCounters(1000 * (n if n < 4 else n - 4), 2000 * n, None)}
        networks = {} if n in (3, 4) else {"eth0": NetworkCounters(300 * n, 700 * n, n)}
        return machine(n, disks=disks, networks=networks, load1=None if n == 2 else 1.0)

    source, _ = await filled(script, 8)
    asked = window(1, 7)

    async def row(query):
        [found] = (await values(source, query, asked)).values()
        return ["gap" if math.isnan(each) else each for each in found]

    assert await row("host_disk_read_bytes_per_second") == [500, 500, 500, "gap", 500, 500, 500]
    assert await row("host_network_receive_bytes_per_second") == [150, 150, "gap", "gap", "gap", 150, 150]
    assert await row("host_load1") == [1, "gap", 1, 1, 1, 1, 1]
    assert await values(source, "host_disk_busy_ratio", asked) == {}


async def test_a_machine_that_says_nothing_has_no_series():
    source, _ = await filled(lambda n: Reading(monotonic_s=2.0 * n), 3)
    for metric in METRICS:
        assert await values(source, metric.name, window(0, 2)) == {}


async def test_a_core_that_goes_and_comes_never_makes_a_wild_ratio():
    def script(n):
        cores = {"0": CpuTimes(0.5 * n, 0.0, 2.0 * n)}
        if n != 3:
            cores["1"] = CpuTimes(0.0, 0.0, 2.0 * n if n < 3 else 2.0 * (n - 4))
        return machine(n, cores=cores)

    source, _ = await filled(script, 8)
    for row in (await values(source, "host_cpu_ratio", window(0, 7))).values():
        assert all(0.0 <= each <= 0.25 for each in row if not math.isnan(each))


async def test_the_busiest_process_over_fifteen_seconds():
    source, _ = await filled(burning, 30)
    [row] = (await values(source, "host_process_cpu_cores", window(0, 29))).values()
    assert np.isnan(row[0])
    assert row[3] == pytest.approx(3 * 0.44 / 15), "what was not seen counts as nothing"
    assert row[10] == pytest.approx(0.22)
    assert row[13] == pytest.approx(3 * 2 / 14)
    assert row[17:] == [pytest.approx(1.0)] * 13


async def test_a_pid_with_a_new_owner_is_another_process():
    def script(n):
        owner = ProcessReading(5, 1.0, "old", 100.0 + n, 1) if n < 12 else ProcessReading(5, 2.0, "new", 0.5, 1)
        return machine(n, processes=(owner,))

    source, _ = await filled(script, 14)
    [row] = (await values(source, "host_process_cpu_cores", window(0, 13))).values()
    assert row[11] == pytest.approx(0.5)
    assert row[13] == pytest.approx(0.5 / 14)


async def test_evidence_names_the_busiest_processes():
    source, clock = await filled(burning, 30)
    at = datetime.fromtimestamp(clock.at + 3.0, UTC)
    labels = Labels({"__name__": "host_process_cpu_cores"})
    clock_text = f"{datetime.fromtimestamp(clock.at, UTC):%H:%M:%S} UTC"
    [cpu] = await source.context("host_process_cpu_cores", labels, at)
    assert cpu.startswith(f"busiest processes at {clock_text}: python3 (pid 123) 1.00 cores, chrome (pid 7) 0.22 cores")
    assert cpu.count("(pid") <= 5
    [memory] = await source.context("host_memory_used_ratio", Labels(), at)
    assert memory.startswith(f"largest processes at {clock_text}: chrome (pid 7) 300 MiB, cc1 (pid ")
    assert await source.context("host_disk_used_ratio", Labels(), at) == ()
    assert await source.context("not a query", Labels(), at) == ()
    assert await source.context("host_cpu_ratio", labels, at + timedelta(hours=1)) == ()
    assert await source.context("host_cpu_ratio", labels, at - timedelta(hours=1)) == ()
    [earlier] = await source.context("host_cpu_ratio", labels, at - timedelta(seconds=40))
    assert "chrome (pid 7)" in earlier
    assert "python3" not in earlier, "it was quiet then"


async def test_time_that_stands_jumps_and_turns_back():
    clock = Clock()
    source = HostSource(
        HostSettings(history_s=60), readings=ScriptedReadings(lambda n: machine(n, load1=float(n))), now=clock
    )
    for n, at in enumerate((0, 1, 2, 5, 3, 4, 100)):
        clock.at = T0 + 2.0 * at
        await source.sample()
        if n == 5:
            [row] = (await values(source, "host_load1", window(0, 6))).values()
            assert row[:5] == [0.0, 1.0, 2.0, 4.0, 5.0]
            assert np.isnan(row[5:]).all(), "what the clock passed again is forgotten"
    [row] = (await values(source, "host_load1", window(0, 100))).values()
    assert np.isnan(row[:100]).all()
    assert row[100] == 6.0


async def test_it_samples_while_the_shared_threads_are_all_taken():
    free = threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    # As when the name server is down: asking for a name holds a thread for many seconds.
    hung = loop.run_in_executor(None, free.wait, 30)
    source = HostSource(readings=ScriptedReadings(machine))
    try:
        await asyncio.wait_for(source.sample(), 10)
    finally:
        free.set()
        await hung
        await source.close()


async def test_the_history_is_bounded_in_time_and_in_series():
    def script(n):
        names = [f"d{k}" for k in range(3)] if n < 10 else [f"e{k}" for k in range(200)]
        return Reading(monotonic_s=2.0 * n, file_systems=tuple(FileSystem(name, "x", 1, 2) for name in names))

    source, _ = await filled(script, 50, history_s=40.0, max_series=100)
    frame = await source.query_range("host_disk_used_ratio", window(0, 49))
    assert {labels["mountpoint"][0] for labels in frame.labels} == {"e"}, "silent series make room"
    assert len(frame.labels) == 100
    assert np.isnan(frame.values[:, :30]).all()
    [warning] = frame.warnings
    assert "100 series" in warning
    assert "max_series" in warning


async def test_the_started_task_samples_on_the_grid_and_survives_a_failed_reading(caplog):
    clock, sleeps, done = Clock(T0 + 0.7), [], asyncio.Event()

    async def sleep(seconds):
        sleeps.append(round(seconds, 6))
        clock.at += seconds + 0.01
        if len(sleeps) >= 6:
            done.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    readings = ScriptedReadings(lambda n: OSError("gone") if n == 2 else machine(n, load1=float(n)))
    source = HostSource(readings=readings, now=clock, sleep=sleep)
    with pytest.raises(SourceError, match="no sample"):
        await source.probe()
    await source.start()
    await source.start()
    await asyncio.wait_for(done.wait(), 10)
    assert await source.probe() == "this machine"
    await source.close()
    assert sleeps == [1.3, *[1.99] * 5]
    [row] = (await values(source, "host_load1", window(0, 6))).values()
    assert [row[at] for at in (0, 1, 3, 4, 5)] == [0.0, 1.0, 3.0, 4.0, 5.0]
    assert math.isnan(row[2])
    assert source.failures == 1
    assert "a sample failed" in caplog.text
    await source.start()
    assert readings.looks == 6, "what is closed does not start again"


def test_the_running_system():
    burner = time.process_time()
    readings, sampler = SystemReadings(), Sampler()
    sampler.observe(readings.read())
    while time.process_time() - burner < 0.05:
        pass
    reading = readings.read()
    found = {labels["__name__"] for labels in sampler.observe(reading).values}
    assert {"host_load1", "host_memory_used_ratio", "host_cpu_ratio", "host_process_memory_ratio"} <= found
    assert found <= {metric.name for metric in METRICS}
    me = [each for each in reading.processes if each.pid == os.getpid()]
    assert len(me) == 1
    assert me[0].cpu_s > 0
    assert me[0].resident_bytes > 2**20
    assert any(each.mountpoint == "/" for each in reading.file_systems)


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("period_s", {"period_s": 0.0}),
        ("history_s", {"history_s": 1.0}),
        ("history_s", {"history_s": 1e9}),
        ("max_series", {"max_series": 0}),
        ("save_every_s", {"save_every_s": 0.0}),
    ],
)
def test_settings_that_cannot_be(field, more):
    with pytest.raises(Invalid) as caught:
        HostSettings(**more)
    assert caught.value.field == field
