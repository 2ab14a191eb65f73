"""Long computations beside the event loop, which evaluations need: few at once, and given up when nobody waits."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

GoOn = Callable[[], None]
"""Called between the steps of a computation; raises `GivenUp` when it is to end."""


class GivenUp(Exception):
    """Nobody waits for this computation any more."""


class Aside:
    """Threads of their own, so many computations at once; further ones wait their turn.

    A thread cannot be stopped from outside, and the end of the process waits for it: so a computation asks `GoOn`.
    """

    def __init__(self, at_once: int) -> None:
        self._threads = ThreadPoolExecutor(at_once, "aside")
        self._closed = threading.Event()

    async def run(self, work: Callable[[GoOn], T]) -> T:
        """What `work` comes to. Cancelling gives it up, also where it has begun."""
        given_up = threading.Event()

        def go_on() -> None:
            if given_up.is_set() or self._closed.is_set():
                raise GivenUp

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, go_on)
        except asyncio.CancelledError:
            given_up.set()
            raise

    def close(self) -> None:
        """Give up whatever still runs."""
        self._closed.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
