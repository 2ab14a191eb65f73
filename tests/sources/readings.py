"""Scripted readings of a machine, and host sources made of them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tocsin.domain.frame import Window
from tocsin.sources.host import HostSettings, HostSource
from tocsin.sources.host_processes import ProcessReading
from tocsin.sources.host_readings import (
    CpuTimes,
    DiskCounters,
    FileSystem,
    Memory,
    NetworkCounters,
    Reading,
    Swap,
)


class ScriptedReadings:
    """Answers `script(n)` at the n-th look, counted from 0; an exception in its place is raised."""

    def __init__(self, script: Callable[[int], Reading | Exception]) -> None:
        self._script = script
        self.looks = 0

    def read(self) -> Reading:
        reading = self._script(self.looks)
        self.looks += 1
        if isinstance(reading, Exception):
            raise reading
        return reading


T0 = 1_795_433_780.0


class Clock:
    def __init__(self, at=T0):
        self.at = at

    def __call__(self):
        return self.at


def machine(n, **more):
    """A quiet machine at its n-th reading, two seconds apart."""
    s = 2.0 * n
    return Reading(
        **{
            "monotonic_s": s,
            "cores": {"0": CpuTimes(0.5 * s, 0.1 * s, s), "1": CpuTimes(0.25 * s, 0.0, s)},
            "load1": 1.5,
            "memory": Memory(1000, 250),
            "swap": Swap(100, 10, 4096 * n),
            "file_systems": (FileSystem("/", "sda1", 60, 80),),
            "disks": {"sda": DiskCounters(1000 * n, 2000 * n, 0.4 * n)},
            "networks": {"eth0": NetworkCounters(300 * n, 700 * n, n)},
            "processes": (ProcessReading(1, 1.0, "init", 0.02 * n, 100),),
            **more,
        }
    )


async def filled(script, count, **settings):
    """A source that took `count` samples two seconds apart; the last is at `clock.at`."""
    clock = Clock()
    source = HostSource(HostSettings(**settings), readings=ScriptedReadings(script), now=clock)
    for n in range(count):
        clock.at = T0 + 2.0 * n
        await source.sample()
    return source, clock


def window(first, last, step_s=2.0):
    return Window(
        datetime.fromtimestamp(T0 + 2.0 * first, UTC),
        datetime.fromtimestamp(T0 + 2.0 * last, UTC),
        timedelta(seconds=step_s),
    )


async def values(source, query, asked):
    frame = await source.query_range(query, asked)
    return {str(labels): row.tolist() for labels, row in zip(frame.labels, frame.values, strict=True)}


def burning(n, *, since=10):
    """A process that begins to use one whole core at the reading `since`, and a compiler's many short children."""
    burner = ProcessReading(123, 5.0, "python3", max(0.0, 2.0 * (n - since)), 50 * 2**20)
    children = tuple(ProcessReading(1000 + 10 * n + k, 9.0 + n, "cc1", 1.0, 80 * 2**20) for k in range(2))
    idle = ProcessReading(7, 1.0, "chrome", 0.44 * n, 300 * 2**20)
    return machine(n, processes=(idle, burner, *children))
