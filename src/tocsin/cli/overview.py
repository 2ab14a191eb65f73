"""`tocsin status` and `tocsin version`."""

import platform
from typing import Annotated

import typer

from tocsin import __version__
from tocsin.cli.answer import Answer
from tocsin.cli.client import DEFAULT_URL, AsJson, Url, call
from tocsin.cli.tables import show_table, table
from tocsin.cli.terminal import console, facts, instant, number, print_json, safe, state


def status(*, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """How a running server is doing."""
    answer = call(url, "GET", "/monitoring/status")
    if as_json:
        print_json(answer.json)
        return
    targets, alerts, store = answer["targets"], answer["alerts"], answer["store"]
    running = safe("running", "green") if answer["running"] else safe("stopped", "yellow")
    rows = [
        ("monitoring", running),
        ("since", safe(instant(answer["since"].text()))),
        ("targets", safe(f"{targets['total'].count()}, {targets['enabled'].count()} enabled{_states(targets)}")),
        ("alerts", safe(f"{_counts(alerts['by_state'])}; {alerts['unacknowledged'].count()} unacknowledged")),
        ("firing", safe(_counts(alerts["by_severity"]))),
        (
            "evaluations",
            safe(f"{answer['evaluations'].count():,}, {answer['lag_s'].number() or 0:.1f} s behind at most"),
        ),
        ("false alerts", safe(_false_alerts(answer["false_alerts"]))),
        ("store", safe("ok", "green") if store["ok"] else safe(f"failing: {store['detail'].text()}", "red")),
    ]
    out = console()
    out.print(facts(rows))
    _show_datasources(answer["datasources"])


def version(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """The version of Tocsin and of Python."""
    if as_json:
        print_json({"tocsin": __version__, "python": platform.python_version()})
    else:
        typer.echo(f"tocsin {__version__} (Python {platform.python_version()})")


def _show_datasources(datasources: Answer) -> None:
    items = list(datasources)
    if not items:
        return
    rows = table("Datasource", "Type", "Health", ">Queries", ">Failures", "~Last error")
    for each in items:
        rows.add_row(
            safe(each["uid"].text()),
            safe(each["type"].text()),
            state(each["health"]),
            f"{each['queries'].count():,}",
            f"{each['failures'].count():,}",
            safe(each["last_error"].text() or "-"),
        )
    show_table(console(), rows, below=("Last error",))


def _false_alerts(answer: Answer) -> str:
    if not answer:
        return "-"
    floor = answer["floor_sigma"].number()
    raised = f"; nothing begins below {number(floor)} sigma but drift, absence and capacity" if floor else ""
    expected, tolerated = (number(answer[name].number()) for name in ("expected_per_week", "tolerated_per_week"))
    return f"{expected} a week expected, {tolerated} tolerated{raised}"


def _states(targets: Answer) -> str:
    words = _counts(targets["by_state"])
    return f" ({words})" if words != "none" else ""


def _counts(answer: Answer) -> str:
    parts = [f"{value.count()} {name.replace('_', ' ')}" for name, value in answer.members() if value.count()]
    return ", ".join(parts) or "none"
