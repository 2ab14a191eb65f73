"""An mcp-grafana that somebody else has started, reached over HTTP: a real one, killed and started again."""

from datetime import timedelta

import pytest

from tests.sources.grafana_parts import Book, running, served, until
from tests.sources.history import END, START, STEP, VALUES
from tocsin.domain.errors import LimitExceeded, SourceError, SourceFailure
from tocsin.domain.frame import Window
from tocsin.sources.grafana_settings import GrafanaSettings

WHOLE = Window(START, END, STEP)


@pytest.mark.parametrize(("way", "path"), [("streamable-http", "/mcp"), ("sse", "/sse")])
async def test_one_that_runs_already(grafana, way, path) -> None:
    with served(grafana, way, path) as (url, process):
        book = Book()
        async with running(GrafanaSettings("g", url=url, token="wrong-token"), book) as link:
            await until(lambda: "refuses the token" in (link.standing().failure or ""), f"{link.standing()}")
            assert "wrong-token" not in str(link.standing())
        async with running(GrafanaSettings("g", url=url, token="caller-token"), book) as link:
            await until(lambda: book.times > 0, f"found: {link.standing()}")
            frame = await book.sources["prom"].query_range("contract_both", WHOLE)
            assert {each["instance"]: row.tolist() for each, row in zip(frame.labels, frame.values, strict=True)} == {
                name: VALUES[name] for name in "ab"
            }
            process.kill()
            process.wait()
            with pytest.raises(SourceError) as caught:
                await book.sources["prom"].query_range("contract_both", WHOLE)
            assert caught.value.failure is SourceFailure.UNREACHABLE
            await until(lambda: link.standing().failure is not None, "the connection is known to be lost")
            with served(grafana, way, path, int(url.split(":")[2].split("/")[0])):
                await until(lambda: link.standing().failure is None, f"it is used again: {link.standing()}")
                assert len((await book.sources["prom"].query_range("contract_both", WHOLE)).labels) == 2


async def test_an_answer_over_the_limit_over_http(grafana) -> None:
    with served(grafana, "streamable-http", "/mcp") as (url, _):
        book = Book()
        settings = GrafanaSettings("g", url=url, token="caller-token", max_bytes=100_000)
        async with running(settings, book) as link:
            await until(lambda: book.times > 0, f"found: {link.standing()}")
            wide = Window(START - timedelta(hours=1), END, timedelta(seconds=1))
            with pytest.raises(LimitExceeded, match="100,000 bytes"):
                await book.sources["prom"].query_range("contract_both", wide)
            assert link.link.connections == 1, "the connection is as good as before"
            assert len((await book.sources["prom"].query_range("contract_both", WHOLE)).labels) == 2
