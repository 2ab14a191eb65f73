"""Raw readings of this machine: counters and gauges as the system gives them, before any arithmetic."""

import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import psutil

from tocsin.sources.host_processes import ProcessReading, list_processes

log = logging.getLogger(__name__)

T = TypeVar("T")
FILE_SYSTEMS_EVERY_S = 30.0
MAX_FILE_SYSTEMS = 64
_NOT_DISKS = ("loop", "ram", "zram", "sr", "fd", "nbd")


class CpuTimes(NamedTuple):
    """Seconds since boot of one core."""

    busy_s: float
    iowait_s: float
    total_s: float


class Memory(NamedTuple):
    """Bytes."""

    total: int
    available: int


class Swap(NamedTuple):
    """Bytes; `moved` counts both directions since boot."""

    total: int
    used: int
    moved: int


class FileSystem(NamedTuple):
    """A mounted file system; bytes as an ordinary user sees them."""

    mountpoint: str
    device: str
    used: int
    usable: int


class DiskCounters(NamedTuple):
    """Since boot; `busy_s` None where the system does not say."""

    read_bytes: int
    write_bytes: int
    busy_s: float | None


class NetworkCounters(NamedTuple):
    """Since boot; errors and drops of both directions together."""

    receive_bytes: int
    transmit_bytes: int
    errors: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the machine. None or empty: this system or container does not say."""

    monotonic_s: float
    cores: Mapping[str, CpuTimes] = field(default_factory=dict)
    load1: float | None = None
    memory: Memory | None = None
    swap: Swap | None = None
    file_systems: tuple[FileSystem, ...] = ()
    disks: Mapping[str, DiskCounters] = field(default_factory=dict)
    networks: Mapping[str, NetworkCounters] = field(default_factory=dict)
    processes: tuple[ProcessReading, ...] = ()


class Readings(Protocol):
    """Where readings come from; a test scripts its own."""

    def read(self) -> Reading:
        """One look, in the calling thread; takes some milliseconds and never raises for what is merely absent."""
        ...


class SystemReadings:
    """Readings of the running system through psutil, and through /proc where that is much cheaper."""

    def __init__(self) -> None:
        self._missing: set[str] = set()
        self._mounts: tuple[tuple[str, str], ...] = ()
        self._mounts_at = -FILE_SYSTEMS_EVERY_S
        self._whole_disks: dict[str, bool] = {}

    def read(self) -> Reading:
        """One look at everything; what the system does not offer is absent and said once in the log."""
        return Reading(
            monotonic_s=time.monotonic(),
            cores=self._ask("CPU times", _cores, {}),
            load1=self._ask("load", lambda: psutil.getloadavg()[0], None),
            memory=self._ask("memory", _memory, None),
            swap=self._ask("swap", _swap, None),
            file_systems=self._file_systems(),
            disks=self._ask("disk counters", self._disks, {}),
            networks=self._ask("network counters", _networks, {}),
            processes=self._ask("processes", list_processes, ()),
        )

    def _ask(self, what: str, question: Callable[[], T], otherwise: T) -> T:
        try:
            return question()
        except (OSError, psutil.Error, RuntimeError, ValueError) as error:
            # psutil raises each of these somewhere: missing files in containers, systems without the call, odd numbers.
            if what not in self._missing:
                self._missing.add(what)
                log.warning("host: %s cannot be read here and stays absent: %s", what, error)
            return otherwise

    def _file_systems(self) -> tuple[FileSystem, ...]:
        now = time.monotonic()
        if now - self._mounts_at >= FILE_SYSTEMS_EVERY_S:
            self._mounts, self._mounts_at = self._ask("mounts", _mounts, ()), now
        found = (
            self._ask(f"space of {point}", lambda p=point, d=device: _space(p, d), None)  # type: ignore[misc]
            for point, device in self._mounts
        )
        return tuple(each for each in found if each is not None)

    def _disks(self) -> dict[str, DiskCounters]:
        counters = psutil.disk_io_counters(perdisk=True, nowrap=False)
        return {
            name: DiskCounters(each.read_bytes, each.write_bytes, _busy_s(each))
            for name, each in counters.items()
            if self._is_whole_disk(name)
        }

    def _is_whole_disk(self, name: str) -> bool:
        # A partition's traffic is counted again on its disk; pseudo-disks are memory or other files.
        if name not in self._whole_disks:
            whole = not sys.platform.startswith("linux") or Path("/sys/block", name.replace("/", "!")).exists()
            self._whole_disks[name] = whole and not name.startswith(_NOT_DISKS)
        return self._whole_disks[name]


def _cores() -> dict[str, CpuTimes]:
    cores = {}
    for number, times in enumerate(psutil.cpu_times(percpu=True)):
        # Guest time is part of user and nice already; adding it would count it twice.
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        iowait = getattr(times, "iowait", 0.0)
        cores[str(number)] = CpuTimes(total - times.idle - iowait, iowait, total)
    return cores


def _memory() -> Memory:
    memory = psutil.virtual_memory()
    return Memory(memory.total, memory.available)


def _swap() -> Swap:
    swap = psutil.swap_memory()
    return Swap(swap.total, swap.used, swap.sin + swap.sout)


def _mounts() -> tuple[tuple[str, str], ...]:
    shortest: dict[str, str] = {}
    # `all=False` leaves out network file systems: a server that hangs must not hang the sampler.
    for part in psutil.disk_partitions(all=False):
        if Path(part.mountpoint).is_dir() and part.fstype not in ("squashfs", "iso9660"):
            known = shortest.get(part.device)
            # One device mounted at many places (bind mounts, containers) is one space: the shortest path names it.
            if known is None or len(part.mountpoint) < len(known):
                shortest[part.device] = part.mountpoint
    mounts = [(point, device) for device, point in shortest.items()]
    if "/" not in shortest.values() and sys.platform != "win32":
        mounts.append(("/", "rootfs"))
    return tuple(sorted(mounts)[:MAX_FILE_SYSTEMS])


def _space(mountpoint: str, device: str) -> FileSystem:
    usage = psutil.disk_usage(mountpoint)
    return FileSystem(mountpoint, device, usage.used, usage.used + usage.free)


def _busy_s(counters: object) -> float | None:
    busy_ms = getattr(counters, "busy_time", None)
    return None if busy_ms is None else float(busy_ms) / 1000.0


def _networks() -> dict[str, NetworkCounters]:
    counters = psutil.net_io_counters(pernic=True, nowrap=False)
    return {
        name: NetworkCounters(each.bytes_recv, each.bytes_sent, each.errin + each.errout + each.dropin + each.dropout)
        for name, each in counters.items()
        if name != "lo" and not name.startswith("veth")
    }
