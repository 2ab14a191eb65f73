"""`tocsin alerts`: what is wrong, and who took note of it."""

import getpass
from typing import Annotated

import typer
from rich.text import Text

from tocsin.cli.answer import Answer
from tocsin.cli.client import DEFAULT_URL, AsJson, Url, call, segment
from tocsin.cli.exits import EPILOG
from tocsin.cli.findings import show_alerts, sigma, values
from tocsin.cli.tables import show_table, table
from tocsin.cli.terminal import console, facts, instant, joined, number, print_json, safe, series, severity
from tocsin.cli.terminal import state as coloured
from tocsin.domain.words import many

alerts = typer.Typer(help="What is wrong, and who took note.", no_args_is_help=True, epilog=EPILOG)

Which = Annotated[str, typer.Argument(help="The id of an alert, or the name of a target for all its active alerts.")]
_ROWS_OF_EVIDENCE = 12


@alerts.command("list", epilog=EPILOG)
def list_alerts(
    *,
    state: Annotated[
        list[str] | None, typer.Option(help="pending, firing, resolved or expired; may be given more than once.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Only of this target.")] = None,
    min_severity: Annotated[str | None, typer.Option(help="low, medium, high or critical.")] = None,
    minutes: Annotated[int | None, typer.Option(min=1, help="Only those active within the last minutes.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only with name=value; may be given more than once.")] = None,
    hide_acknowledged: Annotated[
        bool, typer.Option("--hide-acknowledged", help="Leave out those somebody took note of.")
    ] = False,
    shadow: Annotated[
        bool | None, typer.Option("--shadow/--no-shadow", help="Only those in shadow, or none of them.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Alerts, those that changed last first."""
    params: list[tuple[str, str]] = [
        ("limit", str(limit)),
        ("include_acknowledged", str(not hide_acknowledged).lower()),
    ]
    params += [("state", each) for each in state or []] + [("label", each) for each in label or []]
    single = {
        "target": target,
        "min_severity": min_severity,
        "minutes": None if minutes is None else str(minutes),
        "shadow": None if shadow is None else str(shadow).lower(),
    }
    params += [(name, value) for name, value in single.items() if value is not None]
    answer = call(url, "GET", "/monitoring/alerts", params=params)
    if as_json:
        print_json(answer.json)
        return
    out = console()
    items, total = list(answer["items"]), answer["total"].count()
    show_alerts(out, answer["items"], heading="alerts")
    out.print(f"{len(items)} of {total} alerts; --limit shows more" if total > len(items) else many(total, "alert"))


@alerts.command(epilog=EPILOG)
def show(
    alert: Annotated[str, typer.Argument(help="The id of an alert.")],
    *,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """One alert with its transitions and its evidence."""
    answer = call(url, "GET", f"/monitoring/alerts/{segment(alert)}")
    if as_json:
        print_json(answer.json)
        return
    out = console()
    out.print(facts(_facts(answer)))
    rows = table("Time", "To", "Severity", "~Why", ">Value", ">Sigma")
    for each in answer["transitions"]:
        why = each["reason"].text().replace("_", " ")
        detail = each["detail"].text()
        rows.add_row(
            instant(each["at"].text()),
            coloured(each["after"]),
            severity(each["severity"]),
            safe(f"{why}: {detail}" if detail else why),
            number(each["value"].number(), answer["unit"].text()),
            sigma(each["sigma"]),
        )
    if rows.row_count:
        show_table(out, rows)
    for evidence in list(answer["evidence"])[-1:]:
        _show_evidence(evidence)


@alerts.command(epilog=EPILOG)
def ack(
    which: Which,
    *,
    note: Annotated[str, typer.Option(help="What you know about it.")] = "",
    who: Annotated[str | None, typer.Option(help="Who takes note. Default: the user of this machine.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Take note of an alert, or of all active alerts of a target."""
    path = f"/monitoring/alerts/{segment(which)}/acknowledge"
    answer = call(url, "POST", path, body={"who": who or user(), "note": note})
    _tell(answer, "acknowledged", as_json=as_json)


@alerts.command(epilog=EPILOG)
def unack(which: Which, *, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Take an acknowledgement back."""
    answer = call(url, "DELETE", f"/monitoring/alerts/{segment(which)}/acknowledge")
    _tell(answer, "unacknowledged", as_json=as_json)


def _tell(answer: Answer, word: str, *, as_json: bool) -> None:
    if as_json:
        print_json(answer.json)
        return
    ids = answer[word].words()
    console().print(safe(f"{word}: {joined(ids)}" if ids else f"nothing to be {word}"))


def _facts(alert: Answer) -> list[tuple[str, Text]]:
    noted = alert["acknowledgement"]
    rows = [
        ("alert", safe(alert["id"].text())),
        ("target", safe(alert["target_name"].text())),
        ("series", safe(series(alert["labels"]) or "-")),
        ("state", coloured(alert["state"])),
        ("severity", severity(alert["severity"])),
        ("first seen", safe(instant(alert["active_at"].text()))),
        ("firing since", safe(instant(alert["starts_at"].text()))),
        ("over at", safe(instant(alert["ends_at"].text()))),
        # That a datasource does not answer has no value.
        *([("worst value", safe(values(alert)))] if alert["value"].number() is not None else []),
        ("methods", safe(joined(alert["methods"].words()))),
        *_confidence(alert),
        ("samples", safe(alert["anomaly_count"].text("-"))),
        ("why", safe(alert["explanation"].text() or alert["summary"].text() or "-")),
    ]
    if noted:
        words = f"{noted['who'].text()} at {instant(noted['at'].text())}: {noted['note'].text()}"
        rows.append(("acknowledged", safe(words.removesuffix(": "))))
    verdict, recurring = alert["verdict"], alert["recurring"]
    if verdict:
        words = f"{verdict['verdict'].text()}, says {verdict['who'].text()}: {verdict['note'].text()}"
        rows.append(("verdict", safe(words.removesuffix(": "))))
    if alert["in_window"]:
        rows.append(("in window", safe(alert["in_window"].text())))
    if recurring:
        rows.append(("recurring", safe(recurring["summary"].text())))
    if alert["expected"]:
        rows.append(("expected", safe(f"yes, by {alert['expected_by'].text()}")))
    return rows


def _confidence(alert: Answer) -> list[tuple[str, Text]]:
    """How sure it is, and what that means; nothing where it is about no sample."""
    sure, kind = alert["confidence"].number(), alert["confidence_kind"].text()
    return [] if sure is None else [("confidence", safe(f"{sure:.2f} ({_MEANS.get(kind, kind)})"))]


_MEANS = {
    "calibrated": "calibrated: so many of such alerts are real",
    "tail": "one minus the tail: how improbable by chance",
}


def _show_evidence(evidence: Answer) -> None:
    out = console()
    out.print(safe(f"evidence: {evidence['query'].text()} ({evidence['datasource_uid'].text()})", "bold"))
    for line in evidence["context"].words() + evidence["notes"].words():
        out.print(safe(f"  {line}"))
    rows = table("Time", ">Value", ">Expected", ">Lower", ">Upper", ">Sigma")
    unit = evidence["facts"]["unit"].text()
    columns = [list(evidence[name]) for name in ("timestamps", "values", "expected", "lower", "upper", "sigma")]
    for at, *numbers, strange in list(zip(*columns, strict=False))[-_ROWS_OF_EVIDENCE:]:
        rows.add_row(instant(at.number()), *(number(each.number(), unit) for each in numbers), sigma(strange))
    show_table(out, rows)


def user() -> str:
    """The user of this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "cli"
