"""A fake server that answers what a test says and keeps what it was asked."""

import asyncio
import json
import threading
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from typer.testing import CliRunner

from tocsin.cli.application import app


@dataclass
class FakeServer:
    """`answers` by method and path; every request is kept in `asked`."""

    url: str = ""
    answers: dict[tuple[str, str], tuple[int, object]] = field(default_factory=dict)
    asked: list[dict] = field(default_factory=list)
    content_type: str = "application/json"

    def answer(self, method, path, body, status=200):
        self.answers[method, path] = (status, body)

    async def handle(self, request: web.Request) -> web.Response:
        text = await request.text()
        self.asked.append(
            {
                "method": request.method,
                "path": request.raw_path.partition("?")[0],
                "query": list(request.query.items()),
                "body": json.loads(text) if text else None,
                "authorization": request.headers.get("Authorization"),
            }
        )
        status, body = self.answers.get((request.method, request.path), (404, {"detail": "there is no such thing"}))
        if status in (301, 302):
            return web.Response(status=status, headers={"Location": str(body)})
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return web.Response(status=status, body=data, content_type=self.content_type)


@pytest.fixture
def server(monkeypatch):
    fake = FakeServer()
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(_application(fake))

    async def start():
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    for name in ("TOCSIN_API_TOKEN", "TOCSIN_API_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TOCSIN_URL", fake.url)
    yield fake
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def _application(fake: FakeServer) -> web.Application:
    made = web.Application()
    made.router.add_route("*", "/{tail:.*}", fake.handle)
    return made


@pytest.fixture
def run(monkeypatch):
    """Run `tocsin` with arguments; `text` is standard input, `width` the terminal's."""

    def run(*arguments, text=None, width=80):
        monkeypatch.setenv("COLUMNS", str(width))
        result = CliRunner().invoke(app, [str(each) for each in arguments], input=text)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
