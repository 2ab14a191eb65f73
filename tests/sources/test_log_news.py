"""A template that was never seen before is told once."""

import numpy as np
import pytest

from tests.loki import FakeLoki, serving
from tests.sources.test_log_templates import ASKED, HOUR, MINUTE, QUERY, START, calm, line, push, rows
from tocsin.domain.frame import Window
from tocsin.domain.log_signal import LogSignal
from tocsin.domain.ports import AlertFilter, Page
from tocsin.domain.target import QueryType, Target
from tocsin.monitor.clock import ManualClock
from tocsin.monitor.commit import Committer
from tocsin.monitor.evaluate import Evaluator
from tocsin.monitor.gate import Gate
from tocsin.monitor.metrics import Metrics
from tocsin.monitor.watch import Watch, not_evaluated
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.loki import LokiSource
from tocsin.sources.template_miner import NEW
from tocsin.store.memory import MemoryStore

NAME = "ERROR disk sda<*> failed"
BAD = [line(minute, 40 + n, f"ERROR disk sda{n} failed") for minute in range(80, 200) for n in range(12)]


@pytest.mark.parametrize("every", [1, 20])
async def test_it_is_one_alert_with_its_examples(every):
    fake, store, clock = FakeLoki(), MemoryStore(), ManualClock(START)
    push(fake, [*calm(-20, 200), line(61, 3, "ERROR disk sda9 failed"), *BAD])
    target = Target(
        "lines",
        QUERY,
        "loki",
        query_type=QueryType.LOKI,
        log_signal=LogSignal.TEMPLATES,
        step=MINUTE,
        check_interval=every * MINUTE,
        lookback=60 * MINUTE,
        history=0 * MINUTE,
    )
    watch = Watch(target, not_evaluated(target, START))
    evaluator = Evaluator(clock, Committer(store, lambda: None), Metrics())
    async with serving(fake) as url:
        source = LokiSource("loki", HttpSettings(url))
        gate = Gate(source, clock)
        for minute in range(59, 190, every):
            clock.jump_to(START + minute * MINUTE)
            assert await evaluator.evaluate(watch, gate, clock.now()), watch.status.reason
        await source.close()
    [record] = (await store.alerts(AlertFilter(), Page())).items
    assert dict(record.alert.labels) == {"template": NEW}
    story = await store.alert(record.alert.id)
    assert any("never seen before" in note for piece in story.evidence for note in piece.context)


async def test_its_own_series_begins_when_it_is_no_news():
    fake = FakeLoki()
    push(fake, [*calm(-20, 200), *BAD])
    async with serving(fake) as url:
        source = LokiSource("loki", HttpSettings(url))
        await source.query_range(ASKED, HOUR)
        first = rows(await source.query_range(ASKED, Window(START + 60 * MINUTE, START + 100 * MINUTE, MINUTE)))
        later = rows(await source.query_range(ASKED, Window(START + 101 * MINUTE, START + 180 * MINUTE, MINUTE)))
        await source.close()
    assert (NAME in first, first[NEW][30]) == (False, 12.0)
    assert np.isnan(later[NAME][:38]).all(), "not zero: that it is there then would be an anomaly"
    assert (later[NAME][42:] == 12.0).all()
    assert not later[NEW][42:].any()
