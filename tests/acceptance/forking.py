"""Starts Tocsin within milliseconds, again and again: everything is imported once, and each process is a fork of that.

Run as a program it reads a JSON list of arguments a line, with the log's path first, forks, and prints the pid. What
runs in the fork is `tocsin.cli.main`, as in every other process; only the two seconds of imports are saved, so that
most of the time goes into the moments in which a SIGKILL can hurt.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.acceptance.process import ENDED_WITHIN_S, Tocsin, environment

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    import alembic.command  # noqa: F401
    import uvicorn.protocols.http.auto
    import uvicorn.protocols.websockets.auto  # noqa: F401

    import tocsin.app
    import tocsin.config.load
    from tocsin.cli import main as tocsin

    # Whoever ends is forgotten by itself; the forks want to wait for their own children.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        log, *arguments = json.loads(line)
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in ((0, nothing), (1, file), (2, file)):
            os.dup2(descriptor, number)
        sys.argv = ["tocsin", *arguments]
        tocsin()
        os._exit(70)  # The command ends the process by itself.


class Nursery:
    """The process that forks; ends with its context."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.acceptance.forking"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment()
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def fork(self, log: Path, arguments: list[str]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(log), *arguments]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that forks has ended"
        return int(answer)


class _Fork:
    """As much of `subprocess.Popen` as a `Tocsin` needs of a process that is not its child."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return -1
        return None

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        # Somebody else may end it at the same moment.
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("tocsin", timeout)
            time.sleep(0.002)
        return -1


class Forked(Tocsin):
    """A `Tocsin` whose processes are forked. It is only ever killed: the exit code of a fork is not known."""

    def __init__(self, nursery: Nursery, state: Path, *arguments: str) -> None:
        super().__init__(state, *arguments)
        self._nursery = nursery

    def spawn(self) -> _Fork:
        arguments = self.command()[3:]
        return _Fork(self._nursery.fork(self.log_path, arguments))

    def kill_after_start_of(self, delay_s: float, sleep: Callable[[float], None] = time.sleep) -> None:
        """Start, wait for nothing, and kill after so long."""
        process = self.spawn()
        sleep(delay_s)
        process.kill()
        process.wait(ENDED_WITHIN_S)


if __name__ == "__main__":
    main()
