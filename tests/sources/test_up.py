"""Gap or drop: what Prometheus knows of the exporter behind a series."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from aiohttp import web

from tests.sources.faulty import saying, serve, settings
from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.domain.labels import Labels
from tocsin.sources import up
from tocsin.sources.prometheus import PrometheusSource

AT = datetime(2026, 3, 2, 12, 0, 17, tzinfo=UTC)
SERIES = Labels({"__name__": "errors", "job": 'sh"op', "instance": "a:1", "code": "500"})
LATELY = "in the 10 minutes before 12:00:17 UTC"
NAMED = 'up{job="sh\\"op",instance="a:1"}'


def matrix(*values):
    """An answer with the newest values of `up`, None for a gap."""
    begin = AT.timestamp() - up.STEP_S * (len(values) - 1)
    rows = [[begin + up.STEP_S * n, str(value)] for n, value in enumerate(values) if value is not None]
    result = [{"metric": {}, "values": rows}] if rows else []
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


async def told(answer, labels=SERIES):
    async with serve(answer) as port:
        source = PrometheusSource("p", settings(port))
        try:
            return await source.context("errors", labels, AT)
        finally:
            await source.close()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1] * 21, f"{NAMED} was 1 at 21 of 21 instants {LATELY}: it was scraped all the time"),
        ([1] * 19 + [0, 0], f"{NAMED} was 0 at its lowest and 0 at last, there at 21 of 21 instants {LATELY}"),
        ([1] * 19 + [None, None], f"{NAMED} was there at 19 of 21 instants {LATELY}, and is gone"),
        ([], f"{NAMED} had no sample {LATELY}"),
    ],
)  # fmt: skip
async def test_the_context_says_what_up_was(values, said):
    (line,) = await told(saying(200, matrix(*values)))
    assert line.startswith(said), line


async def test_it_is_one_bounded_question_of_job_and_instance_alone():
    asked = []

    async def answer(request):
        asked.append(dict(request.query))
        return web.Response(body=matrix(1), content_type="application/json")

    await told(answer)
    (one,) = asked
    assert one["query"] == f"avg({NAMED})"
    assert float(one["end"]) == AT.timestamp(), "the newest instant is that of the alert"
    assert float(one["end"]) - float(one["start"]) == up.SPAN_S
    await told(answer, Labels({"path": "/"}))
    await told(answer, Labels({"job": "x" * 2000}))
    assert len(asked) == 1, "a series without them is not asked for"


async def test_a_server_that_does_not_say_it_costs_seconds_only(monkeypatch):
    monkeypatch.setattr(up, "WITHIN_S", 0.2)

    async def never(_request):
        await asyncio.sleep(5)

    with pytest.raises(SourceError, match="no answer about up") as caught:
        await told(never)
    assert caught.value.failure is SourceFailure.TIMEOUT
