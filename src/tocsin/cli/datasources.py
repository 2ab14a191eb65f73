"""`tocsin datasources`: where telemetry comes from, whether it answers, and what it is asked."""

from typing import Annotated

import typer

from tocsin.cli.answer import Answer
from tocsin.cli.client import DEFAULT_URL, AsJson, Url, call, segment
from tocsin.cli.exits import EPILOG, Exit
from tocsin.cli.tables import show_table, table
from tocsin.cli.terminal import console, facts, instant, joined, number, print_json, safe, state
from tocsin.domain.words import many

datasources = typer.Typer(help="Where telemetry comes from.", no_args_is_help=True, epilog=EPILOG)

Uid = Annotated[str, typer.Argument(help="The datasource's uid.")]
_ALL = 1000
_TEST_S = 120.0


@datasources.command("list", epilog=EPILOG)
def list_datasources(*, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """All datasources, by uid."""
    answer = call(url, "GET", "/monitoring/datasources", params=[("limit", str(_ALL))])
    if as_json:
        print_json(answer.json)
        return
    rows = table("Datasource", "Type", "Health", "Circuit", ">Queries", ">Failures", "Clock", "~Last error")
    items = list(answer["items"])
    for each in items:
        rows.add_row(
            safe(each["uid"].text()),
            safe(each["type"].text()),
            state(each["health"]),
            safe(_circuit(each)),
            f"{each['queries'].count():,}",
            f"{each['failures'].count():,}",
            safe(_skew(each["skew"])),
            safe(each["last_error"].text() or "-"),
        )
    out = console()
    if items:
        show_table(out, rows, below=("Last error", "Clock", "Circuit"))
    for each in items:
        for warning in each["warnings"]:
            out.print(safe(warning.text(), "yellow"))
    for each in answer["connections"]:
        _tell_connection(each)
    out.print(many(answer["total"].count(), "datasource"))


def _tell_connection(connection: Answer) -> None:
    """One line for a Grafana whose datasources are found, or are not."""
    uid, failure, out = connection["uid"].text(), connection["failure"].text(), console()
    found = ", ".join(connection["datasources"].words()) or "no datasource"
    if failure:
        out.print(safe(f"{uid}: its datasources are not known now: {failure}", "red"))
    else:
        out.print(safe(f"{uid}: {connection['server'].text()}, brings {found}"))
    for note in connection["notes"].words():
        out.print(safe(f"{uid}: {note}", "yellow"))


@datasources.command("test", epilog=EPILOG)
def ask_datasource(uid: Uid, *, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Ask one about itself now: version, what it can do, latency, clock, cost. Exits with 1 without an answer."""
    answer = call(url, "POST", f"/monitoring/datasources/{segment(uid)}/test", timeout_s=_TEST_S)
    if as_json:
        print_json(answer.json)
    else:
        _tell(answer)
    if not answer["ok"]:
        raise typer.Exit(int(Exit.FOUND))


def _tell(answer: Answer) -> None:
    out = console()
    latency = answer["latency_s"].number()
    answers = safe("yes", "green") if answer["ok"] else safe(f"no: {answer['error'].text()}", "red")
    rows = [("datasource", safe(f"{answer['uid'].text()} ({answer['type'].text()})")), ("answers", answers)]
    if answer["ok"]:
        rows += [
            ("version", safe(answer["version"].text() or "-")),
            ("can", safe(joined([one.text() for one in answer["abilities"]]))),
            ("latency", safe("-" if latency is None else f"{latency * 1000:.1f} ms")),
            ("clock", safe(_skew(answer["skew"]))),
        ]
    out.print(facts(rows))
    for warning in answer["warnings"]:
        out.print(safe(warning.text(), "yellow"))
    targets = list(answer["targets"])
    if not targets:
        return
    costs = table("Target", ">Evaluations/h", ">Queries/h", ">Samples/h", ">Bytes/h")
    for each in targets:
        costs.add_row(
            safe(each["target"].text() + ("" if each["enabled"] else " (off)")),
            number(each["evaluations_per_hour"].number()),
            *(number(each[f"{name}_per_hour"].number()) for name in ("queries", "samples", "bytes")),
        )
    show_table(out, costs)


def _circuit(each: Answer) -> str:
    word = each["circuit"].text("-").replace("_", "-")
    return f"{word} until {instant(each['retry_at'].text())}" if word == "open" else word


def _skew(skew: Answer) -> str:
    ahead_s, within_s = skew["ahead_s"].number(), skew["within_s"].number()
    if ahead_s is None or within_s is None:
        return "-"
    return f"{round(ahead_s, 1) + 0.0:+.1f} s (±{within_s:.1f})"
