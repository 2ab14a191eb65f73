"""Packages of optional extras: installed, and yet none that can be imported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_FAILURES = (ImportError, OSError, ValueError, TypeError, AttributeError, RuntimeError, SyntaxError)
"""What a package raises when it is imported beside others that it does not fit, or without a library of the system."""

_MOST_CHARACTERS = 300


class BrokenExtra(Exception):
    """A package of an optional extra is installed and cannot be imported; says which, for what it is needed and why."""


@contextmanager
def importing(what: str, package: str) -> Iterator[None]:
    """Raise ``BrokenExtra`` where the imports within fail: ``what`` needs ``package``, which is installed."""
    try:
        yield
    except _FAILURES as error:
        why = f"{type(error).__name__}: {error}"[:_MOST_CHARACTERS]
        raise BrokenExtra(f"{what} needs {package}, which is installed and cannot be imported: {why}") from error
