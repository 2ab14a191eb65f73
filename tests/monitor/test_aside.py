"""What takes long runs beside the event loop, in few threads, and ends when nobody waits."""

import asyncio
import threading
import time
from datetime import timedelta

import numpy as np
import pytest

from tests.monitor.scene import START, Scene, target
from tocsin.domain.errors import Invalid
from tocsin.monitor.aside import Aside, GivenUp

PATIENCE_S = 20.0


def endless(begun: threading.Event, ended: threading.Event):
    """A computation that only ends when it is told to."""

    def work(go_on):
        begun.set()
        try:
            while True:
                go_on()
                time.sleep(0.001)
        except GivenUp:
            ended.set()
            raise

    return work


async def heard(event: threading.Event) -> bool:
    return await asyncio.to_thread(event.wait, PATIENCE_S)


async def test_it_answers_and_raises_what_the_work_does():
    aside = Aside(1)
    assert await aside.run(lambda _: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await aside.run(lambda _: 1 / 0)
    aside.close()


async def test_a_request_that_is_given_up_ends_its_work_and_frees_the_thread():
    aside, begun, ended = Aside(1), threading.Event(), threading.Event()
    asked = asyncio.create_task(aside.run(endless(begun, ended)))
    assert await heard(begun)
    waiting = asyncio.create_task(aside.run(lambda _: "next"))
    asked.cancel()
    assert await heard(ended)
    assert await asyncio.wait_for(waiting, PATIENCE_S) == "next"
    aside.close()


async def test_the_end_gives_up_what_runs_and_what_waits():
    aside, begun, ended = Aside(1), threading.Event(), threading.Event()
    running = asyncio.create_task(aside.run(endless(begun, ended)))
    waiting = asyncio.create_task(aside.run(lambda _: "never"))
    assert await heard(begun)
    aside.close()
    assert await heard(ended)
    with pytest.raises(GivenUp):
        await running
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize("question", ["plot", "backtest"])
async def test_the_loop_goes_on_while_a_question_is_computed(question):
    scene = Scene(target(lookback=timedelta(days=7)))
    for number in range(20):
        scene.source.play("q", lambda grid: grid % 977, {"instance": str(number)})
    monitor = await scene.open()
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            # Not 0: a loop that never rests takes the interpreter from the thread that it is to be compared with.
            await asyncio.sleep(0.001)

    turning = asyncio.create_task(turn())
    week_ago = START - timedelta(days=7)
    match question:
        case "plot":
            await monitor.plot("errors", week_ago, START, 10)
        case "backtest":
            await monitor.backtest(target(), START - timedelta(days=1), START)
    turning.cancel()
    assert turns > 20, "evaluations have their turn meanwhile"
    await monitor.close()


async def test_a_picture_that_is_too_large_is_refused_before_it_is_drawn():
    scene = Scene(target())
    for number in range(5):
        scene.source.play("q", lambda grid: np.ones(len(grid)), {"instance": str(number)})
    monitor = await scene.open()
    with pytest.raises(Invalid, match="500,005 samples"):
        await monitor.plot("errors", START - timedelta(minutes=100_000), START, 10)
    await monitor.close()
