"""The scripted source keeps its script."""

import asyncio
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tocsin.domain.errors import Invalid, SourceError, SourceFailure
from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels
from tocsin.sources.fake import ScriptedSource

START = datetime(2026, 11, 23, tzinfo=UTC)
T0 = START.timestamp()
WINDOW = Window(START, START + timedelta(minutes=4), timedelta(minutes=1))
DOWN = SourceError("down", failure=SourceFailure.UNREACHABLE, transient=True)


def source(**more):
    made = ScriptedSource(**more)
    made.play("q", lambda at: (at - T0) / 60.0, {"a": "1"})
    made.play("q", lambda at: np.where(at > T0, np.inf, np.nan), {"a": "2"})
    return made


async def test_curves_and_odd_values():
    frame = await source().query_range("q", WINDOW)
    assert frame.labels == (Labels({"a": "1"}), Labels({"a": "2"}))
    assert frame.values[0].tolist() == [0, 1, 2, 3, 4]
    assert np.isnan(frame.values[1]).all()
    assert frame.dropped == {"+inf": 4}


async def test_nothing_from_the_future_and_late_samples():
    made = source(now=lambda: T0 + 180.0)
    assert (await made.query_range("q", WINDOW)).samples == 4
    made.late_s = 90.0
    assert (await made.query_range("q", WINDOW)).samples == 2


async def test_failures_for_a_while_and_for_one_query():
    made = source()
    made.fail(DOWN, times=2)
    for _ in range(2):
        with pytest.raises(SourceError, match="down") as caught:
            await made.query_range("q", WINDOW)
        assert caught.value.transient
    await made.query_range("q", WINDOW)
    made.fail(DOWN, query="q")
    await made.query_range("other", WINDOW)
    with pytest.raises(SourceError):
        await made.query_range("q", WINDOW)
    made.recover()
    await made.query_range("q", WINDOW)
    assert [each.query for each in made.requests] == ["q", "q", "q", "other", "q", "q"]


async def test_hanging_dropping_warning_telling():
    made = source()
    made.hang()
    asked = asyncio.create_task(made.query_range("q", WINDOW))
    await asyncio.sleep(0.01)
    assert not asked.done()
    made.recover()
    assert len((await asked).labels) == 2
    made.drop("q", {"a": "2"})
    made.warnings = ("careful",)
    frame = await made.query_range("q", WINDOW)
    assert (len(frame.labels), frame.warnings) == (1, ("careful",))
    made.undrop("q")
    assert len((await made.query_range("q", WINDOW)).labels) == 2
    made.tell("q", "a line")
    assert await made.context("q", Labels(), START) == ("a line",)
    made.forget("q")
    assert (await made.query_range("q", WINDOW)).labels == ()


async def test_arrays():
    made = ScriptedSource()
    made.play_array("q", np.array([T0, T0 + 120]), np.array([5.0, 7.0]))
    made.play_array("none", np.array([]), np.array([]))
    [row] = (await made.query_range("q", WINDOW)).values.tolist()
    assert row[0] == 5.0
    assert row[2] == 7.0
    assert np.isnan([row[1], row[3], row[4]]).all()
    assert (await made.query_range("none", WINDOW)).labels == ()
    with pytest.raises(ValueError, match="ascending"):
        made.play_array("q", np.array([1.0, 1.0]), np.array([1.0, 2.0]))


async def test_closed_and_checked():
    made = source()
    assert await made.probe() == "scripted"
    with pytest.raises(Invalid):
        made.check_query(" ")
    await made.close()
    await made.close()
    with pytest.raises(SourceError, match="closed"):
        await made.query_range("q", WINDOW)
