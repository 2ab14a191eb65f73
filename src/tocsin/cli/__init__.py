"""The command line. Nothing heavy is imported before a command needs it: `tocsin --help` is quick."""

from tocsin.cli.application import app
from tocsin.cli.threads import compute_in_one


def main() -> None:
    """The entry point of the command `tocsin`."""
    compute_in_one()
    app()
