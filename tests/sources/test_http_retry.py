"""When a question is put again, and how long is waited before."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from tests.sources.faulty import EMPTY, WINDOW, F, Waits, failure, saying, serve, serve_raw, settings
from tocsin.domain.errors import LimitExceeded, SourceError
from tocsin.sources.http import HttpClient
from tocsin.sources.http_retry import MAX_BACKOFF_S, backoff_s, http_date_s, retry_after_s
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.parts import QueryLimits
from tocsin.sources.prometheus import PrometheusSource

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def date(seconds: float) -> str:
    """A date of HTTP so many seconds after now."""
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 400, 999_999_999.0),
        (date(90), 90.0),
        (date(-90), 0.0),
        ("Monday, 23-Nov-26 12:00:30 GMT", 30.0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("Mon, 99 Nov 2026 00:00:00 GMT", None),
        ("x" * 10_000, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    assert retry_after_s(header, NOW.timestamp()) == seconds


def test_a_date_is_unix_seconds():
    assert http_date_s(date(0)) == NOW.timestamp()
    assert http_date_s("nonsense") is None


def test_waits_are_anywhere_up_to_a_bound_that_doubles_and_ends():
    bounds = [backoff_s(attempt, 1.0) for attempt in range(8)]
    assert bounds == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]
    assert max(bounds) == MAX_BACKOFF_S
    assert [backoff_s(attempt, 0.0) for attempt in range(8)] == [0.0] * 8
    assert backoff_s(1, 0.25) == 0.25


async def test_a_date_is_waited_for():
    async with serve(saying(429, b"", **{"Retry-After": date(4)})) as port:
        waits = Waits()
        client = HttpClient(settings(port), sleep=waits, jitter=lambda: 0.5, now=NOW.timestamp)
        answer = await client.get("x", {})
        await client.close()
    assert (answer.status, answer.retry_after_s, waits.asked) == (429, 4.0, [4.0, 4.0])


async def test_a_wait_beyond_the_deadline_is_not_begun_and_the_reason_is_told():
    seen = []

    async def answer(_request):
        seen.append(1)
        return web.Response(status=429, text="slow down", headers={"Retry-After": "4"})

    async with serve(answer) as port:
        waits = Waits()
        error = await failure(port, waits, timeout_s=3.0)
    assert (error.failure, error.retry_after_s) == (F.RATE_LIMITED, 4.0)
    assert "slow down" in str(error)
    assert (waits.asked, len(seen)) == ([], 1)


async def test_tries_after_refusals_end_in_time_with_their_reason():
    async def talk(writer):
        pass

    async with serve_raw(talk) as port:
        client = HttpClient(settings(port, timeout_s=1.0, retries=10), jitter=lambda: 0.9)
        with pytest.raises(SourceError) as caught:
            await client.get("x", {})
        await client.close()
    assert caught.value.failure is F.UNREACHABLE, "not a timeout: what was wrong is known"


@pytest.mark.parametrize("status", [401, 403, 404, 422, 500, 501])
async def test_what_another_try_cannot_change_is_asked_once(status):
    seen = []

    async def answer(_request):
        seen.append(1)
        return web.Response(status=status, text="no")

    async with serve(answer) as port:
        waits = Waits()
        await failure(port, waits)
    assert (len(seen), waits.asked) == (1, [])


async def test_a_body_that_stops_in_the_middle_is_given_up_before_the_deadline():
    async def talk(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + EMPTY[:30])
        await writer.drain()
        await asyncio.sleep(20)

    async with serve_raw(talk) as port:
        waits = Waits()
        error = await failure(port, waits, timeout_s=60.0, stall_s=0.2)
    assert (error.failure, error.transient, waits.asked) == (F.TIMEOUT, True, [])
    assert "stopped in its middle: nothing came for 0.2 s" in str(error)


async def test_what_had_come_by_the_deadline_is_said():
    async def headers(writer):
        await asyncio.sleep(20)

    async def body(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    for talk, words in ((headers, "no answer has begun"), (body, "bytes had come")):
        async with serve_raw(talk) as port:
            error = await failure(port, timeout_s=0.4)
        assert "within 0.4 s" in str(error)
        assert words in str(error)


async def test_a_window_over_the_limits_is_not_asked_for_and_the_setting_is_named():
    for limits, setting in ((QueryLimits(max_range_s=10.0), "max_range"), (QueryLimits(max_samples=1), "max_samples")):
        source = PrometheusSource("p", HttpSettings("http://127.0.0.1:1"), limits)
        with pytest.raises(LimitExceeded, match=f"raise {setting}$"):
            await source.query_range("up", WINDOW)
        await source.close()


async def test_an_answer_that_says_it_is_too_large_is_not_read():
    async def talk(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(20)

    async with serve_raw(talk) as port:
        error = await failure(port, max_response_bytes=1_000_000)
    assert isinstance(error, LimitExceeded)
    assert "larger than 1,000,000 bytes" in str(error)
