"""The embedded default, for real: burn a core, and be told which process it was."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.acceptance.process import Tocsin, environment, until

TARGET = "host_process_cpu"
APART = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc")
BURNER = "tocsin-burner"
FIRES_WITHIN_S = 60
RESOLVES_WITHIN_S = 150

# Hashing lets go of the interpreter's lock: six threads of one process want six cores. The name is what `ps` and Tocsin
# see. How many threads it needs is told on its standard input.
BURN = f"""
import hashlib, pathlib, threading
pathlib.Path("/proc/self/comm").write_text({BURNER!r})
def burn():
    block = bytes(1 << 20)
    while True:
        hashlib.sha256(block).digest()
for _ in range(int(input())):
    threading.Thread(target=burn, daemon=True).start()
threading.Event().wait(300)
"""


def preferred(pid: int) -> bool:
    """Have the kernel prefer a new session to all others, where we may: the rest of the test suite is busy too."""
    try:
        os.setpriority(os.PRIO_PGRP, pid, -10)
        autogroup = Path(f"/proc/{pid}/autogroup")
        if autogroup.exists():
            autogroup.write_text("-10")
    except OSError:
        return False
    return True


def process_namespace() -> Sequence[str]:
    """A command that shows a process only what it started itself, where the kernel lets us; () where not.

    The busiest process of the machine is what is watched, and the rest of the test suite is busy too.
    """
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return ()
    tried = subprocess.run([*APART, "true"], capture_output=True, timeout=30, check=False)
    return APART if tried.returncode == 0 else ()


class Here(Tocsin):
    """Tocsin behind `unshare`, which passes no signals on: they go to the process inside."""

    @property
    def inside(self) -> psutil.Process:
        outer = psutil.Process(self.process.pid)
        return outer.children()[0] if self._prefix else outer

    def signal(self, number) -> None:
        self.inside.send_signal(number)

    def beside(self, *command: str) -> list[str]:
        """A command that runs where Tocsin sees it."""
        if not self._prefix:
            return list(command)
        entered = ["nsenter", f"--target={self.inside.pid}", "--user", "--preserve-credentials", "--pid", "--mount"]
        return [*entered, *command]


@contextmanager
def burning(server: Here) -> Iterator[subprocess.Popen[bytes]]:
    """A process that keeps at least a core busy until it is killed."""
    command = server.beside(sys.executable, "-c", BURN)
    process = subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdin is not None
        # One thread that nobody disturbs, or so many that a core's worth is left to them among the others.
        process.stdin.write(b"1\n" if preferred(process.pid) else b"6\n")
        process.stdin.close()
        yield process
    finally:
        # nsenter forks for a new pid namespace: the whole group goes.
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait(10)


@pytest.mark.timeout(420)
@pytest.mark.xdist_group("cpu")
def test_a_burnt_core_is_told_with_its_process_and_resolves_by_itself(tmp_path):
    with Here(tmp_path / "state", prefix=process_namespace()) as server:
        names = [one["name"] for one in server.get("/monitoring/targets?limit=1000")["items"]]
        assert TARGET in names
        assert all(name.startswith("host_") for name in names)
        assert server.get("/monitoring/status")["running"] is True, "the first start monitors"
        server.ready(TARGET, within_s=120)

        def firing() -> dict:
            found = server.alerts(TARGET, state="firing")
            return found[0] if found else {}

        def told() -> bool:
            """Whether the newest evidence names the burner: something else may have been busy before it."""
            detail = server.get(f"/monitoring/alerts/{firing()['id']}") if firing() else {"evidence": []}
            return any(BURNER[:15] in line for one in detail["evidence"] for line in one["context"])

        with burning(server):
            began = time.monotonic()
            try:
                until("an alert fires", firing, within_s=FIRES_WITHIN_S)
            except AssertionError as error:
                (seen,) = server.get(f"/monitoring/targets/{TARGET}/series")["series"]
                raise AssertionError(
                    f"{error}; cores: {seen['values'][-20:]}, expected: {seen['expected'][-20:]}"
                ) from None
            print(f"from burning to firing: {time.monotonic() - began:.1f} s")
            until("its evidence names the process", told, within_s=FIRES_WITHIN_S)
            alert = firing()
            assert alert["value"] > 0.85
            until("it is still one", lambda: len(server.alerts(TARGET, state="firing,pending")) == 1, within_s=10)

        began = time.monotonic()
        until("it resolves by itself", lambda: not firing(), within_s=RESOLVES_WITHIN_S)
        print(f"from the end of it to resolved: {time.monotonic() - began:.1f} s")
        over = server.get(f"/monitoring/alerts/{alert['id']}")
        assert over["state"] == "resolved"
        moves = [(one["before"], one["after"]) for one in over["transitions"] if one["before"] != one["after"]]
        assert moves == [(None, "pending"), ("pending", "firing"), ("firing", "resolved")]
