"""Work that is done whole: whoever asked for it may be cancelled, the work goes on to its end."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


def whole(edit: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The same edit, which a caller that gives up (a request over its time) cannot tear.

    Half an edit would be a target in the store that nobody watches, or a version that the store has and memory not.
    """

    @wraps(edit)
    async def unbroken(*args: P.args, **kwargs: P.kwargs) -> T:
        return await left_to_its_end(edit(*args, **kwargs))

    return unbroken


async def left_to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; a cancellation meanwhile is raised at once, and the work goes on alone."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(_retrieved)
    return await asyncio.shield(task)


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; a cancellation meanwhile is raised after it ended, not before."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(_retrieved)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _retrieved(task: "asyncio.Future[T]") -> None:
    """Look at the failure of work whose caller is gone, so that asyncio does not report it as forgotten."""
    if not task.cancelled():
        task.exception()
