"""`tocsin suggest`: targets that a datasource's metrics or logs suggest, tried and ready to review."""

import asyncio
import json
import os
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.cli.answer import Json
from tocsin.cli.exits import Exit, fail
from tocsin.cli.fields import check_number
from tocsin.cli.progress import share
from tocsin.cli.tables import show_table, table
from tocsin.cli.terminal import clean, console, errors, print_json, safe
from tocsin.domain.words import many, timespan

if TYPE_CHECKING:
    from tocsin.config.model import DatasourceConfig, Overrides
    from tocsin.domain.catalogue import Looked
    from tocsin.monitor.trial import Trials, Tried

MIN_DAYS, MAX_DAYS = 0.01, 30
_WORDS = {
    "no_data": "without data",
    "too_little": "too little to judge yet",
    "constant": "constant",
    "duplicate": "like another",
    "refused": "refused",
    "too_slow": "too slow",
    "too_many": "heartbeats too many",
    "unfit": "no target",
}
_KINDS = "only a Prometheus, what speaks its API, and a Loki are looked at"


def suggest(
    *,
    prometheus: Annotated[str | None, typer.Option(metavar="URL", help="The Prometheus to look at.")] = None,
    loki: Annotated[str | None, typer.Option(metavar="URL", help="The Loki to look at.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="The settings file that declares it.")] = None,
    datasource: Annotated[
        str | None,
        typer.Option(
            metavar="UID", help="Which of its datasources. Default: the first Prometheus, else the first Loki."
        ),
    ] = None,
    days: Annotated[float, typer.Option(help="The past that each target is tried on, at most 30.")] = 1.0,
    output: Annotated[Path | None, typer.Option(help="Write the YAML there, which must not exist.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of YAML.")] = False,
) -> None:
    """Look at a Prometheus or a Loki and propose targets, as YAML ready to review.

    Each is tried first: what returns no data, does not move or repeats another is left out. A table of what each costs
    and how often it would have alerted goes to standard error. Nothing is changed anywhere.
    """
    from tocsin.app.suggest import suggestions  # noqa: PLC0415  (the engine: only this command needs it)
    from tocsin.config.model import Overrides  # noqa: PLC0415
    from tocsin.domain.errors import SourceError  # noqa: PLC0415

    check_number("--days", days, most=MAX_DAYS, least=MIN_DAYS)
    given = _given(Overrides(prometheus=prometheus, loki=loki), config, datasource)
    if output is not None and (why := _unwritable(output)):
        fail(f"{output}: {why}", Exit.INPUT)
    past = timedelta(days=days)
    try:
        with share("reading what is there and trying targets") as progress:
            looked, trials = asyncio.run(suggestions(given, past, progress))
    except SourceError as error:
        fail(str(error), Exit.UNREACHABLE)
    text = _yaml(given, trials, days)
    if as_json:
        print_json(_document(given, looked, trials, days))
    elif output is None:
        typer.echo(text, nl=False)
    if output is not None:
        try:
            with output.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            # Minutes of looking are not to be lost.
            typer.echo(text, nl=False)
            fail(f"{output}: {error.strerror}; what was to be written there stands on standard output", Exit.INPUT)
    _tell(looked, trials, past, output)


def _unwritable(path: Path) -> str:
    """Why no new file can be written there; "" where one can."""
    if path.exists():
        return "is there already"
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    return "" if os.access(folder, os.W_OK) else f"the folder {folder} cannot be written to"


def _given(urls: "Overrides", config: Path | None, uid: str | None) -> "DatasourceConfig":
    from tocsin.config.load import load  # noqa: PLC0415
    from tocsin.config.model import LOKI, PROMETHEUS, ConfigError  # noqa: PLC0415

    if urls.prometheus and urls.loki:
        fail("give --prometheus or --loki: one is looked at at a time", Exit.INPUT)
    try:
        settings = load(config, os.environ, urls)
    except ConfigError as error:
        fail(str(error), Exit.INPUT)
    wanted = uid or (PROMETHEUS if urls.prometheus else LOKI if urls.loki else None)
    for kind in (PROMETHEUS, LOKI):
        for each in settings.datasources:
            if wanted in (None, each.uid) and each.kind == kind:
                return each
    if wanted in {each.uid for each in settings.datasources}:
        fail(f"datasource {wanted!r} is neither: {_KINDS}", Exit.INPUT)
    if not wanted:
        fail(f"name one with --prometheus or --loki: {_KINDS}", Exit.INPUT)
    known = ", ".join(each.uid for each in settings.datasources) or "none"
    return fail(f"there is no datasource {wanted!r}; known: {known}", Exit.INPUT)


def _yaml(given: "DatasourceConfig", trials: "Trials", days: float) -> str:
    """A settings file: every text is quoted as JSON, which YAML reads, and refers to no variable."""
    lines = [
        "# Targets that `tocsin suggest` has tried: take out what nobody would get up for, and serve with the rest.",
        f"# Tried on the last {timespan(timedelta(days=days))} of datasource {clean(given.uid)}.",
        *(f"# {line}" for line in how_young(trials, timedelta(days=days))),
        "datasources:",
        f"  - uid: {_quoted(given.uid)}",
        f"    type: {_quoted(given.kind)}",
        f"    url: {_quoted(given.url)}",
        *(
            ["    # How it is reached beside that (credentials, tls, headers) is not repeated here."]
            if _guarded(given)
            else []
        ),
        "targets:" if trials.offered else "targets: []",
    ]
    for one in trials.offered:
        target = one.target
        each_time = many(one.samples_an_evaluation, "sample")
        lines += [
            f"  # {clean(one.suggestion.why)}",
            f"  # {one.series} series, {each_time} an evaluation, {one.samples_a_day:,} a day",
            f"  # {_often(one)}",
            f"  - name: {_quoted(target.name)}",
            f"    query: {_quoted(target.query)}",
            f"    datasource_uid: {_quoted(target.datasource_uid)}",
            f"    direction: {target.direction.value}",
        ]
        if one.suggestion.is_beat:
            lines.append(f"    detection_methods: [{', '.join(target.detection_methods)}]")
        if target.unit:
            lines.append(f"    unit: {target.unit}")
        if target.log_signal is not None:
            lines.append(f"    log_signal: {target.log_signal.value}")
        if target.denominator:
            lines.append(f"    denominator: {_quoted(target.denominator)}")
            lines.append(f"    min_denominator: {target.min_denominator:g}")
        lines.append(f"    description: {_quoted(target.description)}")
    return "\n".join(lines) + "\n"


def _guarded(given: "DatasourceConfig") -> bool:
    """Whether the URL alone is not enough to reach it."""
    beside = (given.username, given.bearer_token, given.ca_file, given.cert_file)
    return any(each is not None for each in beside) or bool(given.headers) or given.insecure_skip_verify


def _quoted(text: str) -> str:
    from tocsin.config.expand import escape  # noqa: PLC0415

    # Whoever names a service "${…}" must not read a variable of ours.
    return json.dumps(clean(escape(text)), ensure_ascii=False)


def _often(one: "Tried") -> str:
    seen = f"{many(one.alerts, 'alert')} and {many(one.messages, 'message')} in {timespan(one.covered)} of data"
    alerts, messages = one.alerts_a_week, one.messages_a_week
    if alerts is None or messages is None:
        return f"{seen}, too little to say how many a week"
    return f"{seen}: about {alerts:.1f} and {messages:.1f} a week"


def how_young(trials: "Trials", past: timedelta) -> tuple[str, ...]:
    """How little there was to try them on, where it was too little, and what to do about it."""
    from tocsin.monitor.trial import LEAST_FOR_A_WEEK  # noqa: PLC0415

    if not timedelta(0) < trials.covered < LEAST_FOR_A_WEEK:
        return ()
    there, tried, needed = timespan(trials.covered), timespan(past), timespan(LEAST_FOR_A_WEEK)
    if past < LEAST_FOR_A_WEEK and trials.covered > past / 2:
        enough = LEAST_FOR_A_WEEK / timedelta(days=1)
        return (f"Only {tried} were tried: with --days {enough:g} or more, constants are told from what moves seldom.",)
    return (
        f"There are {there} of data in the last {tried}: what has not moved in them is left out.",
        f"Run it again when there are {needed} of data or more.",
    )


def _rate(each: float | None) -> str:
    return "?" if each is None else f"{each:.1f}"


def _document(given: "DatasourceConfig", looked: "Looked", trials: "Trials", days: float) -> Json:
    offered: list[Json] = [
        {
            "name": one.target.name,
            "query": one.target.query,
            "datasource_uid": one.target.datasource_uid,
            "direction": one.target.direction.value,
            "detection_methods": list(one.target.detection_methods),
            "unit": one.target.unit,
            "log_signal": one.target.log_signal,
            "denominator": one.target.denominator,
            "min_denominator": one.target.min_denominator,
            "why": one.suggestion.why,
            "series": one.series,
            "samples_an_evaluation": one.samples_an_evaluation,
            "samples_a_day": one.samples_a_day,
            "covered_s": one.covered.total_seconds(),
            "alerts": one.alerts,
            "messages": one.messages,
            "alerts_a_week": one.alerts_a_week,
            "messages_a_week": one.messages_a_week,
        }
        for one in trials.offered
    ]
    dropped: list[Json] = [
        {"name": each.suggestion.name, "query": each.suggestion.query, "why": each.why.value, "reason": each.words}
        for each in trials.dropped
    ]
    return {
        "datasource_uid": given.uid,
        "days": days,
        f"{looked.things}_looked_at": looked.count,
        f"{looked.things}_total": looked.total,
        "notes": list(looked.notes),
        "not_tried": trials.not_tried,
        "queries": trials.queries,
        "covered_s": trials.covered.total_seconds(),
        "targets": offered,
        "dropped": dropped,
        "dropped_by_reason": dict(Counter(each.why.value for each in trials.dropped)),
    }


def _tell(looked: "Looked", trials: "Trials", past: timedelta, output: Path | None) -> None:
    """The summary for people, beside the YAML."""
    screen = errors()
    rows = table("Target", ">Series", ">Samples\na day", ">Alerts\na week", ">Messages\na week")
    for one in trials.offered:
        rows.add_row(
            safe(one.target.name),
            str(one.series),
            f"{one.samples_a_day:,}",
            _rate(one.alerts_a_week),
            _rate(one.messages_a_week),
        )
    if trials.offered:
        show_table(screen, rows)
    if any(one.alerts_a_week is None for one in trials.offered):
        screen.print("?: too little data to say how many a week; the YAML has the count")
    alike: dict[str, list[str]] = {}
    for each in trials.dropped:
        alike.setdefault(each.words, []).append(each.suggestion.name)
    for words, names in alike.items():
        screen.print(safe(f"left out: {', '.join(names)}: {words}"))
    for note in (*looked.notes, *how_young(trials, past)):
        screen.print(safe(note))
    if trials.not_tried:
        limit = len(trials.offered) + len(trials.dropped)
        screen.print(safe(f"not tried: {trials.not_tried} more, {limit} are the limit"))
    counts = Counter(each.why for each in trials.dropped)
    why = ", ".join(f"{count} {_WORDS[each.value]}" for each, count in counts.most_common())
    screen.print(
        safe(
            f"{many(len(trials.offered), 'target')}, {len(trials.dropped)} left out{f' ({why})' if why else ''}; "
            f"{looked.count} of {looked.total} {looked.things} looked at; "
            f"{many(trials.queries, 'query', 'queries')} to try them"
        )
    )
    if output is not None:
        console().print(safe(f"{output}: written; tocsin check-config {output} checks it"))
