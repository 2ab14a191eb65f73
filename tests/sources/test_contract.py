"""One suite over every metric source: what the rest of Tocsin relies on."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, repeat

import numpy as np
import pytest

from tests.loki import SECOND, FakeLoki, serving
from tests.sources.grafana_parts import connected
from tests.sources.history import COUNT, END, GAP, LATE, PRESENT, START, START_S, STEP, STEP_S, USABLE, USED, VALUES, at
from tests.sources.readings import ScriptedReadings
from tocsin.domain.errors import Invalid, SourceError, SourceFailure
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.ports import MetricSource
from tocsin.sources.fake import ScriptedSource
from tocsin.sources.host import HostSettings, HostSource
from tocsin.sources.host_readings import FileSystem, Reading
from tocsin.sources.http import HttpClient
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.loki import LokiSource
from tocsin.sources.parts import QueryLimits
from tocsin.sources.prometheus import PrometheusSource


@dataclass(frozen=True)
class Subject:
    """A source and how it is asked for the known history."""

    source: MetricSource
    both: str
    gap: str
    late: str
    nothing: str
    bad: str
    key: str = "instance"
    named: bool = True
    """Whether series have the name of a metric; those made of log lines have none."""
    tells: bool = False
    """Whether there is something to say about a series without labels."""

    def series(self, frame: Frame) -> dict[str, list[float]]:
        return {labels[self.key]: frame.values[row].tolist() for row, labels in enumerate(frame.labels)}


def queries(name: str, **more: str) -> dict[str, str]:
    return {"both": f"{name}both", "gap": f"{name}gap", "late": f"{name}late", "nothing": f"{name}nothing", **more}


async def host() -> Subject:
    def reading(n: int) -> Reading:
        there = tuple(FileSystem(name, "disk", USED[name][n], USABLE) for name in USED if n in PRESENT[name])
        return Reading(monotonic_s=float(n * STEP_S), file_systems=there)

    clock = chain((at(n) for n in range(COUNT)), repeat(at(COUNT - 1)))
    settings = HostSettings(period_s=STEP_S, history_s=COUNT * STEP_S)
    source = HostSource(settings, readings=ScriptedReadings(reading), now=lambda: next(clock))
    for _ in range(COUNT):
        await source.sample()

    def one(name: str) -> str:
        return f'host_disk_used_ratio{{mountpoint="{name}"}}'

    return Subject(source, "host_disk_used_ratio", one("gap"), one("late"), one("nothing"), "sum(", "mountpoint")


def scripted() -> Subject:
    source = ScriptedSource()
    for name in VALUES:
        query = "both" if name in "ab" else name
        present = list(PRESENT[name])
        instants, values = np.array([at(n) for n in present]), np.array([VALUES[name][n] for n in present])
        source.play_array(query, instants, values, {"__name__": f"contract_{query}", "zone": "z", "instance": name})
    source.fail(SourceError("no", failure=SourceFailure.BAD_QUERY, transient=False), query="sum(")
    return Subject(source, bad="sum(", **queries(""))


def lines() -> FakeLoki:
    """The known history as log lines, one a sample, each with its value."""
    loki = FakeLoki()
    for name, values in VALUES.items():
        for n in PRESENT[name]:
            series = "both" if name in "ab" else name
            loki.write(int(at(n)) * SECOND, f"level=info value={values[n]!r}", zone="z", series=series, instance=name)
    return loki


def unwrapped(series: str) -> str:
    return f'max_over_time({{series="{series}"}} | logfmt | unwrap value [{STEP_S}s]) by (instance, zone)'


@pytest.fixture(params=["prometheus", "victoria", "grafana", "scripted", "host", "loki", "grafana-loki"])
async def subject(request) -> AsyncIterator[Subject]:
    if request.param == "loki":
        async with serving(lines()) as url:
            source = LokiSource("loki", HttpSettings(url))
            asked = {name: unwrapped(name) for name in ("both", "gap", "late", "nothing")}
            yield Subject(source, **asked, bad="sum(", named=False, tells=True)
            await source.close()
        return
    if request.param == "grafana-loki":
        grafana = request.getfixturevalue("grafana")
        grafana.set(written=[[line.at_ns, line.text, line.labels] for line in lines().lines[""]])
        async with connected(grafana) as (_, found):
            asked = {name: unwrapped(name) for name in ("both", "gap", "late", "nothing")}
            yield Subject(found["loki"], **asked, bad="sum(", named=False)
        return
    if request.param == "grafana":
        async with connected(request.getfixturevalue("grafana")) as (_, found):
            yield Subject(found["prom"], bad="sum(", **queries("contract_"))
        return
    if request.param == "host":
        made = await host()
    elif request.param == "scripted":
        made = scripted()
    else:
        url = request.getfixturevalue(f"{request.param}_url")
        made = Subject(PrometheusSource("p", HttpSettings(url)), bad="sum(", **queries("contract_"))
    yield made
    await made.source.close()


@pytest.fixture(params=["prometheus", "victoria"])
def url(request) -> str:
    return request.getfixturevalue(f"{request.param}_url")


WHOLE = Window(START, END, STEP)


async def test_values_to_the_last_digit(subject: Subject) -> None:
    frame = await subject.source.query_range(subject.both, WHOLE)
    found = subject.series(frame)
    assert frame.timestamps.tolist() == [at(n) for n in range(COUNT)]
    assert frame.timestamps.dtype == frame.values.dtype == np.float64
    assert {name: found[name] for name in "ab"} == {name: VALUES[name] for name in "ab"}
    assert not frame.dropped
    assert not frame.warnings


async def test_a_gap_stays_a_gap(subject: Subject) -> None:
    [row] = subject.series(await subject.source.query_range(subject.gap, WHOLE)).values()
    for n in (*range(GAP.start), *range(GAP.stop, COUNT)):
        assert row[n] == VALUES["gap"][n]
    # Prometheus goes on for five minutes with the last sample: that is its semantics, not ours.
    assert np.isnan(row[GAP.start + 21 : GAP.stop]).all()


async def test_a_series_that_begins_later(subject: Subject) -> None:
    [row] = subject.series(await subject.source.query_range(subject.late, WHOLE)).values()
    assert np.isnan(row[: LATE.start]).all()
    assert row[LATE.start :] == VALUES["late"][LATE.start :]


async def test_nothing_is_a_frame_without_series(subject: Subject) -> None:
    for query, window in (
        (subject.nothing, WHOLE),
        (subject.both, Window(START - timedelta(days=2), END - timedelta(days=2), STEP)),
    ):
        frame = await subject.source.query_range(query, window)
        assert frame.values.shape == (0, COUNT)
        assert frame.labels == ()


async def test_the_grid_is_the_one_asked_for(subject: Subject) -> None:
    for step_s in (15, 60, 300):
        window = Window.aligned(START_S + 300, START_S + 3000, step_s)
        frame = await subject.source.query_range(subject.both, window)
        assert frame.timestamps.tolist() == list(range(START_S + 300, START_S + 3001, step_s))
        assert not np.isnan(frame.values[[each[subject.key] in "ab" for each in frame.labels]]).any()
    single = await subject.source.query_range(subject.both, Window(END, END, STEP))
    assert [row[0] for name, row in sorted(subject.series(single).items()) if name in "ab"] == [
        VALUES["a"][-1],
        VALUES["b"][-1],
    ]


async def test_labels_are_sorted_and_the_order_of_series_stays(subject: Subject) -> None:
    frames = [await subject.source.query_range(subject.both, WHOLE) for _ in range(3)]
    assert len({frame.labels for frame in frames}) == 1
    for labels in frames[0].labels:
        assert list(labels) == sorted(labels)
        assert ("__name__" in labels) is subject.named
    keys = [labels[subject.key] for labels in frames[0].labels]
    assert keys == sorted(keys)


async def test_new_samples_alone_make_the_same_whole(subject: Subject) -> None:
    whole = subject.series(await subject.source.query_range(subject.both, WHOLE))
    parts: dict[str, list[float]] = {"a": [], "b": []}
    for first in range(0, COUNT, 60):
        window = Window(START + first * STEP, START + (first + 59) * STEP, STEP)
        part = subject.series(await subject.source.query_range(subject.both, window))
        for name in parts:
            parts[name] += part[name]
    assert parts == {name: whole[name] for name in parts}


async def test_a_bad_query_says_so(subject: Subject) -> None:
    with pytest.raises(SourceError) as caught:
        await subject.source.query_range(subject.bad, WHOLE)
    assert caught.value.failure is SourceFailure.BAD_QUERY
    assert not caught.value.transient
    subject.source.check_query(subject.both)
    with pytest.raises(Invalid) as refused:
        subject.source.check_query("  ")
    assert refused.value.field == "query"


async def test_context_is_lines(subject: Subject) -> None:
    context = await subject.source.context(subject.both, Labels(), END)
    assert bool(context) is subject.tells
    assert all("\n" not in each for each in context)


async def test_it_describes_itself_and_its_clock(subject: Subject) -> None:
    described = await subject.source.describe()
    assert described.abilities
    assert all(described.abilities)
    assert described.latency_s is not None
    if described.skew is not None:
        # On one machine there is one clock.
        assert abs(described.skew.ahead_s) <= described.skew.within_s + 0.1
    if subject.source.skew is not None:
        assert not subject.source.skew.beyond(1.0)


async def test_close_twice(subject: Subject) -> None:
    await subject.source.query_range(subject.both, WHOLE)
    await subject.source.close()
    await subject.source.close()


async def test_parts_equal_the_unsplit_window(url: str) -> None:
    source, small = (
        PrometheusSource("p", HttpSettings(url)),
        PrometheusSource("p", HttpSettings(url), QueryLimits(max_points=17)),
    )
    query = '{__name__=~"contract_.*"}'
    whole, parts = await source.query_range(query, WHOLE), await small.query_range(query, WHOLE)
    assert np.array_equal(parts.timestamps, whole.timestamps)
    rows = [parts.labels.index(labels) for labels in whole.labels]
    assert len(rows) == len(parts.labels) == 4
    assert (whole.queries, parts.queries) == (1, -(-COUNT // 17))
    assert parts.size_bytes > whole.size_bytes > whole.samples, "what it cost is the sum of the parts"
    assert np.array_equal(parts.values[rows], whole.values, equal_nan=True)
    await source.close()
    await small.close()


async def test_more_points_than_the_server_gives_at_once(url: str) -> None:
    source = PrometheusSource("p", HttpSettings(url))
    window = Window(START - timedelta(hours=6), END, timedelta(seconds=1))
    assert len(window.grid()) > 2 * 11_000
    frame = await source.query_range("contract_both", window)
    row = frame.values[[labels["instance"] for labels in frame.labels].index("a")]
    assert row[6 * 3600 :: STEP_S].tolist() == VALUES["a"]
    await source.close()


async def test_a_long_query_goes_as_a_form(url: str) -> None:
    source = PrometheusSource("p", HttpSettings(url))
    others = "|".join(f"no{n};" for n in range(800))
    query = f'contract_both{{instance=~"a|{others}"}} + 0'
    frame = await source.query_range(query, WHOLE)
    assert frame.values.tolist() == [VALUES["a"]]
    short = await source.query_range('label_replace(contract_both{instance="a"}, "x", "a;b&c=d %", "", "")', WHOLE)
    assert short.labels[0]["x"] == "a;b&c=d %"
    await source.close()


async def test_odd_values_and_other_results(url: str) -> None:
    source = PrometheusSource("p", HttpSettings(url))
    frame = await source.query_range('contract_both{instance="a"} / 0', WHOLE)
    assert frame.dropped == {"+inf": COUNT - VALUES["a"].count(0.0)}
    assert frame.samples == 0
    assert (await source.query_range("vector(1)", WHOLE)).samples == COUNT
    await source.close()


async def test_the_servers_own_limits_and_wrong_paths(prometheus_url: str, victoria_url: str) -> None:
    wide = QueryLimits(max_points=1_000_000)
    for each in (prometheus_url, victoria_url):
        source = PrometheusSource("p", HttpSettings(each), wide)
        with pytest.raises(SourceError) as caught:
            await source.query_range("contract_both", Window(START - timedelta(hours=20), END, timedelta(seconds=1)))
        assert caught.value.failure is SourceFailure.LIMIT
        await source.close()
        lost = PrometheusSource("p", HttpSettings(f"{each}/nowhere"))
        with pytest.raises(SourceError, match="path prefix") as caught:
            await lost.query_range("up", WHOLE)
        assert caught.value.failure is SourceFailure.NOT_FOUND
        await lost.close()


async def test_probe(prometheus_url: str, victoria_url: str) -> None:
    for each, says in ((prometheus_url, "2."), (victoria_url, "version unknown")):
        source = PrometheusSource("p", HttpSettings(each))
        assert (await source.probe()).startswith(says)
        await source.close()


async def test_the_clock_of_a_server_is_read_from_its_answers_and_by_its_query(
    prometheus_url: str, victoria_url: str
) -> None:
    for url, ahead_s in ((prometheus_url, 120.0), (prometheus_url, -45.0), (victoria_url, 120.0)):
        # Ours is put off, in place of the server's.
        def wrong(ahead_s: float = ahead_s) -> float:
            return time.time() - ahead_s

        source = PrometheusSource("p", HttpClient(HttpSettings(url), now=wrong), now=wrong)
        assert source.skew is None, "nothing was asked yet"
        await source.query_range("contract_both", WHOLE)
        assert source.skew is not None
        assert abs(source.skew.ahead_s - ahead_s) <= source.skew.within_s + 0.1
        assert source.skew.within_s < 5.0
        described = await source.describe()
        assert described.skew is not None
        assert abs(described.skew.ahead_s - ahead_s) <= described.skew.within_s + 0.1
        await source.close()
