"""Which targets the lines of a log store suggest: how many there are, the share of errors, and kinds of lines. Pure.

The first two are rate and errors of RED, for every service at once. Kinds of lines (`templates`) are for one service
each, because each line has to be read: only of services that write little, and only of a few.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tocsin.detect import Direction
from tocsin.domain.log_services import LogCatalogue, Services
from tocsin.domain.log_signal import ERRORS, IS_ERROR, LEVEL, LogSignal, share_of
from tocsin.domain.matters import LEAST_EVENTS
from tocsin.domain.redact import clean
from tocsin.domain.suggest import RANGE, Suggestion
from tocsin.domain.words import many

MAX_TEMPLATE_SERVICES = 5
"""Services of which templates are suggested, those with most lines first."""

MAX_TEMPLATE_LINES = 500.0
"""Lines a minute above which templates of a service are not suggested: every one would be read."""

MAX_VALUE_CHARACTERS = 100
"""Characters in the name of a service above which no target of its own is suggested."""

STEP = "1m"
"""The step of a target: each line is counted once."""

_SHOWN = 60
_UNNAMED = re.compile(r"[^A-Za-z0-9_.\-]+")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is suggested, and `notes` about what is not, and why."""

    suggestions: tuple[Suggestion, ...]
    notes: tuple[str, ...] = ()


def suggest_logs(found: LogCatalogue, lacking: str | None) -> Plan:
    """Errors, rates, then templates; names are all different. `lacking` is what templates need and is not there."""
    services = found.services
    if services is None:
        return Plan((), ("there are no streams: nothing is suggested",))
    notes = list(services.notes)
    suggestions = []
    if found.levels:
        suggestions.append(_errors(services))
    elif found.lines is not None:
        notes.append(f"no line has a level ({LEVEL}, which Loki finds from 3.1 on): no share of errors is suggested")
    suggestions.append(_rate(services))
    if services.label is not None and found.lines:
        if lacking is None:
            chosen, left = _chosen(found.lines)
            suggestions += _templates(services.label, found.lines, chosen)
            notes += left
        else:
            notes.append(f"templates are not suggested: this {lacking}")
    return Plan(tuple(suggestions), tuple(notes))


def quoted(value: str) -> str:
    """A text as a LogQL string."""
    return json.dumps(value, ensure_ascii=False)


def _counted(services: Services, window: str, stages: str = "") -> str:
    """Lines in a window, of each service where they are told apart."""
    by = f" by ({', '.join(services.by)})" if services.by else ""
    lines = f"{services.selector} {stages}".strip()
    return f"sum{by} (count_over_time({lines} [{window}]))"


def _of_each(services: Services) -> str:
    return f" of each {services.label}" if services.label else ""


def _rate(services: Services) -> Suggestion:
    return Suggestion("log_lines", _counted(services, STEP), f"RED, rate: lines a minute{_of_each(services)}")


def _errors(services: Services) -> Suggestion:
    every = _counted(services, RANGE)
    return Suggestion(
        "log_error_ratio",
        share_of(_counted(services, RANGE, IS_ERROR), every),
        f"RED, errors: the share of lines{_of_each(services)} that are {', '.join(ERRORS[:-1])} or {ERRORS[-1]}",
        Direction.ABOVE,
        "ratio",
        denominator=every,
        min_denominator=LEAST_EVENTS,
    )


def _chosen(lines: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """The services whose lines are worth their cost, those with most first, and why others are not among them."""
    spoken = sorted((value for value in lines if lines[value] > 0), key=lambda value: (-lines[value], value))
    named = [value for value in spoken if value.isprintable() and 0 < len(value) <= MAX_VALUE_CHARACTERS]
    cheap = [value for value in named if lines[value] <= MAX_TEMPLATE_LINES]
    chosen, notes = cheap[:MAX_TEMPLATE_SERVICES], []
    each_is_read = "each line is read"
    if len(named) > len(cheap):
        limit = f"{MAX_TEMPLATE_LINES:g} lines a minute are the limit, as {each_is_read}"
        notes.append(f"templates of {many(len(named) - len(cheap), 'busy service')} are not suggested: {limit}")
    if len(cheap) > len(chosen):
        few = f"{MAX_TEMPLATE_SERVICES} are the limit, as {each_is_read}"
        notes.append(f"templates of {many(len(cheap) - len(chosen), 'further service')} are not suggested: {few}")
    if len(spoken) > len(named):
        odd = f"their names have more than {MAX_VALUE_CHARACTERS} characters, or some that cannot be shown"
        notes.append(f"templates of {many(len(spoken) - len(named), 'service')} are not suggested: {odd}")
    return chosen, notes


def _templates(label: str, lines: Mapping[str, float], chosen: list[str]) -> Iterator[Suggestion]:
    names: set[str] = set()
    for value in chosen:
        plain = f"log_templates_{_UNNAMED.sub('_', value)}"
        # Two services may differ in what a target's name cannot hold.
        name = next(each for each in (plain, *(f"{plain}_{n}" for n in range(2, 99))) if each not in names)
        names.add(name)
        cost = f"about {lines[value]:,.0f} a minute" if lines[value] >= 1 else "fewer than one a minute"
        yield Suggestion(
            name,
            f"{{{label}={quoted(value)}}}",
            f"kinds of lines of {clean(value, _SHOWN)}, and those never seen before; each line is read, {cost}",
            log_signal=LogSignal.TEMPLATES,
        )
