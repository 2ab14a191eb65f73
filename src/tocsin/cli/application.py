"""All commands under one name."""

from typing import Annotated

import typer

from tocsin import __version__
from tocsin.cli.acceptances import acceptances
from tocsin.cli.alerts import alerts
from tocsin.cli.analyze import analyze
from tocsin.cli.backtest import backtest
from tocsin.cli.datasources import datasources
from tocsin.cli.events import events
from tocsin.cli.exits import EPILOG
from tocsin.cli.feedback import proposals, windows
from tocsin.cli.overview import status, version
from tocsin.cli.settings import check_config, serve
from tocsin.cli.suggest import suggest
from tocsin.cli.targets import targets

app = typer.Typer(
    name="tocsin",
    help="Notices what is wrong in metrics, says so once, and shows why.",
    epilog=EPILOG,
    no_args_is_help=True,
    # Tracebacks with local variables would print secrets.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  (typer calls it so)
    if wanted:
        typer.echo(f"tocsin {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command(epilog=EPILOG)(serve)
app.command(epilog=EPILOG)(analyze)
app.command(epilog=EPILOG)(backtest)
app.add_typer(targets, name="targets")
app.add_typer(alerts, name="alerts")
app.add_typer(events, name="events")
app.add_typer(datasources, name="datasources")
app.add_typer(windows, name="windows")
app.add_typer(acceptances, name="acceptances")
app.add_typer(proposals, name="proposals")
app.command("check-config", epilog=EPILOG)(check_config)
app.command(epilog=EPILOG)(suggest)
app.command(epilog=EPILOG)(status)
app.command()(version)
