"""The samples of a target as everything else wants them: asked for at its datasource, instants of no weight as gaps."""

from tocsin.domain.denominator import guard_of, masked
from tocsin.domain.frame import Frame, Window
from tocsin.domain.target import Target
from tocsin.monitor.gate import Gate


async def fetch(target: Target, gate: Gate, window: Window) -> Frame:
    """The target's series within the window, what cannot be judged as gaps; raises `SourceError`, also for its
    denominator.
    """
    frame = (await gate.query(target.asked, window)).within_reach()
    guard = guard_of(target)
    return frame if guard is None else masked(frame, await gate.query(guard.query, window), guard)
