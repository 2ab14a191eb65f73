"""Loki over HTTP: recorded answers, zeros and gaps, pages, tenants, and what goes wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tests.loki import SECOND, FakeLoki, sample, serving
from tests.sources.faulty import SECRET, Waits
from tocsin.domain.errors import Invalid, LimitExceeded, SourceError, SourceFailure
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.log_signal import LogSignal, asked
from tocsin.sources.http import HttpClient
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.log_zeros import REMEMBERED_S
from tocsin.sources.loki import LokiSource
from tocsin.sources.parts import QueryLimits

F = SourceFailure
START = datetime(2026, 11, 23, 10, tzinfo=UTC)
START_NS = int(START.timestamp()) * SECOND
MINUTE = timedelta(minutes=1)
NAN = float("nan")


@asynccontextmanager
async def source_of(loki: FakeLoki, limits: QueryLimits | None = None, **settings) -> AsyncIterator[LokiSource]:
    async with serving(loki) as url:
        client = HttpClient(HttpSettings(url, **settings), sleep=Waits(), jitter=lambda: 0.5)
        source = LokiSource("loki", client, limits)
        try:
            yield source
        finally:
            await source.close()


def minutes(first: int, last: int) -> Window:
    return Window(START + first * MINUTE, START + last * MINUTE, MINUTE)


def within(minute: int) -> int:
    """An instant in the minute that ends so many minutes after the start."""
    return START_NS + minute * 60 * SECOND - 30 * SECOND


def rows(frame: Frame) -> dict[tuple[str, ...], list[float]]:
    return {tuple(labels.values()): row.tolist() for labels, row in zip(frame.labels, frame.values, strict=True)}


def same(found: list[float], wanted: list[float]) -> bool:
    return np.array_equal(found, wanted, equal_nan=True)


def recorded_window(params: dict, step: timedelta) -> Window:
    # Loki moves the start down and the end up to multiples of the step.
    return Window.aligned(params["start"] / 1e9, params["end"] / 1e9 + step.total_seconds(), step.total_seconds())


async def test_recorded_counts_keep_their_values_and_get_zeros() -> None:
    loki = FakeLoki()
    params = loki.replay("range_matrix_sum_count")
    # The stream had a line in each minute of that time, as the recording of all its lines shows.
    window = recorded_window(params, timedelta(minutes=5))
    for at in range(int(window.start.timestamp()) - 3600, int(window.end.timestamp()), 60):
        loki.write(at * SECOND, "level=info", app="web")
    async with source_of(loki) as source:
        frame = await source.query_range(params["query"], window)
    [series] = sample("range_matrix_sum_count")["response"]["body"]["data"]["result"]
    values = dict(zip(frame.timestamps.tolist(), frame.values[0].tolist(), strict=True))
    assert {at: values[at] for at, _ in series["values"]} == {at: float(value) for at, value in series["values"]}
    others = set(values) - {at for at, _ in series["values"]}
    assert len(others) > 50
    assert {values[at] for at in others} == {0.0}
    assert frame.queries == 2


@pytest.mark.parametrize(
    ("name", "labels"),
    [("range_matrix_by_app", [{"app": "db"}, {"app": "web"}]), ("range_matrix_unwrap_quantile", [{"app": "web"}])],
)
async def test_recorded_series(name: str, labels: list[dict[str, str]]) -> None:
    loki = FakeLoki()
    params = loki.replay(name)
    async with source_of(loki) as source:
        frame = await source.query_range(params["query"], recorded_window(params, timedelta(hours=1)))
    result = sample(name)["response"]["body"]["data"]["result"]
    assert frame.labels == tuple(map(Labels, labels))
    found = [[value for value in row if not np.isnan(value)] for row in frame.values.tolist()]
    assert found == [[float(value) for _, value in each["values"]] for each in result]


async def test_recorded_lines_and_the_account_of_the_others() -> None:
    loki = FakeLoki()
    params = loki.replay("range_streams")
    start, end = (datetime.fromtimestamp(params[name] // 1000 / 1e6, UTC) for name in ("start", "end"))
    async with source_of(loki) as source:
        page = await source.query_logs(params["query"], start, end + timedelta(microseconds=1), 2)
    assert [line.timestamp_ns for line in page.lines] == [1795433355662110583, 1795433945662110583]
    # The third line tells that there are more; a count that contradicts it is not believed.
    assert (page.complete, page.total) == (False, None)
    assert "counts 0 lines in all, and has given 2" in page.warnings[0]


async def test_zero_while_the_stream_lives_and_a_gap_when_it_is_silent() -> None:
    loki = FakeLoki()
    for minute in (1, 2, 3):
        loki.write(within(minute), "level=info", app="web")
    loki.write(within(2), "level=error boom", app="web")
    count = 'sum(count_over_time({app="web"} |= "boom" [1m]))'
    async with source_of(loki) as source:
        frame = await source.query_range(count, minutes(0, 30))
        [row] = rows(frame).values()
        # The window of one minute and the fifteen before it: the last line lies in the third minute.
        assert same(row, [NAN, 0, 1, 0, *[0.0] * 15, *[NAN] * 12])
        assert row[18] == 0
        # A newer window alone says the same, also where it has no line at all.
        for minute in (4, 18, 19, 30):
            again = await source.query_range(count, minutes(minute, minute))
            assert again.labels == ((Labels(),) if minute < 19 else ())


async def test_each_series_lives_with_its_own_stream() -> None:
    loki = FakeLoki()
    for minute in range(1, 31):
        loki.write(within(minute), "level=info", app="web")
    loki.write(within(1), "level=error boom", app="web")
    loki.write(within(1), "level=error boom", app="db")
    query = 'sum by (app) (count_over_time({app=~".+"} |= "boom" [1m]))'
    async with source_of(loki) as source:
        found = rows(await source.query_range(query, minutes(1, 30)))
    assert same(found["web",], [1, *[0.0] * 29])
    assert same(found["db",], [1, *[0.0] * 15, *[NAN] * 14])


async def test_a_level_without_lines_is_zero_as_long_as_its_stream_has_others() -> None:
    loki = FakeLoki()
    for minute in range(1, 61):
        loki.write(within(minute), "level=info", app="web")
    loki.write(within(3), "level=error", app="web")
    query = asked('{app="web"}', LogSignal.VOLUME, 60)
    async with source_of(loki) as source:
        found = rows(await source.query_range(query, minutes(1, 40)))
        assert found["error",] == [0, 0, 1, *[0.0] * 37]
        assert found["info",] == [1.0] * 40
        # In a window of its own the level has no line; that it has been there is remembered.
        assert rows(await source.query_range(query, minutes(50, 51))) == {("info",): [1, 1], ("error",): [0, 0]}


async def test_a_series_is_forgotten_in_the_end() -> None:
    loki = FakeLoki()
    later = int(REMEMBERED_S / 60) + 10
    loki.write(within(3), "level=error", app="web")
    for minute in (3, later):
        loki.write(within(minute), "level=info", app="web")
    query = asked('{app="web"}', LogSignal.VOLUME, 60)
    async with source_of(loki) as source:
        await source.query_range(query, minutes(3, 3))
        assert rows(await source.query_range(query, minutes(later, later))) == {("info",): [1]}


async def test_the_series_remembered_are_bounded() -> None:
    loki = FakeLoki()
    for minute in range(1, 5):
        loki.write(within(minute), "x", app=f"a{minute}")
    query = 'sum by (app) (count_over_time({app=~".+"}[1m]))'
    async with source_of(loki, QueryLimits(max_series=3)) as source:
        for minute in range(1, 4):
            await source.query_range(query, minutes(minute, minute))
        with pytest.raises(LimitExceeded, match="raise max_series"):
            await source.query_range(query, minutes(4, 4))


async def test_a_number_out_of_lines_is_never_made_up() -> None:
    loki = FakeLoki()
    for minute in (1, 2, 5):
        loki.write(within(minute), "level=info took=3", app="web")
    for function in ("quantile_over_time(0.5, ", "max_over_time("):
        query = function + '{app="web"} | logfmt | unwrap took [1m]) by (app)'
        async with source_of(loki) as source:
            frame = await source.query_range(query, minutes(1, 6))
        assert same(frame.values[0].tolist(), [3, 3, NAN, NAN, 3, NAN])
        assert frame.queries == 1


async def test_no_stream_no_series() -> None:
    async with source_of(FakeLoki()) as source:
        frame = await source.query_range('sum(count_over_time({app="nosuch"}[1m]))', minutes(1, 5))
    assert frame.labels == ()


async def test_that_nobody_could_look_is_no_gap_and_no_zero() -> None:
    loki = FakeLoki()
    loki.write(within(1), "level=info", app="web")
    query = 'sum(count_over_time({app="web"}[1m]))'
    loki.replays["/loki/api/v1/query_range", query] = sample("range_empty_matrix") | {
        "request": {"params": {}},
    }
    async with source_of(loki, retries=0) as source:
        await source.query_range(query, minutes(1, 3))
        loki.failures = [(200, '{"status":"success","data":{"resultType":"matrix","result":[]}}'), (500, "no")]
        with pytest.raises(SourceError) as caught:
            await source.query_range(query, minutes(1, 3))
    assert caught.value.failure is F.SERVER_ERROR


async def test_the_error_ratio_of_healthy_and_of_silent_minutes() -> None:
    loki = FakeLoki()
    for minute in (1, 2, 3, 5):
        for n in range(4):
            loki.write(within(minute) + n, "level=error" if (minute, n) == (2, 0) else "level=info", app="web")
    async with source_of(loki) as source:
        frame = await source.query_range(asked('{app="web"}', LogSignal.ERROR_RATIO, 60), minutes(1, 5))
    assert same(frame.values[0].tolist(), [0, 0.25, 0, NAN, 0])


async def test_a_long_window_is_asked_for_in_parts() -> None:
    loki = FakeLoki()
    loki.write(START_NS - 40 * 86400 * SECOND, "level=info", app="web")
    query = 'count_over_time({app="web"}[1d])'
    window = Window.aligned(START.timestamp() - 65 * 86400, START.timestamp(), 86400)
    async with source_of(loki) as source:
        frame = await source.query_range(query, window)
        assert frame.samples >= 1
        assert np.nansum(frame.values) == 1
        with pytest.raises(LimitExceeded, match="max_samples"):
            await LokiSource("l", HttpSettings("http://x"), QueryLimits(max_samples=9)).query_range(query, window)


async def test_lines_of_one_instant_at_the_border_of_pages() -> None:
    loki = FakeLoki(max_entries=10)
    for n in range(40):
        # Four lines share each instant, two of them say the same in different streams.
        loki.write(START_NS + n // 4 * 7, f"line {n // 2}", app="web", pod=str(n % 2))
    async with source_of(loki) as source:
        page = await source.query_logs('{app="web"}', START, START + MINUTE, 1000)
    assert page.complete
    found = sorted((line.timestamp_ns, line.text, line.labels["pod"]) for line in page.lines)
    assert found == sorted((each.at_ns, each.text, each.labels["pod"]) for each in loki.lines[""])
    assert page.total == 40


async def test_more_lines_in_one_instant_than_a_page_holds() -> None:
    loki = FakeLoki(max_entries=10)
    for n in range(25):
        loki.write(START_NS + 5, f"line {n}", app="web")
    async with source_of(loki) as source:
        page = await source.query_logs('{app="web"}', START, START + MINUTE, 20)
    assert (len(page.lines), page.complete, page.total) == (10, False, 25)
    assert "same nanosecond" in page.warnings[0]


async def test_a_server_that_gives_fewer_lines_at_once_is_asked_for_fewer() -> None:
    loki = FakeLoki(max_entries=7)
    for n in range(20):
        loki.write(START_NS + n, f"line {n}", app="web")
    async with source_of(loki) as source:
        page = await source.query_logs('{app="web"}', START, START + MINUTE, 100)
        assert (len(page.lines), page.complete) == (20, True)
        loki.asked.clear()
        await source.query_logs('{app="web"}', START, START + MINUTE, 100)
    assert {parameters["limit"] for _, parameters in loki.asked} == {"7"}


async def test_lines_of_too_many_bytes() -> None:
    loki = FakeLoki(max_entries=10)
    for n in range(40):
        loki.write(START_NS + n, "x" * 100, app="web")
    async with source_of(loki, max_response_bytes=2000) as source:
        with pytest.raises(LimitExceeded, match="max_bytes"):
            await source.query_logs('{app="web"}', START, START + MINUTE, 100)


async def test_a_metric_query_has_no_lines() -> None:
    loki = FakeLoki()
    loki.replays["/loki/api/v1/query_range", "vector(1)"] = sample("range_empty_matrix") | {"request": {"params": {}}}
    async with source_of(loki) as source:
        with pytest.raises(SourceError, match="series where lines"):
            await source.query_logs("vector(1)", START, START + MINUTE, 10)


async def test_tenants() -> None:
    loki = FakeLoki(tenants=True)
    loki.write(within(1), "mine", tenant="acme", app="web")
    loki.write(within(1), "not mine", tenant="other", app="web")
    async with source_of(loki) as source:
        with pytest.raises(SourceError, match="X-Scope-OrgID") as caught:
            await source.query_range('sum(count_over_time({app="web"}[1m]))', minutes(1, 1))
        assert (caught.value.failure, caught.value.transient) == (F.UNAUTHORIZED, False)
        with pytest.raises(SourceError, match="X-Scope-OrgID"):
            await source.probe()
    async with source_of(loki, headers=(("X-Scope-OrgID", "acme"),)) as source:
        assert await source.probe() == "main-65e30f8488"
        page = await source.query_logs('{app="web"}', START, START + MINUTE, 10)
    assert [line.text for line in page.lines] == ["mine"]


@pytest.mark.parametrize(
    ("status", "text", "failure", "transient", "tries"),
    [
        (429, "too many outstanding requests", F.RATE_LIMITED, True, 3),
        (503, "shutting down", F.SERVER_ERROR, True, 3),
        (500, "rpc error", F.SERVER_ERROR, True, 1),
        (400, f"parse error near {SECRET}", F.BAD_QUERY, False, 1),
    ],
)
async def test_failures_are_named_retried_where_that_helps_and_hold_no_secret(
    status, text, failure, transient, tries
) -> None:
    loki = FakeLoki(failures=[(status, text)] * 5)
    async with source_of(loki, bearer_token=SECRET) as source:
        with pytest.raises(SourceError) as caught:
            await source.query_range("vector(1)", minutes(1, 1))
    assert (caught.value.failure, caught.value.transient, len(loki.asked)) == (failure, transient, tries)
    assert SECRET not in str(caught.value)


async def test_a_long_query_goes_as_a_form() -> None:
    loki = FakeLoki()
    loki.write(within(1), "x", app="web")
    others = "|".join(f"no{n};" for n in range(800))
    async with source_of(loki) as source:
        frame = await source.query_range(f'sum(count_over_time({{app=~"web|{others}"}}[1m]))', minutes(1, 1))
    assert frame.values.tolist() == [[1]]


async def test_context_says_whether_there_were_lines() -> None:
    loki = FakeLoki()
    for minute in range(1, 4):
        loki.write(within(minute), "level=info", app="web")
    query = 'sum(count_over_time({app="web"} |= "boom" [1m])) / 60'
    async with source_of(loki) as source:
        [there] = await source.context(query, Labels(), START + 5 * MINUTE)
        [gone] = await source.context(query, Labels(), START + 30 * MINUTE)
        assert await source.context("vector(1)", Labels(), START) == ()
    assert there == '{app="web"} had 3 lines in the 10 minutes before 10:05:00 UTC'
    assert gone == '{app="web"} had no line at all in the 10 minutes before 10:30:00 UTC'


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("  ", "empty"),
        ('{app="web"}', "log_signal"),
        ("x" * 70_000, "longer"),
        ("vector(1)\0", "control"),
        ("\ud800", "UTF-8"),
        ('sum(rate({app="web"}[5m])', "missing"),
    ],
)
def test_queries_that_cannot_be(query: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        LokiSource("loki", HttpSettings("http://x")).check_query(query)
    assert caught.value.field == "query"
