"""From two readings of the machine to the values of its metrics. Pure: no I/O and no clock."""

from dataclasses import dataclass

from tocsin.domain.labels import Labels
from tocsin.sources.host_processes import Busiest, ProcessWindow
from tocsin.sources.host_readings import CpuTimes, Reading

Values = dict[Labels, float]
"""One value a series; a series that has none now is absent."""

MAX_LABEL_CACHE = 4096


@dataclass(frozen=True, slots=True)
class HostSample:
    """What the machine did between two readings."""

    values: Values
    busiest: Busiest


class Sampler:
    """Keeps the last reading, because rates need two.

    A counter that went back (a device replaced, a container restored) or a device that vanished gives no value
    for this interval: a gap, never a negative or a huge rate.
    """

    def __init__(self) -> None:
        self._before: Reading | None = None
        self._window = ProcessWindow()
        self._labels: dict[tuple[str, ...], Labels] = {}

    def observe(self, now: Reading) -> HostSample:
        """The values as of `now`; rates are over the time since the previous call."""
        values: Values = {}
        before, self._before = self._before, now
        busiest = self._window.observe(now.processes, now.monotonic_s)
        self._gauges(now, values)
        self._processes(now, busiest, values)
        if before is not None and now.monotonic_s > before.monotonic_s:
            self._cpu(before, now, values)
            self._rates(before, now, values)
        return HostSample(values, busiest)

    def _gauges(self, now: Reading, values: Values) -> None:
        if now.load1 is not None:
            values[self._series("host_load1")] = now.load1
            if now.cores:
                values[self._series("host_load1_per_core")] = now.load1 / len(now.cores)
        if now.memory is not None and now.memory.total > 0:
            values[self._series("host_memory_used_ratio")] = 1.0 - now.memory.available / now.memory.total
            values[self._series("host_memory_available_bytes")] = float(now.memory.available)
        if now.swap is not None and now.swap.total > 0:
            values[self._series("host_swap_used_ratio")] = now.swap.used / now.swap.total
        for each in now.file_systems:
            if each.usable > 0:
                series = self._series("host_disk_used_ratio", "device", each.device, "mountpoint", each.mountpoint)
                values[series] = each.used / each.usable

    def _processes(self, now: Reading, busiest: Busiest, values: Values) -> None:
        if busiest.by_cpu:
            values[self._series("host_process_cpu_cores")] = busiest.by_cpu[0].amount
        if busiest.by_memory and now.memory is not None and now.memory.total > 0:
            values[self._series("host_process_memory_ratio")] = busiest.by_memory[0].amount / now.memory.total

    def _cpu(self, before: Reading, now: Reading, values: Values) -> None:
        busy = iowait = total = 0.0
        for name, times in now.cores.items():
            spent = _spent(before.cores.get(name), times)
            if spent is None:
                continue
            values[self._series("host_cpu_core_ratio", "cpu", name)] = _clip(spent.busy_s / spent.total_s)
            busy, iowait, total = busy + spent.busy_s, iowait + spent.iowait_s, total + spent.total_s
        if total > 0.0:
            values[self._series("host_cpu_ratio")] = _clip(busy / total)
            values[self._series("host_iowait_ratio")] = _clip(iowait / total)

    def _rates(self, before: Reading, now: Reading, values: Values) -> None:
        elapsed = now.monotonic_s - before.monotonic_s
        if now.swap is not None and before.swap is not None and now.swap.total > 0:
            self._rate(values, "host_swap_io_bytes_per_second", "", (before.swap.moved, now.swap.moved), elapsed)
        for name, disk in now.disks.items():
            was = before.disks.get(name)
            if was is None:
                continue
            self._rate(values, "host_disk_read_bytes_per_second", name, (was.read_bytes, disk.read_bytes), elapsed)
            self._rate(values, "host_disk_write_bytes_per_second", name, (was.write_bytes, disk.write_bytes), elapsed)
            if was.busy_s is not None and disk.busy_s is not None and disk.busy_s >= was.busy_s:
                ratio = _clip((disk.busy_s - was.busy_s) / elapsed)
                values[self._series("host_disk_busy_ratio", "device", name)] = ratio
        for name, net in now.networks.items():
            had = before.networks.get(name)
            if had is None:
                continue
            received, sent = (had.receive_bytes, net.receive_bytes), (had.transmit_bytes, net.transmit_bytes)
            self._rate(values, "host_network_receive_bytes_per_second", name, received, elapsed)
            self._rate(values, "host_network_transmit_bytes_per_second", name, sent, elapsed)
            self._rate(values, "host_network_errors_per_second", name, (had.errors, net.errors), elapsed)

    def _rate(self, values: Values, metric: str, device: str, counter: tuple[int, int], elapsed_s: float) -> None:
        before, now = counter
        if now >= before:
            series = self._series(metric, "device", device) if device else self._series(metric)
            values[series] = (now - before) / elapsed_s

    def _series(self, metric: str, *pairs: str) -> Labels:
        key = (metric, *pairs)
        found = self._labels.get(key)
        if found is None:
            if len(self._labels) >= MAX_LABEL_CACHE:
                self._labels.clear()
            found = Labels({"__name__": metric, **dict(zip(pairs[::2], pairs[1::2], strict=True))})
            self._labels[key] = found
        return found


def _spent(before: CpuTimes | None, now: CpuTimes) -> CpuTimes | None:
    """The times of one interval; None for a core that is new, was off, or whose counters went back."""
    if before is None:
        return None
    spent = CpuTimes(now.busy_s - before.busy_s, now.iowait_s - before.iowait_s, now.total_s - before.total_s)
    return spent if spent.total_s > 0.0 and spent.busy_s > -0.05 else None


def _clip(ratio: float) -> float:
    # Linux counts idle and waiting time of a core apart from its other times: they may overlap by a tick.
    return min(1.0, max(0.0, ratio))
