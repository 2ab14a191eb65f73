"""Alerts and anomalies as tables that fit 80 columns."""

from rich.console import Console, Group
from rich.text import Text

from tocsin.cli.answer import Answer
from tocsin.cli.tables import show_table, table
from tocsin.cli.terminal import instant, number, safe, series, severity, state
from tocsin.domain.words import sigmas

MOST_ROWS = 200


def show_alerts(out: Console, alerts: Answer, *, heading: str) -> None:
    """Alerts, one a row; nothing when there are none."""
    items = list(alerts)
    if not items:
        return
    rows = table("Alert", "Severity", "State", "~What")
    for each in items[:MOST_ROWS]:
        since = each["starts_at"] or each["active_at"] or each["timestamp"]
        over = f" to {instant(each['ends_at'].text())}" if each["ends_at"] else ""
        noted = " · acknowledged" if each["acknowledged"] else ""
        noted += " · expected" if each["expected"] else ""
        noted += " · in shadow" if each["shadow"] else ""
        what = Group(
            safe(each["target_name"].text() + series(each["labels"])),
            safe(values(each), "dim") if each["value"].number() is not None else safe(each["summary"].text(), "dim"),
            safe(f"{instant(since.text())}{over}{noted}", "dim"),
        )
        rows.add_row(safe(each["id"].text()), severity(each["severity"]), state(each["state"]), what)
    out.print(Text(heading, "bold"))
    show_table(out, rows)
    _say_rest(out, len(items))


def show_anomalies(out: Console, anomalies: Answer) -> None:
    """Anomalies, one a row; nothing when there are none."""
    items = list(anomalies)
    if not items:
        return
    rows = table("Time", "~Series", ">Value", ">Expected", ">Sigma", "Severity")
    for each in items[:MOST_ROWS]:
        rows.add_row(
            instant(each["timestamp"].text()),
            safe(series(each["labels"]) or "-"),
            number(each["value"].number(), each["facts"]["unit"].text()),
            number(each["expected_value"].number(), each["facts"]["unit"].text()),
            sigma(each["sigma"]),
            severity(each["severity"]),
        )
    out.print(Text("anomalies", "bold"))
    show_table(out, rows)
    _say_rest(out, len(items))


def values(each: Answer) -> str:
    """`1.5 GiB (expected 1.2 GiB, +5.2 sigma)`, in the words of the sentence."""
    unit = each["unit"].text()
    expected = number(each["expected_value"].number(), unit)
    strange = "" if each["sigma"].number() is None else f", {sigma(each['sigma'])} sigma"
    return f"{number(each['value'].number(), unit)} (expected {expected}{strange})"


def sigma(answer: Answer) -> str:
    """A signed sigma with one decimal."""
    value = answer.number()
    return "-" if value is None else sigmas(value)


def _say_rest(out: Console, count: int) -> None:
    if count > MOST_ROWS:
        out.print(f"the first {MOST_ROWS} of {count}; --json has all")
