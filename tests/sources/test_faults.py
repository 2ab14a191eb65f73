"""A real Prometheus behind a proxy that breaks its answers: for each fault the state of the target, its words, and that
nothing of it is judged: once it is over, what is known is to the last digit what it would be without it.
"""

import contextlib
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from tests.faults import GIGABYTE, Fault, FaultProxy, faulty
from tests.sources.history import END, START, STEP
from tocsin.domain.target import Target, TargetState
from tocsin.monitor.clock import ManualClock
from tocsin.monitor.commit import Committer
from tocsin.monitor.evaluate import Evaluator
from tocsin.monitor.gate import Gate
from tocsin.monitor.metrics import Metrics
from tocsin.monitor.watch import Watch, not_evaluated
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.prometheus import PrometheusSource
from tocsin.store.memory import MemoryStore

BEFORE, AFTER = START + timedelta(minutes=40), START + timedelta(minutes=50)
TIMEOUT_S = 30.0
HASTY_S = 2.0
"""Where a fault is that nothing comes: long enough for the answers before and after it."""

LIMIT_BYTES = 1_000_000
WATCHED = Target(
    "both",
    "contract_both",
    "prom",
    check_interval=STEP,
    step=STEP,
    lookback=timedelta(minutes=30),
    history=timedelta(0),
)
SETTINGS = HttpSettings(
    "http://127.0.0.1:1",
    timeout_s=TIMEOUT_S,
    max_response_bytes=LIMIT_BYTES,
    retries=1,
    bearer_token="secret-of-the-first-host",
)


@dataclass
class Scene:
    """One target of a source behind a URL, evaluated when a test says so."""

    settings: HttpSettings

    def __post_init__(self) -> None:
        self.clock = ManualClock(BEFORE)
        self.store = MemoryStore()
        self.source = PrometheusSource("prom", self.settings)
        self.gate = Gate(self.source, self.clock)
        self.watch = Watch(WATCHED, not_evaluated(WATCHED, BEFORE))
        self.evaluator = Evaluator(self.clock, Committer(self.store, lambda: None), Metrics())

    async def evaluate(self, at: datetime) -> bool:
        self.clock.jump_to(at)
        return await self.evaluator.evaluate(self.watch, self.gate, at)

    def known(self) -> tuple[object, ...]:
        memory = self.watch.memory
        return memory.labels, memory.timestamps.tolist(), memory.values.tobytes(), memory.learn.tobytes()


@contextlib.asynccontextmanager
async def behind(proxy: FaultProxy, timeout_s: float = TIMEOUT_S):
    scene = Scene(replace(SETTINGS, url=proxy.url, timeout_s=timeout_s))
    try:
        yield scene
    finally:
        await scene.source.close()


async def without_fault(url: str) -> tuple[object, ...]:
    twin = Scene(replace(SETTINGS, url=url))
    assert await twin.evaluate(BEFORE)
    assert await twin.evaluate(AFTER)
    await twin.source.close()
    return twin.known()


EXPECTED = {
    Fault.RESET_AT_ONCE: ("unreachable", r"127.0.0.1:\d+: (the connection ended before|connection reset)"),
    Fault.RESET_MID_BODY: ("unreachable", r"(the connection ended before the whole answer had come|reset)"),
    Fault.SLOW_HEADERS: ("timeout", r"did not answer within 2 s: no answer has begun"),
    Fault.SLOW_BODY: ("timeout", r"did not answer within 2 s: of the answer [\d,]+ bytes had come"),
    Fault.STATUS_500: ("server_error", r"HTTP 500, the server failed: out of order"),
    Fault.STATUS_502: ("server_error", r"HTTP 502, the server failed: out of order"),
    Fault.STATUS_503: ("server_error", r"HTTP 503, the server failed: out of order"),
    Fault.STATUS_429: ("rate_limited", r"HTTP 429, the server is asked too often: out of order"),
    Fault.STATUS_401: ("unauthorized", r"HTTP 401, the credentials are missing or refused: out of order"),
    Fault.HTML: ("bad_answer", r"HTML instead of JSON; is this a login page"),
    Fault.EMPTY: ("bad_answer", r"bad answer: it is empty"),
    Fault.NO_HTTP: ("bad_answer", r"the answer is not HTTP that can be understood"),
    Fault.TRUNCATED: ("bad_answer", r"its JSON is cut or damaged"),
    Fault.STATUS_ERROR: ("server_error", r"the server could not answer: the disk is gone"),
    Fault.GIGABYTE: ("limit", r"the answer is larger than 1,000,000 bytes; .* raise max_bytes of the datasource"),
    Fault.TWICE: ("bad_answer", r"the series .*contract_both.* comes twice"),
    Fault.OUT_OF_ORDER: ("bad_answer", r"has the sample at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC out of order"),
    Fault.TIME_JUMP: ("bad_answer", r"which is not on the grid"),
    Fault.REDIRECT: ("bad_answer", r"redirects to another server \(http://elsewhere.invalid\)"),
}


