"""The processes of this machine: who uses the CPU, who holds the memory."""

import os
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import NamedTuple

import psutil

from tocsin.sources.host_metrics import PROCESS_WINDOW_S

TOP = 5
MAX_NAME_CHARACTERS = 64


class ProcessReading(NamedTuple):
    """One process: `started` tells two owners of one pid apart; CPU seconds and resident bytes as of now.

    `name` is the program's name only: command lines carry secrets and are never read.
    """

    pid: int
    started: float
    name: str
    cpu_s: float
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class Share:
    """How much of something a process has: CPU cores, or bytes."""

    pid: int
    name: str
    amount: float


@dataclass(frozen=True, slots=True)
class Busiest:
    """The top five by each measure, largest first. `by_cpu` is None at the first reading."""

    by_cpu: tuple[Share, ...] | None
    by_memory: tuple[Share, ...]


class ProcessWindow:
    """CPU use per process over the last `PROCESS_WINDOW_S` seconds. Holds one number a process and reading."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, dict[tuple[int, float], float]]] = deque()

    def observe(self, processes: Sequence[ProcessReading], monotonic_s: float) -> Busiest:
        """The busiest as of this reading.

        A process that began within the window counts with all it has used, spread over the whole window: so a
        compiler's children stay small.
        """
        used = {(each.pid, each.started): each.cpu_s for each in processes}
        largest = nlargest(TOP, processes, key=lambda each: each.resident_bytes)
        memory = tuple(Share(each.pid, each.name, float(each.resident_bytes)) for each in largest)
        base = self._base(monotonic_s)
        self._past.append((monotonic_s, used))
        if base is None:
            return Busiest(None, memory)
        since, before = base
        # Until a whole window was seen, what was not seen counts as nothing: low at first, never too high. A tenth
        # short is whole: readings come every few seconds, and one that never rests is at one core, not just under it.
        age = monotonic_s - since
        span = age if age >= 0.9 * PROCESS_WINDOW_S else PROCESS_WINDOW_S
        cores = [(max(0.0, each.cpu_s - before.get((each.pid, each.started), 0.0)) / span, each) for each in processes]
        top = nlargest(TOP, cores, key=lambda pair: pair[0])
        return Busiest(tuple(Share(each.pid, each.name, amount) for amount, each in top), memory)

    def _base(self, now: float) -> tuple[float, dict[tuple[int, float], float]] | None:
        """The reading whose age is nearest to the window, the oldest one while all are younger; None for the first."""
        while len(self._past) > 1 and abs(now - self._past[1][0] - PROCESS_WINDOW_S) <= abs(
            now - self._past[0][0] - PROCESS_WINDOW_S
        ):
            self._past.popleft()
        if self._past and self._past[0][0] >= now:
            self._past.clear()
        return self._past[0] if self._past else None


def list_processes() -> tuple[ProcessReading, ...]:
    """All processes; those that end meanwhile are left out. Raises OSError or psutil.Error when none can be listed."""
    return _from_proc() if sys.platform.startswith("linux") else _from_psutil()


if sys.platform.startswith("linux"):
    _TICK = float(os.sysconf("SC_CLK_TCK"))
    _PAGE = os.sysconf("SC_PAGE_SIZE")
_STAT_BYTES = 1024


def _from_proc() -> tuple[ProcessReading, ...]:
    # One small file a process: a tenth of the cost of psutil's process objects.
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208 names are all that is needed
        if not entry.isdigit():
            continue
        try:
            handle = os.open(f"/proc/{entry}/stat", os.O_RDONLY)
            try:
                stat = os.read(handle, _STAT_BYTES)
            finally:
                os.close(handle)
        except OSError:
            continue  # It ended between the listing and now, or is hidden from us.
        reading = parse_stat(stat)
        if reading is not None:
            found.append(reading)
    return tuple(found)


def parse_stat(stat: bytes) -> ProcessReading | None:
    """One line of /proc/<pid>/stat (proc(5)); None when it is cut."""
    # The name stands in parentheses and may hold spaces and parentheses itself: the last one ends it.
    begin, end = stat.find(b"("), stat.rfind(b")")
    fields = stat[end + 2 :].split(b" ", 22)
    if begin < 0 or len(fields) < 22:
        return None
    return ProcessReading(
        pid=int(stat[:begin]),
        started=float(fields[19]),
        name=clean_name(stat[begin + 1 : end].decode("utf-8", "replace")),
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICK,
        resident_bytes=int(fields[21].split()[0]) * _PAGE,
    )


def _from_psutil() -> tuple[ProcessReading, ...]:
    found = []
    for process in psutil.process_iter(["pid", "name", "create_time", "cpu_times", "memory_info"]):
        info = process.info
        if info["cpu_times"] is None or info["memory_info"] is None:
            continue
        cpu_s = info["cpu_times"].user + info["cpu_times"].system
        name = clean_name(info["name"] or "")
        found.append(ProcessReading(info["pid"], info["create_time"] or 0.0, name, cpu_s, info["memory_info"].rss))
    return tuple(found)


def clean_name(name: str) -> str:
    """A program's name fit to be stored and shown: anybody can choose one, so no control characters, and bounded."""
    return "".join(each if each.isprintable() else "?" for each in name)[:MAX_NAME_CHARACTERS]
