"""Templates of lines: what is mined, what is kept, what is never kept, and the series made of them."""

import asyncio
import json
import random
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tests.broken import break_package
from tests.loki import SECOND, FakeLoki, serving
from tocsin.domain.errors import Invalid, LimitExceeded, SourceError, StoreError
from tocsin.domain.frame import Frame, Window
from tocsin.domain.labels import Labels
from tocsin.domain.log_signal import LogSignal, asked
from tocsin.domain.logs import LogLine, LogPage
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.log_templates import TemplateCounts
from tocsin.sources.loki import LokiSource
from tocsin.sources.template_miner import MAX_OWN, MAX_TEMPLATES, NEW, OTHER, Miner
from tocsin.sources.template_shelf import MAX_QUERIES, Shelf
from tocsin.store.memory import MemoryStore

START_S = 1_795_400_400
START = datetime.fromtimestamp(START_S, UTC)
MINUTE = timedelta(minutes=1)
HOUR = Window(START, START + 59 * MINUTE, MINUTE)
QUERY = '{app="web"}'
ASKED = asked(QUERY, LogSignal.TEMPLATES, 60)
DAY_NS = 86400 * SECOND


def line(minute, second, text):
    return int((START_S + 60 * minute - 59 + second) * SECOND) + 5, text


def push(loki, lines):
    for at_ns, text in lines:
        loki.write(at_ns, text, app="web")


def calm(first, last):
    chance = random.Random(first)
    texts = ("GET /item/{} 200 in {} ms", "connection from 10.0.0.{} accepted {}", "cache hit for key k{} ({} bytes)")
    return [
        line(minute, second, texts[second % 3].format(chance.randrange(255), chance.randrange(10**6)))
        for minute in range(first, last)
        for second in range(0, 30, 2)
    ]


@pytest.fixture
async def fake():
    return FakeLoki()


@pytest.fixture
async def source(fake):
    async with serving(fake) as url:
        made = LokiSource("loki", HttpSettings(url))
        yield made
        await made.close()


def rows(frame):
    return {labels["template"]: row for labels, row in zip(frame.labels, frame.values, strict=True)}


async def test_each_line_is_counted_once_under_its_template(fake, source):
    push(fake, calm(-20, 60))
    found = rows(await source.query_range(ASKED, HOUR))
    assert set(found) == {
        "GET /item/<*> <*> in <*> ms",
        "connection from <*> accepted <*>",
        "cache hit for key k<*> (<*> bytes)",
        NEW,
        OTHER,
    }
    assert all((row == 5.0).all() for name, row in found.items() if name not in (NEW, OTHER))
    assert not found[NEW].any()
    assert not found[OTHER].any()


async def test_a_template_never_seen_before_is_news_for_an_hour_with_examples(fake, source):
    push(fake, calm(-20, 60))
    await source.query_range(ASKED, HOUR)
    push(fake, calm(60, 200))
    bad = "ERROR disk /dev/sda{} failed, password=hunter2 see http://evil.example/x?ignore=previous \x1b[31m"
    push(fake, [line(minute, 40 + n, bad.format(n)) for minute in range(65, 140) for n in range(12)])
    later = Window(START + 60 * MINUTE, START + 150 * MINUTE, MINUTE)
    frame = await source.query_range(ASKED, later)
    found = rows(frame)
    name = "ERROR disk /dev/sda<*> failed, password=*** see <link> [<*>m"
    assert found[NEW][:5].tolist() == [0.0] * 5
    assert (found[NEW][5:64] == 12.0).all()
    assert not found[NEW][66:].any(), "after an hour it is no news"
    assert np.isnan(found[name][:65]).all(), "it is told once"
    assert found[name][66:80].tolist() == [12.0] * 14
    said = await source.context(ASKED, Labels({"template": NEW}), START + 70 * MINUTE)
    assert said == (f'never seen before: "{name}", as in: "{bad.format(11)[:28]}, password=*** see <link> [31m"',)
    [shown] = await source.context(ASKED, Labels({"template": "GET /item/<*> <*> in <*> ms"}), START)
    assert shown.startswith('a line of it: "GET /item/')
    assert await source.context("vector(1)", Labels(), START) == ()


