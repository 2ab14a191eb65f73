"""What it costs to keep things: CPU and wall time of the store beside raw sqlite3, in one run.

    python -m benchmarks.bench_store [--rows 100] [--rounds 40]

Ratios are what counts: raw sqlite3 writes the same bytes into the same tables in the same run, with the same PRAGMAs.
"""

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from sqlalchemy import Table

from tocsin.detect import Severity
from tocsin.domain.alert import Alert, AlertKind, AlertState, Reason, Transition, alert_id
from tocsin.domain.anomaly import Anomaly, Evidence
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels
from tocsin.domain.ports import AlertFilter, AnomalyFilter, Page, Retention
from tocsin.store import SqlStore, codec, open_store
from tocsin.store.columns import EPOCH, MICROSECOND
from tocsin.store.schema import anomalies, metadata

START = datetime(2026, 3, 1, tzinfo=UTC)
SAMPLES = 61


def evaluation(series: int, at: datetime, *, with_alert: bool) -> Evaluation:
    """One anomaly of one series; with its alert, transition and evidence of an hour when wanted."""
    labels = Labels({"__name__": "cpu", "instance": f"host-{series}", "job": "node", "mode": "user", "region": "eu"})
    window = Window(at - timedelta(hours=1), at, timedelta(minutes=1))
    one = Anomaly(
        id=alert_id("cpu_usage", labels, at).replace("alert:", "anomaly:"),
        target_name="cpu_usage", labels=labels, timestamp=at, value=97.5, expected_value=20.25, lower=10.0, upper=30.0,
        sigma=7.125, severity=Severity.CRITICAL, confidence=0.875, method="mad", methods=("mad", "zscore"),
        explanation="97.5 where 10 to 30 was expected, 7.1 sigma above", query="rate(cpu[5m])", window=window,
    )  # fmt: skip
    if not with_alert:
        return Evaluation("cpu_usage", at, (one,))
    numbers = tuple(float(index) + 0.1 for index in range(SAMPLES))
    piece = Evidence(
        f"evidence:{one.id}", one.query, "prometheus", window, one.methods, numbers, numbers, numbers, numbers,
        numbers, numbers,
    )  # fmt: skip
    alert = Alert(
        id=alert_id("cpu_usage", labels, at), kind=AlertKind.ANOMALY, target_name="cpu_usage", labels=labels,
        state=AlertState.FIRING, severity=one.severity, active_at=at, last_anomalous_at=at, updated_at=at,
        value=one.value, expected_value=one.expected_value, sigma=one.sigma, confidence=one.confidence,
        methods=one.methods, summary="🔥 cpu_usage: Detected mad anomaly", explanation=one.explanation, starts_at=at,
        last_seen_at=at, evidence_id=piece.id,
    )  # fmt: skip
    move = Transition(alert.id, at, None, alert.state, Reason.ANOMALOUS, alert.severity, evidence_id=piece.id)
    return Evaluation("cpu_usage", at, (replace(one, alert_id=alert.id),), (alert,), (move,), (piece,))


class Figure:
    """CPU and wall time of what runs inside, in microseconds a unit."""

    def __init__(self, units: int) -> None:
        self.units = units

    def __enter__(self) -> Self:
        self.began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        wall, cpu = time.perf_counter() - self.began[0], time.process_time() - self.began[1]
        self.wall_us, self.cpu_us = 1e6 * wall / self.units, 1e6 * cpu / self.units


def show(name: str, figure: Figure, against: Figure | None = None) -> None:
    ratio = f"{figure.cpu_us / against.cpu_us:8.1f} x raw" if against is not None else ""
    print(f"{name:<58}{figure.cpu_us:10.1f}{figure.wall_us:10.1f}{ratio}")


def raw_connection(folder: Path, synchronous: str) -> sqlite3.Connection:
    """The same tables and PRAGMAs, without anything in between."""
    connection = sqlite3.connect(folder / f"raw-{synchronous}.db", isolation_level=None)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    from sqlalchemy.schema import CreateIndex, CreateTable

    for table in metadata.sorted_tables:
        for statement in (CreateTable(table), *map(CreateIndex, table.indexes)):
            connection.execute(str(statement.compile(dialect=_dialect())))
    return connection


def _dialect():
    from sqlalchemy.dialects.sqlite import dialect

    return dialect()


