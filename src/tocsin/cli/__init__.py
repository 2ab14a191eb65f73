"""The command line. Nothing heavy is imported before a command needs it: `tocsin --help` is quick."""

from tocsin.cli.application import app


def main() -> None:
    """The entry point of the command `tocsin`."""
    app()
