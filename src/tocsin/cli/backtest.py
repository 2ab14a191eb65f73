"""`tocsin backtest`: what a target would have raised over a past, down to the message."""

from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.answer import Answer, Json
from tocsin.cli.client import DEFAULT_URL, AsJson, Url, watch
from tocsin.cli.exits import Exit, fail
from tocsin.cli.fields import check_number, fields, intervals
from tocsin.cli.findings import show_alerts, show_anomalies
from tocsin.cli.picture import picture
from tocsin.cli.progress import share
from tocsin.cli.tables import show_table, table
from tocsin.cli.terminal import console, errors, facts, instant, number, print_json, safe, series
from tocsin.domain.words import many

PATIENCE_S = 900.0
MOST_DAYS = 366
MOST_CHANGES = 20
"""Alerts that come or go with a change, of each kind; --json has more."""

STYLES = {"caught": "green", "missed": "red", "unseen": "yellow"}
"""Of what became of an incident."""

Change = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Try a change, as severity_threshold=high; may be given more than once. Nothing is saved."
    ),
]
Incidents = Annotated[
    list[str] | None,
    typer.Option("--incident", help="A time in which something was wrong, START/END; may be given more than once."),
]


def backtest(
    target: Annotated[str, typer.Argument(help="The name of a saved target.")],
    *,
    days: Annotated[float | None, typer.Option(help="How many days back from now, at most 366.")] = None,
    hours: Annotated[float | None, typer.Option(help="How many hours back from now, at most 8784.")] = None,
    change: Change = None,
    incident: Incidents = None,
    plot: Annotated[Path | None, typer.Option(help="Write a picture to this file: SVG.")] = None,
    plot_series: Annotated[int, typer.Option(min=1, max=20, help="Series in the picture.")] = 6,
    fail_on_alert: Annotated[
        bool, typer.Option("--fail-on-alert", help="Exit with 1 when an alert would have fired.")
    ] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Replay the past of a target on the server: what would have fired, and been told. Default: one day."""
    if days is not None and hours is not None:
        fail("give --days or --hours, not both", Exit.INPUT)
    check_number("--days", days, most=MOST_DAYS)
    check_number("--hours", hours, most=MOST_DAYS * 24)
    if plot is not None:
        _check_plot(plot)
    body: dict[str, Json] = {"target": target}
    body.update({"hours": hours} if hours is not None else {"days": 1.0 if days is None else days})
    if change:
        body["change"] = dict(fields(change))
    if incident:
        body["incidents"] = intervals(incident)
    if plot is not None:
        body.update({"plot": True, "plot_series": plot_series})
    with share(f"replaying {target}") as heard:
        answer = watch(url, "/monitoring/backtest", body, heard=heard, timeout_s=PATIENCE_S)
    past = _past(days, hours)
    # Before anything is printed: whoever reads that may stop reading, and the command ends.
    if plot is not None:
        _draw(plot, answer, f"{target}: {past}", headline(answer))
    if as_json:
        print_json(answer.json)
    else:
        _show(answer, target, past, changed=bool(change))
    if fail_on_alert and answer["alerts_total"].count():
        raise typer.Exit(int(Exit.FOUND))


def _check_plot(path: Path) -> None:
    if path.suffix.lower() != ".svg":
        fail(f"--plot: the name must end in .svg, not {path.name!r}", Exit.INPUT)
    if not path.parent.is_dir():
        fail(f"--plot: there is no folder {path.parent}", Exit.INPUT)


def headline(answer: Answer) -> str:
    """`6 alerts, 3 groups, 8 messages; incidents: 2 of 3 caught; against the saved target: 4 alerts fewer`."""
    if not answer["series"].count():
        return "nothing was judged: no series"
    if not answer["judged"]:
        said = answer["warnings"].words()
        return next((each for each in said if each.startswith("nothing was judged")), "nothing was judged")
    counted = [
        _counted(answer[name].count(), what)
        for name, what in (("alerts_total", "alert"), ("groups_total", "group"), ("messages_total", "message"))
    ]
    parts = [", ".join(counted)]
    incidents, difference = answer["incidents"], answer["difference"]
    if incidents:
        caught = incidents["caught"].count()
        unseen = incidents["unseen"].count()
        beside = f", {unseen} without a sample" if unseen else ""
        parts.append(f"incidents: {caught} of {caught + incidents['missed'].count()} caught{beside}")
    if difference:
        parts.append(f"against the saved target: {_changes(difference)}")
    return "; ".join(parts)


def _changes(difference: Answer) -> str:
    words = []
    for name in ("alert", "message"):
        by = difference[f"{name}s"].count()
        if by:
            words.append(f"{_counted(abs(by), name)} {'more' if by > 0 else 'fewer'}")
    for name in ("gained", "lost"):
        count = len(list(difference[f"incidents_{name}"]))
        if count:
            words.append(f"{_counted(count, 'incident')} {name}")
    if not words:
        came = difference["alerts_added"].count()
        return "no difference" if not came else f"as many alerts, {came} of them other ones"
    return ", ".join(words)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _past(days: float | None, hours: float | None) -> str:
    count, unit = (hours, "hour") if hours is not None else (1.0 if days is None else days, "day")
    return f"last {unit}" if count == 1 else f"last {count:g} {unit}s"


def _show(answer: Answer, target: str, past: str, *, changed: bool) -> None:
    out = console()
    window, incidents = answer["window"], answer["incidents"]
    by_severity = [f"{value.count()} {name}" for name, value in answer["by_severity"].members() if value.count()]
    out.print(safe(f"{past}: {headline(answer)}", "bold"), soft_wrap=False)
    total = answer["alerts_total"].count()
    rows = [
        ("target", safe(f"{target}, changed" if changed else target)),
        ("from", safe(instant(window["start"].text()))),
        ("to", safe(instant(window["end"].text()))),
        ("looked at", safe(f"{answer['series'].count():,} series, {many(answer['samples'].count(), 'sample')}")),
        ("evaluations", safe(f"{answer['evaluations'].count():,}")),
        ("alerts", safe(f"{total:,} ({', '.join(by_severity)})" if by_severity else f"{total:,}")),
        ("anomalies", safe(f"{answer['anomalies_total'].count():,}")),
    ]
    if incidents:
        precision = incidents["precision"].number()
        rate = incidents["false_alerts_per_series_week"].number()
        share_of = "" if precision is None else f", {precision:.0%} of all alerts lie in an incident"
        false = f"{_counted(incidents['false_alerts'].count(), 'alert')} in none{share_of}"
        excused = incidents["alerts_in_maintenance"].count()
        beside = f"; {_counted(excused, 'alert')} in a marked maintenance" if excused else ""
        rows.append(("false alerts", safe(f"{false}; {number(rate)} a series and week{beside}")))
    rows += [("warning", safe(each, "yellow")) for each in answer["warnings"].words()]
    out.print(facts(rows))
    _show_incidents(answer)
    _show_changes(answer["difference"])
    show_alerts(out, answer["alerts"], heading="alerts")
    if not list(answer["alerts"]):
        show_anomalies(out, answer["anomalies"])


def _show_incidents(answer: Answer) -> None:
    items = list(answer["incidents"]["items"])
    if not items:
        return
    rows = table("Incident", "Outcome", ">After", "Alert")
    for each in items:
        delay = each["delay_s"].number()
        rows.add_row(
            safe(f"{instant(each['start'].text())} to\n{instant(each['end'].text())}".replace("\n", " ")),
            safe(
                each["outcome"].text(),
                STYLES.get(each["outcome"].text(), "dim"),
            ),
            "-" if delay is None else f"{delay:,.0f} s",
            safe(each["alert_id"].text("-")),
        )
    show_table(console(), rows)


def _show_changes(difference: Answer) -> None:
    if not difference:
        return
    rows = table("Change", "Severity", "Since", "~Series")
    for name, style in (("gone", "green"), ("added", "yellow")):
        for each in list(difference[name])[:MOST_CHANGES]:
            rows.add_row(
                safe("gone" if name == "gone" else "new", style),
                safe(each["severity"].text()),
                instant(each["starts_at"].text()),
                safe(series(each["labels"]) or "-"),
            )
    out = console()
    gone, added = difference["alerts_gone"].count(), difference["alerts_added"].count()
    out.print(safe(f"alerts that stay: {difference['alerts_kept'].count():,}; gone: {gone:,}; new: {added:,}"))
    if rows.row_count:
        show_table(out, rows)
    if max(gone, added) > MOST_CHANGES:
        out.print(f"the first {MOST_CHANGES} of each; --json has more")


def _draw(path: Path, answer: Answer, title: str, said: str) -> None:
    incidents = [(each["start"].text(), each["end"].text()) for each in answer["incidents"]["items"]]
    if not answer["plot"]:
        fail("the server sent no plot: it is of an earlier version", Exit.REFUSED)
    try:
        path.write_text(picture(answer, title, said, incidents), encoding="utf-8")
    except OSError as error:
        fail(f"--plot: {path} cannot be written: {error.strerror}", Exit.INPUT)
    errors().print(safe(f"written: {path}"))
