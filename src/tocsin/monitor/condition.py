"""What the newest samples say of a target itself: no data, stale, warming up (how long still), ready. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from tocsin.detect import MIN_LEARN, Outlook, choose, outlook, series_of, sure_after
from tocsin.domain.denominator import guard_of, thin_words
from tocsin.domain.evaluation import Judged, instant
from tocsin.domain.target import Target, TargetState
from tocsin.monitor.following import utc_offsets
from tocsin.monitor.memory import Memory


@dataclass(frozen=True, slots=True)
class Condition:
    """The state with its reason in words, when what it waits for is expected, and how many series are `ready`."""

    state: TargetState
    reason: str
    eta: datetime | None = None
    ready: int = 0


def stale_after(target: Target) -> timedelta:
    """The age of the newest sample from which a target is stale: five steps, or two checks where that is longer."""
    return max(5 * target.step, 2 * target.check_interval)


def condition_of(target: Target, memory: Memory, judged: Judged, at: datetime) -> Condition:
    """The condition after an evaluation whose window ended at `at`."""
    total, ready, thin = len(memory.labels), memory.ready, weightless(target, memory)
    if not total:
        missing = thin or "the query has returned no series within the lookback"
        return Condition(TargetState.NO_DATA, missing)
    age = at - newest if (newest := _newest(memory)) is not None else None
    newly_thin = judged.frame.thin is not None and bool(judged.frame.thin.any())
    if not newly_thin and (age is None or age >= stale_after(target)):
        since = f"since {instant(newest.timestamp()):%Y-%m-%d %H:%M:%S} UTC" if newest else "within the lookback"
        which = "the one series that is known has no" if total == 1 else f"{total} series are known and none has a"
        reason = f"{which} sample {since}"
        return Condition(TargetState.STALE, reason, ready=ready)
    silent = (
        "" if judged.frame.samples or newly_thin or age is None else f"; the newest sample is {span_in_words(age)} old"
    )
    said = silent + (f"; {thin}" if thin else "")
    if not ready and target.reads_back and not choose(target.detection_methods).classic:
        waits, eta = _of_history(target, memory, at)
        return Condition(TargetState.WARMING_UP, waits + said, eta)
    if not ready:
        known = ~np.isnan(memory.values)
        have = int(known.sum(axis=1).max())
        if have < MIN_LEARN:
            wait = (MIN_LEARN - have) * target.step
            reason = (
                f"{have} of the {MIN_LEARN} samples that a first opinion needs; ready in about {span_in_words(wait)}"
            )
        else:
            lived = known.shape[1] - int(known.any(axis=0).argmax())
            wait = max(1, sure_after(target.window) - lived) * target.step
            reason = f"the first {have} samples do not agree with each other; ready in {span_in_words(wait)} at most"
        return Condition(TargetState.WARMING_UP, reason + said, at + wait)
    parts = [f"{total} series judged"]
    if ready < total:
        parts = [f"{ready} of {total} series ready, the others are warming up"]
    parts += [*_of_the_silent(target, memory, at), *_of_the_few(target, memory)]
    words, eta = _of_auto(target, memory, at)
    return Condition(TargetState.READY, "; ".join([*parts, *words]) + said, eta, ready)


def _of_the_silent(target: Target, memory: Memory, at: datetime) -> list[str]:
    """How many series have stopped while others go on."""
    span = stale_after(target)
    recent = memory.timestamps > (at - span).timestamp()
    silent = int(np.isnan(memory.values[:, recent]).all(axis=1).sum())
    if not silent or (memory.thin is not None and memory.thin[recent].any()):
        # Samples without weight are gaps too, and said elsewhere.
        return []
    return [f"{silent} of them ha{'s' if silent == 1 else 've'} had no sample for {span_in_words(span)} or longer"]


def weightless(target: Target, memory: Memory) -> str:
    """How many samples of the lookback had too little behind them; "" where none had."""
    guard = guard_of(target)
    if guard is None or memory.thin is None or not (thin := int(memory.thin.sum())):
        return ""
    return thin_words(thin, thin + int(np.count_nonzero(~np.isnan(memory.values))), guard)


def _newest(memory: Memory) -> datetime | None:
    if not np.isnan(memory.values[:, -1:]).all():
        return instant(memory.timestamps[-1])
    columns = np.flatnonzero(~np.isnan(memory.values).all(axis=0))
    return instant(memory.timestamps[columns[-1]]) if len(columns) else None


def _of_history(target: Target, memory: Memory, at: datetime) -> tuple[str, datetime | None]:
    """What the methods that need days of history wait for; nothing is to be waited for by one with too few series."""
    able = [name for name in target.detection_methods if series_of(name) <= len(memory.labels)]
    few = _of_the_few(target, memory)
    if not able:
        return "; ".join(few), None
    words, eta = _of_days(able, target, memory, at)
    return "; ".join([words, *few]), eta


def _of_the_few(target: Target, memory: Memory) -> list[str]:
    """The methods that need more series than there are."""
    have = len(memory.labels)
    needed = [(name, series_of(name)) for name in target.detection_methods if series_of(name) > have]
    return [
        f"{name} needs {count} series at the same time, and there {'is' if have == 1 else 'are'} {have}"
        for name, count in needed
    ]


def _of_days(able: list[str], target: Target, memory: Memory, at: datetime) -> tuple[str, datetime | None]:
    words = f"there is not yet as much history as {' and '.join(able)} need{'s' * (len(able) == 1)}"
    state = memory.learnt.more
    needed, missing = (0.0, 0.0) if state is None else state.wait(_local(target, at))
    if not needed:
        return words, None
    words += f", {span_in_words(timedelta(seconds=needed))} for a first opinion"
    if missing <= 0:
        return f"{words}: too few of its samples are there, or the day is not over", None
    wait = timedelta(seconds=missing)
    return f"{words}; ready in about {span_in_words(wait)}", at + wait


def _local(target: Target, at: datetime) -> float:
    """Unix seconds plus the offset of the target's time zone."""
    return at.timestamp() + float(np.asarray(utc_offsets(np.array([at.timestamp()]), target.timezone)).reshape(-1)[0])


def _of_auto(target: Target, memory: Memory, at: datetime) -> tuple[list[str], datetime | None]:
    """What is waited for until `auto` judges all, and which seasons it knows."""
    state = memory.learnt.auto
    if state is None:
        return [], None
    seen = outlook(state, _local(target, at))
    words, eta = [], None
    if seen.have is not None and seen.wait_s is not None:
        many = int((~state.ready).sum())
        wait = timedelta(seconds=seen.wait_s)
        words.append(
            f"{many} of them by the named methods: auto has {seen.have:,} of the {seen.need:,} samples that it needs, "
            f"and speaks in about {span_in_words(wait)}"
        )
        eta = at + wait
    return [*words, *_of_seasons(seen)], eta


def _of_seasons(seen: Outlook) -> list[str]:
    none, day, week = seen.seasons
    found = [f"{count} with the season of the {name}" for count, name in ((day, "day"), (week, "week")) if count]
    if none and seen.nights:
        nights = "the next midnight" if seen.nights == 1 else f"{seen.nights} midnights"
        found.append(f"a season of the day can be known after {nights}")
    elif none:
        found.append(f"{none} without a season")
    return found


def span_in_words(wait: timedelta) -> str:
    """A duration in its largest unit of which there are two."""
    seconds = wait.total_seconds()
    for size, name in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
