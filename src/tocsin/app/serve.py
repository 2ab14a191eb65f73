"""The running process: one event loop, one listening socket, an end within seconds."""

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog
import uvicorn

from tocsin.app.build import Application, build
from tocsin.app.connection import Connection
from tocsin.app.logs import set_up_logs
from tocsin.config.model import Config, ConfigError
from tocsin.config.safety import SHORT_TOKEN
from tocsin.domain.errors import TocsinError

log = structlog.get_logger(__name__)

GRACE_S = 2
"""How long answers under way may take after SIGTERM."""

GONE_AFTER_S = 4.5
"""How long all of the end may take. What then still waits (a database that does not answer, a thread that asks for a
name) is left as SIGKILL would leave it: whatever was told is kept."""

UNUSABLE = 2
"""The exit code when it cannot begin, as for all unusable input."""

KEEP_ALIVE_S = 5
"""How long a connection may wait between two requests."""

LOOK_AT_FILE_EVERY_S = 2.0
GIVE_BACK_EVERY_S = 10.0
BACKLOG = 2048


class _Server(uvicorn.Server):
    """Uvicorn without signal handlers of its own: it would raise the signal again before our clean end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `_run`."""
        yield


Reload = Callable[[], Config]


def serve(config: Config, reload: Reload) -> int:
    """Run until SIGTERM or SIGINT; the exit code. What cannot be is said in one line on standard error.

    `reload` reads the same file, environment and flags again; it may raise `ConfigError`.
    """
    set_up_logs()
    token = config.server.token
    if token is not None and len(token.reveal()) < SHORT_TOKEN:
        log.warning("the API token is short enough to be guessed", characters=len(token.reveal()), advised=SHORT_TOKEN)
    try:
        _check_certificate(config)
    except OSError as error:
        pair = f"the certificate {config.server.tls_cert} and the key {config.server.tls_key}"
        return _refuse(f"{pair} cannot be used: {error.strerror or error}")
    try:
        listener = _listen(config)
    except OSError as error:
        return _refuse(f"cannot listen on {config.server.host}:{config.server.port}: {error.strerror or error}")
    try:
        return asyncio.run(_run(config, listener, reload))
    except TocsinError as error:
        return _refuse(str(error))
    finally:
        listener.close()


def _refuse(why: str) -> int:
    print(f"tocsin: {why}", file=sys.stderr)  # noqa: T201
    return UNUSABLE


def _check_certificate(config: Config) -> None:
    """Raise OSError (`ssl.SSLError` is one) before anything is opened, where the server would end in a traceback."""
    server = config.server
    if server.tls_cert is not None:
        # No password: a key that needs one would ask for it on the terminal, which a service does not have.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(server.tls_cert, server.tls_key, password=str)


def _listen(config: Config) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.server.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.server.host, config.server.port))
        # Now and not when the server begins: two that are bound but do not listen would both believe it is theirs,
        # and "listening" is logged before the server accepts; who connects until then waits.
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


async def _run(config: Config, listener: socket.socket, reload: Reload) -> int:
    application = await build(config)
    settings = uvicorn.Config(
        application.api,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=config.server.behind_proxy,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=str(config.server.tls_cert) if config.server.tls_cert else None,
        ssl_keyfile=str(config.server.tls_key) if config.server.tls_key else None,
        lifespan="off",
        http=Connection,
        timeout_keep_alive=KEEP_ALIVE_S,
        ws="none",
    )
    server = _Server(settings)
    _obey_signals(server, application)
    reloading = tidying = None
    try:
        await application.open()
        gc.collect()
        tidying = asyncio.create_task(_give_back_memory(), name="memory")
        if config.path is not None:
            reloading = asyncio.create_task(_watch_file(application, config.path, reload), name="configuration file")
        scheme = "https" if settings.is_ssl else "http"
        log.info(
            "listening", url=f"{scheme}://{config.server.host}:{listener.getsockname()[1]}", state=str(config.state_dir)
        )
        await server.serve(sockets=[listener])
    finally:
        for task in (reloading, tidying):
            if task is not None:
                task.cancel()
        await application.close()
    return 0


async def _give_back_memory() -> None:
    """What only the start needed, and later what large questions needed, goes back to the system.

    glibc keeps what is freed in the middle of its heap until it is asked: without this the process grows with the
    largest moment it ever had. Where the C library cannot, nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):
        trim = ctypes.CDLL(None).malloc_trim
        while True:
            trim(0)
            await asyncio.sleep(GIVE_BACK_EVERY_S)


def _obey_signals(server: uvicorn.Server, application: Application) -> None:
    loop = asyncio.get_running_loop()

    def end() -> None:
        if server.should_exit:
            server.force_exit = True
        else:
            deadline = threading.Timer(GONE_AFTER_S, _leave)
            deadline.daemon = True
            deadline.start()
        server.should_exit = True
        application.stopping.set()

    def hung_up() -> None:
        # Without a file nothing can be read again. The end of the terminal it was started in is its own end; a service,
        # which has none, goes on: whoever meant a reload must not be left without monitoring.
        if os.isatty(0):
            end()
        else:
            log.warning("SIGHUP reloads the settings file, and there is none")

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    if application.config.path is None:
        loop.add_signal_handler(signal.SIGHUP, hung_up)


def _leave() -> None:
    log.warning("not ended in time, so left as it is", after_s=GONE_AFTER_S)
    os._exit(0)


async def _watch_file(application: Application, path: Path, reload: Reload) -> None:
    """Reload at SIGHUP and whenever the file changes, or one that it names for a secret (a rotated token).

    A file that is wrong changes nothing and is said.
    """
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)

    def stamps() -> list[tuple[int, int] | None]:
        # One that a reload has added makes another: it may have changed since it was read.
        return [_stamp(each) for each in (path, *application.config.secret_files)]

    seen = stamps()
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_AT_FILE_EVERY_S):
                await asked.wait()
        now = stamps()
        if not asked.is_set() and now == seen:
            continue
        asked.clear()
        seen = now
        try:
            config = await asyncio.to_thread(reload)
            await application.reload(config)
            log.info("configuration reloaded", file=str(path), targets=len(config.targets))
        except ConfigError as error:
            for problem in error.problems:
                log.error("configuration not reloaded", problem=str(problem))
        except TocsinError as error:
            log.error("configuration not reloaded", problem=str(error))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino
