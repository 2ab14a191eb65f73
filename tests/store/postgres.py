"""A PostgreSQL of our own for a test session: a temporary folder, a free port on the loopback, gone afterwards."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

APT_LINE = "apt-get install -y --no-install-recommends postgresql"
PASSWORD = "s3cret-never-shown"


def binaries() -> Path:
    """The folder of initdb and postgres; without them the test fails and says what to install."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if not found:
        pytest.fail(f"PostgreSQL is missing; install it with: {APT_LINE}")
    return found[-1].parent


@dataclass
class Cluster:
    """One server; `database()` gives the URL of a new, empty database."""

    folder: Path
    port: int
    options: tuple[str, ...] = ("-c", "fsync=off")
    process: "subprocess.Popen[bytes] | None" = None
    made: int = field(default=0)

    @property
    def user(self) -> str | None:
        """PostgreSQL refuses root: then it runs as nobody."""
        return "nobody" if os.geteuid() == 0 else None

    def create(self) -> None:
        """Run initdb; its superuser is `tocsin` with PASSWORD."""
        self.folder.mkdir(parents=True)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            for path in (self.folder, secret):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        subprocess.run(
            [
                binaries() / "initdb", "-D", self.folder / "data", "-U", "tocsin", "--pwfile", secret,
                "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
            ],
            check=True, capture_output=True, user=self.user, group=self._group, cwd="/",
        )  # fmt: skip

    @property
    def _group(self) -> int | None:
        return pwd.getpwnam(self.user).pw_gid if self.user is not None else None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(
            [
                binaries() / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-k", self.folder,
                "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=50", *self.options,
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=self.user, group=self._group, cwd="/",
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop at once: SIGQUIT, what PostgreSQL calls immediate, as after a crash."""
        if self.process is not None:
            self.process.send_signal(3)
            self.process.wait(30)
            self.process = None

    def url(self, database: str, *, password: str = PASSWORD) -> str:
        """postgresql:// with the password in it."""
        return f"postgresql://tocsin:{password}@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        self.made += 1
        name = f"store_{self.made}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def drop(self, url: str) -> None:
        """Forget a database of `database()`, whoever is connected."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)".encode())

    def remove(self) -> None:
        """Stop it and delete the folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def new_cluster() -> Cluster:
    """A running cluster under /tmp: pytest's own folders are closed to the user nobody."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    parent = Path(tempfile.mkdtemp(prefix="tocsin-pg-"))
    parent.chmod(0o755)
    cluster = Cluster(parent / "cluster", port)
    try:
        cluster.create()
        cluster.start()
    except BaseException:
        shutil.rmtree(parent, ignore_errors=True)
        raise
    return cluster
