"""How a command ends."""

from enum import IntEnum
from typing import NoReturn

import typer


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FOUND = 1
    """A check failed: anomalies with --fail-on-anomaly, settings that cannot be used."""
    INPUT = 2
    """The command, a file or a value cannot be used."""
    UNREACHABLE = 3
    """No server answered."""
    REFUSED = 4
    """The server answered that it will not: not found, in conflict, not allowed, broken."""


EPILOG = "Exit codes: 0 done, 1 a check found something, 2 unusable input, 3 no server reached, 4 the server refused."


def fail(message: str, code: Exit) -> NoReturn:
    """End the command with `message` on standard error; its control characters are taken out."""
    from tocsin.cli.terminal import errors, safe  # noqa: PLC0415  (rich is not needed to print help)

    for line in message.splitlines() or [""]:
        errors().print(safe(line), soft_wrap=True, highlight=False)
    raise typer.Exit(int(code))
