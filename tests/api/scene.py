"""An API with all it stands on, and words for what happens in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx

from tests.api.fakes import CPU, T0, FakeMonitor
from tocsin.api import Limits, Readiness, Security, Services, create_app
from tocsin.detect import Severity
from tocsin.domain.alert import Alert, AlertKind, AlertState, Reason, Transition, alert_id
from tocsin.domain.anomaly import Anomaly, Evidence
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels
from tocsin.monitor.clock import ManualClock
from tocsin.store.memory import MemoryStore

JSON = {"Content-Type": "application/json"}
EXAMPLE = {
    "name": "custom_metric",
    "query": "your_promql_query",
    "datasource_uid": "prometheus-uid",
    "query_type": "prometheus",
    "check_interval": 300,
    "detection_methods": ["zscore", "iqr"],
    "severity_threshold": "medium",
    "enabled": True,
}


class Scene:
    """One application over a memory store, a fake monitor and a clock that stands still."""

    def __init__(self, **security: Any) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock(T0)
        self.monitor = FakeMonitor(self.store, self.clock)
        self.stopping = asyncio.Event()
        self.readiness = Readiness(ready=True)
        self.services = Services(
            monitor=self.monitor,
            history=self.store,
            log=self.store,
            clock=self.clock,
            metrics=lambda: b"tocsin_up 1\n",
            ready=self._ready,
            stopping=self.stopping,
            version="0.0.test",
            security=Security(**{"limits": Limits(heartbeat_s=0.05), **security}),
        )
        self.app = create_app(self.services)
        self.client = client_of(self.app)

    async def _ready(self) -> Readiness:
        return self.readiness

    async def happen(self, *alerts: Alert, anomalies: tuple[Anomaly, ...] = ()) -> None:
        """Save alerts, each with the transition that brought it here, and ring the bell."""
        moves = tuple(
            Transition(one.id, one.updated_at, None, one.state, Reason.ANOMALOUS, one.severity, one.value, one.sigma)
            for one in alerts
        )
        pictures = tuple(picture(one.evidence_id) for one in alerts if one.evidence_id)
        await self.store.save_evaluations([Evaluation("cpu", T0, anomalies, alerts, moves, pictures)])
        self.services.wake.ring()


def client_of(app: Any, **options: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, **options)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:8000")


def alert(target: str = "cpu", at: datetime = T0, labels: Labels = CPU, **changes: Any) -> Alert:
    made = Alert(
        id=alert_id(target, labels, at),
        kind=AlertKind.ANOMALY,
        target_name=target,
        labels=labels,
        state=AlertState.FIRING,
        severity=Severity.HIGH,
        active_at=at,
        last_anomalous_at=at,
        updated_at=at,
        value=250.0,
        expected_value=101.6,
        sigma=4.9,
        confidence=0.99,
        methods=("zscore",),
        summary=f"{target}: unusual",
        explanation="far above",
        starts_at=at,
        anomaly_count=3,
    )
    return replace(made, **changes)


def anomaly(number: int = 0, **changes: Any) -> Anomaly:
    made = Anomaly(
        id=f"anomaly-{number}",
        target_name="cpu",
        labels=CPU,
        timestamp=T0 - timedelta(minutes=number),
        value=-5.5,
        expected_value=1.0,
        lower=0.0,
        upper=2.0,
        sigma=-4.2,
        severity=Severity.HIGH,
        confidence=0.9,
        method="mad",
        methods=("mad", "iqr"),
        explanation="far below",
        query="-rate(up[1m])",
        window=Window(T0, T0, timedelta(minutes=1)),
    )
    return replace(made, **changes)


def picture(name: str) -> Evidence:
    window = Window(T0, T0 + timedelta(minutes=1), timedelta(minutes=1))
    two = (1.0, None)
    return Evidence(
        name, "up", "prometheus-uid", window, ("mad",), (0.0, 60.0), two, two, two, two, (1.0, float("inf"))
    )


def is_problem(answer: httpx.Response, status: int, *fields: str) -> str:
    """The detail of a problem document that has this status and names these fields."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    problem = answer.json()
    assert set(problem) >= {"type", "title", "status", "detail", "errors"}
    assert problem["status"] == status
    named = [one["field"] for one in problem["errors"]]
    for field in fields:
        assert field in named, problem
        assert field in problem["detail"]
    assert isinstance(problem["detail"], str)
    assert problem["detail"]
    return problem["detail"]


class OpenRequest:
    """A request spoken in ASGI itself: its answer is read while it goes on, its body sent piece by piece."""

    def __init__(self, app: Any, path: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> None:
        given = {"host": "localhost", **(headers or {})}
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path.partition("?")[0],
            "raw_path": path.partition("?")[0].encode(),
            "query_string": path.partition("?")[2].encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 8000),
        }
        self._app = app
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.taking = asyncio.Event()
        self.taking.set()

    async def _send(self, message: dict[str, Any]) -> None:
        await self.taking.wait()
        await self.sent.put(message)

    async def run(self) -> None:
        await self._app(self._scope, self.incoming.get, self._send)

    async def head(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.sent.get(), 10)

    async def piece(self) -> str:
        return (await asyncio.wait_for(self.sent.get(), 10))["body"].decode()

    async def event(self) -> dict[str, str]:
        """The next event that is no comment, as its fields."""
        while True:
            text = await self.piece()
            if text.startswith("id:"):
                return dict(line.split(": ", 1) for line in text.strip().splitlines())


@asynccontextmanager
async def opened(app: Any, path: str, **options: Any) -> AsyncIterator[OpenRequest]:
    request = OpenRequest(app, path, **options)
    task = asyncio.create_task(request.run())
    try:
        yield request
    finally:
        request.incoming.put_nowait({"type": "http.disconnect"})
        request.taking.set()
        await asyncio.wait_for(task, 10)