async def test_what_comes_every_few_hours_is_no_news(fake, source):
    push(fake, [*calm(-20, 61), line(-500, 0, "nightly backup done"), line(60, 0, "nightly backup done")])
    await source.query_range(ASKED, HOUR)
    found = rows(await source.query_range(ASKED, Window(START + 60 * MINUTE, START + 60 * MINUTE, MINUTE)))
    assert found["nightly backup done"].tolist() == [1.0]
    assert found[NEW].tolist() == [0.0]


async def test_silence_is_zero_and_then_a_gap(fake, source):
    push(fake, calm(-20, 20))
    row = rows(await source.query_range(ASKED, HOUR))["connection from <*> accepted <*>"]
    assert (row[20:33] == 0.0).all()
    assert np.isnan(row[36:]).all()
    assert (await source.query_range(asked('{app="no"}', LogSignal.TEMPLATES, 60), HOUR)).labels == ()


async def test_more_lines_than_are_read_are_estimated_and_that_is_said(fake, source):
    many = [line(5, 0, f"request {n} done") for n in range(6000)]
    spread = [(at_ns + n * 1000, text) for n, (at_ns, text) in enumerate(many)]
    edge = (START_S + 300) * SECOND, "the edge of a step"
    push(fake, [*calm(-20, 60), *spread, edge])
    frame = await source.query_range(ASKED, HOUR)
    found = rows(frame)
    assert any("2," in each and "estimated" in each for each in frame.warnings)
    assert frame.partial
    total = sum(row[5] for row in found.values())
    assert abs(total - 6016) <= 5
    assert found["the edge of a step"].sum() == found["the edge of a step"][5] == 3.0, "it belongs to one step"
    assert found["request <*> done"][4] == 0.0


async def test_a_failure_is_an_error_and_nothing_is_taken_for_known(fake, source):
    push(fake, calm(-20, 60))
    await source.query_range('sum(count_over_time({app="web"} [60000ms]))', HOUR)
    fake.max_entries = 0
    with pytest.raises(SourceError, match="max entries"):
        await source.query_range(ASKED, HOUR)
    fake.max_entries = 5000
    assert not rows(await source.query_range(ASKED, HOUR))[NEW].any()


def test_what_cannot_be_watched(source):
    source.check_query(ASKED)
    with pytest.raises(Invalid, match="control characters") as caught:
        source.check_query(asked('{app="\x07"}', LogSignal.TEMPLATES, 60))
    assert caught.value.field == "query"


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    source = LokiSource("loki", HttpSettings("http://x"))
    monkeypatch.setitem(sys.modules, "drain3", None)
    with pytest.raises(Invalid, match="tocsin\\[logs\\]") as caught:
        source.check_query(ASKED)
    assert caught.value.field == "log_signal"
    source.check_query('sum(count_over_time({app="web"}[1m]))')


async def test_a_long_window_is_read_in_parts(fake, source):
    push(fake, [line(minute, 30, f"GET /item/{minute} done") for minute in range(2000)])
    frame = await source.query_range(ASKED, Window(START, START + 1999 * MINUTE, MINUTE))
    row = rows(frame)["GET /item/<*> done"]
    assert len(row) == 2000
    assert (row[1:] == 1.0).all()


async def test_a_look_at_the_past_changes_nothing_of_what_is_known(fake, source):
    push(fake, calm(-2900, 130))
    push(fake, [line(-2000, 40, "FATAL: it was there two days ago")])
    await source.query_range(ASKED, HOUR)
    old = Window(START - 2100 * MINUTE, START - 1900 * MINUTE, MINUTE)
    assert rows(await source.query_range(ASKED, old))[NEW].sum() == 1.0, "new to the past"
    following = Window(START - 1899 * MINUTE, START - 1840 * MINUTE, MINUTE)
    push(fake, [line(-1870, 40, "FATAL: it was there two days ago")])
    assert rows(await source.query_range(ASKED, following))[NEW].sum() == 0.0, "known since the part before"
    push(fake, [line(60, 40, "FATAL: it was there two days ago")])
    now = rows(await source.query_range(ASKED, Window(START + 60 * MINUTE, START + 61 * MINUTE, MINUTE)))
    assert now[NEW].tolist() == [1.0, 0.0]


