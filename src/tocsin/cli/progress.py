"""What moves on standard error while something takes long; nothing of it when that is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tocsin.cli.terminal import clean, errors

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

UNDECODABLE = "surrogateescape"
"""Bytes that are no UTF-8 come through as lone surrogates, so that the reader can name their line."""


@contextmanager
def spinner(label: str) -> Iterator[None]:
    """Something that turns, and the time it has taken."""
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    words = TextColumn("{task.description}", markup=False)
    with _progress(SpinnerColumn(), words, TimeElapsedColumn()) as progress:
        progress.add_task(clean(label), total=None)
        yield


@contextmanager
def share(label: str) -> Iterator[Callable[[float], None]]:
    """A bar; what it yields is told how much is done, from 0 to 1."""
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    words = TextColumn("{task.description}", markup=False)
    with _progress(words, BarColumn(), TaskProgressColumn(), TimeElapsedColumn()) as progress:
        task = progress.add_task(clean(label), total=1.0)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def reading(path: Path) -> Iterator[TextIO]:
    """The lines of a file, and a bar that says how much of it has been read."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    words = TextColumn("{task.description}", markup=False)
    with (
        _progress(words, BarColumn(), DownloadColumn(), TimeRemainingColumn()) as progress,
        progress.open(
            path, "r", encoding="utf-8", errors=UNDECODABLE, newline="", description=clean(f"reading {path.name}")
        ) as lines,
    ):
        yield lines


def _progress(*columns: "ProgressColumn") -> "Progress":
    from rich.progress import Progress  # noqa: PLC0415  (only what takes long pays for this import)

    screen = errors()
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)