@pytest.mark.parametrize("fault", list(EXPECTED), ids=lambda fault: fault.name.lower())
async def test_a_fault_is_the_targets_error_and_nothing_of_it_is_judged(fault, prometheus_url):
    failure, words = EXPECTED[fault]
    timeout_s = HASTY_S if failure == "timeout" else TIMEOUT_S
    async with faulty(prometheus_url) as proxy, behind(proxy, timeout_s) as scene:
        assert await scene.evaluate(BEFORE)
        known, cursor = scene.known(), scene.watch.cursor
        proxy.choose = lambda _path: fault
        assert not await scene.evaluate(AFTER)
        status = scene.watch.status
        assert status.state is TargetState.ERROR
        assert scene.gate.last_failure.value == failure or failure == "limit"
        assert re.search(words, status.reason), status.reason
        assert "secret-of-the-first-host" not in status.reason
        assert (scene.known(), scene.watch.cursor) == (known, cursor), "frozen as it was"
        assert scene.store.saves == 0
        proxy.choose = lambda _path: None
        assert await scene.evaluate(AFTER)
        assert scene.watch.status.state is TargetState.READY
        assert scene.known() == await without_fault(prometheus_url), "what was missed is judged then"


def test_every_fault_has_its_expectation():
    assert set(EXPECTED) | {Fault.CONTENT_TYPE, Fault.ODD_VALUES} == set(Fault)


async def test_a_gigabyte_is_stopped_at_the_limit(prometheus_url):
    async with faulty(prometheus_url) as proxy, behind(proxy) as scene:
        proxy.choose = lambda _path: Fault.GIGABYTE
        assert not await scene.evaluate(BEFORE)
        assert proxy.counts[Fault.GIGABYTE] == 1, "it is not asked for again"
        assert proxy.sent < GIGABYTE // 64


async def test_refused_is_said_and_over_when_it_listens_again(prometheus_url):
    async with faulty(prometheus_url) as proxy, behind(proxy) as scene:
        assert await scene.evaluate(BEFORE)
        await proxy.down()
        assert not await scene.evaluate(AFTER)
        assert scene.watch.status.state is TargetState.ERROR
        assert "connection refused" in scene.watch.status.reason
        await proxy.up()
        assert await scene.evaluate(AFTER)
        assert scene.known() == await without_fault(prometheus_url)


async def test_a_name_that_cannot_be_resolved():
    scene = Scene(replace(SETTINGS, url="http://prometheus.invalid:9090", timeout_s=10.0, retries=0))
    assert not await scene.evaluate(BEFORE)
    assert scene.watch.status.state is TargetState.ERROR
    assert scene.watch.status.reason == "the name prometheus.invalid cannot be resolved"
    await scene.source.close()


async def test_another_content_type_is_still_an_answer(prometheus_url):
    async with faulty(prometheus_url) as proxy, behind(proxy) as scene:
        proxy.choose = lambda _path: Fault.CONTENT_TYPE
        assert await scene.evaluate(BEFORE)
        assert await scene.evaluate(AFTER)
        assert scene.known() == await without_fault(prometheus_url)


async def test_odd_values_are_gaps_that_are_counted_and_told(prometheus_url):
    async with faulty(prometheus_url) as proxy, behind(proxy) as scene:
        assert await scene.evaluate(BEFORE)
        proxy.choose = lambda _path: Fault.ODD_VALUES
        assert await scene.evaluate(AFTER)
        memory = scene.watch.memory
        new = memory.timestamps > BEFORE.timestamp()
        assert np.isnan(memory.values[0, new]).all(), "never judged as numbers, never zero"
        assert not np.isnan(memory.values[1, new]).any()
        assert any("read as gaps: " in warning for warning in scene.watch.status.warnings)
        assert scene.watch.status.state is TargetState.READY


async def test_the_end_of_the_history_is_after_what_is_played_here():
    assert AFTER < END
