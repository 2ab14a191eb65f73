"""`tocsin acceptances`: what people accepted, and taking it back."""

from typing import Annotated

import typer
from rich.console import Console, Group

from tocsin.cli.alerts import user
from tocsin.cli.answer import Answer
from tocsin.cli.client import DEFAULT_URL, AsJson, Url, call, segment
from tocsin.cli.exits import EPILOG
from tocsin.cli.tables import show_table, table
from tocsin.cli.terminal import console, instant, number, print_json, safe, series
from tocsin.domain.words import many

acceptances = typer.Typer(
    help="What was accepted: levels, what recurs, hours, series.", no_args_is_help=True, epilog=EPILOG
)


@acceptances.command("list", epilog=EPILOG)
def list_acceptances(
    *,
    target: Annotated[str | None, typer.Option(help="Only of this target.")] = None,
    over: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """What was accepted and is in force, the newest first."""
    params = [("limit", "1000"), ("in_force", str(not over).lower())]
    params += [] if target is None else [("target", target)]
    answer = call(url, "GET", "/monitoring/acceptances", params=params)
    if as_json:
        print_json(answer.json)
        return
    rows = table("Acceptance", "Kind", "~What")
    for one in answer["items"]:
        note = f": {one['note'].text()}" if one["note"] else ""
        what = Group(
            safe(" ".join((one["target"].text(), series(one["labels"])))),
            safe(_how(one)),
            safe(_until(one)),
            safe(f"{one['who'].text()} at {instant(one['at'].text())}{note}", "dim"),
        )
        rows.add_row(safe(one["id"].text()), safe(one["kind"].text()), what)
    out = console()
    if rows.row_count:
        show_table(out, rows)
    total = many(answer["total"].count(), "acceptance")
    out.print(total if over else f"{total} in force; --all shows also those that are over")


@acceptances.command(epilog=EPILOG)
def end(
    acceptance: Annotated[str, typer.Argument(help="The id of an acceptance.")],
    *,
    who: Annotated[str | None, typer.Option(help="Who says so. Default: the user of this machine.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Take an acceptance back; it stays in the list."""
    answer = call(url, "POST", f"/monitoring/acceptances/{segment(acceptance)}/end", body={"who": who or user()})
    if as_json:
        print_json(answer.json)
        return
    whose = " ".join((answer["target"].text(), series(answer["labels"]))).strip()
    console().print(safe(f"ended: {answer['id'].text()}, {answer['kind'].text()} of {whose}"))


def show_accepted(out: Console, accepted: Answer) -> None:
    """What was accepted just now, one a line, and how it is taken back."""
    made = list(accepted)
    for one in made:
        which = f"{one['kind'].text()} of {series(one['labels']) or 'all series'}"
        slot = _slot(one["slot"])
        when = f", {slot}," if slot else ""
        out.print(safe(f"{one['id'].text()}: {which}{when} until {instant(one['expires_at'].text())}"))
    if made:
        which = made[0]["id"].text() if len(made) == 1 else "ID"
        out.print(safe(f"to take {'it' if len(made) == 1 else 'one'} back: tocsin acceptances end {which}"))


def _how(one: Answer) -> str:
    """What of the series is accepted: `alerts that begin 01:50 to 02:30 UTC are expected`."""
    slot, kind = _slot(one["slot"]), one["kind"].text()
    if kind == "recurring":
        return f"alerts that begin {slot} are expected"
    if kind == "hours":
        return f"alerts begin at {number(one['sigma'].number())} sigma {slot}"
    if kind == "excluded":
        return "no alert begins"
    since = one["since"].text()
    return f"normal since {instant(since)}" if since else "normal as it is"


def _slot(slot: Answer) -> str:
    """`01:50 to 02:30 UTC`, with its days of the week where it has some; empty without one."""
    if not slot:
        return ""
    days = [_DAYS[day.count() % len(_DAYS)] for day in slot["weekdays"]]
    on = f" on {', '.join(days)}" if days else ""
    return f"{slot['begin'].text()} to {slot['end'].text()} {slot['timezone'].text()}{on}"


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _until(one: Answer) -> str:
    """How long it holds, or who ended it and when."""
    if one["ended_at"]:
        return f"ended by {one['ended_by'].text('-')} at {instant(one['ended_at'].text())}"
    return f"until {instant(one['expires_at'].text())}" if one["expires_at"] else "for good"
