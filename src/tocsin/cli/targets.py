"""`tocsin targets`: what is watched, and how it is doing."""

from datetime import timedelta
from typing import Annotated

import typer
from rich.text import Text

from tocsin.cli.answer import Answer, Json
from tocsin.cli.client import DEFAULT_URL, AsJson, Url, call, segment
from tocsin.cli.exits import EPILOG, Exit, fail
from tocsin.cli.fields import fields
from tocsin.cli.findings import show_alerts, show_anomalies
from tocsin.cli.tables import show_table, table
from tocsin.cli.terminal import console, facts, instant, number, print_json, safe, severity, state
from tocsin.config.duration import format_duration, parse_duration
from tocsin.domain.words import many

targets = typer.Typer(help="What is watched.", no_args_is_help=True, epilog=EPILOG)

Name = Annotated[str, typer.Argument(help="The target's name.")]
_SPANS = ("check_interval", "step", "lookback", "offset", "history", "pending_for", "keep_firing_for")
_ALL = 1000


@targets.command("list", epilog=EPILOG)
def list_targets(
    *,
    limit: Annotated[int, typer.Option(min=1, max=_ALL, help="How many at most.")] = _ALL,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """All targets, by name."""
    answer = call(url, "GET", "/monitoring/targets", params=[("limit", str(limit))])
    if as_json:
        print_json(answer.json)
        return
    rows = table("Target", "State", "Every", "From", "Datasource", ">Series")
    items = list(answer["items"])
    for each in items:
        rows.add_row(
            safe(each["name"].text()),
            state(each["state"]["state"]),
            _span(each["check_interval"]),
            safe(each["severity_threshold"].text()),
            safe(each["datasource_uid"].text()),
            each["state"]["series"].text("-"),
        )
    out = console()
    if items:
        show_table(out, rows)
    total = max(answer["total"].count(), len(items))
    out.print(f"{len(items)} of {total} targets" if total > len(items) else many(total, "target"))


@targets.command(epilog=EPILOG)
def show(name: Name, *, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """One target, whole."""
    _tell(call(url, "GET", f"/monitoring/targets/{segment(name)}"), as_json=as_json)


Language = Annotated[
    str | None,
    typer.Option(help="prometheus, loki or host. Default: that of the datasource."),
]
Methods = Annotated[
    list[str] | None, typer.Option(help="A detection method; may be given more than once. Default: auto.")
]
Dial = Annotated[float | None, typer.Option(help="The dial: false alerts tolerated of one series.")]
More = Annotated[
    list[str] | None, typer.Option("--set", help="Any other field of the API, as shadow=true or unit=bytes.")
]


@targets.command(epilog=EPILOG)
def create(
    name: Name,
    *,
    query: Annotated[str, typer.Option(help="What to watch, in the datasource's language.")],
    datasource: Annotated[str, typer.Option(help="The uid of the datasource: prometheus, loki, host, …")],
    query_type: Language = None,
    check_interval: Annotated[str, typer.Option(help="How often new samples are judged: seconds, 30s, 5m.")] = "60s",
    method: Methods = None,
    severity: Annotated[str, typer.Option(help="Alert from: low, medium, high or critical.")] = "medium",
    direction: Annotated[str, typer.Option(help="above, below or both.")] = "both",
    step: Annotated[str | None, typer.Option(help="The grid of the query.")] = None,
    lookback: Annotated[str | None, typer.Option(help="The history learnt from.")] = None,
    offset: Annotated[str | None, typer.Option(help="How long late samples are waited for.")] = None,
    history: Annotated[str | None, typer.Option(help="How far back auto reads at first.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Whose days auto learns, such as Europe/Berlin.")] = None,
    pending_for: Annotated[str | None, typer.Option(help="How long it must last before it fires.")] = None,
    keep_firing_for: Annotated[str | None, typer.Option(help="How long it must be well before it resolves.")] = None,
    min_effect: Annotated[float | None, typer.Option(help="The least deviation that matters.")] = None,
    min_effect_ratio: Annotated[float | None, typer.Option(help="The same as a share of what is expected.")] = None,
    alert_above: Annotated[float | None, typer.Option(help="Never alert at or below this value.")] = None,
    alert_below: Annotated[float | None, typer.Option(help="Never alert at or above this value.")] = None,
    lower_bound: Annotated[float | None, typer.Option(help="The lowest value that is possible.")] = None,
    upper_bound: Annotated[float | None, typer.Option(help="The highest value that is possible.")] = None,
    false_alerts_per_week: Dial = None,
    more: More = None,
    label: Annotated[list[str] | None, typer.Option(help="name=value; may be given more than once.")] = None,
    description: Annotated[str, typer.Option(help="What it means, for people.")] = "",
    disabled: Annotated[bool, typer.Option("--disabled", help="Create it switched off.")] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Watch something new."""
    spans = {
        "check_interval": check_interval,
        "step": step,
        "lookback": lookback,
        "offset": offset,
        "history": history,
        "pending_for": pending_for,
        "keep_firing_for": keep_firing_for,
    }
    numbers = {
        "min_effect": min_effect,
        "min_effect_ratio": min_effect_ratio,
        "alert_above": alert_above,
        "alert_below": alert_below,
        "lower_bound": lower_bound,
        "upper_bound": upper_bound,
        "false_alerts_per_week": false_alerts_per_week,
    }
    body: dict[str, Json] = {
        "name": name,
        "query": query,
        "datasource_uid": datasource,
        "detection_methods": list(method or ["auto"]),
        "severity_threshold": severity,
        "direction": direction,
        "labels": labels_of(label or []),
        "description": description,
        "enabled": not disabled,
    }
    if query_type is not None:
        body["query_type"] = query_type
    if timezone is not None:
        body["timezone"] = timezone
    body.update({key: _seconds(key, text) for key, text in spans.items() if text is not None})
    body.update({key: value for key, value in numbers.items() if value is not None})
    body.update(fields(more or []))
    _tell(call(url, "POST", "/monitoring/targets", body=body), as_json=as_json)


@targets.command(epilog=EPILOG)
def enable(name: Name, *, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Switch a target on."""
    _switch(url, name, "enable", as_json=as_json)


@targets.command(epilog=EPILOG)
def disable(name: Name, *, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Switch a target off; its alerts end."""
    _switch(url, name, "disable", as_json=as_json)


@targets.command(epilog=EPILOG)
def delete(name: Name, *, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Forget a target; its history stays."""
    answer = call(url, "DELETE", f"/monitoring/targets/{segment(name)}")
    if as_json:
        print_json(answer.json)
    else:
        console().print(safe(f"{name} is deleted"))


@targets.command(epilog=EPILOG)
def check(
    name: Name,
    *,
    fail_on_anomaly: Annotated[
        bool, typer.Option("--fail-on-anomaly", help="Exit with 1 when an anomaly is found.")
    ] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """What an evaluation now would find; nothing of it is kept."""
    answer = call(url, "POST", f"/monitoring/targets/{segment(name)}/check")
    if as_json:
        print_json(answer.json)
    else:
        out = console()
        rows = [
            ("target", safe(name)),
            ("state", state(answer["state"])),
            ("why", safe(answer["reason"].text("-"))),
            (
                "looked at",
                safe(f"{answer['series'].count():,} series, {many(answer['samples'].count(), 'new sample')}"),
            ),
            *(("warning", safe(each, "yellow")) for each in answer["warnings"].words()),
        ]
        out.print(facts(rows))
        show_anomalies(out, answer["anomalies"])
        show_alerts(out, answer["alerts"], heading="alerts it would change")
    if fail_on_anomaly and list(answer["anomalies"]):
        raise typer.Exit(int(Exit.FOUND))


def _switch(url: str, name: str, verb: str, *, as_json: bool) -> None:
    answer = call(url, "PATCH", f"/monitoring/targets/{segment(name)}/{verb}")
    if as_json:
        print_json(answer.json)
    else:
        console().print(safe(f"{name} is {verb}d"))


def _tell(target: Answer, *, as_json: bool) -> None:
    if as_json:
        print_json(target.json)
        return
    now = target["state"]
    rows = [
        ("name", safe(target["name"].text())),
        ("state", state(now["state"])),
        ("why", safe(now["reason"].text() or "-")),
        ("query", safe(target["query"].text())),
        ("datasource", safe(f"{target['datasource_uid'].text()} ({target['query_type'].text()})")),
        *((name.replace("_", " "), safe(_span(target[name]))) for name in _SPANS),
        *_watched(target),
        ("methods", safe(", ".join(target["detection_methods"].words()))),
        ("alerts from", severity(target["severity_threshold"])),
        ("dial", safe(_dial(target))),
        ("direction", safe(target["direction"].text())),
    ]
    floors = ("min_effect", "min_effect_ratio", "alert_above", "alert_below", "lower_bound", "upper_bound")
    rows += [(name.replace("_", " "), safe(number(target[name].number()))) for name in floors if target[name]]
    rows += [("asks", safe(each)) for each in target["asked"].words()]
    rows += _after_deploy(target)
    rows += [(f"label {name}", safe(value.text())) for name, value in target["labels"].members()]
    rows += [
        ("series", safe(f"{now['series'].count():,}, {now['series_ready'].count():,} ready")),
        ("last looked at", safe(instant(now["last_evaluated_at"].text()))),
        ("owner", safe(target["owner"].text() + (", read-only here" if target["owner"].text() == "file" else ""))),
        ("about", safe(target["description"].text() or "-")),
        *(("warning", safe(each, "yellow")) for each in now["warnings"].words()),
    ]
    console().print(facts(rows))


def _watched(target: Answer) -> list[tuple[str, Text]]:
    """What is watched of the query, and what its values are, where that is said."""
    rows = []
    if target["log_signal"]:
        rows.append(("log signal", safe(target["log_signal"].text())))
    if target["unit"].text():
        rows.append(("unit", safe(target["unit"].text())))
    if target["denominator"].text():
        least = target["min_denominator"].number()
        rows.append(("denominator", safe(f"{target['denominator'].text()}; a gap below {number(least)}")))
    if target["capacity_limit"].number() is not None:
        limit, horizon = number(target["capacity_limit"].number()), _span(target["capacity_horizon"])
        rows.append(("capacity limit", safe(f"{limit}, looked ahead to for {horizon}")))
    if target["timezone"].text("UTC") != "UTC":
        rows.append(("timezone", safe(target["timezone"].text())))
    if target["shadow"]:
        rows.append(("shadow", safe("yes: recorded, not told")))
    return rows


def _after_deploy(target: Answer) -> list[tuple[str, Text]]:
    """What becomes of thresholds after a deployment, where anything does."""
    does = target["after_deploy"].text("nothing")
    if does == "nothing":
        return []
    factor = number(target["deploy_factor"].number())
    words = {
        "widen": f", {factor} times the sigma",
        "tighten": f", the sigma divided by {factor}",
        "hold": ", no alert begins",
    }
    return [("after deploy", safe(f"{does} for {_span(target['deploy_for'])}{words.get(does, '')}"))]


_A_DAY = 1.0 / 7.0
"""In weeks; of less no rate is told."""


def _dial(target: Answer) -> str:
    fixed = target["sigma_threshold"].number()
    if fixed is not None:
        return f"off: alerts from {number(fixed)} sigma"
    told = f"{number(target['false_alerts_per_week'].number())} false alerts a week tolerated of a series"
    now = target["state"]["dial"]
    if not now:
        return told
    if (now["weeks"].number() or 0.0) < _A_DAY:
        return f"{told}; what is to be expected is known after a day of alerts and samples"
    over = ", MORE than is tolerated" if now["over"] else ""
    capped = f", for {now['capped'].count()} as high as auto can say" if now["capped"].count() else ""
    return (
        f"{told}; of all {number(now['expected_per_week'].number())} are expected{over}; "
        f"from {number(now['sigma_least'].number())} to {number(now['sigma_most'].number())} sigma, "
        f"raised for {now['raised'].count()} series{capped}"
    )


def _span(answer: Answer) -> str:
    seconds = answer.number()
    return "-" if seconds is None else format_duration(timedelta(seconds=seconds))


def _seconds(name: str, text: str) -> float:
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        fail(f"--{name.replace('_', '-')}: {error}, not {text!r}", Exit.INPUT)


def labels_of(given: list[str]) -> dict[str, Json]:
    """Labels out of name=value; ends the command where one is none."""
    labels: dict[str, Json] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            fail(f"--label: must look like name=value, not {text!r}", Exit.INPUT)
        labels[name] = value
    return labels
