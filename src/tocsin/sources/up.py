"""Whether a series' exporter was scraped: what Prometheus knows of `up`, in words."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import numpy as np

from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels

SPAN_S = 600.0
STEP_S = 30.0
WITHIN_S = 3.0
"""How long evidence waits for it."""

MAX_SELECTOR_CHARACTERS = 1000


async def scraped(labels: Labels, at: datetime, query: Callable[[str, Window], Awaitable[Frame]]) -> tuple[str, ...]:
    """A line about the series' exporter where the series names it, else (); raises SourceError."""
    asked = selector(labels)
    if asked is None:
        return ()
    here = window(at)
    try:
        async with asyncio.timeout(WITHIN_S):
            return (words(asked, await query(f"avg({asked})", here), here),)
    except TimeoutError as error:
        raise SourceError(
            f"no answer about {asked} within {WITHIN_S:g} s", failure=SourceFailure.TIMEOUT, transient=True
        ) from error


def selector(labels: Labels) -> str | None:
    """`up` of the job and instance that the series names; None when it names neither, or in very long words."""
    named = [f"{name}={_quoted(labels[name])}" for name in ("job", "instance") if labels.get(name)]
    text = f"up{{{','.join(named)}}}"
    return text if named and len(text) <= MAX_SELECTOR_CHARACTERS else None


def window(at: datetime) -> Window:
    """The instants that are asked for. The last is `at` itself, on no grid: an exporter that has just gone shows."""
    return Window(at - timedelta(seconds=SPAN_S), at, timedelta(seconds=STEP_S))


def words(asked: str, frame: Frame, window: Window) -> str:
    """One line of evidence. `frame` holds the mean of `up` over what matches, in one series, or none."""
    values = frame.values[~np.isnan(frame.values)]
    when = f"in the {SPAN_S / 60:g} minutes before {window.end:%H:%M:%S} UTC"
    if not len(values):
        return f"{asked} had no sample {when}: nothing of that name was scraped"
    present = f"{len(values)} of {window.count} instants {when}"
    newest = frame.values[0, -1]
    if np.isnan(newest):
        return f"{asked} was there at {present}, and is gone: it is scraped no more"
    if (values == 1.0).all():
        return f"{asked} was 1 at {present}: it was scraped all the time"
    return f"{asked} was {values.min():.3g} at its lowest and {newest:.3g} at last, there at {present}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
