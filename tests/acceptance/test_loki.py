"""The whole process over a fake Loki: lines that nobody has seen before become one alert that quotes them."""

import asyncio
import threading
import time
from contextlib import contextmanager

import pytest

from tests.acceptance.process import Tocsin, until
from tests.loki import SECOND, FakeLoki, serving

LINES = '{app="web"}'
QUICK = {"datasource_uid": "loki", "check_interval": 1, "step": 1, "lookback": 30, "history": 0}
SECRET = "hunter2"


@contextmanager
def loki(fake):
    """The fake on a free port of its own loop; gives its URL."""
    told, done = threading.Event(), threading.Event()
    urls = []

    async def serve():
        async with serving(fake) as url:
            urls.append(url)
            told.set()
            while not done.is_set():
                await asyncio.sleep(0.05)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    told.wait(10)
    try:
        yield urls[0]
    finally:
        done.set()
        thread.join()


def write(fake, seconds, text, each):
    for second in seconds:
        for n in range(each):
            fake.write(second * SECOND + n * 10**7, text.format(n), app="web")


@pytest.mark.timeout(180)
def test_new_lines_are_one_alert_with_examples(tmp_path):
    fake, now = FakeLoki(), int(time.time())
    write(fake, range(now - 60, now + 170), "level=info GET /item/{} done", 3)
    with loki(fake) as url, Tocsin(tmp_path / "state", "--no-host", "--loki", url) as server:
        bare = server.request("POST", "/monitoring/targets", {**QUICK, "name": "bare", "query": LINES})
        assert (bare.status, "log_signal" in bare.text) == (422, True)
        for watch in ("volume", "templates"):
            body = {**QUICK, "name": watch, "query": LINES, "log_signal": watch}
            made = server.post("/monitoring/targets", body, 201)
            assert made["log_signal"] == watch
            server.ready(watch)
        assert server.alerts("templates") == []

        at = int(time.time())
        write(fake, range(at, at + 20), f"level=info disk {{}} failed, password={SECRET} \x1b[31m", 30)
        told = until("new lines are told", lambda: server.alerts("templates", state="firing"), within_s=60)
        [alert] = [each for each in told if each["labels"]["template"] == "(new)"]
        evidence = server.get(f"/monitoring/alerts/{alert['id']}")["evidence"][0]
        assert "never seen before" in evidence["context"][0]
        assert "password=***" in evidence["context"][0]
        assert SECRET not in str(evidence)
        assert evidence["query"] == f"templates({LINES} [1s])"
        until("there are more of them", lambda: server.alerts("volume", state="firing"), within_s=60)
    assert SECRET not in server.log()
    assert fake.wrong == []
