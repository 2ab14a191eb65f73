"""SIGKILL at random moments: nothing that was acknowledged is lost, nothing is told twice."""

import http.client
import random
import sqlite3
import threading
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.acceptance.exporter import Rhythm, ScriptedPrometheus, http_server
from tests.acceptance.forking import Forked, Nursery
from tests.acceptance.process import Tocsin

SEED = 20251218
KILLS = 20
IN_THE_START = {3, 8, 13, 18}
"""Rounds that are killed before they listen, so while they read the store or take up their alerts."""

SHOPS = [
    {
        "name": f"shop_{n}",
        "query": f"shop_{n}",
        "datasource_uid": "prometheus",
        "check_interval": 1,
        "step": 1,
        "lookback": 240,
        "detection_methods": ["zscore", "iqr", "mad"],
        "pending_for": pending,
        "keep_firing_for": 2,
        "severity_threshold": "critical",
        "min_effect": 100,
        "history": 0,
    }
    for n, pending in enumerate((0, 0, 2))
]


@dataclass
class Promised:
    """What Tocsin has acknowledged, so what must be there after any death. `running` None: it died over the answer."""

    running: bool | None = True
    targets: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    notes: dict[str, str] = field(default_factory=dict)
    alerts: set[str] = field(default_factory=set)

    def check(self, server: Tocsin) -> None:
        status = server.get("/monitoring/status")
        assert self.running in (None, status["running"]), "whether monitoring runs was forgotten"
        names = {one["name"] for one in server.get("/monitoring/targets?limit=1000")["items"]}
        assert self.targets <= names, f"lost targets: {self.targets - names}"
        assert not self.gone & names, f"deleted targets are back: {self.gone & names}"
        listed = {one["id"]: one for one in self._alerts(server)}
        assert self.alerts <= set(listed), f"lost alerts: {self.alerts - set(listed)}"
        for alert, note in self.notes.items():
            kept = listed[alert]["acknowledgement"]
            assert kept is not None, f"lost the acknowledgement of {alert}"
            assert kept["note"] == note

    def see(self, server: Tocsin) -> None:
        """Alerts that were shown are kept from then on."""
        self.alerts.update(one["id"] for one in self._alerts(server))

    @staticmethod
    def _alerts(server: Tocsin) -> list[dict]:
        states = "pending,firing,resolved,expired"
        found: list[dict] = server.get(f"/monitoring/alerts?limit=1000&state={states}")["items"]
        return found


def live(server: Tocsin, promised: Promised, chance: random.Random, turn: int) -> None:
    """One life: things are changed and looked at until death comes, in the middle of whatever is going on."""
    promised.check(server)
    death = threading.Timer(chance.uniform(0.02, 1.8), server.process.kill)
    death.start()
    deadline = time.monotonic() + 60
    try:
        change(server, promised, turn)
        while time.monotonic() < deadline:
            look(server, promised, chance, turn)
    except (OSError, http.client.HTTPException):
        pass  # What was not answered is not promised.
    finally:
        death.join()


def change(server: Tocsin, promised: Promised, turn: int) -> None:
    """Whether monitoring runs, one target more, and now and then one less."""
    if turn % 6 == 4:
        promised.running = None
        server.post("/monitoring/stop")
        promised.running = False
    elif promised.running is not True:
        promised.running = None
        server.post("/monitoring/start")
        promised.running = True
    name = f"made_{turn}"
    server.post("/monitoring/targets", {**SHOPS[turn % 3], "name": name, "query": name}, 201)
    promised.targets.add(name)
    if turn % 5 == 2:
        victim = min(promised.targets)
        promised.targets.remove(victim)
        server.delete(f"/monitoring/targets/{victim}")
        promised.gone.add(victim)


