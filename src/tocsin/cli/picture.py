"""The picture of a back-test as SVG, written by hand: it follows the reader's light or dark, and runs nothing."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from textwrap import wrap

from tocsin.cli.answer import Answer
from tocsin.cli.terminal import clean, series
from tocsin.domain.words import many
from tocsin.units import scaled_short

WIDTH = 1000
LEFT, RIGHT, TOP = 74, 16, 84
PANEL, GAP, BOTTOM = 132, 40, 34
LINE = 16
CHARACTER = 8
"""Pixels: of a line of the headline below ``TOP``, and at most of a character."""

MOST_CHARACTERS = 120
"""Of a title or of the labels of a series; the rest is cut."""

MOST_TICKS = 12
_STEPS_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 10080, 20160, 43200)
# What XML 1.0 knows no character for, beside what `clean` takes out.
_NO_XML = re.compile("[\ufffe\uffff]")

_LIGHT = ("#ffffff", "#1c2733", "#5d6b7a", "#e3e8ee", "#7fa3cf", "#1f4e8c", "#c92a2a", "#c77700")
_DARK = ("#12181f", "#e8edf2", "#9aa8b6", "#2a343f", "#4a73a8", "#8ec1ff", "#ff7b72", "#f0a83a")


def _colours(back: str, ink: str, dim: str, grid: str, *, band: str, line: str, alert: str, incident: str) -> str:
    # Colours stand where they are used: many programs that show SVG know no variables.
    return (
        f".back {{ fill:{back} }} text {{ fill:{ink} }} .dim {{ fill:{dim} }} .grid {{ stroke:{grid} }}\n"
        f".band {{ fill:{band} }} .wide {{ fill:{line} }} .line {{ stroke:{line} }} .expected {{ stroke:{dim} }}\n"
        f".alert, .mark {{ fill:{alert} }} .incident, .edge {{ fill:{incident} }}\n"
    )


def _style() -> str:
    light, dark = (
        _colours(*each[:4], band=each[4], line=each[5], alert=each[6], incident=each[7]) for each in (_LIGHT, _DARK)
    )
    return (
        'svg { font:12px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif }\n'
        ".title { font-size:16px; font-weight:600 } .band { opacity:.4 } .wide { opacity:.35 }\n"
        ".line { fill:none; stroke-width:1.2; stroke-linejoin:round } .alert { opacity:.2 } .incident { opacity:.16 }\n"
        ".expected { fill:none; stroke-width:1; stroke-dasharray:4 3 }\n"
        f"{light}@media (prefers-color-scheme: dark) {{ {dark} }}"
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to pixels; `start` and `end` are values, `first` and `last` where they stand."""

    start: float
    end: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        share = (value - self.start) / (self.end - self.start)
        return round(self.first + min(1.5, max(-0.5, share)) * (self.last - self.first), 1)


def picture(answer: Answer, title: str, headline: str, incidents: Sequence[tuple[str, str]]) -> str:
    """SVG of the `plot` in the answer of a back-test; `incidents` are pairs of timestamps."""
    plot = answer["plot"]
    shown = list(plot["series"])
    start, end = _seconds(answer["window"]["start"]), _seconds(answer["window"]["end"])
    column = plot["column"].number() or 60.0
    times = [each.number() or 0.0 for each in plot["timestamps"]]
    panels = [_Panel.of(one, plot["unit"].text()) for one in shown]
    longest = max((len(label) for panel in panels for _, label in panel.marks), default=0)
    left = max(LEFT, 12 + CHARACTER * longest)
    across = _Scale(start, max(end, start + column), left, WIDTH - RIGHT)
    said = wrap(clean(headline), MOST_CHARACTERS)
    top = TOP + LINE * len(said)
    bottom = top + max(1, len(shown)) * (PANEL + GAP) - GAP
    height = bottom + BOTTOM + 18 * len(plot["notes"].words())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">',
        f"<title>{_text(title)}</title><style>{_style()}</style>",
        f'<rect class="back" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="{left}" y="26">{_text(title)}</text>',
        *(f'<text x="{left}" y="{46 + LINE * line}">{_text(words)}</text>' for line, words in enumerate(said)),
        _legend(left, top - 37),
    ]
    known = [(datetime.fromisoformat(a).timestamp(), datetime.fromisoformat(b).timestamp()) for a, b in incidents]
    for place, one in enumerate(panels):
        parts.append(_panel(one, times, across, top + place * (PANEL + GAP), known))
    parts += [
        f'<text class="dim" x="{x}" y="{bottom + 18}"{_anchor(x, left)}>{label}</text>' for x, label in _ticks(across)
    ]
    for line, note in enumerate(plot["notes"].words()):
        parts.append(f'<text class="dim" x="{left}" y="{bottom + 38 + 18 * line}">{_text(note)}</text>')
    if not shown:
        parts.append(f'<text class="dim" x="{left}" y="{top + 20}">no series had a sample</text>')
    return "\n".join([*parts, "</svg>", ""])


