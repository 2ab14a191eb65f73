"""The client policy against servers that misbehave: what is said, what is tried again, where credentials go."""

import asyncio
import gzip
import json
import re
import zlib
from traceback import walk_tb

import pytest
from aiohttp import web

from tests.servers import free_port
from tests.sources.faulty import EMPTY, SECRET, START, WINDOW, F, Waits, failure, saying, serve, serve_raw, settings
from tocsin.domain.errors import Invalid, LimitExceeded, SourceError
from tocsin.sources.http import HttpClient
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.prometheus import PrometheusSource


async def test_refused():
    waits = Waits()
    error = await failure(free_port(), waits)
    assert (error.failure, error.transient) == (F.UNREACHABLE, True)
    assert "refused" in str(error)
    assert waits.asked == [0.25, 0.5]


async def test_no_such_name():
    source = PrometheusSource("p", HttpSettings("http://me:pw-secret@no-such-host.invalid:9090", retries=0))
    with pytest.raises(SourceError) as caught:
        await source.query_range("up", WINDOW)
    assert (caught.value.failure, caught.value.transient) == (F.UNREACHABLE, True)
    assert "no-such-host.invalid cannot be resolved" in str(caught.value)
    assert "pw-secret" not in str(caught.value)
    await source.close()


async def test_reset_in_the_middle_of_the_body():
    async def talk(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n" + EMPTY[:20])
        await writer.drain()
        writer.transport.abort()

    async with serve_raw(talk) as port:
        error = await failure(port)
    assert (error.failure, error.transient) == (F.UNREACHABLE, True)


async def test_closed_without_an_answer_and_noise():
    async def silent(writer):
        pass

    async def noise(writer):
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await writer.drain()

    async with serve_raw(silent) as port:
        assert (await failure(port)).failure is F.UNREACHABLE
    async with serve_raw(noise) as port:
        error = await failure(port)
    assert (error.failure, error.transient) == (F.BAD_ANSWER, False)


async def test_slow_headers_and_slow_body_end_at_the_deadline():
    async def headers(writer):
        await asyncio.sleep(20)

    async def body(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    for talk in (headers, body):
        async with serve_raw(talk) as port:
            waits = Waits()
            error = await failure(port, waits, timeout_s=0.3)
        assert (error.failure, error.transient) == (F.TIMEOUT, True)
        assert "within 0.3 s" in str(error)
        assert not waits.asked


@pytest.mark.parametrize(
    ("status", "kind", "tries"),
    [
        (500, F.SERVER_ERROR, 1),
        (502, F.SERVER_ERROR, 3),
        (503, F.SERVER_ERROR, 3),
        (504, F.TIMEOUT, 3),
        (429, F.RATE_LIMITED, 3),
    ],
)
async def test_server_errors_are_tried_again_where_that_helps(status, kind, tries):
    seen = []

    async def answer(request):
        seen.append(request.path)
        return web.Response(status=status, text="oops")

    async with serve(answer) as port:
        error = await failure(port)
    assert (error.failure, error.transient) == (kind, True)
    assert seen == ["/prefix/api/v1/query_range"] * tries


async def test_the_second_try_may_answer():
    answers = iter([web.Response(status=503), web.Response(body=EMPTY)])

    async def answer(_request):
        return next(answers)

    async with serve(answer) as port:
        source = PrometheusSource("p", HttpClient(settings(port), sleep=Waits()))
        assert (await source.query_range("up", WINDOW)).labels == ()
        await source.close()


async def test_retry_after_is_honoured_up_to_a_cap():
    async with serve(saying(429, b"", **{"Retry-After": "3"})) as port:
        waits = Waits()
        await failure(port, waits)
        assert waits.asked == [3.0, 3.0]
    for value, expected in (("3600", []), ("Mon, 23 Nov 2026 00:00:00 GMT", [0.25, 0.5]), ("-1", [0.25, 0.5])):
        async with serve(saying(503, b"", "text/plain", **{"Retry-After": value})) as port:
            waits = Waits()
            await failure(port, waits)
            assert waits.asked == expected


async def test_a_query_that_timed_out_in_the_server_is_not_sent_again():
    body = b'{"status":"error","errorType":"timeout","error":"query timed out"}'
    async with serve(saying(503, body)) as port:
        waits = Waits()
        error = await failure(port, waits)
    assert (error.failure, error.transient, waits.asked) == (F.TIMEOUT, True, [])


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (saying(401, f"bad token {SECRET}".encode(), "text/plain"), F.UNAUTHORIZED, r"bad token \*\*\*"),
        (saying(200, b"<html>Log in</html>", "text/html"), F.BAD_ANSWER, "login page"),
        (saying(200, EMPTY[:40]), F.BAD_ANSWER, "cut"),
        (saying(200, b"", "text/plain"), F.BAD_ANSWER, "empty"),
        (saying(200, b"metric 1\n", "text/plain"), F.BAD_ANSWER, "no JSON: metric 1"),
        (
            saying(200, json.dumps({"status": "error", "errorType": "bad_data", "error": f"no {SECRET}"}).encode()),
            F.BAD_QUERY,
            r"no \*\*\*",
        ),
        (saying(200, b"xx", **{"Content-Encoding": "br"}), F.BAD_ANSWER, "compressed as 'br'"),
        (saying(200, b"not gzip at all", **{"Content-Encoding": "gzip"}), F.BAD_ANSWER, "cannot be read"),
        (saying(200, gzip.compress(EMPTY)[:-12], **{"Content-Encoding": "gzip"}), F.BAD_ANSWER, "cut"),
    ],
)
async def test_answers_that_are_none(answer, kind, words):
    async with serve(answer) as port:
        error = await failure(port)
    assert error.failure is kind
    assert re.search(words, str(error))


