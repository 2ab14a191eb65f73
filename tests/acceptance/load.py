"""People and machines who ask a lot: the load of the minute in the tests and of the ten minutes of `make soak`."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import aiohttp

from tests.acceptance.exporter import Rhythm

RHYTHM = Rhythm(series=4, period=40, bad=5)
DATASOURCE = "prometheus"
PAUSE_S = 0.02
"""Between two requests of one asker: under the rate limit of the server."""

QUESTIONS = (
    "/monitoring/status",
    "/monitoring/targets?limit=1000",
    "/monitoring/alerts?state=pending,firing,resolved,expired&limit=100",
    "/monitoring/alerts?min_severity=critical",
    "/monitoring/anomalies?limit=50",
    "/monitoring/anomalies?format=csv&target=load_0",
    "/monitoring/datasources",
    "/monitoring/targets/load_0/series?max_series=4",
    "/monitoring/patterns?target=load_1",
    "/health/ready",
    "/metrics",
)
POINTS = [{"timestamp": f"2025-12-18T19:{n:02}:00Z", "value": 100 + n % 7} for n in range(60)]


@dataclass(slots=True)
class Load:
    """What is done to a server at `url`, from `begin` to `end`; `answers` counts the statuses that came back."""

    url: str
    targets: int = 50
    streams: int = 5
    askers: int = 2
    tolerated: frozenset[int] = frozenset()
    """Statuses that questions which reach the datasource may have beside those of a success."""
    answers: Counter[int] = field(default_factory=Counter)
    events: int = 0
    opened: int = 0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _ending: bool = False
    _session: aiohttp.ClientSession | None = None

    async def begin(self) -> None:
        """Create the targets, open the streams, begin to ask."""
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(self.url, connector=connector, timeout=aiohttp.ClientTimeout(60))
        for n in range(self.targets):
            await self._ask("POST", "/monitoring/targets", self._target(f"load_{n}"), expect=201)
        self._tasks = [asyncio.create_task(self._stream(n)) for n in range(self.streams)]
        self._tasks += [asyncio.create_task(self._asker(n)) for n in range(self.askers)]

    async def drop(self) -> None:
        """Let go of everything at once, whatever became of it; idempotent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def end(self) -> None:
        """Close everything and take the targets away; raises what an asker met.

        Askers finish their round: one broken off between its target and the deletion would leave the target behind.
        """
        self._ending = True
        for task in self._tasks[: self.streams]:
            task.cancel()
        over = await asyncio.gather(*self._tasks, return_exceptions=True)
        for n in range(self.targets):
            await self._ask("DELETE", f"/monitoring/targets/load_{n}", expect=204)
        await self.drop()
        for one in over:
            if isinstance(one, BaseException) and not isinstance(one, asyncio.CancelledError):
                raise one

    def check(self) -> None:
        """Raise what an asker met, if one has ended."""
        for task in self._tasks:
            if task.done():
                task.result()

    @staticmethod
    def _target(name: str) -> dict[str, object]:
        return {
            "name": name,
            "query": name,
            "datasource_uid": DATASOURCE,
            "check_interval": 1,
            "step": 1,
            # What comes again and again is told each time by the named methods alone, and by a fixed threshold.
            "detection_methods": ["zscore", "iqr", "mad"],
            "direction": "above",
            "sigma_threshold": 5.5,
            "lookback": 120,
            "keep_firing_for": 3,
            "severity_threshold": "critical",
            "min_effect": 100,
            "history": 600,
        }

    async def _ask(self, method: str, path: str, body: object = None, *, expect: int | None = None) -> None:
        assert self._session is not None
        async with self._session.request(method, path, json=body) as answer:
            text = await answer.text()
            self.answers[answer.status] += 1
            wrong = answer.status >= 500 or (expect is not None and answer.status != expect)
            if wrong and answer.status not in self.tolerated:
                raise AssertionError(f"{method} {path}: {answer.status} {text[:500]}")

    async def _asker(self, number: int) -> None:
        chance = random.Random(number)
        turn = 0
        while not self._ending:
            turn += 1
            await self._ask("GET", chance.choice(QUESTIONS))
            if turn % 10 == 0:
                await self._ask("POST", "/monitoring/analyze", {"metric_name": "load", "data_points": POINTS})
                await self._ask("POST", f"/monitoring/alerts/load_{turn % self.targets}/acknowledge", {"who": "load"})
            if turn % 25 == 0:
                extra = f"extra_{number}"
                await self._ask("POST", "/monitoring/targets", self._target(extra), expect=201)
                await self._ask("POST", f"/monitoring/targets/{extra}/check")
                await self._ask("DELETE", f"/monitoring/targets/{extra}", expect=204)
            await asyncio.sleep(PAUSE_S)

    async def _stream(self, number: int) -> None:
        """Open the stream of transitions, read for a while, close it in the middle, again and again."""
        assert self._session is not None
        chance = random.Random(number)
        while True:
            async with self._session.get("/monitoring/stream", timeout=aiohttp.ClientTimeout(None)) as answer:
                assert answer.status == 200, answer.status
                self.opened += 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(chance.uniform(0.2, 4.0)):
                        async for line in answer.content:
                            self.events += line.startswith(b"event: transition")


