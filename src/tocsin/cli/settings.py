"""`tocsin serve` and `tocsin check-config`: the commands that read settings."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.cli.answer import Json
from tocsin.cli.exits import Exit, fail
from tocsin.cli.heap import share_one_heap
from tocsin.cli.terminal import console, facts, print_json, safe

if TYPE_CHECKING:
    from tocsin.config.model import Config

DEFAULT_FILE = Path("tocsin.yaml")

_File = Annotated[Path | None, typer.Option("--config", help="The settings file (TOCSIN_CONFIG).")]


def serve(
    *,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on (TOCSIN_HOST). Default: 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port (TOCSIN_PORT). Default: 8000; 0: any that is free.")
    ] = None,
    config: _File = None,
    prometheus: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Watch this Prometheus too, as datasource `prometheus` (TOCSIN_PROMETHEUS_URL)."
        ),
    ] = None,
    loki: Annotated[
        str | None, typer.Option(metavar="URL", help="Watch this Loki too, as datasource `loki` (TOCSIN_LOKI_URL).")
    ] = None,
    no_host: Annotated[bool, typer.Option("--no-host", help="Do not watch this machine.")] = False,
    state_dir: Annotated[
        Path | None, typer.Option(help="Where history is kept (TOCSIN_STATE_DIR). Default: ~/.local/state/tocsin.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="A certificate (PEM) to serve HTTPS with.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    behind_proxy: Annotated[bool, typer.Option("--behind-proxy", help="A proxy in front of Tocsin does TLS.")] = False,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="A name clients call this server by; may be given more than once.")
    ] = None,
) -> None:
    """Watch, and serve the API. Without any option: this machine, on http://127.0.0.1:8000.

    Another address than loopback needs a token (TOCSIN_API_TOKEN or TOCSIN_API_TOKEN_FILE), and TLS:
    --tls-cert with --tls-key, or --behind-proxy.
    """
    share_one_heap()
    # The whole engine is imported here and not before: other commands start without it.
    from tocsin.app import serve as run  # noqa: PLC0415
    from tocsin.config.load import load  # noqa: PLC0415
    from tocsin.config.model import ConfigError, Overrides  # noqa: PLC0415

    overrides = Overrides(
        host=host,
        port=port,
        prometheus=prometheus,
        loki=loki,
        no_host=no_host,
        state_dir=state_dir,
        tls_cert=tls_cert,
        tls_key=tls_key,
        behind_proxy=behind_proxy,
        allowed_hosts=tuple(allowed_host or ()),
    )

    def read() -> "Config":
        return load(config, os.environ, overrides)

    try:
        settings = read()
    except ConfigError as error:
        fail(str(error), Exit.INPUT)
    raise typer.Exit(run(settings, read))


def check_config(
    file: Annotated[
        Path | None, typer.Argument(help="The settings file. Default: TOCSIN_CONFIG, else tocsin.yaml.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the problems, or what was read, as JSON.")] = False,
) -> None:
    """Check a settings file, with the environment laid over it, as `tocsin serve --config FILE` would read it.

    Every problem is printed as file:line: field: reason; the exit code is then 1. No server is contacted.
    """
    from tocsin.config.load import load  # noqa: PLC0415
    from tocsin.config.model import ConfigError, Overrides  # noqa: PLC0415

    named = file or (None if os.environ.get("TOCSIN_CONFIG") else DEFAULT_FILE)
    path = named or Path(os.environ["TOCSIN_CONFIG"])
    if not path.is_file():
        fail(f"{path}: {'is a folder' if path.is_dir() else 'there is no such file'}", Exit.INPUT)
    try:
        settings = load(path, os.environ, Overrides())
    except ConfigError as error:
        if as_json:
            problems: list[Json] = [
                {"file": each.file, "line": each.line, "field": each.field, "reason": each.reason}
                for each in error.problems
            ]
            print_json({"ok": False, "problems": problems})
            raise typer.Exit(int(Exit.FOUND)) from None
        count = len(error.problems)
        fail(f"{error}\n{count} {'problem' if count == 1 else 'problems'}", Exit.FOUND)
    if as_json:
        print_json(_summary(settings))
    else:
        _show(settings)


def _summary(settings: "Config") -> Json:
    return {
        "ok": True,
        "problems": [],
        "file": str(settings.path),
        "datasources": [each.uid for each in settings.datasources],
        "targets": [each.name for each in settings.targets],
        "listens_on": f"{settings.server.host}:{settings.server.port}",
        "state_dir": str(settings.state_dir),
    }


def _show(settings: "Config") -> None:
    sources = [each.uid for each in settings.datasources] + (["host"] if settings.host.enabled else [])
    enabled = sum(each.enabled for each in settings.targets)
    out = console()
    out.print(safe(f"{settings.path}: ok", "green"))
    rows = [
        ("datasources", safe(", ".join(sources) or "none")),
        ("targets", safe(f"{len(settings.targets)}, {enabled} enabled")),
        ("listens on", safe(f"{settings.server.host}:{settings.server.port}")),
        ("state", safe(str(settings.state_dir))),
    ]
    out.print(facts(rows))
