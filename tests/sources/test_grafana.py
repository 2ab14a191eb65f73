"""The datasources of a Grafana through a real mcp-grafana: the same values as the direct way, and every fault said."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.grafana import LISTED, TOKEN
from tests.sources.grafana_parts import Book, connected, running, served, until
from tests.sources.history import COUNT, END, END_S, START, STEP
from tocsin.domain.errors import LimitExceeded, SourceError, SourceFailure
from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels
from tocsin.sources.grafana import GrafanaPrometheus
from tocsin.sources.grafana_deployments import Deployments
from tocsin.sources.grafana_process import program
from tocsin.sources.grafana_settings import GrafanaSettings
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.prometheus import PrometheusSource

WHOLE = Window(START, END, STEP)
REAL = program(GrafanaSettings("g", grafana_url="http://unused"))


@pytest.fixture
def misbehaving(tmp_path):
    """Makes a program that is mcp-grafana but for one thing."""

    def make(how: str) -> str:
        path = tmp_path / f"mcp-{how}"
        script = Path(__file__).with_name("nonsense_mcp.py")
        path.write_text(f'#!/bin/sh\nHOW={how} REAL={REAL} exec {sys.executable} {script} "$@"\n')
        path.chmod(0o755)
        return str(path)

    return make


async def test_the_same_frame_as_the_direct_way(grafana, prometheus_url) -> None:
    direct = PrometheusSource("p", HttpSettings(prometheus_url))
    queries = (
        '{__name__=~"contract_.*"}',
        "contract_both / 3",
        "sum(contract_both) ^ 40",
        'contract_both{instance="a"} / 0',
    )
    async with connected(grafana) as (link, found):
        small = GrafanaPrometheus("prom", link.link, Deployments(link.link, Book().take_deployments), max_points=17)
        for query in queries:
            wanted = await direct.query_range(query, WHOLE)
            for source, parts in ((found["prom"], 1), (small, -(-COUNT // 17))):
                frame = await source.query_range(query, WHOLE)
                rows = [frame.labels.index(labels) for labels in wanted.labels]
                assert len(rows) == len(frame.labels) > 0
                assert np.array_equal(frame.values[rows], wanted.values, equal_nan=True)
                assert np.array_equal(frame.timestamps, wanted.timestamps)
                assert (frame.dropped, frame.queries) == (wanted.dropped, parts)
    await direct.close()


async def test_warnings_are_kept_without_secrets(grafana) -> None:
    grafana.set(warnings=[f"remote_read of http://me:pw@far failed with {TOKEN}"])
    async with connected(grafana) as (_, found):
        frame = await found["prom"].query_range("contract_both", WHOLE)
    assert frame.warnings == ("remote_read of http://far failed with ***",)
    assert len(frame.labels) == 2


async def test_limits_are_said_and_never_cut(grafana) -> None:
    async with connected(grafana, max_series=1) as (_, found):
        with pytest.raises(LimitExceeded, match="2 series, more than 1"):
            await found["prom"].query_range("contract_both", WHOLE)
        with pytest.raises(SourceError, match="whole seconds") as caught:
            await found["prom"].query_range("contract_both", Window(START, END, timedelta(seconds=1.5)))
        assert caught.value.failure is SourceFailure.BAD_QUERY


@pytest.mark.parametrize(
    ("status", "failure", "transient"),
    [
        (401, SourceFailure.UNAUTHORIZED, False),
        (429, SourceFailure.RATE_LIMITED, True),
        (500, SourceFailure.SERVER_ERROR, True),
        (502, SourceFailure.SERVER_ERROR, True),
        (503, SourceFailure.SERVER_ERROR, True),
    ],
)
async def test_a_status_of_the_server(grafana, status, failure, transient) -> None:
    async with connected(grafana) as (_, found):
        for name, query in (("prom", "contract_both"), ("loki", 'rate({app="web"}[5m])')):
            grafana.set(status=status, body=f"<html>{TOKEN}", where="query_range")
            with pytest.raises(SourceError) as caught:
                await found[name].query_range(query, WHOLE)
            assert (caught.value.failure, caught.value.transient) == (failure, transient), str(caught.value)
            assert TOKEN not in str(caught.value)
            grafana.set(reset=True)
        assert len((await found["prom"].query_range("contract_both", WHOLE)).labels) == 2


async def test_a_deadline_of_our_own(grafana) -> None:
    async with connected(grafana, timeout_s=2.0) as (link, found):
        grafana.set(delay_s=60, where="query_range")
        with pytest.raises(SourceError) as caught:
            await found["prom"].query_range("contract_both", WHOLE)
        assert caught.value.failure is SourceFailure.TIMEOUT
        grafana.set(reset=True)
        assert len((await found["prom"].query_range("contract_both", WHOLE)).labels) == 2
        assert link.link.connections == 1, "the connection is as good as before"


async def test_killed_it_comes_back_after_one_error(grafana) -> None:
    async with connected(grafana) as (link, found):
        first = link.link.pid
        os.kill(first, signal.SIGKILL)
        errors = []
        for _ in range(20):
            try:
                frame = await found["prom"].query_range("contract_both", WHOLE)
                break
            except SourceError as error:
                errors.append(error)
        assert len(frame.labels) == 2
        assert len(errors) <= 1
        assert all(error.failure is SourceFailure.UNREACHABLE and error.transient for error in errors)
        assert link.link.pid != first
        assert link.standing().failure is None


async def test_it_ends_with_the_connection_and_never_shows_the_token(grafana) -> None:
    async with connected(grafana) as (link, _):
        pid = link.link.pid
        line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        assert b"-disable-write" in line
        assert line[line.index(b"-usage-stats") + 1] == b"disabled"
        assert TOKEN.encode() not in b" ".join(line)
        assert f"GRAFANA_SERVICE_ACCOUNT_TOKEN={TOKEN}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        assert TOKEN not in repr(link.link.settings)
    await until(lambda: not Path(f"/proc/{pid}").exists(), "mcp-grafana is gone")


@pytest.mark.parametrize("how", ["talk", "later"])
async def test_nonsense_is_said(grafana, misbehaving, how) -> None:
    book = Book()
    settings = GrafanaSettings("g", grafana_url=grafana.url, token=TOKEN, command=misbehaving(how))
    async with running(settings, book) as link:
        if how == "talk":
            await until(
                lambda: "does not speak MCP" in (link.standing().failure or ""), f"it is said: {link.standing()}"
            )
            assert not book.times
            return
        await until(lambda: book.times > 0, "found")
        with pytest.raises(SourceError, match="does not speak MCP: it wrote '<html>502 Bad Gateway</html>'") as caught:
            await book.sources["prom"].query_range("contract_both", WHOLE)
        assert caught.value.failure is SourceFailure.UNREACHABLE


@pytest.mark.parametrize(
    ("how", "why"), [("renamed", "is not there"), ("schema", "other arguments"), ("writes", "reads")]
)
async def test_a_tool_of_another_form_is_not_called(grafana, misbehaving, how, why) -> None:
    async with connected(grafana, command=misbehaving(how)) as (link, found):
        with pytest.raises(SourceError, match=f"query_prometheus .*{why}.*2.1.1") as caught:
            await found["prom"].query_range("contract_both", WHOLE)
        assert (caught.value.failure, caught.value.transient) == (SourceFailure.BAD_ANSWER, False)
        [note] = link.standing().notes
        assert why in note
        assert not [one for one in grafana.requests() if one["path"].endswith("query_range")]
        await found["loki"].query_range("rate({a=`b`}[1m])", WHOLE)


async def test_an_answer_over_the_limit_and_none_at_all(grafana, misbehaving) -> None:
    async with connected(grafana, command=misbehaving("huge"), max_bytes=200_000) as (link, found):
        with pytest.raises(LimitExceeded, match="200,000 bytes"):
            await found["prom"].query_range("contract_both", WHOLE)
        await found["loki"].query_range("rate({a=`b`}[1m])", WHOLE)
        assert link.link.connections == 1
    async with connected(grafana, command=misbehaving("silent"), timeout_s=0.5) as (link, found):
        with pytest.raises(SourceError) as caught:
            await found["prom"].query_range("contract_both", WHOLE)
        assert caught.value.failure is SourceFailure.TIMEOUT


async def test_discovery_waits_for_grafana_and_follows_it(grafana) -> None:
    grafana.set(status=503, where="/api/datasources")
    book = Book(taken={"loki": "it is another's"})
    settings = GrafanaSettings("g", grafana_url=grafana.url, token=TOKEN)
    async with running(settings, book, look_again_s=0.2) as link:
        await until(lambda: "503" in (link.standing().failure or ""), "the reason")
        assert not book.times
        grafana.set(reset=True)
        await until(lambda: book.times > 0, "found")
        assert set(book.sources) == {"prom", "loki"}, "Alertmanager is left alone"
        await until(lambda: link.standing().notes, "the note")
        standing = link.standing()
        assert (standing.failure, standing.datasources) == (None, ("prom",))
        assert standing.notes == ("the datasource 'loki' of this Grafana is not used: it is another's",)
        assert standing.server == "mcp-grafana v2.1.1"
        kept = book.sources["prom"]
        grafana.set(listed=[LISTED[0], {**LISTED[0], "id": 9, "uid": "second"}])
        await until(lambda: "second" in book.sources, "the second one")
        assert set(book.sources) == {"prom", "second"}
        assert book.sources["prom"] is kept


async def test_a_grafana_that_lists_nothing_is_a_failure_and_takes_nothing_away(grafana) -> None:
    book = Book()
    settings = GrafanaSettings("g", grafana_url=grafana.url, token=TOKEN)
    async with running(settings, book, look_again_s=0.2) as link:
        await until(lambda: book.times > 0, "found")
        kept = dict(book.sources)
        grafana.set(listed=[])
        await until(lambda: "datasources:read" in (link.standing().failure or ""), "the reason")
        assert book.sources == kept
        assert link.standing().datasources == ("loki", "prom")
        grafana.set(reset=True)
        await until(lambda: link.standing().failure is None, "it is well again")


async def test_what_cannot_be_started_is_said(grafana) -> None:
    for command, why in (("/nowhere/mcp-grafana", "No such file"), ("/bin/false", "mcp-grafana (/bin/false) ended")):
        settings = GrafanaSettings("g", grafana_url=grafana.url, command=command)
        async with running(settings, Book()) as link:
            await until(lambda why=why, link=link: why in (link.standing().failure or ""), f"{why}: {link.standing()}")


async def test_deployments_are_handed_over_once_and_again_when_they_change(grafana) -> None:
    at = END_S * 1000
    noted = [
        {"id": 1, "tags": ["deploy", "web"], "text": "web v2\nby a pipeline", "time": at - 90_000, "timeEnd": at},
        {"id": 2, "tags": ["release"], "text": "two days before", "time": at - 48 * 3600 * 1000},
        {"id": 3, "tags": ["party"], "text": "no deployment", "time": at - 1000},
    ]
    grafana.set(annotations=noted)
    book, clock = Book(), [END]
    async with connected(grafana) as (link, _):
        deployments = Deployments(link.link, book.take_deployments, now=lambda: clock[0])
        assert "not known" in deployments.unknown()[0]
        for _ in range(2):
            await deployments.read()
        assert deployments.unknown() == ()
        [one] = book.deployed
        assert (one.at, one.end, one.text, one.tags) == (
            END - timedelta(seconds=90),
            END,
            "web v2 by a pipeline",
            ("deploy", "web"),
        )
        noted[0]["text"] = "web v3"
        clock[0] += timedelta(minutes=1)
        grafana.set(annotations=noted)
        await deployments.read()
        assert [each.text for each in book.deployed] == ["web v2 by a pipeline", "web v3"]
        everything = await link.operations.annotations(END - timedelta(days=3), END)
        assert [each.id for each in everything] == [2, 1, 3]


async def test_deployments_that_cannot_be_read_are_said(grafana) -> None:
    grafana.set(status=403, where="/api/annotations")
    async with connected(grafana) as (link, found):
        await until(lambda: "403" in str(link.standing().notes), f"the note: {link.standing()}")
        for source in found.values():
            [line] = await source.context("contract_both", Labels(), END)
            assert "what was deployed is not known" in line
        with_up = await found["prom"].context("contract_both", Labels({"job": "nothing"}), END)
        assert "nothing of that name was scraped" in with_up[0]
        assert len(with_up) == 2
    grafana.set(reset=True)
    async with connected(grafana) as (link, found):
        await until(lambda: not link.standing().notes, "they are read")
        assert await found["prom"].context("contract_both", Labels(), END) == ()


async def test_no_incident_listed_is_not_quiet(grafana) -> None:
    async with connected(grafana) as (link, _):
        assert not (await link.operations.incidents()).certain
        assert await link.operations.alert_rules() == ()
        with pytest.raises(SourceError) as caught:
            await link.operations.on_call()
        assert caught.value.failure is SourceFailure.NOT_FOUND


async def test_only_the_tools_of_the_list(grafana) -> None:
    async with connected(grafana) as (link, _):
        with pytest.raises(ValueError, match="not on the list"):
            await link.link.call("create_annotation", {"text": "x"})
        await asyncio.sleep(0)


async def test_loki_series_and_lines(grafana) -> None:
    at = [float(each) for each in WHOLE.grid()]
    values = ["0.1", "1e-7", "123456789.123456789"]
    grafana.set(
        samples=[[{"app": "web"}, [[at[0], values[0]], [at[2], values[1]], [at[9], values[2]]]], [{}, [[at[1], "3"]]]]
    )
    first_ns = int(START.timestamp()) * 10**9
    texts = [f"line {n}" for n in range(250)]
    # Three of an instant, so that pages are cut within one.
    lines = [[str(first_ns + n // 3), {"app": "web"}, text] for n, text in enumerate(texts)]
    grafana.set(lines=lines)
    async with connected(grafana) as (_, found):
        frame = await found["loki"].query_range("max_over_time({app=`web`} | unwrap x [1m])", WHOLE)
        assert frame.labels == (Labels({"app": "web"}), Labels())
        assert [frame.values[0, n] for n in (0, 2, 9)] == [float(each) for each in values]
        assert frame.samples == 4
        with pytest.raises(SourceError, match="parse error") as caught:
            await found["loki"].query_range("rate({app=`web`[1m])", WHOLE)
        assert caught.value.failure is SourceFailure.BAD_QUERY
        with pytest.raises(SourceError, match="log lines where series"):
            await found["loki"].query_range("{app=`web`}", WHOLE)
        page = await found["loki"].query_logs("{app=`web`}", START, END, 1000)
        assert ([line.text for line in page.lines], page.complete) == (sorted(texts, key=texts.index), True)
        assert page.lines[5].timestamp_ns == first_ns + 1
        cut = await found["loki"].query_logs("{app=`web`}", START, END, 10)
        assert (len(cut.lines), cut.complete) == (10, False)
        assert {line.text for line in cut.lines} <= set(texts[-12:])
    with served(grafana, "streamable-http", "/mcp") as (url, _):
        book = Book()
        async with running(GrafanaSettings("g", url=url, token="caller-token"), book) as link:
            await until(lambda: book.times > 0, f"found: {link.standing()}")
            paged = await book.sources["loki"].query_logs("{app=`web`}", START, END, 1000)
            assert sorted(line.text for line in paged.lines) == sorted(texts)
            assert (paged.complete, paged.queries) == (True, 3)


WITHOUT = """
import asyncio, sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

class Without:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] == "mcp" else PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Without]
from tocsin.sources.grafana_link import GrafanaLink
from tocsin.sources.grafana_settings import GrafanaSettings

async def main():
    link = GrafanaLink(GrafanaSettings("g", grafana_url="http://127.0.0.1:9"))
    link.start()
    await asyncio.sleep(0.2)
    print(link.failure)
    await link.close()

asyncio.run(main())
"""


def test_without_the_client_it_says_what_to_install() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=60, check=True)
    assert "pip install 'tocsin[grafana]'" in ran.stdout
