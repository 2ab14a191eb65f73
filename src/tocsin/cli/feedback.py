"""`tocsin windows`, `tocsin proposals`, and what people say of alerts and levels."""

from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tocsin.cli.acceptances import show_accepted
from tocsin.cli.alerts import alerts, user
from tocsin.cli.answer import Answer, Json
from tocsin.cli.client import DEFAULT_URL, AsJson, Url, call, segment
from tocsin.cli.exits import EPILOG, Exit, fail
from tocsin.cli.progress import spinner
from tocsin.cli.tables import show_table, table
from tocsin.cli.targets import labels_of, targets
from tocsin.cli.terminal import console, facts, instant, joined, number, print_json, safe, series
from tocsin.domain.words import many

windows = typer.Typer(help="Times from which nothing is learnt.", no_args_is_help=True, epilog=EPILOG)
proposals = typer.Typer(help="Changes that follow from verdicts.", no_args_is_help=True, epilog=EPILOG)

Who = Annotated[str | None, typer.Option(help="Who says so. Default: the user of this machine.")]
Note = Annotated[str, typer.Option(help="What you know about it.")]
Labelled = Annotated[list[str] | None, typer.Option("--label", help="Only series with name=value; may be repeated.")]
Target = Annotated[str | None, typer.Option(help="Only of this target.")]
Which = Annotated[str, typer.Argument(help="The id of a proposal.")]
_VERDICTS = ("false", "expected", "real")
_SLOW_S = 600.0
_ALL = [("limit", "1000")]


