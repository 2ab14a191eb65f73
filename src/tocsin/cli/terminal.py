"""What reaches the terminal. Names, labels and texts come from telemetry, which strangers can write: see `clean`."""

import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from tocsin import units
from tocsin.cli.answer import Answer, Json

# C0, DEL and C1 can move the cursor or retitle the window; the others reorder or hide what is shown (U+061C, U+200B to
# U+200F, U+2028 to U+202E, U+2060 to U+2069, U+FEFF); lone surrogates cannot be written at all.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")

SEVERITY_STYLES = {"low": "cyan", "medium": "yellow", "high": "red", "critical": "bold white on red"}
STATE_STYLES = {
    "firing": "red",
    "pending": "yellow",
    "resolved": "green",
    "expired": "dim",
    "ready": "green",
    "ok": "green",
    "error": "red",
    "failing": "red",
    "warning": "yellow",
    "no_data": "yellow",
    "stale": "yellow",
    "warming_up": "yellow",
    "disabled": "dim",
}


def clean(text: str) -> str:
    """The text as one line without characters that act on a terminal; each run of them becomes one space."""
    return _UNSAFE.sub(" ", text)


def safe(text: str, style: str = "") -> Text:
    """A text for rich: cleaned, and never read as markup."""
    return Text(clean(text), style=style)


def console() -> Console:
    """Standard output, as it is now (tests replace it)."""
    return Console(file=sys.stdout, highlight=False, emoji=False, markup=False)


def errors() -> Console:
    """Standard error."""
    return Console(file=sys.stderr, highlight=False, emoji=False, markup=False)


def print_json(value: Json) -> None:
    """JSON for machines on standard output; non-ASCII is escaped, so it is safe on a terminal too."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def facts(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    """Names and values, one pair a line."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(no_wrap=True, style="dim")
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(name, value)
    return made


def severity(answer: Answer) -> Text:
    """A severity in its colour."""
    word = answer.text("-")
    return safe(word, SEVERITY_STYLES.get(word, ""))


def state(answer: Answer) -> Text:
    """A state in its colour."""
    word = answer.text("-")
    return safe(word, STATE_STYLES.get(word, ""))


def number(value: float | None, unit: str = "") -> str:
    """A number with its unit, in the words of the sentences; `-` when there is none."""
    return "-" if value is None or math.isnan(value) else units.number(value, unit)


def instant(value: str | float | None) -> str:
    """An instant in UTC to the second: `2026-01-31 12:00:00Z`; what is no instant stays as it is."""
    if value is None or value == "":
        return "-"
    try:
        at = datetime.fromtimestamp(value, UTC) if isinstance(value, float) else datetime.fromisoformat(value)
    except (ValueError, OverflowError, OSError):
        return clean(str(value))
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if at.tzinfo else clean(str(value))


def series(answer: Answer) -> str:
    """Labels as `{job="api", instance="a:1"}`; empty without any."""
    pairs = [f'{name}="{value.text()}"' for name, value in answer.members()]
    return f"{{{', '.join(pairs)}}}" if pairs else ""


def joined(parts: Sequence[str]) -> str:
    """Words with commas; `-` when there are none."""
    return ", ".join(parts) or "-"
