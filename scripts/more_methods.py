# ruff: noqa: INP001  (a folder of programs, not a package)
"""The reference of the methods beside `auto`, from their docstrings."""

import importlib
import inspect
from collections.abc import Iterator

from tocsin.detect import MORE
from tocsin.detect.more.foretell import advance as foretell
from tocsin.detect.more.registry import BY_NAME, EXTRAS


def more_methods() -> Iterator[str]:
    """The lines of all of them."""
    for name in MORE:
        module = importlib.import_module(f"tocsin.detect.more.{name}")
        advance = getattr(module, "advance", None)
        how = inspect.getdoc(advance) if advance else f"{inspect.getdoc(module.fit)}\n\n{inspect.getdoc(foretell)}"
        yield from [f"## `{name}`", "", inspect.getdoc(module) or "", "", how or "", ""]
        yield from [f"It reads back {BY_NAME[name].history_s / 86400:g} days before its first verdict.", ""]
        if name in EXTRAS:
            yield from [f"It needs `pip install 'tocsin[{EXTRAS[name][1]}]'`.", ""]