async def test_json_by_another_content_type_is_still_an_answer():
    async with serve(saying(200, EMPTY, "text/plain")) as port:
        source = PrometheusSource("p", settings(port))
        assert (await source.query_range("up", WINDOW)).labels == ()
        await source.close()


@pytest.mark.parametrize("form", ["gzip", "deflate", "raw deflate"])
async def test_compressed_answers(form):
    squeeze = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "raw deflate": lambda body: zlib.compress(body, wbits=-15),
    }[form]
    body = EMPTY.replace(b"[]", b"[" + b" " * 500_000 + b"]")
    async with serve(saying(200, squeeze(body), **{"Content-Encoding": form.split()[-1]})) as port:
        source = PrometheusSource("p", settings(port))
        assert (await source.query_range("up", WINDOW)).labels == ()
        await source.close()


@pytest.mark.parametrize("spaces", [0, 262_144 - len(EMPTY), 500_000, 1_000_000])
async def test_what_follows_the_end_of_a_compressed_answer(spaces):
    body = EMPTY.replace(b"[]", b"[" + b" " * spaces + b"]")
    gzipped, half = {"Content-Encoding": "gzip"}, len(body) // 2
    for whole in (gzip.compress(body) + b"\0" * 512, gzip.compress(body[:half]) + gzip.compress(body[half:])):
        async with serve(saying(200, whole, **gzipped)) as port:
            source = PrometheusSource("p", settings(port))
            assert (await source.query_range("up", WINDOW)).labels == ()
            await source.close()
    for encoding, squeeze in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        async with serve(saying(200, squeeze(body) + b"junk", **{"Content-Encoding": encoding})) as port:
            error = await failure(port)
        assert "something follows the end of the compressed answer" in str(error)


async def test_what_a_server_says_is_shown_without_tokens():
    async with serve(saying(429, b"slow down, token=glsa_abcdefghijklmnop and try later")) as port:
        error = await failure(port, retries=0)
    assert "slow down, token=*** and try later" in str(error)


def held_by(error):
    """Bytes of answers that the frames of an error, and of what caused it, hold on to."""
    size = 0
    while error is not None:
        frames = [frame for frame, _ in walk_tb(error.__traceback__)]
        size += sum(len(one) for frame in frames for one in frame.f_locals.values() if isinstance(one, bytearray))
        error = error.__cause__ or error.__context__
    return size


