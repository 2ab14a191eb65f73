"""`tocsin events`: deployments, and what else happened."""

from typing import Annotated

import typer
from rich.console import Group

from tocsin.cli.answer import Json
from tocsin.cli.client import DEFAULT_URL, AsJson, Url, call, segment
from tocsin.cli.exits import EPILOG
from tocsin.cli.tables import show_table, table
from tocsin.cli.targets import labels_of
from tocsin.cli.terminal import console, instant, print_json, safe, series
from tocsin.domain.words import many

events = typer.Typer(help="Deployments, and what else happened.", no_args_is_help=True, epilog=EPILOG)


@events.command(epilog=EPILOG)
def add(
    title: Annotated[str, typer.Argument(help="What happened, as people would say it.")],
    *,
    kind: Annotated[str, typer.Option(help="deploy or note.")] = "deploy",
    at: Annotated[str | None, typer.Option(help="ISO 8601 with a zone. Default: now.")] = None,
    target: Annotated[str | None, typer.Option(help="The target that it happened to. Default: all.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Only series with name=value; may be given more than once.")
    ] = None,
    link: Annotated[str, typer.Option(help="Where to read more.")] = "",
    key: Annotated[str | None, typer.Option(help="The same key again takes the place of the earlier event.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Say that something happened."""
    body: dict[str, Json] = {"title": title, "kind": kind, "labels": labels_of(label or []), "url": link}
    body |= {name: value for name, value in (("at", at), ("target", target), ("key", key)) if value is not None}
    answer = call(url, "POST", "/events", body=body)
    if as_json:
        print_json(answer.json)
        return
    console().print(safe(f"{answer['id'].text()}: {answer['kind'].text()} at {instant(answer['at'].text())}"))


@events.command("list", epilog=EPILOG)
def list_events(
    *,
    since: Annotated[str | None, typer.Option(help="Only from then on; ISO 8601 with a zone.")] = None,
    target: Annotated[str | None, typer.Option(help="Only those that concern this target.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """What happened, the newest first."""
    only = [(name, value) for name, value in (("since", since), ("target", target)) if value is not None]
    answer = call(url, "GET", "/events", params=[("limit", str(limit)), *only])
    if as_json:
        print_json(answer.json)
        return
    rows = table("Event", "Kind", "~What")
    for one in answer["items"]:
        of = " ".join((one["target"].text("all"), series(one["labels"])))
        what = Group(
            safe(one["title"].text()),
            safe(of, "dim"),
            safe(f"{instant(one['at'].text())}, from {one['source'].text('-')}", "dim"),
        )
        rows.add_row(safe(one["id"].text()), safe(one["kind"].text()), what)
    out = console()
    items, total = list(answer["items"]), answer["total"].count()
    if items:
        show_table(out, rows)
    out.print(f"{len(items)} of {total} events; --limit shows more" if total > len(items) else many(total, "event"))


@events.command(epilog=EPILOG)
def delete(event: Annotated[str, typer.Argument(help="The id of an event.")], *, url: Url = DEFAULT_URL) -> None:
    """Forget an event."""
    call(url, "DELETE", f"/events/{segment(event)}")
    console().print(safe(f"{event}: forgotten"))
