"""What a Loki says it has: streams and the lines of their services, in bounded parts; what is left out is said."""

import json
from datetime import UTC, datetime

import pytest

from tests.loki import SECOND, FakeLoki, sample, serving
from tocsin.domain.errors import SourceError, SourceFailure
from tocsin.domain.labels import Labels
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.loki_catalogue import MAX_LABELS, MAX_STREAMS, LokiCatalogue

AT = datetime(2026, 11, 23, 10, tzinfo=UTC)
AT_NS = int(AT.timestamp()) * SECOND
SERIES, LABELS, QUERY = "/loki/api/v1/series", "/loki/api/v1/labels", "/loki/api/v1/query"


async def read(loki, **settings):
    heard = []
    async with serving(loki) as url:
        catalogue = LokiCatalogue(HttpSettings(url, retries=0, **settings))
        try:
            found = await catalogue.read(AT, heard.append)
        finally:
            await catalogue.close()
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    return found


def ago(minutes):
    return AT_NS - int(minutes * 60) * SECOND


def matchers(loki):
    return [parameters["match[]"] for path, parameters in loki.asked if path == SERIES]


async def test_streams_lines_and_levels_of_the_last_hour():
    loki = FakeLoki()
    for minute in range(1, 31):
        loki.write(ago(minute), "level=info", app="web", env="lab")
        loki.write(ago(minute) + 5, "level=error", app="web", env="lab")
        loki.write(ago(minute), "nothing", app="db", env="lab")
    loki.write(ago(1), "x", host="h")
    loki.write(ago(61), "long ago", app="old")
    found = await read(loki)
    assert set(found.streams) == {
        Labels({"app": "web", "env": "lab"}),
        Labels({"app": "db", "env": "lab"}),
        Labels({"host": "h"}),
    }
    assert (found.services.label, found.total, found.levels, found.notes) == ("app", 3, True, ())
    assert found.lines == {"web": 1.0, "db": 0.5}
    assert matchers(loki) == ['{app=~".+"}', '{env=~".+",app=""}', '{host=~".+",app="",env=""}']
    asked = [parameters for path, parameters in loki.asked if path in (LABELS, SERIES)]
    assert {(each["start"], each["end"]) for each in asked} == {(str(AT_NS - 3600 * SECOND), str(AT_NS))}
    assert (found.looked.things, found.looked.count, found.looked.total) == ("streams", 3, 3)


async def test_the_recorded_answers():
    loki = FakeLoki()
    loki.replays[LABELS, ""] = sample("labels") | {"request": {"params": {}}}
    loki.replays[SERIES, '{service_name=~".+"}'] = sample("series") | {"request": {"params": {}}}
    found = await read(loki)
    assert found.streams == tuple(map(Labels, sample("series")["response"]["body"]["data"]))
    assert (found.services.label, found.services.by) == ("service_name", ("service_name",))
    assert len(matchers(loki)) == 3, "app and env have no further streams"


async def test_an_empty_loki_has_no_streams():
    loki = FakeLoki()
    found = await read(loki)
    assert (found.streams, found.services, found.notes) == ((), None, ())
    assert [path for path, _ in loki.asked] == [LABELS]


@pytest.mark.parametrize(("text", "levels"), [("level=warn", True), ("none", False)])
async def test_an_unknown_level_is_none(text, levels):
    loki = FakeLoki()
    loki.write(ago(1), text, app="a")
    assert (await read(loki)).levels is levels


async def test_what_is_beyond_a_limit_is_said():
    loki = FakeLoki()
    many = [{"app": str(n)} for n in range(MAX_STREAMS + 2)]
    names = ["app", "ä", "__stream_shard__", *(f"l{n:02}" for n in range(MAX_LABELS))]
    replays = {(LABELS, ""): names, (SERIES, '{app=~".+"}'): many}
    for key, data in replays.items():
        answer = {"status": 200, "content_type": "application/json", "body": {"status": "success", "data": data}}
        loki.replays[key] = {"request": {"params": {}}, "response": answer}
    found = await read(loki)
    assert (len(found.streams), found.total) == (MAX_STREAMS, MAX_STREAMS + 2)
    assert found.notes == (
        "1 label not looked at: LogQL cannot name them",
        f"1 label not looked at: {MAX_LABELS} are the limit",
        "streams without the labels app were not looked for",
        f"2 streams not looked at: {MAX_STREAMS:,} are the limit",
    )


async def test_an_answer_that_is_too_large_names_its_limit():
    loki = FakeLoki()
    loki.write(ago(1), "x", app="x" * 5000)
    with pytest.raises(SourceError, match="2,048|2048|2 KiB"):
        await read(loki, max_response_bytes=2048)


async def test_a_label_that_cannot_be_asked_for_costs_its_own_streams():
    loki = FakeLoki()
    loki.write(ago(1), "x", app="a")
    loki.write(ago(1), "x", by="a")
    answer = {"status": 400, "content_type": "text/plain", "body": "parse error at line 1, col 2: unexpected by\n"}
    loki.replays[SERIES, '{by=~".+",app=""}'] = {"request": {"params": {}}, "response": answer}
    found = await read(loki)
    assert found.streams == (Labels({"app": "a"}),)
    assert ["the label by may be missing: the server refuses the query" in note for note in found.notes] == [True]


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (400, "maximum number of series (500) reached for a single query", "over a limit of the server"),
        (504, "too slow", "a gateway waited too long"),
        (200, '{"status":"success","data":{"resultType":"matrix","result":[]}}', None),
        (200, "<html>", None),
        (200, '{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"NaN"]}]}}', None),
        (200, '{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}}', None),
        (401, "no org id\n", None),
    ],
)
async def test_lines_that_were_not_counted_are_no_lines_that_are_not_there(status, text, said):
    loki = FakeLoki()
    loki.write(ago(1), "level=info", app="a")
    # Labels and one question for streams go before.
    healthy = [json.dumps({"status": "success", "data": data}) for data in (["app"], [{"app": "a"}])]
    loki.failures = [*((200, each) for each in healthy), (status, text)]
    if said is None:
        with pytest.raises(SourceError):
            await read(loki)
        return
    found = await read(loki)
    assert (found.lines, found.levels, len(found.streams)) == (None, False, 1)
    assert [said in note and "no share of errors and no templates" in note for note in found.notes] == [True]


@pytest.mark.parametrize("path", ["labels", "series"])
async def test_what_was_not_answered_is_nothing_empty(path):
    loki = FakeLoki()
    loki.write(ago(1), "x", app="a")
    before = [] if path == "labels" else [(200, '{"status":"success","data":["app"]}')]
    for status, text, failure in (
        (500, "boom", SourceFailure.SERVER_ERROR),
        (401, "no org id\n", SourceFailure.UNAUTHORIZED),
        (200, '{"status":"error"}', SourceFailure.BAD_QUERY),
        (200, '{"status":"success","data":[5]}', SourceFailure.BAD_ANSWER),
    ):
        loki.failures = [*before, (status, text)]
        with pytest.raises(SourceError) as caught:
            await read(loki)
        assert caught.value.failure is failure