async def test_without_streams_the_day_before_is_not_read_again_and_again(fake, source):
    await source.query_range(asked('{app="no"}', LogSignal.TEMPLATES, 60), HOUR)
    before = len(fake.asked)
    assert (await source.query_range(asked('{app="no"}', LogSignal.TEMPLATES, 60), HOUR)).queries < 5
    assert len(fake.asked) - before < 5


async def test_an_extra_that_is_gone_is_said_as_such(source, monkeypatch):
    monkeypatch.setitem(sys.modules, "drain3", None)
    with pytest.raises(SourceError, match="tocsin\\[logs\\]"):
        await source.query_range(ASKED, HOUR)


async def test_an_extra_that_cannot_be_imported_is_said_as_such(source, monkeypatch, tmp_path):
    break_package(monkeypatch, tmp_path, "drain3", "OSError('no such library')")
    words = "drain3, which is installed and cannot be imported: OSError: no such library"
    with pytest.raises(Invalid, match=words) as caught:
        source.check_query(ASKED)
    assert caught.value.field == "log_signal"
    with pytest.raises(SourceError, match=words):
        await source.query_range(ASKED, HOUR)


class ManyLines:
    """A source of one step with as many lines as are read of it, all different."""

    async def query_range(self, query, window):
        return Frame(window.grid(), np.full((1, window.count), 4000.0), (Labels(),))

    async def query_logs(self, query, start, end, limit):
        at = START_S * SECOND
        words = ("".join(random.Random(n).choices("abcdefgh", k=8)) for n in range(10**6))
        lines = tuple(LogLine(at, Labels(), " ".join(next(words) for _ in range(20))) for _ in range(1000))
        return LogPage(lines, complete=False, total=4000)


async def test_who_gives_up_leaves_no_thread_behind():
    shelf = Shelf("loki", None)
    counts = TemplateCounts(ManyLines(), shelf)
    task = asyncio.create_task(counts.frame(QUERY, Window(START, START, MINUTE)))
    while (miner := shelf.known(QUERY)) is None or not miner.changed:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    known = miner.text()
    await asyncio.sleep(0.2)
    assert miner.text() == known, "nobody goes on behind its back"


async def test_what_was_learnt_outlives_the_process(fake):
    store = MemoryStore()
    push(fake, calm(-20, 70))
    async with serving(fake) as url:
        first = LokiSource("loki", HttpSettings(url), kept=store)
        before = set(rows(await first.query_range(ASKED, HOUR)))
        await first.close()
        push(fake, [line(60, 40, "something new happened")])
        second = LokiSource("loki", HttpSettings(url), kept=store)
        found = rows(await second.query_range(ASKED, Window(START + 60 * MINUTE, START + 61 * MINUTE, MINUTE)))
        await second.close()
    assert set(found) == before
    assert found[NEW].tolist() == [1.0, 0.0]


class Full(MemoryStore):
    async def save_setting(self, key, value):
        raise StoreError("disk full")


async def test_a_store_that_is_full_does_not_stop_the_counting(fake):
    push(fake, calm(-20, 70))
    async with serving(fake) as url:
        source = LokiSource("loki", HttpSettings(url), kept=Full())
        frame = await source.query_range(ASKED, HOUR)
        await source.close()
    assert len(frame.labels) == 5
    assert frame.warnings == ("templates are not kept, a restart learns anew: disk full",)
    assert not frame.partial


def mined(texts, miner=None, at=START_S * SECOND):
    miner = miner or Miner(QUERY)
    keys = miner.mine([(at + n, text) for n, text in enumerate(texts)])
    miner.settle(Counter(keys))
    return miner


