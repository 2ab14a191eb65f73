"""Tables for terminals of any width: no cell is cut, and no name is broken."""

from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tocsin.cli.terminal import facts, safe

LEAST_PROSE = 28
"""Prose may be folded, but not into fewer columns than this."""

_GAP = 2
"""Columns between two cells: one of padding, one where the box would have its line."""


def table(*columns: str) -> Table:
    """An empty table, for `show_table`. How a column behaves says the first character of its name: `>` is a number, `~`
    is prose, which is folded between words where there is too little room; anything else is a name, which is not.
    """
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        name = column.lstrip(">~")
        made.add_column(
            name,
            justify="right" if column.startswith(">") else "left",
            no_wrap=not column.startswith("~"),
            overflow="fold",
            min_width=max(map(len, name.splitlines())),
        )
    return made


def show_table(out: Console, rows: Table, below: Sequence[str] = ()) -> None:
    """The table. Where it does not fit, the columns named `below` are taken out, the first first, and said in lines of
    their own under it; where that is not enough, each row is told as names and values.
    """
    taken: list[str] = []
    narrow = rows
    for name in below:
        if _fits(out, narrow):
            break
        taken.append(name)
        narrow = _without(rows, taken)
    if not _fits(out, narrow):
        for one in _cells(rows):
            out.print(facts((_flat(name), cell) for name, cell in one))
            out.print()
        return
    out.print(narrow)
    for (_, first), *others in _cells(rows):
        for name, cell in others:
            if name in taken and str(cell) not in ("", "-"):
                out.print(safe(f"{first}: {_flat(name)}: {cell}"))


def _fits(out: Console, rows: Table) -> bool:
    """Whether there is room for every name, and for prose that is not folded within a word. Prose keeps that width."""
    needed = 1
    for column in rows.columns:
        sizes = [Measurement.get(out, out.options, cell) for cell in column.cells]
        header = max(map(len, str(column.header).splitlines()))
        widest = max([header, *(size.maximum for size in sizes)])
        if not column.no_wrap:
            word = max([header, *(size.minimum for size in sizes)])
            column.min_width = widest = min(widest, max(LEAST_PROSE, word))
        needed += widest + _GAP
    return needed <= out.width


def _without(rows: Table, names: Sequence[str]) -> Table:
    made = Table(box=rows.box, pad_edge=False, padding=rows.padding)
    kept = [column for column in rows.columns if column.header not in names]
    for column in kept:
        made.add_column(
            column.header,
            justify=column.justify,
            no_wrap=column.no_wrap,
            overflow="fold",
            min_width=column.min_width,
        )
    for row in zip(*(_of(column.cells) for column in kept), strict=True):
        made.add_row(*row)
    return made


def _cells(rows: Table) -> Iterator[list[tuple[str, RenderableType]]]:
    """The cells of each row, with the names of their columns."""
    names = [str(column.header) for column in rows.columns]
    for row in zip(*(_of(column.cells) for column in rows.columns), strict=True):
        yield list(zip(names, row, strict=True))


def _of(cells: Iterable[RenderableType]) -> list[RenderableType]:
    """The same; texts are never read as markup."""
    return [Text(cell) if isinstance(cell, str) else cell for cell in cells]


def _flat(name: str) -> str:
    return name.replace("\n", " ").lower()
