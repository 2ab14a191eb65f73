"""Through the new columns of a target: what teaches nothing is left out, what people accepted is let in. Pure."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from tocsin.detect import BrokenExtra, Context, Followed, follow, joined
from tocsin.domain.errors import Invalid
from tocsin.domain.feedback import Marked
from tocsin.domain.frame import Floats
from tocsin.domain.labels import Labels
from tocsin.domain.target import Target
from tocsin.monitor.marked import Known, Mask, cuts, let_in, rows_with


def followed(
    target: Target,
    columns: tuple[Floats, Floats, tuple[Labels, ...]],
    known: Known,
    marked: Marked,
    *,
    hold: Mask | None,
    mute: Mask | None,
    silent: bool,
    context: Context,
) -> Followed:
    """Go through the columns (times, values, labels of the rows) after the known ones: in one go, but for where a level
    began to be accepted. Raises `Invalid` where a method's package cannot be imported.
    """
    times, values, labels = columns
    first, end = known.learn.shape[1], len(times)
    breaks = cuts(marked.levels, times, first)
    parts: list[Followed] = []
    for number in range(len(breaks) + 1):
        start = breaks[number - 1][0] if number else first
        stop = breaks[number][0] if number < len(breaks) else end
        if number:
            level = breaks[number - 1][1]
            since = (level.since or level.at).timestamp()
            quiet = None if mute is None else mute[:, :start]
            known = let_in(
                known, values[:, :start], times[:start], rows_with(level.labels, labels), since=since, mute=quiet
            )
        if start == stop and number < len(breaks):
            continue
        try:
            result = follow(
                times[:stop],
                values[:, :stop],
                new=stop - start,
                window=target.window,
                relearn=target.relearn,
                learn=known.learn,
                learnt=known.learnt,
                hold=hold,
                methods=target.detection_methods,
                step_s=target.step.total_seconds(),
                utc_offset_s=utc_offsets(times[:stop], target.timezone),
                silent=silent,
                mute=None if mute is None else mute[:, :stop],
                context=context,
            )
        except BrokenExtra as error:
            raise Invalid("detection_methods", str(error)) from error
        parts.append(result)
        known = Known(result.learn, result.learnt)
    return parts[-1] if len(parts) == 1 else replace(parts[-1], scores=joined([one.scores for one in parts]))


def utc_offsets(timestamps: Floats, timezone: str) -> Floats | float:
    """Seconds that the clocks of a time zone are ahead of UTC at each instant; zones change on quarters of an hour."""
    if timezone == "UTC" or not len(timestamps):
        return 0.0
    zone = ZoneInfo(timezone)
    quarters, where = np.unique(np.floor(timestamps / 900.0), return_inverse=True)
    offsets = [datetime.fromtimestamp(each * 900.0, UTC).astimezone(zone).utcoffset() for each in quarters.tolist()]
    return np.array([0.0 if each is None else each.total_seconds() for each in offsets])[where]
