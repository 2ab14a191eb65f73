"""What a Prometheus says it has: read in bounded parts, and what is left out is said."""

import json
from datetime import UTC, datetime

import pytest
from aiohttp import web

from tests.sources.faulty import serve, settings
from tocsin.domain.catalogue import MetricKind
from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.sources.prometheus_catalogue import MAX_CATALOGUE_SERIES, MAX_METRICS, PrometheusCatalogue

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
KINDS = {
    "rpc_latency": [{"type": "histogram", "unit": "seconds", "help": ""}],
    "mail_total": [{"type": "counter", "unit": "", "help": ""}],
    "odd": [{"type": "stateset", "unit": "", "help": ""}],
}


def answering(names, series):
    async def answer(request):
        if request.path.endswith("/values"):
            data = names
        elif request.path.endswith("/metadata"):
            data = KINDS
        else:
            data = series(request.query["match[]"])
        return web.Response(
            body=json.dumps({"status": "success", "data": data}).encode(), content_type="application/json"
        )

    return answer


async def read(answer, wanted=lambda _name, _kind, _unit: True, **limits):
    heard = []
    async with serve(answer) as port:
        catalogue = PrometheusCatalogue(settings(port, **limits))
        try:
            return await catalogue.read(wanted, AT, heard.append), heard
        finally:
            await catalogue.close()


async def test_types_and_units_are_those_that_are_declared_also_for_the_parts_of_a_histogram():
    names = ["rpc_latency_bucket", "mail_total", "odd", "free"]
    found, heard = await read(answering(names, lambda match: [{"__name__": match, "job": "a"}]))
    assert {one.name: (one.kind, one.unit) for one in found.metrics} == {
        "free": (MetricKind.UNKNOWN, ""),
        "mail_total": (MetricKind.COUNTER, ""),
        "odd": (MetricKind.UNKNOWN, ""),
        "rpc_latency_bucket": (MetricKind.HISTOGRAM, "seconds"),
    }
    assert [dict(series) for one in found.metrics for series in one.series] == [{"job": "a"}] * 4
    assert (found.total, found.notes, heard) == (4, (), [0.25, 0.5, 0.75, 1.0])


async def test_what_is_left_out_is_said():
    wide = [{"n": str(n)} for n in range(MAX_CATALOGUE_SERIES + 1)]
    names = ["a.b", "wide", *(f"m{n:03}" for n in range(MAX_METRICS))]
    found, _ = await read(
        answering(names, lambda match: wide if "wide" in match else []), lambda name, _kind, _unit: "." not in name
    )
    assert len(found.metrics) == MAX_METRICS
    assert found.notes == (
        "1 metric not looked at: the name would have to be quoted",
        f"1 metric not looked at: {MAX_METRICS} are the limit",
    )
    found, _ = await read(answering(["few", "wide"], lambda match: wide if "wide" in match else []))
    assert [one.name for one in found.metrics] == ["few"]
    assert found.notes == (f"wide has more than {MAX_CATALOGUE_SERIES:,} series and is left out",)


async def test_an_answer_that_is_too_large_costs_one_metric():
    large = [{"n": "x" * 5000}]
    found, heard = await read(
        answering(["few", "large"], lambda match: large if "large" in match else []), max_response_bytes=2048
    )
    assert [one.name for one in found.metrics] == ["few"]
    assert len(found.notes) == 1
    assert found.notes[0].startswith("large is left out: ")
    assert heard == [0.5, 1.0]


async def test_another_shape_is_no_empty_list():
    with pytest.raises(SourceError) as caught:
        await read(answering({"a": 1}, lambda _: []))
    assert caught.value.failure is SourceFailure.BAD_ANSWER