def misjudged(alerts: Iterable[Mapping[str, object]], rhythm: Rhythm) -> list[str]:
    """The alerts of series whose first anomalous sample is none by the rhythm; alerts as the API answers them."""
    wrong = []
    for alert in alerts:
        labels = alert["labels"]
        assert isinstance(labels, dict)
        name = labels.get("__name__")
        if name is None:
            continue  # That of the datasource.
        at = datetime.fromisoformat(str(alert["active_at"])).timestamp()
        row = int(labels["instance"].removeprefix("host-"))
        if rhythm.value(name, row, at) < rhythm.height:
            wrong.append(f"{alert['id']} at {alert['active_at']}")
    return wrong


def told_twice(alerts: Iterable[Mapping[str, object]]) -> list[str]:
    """Alerts of one series that overlap: the later one should not have begun."""
    by_series: dict[str, list[tuple[str, str, str]]] = {}
    for alert in alerts:
        key = f"{alert['target_name']} {sorted(dict(alert['labels']).items())}"  # type: ignore[call-overload]
        by_series.setdefault(key, []).append((str(alert["active_at"]), str(alert["ends_at"] or "9"), str(alert["id"])))
    twice = []
    for spans in by_series.values():
        spans.sort()
        twice += [later[2] for before, later in pairwise(spans) if later[0] <= before[1]]
    return twice


def unwell(targets: Iterable[Mapping[str, object]]) -> list[str]:
    """Those of the load's own targets that are not ready, and why; targets as the API answers them. The askers' extra
    ones come and go.
    """
    wrong = []
    for target in targets:
        state = target["state"]
        assert isinstance(state, dict)
        if str(target["name"]).startswith("load_") and state["state"] != "ready":
            wrong.append(f"{target['name']}: {state['state']}, {state['reason']}")
    return wrong


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds at one moment. `tasks` are those with a name, `unnamed` how many have none; `database`:
    descriptors of the pooled connections to SQLite.
    """

    tasks: tuple[str, ...]
    unnamed: int
    sockets: int
    database: int
    others: tuple[str, ...]

    @classmethod
    def now(cls) -> "Held":
        """Count; the descriptor that does the counting is left out."""
        sockets, database, others = 0, 0, []
        for entry in Path("/proc/self/fd").iterdir():
            try:
                leads_to = str(entry.readlink())
            except OSError:
                continue
            if leads_to.startswith("socket:"):
                sockets += 1
            elif "tocsin.db" in leads_to:
                database += 1
            else:
                others.append(leads_to.partition(":")[0])
        tasks = sorted(task.get_name() for task in asyncio.all_tasks() if not task.get_name().startswith("Task-"))
        unnamed = sum(task.get_name().startswith("Task-") for task in asyncio.all_tasks())
        return cls(tuple(tasks), unnamed, sockets, database, tuple(sorted(others)))

    def within(self, before: "Held") -> bool:
        """Whether no more is held than before. The pool of the database may have filled; it has a size of its own."""
        return (
            self.tasks == before.tasks
            and self.unnamed <= before.unnamed
            and self.sockets <= before.sockets
            and len(self.others) <= len(before.others)
        )


async def comes_back(
    before: Held, within_s: float, now: Callable[[], Held] = Held.now, *, database: int | None = None
) -> Held:
    """Wait until no more is held than before, and at most `database` descriptors of the database, which its threads
    close a moment after they were told to; an AssertionError that shows both when it never is.
    """
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        held = now()
        if held.within(before) and (database is None or held.database <= database):
            return held
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"after {within_s:g} s more is held than before:\n  before {before}\n  now    {held}")
        await asyncio.sleep(0.25)