def raw_insert(connection: sqlite3.Connection, table: Table, rows: list[codec.Parameters]) -> None:
    names = [column.name for column in table.columns]
    quoted, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        f"INSERT INTO {table.name} ({quoted}) VALUES ({marks}) ON CONFLICT DO NOTHING",
        [[plain(row[name]) for name in names] for row in rows],
    )
    connection.execute("COMMIT")


def plain(value: object) -> object:
    return (value - EPOCH) // MICROSECOND if isinstance(value, datetime) else value


def raw_figure(folder: Path, synchronous: str, rows: int, rounds: int) -> Figure:
    connection = raw_connection(folder, synchronous)
    batches = [[evaluation(one, START + timedelta(minutes=turn), with_alert=False) for one in range(rows)]
               for turn in range(rounds)]  # fmt: skip
    with Figure(rows * rounds) as figure:
        for batch in batches:
            raw_insert(connection, anomalies, [codec.anomaly_row(one.anomalies[0]) for one in batch])
    connection.close()
    return figure


async def store_figure(store: SqlStore, first: int, rows: int, rounds: int, *, with_alert: bool) -> Figure:
    batches = [
        [evaluation(one, START + timedelta(minutes=first + turn), with_alert=with_alert) for one in range(rows)]
        for turn in range(rounds + 1)
    ]
    await store.save_evaluations(batches[0])
    with Figure(rows * rounds * (4 if with_alert else 1)) as figure:
        for batch in batches[1:]:
            await store.save_evaluations(batch)
    return figure


async def repeated(work: Callable[[], Awaitable[object]], times: int) -> Figure:
    await work()
    with Figure(times) as figure:
        for _ in range(times):
            await work()
    return figure


async def measure(folder: Path, rows: int, rounds: int) -> None:
    raw = raw_figure(folder, "FULL", rows, rounds)
    raw_one = raw_figure(folder / "one", "FULL", 1, 200)
    normal_one = raw_figure(folder / "one", "NORMAL", 1, 200)
    store = await open_store(folder / "state")
    print(f"{'microseconds a unit':<58}{'CPU':>10}{'wall':>10}")
    show(f"raw sqlite3, an anomaly in a batch of {rows}", raw)
    show(f"store, an anomaly in a batch of {rows}",
         await store_figure(store, 0, rows, rounds, with_alert=False), raw)  # fmt: skip
    show(f"store, a row of {rows} alerts with transition and evidence",
         await store_figure(store, 1000, rows, rounds, with_alert=True), raw)  # fmt: skip
    show("raw sqlite3, a transaction of one row, synchronous FULL", raw_one)
    show("raw sqlite3, the same, synchronous NORMAL", normal_one)
    show("store, a transaction of one anomaly", await store_figure(store, 5000, 1, 200, with_alert=False), raw_one)
    show("store, save_setting", await repeated(lambda: store.save_setting("bench", "x"), 200), raw_one)
    show("store, setting", await repeated(lambda: store.setting("bench"), 200))
    show("store, probe", await repeated(store.probe, 100))
    everything = AnomalyFilter()
    labelled = AlertFilter(labels=Labels({"instance": "host-1", "job": "node"}))
    show("store, 100 of all alerts", await repeated(lambda: store.alerts(AlertFilter(), Page(100)), 20))
    show("store, alerts by two labels", await repeated(lambda: store.alerts(labelled, Page(100)), 20))
    show("store, 100 of all anomalies", await repeated(lambda: store.anomalies(everything, Page(100)), 20))
    show("store, counts", await repeated(store.counts, 20))
    with Figure(1) as loaded:
        active = len(await store.active_alerts())
    show(f"store, active_alerts ({active:,})", loaded)
    late = START + timedelta(days=400)
    with Figure(1) as pruned:
        gone = await store.prune(Retention(max_anomalies=100), late)
    show(f"store, prune ({gone:,} rows)", pruned)
    await store.close()
    show("open a store that is up to date", await repeated(lambda: reopened(folder / "state"), 10))


async def reopened(folder: Path) -> None:
    await (await open_store(folder)).close()


def main(argv=None):
    """Measure in a temporary folder and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        (Path(folder) / "one").mkdir()
        asyncio.run(measure(Path(folder), options.rows, options.rounds))


if __name__ == "__main__":
    main()