@dataclass(frozen=True, slots=True)
class _Panel:
    """A series with its axis: the `least` and the `most` that it shows, and the `marks`, values with their labels."""

    series: Answer
    least: float
    most: float
    marks: list[tuple[float, str]]

    @classmethod
    def of(cls, one: Answer, unit: str) -> "_Panel":
        least, most = _extent(*(_numbers(one[name]) for name in ("min", "max", "lower", "upper")))
        scale, name = scaled_short(max(abs(least), abs(most)), unit)
        step, numbers = _round_values(least / scale, most / scale)
        decimals = next((digits for digits in range(12) if math.isclose(round(step, digits), step)), None)
        labels = [
            f"{each:.4g}" if decimals is None or abs(each) >= 1e6 else f"{each:,.{decimals}f}" for each in numbers
        ]
        return cls(
            one, least, most, [(n * scale, f"{label} {name}".strip()) for n, label in zip(numbers, labels, strict=True)]
        )


def _panel(panel: _Panel, times: list[float], across: _Scale, top: int, incidents: list[tuple[float, float]]) -> str:
    one, left = panel.series, across.first
    low, high, expected, lower, upper = (_numbers(one[name]) for name in ("min", "max", "expected", "lower", "upper"))
    down = _Scale(panel.least, panel.most, top + PANEL, top)
    count = one["alerts_total"].count()
    name = _text(_name(one["labels"]))
    said = many(count, "alert")
    identity = f"panel{top}"
    parts = [
        f'<clipPath id="{identity}">{_rectangle("", left, top, WIDTH - left - RIGHT, PANEL)}</clipPath>',
        f'<text x="{left}" y="{top - 7}">{name} <tspan class="dim">· {said}</tspan></text>',
    ]
    for value, label in panel.marks:
        y = down(value)
        parts.append(f'<line class="grid" x1="{left}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="dim" x="{left - 8}" y="{y + 4}" text-anchor="end">{label}</text>')
    parts += [f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{top + PANEL}"/>' for x, _ in _ticks(across)]
    parts.append(f'<g clip-path="url(#{identity})">')
    for begin, until in incidents:
        parts.append(_span(across, begin, until, top, height=PANEL, kind="incident"))
        parts.append(_span(across, begin, until, top + PANEL - 4, height=4, kind="edge"))
    xs = [across(at) for at in times]
    parts += [_area(xs, lower, upper, down, "band"), _trace(xs, expected, down, "expected")]
    middle = [None if a is None or b is None else (a + b) / 2 for a, b in zip(low, high, strict=False)]
    parts += [_area(xs, low, high, down, "wide"), _trace(xs, middle, down, "line")]
    for span in one["spans"]:
        begin = _seconds(span["active_at"])
        until = _seconds(span["ends_at"]) if span["ends_at"] else across.end
        parts.append(_span(across, begin, until, top, height=PANEL, kind="alert"))
        parts.append(_span(across, begin, until, top, height=4, kind="mark"))
    return "\n".join([*parts, "</g>"])


def _span(across: _Scale, begin: float, until: float, top: float, *, height: float, kind: str) -> str:
    x = across(begin)
    # What lasts minutes of a month would be thinner than a pixel.
    return _rectangle(kind, x, top, max(2.0, round(across(until) - x, 1)), height)


def _rectangle(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}"/>'


def _area(xs: list[float], low: list[float | None], high: list[float | None], down: _Scale, kind: str) -> str:
    """The area between two lines, in pieces where there are gaps."""
    paths, piece = [], []
    for x, a, b in [*zip(xs, low, high, strict=False), (0.0, None, None)]:
        if a is not None and b is not None:
            piece.append((x, down(a), down(b)))
        elif piece:
            if len(piece) == 1:
                piece.append((piece[0][0] + 1, *piece[0][1:]))
            outline = [f"{x} {y}" for x, _, y in piece] + [f"{x} {y}" for x, y, _ in reversed(piece)]
            paths.append("M" + "L".join(outline) + "Z")
            piece = []
    return f'<path class="{kind}" d="{"".join(paths)}"/>'


def _trace(xs: list[float], values: list[float | None], down: _Scale, kind: str) -> str:
    path, pen = [], "M"
    for x, value in zip(xs, values, strict=False):
        if value is None:
            pen = "M"
            continue
        path.append(f"{pen}{x} {down(value)}")
        pen = "L"
    return f'<path class="{kind}" d="{"".join(path)}"/>'


def _extent(
    low: list[float | None], high: list[float | None], lower: list[float | None], upper: list[float | None]
) -> tuple[float, float]:
    """What the axis shows: all values, and of the band at most a third beside them."""
    least = min((one for one in low if one is not None), default=0.0)
    most = max((one for one in high if one is not None), default=1.0)
    room = (most - least) / 3
    least = min(least, max(least - room, min((one for one in lower if one is not None), default=least)))
    most = max(most, min(most + room, max((one for one in upper if one is not None), default=most)))
    if most - least <= abs(most) * 1e-9:
        pad = abs(most) * 0.1 or 1.0
        return least - pad, most + pad
    return least - (most - least) * 0.04, most + (most - least) * 0.04


def _round_values(least: float, most: float) -> tuple[float, list[float]]:
    """A few round numbers within a range, and their distance."""
    rough = (most - least) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next((unit * factor for factor in (1, 2, 2.5, 5) if unit * factor >= rough), unit * 10)
    first = math.ceil(least / step)
    return step, [0.0 if n == 0 else n * step for n in range(first, first + 8) if n * step <= most]


def _ticks(across: _Scale) -> list[tuple[float, str]]:
    """Where instants stand, and how they are called, in UTC."""
    span_min = (across.end - across.start) / 60
    step_min = next((each for each in _STEPS_MIN if span_min / each <= MOST_TICKS), math.ceil(span_min / MOST_TICKS))
    step_s = step_min * 60
    found = []
    at = math.ceil(across.start / step_s) * step_s
    while at <= across.end:
        when = datetime.fromtimestamp(at, UTC)
        midnight = when.hour == when.minute == 0
        days = timedelta(seconds=across.end - across.start) >= timedelta(days=1)
        found.append((across(at), f"{when:%d %b}" if midnight or step_min >= 1440 else f"{when:%H:%M}"))
        if days and not midnight and step_min < 1440 and len(found) == 1:
            found[0] = (found[0][0], f"{when:%d %b %H:%M}")
        at += step_s
    return found


def _legend(left: int, y: int) -> str:
    parts, x = [], left
    for kind, label in (
        ("wide", "value (lowest to highest)"),
        ("band", "expected band"),
        ("mark", "alert"),
        ("edge", "incident"),
    ):
        parts.append(f'<rect class="{kind}" x="{x}" y="{y - 8}" width="14" height="8"/>')
        parts.append(f'<text class="dim" x="{x + 19}" y="{y}">{label}</text>')
        x += 34 + 7 * len(label)
    parts.append(f'<text class="dim" x="{WIDTH - RIGHT}" y="{y}" text-anchor="end">UTC</text>')
    return "".join(parts)


def _anchor(x: float, left: float) -> str:
    return "" if x < left + 20 else ' text-anchor="end"' if x > WIDTH - RIGHT - 20 else ' text-anchor="middle"'


def _name(labels: Answer) -> str:
    """`metric{instance="a"}`, as people write it."""
    others = {name: value.json for name, value in labels.members() if name != "__name__"}
    return labels["__name__"].text() + series(Answer(others)) or "the only series"


def _numbers(values: Answer) -> list[float | None]:
    return [each.number() for each in values]


def _seconds(instant: Answer) -> float:
    return datetime.fromisoformat(instant.text()).timestamp()


def _text(text: str) -> str:
    """Text that strangers may have written, as XML: nothing in it is markup, or acts on a reader."""
    plain = _NO_XML.sub(" ", clean(text))
    return escape(plain if len(plain) <= MOST_CHARACTERS else plain[: MOST_CHARACTERS - 1] + "…")