def look(server: Tocsin, promised: Promised, chance: random.Random, turn: int) -> None:
    """See the alerts, and acknowledge one."""
    promised.see(server)
    for alert in server.get("/monitoring/alerts?state=firing&include_acknowledged=false")["items"][:1]:
        note = f"seen in life {turn}"
        server.post(f"/monitoring/alerts/{alert['id']}/acknowledge", {"who": "test", "note": note})
        promised.notes[alert["id"]] = note
    time.sleep(chance.uniform(0.0, 0.05))


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("cpu")
def test_twenty_deaths_lose_nothing_and_double_nothing(tmp_path: Path):
    chance = random.Random(SEED)
    promised = Promised()
    prometheus = ScriptedPrometheus(Rhythm(series=4, period=24, bad=5))
    starts = []
    with http_server(prometheus) as address, Nursery() as nursery:
        arguments = ("--no-host", "--prometheus", f"http://{address}")
        server = Forked(nursery, tmp_path / "state", *arguments)
        try:
            for shop in range(KILLS):
                if shop in IN_THE_START:
                    server.kill_after_start_of(chance.uniform(0.0, 0.5))
                    continue
                server.start()
                starts.append(server.started_within_s)
                if shop == 0:
                    for body in SHOPS:
                        server.post("/monitoring/targets", body, 201)
                        promised.targets.add(body["name"])
                live(server, promised, chance, shop)
                server.kill()
        except BaseException:
            print(server.log()[-6000:])
            raise
        finally:
            server.kill()
        print(f"start of a fork: {min(starts):.2f} to {max(starts):.2f} s, {len(promised.alerts)} alerts seen")
        with Tocsin(tmp_path / "state", *arguments) as last:
            print(f"start of a whole process: {last.started_within_s:.2f} s")
            promised.check(last)
            promised.see(last)
    assert promised.notes, "no alert was acknowledged: the scenario shows nothing"
    assert len(promised.alerts) >= 10, "hardly any alert: the scenario shows nothing"
    look_into(tmp_path / "state" / "tocsin.db", promised)


def look_into(database: Path, promised: Promised) -> None:
    """The file itself is sound, and the log of transitions tells a story that can have happened."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        alerts = connection.execute(
            "SELECT id, target_name || ' ' || fingerprint, state, active_at, ends_at FROM alerts ORDER BY active_at"
        ).fetchall()
        moves = connection.execute(
            'SELECT alert_id, "before", "after", reason, "at" FROM transitions ORDER BY sequence'
        ).fetchall()
        pictures = {row[0] for row in connection.execute("SELECT id FROM evidence")}
        named = {row[0] for row in connection.execute("SELECT evidence_id FROM transitions WHERE evidence_id NOTNULL")}
    assert {one[0] for one in alerts} >= promised.alerts
    assert len({one[0] for one in alerts}) == len(alerts)
    assert named <= pictures, "a transition names evidence that was not kept"
    states_of_one_alert(alerts, moves)
    one_alert_a_series_at_a_time(alerts, moves)


def states_of_one_alert(alerts: list[tuple], moves: list[tuple]) -> None:
    stories = defaultdict(list)
    for alert, before, after, reason, _ in moves:
        stories[alert].append((before, after, reason))
    assert set(stories) == {one[0] for one in alerts}, "each alert has transitions, each transition its alert"
    for alert, _, state, _, ends_at in alerts:
        state_now = None
        for before, after, reason in stories[alert]:
            assert before == state_now, f"{alert}: {stories[alert]}"
            assert state_now not in ("resolved", "expired"), f"{alert} goes on after its end: {stories[alert]}"
            assert (reason == "anomalous") is (before is None), f"{alert} begins twice: {stories[alert]}"
            assert after != before or reason == "severity_rose", f"{alert}: the same was told twice: {stories[alert]}"
            state_now = after
        assert state == state_now, f"{alert} is {state}, its last transition says {state_now}"
        assert (ends_at is None) is (state in ("pending", "firing"))


def one_alert_a_series_at_a_time(alerts: list[tuple], moves: list[tuple]) -> None:
    series_of = {one[0]: one[1] for one in alerts}
    open_alert: dict[str, str] = {}
    for alert, before, after, _, _ in moves:
        series = series_of[alert]
        if before is None:
            assert series not in open_alert, f"{series}: {alert} begins while {open_alert[series]} lasts"
            open_alert[series] = alert
        if after in ("resolved", "expired"):
            assert open_alert.pop(series) == alert
    ends: dict[str, int] = {}
    for alert, series, _, active_at, ends_at in alerts:
        assert active_at > ends.get(series, 0), f"{series}: {alert} covers a time that an earlier alert covered"
        ends[series] = ends_at if ends_at is not None else 2**62
