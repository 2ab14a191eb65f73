"""`tocsin backtest`: what a target would have raised over a past."""

from typing import Annotated

import typer

from tocsin.cli.answer import Answer, Json
from tocsin.cli.client import DEFAULT_URL, AsJson, Url, call
from tocsin.cli.exits import Exit, fail
from tocsin.cli.findings import show_alerts, show_anomalies
from tocsin.cli.progress import spinner
from tocsin.cli.terminal import console, facts, instant, print_json, safe

PATIENCE_S = 900.0


def backtest(
    target: Annotated[str, typer.Argument(help="The name of a saved target.")],
    *,
    days: Annotated[float | None, typer.Option(min=0, max=366, help="How many days back from now.")] = None,
    hours: Annotated[float | None, typer.Option(min=0, max=366 * 24, help="How many hours back from now.")] = None,
    fail_on_alert: Annotated[
        bool, typer.Option("--fail-on-alert", help="Exit with 1 when an alert would have fired.")
    ] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Replay the past of a target on the server: what would have fired, and when. Default: one day."""
    if days is not None and hours is not None:
        fail("give --days or --hours, not both", Exit.INPUT)
    if 0 in (days, hours):
        fail("--days and --hours must be more than zero", Exit.INPUT)
    body: dict[str, Json] = {"target": target}
    body.update({"hours": hours} if hours is not None else {"days": 1.0 if days is None else days})
    with spinner(f"replaying {target}"):
        answer = call(url, "POST", "/monitoring/backtest", body=body, timeout_s=PATIENCE_S)
    if as_json:
        print_json(answer.json)
    else:
        _show(answer, target)
    if fail_on_alert and answer["alerts_total"].count():
        raise typer.Exit(int(Exit.FOUND))


def _show(answer: Answer, target: str) -> None:
    out = console()
    window = answer["window"]
    by_severity = [f"{value.count()} {name}" for name, value in answer["by_severity"].members() if value.count()]
    rows = [
        ("target", safe(target)),
        ("from", safe(instant(window["start"].text()))),
        ("to", safe(instant(window["end"].text()))),
        ("looked at", safe(f"{answer['series'].count():,} series, {answer['samples'].count():,} samples")),
        ("evaluations", safe(f"{answer['evaluations'].count():,}")),
        ("alerts", safe(_counted(answer["alerts_total"].count(), by_severity))),
        ("anomalies", safe(f"{answer['anomalies_total'].count():,}")),
        *(("warning", safe(each, "yellow")) for each in answer["warnings"].words()),
    ]
    out.print(facts(rows))
    show_alerts(out, answer["alerts"], heading="alerts")
    if not list(answer["alerts"]):
        show_anomalies(out, answer["anomalies"])


def _counted(total: int, parts: list[str]) -> str:
    return f"{total:,} ({', '.join(parts)})" if parts else f"{total:,}"