@alerts.command(epilog=EPILOG)
def mark(
    alert: Annotated[str, typer.Argument(help="The id of an alert.")],
    verdict: Annotated[str, typer.Argument(help="false, expected or real; none takes a verdict back.")],
    *,
    note: Note = "",
    who: Who = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Say what an alert was; proposals follow from it."""
    path = f"/monitoring/alerts/{segment(alert)}/verdict"
    if verdict == "none":
        answer = call(url, "DELETE", path)
        said = f"{alert}: {'the verdict is taken back' if answer['unmarked'] else 'there was no verdict'}"
    elif verdict in _VERDICTS:
        answer = call(url, "PUT", path, body={"verdict": verdict, "note": note, "who": who or user()})
        said = f"{alert}: {verdict}"
    else:
        fail(f"a verdict is false, expected, real or none, not {verdict!r}", Exit.INPUT)
    if as_json:
        print_json(answer.json)
        return
    out = console()
    out.print(safe(said))


@targets.command(epilog=EPILOG)
def accept(
    name: Annotated[str, typer.Argument(help="The target's name.")],
    *,
    label: Labelled = None,
    at: Annotated[str | None, typer.Option(help="Since when it is normal. Default: since its alerts began.")] = None,
    around: Annotated[
        str | None, typer.Option(help="Accept the alerts that recur around this time, as 02:10, not a level.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=365, help="With --around: how long that holds. Default: 90.")
    ] = None,
    note: Note = "",
    who: Who = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Accept the level of a target's series as their new normal; its alerts about it end."""
    if around is not None and at is not None:
        fail("give --at for a level or --around for what recurs, not both", Exit.INPUT)
    if around is None and days is not None:
        fail("--days says how long what recurs is accepted: it goes with --around", Exit.INPUT)
    body: dict[str, Json] = {"labels": labels_of(label or []), "note": note, "who": who or user()}
    if around is not None:
        body |= {"around": around, "days": 90 if days is None else days}
    elif at is not None:
        body["at"] = at
    path = f"/monitoring/targets/{segment(name)}/{'accept' if around is None else 'recurring/accept'}"
    answer = call(url, "POST", path, body=body)
    if as_json:
        print_json(answer.json)
        return
    out = console()
    show_accepted(out, answer["acceptances"])
    ended = answer["ended"].words()
    if around is None:
        out.print(safe(f"ended: {joined(ended)}" if ended else "no alert of it was active"))


@targets.command(epilog=EPILOG)
def recurring(
    name: Annotated[str, typer.Argument(help="The target's name.")], *, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """What of a target stands out at the same time of day again and again, whether alerts came of it or not."""
    answer = call(url, "GET", f"/monitoring/targets/{segment(name)}/recurring", params=_ALL)
    if as_json:
        print_json(answer.json)
        return
    rows = table("Around", ">Times", ">Alerts", ">Days", "~What")
    for one in answer["items"]:
        accepted = f", accepted by {one['accepted_by'].text()}" if one["accepted_by"] else ""
        what = Group(
            safe(series(one["labels"]) or "-"), safe(f"last at {instant(one['last'].text())}{accepted}", "dim")
        )
        around = safe(f"{one['around'].text()} {one['timezone'].text()}")
        rows.add_row(around, one["times"].text(), one["alerts"].text(), one["days"].text(), what)
    _list(answer, rows, "recurrence")
    if not list(answer["items"]) and not as_json:
        console().print(
            "Only what Tocsin has recorded itself counts, on three days at least; no history is read back for it."
        )


@windows.command(epilog=EPILOG)
def add(
    kind: Annotated[str, typer.Argument(help="incident or maintenance.")],
    *,
    start: Annotated[str, typer.Option(help="ISO 8601 with a zone, like 2026-01-31T12:00:00Z.")],
    end: Annotated[str, typer.Option(help="The same.")],
    target: Target = None,
    label: Labelled = None,
    note: Note = "",
    who: Who = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Mark a time: it leaves every baseline. What happens in it is judged as ever."""
    body: dict[str, Json] = {
        "kind": kind,
        "start": start,
        "end": end,
        "labels": labels_of(label or []),
        "note": note,
        "who": who or user(),
    }
    if target is not None:
        body["target"] = target
    _show_marking(call(url, "POST", "/monitoring/windows", body=body), "marked", as_json=as_json)


@windows.command("list", epilog=EPILOG)
def list_windows(*, target: Target = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Marked windows, the newest first."""
    only = [] if target is None else [("target", target)]
    answer = call(url, "GET", "/monitoring/windows", params=[*_ALL, *only])
    if as_json:
        print_json(answer.json)
        return
    rows = table("Window", "Kind", "~What")
    for one in answer["items"]:
        note = f": {one['note'].text()}" if one["note"] else ""
        what = Group(
            safe(" ".join((one["target"].text("all"), series(one["labels"])))),
            safe(f"{instant(one['start'].text())} to {instant(one['end'].text())}"),
            safe(f"{one['who'].text()}{note}", "dim"),
        )
        rows.add_row(safe(one["id"].text()), safe(one["kind"].text()), what)
    _list(answer, rows, "window")


@windows.command(epilog=EPILOG)
def delete(
    window: Annotated[str, typer.Argument(help="The id of a window.")],
    *,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Learn from it again."""
    _show_marking(call(url, "DELETE", f"/monitoring/windows/{segment(window)}"), "unmarked", as_json=as_json)


@proposals.command("list", epilog=EPILOG)
def list_proposals(
    *,
    target: Target = None,
    state: Annotated[str | None, typer.Option(help="open, applied, reverted or dismissed.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Proposals, those that changed last first."""
    only = [(name, value) for name, value in (("target", target), ("state", state)) if value is not None]
    answer = call(url, "GET", "/monitoring/proposals", params=[*_ALL, *only])
    if as_json:
        print_json(answer.json)
        return
    rows = table("Proposal", "State", "~What")
    for one in answer["items"]:
        what = Group(
            safe(one["target"].text("-")), safe(one["summary"].text("-"), "bold"), safe(one["why"].text("-"), "dim")
        )
        rows.add_row(safe(one["id"].text("-")), safe(one["state"].text("-")), what)
    _list(answer, rows, "proposal")


@proposals.command(epilog=EPILOG)
def show(which: Which, *, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """One proposal; where it can be applied, with what a back-test of the last fourteen days says of it now."""
    path = f"/monitoring/proposals/{segment(which)}"
    answer = call(url, "GET", path)
    if answer["state"].text() in ("open", "reverted"):
        try:
            with spinner("back-testing the last fourteen days without it and with it"):
                answer = call(url, "POST", f"{path}/compare", timeout_s=_SLOW_S)
        except typer.Exit:
            # It cannot be compared now, and why has been said; what is known of it is shown all the same.
            _show_proposal(answer, as_json=as_json)
            raise
    _show_proposal(answer, as_json=as_json)


@proposals.command(epilog=EPILOG)
def apply(which: Which, *, note: Note = "", who: Who = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Make the change."""
    _do("apply", which, who, note, url, as_json=as_json)


@proposals.command(epilog=EPILOG)
def revert(which: Which, *, note: Note = "", who: Who = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Take the change back."""
    _do("revert", which, who, note, url, as_json=as_json)


@proposals.command(epilog=EPILOG)
def dismiss(which: Which, *, note: Note = "", who: Who = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Do not make it, and do not propose it again."""
    _do("dismiss", which, who, note, url, as_json=as_json)


def _do(verb: str, which: str, who: str | None, note: str, url: str, *, as_json: bool) -> None:
    body: dict[str, Json] = {"who": who or user(), "note": note}
    _show_proposal(call(url, "POST", f"/monitoring/proposals/{segment(which)}/{verb}", body=body), as_json=as_json)


def _list(answer: Answer, rows: Table, noun: str) -> None:
    out = console()
    items, total = list(answer["items"]), answer["total"].count()
    if items:
        show_table(out, rows)
    out.print(f"{len(items)} of {total} {noun}s" if total > len(items) else many(total, noun))


def _show_proposal(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        print_json(answer.json)
        return
    rows: list[tuple[str, Text]] = [
        ("proposal", safe(answer["id"].text())),
        ("target", safe(answer["target"].text())),
        ("change", safe(answer["summary"].text(), "bold")),
        ("why", safe(answer["why"].text())),
        ("state", safe(answer["state"].text())),
    ]
    found = answer["difference"]
    if found:
        rows += [
            ("compared", safe(f"{instant(found['start'].text())} to {instant(found['end'].text())}")),
            ("alerts", safe(f"{found['alerts_before'].count()} without it, {found['alerts_after'].count()} with it")),
            ("false", safe(f"{found['false_removed'].count()} of {found['false_seen'].count()} gone")),
            ("expected", safe(f"{found['expected_removed'].count()} of {found['expected_seen'].count()} gone")),
            ("real", safe(f"{found['real_kept'].count()} of {found['real_seen'].count()} still there")),
            *(("note", safe(each, "yellow")) for each in found["notes"].words()),
        ]
    else:
        rows.append(("compared", safe("no back-test has said what it changes", "yellow")))
    for step in answer["history"]:
        words = f"{step['state'].text()} by {step['who'].text()} at {instant(step['at'].text())}: {step['note'].text()}"
        rows.append(("history", safe(words.removesuffix(": "))))
    console().print(facts(rows))


def _show_marking(answer: Answer, verb: str, *, as_json: bool) -> None:
    if as_json:
        print_json(answer.json)
        return
    out = console()
    window = answer["window"]
    when = f"{instant(window['start'].text())} to {instant(window['end'].text())}"
    whose = window["target"].text("all targets")
    out.print(safe(f"{verb}: {window['id'].text()}, {window['kind'].text()} of {whose}, {when}"))
    rows = table("Target", "~Series", ">Value", ">Band before", ">Band now")
    for band in answer["bands"]:
        rows.add_row(
            safe(band["target"].text()),
            safe(series(band["labels"]) or "-"),
            number(band["value"].number()),
            _span(band["before"]),
            _span(band["after"]),
        )
    if answer["bands"]:
        show_table(out, rows)
    changed, compared = answer["bands_changed"].count(), answer["bands_compared"].count()
    out.print(f"{changed} of {many(compared, 'band')} compared changed" if compared else "no band was compared")
    for note in answer["notes"].words():
        out.print(safe(note, "yellow"))


def _span(span: Answer) -> str:
    return f"{number(span['lower'].number())} to {number(span['upper'].number())}" if span else "-"