async def test_an_endless_answer_and_a_bomb_end_at_the_limit():
    async def endless(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65536)

    bomb = saying(200, gzip.compress(b" " * 50_000_000), **{"Content-Encoding": "gzip"})
    for answer in (endless, bomb):
        async with serve(answer) as port:
            error = await failure(port, max_response_bytes=1_000_000)
        assert isinstance(error, LimitExceeded)
        assert "1,000,000 bytes" in str(error)
        assert "raise max_bytes of the datasource" in str(error)
        assert held_by(error) == 0, "whoever holds on to the error holds on to no answer"


async def test_credentials_do_not_follow_a_redirect_elsewhere():
    seen = []

    async def elsewhere(request):
        seen.append(dict(request.headers))
        return web.Response(body=EMPTY)

    async with serve(elsewhere) as other:
        for target in (
            f"http://127.0.0.1:{other}/",
            f"http://localhost:{other}/",
            "//evil.example/",
            "https://127.0.0.1/",
        ):
            async with serve(saying(302, b"", Location=target)) as port:
                error = await failure(port)
            assert (error.failure, error.transient) == (F.BAD_ANSWER, False)
            assert "redirects to another server" in str(error)
    assert seen == []


async def test_redirects_within_the_server_are_followed_a_few_times():
    async def answer(request):
        if request.path.endswith("/real"):
            return web.Response(body=EMPTY)
        raise web.HTTPTemporaryRedirect("/prefix/real?" + request.query_string)

    async with serve(answer) as port:
        source = PrometheusSource("p", settings(port))
        assert (await source.query_range("up", WINDOW)).labels == ()
        await source.close()
    async with serve(saying(307, b"", Location="/again")) as port:
        assert "in circles" in str(await failure(port))
    async with serve(saying(307, b"")) as port:
        assert (await failure(port)).failure is F.BAD_ANSWER


async def test_what_is_sent(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    seen = []

    async def answer(request):
        seen.append((dict(request.headers), dict(request.query)))
        return web.Response(body=EMPTY, headers={"Set-Cookie": "a=b"})

    async with serve(answer) as port:
        url = f"http://127.0.0.1:{port}"
        for each in (
            HttpSettings(url, username="me", password="p:w", headers=(("X-Scope-OrgID", "tenant-1"),)),
            HttpSettings(f"http://me:p%3Aw@127.0.0.1:{port}", headers=(("X-Scope-OrgID", "tenant-1"),)),
            HttpSettings(url, bearer_token=SECRET, timeout_s=7),
        ):
            source = PrometheusSource("p", each)
            await source.query_range("up;", WINDOW)
            await source.query_range("up;", WINDOW)
            await source.close()
    assert [each["Authorization"] for each, _ in seen] == ["Basic bWU6cDp3"] * 4 + [f"Bearer {SECRET}"] * 2
    assert [each.get("X-Scope-OrgID") for each, _ in seen] == ["tenant-1"] * 4 + [None] * 2
    assert not any("Cookie" in each for each, _ in seen)
    start = START.timestamp()
    assert seen[-1][1] == {
        "query": "up;",
        "start": f"{start:.0f}",
        "end": f"{start + 15:.0f}",
        "step": "15",
        "timeout": "7s",
        "nocache": "1",
        "latency_offset": "1ms",
    }


async def test_closed_is_said():
    source = PrometheusSource("p", HttpSettings("http://127.0.0.1:1"))
    await source.close()
    await source.close()
    with pytest.raises(SourceError, match="closed"):
        await source.query_range("up", WINDOW)


@pytest.mark.parametrize("query", ["", " \n", "up\x00", "up\x7f", "x" * 70_000, "\ud800"])
def test_queries_that_no_server_can_take(query):
    with pytest.raises(Invalid) as caught:
        PrometheusSource("p", HttpSettings("http://host")).check_query(query)
    assert caught.value.field == "query"


async def test_probe_through_a_gateway_that_lets_only_queries_through():
    async def answer(request):
        if request.path.endswith("/query"):
            return web.Response(body=b'{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}')
        return web.Response(status=403)

    async with serve(answer) as port:
        source = PrometheusSource("p", settings(port))
        assert await source.probe() == "version unknown"
        await source.close()
    async with serve(saying(401, b"")) as port:
        source = PrometheusSource("p", settings(port))
        with pytest.raises(SourceError) as caught:
            await source.probe()
        assert caught.value.failure is F.UNAUTHORIZED
        await source.close()
