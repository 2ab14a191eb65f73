"""One suite over every log source: lines to the nanosecond, and an account of those that are not there."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tests.loki import SECOND, FakeLoki, serving
from tests.sources.grafana_parts import connected
from tocsin.domain.errors import Invalid, LimitExceeded, SourceFailure
from tocsin.domain.labels import Labels
from tocsin.domain.ports import LogSource
from tocsin.sources.fake_logs import ScriptedLogs
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.log_pages import MAX_LINES
from tocsin.sources.loki import LokiSource

COUNT = 250
START = datetime(2026, 11, 23, 10, tzinfo=UTC)
START_NS = int(START.timestamp()) * SECOND
END = START + timedelta(seconds=COUNT)
QUERY = '{app="web"}'
NOTHING = '{app="nosuch"}'
LINES = [(START_NS + n * SECOND + n, f'level=info n={n} "quoted" <tag> é\t{n}') for n in range(COUNT)]
LABELS = {"app": "web", "detected_level": "info", "env": "lab"}


@dataclass(frozen=True)
class Subject:
    """A source that holds `LINES`, and how it says that it cannot answer."""

    source: LogSource
    counts: bool = True
    """Whether it says how many lines there are in all where it does not give them."""


@pytest.fixture(params=["scripted", "loki", "loki-small-pages", "grafana"])
async def subject(request) -> AsyncIterator[Subject]:
    if request.param == "grafana":
        grafana = request.getfixturevalue("grafana")
        grafana.set(written=[[at, text, {"app": "web", "env": "lab"}] for at, text in LINES])
        async with connected(grafana) as (_, found):
            yield Subject(found["loki"], counts=False)
        return
    if request.param == "scripted":
        scripted = ScriptedLogs()
        for at, text in LINES:
            scripted.write(QUERY, at, text, LABELS)
        yield Subject(scripted)
        return
    loki = FakeLoki(max_entries=5000 if request.param == "loki" else 20)
    for at, text in LINES:
        loki.write(at, text, app="web", env="lab")
    async with serving(loki) as url:
        source = LokiSource("loki", HttpSettings(url))
        yield Subject(source)
        await source.close()


async def test_all_lines_the_oldest_first(subject: Subject) -> None:
    page = await subject.source.query_logs(QUERY, START, END, 1000)
    assert [(line.timestamp_ns, line.text) for line in page.lines] == LINES
    assert {line.labels for line in page.lines} == {Labels(LABELS)}
    assert (page.complete, page.total) == (True, COUNT)


async def test_exactly_as_many_as_there_are_is_complete(subject: Subject) -> None:
    page = await subject.source.query_logs(QUERY, START, END, COUNT)
    assert (len(page.lines), page.complete, page.total) == (COUNT, True, COUNT)


@pytest.mark.parametrize("limit", [1, 19, 20, 21, 100, COUNT - 1])
async def test_more_than_asked_for_is_said_and_the_newest_are_given(subject: Subject, limit: int) -> None:
    page = await subject.source.query_logs(QUERY, START, END, limit)
    assert [(line.timestamp_ns, line.text) for line in page.lines] == LINES[-limit:]
    assert (page.complete, page.total) == (False, COUNT if subject.counts else None)


async def test_the_end_is_not_within_and_the_start_is(subject: Subject) -> None:
    # Line 0 lies exactly at the start.
    page = await subject.source.query_logs(QUERY, START, START + timedelta(microseconds=1), 10)
    assert [line.timestamp_ns for line in page.lines] == [START_NS]
    page = await subject.source.query_logs(QUERY, START - timedelta(hours=1), START, 10)
    assert (page.lines, page.complete, page.total) == ((), True, 0)


async def test_nothing_is_an_empty_page(subject: Subject) -> None:
    page = await subject.source.query_logs(NOTHING, START, END, 10)
    assert (page.lines, page.complete, page.total) == ((), True, 0)


async def test_windows_and_limits_that_cannot_be(subject: Subject) -> None:
    with pytest.raises(Invalid):
        await subject.source.query_logs(QUERY, END, START, 10)
    with pytest.raises(LimitExceeded) as caught:
        await subject.source.query_logs(QUERY, START, END, MAX_LINES + 1)
    assert caught.value.failure is SourceFailure.LIMIT