def test_what_is_kept_is_json_of_ours_without_secrets():
    texts = [
        "login of ann@example.org with token=abcdef123 ok",
        "Authorization: Bearer eyJhbGciOi.eyJzdWIiOiIx.c2ln sent",
        "paid with 4111 1111 1111 1111 at https://bank.example/a?b=c",
        "key AKIAABCDEFGHIJKLMNOP used",
        '{"level":"error","msg":"secret: hunter2 lost","n":5}',
    ]
    text = mined(texts).text()
    state = json.loads(text)
    assert state["version"] == 1
    assert "error secret: *** lost" in {each["name"] for each in state["templates"]}
    for secret in ("ann@", "abcdef", "eyJ", "4111", "bank", "AKIA", "hunter2"):
        assert secret not in text
    again = Miner.of(text)
    assert json.loads(again.text()) == state
    assert again.names() == mined(texts).names()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version":2,"query":"x","asked":0,"seeded":true,"templates":[]}'])
def test_what_cannot_be_read_is_not_guessed(text):
    assert Miner.of(text) is None


def test_a_template_keeps_its_name_when_it_becomes_more_general():
    miner = mined(["user ann logged in from home"] * 3)
    [name] = [each for each in miner.names() if each not in (NEW, OTHER)]
    keys = miner.mine([(START_S * SECOND, "user bob logged in from home")])
    assert miner.name(keys[0]) == name == "user ann logged in from home"
    again = Miner.of(miner.text())
    assert again.name(again.mine([(START_S * SECOND, "user eve logged in from home")])[0]) == name


def test_state_is_bounded_whatever_is_written():
    chance = random.Random(5)
    words = ["".join(chance.choice("abcdefghij") for _ in range(8)) for _ in range(3000)]
    miner = mined(
        [" ".join(chance.sample(words, 1 + n % 20)) for n in range(5000)] + ["x" * 10**6, "{" * 1000, "", "\x00"]
    )
    assert len(json.loads(miner.text())["templates"]) <= MAX_TEMPLATES
    assert len(miner.names()) <= MAX_OWN + 2
    assert len(miner.text()) < 500_000
    late = START_S * SECOND + DAY_NS
    miner.seeded = True
    [key] = miner.mine([(late, "quite another line")])
    assert miner.is_new(key, late), "a flood does not hide what is new"
    assert miner.settle(Counter([key])) == 1, "and it is said what went for it"
    assert len(json.loads(miner.text())["templates"]) == MAX_TEMPLATES
    flood = miner.mine([(late + n, " ".join(chance.sample(words, 7))) for n in range(1000)])
    assert flood.count(0) > 500, "in one answer no more than that"


def test_lines_that_no_decoder_follows_are_lines():
    for text in ('{"a":' * 5000, '{"msg":' + "[" * 5000, "\ud800 alone", '{"msg":"\\ud800"}'):
        assert mined([text]).names()[0] not in (NEW, OTHER)


def test_a_line_cannot_be_called_like_what_counts_others():
    miner = mined([NEW, OTHER])
    assert miner.names() == [f"[{NEW}]", f"[{OTHER}]", NEW, OTHER]


def test_templates_unseen_for_a_week_make_room():
    miner = mined(["an old line", "a line that stays here"])
    mined(["a line that stays here"], miner, at=START_S * SECOND + 8 * DAY_NS)
    assert miner.names() == ["a line that stays here", NEW, OTHER]


async def test_places_are_bounded_and_given_up_after_a_day():
    shelf = Shelf("loki", MemoryStore())
    for n in range(MAX_QUERIES):
        await shelf.miner(f"q{n}", n)
    with pytest.raises(LimitExceeded, match="20 queries"):
        await shelf.miner("more", DAY_NS)
    assert (await shelf.miner("more", DAY_NS + 1)).query == "more"
    assert shelf.known("q0") is None
    assert shelf.known("q1") is not None


def test_a_line_with_quotes_of_its_own_gets_no_others():
    miner = Miner("q")
    miner.mine([(n, f'level=info msg="order {n} is kept"') for n in range(3)])
    (name,) = {each.name for each in miner._known.values()}
    (said,) = miner.says(name, 3, 5)
    assert said.startswith('a line of it: level=info msg="order ')
    assert '""' not in said
