"""The file in which the host's history outlives the process.

A line that names the format and its version, a line of JSON (period, newest tick, shape, labels, checksum), then the
samples as little-endian doubles, series by series, deflated. Nothing in it is ever executed.
"""

import contextlib
import logging
import os
import tempfile
import zlib
from pathlib import Path

import msgspec
import numpy as np

from tocsin.domain.labels import Labels
from tocsin.sources.host_history import Past

log = logging.getLogger(__name__)

FILE_NAME = "host-history.bin"
MAGIC = b"tocsin-host-history"
VERSION = 1
MAX_FILE_BYTES = 512 * 1024 * 1024
MAX_CELLS = 32 * 1024 * 1024


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    period_s: float
    newest_tick: int
    ticks: int
    labels: list[dict[str, str]]
    crc32: int


class _NewerError(Exception):
    pass


def encode_past(past: Past) -> bytes:
    """The file's content."""
    samples = np.ascontiguousarray(past.values, dtype="<f8").tobytes()
    header = _Header(
        period_s=past.period_s,
        newest_tick=past.newest_tick,
        ticks=past.values.shape[1],
        labels=[dict(each) for each in past.labels],
        crc32=zlib.crc32(samples),
    )
    # Level 1: idle metrics shrink to nothing at any level, noisy ones at none.
    body = zlib.compress(samples, 1)
    return b"%s %d\n%s\n%s" % (MAGIC, VERSION, msgspec.json.encode(header), body)


def decode_past(content: bytes) -> Past:
    """The history in a file's content; raises ValueError saying what is wrong with it."""
    name, _, rest = content.partition(b"\n")
    magic, _, version = name.partition(b" ")
    if magic != MAGIC or not version.isdigit():
        raise ValueError("it is not a host history")
    if int(version) > VERSION:
        raise _NewerError(f"it has version {int(version)}, this Tocsin reads up to {VERSION}")
    line, _, body = rest.partition(b"\n")
    try:
        header = msgspec.json.decode(line, type=_Header)
    except msgspec.MsgspecError as error:
        raise ValueError(f"its header cannot be read: {error}") from error
    rows, ticks = len(header.labels), header.ticks
    if ticks < 0 or rows * ticks > MAX_CELLS or not header.period_s > 0:
        raise ValueError("its header is out of range")
    size = rows * ticks * 8
    try:
        samples = zlib.decompressobj().decompress(body, size + 1)
    except zlib.error as error:
        raise ValueError(f"its samples cannot be read: {error}") from error
    if len(samples) != size or zlib.crc32(samples) != header.crc32:
        raise ValueError("its samples are cut or damaged")
    labels = tuple(Labels(each) for each in header.labels)
    if len(set(labels)) != rows or any("__name__" not in each for each in labels):
        raise ValueError("its labels are not those of different series")
    values = np.frombuffer(samples, dtype="<f8").reshape(rows, ticks).astype(np.float64)
    return Past(header.period_s, header.newest_tick, labels, values)


def save_past(folder: Path, past: Past) -> None:
    """Put the history in the folder's file, whole or not at all, readable by its owner only; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = encode_past(past)
    # mkstemp makes it mode 0600; the rename replaces the old file in one step.
    handle, temporary = tempfile.mkstemp(prefix=FILE_NAME, suffix=".tmp", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(folder / FILE_NAME)
    finally:
        with contextlib.suppress(OSError):
            Path(temporary).unlink(missing_ok=True)


def load_past(folder: Path) -> Past | None:
    """What an earlier process kept, or None. A file that cannot be used is set aside with a warning in the log."""
    path = folder / FILE_NAME
    for leftover in folder.glob(f"{FILE_NAME}*.tmp"):
        with contextlib.suppress(OSError):
            leftover.unlink()
    try:
        with path.open("rb") as file:
            # One byte over the limit shows as damage; a file that grew without end is never read whole.
            return decode_past(file.read(MAX_FILE_BYTES + 1))
    except FileNotFoundError:
        return None
    except _NewerError as error:
        _set_aside(path, "newer", error)
    except ValueError as error:
        _set_aside(path, "corrupt", error)
    except OSError as error:
        log.warning("host: the history in %s cannot be read, beginning anew: %s", path, error)
    return None


def _set_aside(path: Path, why: str, error: Exception) -> None:
    aside = path.with_name(f"{path.name}.{why}")
    try:
        path.replace(aside)
    except OSError as failed:
        log.warning("host: the history in %s cannot be used (%s) nor be set aside: %s", path, error, failed)
    else:
        log.warning("host: the history in %s cannot be used (%s): set aside as %s", path, error, aside.name)
