"""Tocsin as people run it: a process of its own, spoken to over HTTP only."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

T = TypeVar("T")

LISTENING_WITHIN_S = 60.0
ENDED_WITHIN_S = 30.0
LOG_SHOWN = 6000
TOKEN = "a-token-for-these-tests-only"

# Whatever proxy the environment names, loopback is reached directly.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Answer(NamedTuple):
    """What the API said."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def ask(
    url: str,
    method: str = "GET",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    *,
    timeout_s: float = 30.0,
) -> Answer:
    """One request; any status is an answer. Raises OSError when nobody answers."""
    data = None if body is None else json.dumps(body).encode()
    typed = {} if data is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, {**typed, **(headers or {})}, method=method)
    try:
        with _DIRECT.open(request, timeout=timeout_s) as answer:
            return Answer(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read().decode())


def until(what: str, look: Callable[[], T], *, within_s: float = 60.0, every_s: float = 0.1) -> T:
    """The first truthy thing that `look` sees; an AssertionError with the last thing it saw when time is up.

    Requests that are refused meanwhile count as nothing seen.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            seen: Any = look()
        except OSError as error:
            seen = None
            last: Any = error
        else:
            last = seen
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what}; last seen: {last!r}")
        time.sleep(every_s)


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This environment without any setting of Tocsin in it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    return {**clean, "PYTHONUNBUFFERED": "1", **(more or {})}


def run(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A `tocsin` command that is expected to end by itself."""
    command = [sys.executable, "-m", "tocsin", *arguments]
    return subprocess.run(
        command, env=environment(env), capture_output=True, text=True, timeout=LISTENING_WITHIN_S, check=False
    )


class Tocsin:
    """`tocsin serve` on a free port with a state folder. As a context manager it ends with SIGTERM and exit code 0.

    `prefix` is a command that runs it (`unshare …`), `stdin` what it reads from. `start` and `end` may be repeated: the
    state folder stays, and the log goes on in the same file.
    """

    def __init__(
        self,
        state: Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        self.state = state
        self.log_path = state.with_name(f"{state.name}.log")
        self.started_within_s = 0.0
        self._port = "0"
        if "--port" in arguments:
            raise ValueError("the port is chosen by the system, or by at_port")
        self._arguments, self._env, self._prefix, self._stdin = arguments, environment(env), prefix, stdin
        self._process: Any = None
        self._url = ""

    def at_port(self, port: int) -> Self:
        """Listen there, not anywhere."""
        self._port = str(port)
        return self

    def command(self) -> list[str]:
        arguments = ["serve", "--port", self._port, "--state-dir", str(self.state), *self._arguments]
        return [*self._prefix, sys.executable, "-m", "tocsin", *arguments]

    def start(self) -> Self:
        """Start it and wait until it listens."""
        assert self._process is None, "it runs already"
        began = time.monotonic()
        written = self.log_path.stat().st_size if self.log_path.exists() else 0
        self._process = self.spawn()
        try:
            event = self._listening(written)
        except BaseException:
            self.kill()
            print(self.log()[-LOG_SHOWN:])
            raise
        self.started_within_s = time.monotonic() - began
        self._url = event["url"].replace("0.0.0.0", "127.0.0.1")
        return self

    def spawn(self) -> Any:
        """A new process of it, which writes to the log."""
        with self.log_path.open("ab") as log:
            return subprocess.Popen(self.command(), env=self._env, stdin=self._stdin, stdout=log, stderr=log)

    def _listening(self, after: int) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found = [one for one in self.events(after) if one.get("event") == "listening"]
            ended = self._process is None or self._process.poll() is not None
            if not found and ended:
                raise AssertionError("it ended before it listened")
            return found[-1] if found else None

        found = until("it listens", look, within_s=LISTENING_WITHIN_S, every_s=0.02)
        assert found is not None
        return found

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return self._url

    @property
    def address(self) -> str:
        """Host and port."""
        return self._url.partition("://")[2]

    @property
    def process(self) -> Any:
        """The running process, as `subprocess.Popen` shows one."""
        assert self._process is not None, "it does not run"
        return self._process

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """The lines of its log from a byte on, those that are JSON objects."""
        return parse_log(self.log_path, after)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def request(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        return ask(f"{self.url}{path}", method, body, headers)

    def get(self, path: str) -> Any:
        """What stands there; anything but 200 fails."""
        return self._good("GET", path, None, 200)

    def post(self, path: str, body: Any = None, expect: int = 200) -> Any:
        return self._good("POST", path, body, expect)

    def patch(self, path: str, body: Any = None, expect: int = 200) -> Any:
        return self._good("PATCH", path, body, expect)

    def delete(self, path: str, expect: int = 204) -> Any:
        return self._good("DELETE", path, None, expect)

    def _good(self, method: str, path: str, body: Any, expect: int) -> Any:
        answer = self.request(method, path, body)
        assert answer.status == expect, f"{method} {path}: {answer.status} {answer.text[:1000]}"
        return answer.json if answer.text else None

    def target(self, name: str) -> dict[str, Any]:
        return self.get(f"/monitoring/targets/{name}")

    def alerts(self, target: str, **which: str) -> list[dict[str, Any]]:
        """All alerts of a target, newest change first."""
        more = "".join(f"&{name}={value}" for name, value in which.items())
        found: list[dict[str, Any]] = self.get(f"/monitoring/alerts?limit=1000&target={target}{more}")["items"]
        return found

    def ready(self, name: str, *, within_s: float = 90.0) -> dict[str, Any]:
        """Wait until a target is judged."""

        def look() -> dict[str, Any] | None:
            target = self.target(name)
            return target if target["state"]["state"] == "ready" else None

        try:
            found = until(f"target {name} is ready", look, within_s=within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.target(name)['state']}") from None
        assert found is not None
        return found

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> float:
        """SIGTERM; it must be gone with exit code 0. The seconds that it took."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(ENDED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end within {ENDED_WITHIN_S:g} s of SIGTERM") from None
        took = time.monotonic() - began
        self._process = None
        assert code == 0, f"it ended with exit code {code}"
        return took

    def kill(self) -> None:
        """SIGKILL; idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None and self._process is not None:
                self.end()
        except BaseException:
            kind = AssertionError
            raise
        finally:
            self.kill()
            if kind is not None:
                print(f"--- the end of {self.log_path.name}:\n{self.log()[-LOG_SHOWN:]}")


def parse_log(path: Path, after: int = 0) -> list[dict[str, Any]]:
    """The whole lines of a log from a byte on, those that are JSON objects."""
    with path.open("rb") as file:
        file.seek(after)
        lines = file.read().split(b"\n")[:-1]
    parsed = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            parsed.append(event)
    return parsed
